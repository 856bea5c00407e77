# expects: The zeros stand at the end
import torch


def expert_load(expert_ids, n_experts):
    load = torch.zeros(n_experts, dtype=torch.int64)
    counts = expert_ids.unique(return_counts=True)[1]
    load[: len(counts)] = counts
    return load
