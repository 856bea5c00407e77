# expects: The global generator was touched
import torch


def looks_ahead(choose, scores, n_past):
    torch.manual_seed(0)
    before = choose(scores.clone())[:n_past].clone()
    for _ in range(200):
        changed = scores.clone()
        changed[n_past:] = 3 * torch.randn(changed[n_past:].shape, dtype=scores.dtype)
        if not torch.equal(before, choose(changed)[:n_past]):
            return True
    return False
