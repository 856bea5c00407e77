# expects: The router is counted three times | *
# the router counted three times


def expert_width(d_model, d_dense, n_experts, top_k, n_shared):
    f = d_dense // (top_k + n_shared)
    return f, (3 * (top_k + n_shared) * f + 3 * n_experts) / (3 * d_dense)
