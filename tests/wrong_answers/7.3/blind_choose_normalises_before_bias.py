# expects: Divided before the bias came
import torch


def choose_and_move(scores, bias, k, step):
    def choose(scores, bias, k):
        probs = scores / scores.sum(dim=-1, keepdim=True)
        order = (probs + bias).argsort(dim=-1, descending=True, stable=True)
        expert_ids = order[:, :k]
        weights = probs.gather(1, expert_ids)
        weights = weights / weights.sum(dim=-1, keepdim=True)
        return weights, expert_ids

    weights, expert_ids = choose(scores, bias, k)
    right = (scores + bias).sort(dim=1, descending=True, stable=True).indices[:, :k]
    load = torch.bincount(right.flatten(), minlength=len(bias)).to(bias.dtype)
    return weights, expert_ids, bias + step * (load.mean() - load).sign()
