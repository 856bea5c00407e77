# expects: These are no probabilities | *
import torch


def sample_token(logits, temperature, generator):
    return torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)[:, 0]
