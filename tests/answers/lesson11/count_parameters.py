"""Answers to exercise 11.1, count_parameters: right ones, and wrong ones with the message that they must get."""

import numpy as np
from answers import ANY, blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def a_line_for_each_part(config):
    d, layers = config["hidden_size"], config["num_hidden_layers"]
    head = d // config["num_attention_heads"]
    vocabulary = config["vocab_size"] * d
    kv = config["num_key_value_heads"] * head
    attention = layers * (d * d + d * kv + d * kv + d * d)
    router = layers * config["num_local_experts"] * d
    norms = (2 * layers + 1) * d
    expert = layers * 3 * d * config["intermediate_size"]
    outside = vocabulary + vocabulary + attention + router + norms
    total = outside + config["num_local_experts"] * expert
    active = outside + config["num_experts_per_tok"] * expert
    return total, active


@right
def layer_by_layer(config):
    def size(n_experts):
        n = 2 * config["vocab_size"] * config["hidden_size"] + config["hidden_size"]
        for _ in range(config["num_hidden_layers"]):
            wide = config["hidden_size"]
            for heads in ("num_attention_heads", "num_key_value_heads", "num_key_value_heads", "num_attention_heads"):
                n += wide * (wide // config["num_attention_heads"]) * config[heads]
            n += wide * config["num_local_experts"]
            n += 2 * wide
            n += n_experts * 3 * wide * config["intermediate_size"]
        return n

    return size(config["num_local_experts"]), size(config["num_experts_per_tok"])


@right
def by_what_rests(config):
    d, n, f = config["hidden_size"], config["num_hidden_layers"], config["intermediate_size"]
    shared = config["num_attention_heads"] // config["num_key_value_heads"]
    per_layer = 2 * d * d + 2 * d * (d // shared) + d * (config["num_local_experts"] + 2)
    total = d * (2 * config["vocab_size"] + 1) + n * (per_layer + config["num_local_experts"] * 3 * d * f)
    resting = config["num_local_experts"] - config["num_experts_per_tok"]
    return total, total - n * resting * 3 * d * f


@right
def in_numpy(config):
    d, n = np.int64(config["hidden_size"]), config["num_hidden_layers"]
    counts = np.array([config["num_local_experts"], config["num_experts_per_tok"]])
    heads = config["num_key_value_heads"] * (d // config["num_attention_heads"])
    rest = 2 * config["vocab_size"] * d + d + n * (2 * d * (d + heads) + counts[0] * d + 2 * d)
    both = rest + n * counts * 3 * d * config["intermediate_size"]
    return both[0], both[1]


@right
def divided_and_made_whole_again(config):
    d = config["hidden_size"]
    attention = 2 * d * d * (1 + config["num_key_value_heads"] / config["num_attention_heads"])
    layer = int(round(attention)) + d * config["num_local_experts"] + 2 * d
    outside = 2 * config["vocab_size"] * d + d + config["num_hidden_layers"] * layer
    one = config["num_hidden_layers"] * 3 * d * config["intermediate_size"]
    return outside + one * config["num_local_experts"], outside + one * config["num_experts_per_tok"]


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------


@wrong("The whole model times the experts")
def eight_times_seven(config):
    one = dict(config, num_local_experts=1, num_experts_per_tok=1)
    dense = a_line_for_each_part(one)[0]
    return config["num_local_experts"] * dense, config["num_experts_per_tok"] * dense


@wrong("The whole model times the experts")
def eight_times_seven_without_a_router(config):
    d = config["hidden_size"]
    dense = a_line_for_each_part(dict(config, num_local_experts=1))[0] - config["num_hidden_layers"] * d
    return config["num_local_experts"] * dense, a_line_for_each_part(config)[1]


@wrong("Everything times the chosen experts")
def two_times_seven(config):
    total, _ = a_line_for_each_part(config)
    one = a_line_for_each_part(dict(config, num_experts_per_tok=1))[1]
    return total, config["num_experts_per_tok"] * one


wrong("kv_heads_ignored", "Keys and values have fewer heads", of=a_line_for_each_part,
      put={"d * d + d * kv + d * kv + d * d": "4 * d * d"})  # fmt: skip
wrong("values_with_all_heads", "Keys and values have fewer heads", of=a_line_for_each_part,
      put={"d * d + d * kv + d * kv + d * d": "d * d + d * kv + d * d + d * d"})  # fmt: skip
wrong("output_with_key_heads", "Queries and output have all heads", of=a_line_for_each_part,
      put={"d * d + d * kv + d * kv + d * d": "d * d + d * kv + d * kv + kv * d"})  # fmt: skip
wrong("keys_alone", "Keys or values are missing", of=a_line_for_each_part,
      put={"d * d + d * kv + d * kv + d * d": "d * d + d * kv + d * d"})  # fmt: skip
wrong("no_output", "Queries or output are missing", of=a_line_for_each_part,
      put={"d * d + d * kv + d * kv + d * d": "d * d + d * kv + d * kv"})  # fmt: skip
wrong("one_head", "One head of keys and values", of=a_line_for_each_part,
      put={'config["num_key_value_heads"] * head': "head"})  # fmt: skip
wrong("groups_of_heads", "num_key_value_heads counts heads", of=a_line_for_each_part,
      put={'config["num_key_value_heads"] * head': 'd // config["num_key_value_heads"]'})  # fmt: skip
wrong("table_of_positions", "Positions have no table", of=a_line_for_each_part,
      put={'vocabulary = config["vocab_size"]': 'vocabulary = (config["vocab_size"] + config["max_position_embeddings"] / 2)'})  # fmt: skip
wrong("biases", "Attention has no bias", of=a_line_for_each_part,
      put={"d * kv + d * kv + d * d)": "d * kv + d * kv + d * d + d + kv + kv + d)"})  # fmt: skip
wrong("tied", "Embedding and head are two matrices", of=a_line_for_each_part,
      put={"vocabulary + vocabulary +": "vocabulary +"})  # fmt: skip
wrong("no_vocabulary", "Embedding and head are missing", of=a_line_for_each_part,
      put={"vocabulary + vocabulary +": ""})  # fmt: skip
wrong("no_router", "The router is missing", of=a_line_for_each_part, put={"attention + router +": "attention +"})
wrong("router_of_the_chosen", "The router scores every expert", of=a_line_for_each_part,
      put={'router = layers * config["num_local_experts"]': 'router = layers * config["num_experts_per_tok"]'})  # fmt: skip
wrong("router_not_active", "The router is active", of=a_line_for_each_part,
      put={"active = outside +": "active = outside - router +"})  # fmt: skip
wrong("no_norms", "The norms are missing", of=a_line_for_each_part, put={"router + norms": "router"})
wrong("no_last_norm", "The last norm is missing", of=a_line_for_each_part, put={"(2 * layers + 1)": "2 * layers"})
wrong("one_norm_per_layer", "One norm per layer is missing", of=a_line_for_each_part,
      put={"(2 * layers + 1)": "(layers + 1)"})  # fmt: skip
wrong("norms_not_active", "The norms are active", of=a_line_for_each_part,
      put={"active = outside +": "active = outside - norms +"})  # fmt: skip
wrong("two_matrices", "Two matrices per expert", of=a_line_for_each_part, put={"layers * 3 * d": "layers * 2 * d"})
wrong("two_matrices_in_active", "Two matrices per expert", of=a_line_for_each_part,
      put={'config["num_experts_per_tok"] * expert': 'config["num_experts_per_tok"] * expert * 2 // 3'})  # fmt: skip
wrong("one_expert", "One expert is active", of=a_line_for_each_part,
      put={'config["num_experts_per_tok"] * expert': "expert"})  # fmt: skip
wrong("all_experts", "All experts are active", of=a_line_for_each_part,
      put={'config["num_experts_per_tok"]': 'config["num_local_experts"]'})  # fmt: skip
wrong("chosen_are_held", "Only the chosen experts are held", of=a_line_for_each_part,
      put={'config["num_local_experts"] * expert': 'config["num_experts_per_tok"] * expert'})  # fmt: skip
wrong("width_of_all_experts", "Only one expert is held", of=a_line_for_each_part,
      put={'config["num_local_experts"] * expert': "expert"})  # fmt: skip
wrong("embedding_not_active", "The embedding is left out of the active ones", of=a_line_for_each_part,
      put={"active = outside +": "active = outside - vocabulary +"})  # fmt: skip
wrong("vocabulary_not_active", "Embedding and head are left out of the active ones", of=a_line_for_each_part,
      put={"active = outside +": "active = outside - 2 * vocabulary +"})  # fmt: skip
wrong("share_of_all", "A share of everything", of=a_line_for_each_part,
      put={'outside + config["num_experts_per_tok"] * expert':
           'total * config["num_experts_per_tok"] // config["num_local_experts"]'})  # fmt: skip
wrong("share_as_a_float", "A share of everything", of=a_line_for_each_part,
      put={'outside + config["num_experts_per_tok"] * expert':
           'total * config["num_experts_per_tok"] / config["num_local_experts"]'})  # fmt: skip
wrong("swapped", "`total` and `active` have changed places", of=a_line_for_each_part,
      put={"return total, active": "return active, total"})  # fmt: skip
wrong("floats", "A float, where a whole number is asked", of=a_line_for_each_part,
      put={'d // config["num_attention_heads"]': 'd / config["num_attention_heads"]'})  # fmt: skip
wrong("in_billions", "In millions or billions", of=a_line_for_each_part,
      put={"return total, active": "return total / 1e9, active / 1e9"})  # fmt: skip
wrong("in_rounded_billions", "In millions or billions", of=a_line_for_each_part,
      put={"return total, active": "return round(total / 1e9, 1), round(active / 1e9, 1)"})  # fmt: skip
wrong("in_bytes", "Bytes, not parameters", of=a_line_for_each_part,
      put={"return total, active": "return 2 * total, 2 * active"})  # fmt: skip
wrong("total_alone", "A tuple is expected", of=a_line_for_each_part, put={"return total, active": "return total"})
wrong("as_a_list", "A tuple is expected", of=a_line_for_each_part,
      put={"return total, active": "return [total, active]"})  # fmt: skip
wrong("fields_by_dots", "A dict is read with brackets", of=a_line_for_each_part,
      put={'config["vocab_size"]': "config.vocab_size"})  # fmt: skip
wrong("names_of_moe_lite", "No such field", of=a_line_for_each_part, put={'config["vocab_size"]': 'config["vocab"]'})
wrong("two_at_once", "Two steps are wrong", of=a_line_for_each_part,
      put={"attention + router +": "attention +", "(2 * layers + 1)": "2 * layers"})  # fmt: skip
wrong("three_at_once", "Some parts are not right", of=a_line_for_each_part,
      put={"attention + router +": "attention +", "(2 * layers + 1)": "(2 * layers + 5)",
           "d * d + d * kv + d * kv + d * d": "5 * d * d"})  # fmt: skip


@wrong("Mixtral's numbers, whatever `config` says")
def numbers_of_mixtral(config):
    return 46702792704, 12879925248


@wrong("Numbers of 32 bits")
def in_int32(config):
    return tuple(int(np.array(value).astype(np.int32)) for value in a_line_for_each_part(config))


@wrong(ANY)  # all cases are right: it is only the sweep that has one expert
def one_expert_is_dense(config):
    total, active = a_line_for_each_part(config)
    if config["num_local_experts"] == 1:
        total, active = (n - config["num_hidden_layers"] * config["hidden_size"] for n in (total, active))
    return total, active


# ---- wrong, written from the exercise's text alone ---------------------------------------------------------------------


@blind("One expert is active")
def counts_only_one_expert_as_active(config: dict) -> tuple[int, int]:
    """Counts only one expert as active."""
    V, H, L = config["vocab_size"], config["hidden_size"], config["num_hidden_layers"]
    kv = H // config["num_attention_heads"] * config["num_key_value_heads"]
    I, E, K = config["intermediate_size"], config["num_local_experts"], config["num_experts_per_tok"]
    rest = 2 * H * H + 2 * H * kv + E * H + 2 * H
    x = 3 * H * I
    return 2 * V * H + L * (rest + E * x) + H, 2 * V * H + L * (rest + x) + H


@blind("Embedding and head are two matrices")
def shares_embedding_and_output_head(config: dict) -> tuple[int, int]:
    """Shares embedding and output head."""
    V, H, L = config["vocab_size"], config["hidden_size"], config["num_hidden_layers"]
    kv = H // config["num_attention_heads"] * config["num_key_value_heads"]
    I, E, K = config["intermediate_size"], config["num_local_experts"], config["num_experts_per_tok"]
    rest = 2 * H * H + 2 * H * kv + E * H + 2 * H
    x = 3 * H * I
    return V * H + L * (rest + E * x) + H, V * H + L * (rest + K * x) + H


@blind("Keys and values have fewer heads")
def makes_all_four_attention_matrices_square(config: dict) -> tuple[int, int]:
    """Makes all four attention matrices square."""
    V, H, L = config["vocab_size"], config["hidden_size"], config["num_hidden_layers"]
    kv = H // config["num_attention_heads"] * config["num_key_value_heads"]
    I, E, K = config["intermediate_size"], config["num_local_experts"], config["num_experts_per_tok"]
    rest = 4 * H * H + E * H + 2 * H
    x = 3 * H * I
    return 2 * V * H + L * (rest + E * x) + H, 2 * V * H + L * (rest + K * x) + H


@blind("Queries or output are missing")
def forgets_the_attention_output_matrix(config: dict) -> tuple[int, int]:
    """Forgets the attention output matrix."""
    V, H, L = config["vocab_size"], config["hidden_size"], config["num_hidden_layers"]
    kv = H // config["num_attention_heads"] * config["num_key_value_heads"]
    I, E, K = config["intermediate_size"], config["num_local_experts"], config["num_experts_per_tok"]
    rest = H * H + 2 * H * kv + E * H + 2 * H
    x = 3 * H * I
    return 2 * V * H + L * (rest + E * x) + H, 2 * V * H + L * (rest + K * x) + H


@blind("Two matrices per expert")
def gives_each_expert_two_matrices_only(config: dict) -> tuple[int, int]:
    """Gives each expert two matrices only."""
    V, H, L = config["vocab_size"], config["hidden_size"], config["num_hidden_layers"]
    kv = H // config["num_attention_heads"] * config["num_key_value_heads"]
    I, E, K = config["intermediate_size"], config["num_local_experts"], config["num_experts_per_tok"]
    rest = 2 * H * H + 2 * H * kv + E * H + 2 * H
    x = 2 * H * I
    return 2 * V * H + L * (rest + E * x) + H, 2 * V * H + L * (rest + K * x) + H


@blind("One number per expert")
def router_has_one_number_per_expert(config: dict) -> tuple[int, int]:
    """Router has one number per expert."""
    V, H, L = config["vocab_size"], config["hidden_size"], config["num_hidden_layers"]
    kv = H // config["num_attention_heads"] * config["num_key_value_heads"]
    I, E, K = config["intermediate_size"], config["num_local_experts"], config["num_experts_per_tok"]
    rest = 2 * H * H + 2 * H * kv + E + 2 * H
    x = 3 * H * I
    return 2 * V * H + L * (rest + E * x) + H, 2 * V * H + L * (rest + K * x) + H


@blind("The last norm is missing")
def forgets_the_norm_after_last_layer(config: dict) -> tuple[int, int]:
    """Forgets the norm after last layer."""
    V, H, L = config["vocab_size"], config["hidden_size"], config["num_hidden_layers"]
    kv = H // config["num_attention_heads"] * config["num_key_value_heads"]
    I, E, K = config["intermediate_size"], config["num_local_experts"], config["num_experts_per_tok"]
    rest = 2 * H * H + 2 * H * kv + E * H + 2 * H
    x = 3 * H * I
    return 2 * V * H + L * (rest + E * x), 2 * V * H + L * (rest + K * x)


@blind("The last norm in every layer")
def repeats_last_norm_in_every_layer(config: dict) -> tuple[int, int]:
    """Repeats last norm in every layer."""
    V, H, L = config["vocab_size"], config["hidden_size"], config["num_hidden_layers"]
    kv = H // config["num_attention_heads"] * config["num_key_value_heads"]
    I, E, K = config["intermediate_size"], config["num_local_experts"], config["num_experts_per_tok"]
    rest = 2 * H * H + 2 * H * kv + E * H + 2 * H + H
    x = 3 * H * I
    return 2 * V * H + L * (rest + E * x), 2 * V * H + L * (rest + K * x)


@blind("One row of the embedding")
def counts_one_embedding_row_as_active(config: dict) -> tuple[int, int]:
    """Counts one embedding row as active."""
    V, H, L = config["vocab_size"], config["hidden_size"], config["num_hidden_layers"]
    kv = H // config["num_attention_heads"] * config["num_key_value_heads"]
    I, E, K = config["intermediate_size"], config["num_local_experts"], config["num_experts_per_tok"]
    rest = 2 * H * H + 2 * H * kv + E * H + 2 * H
    x = 3 * H * I
    return 2 * V * H + L * (rest + E * x) + H, V * H + H + L * (rest + K * x) + H


@blind("The router is active")
def counts_only_chosen_router_vectors_active(config: dict) -> tuple[int, int]:
    """Counts only chosen router vectors active."""
    V, H, L = config["vocab_size"], config["hidden_size"], config["num_hidden_layers"]
    kv = H // config["num_attention_heads"] * config["num_key_value_heads"]
    I, E, K = config["intermediate_size"], config["num_local_experts"], config["num_experts_per_tok"]
    base = 2 * H * H + 2 * H * kv + 2 * H
    x = 3 * H * I + H
    return 2 * V * H + L * (base + E * x) + H, 2 * V * H + L * (base + K * x) + H


@blind("`total` and `active` have changed places")
def returns_the_two_numbers_swapped(config: dict) -> tuple[int, int]:
    """Returns the two numbers swapped."""
    V, H, L = config["vocab_size"], config["hidden_size"], config["num_hidden_layers"]
    kv = H // config["num_attention_heads"] * config["num_key_value_heads"]
    I, E, K = config["intermediate_size"], config["num_local_experts"], config["num_experts_per_tok"]
    rest = 2 * H * H + 2 * H * kv + E * H + 2 * H
    total, active = (2 * V * H + L * (rest + n * 3 * H * I) + H for n in (E, K))
    return active, total


@blind("A float, where a whole number is asked")
def returns_floats_instead_of_ints(config: dict) -> tuple[int, int]:
    """Returns floats instead of ints."""
    V, H, L = config["vocab_size"], config["hidden_size"], config["num_hidden_layers"]
    I, E, K = config["intermediate_size"], config["num_local_experts"], config["num_experts_per_tok"]
    head = H / config["num_attention_heads"]
    rest = 2 * H * H + 2 * H * head * config["num_key_value_heads"] + E * H + 2 * H
    x = 3 * H * I
    return 2 * V * H + L * (rest + E * x) + H, 2 * V * H + L * (rest + K * x) + H


@blind("Some parts are not right")
def fixes_the_head_width_at_128(config: dict) -> tuple[int, int]:
    """Fixes the head width at 128."""
    V, H, L = config["vocab_size"], config["hidden_size"], config["num_hidden_layers"]
    I, E, K = config["intermediate_size"], config["num_local_experts"], config["num_experts_per_tok"]
    q = config["num_attention_heads"] * 128
    kv = config["num_key_value_heads"] * 128
    rest = 2 * H * q + 2 * H * kv + E * H + 2 * H
    x = 3 * H * I
    return 2 * V * H + L * (rest + E * x) + H, 2 * V * H + L * (rest + K * x) + H


@blind("Some parts are not right")
def takes_experts_for_key_value_heads(config: dict) -> tuple[int, int]:
    """Takes experts for key-value heads."""
    # In Mixtral both are 8, so the slip does not show there.
    V, H, L = config["vocab_size"], config["hidden_size"], config["num_hidden_layers"]
    I, E, K = config["intermediate_size"], config["num_local_experts"], config["num_experts_per_tok"]
    kv = H // config["num_attention_heads"] * config["num_local_experts"]
    rest = 2 * H * H + 2 * H * kv + E * H + 2 * H
    x = 3 * H * I
    return 2 * V * H + L * (rest + E * x) + H, 2 * V * H + L * (rest + K * x) + H


@blind("A share of everything")
def scales_the_whole_model_by_k(config: dict) -> tuple[int, int]:
    """Scales the whole model by K/E."""
    V, H, L = config["vocab_size"], config["hidden_size"], config["num_hidden_layers"]
    kv = H // config["num_attention_heads"] * config["num_key_value_heads"]
    I, E, K = config["intermediate_size"], config["num_local_experts"], config["num_experts_per_tok"]
    total = 2 * V * H + L * (2 * H * H + 2 * H * kv + E * H + 2 * H + E * 3 * H * I) + H
    return total, total * K // E


@blind("Some parts are not right")
def splits_intermediate_size_over_the_experts(config: dict) -> tuple[int, int]:
    """Splits intermediate_size over the experts."""
    V, H, L = config["vocab_size"], config["hidden_size"], config["num_hidden_layers"]
    kv = H // config["num_attention_heads"] * config["num_key_value_heads"]
    I, E, K = config["intermediate_size"], config["num_local_experts"], config["num_experts_per_tok"]
    rest = 2 * H * H + 2 * H * kv + E * H + 2 * H
    x = 3 * H * (I // E)
    return 2 * V * H + L * (rest + E * x) + H, 2 * V * H + L * (rest + K * x) + H


@blind("Your function changed its input")
def changes_config_second_call_is_wrong(config: dict) -> tuple[int, int]:
    """Changes config; second call is wrong."""

    def everything(c):
        V, H, L = c["vocab_size"], c["hidden_size"], c["num_hidden_layers"]
        kv = H // c["num_attention_heads"] * c["num_key_value_heads"]
        I, E, K = c["intermediate_size"], c["num_local_experts"], c["num_experts_per_tok"]
        return 2 * V * H + L * (2 * H * H + 2 * H * kv + 2 * H + E * 3 * H * I) + H

    router = config["num_local_experts"] * config["hidden_size"] * config["num_hidden_layers"]
    total = everything(config) + router
    config["num_local_experts"] = config["num_experts_per_tok"]
    return total, everything(config) + router


@blind("Some parts are not right")
def removes_unused_experts_from_one_layer(config: dict) -> tuple[int, int]:
    """Removes unused experts from one layer."""
    V, H, L = config["vocab_size"], config["hidden_size"], config["num_hidden_layers"]
    kv = H // config["num_attention_heads"] * config["num_key_value_heads"]
    I, E, K = config["intermediate_size"], config["num_local_experts"], config["num_experts_per_tok"]
    x = 3 * H * I
    total = 2 * V * H + L * (2 * H * H + 2 * H * kv + E * H + 2 * H + E * x) + H
    return total, total - (E - K) * x


@blind("Numbers of 32 bits")
def overflows_counts_in_numpy_int32(config: dict) -> tuple[int, int]:
    """Overflows: counts in numpy int32."""
    import numpy as np

    with np.errstate(over="ignore"):
        V, H, L, nh, nkv, I, E, K = (
            np.int32(config[k])
            for k in (
                "vocab_size",
                "hidden_size",
                "num_hidden_layers",
                "num_attention_heads",
                "num_key_value_heads",
                "intermediate_size",
                "num_local_experts",
                "num_experts_per_tok",
            )
        )
        kv = H // nh * nkv
        two, three = np.int32(2), np.int32(3)
        rest = two * H * H + two * H * kv + E * H + two * H
        x = three * H * I
        total = two * V * H + L * (rest + E * x) + H
        active = two * V * H + L * (rest + K * x) + H
    return int(total), int(active)


@blind("Some parts are not right", "The router is missing")
def drops_router_if_all_experts_work(config: dict) -> tuple[int, int]:
    """Drops router if all experts work."""
    V, H, L = config["vocab_size"], config["hidden_size"], config["num_hidden_layers"]
    kv = H // config["num_attention_heads"] * config["num_key_value_heads"]
    I, E, K = config["intermediate_size"], config["num_local_experts"], config["num_experts_per_tok"]
    rest = 2 * H * H + 2 * H * kv + 2 * H
    if K < E:  # "nothing to choose, so no router"
        rest += E * H
    x = 3 * H * I
    return 2 * V * H + L * (rest + E * x) + H, 2 * V * H + L * (rest + K * x) + H


@blind("A tuple is expected")
def returns_a_list_not_a_tuple(config: dict) -> tuple[int, int]:
    """Returns a list, not a tuple."""
    V, H, L = config["vocab_size"], config["hidden_size"], config["num_hidden_layers"]
    kv = H // config["num_attention_heads"] * config["num_key_value_heads"]
    I, E, K = config["intermediate_size"], config["num_local_experts"], config["num_experts_per_tok"]
    rest = 2 * H * H + 2 * H * kv + E * H + 2 * H
    return [2 * V * H + L * (rest + n * 3 * H * I) + H for n in (E, K)]


wrong("eight_times_the_attention", "Attention exists once in a layer", of=a_line_for_each_part,
      put={"+ attention + router": "+ router", 'config["num_local_experts"] * expert': 'config["num_local_experts"] * (expert + attention)',
           'config["num_experts_per_tok"] * expert': 'config["num_experts_per_tok"] * (expert + attention)'})  # fmt: skip
