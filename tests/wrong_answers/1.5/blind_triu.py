# expects: The mask is the wrong way round | *
import torch


def causal_attention(q, k, v):
    T, S = q.shape[-2:]
    s = q @ k.transpose(-2, -1) / S**0.5
    return s.masked_fill(~torch.ones(T, T, dtype=torch.bool).triu(), -torch.inf).softmax(-1) @ v
