"""Answers to exercise 5.3, count_moe: right ones, and wrong ones with the message that they must get."""

from answers import ANY, blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def as_asked(config, context):
    c = config
    attention = c.n_layers * 2 * c.d_model * (c.n_heads + c.n_kv_heads) * c.d_head
    expert = 3 * c.n_layers * c.d_model * c.d_expert
    router = 0 if c.is_dense else c.n_layers * c.n_experts * c.d_model
    held = 1 if c.is_dense else c.n_experts + c.n_shared_experts
    at_work = 1 if c.is_dense else c.top_k + c.n_shared_experts
    table, norms = c.vocab_size * c.d_model, (2 * c.n_layers + 1) * c.d_model
    total = attention + router + held * expert + 2 * table + norms
    active = attention + router + at_work * expert + 2 * table + norms
    flops = 2 * (active - table - norms) + 4 * c.n_layers * c.d_model * context
    return total, active, flops


@right
def put_another_way(config, context):
    c = config
    vocabulary, expert = c.vocab_size * c.d_model, 3 * c.d_model * c.d_expert
    attention = 2 * c.d_model * (c.n_heads + c.n_kv_heads) * c.d_head
    held, used, router = c.n_experts + c.n_shared_experts, c.top_k + c.n_shared_experts, c.n_experts * c.d_model
    if c.n_experts == 1:
        held, used, router = 1, 1, 0
    norms = (2 * c.n_layers + 1) * c.d_model
    common = 2 * vocabulary + norms + c.n_layers * (attention + router)
    total, active = (common + c.n_layers * n * expert for n in (held, used))
    flops = 2 * (active - vocabulary - norms) + 4 * c.n_layers * c.n_heads * c.d_head * context
    return total, active, flops


@right
def from_the_budget(config, context):
    from moe_lite import metrics

    found = metrics.budget(config, context)
    idle = 0
    if not config.is_dense:
        per_expert = found.parameters["experts"] // (config.n_experts + config.n_shared_experts)
        idle = (config.n_experts - config.top_k) * per_expert
    return found.total_parameters, found.total_parameters - idle, found.total_flops


@right
def layer_by_layer(config, context):
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


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------


