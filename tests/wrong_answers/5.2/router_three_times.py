# expects: The router is counted three times
def expert_width(d_model, d_dense, n_experts, top_k, n_shared):
    active = top_k + n_shared
    d_expert = d_dense // active
    return d_expert, (d_expert * active + n_experts) / d_dense
