# expects: Some leaks go unseen
import torch


def looks_ahead(choose, scores, n_past):
    g = torch.Generator().manual_seed(0)
    before = choose(scores.clone())[:n_past].clone()
    for _ in range(200):
        changed = scores.clone()
        noise = torch.randn(changed[n_past:].shape, generator=g, dtype=scores.dtype)
        changed[n_past:] += 1e-4 * noise
        if not torch.allclose(before, choose(changed)[:n_past]):
            return True
    return False
