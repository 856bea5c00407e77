# expects: *
import torch


def looks_ahead(choose, scores, n_past):
    g = torch.Generator().manual_seed(0)
    before = choose(scores)[:n_past]
    for _ in range(100):
        other = scores.clone()
        other[n_past:] = torch.rand(other[n_past:].shape, generator=g, dtype=scores.dtype)
        if not torch.allclose(choose(other)[:n_past], before):
            return 1
    return 0
