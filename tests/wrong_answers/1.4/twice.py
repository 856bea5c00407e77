# expects: The temperature twice
import torch


def sample_token(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    logits = logits / temperature
    logits = logits / temperature
    return torch.multinomial(logits.softmax(dim=-1), 1, generator=generator)[:, 0]
