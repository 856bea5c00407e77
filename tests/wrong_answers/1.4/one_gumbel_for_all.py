# expects: One draw for all rows
import torch


def sample_token(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    noise = -torch.log(-torch.log(torch.rand(logits.shape[1], generator=generator)))
    return (logits / temperature + noise).argmax(dim=-1)
