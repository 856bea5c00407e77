import torch


def causal_attention(q, k, v):
    T = q.shape[2]
    scores = torch.einsum("bhts,bhus->bhtu", q, k) * q.shape[-1] ** -0.5
    position = torch.arange(T)
    scores = torch.where(position[:, None] >= position, scores, -torch.inf)
    return torch.einsum("bhtu,bhus->bhts", scores.softmax(dim=-1), v)
