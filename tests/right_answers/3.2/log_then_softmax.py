import torch


def top_k_route(scores, k):
    expert_ids = torch.argsort(-scores, dim=1, stable=True)[:, :k]
    return scores.gather(1, expert_ids).log().softmax(dim=1), expert_ids
