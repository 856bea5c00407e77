def count_dense(config, context):
    D, head = config.d_model, config.d_head
    n_parameters, flops = config.vocab_size * D, 0  # the embedding
    for _ in range(config.n_layers):
        for heads in [config.n_heads, config.n_kv_heads, config.n_kv_heads, config.n_heads]:
            n_parameters += D * heads * head
            flops += 2 * D * heads * head
        flops += 2 * config.n_heads * head * context  # scores
        flops += 2 * config.n_heads * head * context  # mix
        n_parameters += 3 * D * config.d_expert + 2 * D
        flops += 3 * 2 * D * config.d_expert
    n_parameters += D + D * config.vocab_size
    flops += 2 * D * config.vocab_size
    return n_parameters, flops
