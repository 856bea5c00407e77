import torch


def sample_token(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    uniform = torch.rand(logits.shape, generator=generator)
    return (logits / temperature - torch.log(-torch.log(uniform))).argmax(dim=-1)
