# expects: Divided by all experts
def expert_width(d_model, d_dense, n_experts, top_k, n_shared):
    active = top_k + n_shared
    d_expert = d_dense // (n_experts + n_shared)
    return d_expert, (3 * d_expert * active + n_experts) / (3 * d_dense)
