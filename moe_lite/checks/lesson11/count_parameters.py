"""Exercise 11.1, count_parameters: from a config.json to what a model holds and what of it works on a token."""

import math

from moe_lite.checks.engine.exercise import (
    FORM,
    INPUT,
    REPEAT,
    Attempt,
    Case,
    Drawn,
    Exercise,
    Mistake,
    Note,
    Output,
    Trial,
)
from moe_lite.checks.engine.mistakes import sign
from moe_lite.checks.lesson01.count_slips import focus, off
from moe_lite.checks.lesson11.config_slips import (
    SLIPS,
    attention,
    beside,
    expert,
    mistakes,
    n_layers,
    norms,
    router,
    table,
    totals,
    two_at_once,
)
from moe_lite.checks.lesson11.fields import of_dict

FIELDS = (
    "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
    "intermediate_size", "num_local_experts", "num_experts_per_tok",
)  # fmt: skip

# ---- inputs ----------------------------------------------------------------------------------------------------------


def cases() -> tuple[Case, ...]:
    # V, D, L, H, heads of keys and values, F, E, K
    plain = (
        trial(50_021, 1995, 23, 15, 3, 1777, 37, 4),
        trial(20_011, 1968, 13, 48, 6, 701, 29, 4),
        trial(40_009, 2275, 29, 35, 5, 1511, 47, 6),
    )
    heads = (
        trial(331, 48, 3, 8, 8, 29, 9, 2, note="as many heads of keys as of queries"),
        trial(613, 72, 4, 12, 1, 23, 7, 3, note="one head of keys"),
    )
    edges = (
        trial(151, 40, 1, 5, 1, 17, 6, 2, note="one layer"),
        trial(173, 56, 2, 4, 2, 13, 7, 1, note="one expert per token"),
        trial(199, 36, 3, 6, 2, 19, 5, 5, note="all experts for every token"),
    )
    mixtral = (
        trial(32_000, 4096, 32, 32, 8, 14_336, 8, 2, note="Mixtral 8x7B", context=32_768),
        trial(32_768, 6144, 56, 48, 8, 16_384, 8, 2, note="Mixtral 8x22B", context=65_536),
    )
    both = ("total", "active")
    return (
        Case("two whole numbers", plain, (FORM,)),
        Case("input unchanged, no memory", plain[:1], (INPUT, REPEAT)),
        Case("all parameters", plain, ("total",)),
        Case("active parameters", plain, ("active",)),
        Case("heads of keys and values", heads, both),
        Case("one layer, K = 1, K = E", edges, both),
        Case("Mixtral 8x7B and 8x22B", mixtral, both),
    )


def trial(*sizes: int, note: str = "", context: int = 4096) -> Trial:
    """With other fields around those that count, as a file has them."""
    values = dict(zip(FIELDS, sizes, strict=True))
    config = {
        "architectures": ["MixtralForCausalLM"], "vocab_size": sizes[0], "max_position_embeddings": context, **values,
        "hidden_act": "silu", "tie_word_embeddings": False, "torch_dtype": "bfloat16",
    }  # fmt: skip
    told = "{} of {} experts, {} heads of queries and {} of keys".format(*(sizes[i] for i in (7, 6, 3, 4)))
    return Trial((config,), note or told)


