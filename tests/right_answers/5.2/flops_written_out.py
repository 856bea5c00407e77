def expert_width(d_model, d_dense, n_experts, top_k, n_shared):
    d_expert = int(d_dense / (top_k + n_shared))
    one = 2 * 3 * d_model * d_expert
    sparse = (top_k + n_shared) * one + 2 * d_model * n_experts
    return d_expert, sparse / (2 * 3 * d_model * d_dense)
