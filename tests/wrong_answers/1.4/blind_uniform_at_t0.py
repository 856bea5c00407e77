# expects: Temperature 0 does not take the most probable | *
import torch


def sample_token(logits, temperature, generator):
    if temperature == 0:
        return torch.zeros(len(logits), dtype=torch.int64)
    return torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)[:, 0]
