# expects: Your function changed its input
import torch


def choose_and_move(scores, bias, k, step):
    def move(bias, load, step):
        direction = torch.sign(load.sum() - load * load.numel()).to(bias.dtype)
        with torch.no_grad():
            bias += step * direction
        return bias

    expert_ids = (scores + bias).sort(dim=1, descending=True, stable=True).indices[:, :k]
    kept = scores.gather(1, expert_ids)
    load = torch.bincount(expert_ids.flatten(), minlength=len(bias))
    return kept / kept.sum(dim=1, keepdim=True), expert_ids, move(bias, load, step)
