# expects: One feed-forward matrix is missing
def count_dense(config, context):
    D, S, F, V, L = config.d_model, config.d_head, config.d_expert, config.vocab_size, config.n_layers
    attention = 2 * D * config.n_heads * S + 2 * D * config.n_kv_heads * S
    matrices = L * (attention + 2.0 * D * F) + V * D
    n_parameters = matrices + V * D + (2 * L + 1) * D
    flops = 2 * matrices + 4 * L * config.n_heads * S * context
    return n_parameters, flops
