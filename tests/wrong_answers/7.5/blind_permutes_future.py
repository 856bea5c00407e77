# expects: The same values in another order
import torch


def looks_ahead(choose, scores, n_past):
    g = torch.Generator().manual_seed(0)
    before = choose(scores.clone())[:n_past].clone()
    n_future = scores.shape[0] - n_past
    for _ in range(200):
        changed = scores.clone()
        order = torch.randperm(n_future, generator=g)
        changed[n_past:] = scores[n_past:][order]
        if not torch.allclose(before, choose(changed)[:n_past]):
            return True
    return False
