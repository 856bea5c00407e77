import torch


def sample_token(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    p = torch.softmax(logits.double() / temperature, dim=-1)
    below = p.cumsum(dim=-1)
    drawn = torch.rand(len(logits), 1, generator=generator, dtype=torch.float64)
    return torch.searchsorted(below, drawn)[:, 0].clamp(max=logits.shape[1] - 1)