def drawn(seed: int, V: int, W: int, L: int, H: int, M: int, F: int, E: int, K: int) -> tuple:
    """W numbers for each of H heads make D; H is a multiple of M, the heads of keys and values."""
    n_heads = -(-H // M) * M
    return trial(V, W * n_heads, L, n_heads, M, F, E, K, context=2048 + seed).args


def extremes(seed: int) -> tuple[Trial, ...]:
    return (
        trial(48, 48, 3, 6, 2, 48, 48, 2, note="V = D = F = E = 48", context=512),
        trial(64, 64, 4, 4, 4, 64, 4, 4, note="L = H = E = K = 4"),
        trial(97, 24, 3, 24, 8, 53, 5, 2, note="heads of one number"),
        trial(32_001, 2002, 3, 7, 7, 1001, 9, 3, note="numbers that float32 cannot hold"),
        trial(163_841, 7168, 61, 64, 8, 20_480, 384, 8, note="numbers beyond 10¹²"),
    )


DRAWN = Drawn(
    drawn, {"V": 97, "W": 7, "L": 3, "H": 6, "M": 2, "F": 41, "E": 8, "K": 5},
    at_most=(("K", "E"), ("M", "H")), long="V", thousands=250_001, float32=False, extremes=extremes,
)  # fmt: skip


# ---- mistakes --------------------------------------------------------------------------------------------------------


def scaled(attempt: Attempt) -> bool:
    """In billions, or millions, or rounded to whole ones."""
    name = focus(attempt)
    mine, right = float(attempt.got[name]), float(attempt.expected[name])
    return any(abs(mine * unit - right) <= max(0.02 * right, 0.5 * unit) for unit in (1e9, 1e6))


def of_mixtral(attempt: Attempt) -> bool:
    """Mixtral's own two numbers, for a model that is another one."""
    return [float(attempt.got[name]) for name in ("total", "active")] == [46_702_792_704, 12_879_925_248]


def in_32_bits(attempt: Attempt) -> bool:
    """A part was lost above 2³²."""
    difference = off(attempt)
    return math.isfinite(difference) and difference % 2**32 == 0


def two_or_more(attempt: Attempt) -> Note | None:
    """Two slips if it can be told which, else what the right number is made of."""
    if not attempt.got or attempt.all_right:
        return None
    config = attempt.args[0]
    # in the sweep a step is right elsewhere; where all experts work, different pairs come to the same sum
    told_apart = not attempt.trial.kind and config["num_experts_per_tok"] < config["num_local_experts"]
    two = two_at_once(SLIPS, attempt) if told_apart else None
    return two or Note("Some parts are not right", parts(attempt))


def parts(attempt: Attempt) -> str:
    config, name = attempt.args[0], focus(attempt)
    layers, count = n_layers(config), {"total": "num_local_experts", "active": "num_experts_per_tok"}[name]
    return (
        f"{beside(attempt)} Here the embedding has {table(config):,} parameters, the four attention matrices of one "
        f"layer have {attention(config) // layers:,}, its router has {router(config) // layers:,}, and all norms "
        f"together have {norms(config):,}. One expert of a layer has {expert(config) // layers:,}, and in `{name}` a "
        f"layer has {config[count]}. Compare these numbers with yours, one by one."
    )


MISTAKES = (
    *mistakes(SLIPS),
    sign("Mixtral's numbers, whatever `config` says", of_mixtral, lambda a: f"{beside(a)} These are Mixtral 8x7B's own "
         "numbers. Compute them from the fields of `config`, so that your function counts any model of this format."),
    sign("Numbers of 32 bits", in_32_bits, lambda a: f"{beside(a)} The difference is a multiple of 2³²: a number of 32 "
         "bits has run over, as numpy's `int32` does. Python's own ints have no such limit."),
    sign("In millions or billions", scaled, lambda a: f"{beside(a)} Return the parameters one by one, not in millions "
         "or billions: two ints.", all_or_none=True),
    Mistake(two_or_more),
)  # fmt: skip

COUNT_PARAMETERS = Exercise(
    id="11.1", name="count_parameters", parameters=("config",), sizes="VDLHMFEKP",
    outputs=(Output("total", whole=True), Output("active", whole=True)), reference=lambda config: totals(config),
    cases=cases, mistakes=MISTAKES, drawn=DRAWN, causes=of_dict("config", FIELDS),
    hints=(
        "`total` and `active` differ in one number only: how many experts of a layer count. Give everything else a "
        "line of its own first: vocabulary, attention, router, norms. Which of them exist once, and which in every "
        "layer?",
        "The head is as large as the embedding. The matrices of queries and output are hidden_size × hidden_size. "
        "Those of keys and values have as many rows, but only `num_key_value_heads` heads of columns, each "
        "`hidden_size // num_attention_heads` wide. One expert has three matrices, hidden_size × intermediate_size.",
    ),
    minutes=12, lines="about 9 lines",
    done="Your function reads a config.json and says what a model holds and what of it works on a token.",
)  # fmt: skip
