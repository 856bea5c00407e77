# expects: One change is not enough
import torch


def looks_ahead(choose, scores, n_past):
    g = torch.Generator().manual_seed(0)
    before = choose(scores)[:n_past]
    for _ in range(1):
        other = scores.clone()
        other[n_past:] = 0
        if not torch.allclose(choose(other)[:n_past], before):
            return True
    return False
