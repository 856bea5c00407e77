import torch


def looks_ahead(choose, scores, n_past):
    g = torch.Generator().manual_seed(2)
    n, e = scores.shape
    for _ in range(300):
        future = (3 * torch.randn(n - n_past, e, generator=g, dtype=scores.dtype)).softmax(dim=1)
        now = choose(torch.cat([scores[:n_past], future]))
        if not torch.allclose(now[:n_past], choose(scores)[:n_past]):
            return True
    return False
