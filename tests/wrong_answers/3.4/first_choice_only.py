# expects: Only the first choice is put in
import torch


def combine_matrix(weights, expert_ids, n_experts):
    combine = weights.new_zeros(len(weights), n_experts)
    rows = torch.arange(len(weights))
    return combine.index_put((rows, expert_ids[:, 0]), weights[:, 0])
