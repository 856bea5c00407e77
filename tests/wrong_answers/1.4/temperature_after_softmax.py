# expects: Softmax comes twice
import torch


def sample_token(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    return torch.multinomial((logits.softmax(-1) / temperature).softmax(-1), 1, generator=generator)[:, 0]
