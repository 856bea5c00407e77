# expects: The bias leaks into the weights
import torch


def choose_and_move(scores, bias, k, step):
    expert_ids = (scores + bias).sort(dim=1, descending=True, stable=True).indices[:, :k]
    kept = (scores + bias).gather(1, expert_ids)
    load = torch.bincount(expert_ids.flatten(), minlength=len(bias)).to(bias.dtype)
    new_bias = bias + step * (load.mean() - load).sign()
    return kept / kept.sum(dim=1, keepdim=True), expert_ids, new_bias
