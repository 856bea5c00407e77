import torch


def causal_attention(q, k, v):
    T, S = q.shape[-2:]
    scores = (q / S**0.5) @ k.transpose(2, 3)
    future = torch.ones(T, T).triu(1) == 1
    scores = scores.masked_fill(future, -1e12)
    powers = (scores - scores.amax(dim=-1, keepdim=True)).exp()
    return (powers @ v) / powers.sum(dim=-1, keepdim=True)
