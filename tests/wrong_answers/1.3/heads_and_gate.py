# expects: Keys and values have fewer heads, and more
def count_dense(config, context):
    D, S, F, V, L = config.d_model, config.d_head, config.d_expert, config.vocab_size, config.n_layers
    attention = 4 * D * D
    matrices = L * (attention + 2 * D * F) + V * D
    n_parameters = matrices + V * D + (2 * L + 1) * D
    flops = 2 * matrices + 4 * L * config.n_heads * S * context
    return n_parameters, flops
