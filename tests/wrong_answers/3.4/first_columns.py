# expects: Place j instead of expert `expert_ids[:, j]`
def combine_matrix(weights, expert_ids, n_experts):
    combine = weights.new_zeros(len(weights), n_experts)
    combine[:, : weights.shape[1]] = weights
    return combine
