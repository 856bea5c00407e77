# expects: Divided by the number of experts | *
# divides by the number of experts


def expert_width(d_model, d_dense, n_experts, top_k, n_shared):
    f = d_dense // n_experts
    return f, (3 * (top_k + n_shared) * f + n_experts) / (3 * d_dense)
