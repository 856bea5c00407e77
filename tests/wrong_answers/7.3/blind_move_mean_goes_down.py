# expects: At the mean it stays
import torch


def choose_and_move(scores, bias, k, step):
    def move(bias, load, step):
        below = load * load.numel() < load.sum()
        delta = torch.where(below, step, -step).to(bias.dtype)
        return bias + delta

    expert_ids = (scores + bias).sort(dim=1, descending=True, stable=True).indices[:, :k]
    kept = scores.gather(1, expert_ids)
    load = torch.bincount(expert_ids.flatten(), minlength=len(bias))
    return kept / kept.sum(dim=1, keepdim=True), expert_ids, move(bias, load, step)
