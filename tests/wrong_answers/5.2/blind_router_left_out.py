# expects: The router is forgotten | *
# the ratio has no router


def expert_width(d_model, d_dense, n_experts, top_k, n_shared):
    f = d_dense // (top_k + n_shared)
    return f, (top_k + n_shared) * f / d_dense
