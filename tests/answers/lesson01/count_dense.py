"""Answers to exercise 1.3, count_dense: right ones, and wrong ones with the message that they must get."""

import torch
from answers import ANY, blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def as_asked(config, context):
    D, S, F, V, L = config.d_model, config.d_head, config.d_expert, config.vocab_size, config.n_layers
    attention = 2 * D * config.n_heads * S + 2 * D * config.n_kv_heads * S
    matrices = L * (attention + 3 * D * F) + V * D
    n_parameters = matrices + V * D + (2 * L + 1) * D
    flops = 2 * matrices + 4 * L * config.n_heads * S * context
    return n_parameters, flops


@right
def integer_division(config, context):
    D = config.d_model
    share = config.n_heads // config.n_kv_heads  # query heads to a key head
    table = config.vocab_size * D
    body = config.n_layers * D * (2 * D + 2 * D // share + 3 * config.d_expert)
    norms = D + config.n_layers * 2 * D
    return 2 * table + body + norms, 2 * (table + body + 2 * config.n_layers * D * context)


@right
def line_by_line(config, context):
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


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------


@wrong(ANY)
def default_model(config, context):
    return 1_500_000, 3_000_000


@wrong("No such setting")
def wrong_field(config, context):
    D, F = config.d_model, config.d_ff
    return 3 * D * F, 6 * D * F


@wrong("No such setting")
def wrong_letter(config, context):
    return config.V * config.D, 0


wrong(
    "a_dictionary",
    "A tuple is expected",
    of=as_asked,
    put={"n_parameters, flops": '{"n_parameters": n_parameters, "flops": flops}'},
)
wrong(
    "a_tensor",
    "Not a whole number",
    of=as_asked,
    put={"n_parameters, flops": "torch.tensor(n_parameters), torch.tensor(flops)"},
)
wrong("as_text", "Not a whole number", of=as_asked, put={"n_parameters, flops": 'f"{n_parameters:,}", f"{flops:,}"'})
wrong(
    "average_position",
    "An average over the positions",
    of=as_asked,
    put={"4 * L * config.n_heads * S * context": "2 * L * config.n_heads * S * (context + 1)"},
)
wrong(
    "biases",
    "There are no biases",
    of=as_asked,
    put={
        "return n_parameters, flops": "n_parameters += L * (config.n_heads * S + 2 * config.n_kv_heads * S + D + 2 * F + D)\n    return n_parameters, flops"
    },
)
wrong("billions", ANY, of=as_asked, put={"n_parameters, flops": "n_parameters // 1000, flops // 1000"})
wrong("four_bytes_each", "Bytes, not numbers", of=as_asked, put={"n_parameters, flops": "4 * n_parameters, flops"})
wrong(
    "context_length",
    "The length of the context is given",
    of=as_asked,
    put={"4 * L * config.n_heads * S * context": "4 * L * config.n_heads * S * config.context_length"},
)
wrong(
    "context_squared",
    "A context for each of its tokens",
    of=as_asked,
    put={"4 * L * config.n_heads * S * context": "4 * L * config.n_heads * S * context**2"},
)
wrong("embedding_costs", "The embedding is no product", of=as_asked, put={"2 * matrices": "2 * (matrices + V * D)"})
wrong(
    "every_parameter_costs", "Not every parameter is multiplied", of=as_asked, put={"2 * matrices": "2 * n_parameters"}
)
wrong("floats", "A float, where a whole number is asked", of=as_asked, put={"2 * matrices": "2.0 * matrices"})
wrong("floats_and_no_gate", "One feed-forward matrix is missing", of=as_asked, put={"3 * D": "2.0 * D"})
wrong(
    "four_d_squared",
    "Keys and values have fewer heads",
    of=as_asked,
    put={"2 * D * config.n_heads * S + 2 * D * config.n_kv_heads * S": "4 * D * D"},
)
wrong("four_times_d", "The feed-forward's width is `d_expert`", of=as_asked, put={"3 * D * F": "3 * D * 4 * D"})
wrong("head_is_free", "The output head is missing", of=as_asked, put={"2 * matrices": "2 * (matrices - V * D)"})
wrong(
    "head_size_by_division",
    "A float, where a whole number is asked",
    of=as_asked,
    put={"config.d_head": "config.d_model / config.n_heads"},
)
wrong(
    "head_twice", "A vocabulary matrix is counted twice", of=as_asked, put={"matrices + V * D": "matrices + 2 * V * D"}
)
wrong(
    "heads_and_gate",
    "Keys and values have fewer heads, and more",
    of=as_asked,
    put={"2 * D * config.n_heads * S + 2 * D * config.n_kv_heads * S": "4 * D * D", "3 * D": "2 * D"},
)
wrong("layer_norm", "Norms have no bias", of=as_asked, put={"(2 * L + 1) * D": "2 * (2 * L + 1) * D"})
wrong(
    "no_attention",
    "Attention's matrices are missing",
    of=as_asked,
    put={"L * (attention + 3 * D * F)": "L * 3 * D * F"},
)
wrong(
    "no_factor_two",
    "The factor 2 is missing",
    of=as_asked,
    put={"2 * matrices + 4 * L * config.n_heads * S * context": "matrices + 2 * L * config.n_heads * S * context"},
)
wrong("no_factor_two_for_weights", "The factor 2 is missing", of=as_asked, put={"2 * matrices": "matrices"})
wrong("no_last_norm", "The last norm is missing", of=as_asked, put={"(2 * L + 1) * D": "2 * L * D"})
wrong("no_norms", "The norms are missing", of=as_asked, put={"matrices + V * D + (2 * L + 1) * D": "matrices + V * D"})
wrong("no_out", "Query or out is missing", of=as_asked, put={"2 * D * config.n_heads": "D * config.n_heads"})
wrong(
    "no_scores",
    "Attention's scores and mix are missing",
    of=as_asked,
    put={"2 * matrices + 4 * L * config.n_heads * S * context": "2 * matrices"},
)
wrong(
    "no_values", "Keys or values are missing", of=as_asked, put={"2 * D * config.n_kv_heads": "D * config.n_kv_heads"}
)
wrong(
    "no_vocabulary",
    "Both vocabulary matrices are missing",
    of=as_asked,
    put={
        "L * (attention + 3 * D * F) + V * D": "L * (attention + 3 * D * F)",
        "matrices + V * D + (2 * L + 1) * D": "matrices + (2 * L + 1) * D",
    },
)
wrong("norm_in_each_block", "One norm too many in each block", of=as_asked, put={"(2 * L + 1) * D": "3 * L * D"})
wrong("norms_cost", "The vectors do not count", of=as_asked, put={"2 * matrices": "2 * (matrices + 2 * L * D + D)"})
wrong(
    "nothing_returned",
    "Nothing is returned",
    of=as_asked,
    put={"return n_parameters, flops": "print(n_parameters, flops)"},
)
wrong("off_by_one", ANY, of=as_asked, put={"(2 * L + 1) * D": "(2 * L + 1) * D + 1"})
wrong(
    "one_block",
    "Only one block is counted",
    of=as_asked,
    put={"L * (attention + 3 * D * F)": "(attention + 3 * D * F)"},
)
wrong("one_multiply", "A quarter of attention's scores and mix", of=as_asked, put={"4 * L": "L"})
wrong("one_norm", "One norm a block is missing", of=as_asked, put={"2 * L": "L"})
wrong("one_number", "A tuple is expected", of=as_asked, put={"n_parameters, flops": "n_parameters"})
wrong(
    "only_keys_are_narrow",
    "One of keys and values has too many heads",
    of=as_asked,
    put={"2 * D * config.n_heads * S + 2 * D * config.n_kv_heads * S": "3 * D * D + D * config.n_kv_heads * S"},
)
wrong(
    "out_is_narrow",
    "Query or out has too few heads",
    of=as_asked,
    put={"2 * D * config.n_heads * S + 2 * D * config.n_kv_heads * S": "D * D + 3 * D * config.n_kv_heads * S"},
)
wrong(
    "position_table",
    "Positions have no table",
    of=as_asked,
    put={"return n_parameters, flops": "n_parameters += config.context_length * D\n    return n_parameters, flops"},
)
wrong(
    "power_of_layers",
    "A number far too large",
    of=as_asked,
    put={"4 * L * config.n_heads * S * context": "4 * L * config.n_heads * (S * context) ** 12"},
)
wrong(
    "scores_in_one_layer",
    "Scores and mix in one layer only",
    of=as_asked,
    put={"4 * L * config.n_heads": "4 * config.n_heads"},
)
wrong(
    "scores_of_key_heads",
    "Scores and mix of the key heads only",
    of=as_asked,
    put={"4 * L * config.n_heads": "4 * L * config.n_kv_heads"},
)
wrong(
    "scores_without_head_size",
    "The size of a head is missing",
    of=as_asked,
    put={"4 * L * config.n_heads * S * context": "4 * L * config.n_heads * context"},
)
wrong(
    "scores_without_heads",
    "Scores and mix of one head only",
    of=as_asked,
    put={"4 * L * config.n_heads * S": "4 * L * S"},
)
wrong("scores_without_mix", "Half of attention's scores and mix", of=as_asked, put={"4 * L": "2 * L"})
wrong(
    "swapped",
    "`n_parameters` and `flops` have changed places",
    of=as_asked,
    put={"n_parameters, flops": "flops, n_parameters"},
)
wrong(
    "tied",
    "One vocabulary matrix is missing",
    of=as_asked,
    put={"matrices + V * D + (2 * L + 1) * D": "matrices + (2 * L + 1) * D"},
)
wrong(
    "tied_and_no_norms",
    "One vocabulary matrix is missing, and more",
    of=as_asked,
    put={"matrices + V * D + (2 * L + 1) * D": "matrices"},
)
wrong("top_k_times", "The feed-forward is counted twice", of=as_asked, put={"3 * D": "3 * config.top_k * D"})
wrong("training", "The FLOPs of training", of=as_asked, put={"n_parameters, flops": "n_parameters, 3 * flops"})
wrong("twice", "Twice the FLOPs", of=as_asked, put={"n_parameters, flops": "n_parameters, 2 * flops"})
wrong("two_matrices", "One feed-forward matrix is missing", of=as_asked, put={"3 * D": "2 * D"})
wrong(
    "vocabulary_in_layers",
    "Everything is multiplied by the layers",
    of=as_asked,
    put={
        "L * (attention + 3 * D * F) + V * D": "L * (attention + 3 * D * F + V * D)",
        "matrices + V * D": "matrices + L * V * D",
    },
)
wrong(
    "whole_sequence",
    "The FLOPs of all tokens",
    of=as_asked,
    put={"n_parameters, flops": "n_parameters, flops * context"},
)

# ---- wrong, written by readers of the exercise's text alone ---------------------------------------------------------


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


@blind("One feed-forward matrix is missing", ANY)
def blind_2df(config, context):
    D, L, HS, v, a, f = base(config, context)
    f = 2 * D * config.d_expert
    return L * (a + f) + 2 * v + (2 * L + 1) * D, 2 * (L * (a + f) + v) + 4 * L * HS * context


@blind("Keys and values have fewer heads", ANY)
def blind_4d_2(config, context):
    D, L, HS, v, a, f = base(config, context)
    a = 4 * D * D
    return L * (a + f) + 2 * v + (2 * L + 1) * D, 2 * (L * (a + f) + v) + 4 * L * HS * context


@blind("Scores and mix in one layer only", ANY)
def attention_only_in_one_layer(config, context):
    D, L, HS, v, a, f = base(config, context)
    return L * (a + f) + 2 * v + (2 * L + 1) * D, 2 * (L * (a + f) + v) + 4 * HS * context


@blind("Half of attention's scores and mix", ANY)
def context_halved_causal(config, context):
    D, L, HS, v, a, f = base(config, context)
    return L * (a + f) + 2 * v + (2 * L + 1) * D, 2 * (L * (a + f) + v) + 2 * L * HS * context


@blind("A float, where a whole number is asked", ANY)
def blind_float(config, context):
    D, L, HS, v, a, f = base(config, context)
    return float(L * (a + f) + 2 * v + (2 * L + 1) * D), float(2 * (L * (a + f) + v) + 4 * L * HS * context)


@blind("The FLOPs of all tokens", ANY)
def flops_whole_sequence(config, context):
    D, L, HS, v, a, f = base(config, context)
    return L * (a + f) + 2 * v + (2 * L + 1) * D, context * (2 * (L * (a + f) + v) + 4 * L * HS * context)


@blind("One vocabulary matrix is missing", ANY)
def head_in_params_only_once_flops_ok(config, context):
    D, L, HS, v, a, f = base(config, context)
    return L * (a + f) + v + (2 * L + 1) * D, 2 * (L * (a + f) + v) + 4 * L * HS * context


@blind("Scores and mix of the key heads only", ANY)
def heads_kv_in_attention_flops(config, context):
    D, L, HS, v, a, f = base(config, context)
    return L * (a + f) + 2 * v + (2 * L + 1) * D, 2 * (
        L * (a + f) + v
    ) + 4 * L * config.n_kv_heads * config.d_head * context


@blind("A float, where a whole number is asked", ANY)
def millions(config, context):
    D, L, HS, v, a, f = base(config, context)
    return (L * (a + f) + 2 * v + (2 * L + 1) * D) / 1e6, (2 * (L * (a + f) + v) + 4 * L * HS * context) / 1e6


@blind("One vocabulary matrix is missing", ANY)
def no_head(config, context):
    D, L, HS, v, a, f = base(config, context)
    return L * (a + f) + v + (2 * L + 1) * D, 2 * (L * (a + f)) + 4 * L * HS * context


@blind("The vectors do not count", ANY)
def norm_flops(config, context):
    D, L, HS, v, a, f = base(config, context)
    return L * (a + f) + 2 * v + (2 * L + 1) * D, 2 * (L * (a + f) + v + (2 * L + 1) * D) + 4 * L * HS * context


@blind("The last norm is missing", ANY)
def norms_2l(config, context):
    D, L, HS, v, a, f = base(config, context)
    return L * (a + f) + 2 * v + 2 * L * D, 2 * (L * (a + f) + v) + 4 * L * HS * context


@blind("`n_parameters` and `flops` have changed places", ANY)
def blind_swapped(config, context):
    D, L, HS, v, a, f = base(config, context)
    return 2 * (L * (a + f) + v) + 4 * L * HS * context, L * (a + f) + 2 * v + (2 * L + 1) * D


@blind("The FLOPs of training", ANY)
def training_flops_x3(config, context):
    D, L, HS, v, a, f = base(config, context)
    return L * (a + f) + 2 * v + (2 * L + 1) * D, 3 * (2 * (L * (a + f) + v) + 4 * L * HS * context)


# ---- right until the sweep ------------------------------------------------------------------------------------------


@blind("The length of the context is given")
def blind_context_of_the_config(config, context):
    return as_asked(config, min(context, config.context_length))
