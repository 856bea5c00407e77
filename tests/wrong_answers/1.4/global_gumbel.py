# expects: The draw does not come from `generator`
import torch


def sample_token(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    noise = -torch.log(-torch.log(torch.rand(logits.shape)))
    return (logits / temperature + noise).argmax(dim=-1)