wrong(
    "active_without_embedding",
    "One vocabulary matrix is missing",
    of=as_asked,
    put={
        "attention + router + at_work * expert + 2 * table": "attention + router + at_work * expert + table",
        "active - table - norms": "active - norms",
    },
)
wrong(
    "active_without_vectors",
    "Embedding and norms are missing",
    of=as_asked,
    put={
        "attention + router + at_work * expert + 2 * table + norms": "attention + router + at_work * expert + table",
        "active - table - norms": "active",
    },
)
wrong("all_active", "All experts are active", of=as_asked, put={"at_work * expert": "held * expert"})
wrong("both_lookups", "Not every parameter is multiplied", of=as_asked, put={"active - table - norms": "active"})
wrong(
    "context_of_config",
    "The length of the context is given",
    of=as_asked,
    put={"4 * c.n_layers * c.d_model * context": "4 * c.n_layers * c.d_model * c.context_length"},
)
wrong(
    "dense_counted_k_times",
    "A dense model has one network, always at work",
    of=as_asked,
    put={"1 if c.is_dense else c.top_k + c.n_shared_experts": "c.top_k + c.n_shared_experts"},
)
wrong(
    "dense_with_router",
    "A dense model has no router",
    of=as_asked,
    put={"0 if c.is_dense else c.n_layers * c.n_experts * c.d_model": "c.n_layers * c.n_experts * c.d_model"},
)
wrong(
    "embedding_in_flops", "The embedding is no product", of=as_asked, put={"active - table - norms": "active - norms"}
)
wrong(
    "floats",
    "A float, where a whole number is asked",
    of=as_asked,
    put={"total, active, flops": "total, active / 1, flops"},
)
wrong("flops_all_experts", "All experts are active", of=as_asked, put={"active - table": "total - table"})
wrong("half_context", "Half of attention's scores and mix", of=as_asked, put={"4 * c.n_layers": "2 * c.n_layers"})
wrong(
    "kv_heads",
    "Keys and values have fewer heads",
    of=as_asked,
    put={"c.n_layers * 2 * c.d_model * (c.n_heads + c.n_kv_heads)": "c.n_layers * 2 * c.d_model * 2 * c.n_heads"},
)
wrong(
    "no_context",
    "Attention's scores and mix are missing",
    of=as_asked,
    put={"2 * (active - table - norms) + 4 * c.n_layers * c.d_model * context": "2 * (active - table - norms)"},
)
wrong(
    "no_factor_2",
    "The factor 2 is missing",
    of=as_asked,
    put={"2 * (active - table - norms)": "(active - table - norms)"},
)
wrong("no_norms", "The norms are missing", of=as_asked, put={"(2 * c.n_layers + 1) * c.d_model": "0"})
wrong(
    "no_router",
    "The router is missing",
    of=as_asked,
    put={"0 if c.is_dense else c.n_layers * c.n_experts * c.d_model": "0"},
)
wrong(
    "no_shared",
    "The shared experts are missing",
    of=as_asked,
    put={"c.n_experts + c.n_shared_experts": "c.n_experts", "c.top_k + c.n_shared_experts": "c.top_k"},
)
wrong("norms_in_flops", "The vectors do not count", of=as_asked, put={"active - table - norms": "active - table"})
wrong("odd_number", ANY, of=as_asked, put={"total, active, flops": "total + 12345, active, flops"})
wrong("one_expert", "Only one expert is counted", of=as_asked, put={"held * expert": "expert"})
wrong(
    "one_layer_of_experts",
    "Only one layer has experts",
    of=as_asked,
    put={"3 * c.n_layers * c.d_model": "3 * c.d_model"},
)
wrong("one_router", "Only one router is counted", of=as_asked, put={"c.n_layers * c.n_experts": "c.n_experts"})
wrong(
    "one_vocabulary",
    "One vocabulary matrix is missing",
    of=as_asked,
    put={
        "attention + router + held * expert + 2 * table": "attention + router + held * expert + table",
        "attention + router + at_work * expert + 2 * table": "attention + router + at_work * expert + table",
    },
)
wrong(
    "router_of_chosen",
    "The router is always active",
    of=as_asked,
    put={
        "attention + router + at_work * expert": "attention + (0 if c.is_dense else c.n_layers * c.top_k * c.d_model) + at_work * expert"
    },
)
wrong(
    "router_scores_shared",
    "The router scores shared experts",
    of=as_asked,
    put={"c.n_layers * c.n_experts": "c.n_layers * (c.n_experts + c.n_shared_experts)"},
)
wrong(
    "share_of_all",
    "A share of everything",
    of=as_asked,
    put={
        "attention + router + at_work * expert + 2 * table + norms": "total if c.is_dense else total * c.top_k // c.n_experts"
    },
)
wrong(
    "share_with_shared",
    "A share of everything",
    of=as_asked,
    put={"attention + router + at_work * expert + 2 * table + norms": "total * at_work // held"},
)
wrong(
    "shared_by_share",
    "The shared experts do not rest",
    of=as_asked,
    put={"at_work * expert": "(expert if c.is_dense else held * expert * c.top_k // c.n_experts)"},
)
wrong("shared_rest", "The shared experts do not rest", of=as_asked, put={"c.top_k + c.n_shared_experts": "c.top_k"})
wrong("top_k_total", "Only the active experts are counted", of=as_asked, put={"held * expert": "at_work * expert"})
wrong(
    "two_for_each",
    "Two FLOPs for every active parameter",
    of=as_asked,
    put={"2 * (active - table - norms) + 4 * c.n_layers * c.d_model * context": "2 * active"},
)
wrong(
    "two_for_each_held",
    "The FLOPs of all parameters",
    of=as_asked,
    put={"2 * (active - table - norms) + 4 * c.n_layers * c.d_model * context": "2 * total"},
)
wrong("two_matrices", "One matrix of each expert is missing", of=as_asked, put={"3 * c.n_layers": "2 * c.n_layers"})
wrong("two_numbers", "Wrong number of results", of=as_asked, put={"total, active, flops": "total, flops"})
wrong(
    "two_slips",
    "The router is missing, and more",
    of=as_asked,
    put={"0 if c.is_dense else c.n_layers * c.n_experts * c.d_model": "0", "(2 * c.n_layers + 1) * c.d_model": "0"},
)

# ---- wrong, written by readers of the exercise's text alone ---------------------------------------------------------


