# expects: One sum is missing
import torch.nn.functional as F


def combine_matrix(weights, expert_ids, n_experts):
    return F.one_hot(expert_ids, n_experts) * weights.unsqueeze(-1)
