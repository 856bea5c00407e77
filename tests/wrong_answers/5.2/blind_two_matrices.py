# expects: Two matrices, not three | *
# an expert has two matrices


def expert_width(d_model, d_dense, n_experts, top_k, n_shared):
    f = d_dense // (top_k + n_shared)
    return f, (2 * (top_k + n_shared) * f + n_experts) / (2 * d_dense)
