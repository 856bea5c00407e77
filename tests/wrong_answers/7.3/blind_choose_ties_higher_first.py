# expects: Ties are broken the wrong way
import torch


def choose_and_move(scores, bias, k, step):
    def choose(scores, bias, k):
        order = (scores + bias).argsort(dim=-1, stable=True).flip(-1)
        expert_ids = order[:, :k]
        weights = scores.gather(1, expert_ids)
        weights = weights / weights.sum(dim=-1, keepdim=True)
        return weights, expert_ids

    weights, expert_ids = choose(scores, bias, k)
    right = (scores + bias).sort(dim=1, descending=True, stable=True).indices[:, :k]
    load = torch.bincount(right.flatten(), minlength=len(bias)).to(bias.dtype)
    return weights, expert_ids, bias + step * (load.mean() - load).sign()
