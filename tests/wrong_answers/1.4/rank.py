# expects: Places in the sorted row
import torch


def sample_token(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    p = (logits / temperature).softmax(-1).sort(dim=-1, descending=True).values
    return torch.multinomial(p, 1, generator=generator)[:, 0]
