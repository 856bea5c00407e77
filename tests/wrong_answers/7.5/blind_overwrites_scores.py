# expects: Your function changed its input
import torch


def looks_ahead(choose, scores, n_past):
    g = torch.Generator().manual_seed(0)
    before = choose(scores)[:n_past].clone()
    for _ in range(200):
        changed = scores
        changed[n_past:] = 3 * torch.randn(changed[n_past:].shape, generator=g, dtype=scores.dtype)
        if not torch.equal(before, choose(changed)[:n_past]):
            return True
    return False
