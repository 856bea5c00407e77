# expects: The width was not rounded | *
# the ratio takes the experts as exactly equal


def expert_width(d_model, d_dense, n_experts, top_k, n_shared):
    f = d_dense // (top_k + n_shared)
    return f, (3 * d_dense + n_experts) / (3 * d_dense)
