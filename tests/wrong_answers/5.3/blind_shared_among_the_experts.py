# expects: The shared experts are missing | *
# shared experts are taken from the n_experts


def count_moe(config, context):
    c = config
    vocabulary, expert = c.vocab_size * c.d_model, 3 * c.d_model * c.d_expert
    attention = 2 * c.d_model * (c.n_heads + c.n_kv_heads) * c.d_head
    held, used, router = c.n_experts, c.top_k + c.n_shared_experts, c.n_experts * c.d_model
    if c.n_experts == 1:
        held, used, router = 1, 1, 0
    norms = (2 * c.n_layers + 1) * c.d_model
    common = 2 * vocabulary + norms + c.n_layers * (attention + router)
    total, active = (common + c.n_layers * n * expert for n in (held, used))
    flops = 2 * (active - vocabulary - norms) + 4 * c.n_layers * c.n_heads * c.d_head * context
    return total, active, flops
