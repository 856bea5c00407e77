# expects: The ratio is upside down | *
# dense over sparse


def expert_width(d_model, d_dense, n_experts, top_k, n_shared):
    f = d_dense // (top_k + n_shared)
    return f, (3 * d_dense) / (3 * (top_k + n_shared) * f + n_experts)
