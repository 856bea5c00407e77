# expects: Half the router
def expert_width(d_model, d_dense, n_experts, top_k, n_shared):
    active = top_k + n_shared
    d_expert = d_dense // active
    return d_expert, (6 * d_model * d_expert * active + d_model * n_experts) / (6 * d_model * d_dense)
