# expects: The rows were normalised
def combine_matrix(weights, expert_ids, n_experts):
    combine = weights.new_zeros(len(weights), n_experts).scatter(1, expert_ids, weights)
    return combine / combine.sum(dim=1, keepdim=True)
