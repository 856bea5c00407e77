# expects: Scores and mix of the key heads only | *
def base(config, context):
    D, L, HS = config.d_model, config.n_layers, config.n_heads * config.d_head
    return (
        D,
        L,
        HS,
        config.vocab_size * D,
        2 * D * HS + 2 * D * config.n_kv_heads * config.d_head,
        3 * D * config.d_expert,
    )


def count_dense(config, context):
    D, L, HS, v, a, f = base(config, context)
    return L * (a + f) + 2 * v + (2 * L + 1) * D, 2 * (
        L * (a + f) + v
    ) + 4 * L * config.n_kv_heads * config.d_head * context
