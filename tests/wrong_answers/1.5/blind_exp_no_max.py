# expects: `exp` overflows | *
import torch


def causal_attention(q, k, v):
    T, S = q.shape[-2:]
    e = (q @ k.transpose(-2, -1) / S**0.5).exp() * torch.ones(T, T).tril().to(q.dtype)
    return (e / e.sum(-1, keepdim=True)) @ v
