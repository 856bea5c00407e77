# expects: Every token is as likely
import torch


def sample_token(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    return torch.multinomial(torch.ones_like(logits), 1, generator=generator)[:, 0]
