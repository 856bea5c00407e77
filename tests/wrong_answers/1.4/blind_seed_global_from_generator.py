# expects: Every call draws the same | *
import torch


def sample_token(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(-1)
    torch.manual_seed(generator.initial_seed())
    return torch.multinomial((logits / temperature).softmax(-1), 1)[:, 0]
