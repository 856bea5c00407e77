# expects: A full row of weights comes back
import torch


def top_k_route(scores, k):
    expert_ids = scores.argsort(dim=-1, descending=True, stable=True)[:, :k]
    kept = torch.zeros_like(scores).scatter(1, expert_ids, scores.gather(1, expert_ids))
    return kept / kept.sum(dim=-1, keepdim=True), expert_ids
