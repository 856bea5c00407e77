import torch
import torch.nn.functional as F


def sample_token(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    p = F.softmax(logits / temperature, dim=-1)
    return (p / torch.empty_like(p).exponential_(generator=generator)).argmax(dim=-1)
