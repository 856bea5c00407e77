# expects: The router was paid from the width
def expert_width(d_model, d_dense, n_experts, top_k, n_shared):
    active = top_k + n_shared
    d_expert = (3 * d_dense - n_experts) // (3 * active)
    return d_expert, (3 * d_expert * active + n_experts) / (3 * d_dense)
