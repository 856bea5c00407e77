# expects: Your function changed its input
import torch


def sample_token(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    logits /= temperature
    return torch.multinomial(logits.softmax(-1), 1, generator=generator)[:, 0]