@wrong("A dense model has no shared experts", ANY)
def dense_with_shared_experts(config, context):
    c = config
    one, shared = 3 * c.n_layers * c.d_model * c.d_expert, c.n_shared_experts
    attention = c.n_layers * 2 * c.d_model * (c.n_heads + c.n_kv_heads) * c.d_head
    router = 0 if c.n_experts == 1 else c.n_layers * c.n_experts * c.d_model
    table, norms = c.vocab_size * c.d_model, (2 * c.n_layers + 1) * c.d_model
    common = attention + router + 2 * table + norms
    active = common + ((1 if c.n_experts == 1 else c.top_k) + shared) * one
    flops = 2 * (active - table - norms) + 4 * c.n_layers * c.d_model * context
    return common + (c.n_experts + shared) * one, active, flops


@blind("A dense model has no router", ANY)  # dense models keep their top_k
def dense_uses_top_k(config, context):
    c = config
    vocabulary, expert = c.vocab_size * c.d_model, 3 * c.d_model * c.d_expert
    attention = 2 * c.d_model * (c.n_heads + c.n_kv_heads) * c.d_head
    held, used, router = c.n_experts + c.n_shared_experts, c.top_k + c.n_shared_experts, c.n_experts * c.d_model
    norms = (2 * c.n_layers + 1) * c.d_model
    common = 2 * vocabulary + norms + c.n_layers * (attention + router)
    total, active = (common + c.n_layers * n * expert for n in (held, used))
    flops = 2 * (active - vocabulary - norms) + 4 * c.n_layers * c.n_heads * c.d_head * context
    return total, active, flops


# a dense model gets a router
blind(
    "dense_has_a_router",
    "A dense model has no router",
    ANY,
    of=put_another_way,
    put={"held, used, router = 1, 1, 0": "held, used = 1, 1"},
)
# the lookup is counted as a product
blind(
    "embedding_counts_work",
    "The embedding is no product",
    ANY,
    of=put_another_way,
    put={"active - vocabulary - norms": "active - norms"},
)
# FLOPs of all experts
blind(
    "flops_of_all", "All experts are active", ANY, of=put_another_way, put={"active - vocabulary": "total - vocabulary"}
)
# key and value as wide as the query
blind(
    "full_attention_heads",
    "Keys and values have fewer heads",
    ANY,
    of=put_another_way,
    put={"c.n_heads + c.n_kv_heads": "2 * c.n_heads"},
)
# the scores and the mix are forgotten
blind(
    "blind_no_context",
    "Attention's scores and mix are missing",
    ANY,
    of=put_another_way,
    put={
        "2 * (active - vocabulary - norms) + 4 * c.n_layers * c.n_heads * c.d_head * context": "2 * (active - vocabulary - norms)"
    },
)
# multiply-adds instead of FLOPs
blind(
    "one_flop_a_weight",
    "The factor 2 is missing",
    ANY,
    of=put_another_way,
    put={
        "2 * (active - vocabulary - norms) + 4 * c.n_layers * c.n_heads * c.d_head * context": "(active - vocabulary - norms) + 2 * c.n_layers * c.n_heads * c.d_head * context"
    },
)
# one norm in a block
blind("one_norm_a_block", "One norm a block is missing", ANY, of=put_another_way, put={"2 * c.n_layers": "c.n_layers"})
# the router has a row for each chosen expert only
blind(
    "router_active_rows",
    "`total` is not right yet",
    ANY,
    of=put_another_way,
    put={"c.n_experts * c.d_model": "c.top_k * c.d_model"},
)
# no router
blind("router_forgotten", "The router is missing", ANY, of=put_another_way, put={"c.n_experts * c.d_model": "0"})
# active is total times K over E
blind(
    "share_of_everything",
    "A share of everything",
    ANY,
    of=put_another_way,
    put={
        "flops = 2 * (active - vocabulary - norms) + 4 * c.n_layers * c.n_heads * c.d_head * context": "active = total * c.top_k // c.n_experts\n    flops = 2 * (active - vocabulary - norms) + 4 * c.n_layers * c.n_heads * c.d_head * context"
    },
)
# shared experts are taken from the n_experts
blind(
    "shared_among_the_experts",
    "The shared experts are missing",
    ANY,
    of=put_another_way,
    put={"c.n_experts + c.n_shared_experts": "c.n_experts"},
)
# shared experts are held but do not work
blind(
    "shared_not_active",
    "The shared experts do not rest",
    ANY,
    of=put_another_way,
    put={"c.top_k + c.n_shared_experts": "c.top_k"},
)
# one vocabulary matrix
blind(
    "tied_vocabulary",
    "One vocabulary matrix is missing",
    ANY,
    of=put_another_way,
    put={"2 * vocabulary": "vocabulary", "active - vocabulary - norms": "active - norms"},
)
