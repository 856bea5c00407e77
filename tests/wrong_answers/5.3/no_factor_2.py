# expects: The factor 2 is missing
def count_moe(config, context):
    c = config
    attention = c.n_layers * 2 * c.d_model * (c.n_heads + c.n_kv_heads) * c.d_head
    expert = 3 * c.n_layers * c.d_model * c.d_expert
    router = 0 if c.is_dense else c.n_layers * c.n_experts * c.d_model
    held = 1 if c.is_dense else c.n_experts + c.n_shared_experts
    at_work = 1 if c.is_dense else c.top_k + c.n_shared_experts
    table, norms = c.vocab_size * c.d_model, (2 * c.n_layers + 1) * c.d_model
    total = attention + router + held * expert + 2 * table + norms
    active = attention + router + at_work * expert + 2 * table + norms
    flops = (active - table - norms) + 4 * c.n_layers * c.d_model * context
    return total, active, flops
