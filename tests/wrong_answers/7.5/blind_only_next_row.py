# expects: One change is not enough
import torch


def looks_ahead(choose, scores, n_past):
    g = torch.Generator().manual_seed(0)
    before = choose(scores.clone())[:n_past].clone()
    for _ in range(200):
        changed = scores.clone()
        row = changed[n_past : n_past + 1]
        changed[n_past : n_past + 1] = 3 * torch.randn(row.shape, generator=g, dtype=scores.dtype)
        if not torch.equal(before, choose(changed)[:n_past]):
            return True
    return False
