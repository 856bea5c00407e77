# expects: Temperature 0 does not take the most probable | *
import torch


def sample_token(logits, temperature, generator):
    return torch.multinomial((logits / max(temperature, 0.05)).softmax(-1), 1, generator=generator)[:, 0]
