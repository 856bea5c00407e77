# expects: Temperature 0 does not take the most probable
import torch


def sample_token(logits, temperature, generator):
    temperature = max(temperature, 1.0) if temperature == 0 else temperature
    return torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)[:, 0]
