# expects: `exp` overflows
import torch


def causal_attention(q, k, v):
    T, S = q.shape[-2:]
    scores = q @ k.transpose(-2, -1) / S**0.5
    past = torch.ones(T, T).tril().bool()
    weights = scores.exp() * past
    weights = weights / weights.sum(dim=-1, keepdim=True)
    return weights @ v
