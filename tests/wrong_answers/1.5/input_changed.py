# expects: Your function changed its input
import torch


def causal_attention(q, k, v):
    T, S = q.shape[-2:]
    q /= S**0.5
    scores = q @ k.transpose(-2, -1)
    past = torch.ones(T, T).tril().bool()
    weights = scores.masked_fill(~past, float("-inf")).softmax(dim=-1)
    return weights @ v
