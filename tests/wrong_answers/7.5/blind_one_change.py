# expects: Some leaks go unseen
import torch


def looks_ahead(choose, scores, n_past):
    g = torch.Generator().manual_seed(0)
    before = choose(scores.clone())[:n_past].clone()
    changed = scores.clone()
    changed[n_past:] = torch.rand(changed[n_past:].shape, generator=g, dtype=scores.dtype)
    after = choose(changed)[:n_past]
    return not torch.equal(before, after)
