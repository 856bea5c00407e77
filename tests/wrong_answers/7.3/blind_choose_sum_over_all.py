# expects: Divided by the sum over all experts
import torch


def choose_and_move(scores, bias, k, step):
    def choose(scores, bias, k):
        order = (scores + bias).argsort(dim=-1, descending=True, stable=True)
        expert_ids = order[:, :k]
        probs = scores / scores.sum(dim=-1, keepdim=True)
        weights = probs.gather(1, expert_ids)
        return weights, expert_ids

    weights, expert_ids = choose(scores, bias, k)
    right = (scores + bias).sort(dim=1, descending=True, stable=True).indices[:, :k]
    load = torch.bincount(right.flatten(), minlength=len(bias)).to(bias.dtype)
    return weights, expert_ids, bias + step * (load.mean() - load).sign()
