def count_moe(config, context):
    d, s = config.d_model, config.d_model // config.n_heads
    idle, flops, total = 0, 2 * config.vocab_size * d, 2 * config.vocab_size * d + d
    for _ in range(config.n_layers):
        fixed = 2 * d * config.n_heads * s + 2 * d * config.n_kv_heads * s
        one = 3 * d * config.d_expert
        if config.n_experts == 1:
            n_held, n_working = 1, 1
        else:
            fixed += config.n_experts * d
            n_held = config.n_experts + config.n_shared_experts
            n_working = config.top_k + config.n_shared_experts
        total += fixed + n_held * one + 2 * d
        idle += (n_held - n_working) * one
        flops += 2 * (fixed + n_working * one) + 4 * config.n_heads * s * context
    return total, total - idle, flops
