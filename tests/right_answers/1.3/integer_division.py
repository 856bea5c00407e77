def count_dense(config, context):
    D = config.d_model
    share = config.n_heads // config.n_kv_heads  # query heads to a key head
    table = config.vocab_size * D
    body = config.n_layers * D * (2 * D + 2 * D // share + 3 * config.d_expert)
    norms = D + config.n_layers * 2 * D
    return 2 * table + body + norms, 2 * (table + body + 2 * config.n_layers * D * context)
