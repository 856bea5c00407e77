import torch


def looks_ahead(choose, scores, n_past):
    g = torch.Generator().manual_seed(1)
    past = choose(scores)[:n_past]
    for _ in range(200):
        noise = torch.randn(scores.shape, generator=g, dtype=scores.dtype)
        noise[:n_past] = 0
        if not torch.equal(choose(scores + noise)[:n_past], past):
            return True
    return False
