# expects: The router of chosen experts only | *
# the router scores only the chosen


def expert_width(d_model, d_dense, n_experts, top_k, n_shared):
    f = d_dense // (top_k + n_shared)
    return f, (3 * (top_k + n_shared) * f + top_k) / (3 * d_dense)
