# expects: Only the first choices are counted | *
# counts only every token's first choice, the other K-1 columns are ignored
import torch


def expert_load(expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    return torch.bincount(expert_ids[:, 0], minlength=n_experts)
