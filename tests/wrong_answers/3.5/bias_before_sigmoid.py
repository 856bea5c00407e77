# expects: The bias is added before the sigmoid
import torch


def sigmoid_route(logits, k, bias):
    weights, expert_ids = torch.sigmoid(logits + bias).sort(dim=-1, descending=True, stable=True)
    weights = weights[:, :k]
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids[:, :k]
