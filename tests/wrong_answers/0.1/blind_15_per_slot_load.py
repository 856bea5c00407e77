# expects: One sum is missing | *
# sums over the tokens only: (K, E) instead of (E,), squeezed so that K=1 looks right
import torch
import torch.nn.functional as F


def expert_load(expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    return F.one_hot(expert_ids, n_experts).sum(dim=0).squeeze(0)
