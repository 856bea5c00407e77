# expects: The bias leaks into the weights
import torch


def choose_and_move(scores, bias, k, step):
    def choose(scores, bias, k):
        biased = scores + bias.detach()
        values, expert_ids = biased.sort(dim=-1, descending=True, stable=True)
        weights = values[:, :k]
        expert_ids = expert_ids[:, :k]
        weights = weights / weights.sum(dim=-1, keepdim=True)
        return weights, expert_ids

    weights, expert_ids = choose(scores, bias, k)
    right = (scores + bias).sort(dim=1, descending=True, stable=True).indices[:, :k]
    load = torch.bincount(right.flatten(), minlength=len(bias)).to(bias.dtype)
    return weights, expert_ids, bias + step * (load.mean() - load).sign()
