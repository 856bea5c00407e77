# expects: Scattered down the rows | An index is too large
def combine_matrix(weights, expert_ids, n_experts):
    return weights.new_zeros(len(weights), n_experts).scatter(0, expert_ids, weights)
