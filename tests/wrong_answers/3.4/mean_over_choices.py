# expects: Divided by the number of choices
import torch.nn.functional as F


def combine_matrix(weights, expert_ids, n_experts):
    return (F.one_hot(expert_ids, n_experts) * weights.unsqueeze(-1)).mean(dim=1)
