import torch


def sigmoid_route(logits, k, bias):
    weights, expert_ids = [], []
    for row in logits:
        scores = torch.sigmoid(row)
        order = sorted(range(len(row)), key=lambda e: (-float((scores[e] + bias[e]).detach()), e))[:k]
        kept = torch.stack([scores[e] for e in order])
        weights.append(kept / kept.sum())
        expert_ids.append(torch.tensor(order))
    return torch.stack(weights), torch.stack(expert_ids)
