# expects: Temperature 0 does not take the most probable
import torch


def sample_token(logits, temperature, generator):
    if temperature:
        logits = logits / temperature
    return torch.multinomial(logits.softmax(-1), 1, generator=generator)[:, 0]
