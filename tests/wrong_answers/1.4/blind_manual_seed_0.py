# expects: Every call draws the same | *
import torch


def sample_token(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(-1)
    generator.manual_seed(0)
    return torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)[:, 0]
