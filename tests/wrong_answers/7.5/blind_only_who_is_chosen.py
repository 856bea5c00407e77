# expects: Who works, but not how loudly
import torch


def looks_ahead(choose, scores, n_past):
    g = torch.Generator().manual_seed(0)
    before = choose(scores.clone())[:n_past] != 0
    for _ in range(200):
        changed = scores.clone()
        changed[n_past:] = 3 * torch.randn(changed[n_past:].shape, generator=g, dtype=scores.dtype)
        after = choose(changed)[:n_past] != 0
        if not torch.equal(before, after):
            return True
    return False
