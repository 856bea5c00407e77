"""Answers to exercise 11.1, count_parameters: right ones, and wrong ones with the message that they must get."""

import numpy as np
from answers import ANY, right, wrong

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
wrong("in_rounded_billions", "Some parts are not right", "In millions or billions", of=a_line_for_each_part,
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


@wrong(ANY)
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
