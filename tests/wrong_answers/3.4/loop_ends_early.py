# expects: The last choice is left out
def combine_matrix(weights, expert_ids, n_experts):
    combine = weights.new_zeros(len(weights), n_experts)
    for n in range(len(weights)):
        for j in range(weights.shape[1] - 1):
            combine[n, expert_ids[n, j]] = weights[n, j]
    return combine
