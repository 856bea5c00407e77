# expects: The shared experts are forgotten | *
# shared experts are not counted


def expert_width(d_model, d_dense, n_experts, top_k, n_shared):
    f = d_dense // top_k
    return f, (3 * top_k * f + n_experts) / (3 * d_dense)
