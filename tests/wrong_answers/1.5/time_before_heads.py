# expects: Heads and positions in another order
import torch


def causal_attention(q, k, v):
    T, S = q.shape[-2:]
    scores = q @ k.transpose(-2, -1) / S**0.5
    past = torch.ones(T, T).tril().bool()
    weights = scores.masked_fill(~past, float("-inf")).softmax(dim=-1)
    return (weights @ v).transpose(1, 2)
