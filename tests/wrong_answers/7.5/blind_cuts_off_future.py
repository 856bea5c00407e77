# expects: Some leaks go unseen
import torch


def looks_ahead(choose, scores, n_past):
    full = choose(scores.clone())[:n_past]
    past = choose(scores[:n_past].clone())
    return not torch.allclose(full, past)
