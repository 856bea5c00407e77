# expects: *
def expert_width(d_model, d_dense, n_experts, top_k, n_shared):
    active = top_k + n_shared
    d_expert = d_dense // active
    return d_expert, round((3 * d_expert * active + n_experts) / (3 * d_dense), 3)
