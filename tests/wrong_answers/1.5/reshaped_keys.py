# expects: *
import torch


def causal_attention(q, k, v):
    T, S = q.shape[-2:]
    scores = q @ k.reshape(k.shape[0], k.shape[1], S, T) / S**0.5
    past = torch.ones(T, T).tril().bool()
    weights = scores.masked_fill(~past, float("-inf")).softmax(dim=-1)
    return weights @ v
