# expects: *
import torch


def sample_token(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    noise = torch.randn(logits.shape, generator=generator)
    return (logits / temperature + noise).argmax(dim=-1)
