# expects: The last experts have no column
def combine_matrix(weights, expert_ids, n_experts):
    combine = weights.new_zeros(len(weights), int(expert_ids.max()) + 1)
    return combine.scatter(1, expert_ids, weights)
