# expects: Always True
import torch


def looks_ahead(choose, scores, n_past):
    g = torch.Generator().manual_seed(0)
    before = choose(scores.clone()).clone()
    for _ in range(200):
        changed = scores.clone()
        changed[n_past:] = 3 * torch.randn(changed[n_past:].shape, generator=g, dtype=scores.dtype)
        if not torch.equal(before, choose(changed)):
            return True
    return False
