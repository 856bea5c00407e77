# expects: Nothing was written


def combine_matrix(weights, expert_ids, n_experts):
    combine = weights.new_zeros(len(weights), n_experts)
    combine.scatter(1, expert_ids, weights)
    return combine
