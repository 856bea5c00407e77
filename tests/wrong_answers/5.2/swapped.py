# expects: `d_expert` and `ratio` have changed places | A float, where a whole number is asked
def expert_width(d_model, d_dense, n_experts, top_k, n_shared):
    active = top_k + n_shared
    d_expert = d_dense // active
    return (3 * d_expert * active + n_experts) / (3 * d_dense), d_expert
