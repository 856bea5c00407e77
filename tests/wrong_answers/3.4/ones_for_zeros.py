# expects: Not 0 where nothing was chosen
def combine_matrix(weights, expert_ids, n_experts):
    return weights.new_ones(len(weights), n_experts).scatter(1, expert_ids, weights)
