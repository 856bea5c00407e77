"""Exercise 1.3, count_dense: what a dense model holds and what it costs, from its config alone."""

from moe_lite.checks.engine.exercise import FORM, INPUT, REPEAT, Case, Drawn, Exercise, Output, Trial
from moe_lite.checks.lesson01.count_slips import SLIPS, mistakes, totals
from moe_lite.model.config import ModelConfig

SIZES = ("vocab_size", "n_layers", "d_model", "n_heads", "n_kv_heads", "d_expert")


def cases() -> tuple[Case, ...]:
    # V, L, D, H, H_kv, F; and the context
    plain = (
        trial(1009, 5, 60, 6, 2, 152, context=37),
        trial(523, 7, 120, 10, 2, 101, context=59),
        trial(263, 8, 84, 14, 2, 219, context=90),
    )
    edges = (
        trial(97, 1, 24, 4, 2, 53, context=1, note="one layer, one token"),
        trial(311, 4, 36, 6, 6, 71, context=29, note="H_kv = H"),
    )
    large = (trial(32_000, 32, 4096, 32, 8, 14_336, context=2048, note="seven billion"),)
    both = ("n_parameters", "flops")
    return (
        Case("two whole numbers", plain, (FORM,)),
        Case("no memory", plain[:1], (INPUT, REPEAT)),
        Case("parameters", plain, ("n_parameters",)),
        Case("FLOPs", plain, ("flops",)),
        Case("one layer, all heads alike", edges, both),
        Case("a large model", large, both),
    )


def trial(*sizes: int, context: int, note: str = "", context_length: int = 0) -> Trial:
    """`context` is never the config's own context_length, and top_k, which a dense model does not use, is 2."""
    fields, room = dict(zip(SIZES, sizes, strict=True)), context_length or 2 * context + 50
    config = ModelConfig(**fields, n_experts=1, context_length=room)
    return Trial((config, context), note or f"V={config.vocab_size}, D={config.d_model}")


def drawn(seed: int, V: int, L: int, S: int, H: int, K: int, F: int, T: int) -> tuple:
    """2·S numbers for each of H heads make D; H is a multiple of K."""
    n_heads = -(-H // K) * K
    return trial(V, L, 2 * S * n_heads, n_heads, K, F, context=T).args


def extremes(seed: int) -> tuple[Trial, ...]:
    return (
        trial(48, 3, 48, 6, 2, 48, context=48, note="V = D = F = T = 48"),
        trial(64, 2, 64, 32, 32, 64, context=64, note="a head for each two numbers of D"),
        trial(97, 3, 60, 6, 2, 41, context=0, note="a context of 0"),
        trial(97, 3, 60, 6, 2, 41, context=500, context_length=100, note="a context longer than context_length"),
        trial(32_001, 3, 2002, 7, 7, 1001, context=77, note="numbers that float32 cannot hold"),
    )


DRAWN = Drawn(
    drawn, {"V": 97, "L": 3, "S": 5, "H": 6, "K": 2, "F": 41, "T": 19}, at_most=(("K", "H"),), long="V",
    thousands=250_001, wide="F", extremes=extremes,
)  # fmt: skip


COUNT_DENSE = Exercise(
    id="1.3", name="count_dense", parameters=("config", "context"), sizes="VDLHKSFT",
    outputs=(Output("n_parameters", whole=True), Output("flops", whole=True)),
    reference=totals, cases=cases, mistakes=mistakes(SLIPS, totals),
    drawn=DRAWN,
    hints=(
        "Give each kind of matrix a line: rows times columns, and how many layers have one. Keys and values can have "
        "fewer heads than the queries. Which one is only looked up, and never multiplied?",
        "One sum of the matrices that a token is multiplied with serves both answers: `n_parameters` is that sum plus "
        "the embedding plus the vectors; `flops` is twice the sum plus what attention does with `context` tokens.",
    ),
    minutes=12, lines="about 8 lines",
    done="Your formula counts any dense model, also one too large for this machine.",
)  # fmt: skip
