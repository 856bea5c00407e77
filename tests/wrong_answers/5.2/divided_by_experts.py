# expects: Divided by the number of experts
def expert_width(d_model, d_dense, n_experts, top_k, n_shared):
    active = top_k + n_shared
    d_expert = d_dense // n_experts
    return d_expert, (3 * d_expert * active + n_experts) / (3 * d_dense)
