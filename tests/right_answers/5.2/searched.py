def expert_width(d_model, d_dense, n_experts, top_k, n_shared):
    d_expert = 0
    while (d_expert + 1) * (top_k + n_shared) <= d_dense:
        d_expert += 1
    return d_expert, d_expert * (top_k + n_shared) / d_dense + n_experts / d_dense / 3
