import torch


def sample_token(logits, temperature, generator):
    return torch.multinomial((logits / max(temperature, 1e-6)).softmax(dim=-1), 1, generator=generator)[:, 0]
