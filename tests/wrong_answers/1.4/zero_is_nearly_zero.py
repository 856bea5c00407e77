# expects: Temperature 0 does not take the most probable
import torch


def sample_token(logits, temperature, generator):
    probabilities = (logits / (temperature + 1e-3)).softmax(-1)
    return torch.multinomial(probabilities, 1, generator=generator)[:, 0]
