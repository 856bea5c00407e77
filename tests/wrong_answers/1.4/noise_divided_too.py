# expects: The temperature changes nothing
import torch


def sample_token(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    noise = -torch.log(-torch.log(torch.rand(logits.shape, generator=generator)))
    return ((logits + noise) / temperature).argmax(dim=-1)
