# expects: The router was paid from the width | *
# the router is paid from the experts' width


def expert_width(d_model, d_dense, n_experts, top_k, n_shared):
    f = (3 * d_dense - n_experts) // (3 * (top_k + n_shared))
    return f, (3 * (top_k + n_shared) * f + n_experts) / (3 * d_dense)
