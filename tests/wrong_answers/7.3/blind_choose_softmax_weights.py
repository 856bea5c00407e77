# expects: Softmax over the chosen
import torch
import torch.nn.functional as F


def choose_and_move(scores, bias, k, step):
    def choose(scores, bias, k):
        order = (scores + bias).argsort(dim=-1, descending=True, stable=True)
        expert_ids = order[:, :k]
        weights = F.softmax(scores.gather(1, expert_ids), dim=-1)
        return weights, expert_ids

    weights, expert_ids = choose(scores, bias, k)
    right = (scores + bias).sort(dim=1, descending=True, stable=True).indices[:, :k]
    load = torch.bincount(right.flatten(), minlength=len(bias)).to(bias.dtype)
    return weights, expert_ids, bias + step * (load.mean() - load).sign()
