import torch.nn.functional as F


def load_balancing_loss(scores, expert_ids):
    E = scores.shape[1]
    f = F.one_hot(expert_ids, E).to(scores.dtype).mean(dim=(0, 1))
    return E * f @ scores.mean(0)
