import torch.nn.functional as F


def dispatch_order(expert_ids, n_experts):
    chosen = F.one_hot(expert_ids.flatten(), n_experts).T
    return chosen.nonzero()[:, 1], chosen.sum(dim=1)
