# expects: All rows are drawn like row 0
import torch


def sample_token(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    p = (logits[0] / temperature).softmax(dim=-1)
    return torch.multinomial(p, len(logits), replacement=True, generator=generator)
