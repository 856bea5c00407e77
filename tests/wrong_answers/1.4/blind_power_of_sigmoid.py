# expects: Sigmoid, not softmax | *
import torch


def sample_token(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(-1)
    p = (logits / temperature).sigmoid()
    return torch.multinomial(p / p.sum(-1, keepdim=True), 1, generator=generator)[:, 0]
