# expects: Rounded to the nearest | *
# rounded to the nearest


def expert_width(d_model, d_dense, n_experts, top_k, n_shared):
    f = round(d_dense / (top_k + n_shared))
    return f, (3 * (top_k + n_shared) * f + n_experts) / (3 * d_dense)
