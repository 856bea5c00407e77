# expects: Not a tensor
import torch


def sample_token(logits, temperature, generator):
    if temperature == 0:
        return logits.max(dim=-1)
    return torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)[:, 0]
