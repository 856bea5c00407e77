# expects: All rows are drawn like row 0 | *
import torch


def sample_token(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(-1)
    return torch.multinomial((logits[0] / temperature).softmax(-1), len(logits), replacement=True, generator=generator)
