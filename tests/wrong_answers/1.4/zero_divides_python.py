# expects: Division by zero
import torch


def sample_token(logits, temperature, generator):
    scale = 1 / temperature
    return torch.multinomial((logits * scale).softmax(-1), 1, generator=generator)[:, 0]
