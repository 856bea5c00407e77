# expects: Masked with 0
import torch


def causal_attention(q, k, v):
    T, S = q.shape[-2:]
    scores = q @ k.transpose(-2, -1) / S**0.5
    past = torch.ones(T, T).tril().bool()
    weights = scores.mul(past).softmax(dim=-1)
    return weights @ v
