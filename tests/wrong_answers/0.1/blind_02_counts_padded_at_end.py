# expects: The zeros stand at the end | *
# the counts of unique, padded with zeros at the end, so counts slide to lower experts when a middle one is empty
import torch


def expert_load(expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    counts = expert_ids.unique(return_counts=True)[1]
    load = torch.zeros(n_experts, dtype=torch.int64)
    load[: len(counts)] = counts
    return load
