# expects: One draw for all rows
import torch


def sample_token(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    below = (logits / temperature).softmax(-1).cumsum(dim=-1)
    drawn = torch.rand(1, generator=generator)
    return (below < drawn).sum(dim=-1).clamp(max=logits.shape[1] - 1)
