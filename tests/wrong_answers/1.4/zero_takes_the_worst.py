# expects: Temperature 0 takes the least probable
import torch


def sample_token(logits, temperature, generator):
    if temperature == 0:
        return logits.argmin(dim=-1)
    return torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)[:, 0]
