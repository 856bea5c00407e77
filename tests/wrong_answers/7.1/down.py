# expects: Rounded down
import torch.nn.functional as F


def keep_within_capacity(expert_ids, n_experts, factor):
    capacity = int(factor * expert_ids.numel() / n_experts)
    flat = expert_ids.flatten()
    place = F.one_hot(flat, n_experts).cumsum(dim=0).gather(1, flat[:, None])
    kept = (place <= capacity).view_as(expert_ids)
    return capacity, kept
