# expects: `d_expert` is not right yet | *
# top_k times shared


def expert_width(d_model, d_dense, n_experts, top_k, n_shared):
    f = d_dense // (top_k * max(n_shared, 1))
    return f, (3 * (top_k + n_shared) * f + n_experts) / (3 * d_dense)
