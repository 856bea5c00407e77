# expects: One sum is missing
import torch.nn.functional as F


def expert_load(expert_ids, n_experts):
    return F.one_hot(expert_ids, n_experts).sum(dim=1)
