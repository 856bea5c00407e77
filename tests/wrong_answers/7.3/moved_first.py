# expects: *
import torch


def choose_and_move(scores, bias, k, step):
    ids = (scores + bias).sort(dim=1, descending=True, stable=True).indices[:, :k]
    load = torch.bincount(ids.flatten(), minlength=len(bias)).to(bias.dtype)
    new_bias = bias + step * (load.mean() - load).sign()
    expert_ids = (scores + new_bias).sort(dim=1, descending=True, stable=True).indices[:, :k]
    kept = scores.gather(1, expert_ids)
    return kept / kept.sum(dim=1, keepdim=True), expert_ids, new_bias
