# expects: Rows and columns have changed places
def combine_matrix(weights, expert_ids, n_experts):
    return weights.new_zeros(len(weights), n_experts).scatter(1, expert_ids, weights).T
