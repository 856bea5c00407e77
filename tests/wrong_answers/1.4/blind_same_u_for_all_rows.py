# expects: One draw for all rows | *
import torch


def sample_token(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(-1)
    p = (logits / temperature).softmax(-1).cumsum(-1)
    u = torch.rand(1, generator=generator)
    return (p < u).sum(-1)
