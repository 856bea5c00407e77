# expects: The router is forgotten
def expert_width(d_model, d_dense, n_experts, top_k, n_shared):
    active = top_k + n_shared
    d_expert = d_dense // active
    return d_expert, d_expert * active / d_dense
