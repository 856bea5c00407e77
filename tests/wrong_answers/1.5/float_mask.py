# expects: A mask is made of True and False
import torch


def causal_attention(q, k, v):
    T, S = q.shape[-2:]
    scores = q @ k.transpose(-2, -1) / S**0.5
    past = torch.ones(T, T).tril()
    weights = scores.masked_fill(1 - past, float("-inf")).softmax(dim=-1)
    return weights @ v
