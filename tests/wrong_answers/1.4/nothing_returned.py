# expects: Nothing is returned
import torch


def sample_token(logits, temperature, generator):
    if temperature == 0:
        token = logits.argmax(dim=-1)
    token = torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)[:, 0]
