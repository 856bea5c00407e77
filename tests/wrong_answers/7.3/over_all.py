# expects: Divided by the sum over all experts
import torch


def choose_and_move(scores, bias, k, step):
    expert_ids = (scores + bias).sort(dim=1, descending=True, stable=True).indices[:, :k]
    kept = scores.gather(1, expert_ids)
    load = torch.bincount(expert_ids.flatten(), minlength=len(bias)).to(bias.dtype)
    new_bias = bias + step * (load.mean() - load).sign()
    return kept / scores.sum(dim=1, keepdim=True), expert_ids, new_bias
