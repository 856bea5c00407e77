# expects: Whole columns are filled
def combine_matrix(weights, expert_ids, n_experts):
    combine = weights.new_zeros(len(weights), n_experts)
    for n in range(len(weights)):
        combine[:, expert_ids[n]] = weights[n]
    return combine
