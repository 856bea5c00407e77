# expects: Temperature 0 does not take the most probable | *
import torch


def sample_token(logits, temperature, generator):
    return torch.multinomial((logits / (temperature + 1e-3)).softmax(-1), 1, generator=generator)[:, 0]
