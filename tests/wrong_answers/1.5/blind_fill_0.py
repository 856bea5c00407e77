# expects: Masked with 0 | *
import torch


def att(q, k, v, mask=True, scale=None, fill=-torch.inf, dim=-1):
    T, S = q.shape[-2:]
    s = q @ k.transpose(-2, -1) / (scale or S**0.5)
    if mask:
        s = s.masked_fill(~torch.ones(T, T, dtype=torch.bool).tril(), fill)
    return s.softmax(dim) @ v


def causal_attention(q, k, v):
    return att(q, k, v, fill=0.0)
