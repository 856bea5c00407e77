# expects: Two types do not fit
import torch


def combine_matrix(weights, expert_ids, n_experts):
    return torch.zeros(len(weights), n_experts).scatter(1, expert_ids, weights)
