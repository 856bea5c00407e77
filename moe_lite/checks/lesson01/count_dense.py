"""Exercise 1.3, count_dense: what a dense model holds and what it costs, from its config alone."""

from itertools import combinations

from moe_lite.checks.engine.exercise import FORM, INPUT, REPEAT, Attempt, Case, Exercise, Mistake, Note, Output, Trial
from moe_lite.checks.lesson01.count_slips import SLIPS, Slip, totals
from moe_lite.model.config import ModelConfig


def cases() -> tuple[Case, ...]:
    sizes = ((1009, 5, 60, 6, 2, 152, 37), (523, 7, 120, 10, 2, 101, 59), (263, 8, 84, 14, 2, 219, 90))
    plain = tuple(_trial(*numbers) for numbers in sizes)
    edges = (_trial(97, 1, 24, 4, 2, 53, 1, "one layer, one token"), _trial(311, 4, 36, 6, 6, 71, 29, "H_kv = H"))
    large = (_trial(32_000, 32, 4096, 32, 8, 14_336, 2048, "seven billion"),)
    both = ("n_parameters", "flops")
    return (
        Case("two whole numbers", plain, (FORM,)),
        Case("no memory", plain[:1], (INPUT, REPEAT)),
        Case("parameters", plain, ("n_parameters",)),
        Case("FLOPs", plain, ("flops",)),
        Case("one layer, all heads alike", edges, both),
        Case("a large model", large, both),
    )


def _trial(
    vocab_size: int, n_layers: int, d_model: int, n_heads: int, n_kv_heads: int, width: int, context: int,
    note: str = "",
) -> Trial:  # fmt: skip
    """`context` is never the config's own context_length, and top_k, which a dense model does not use, is 2."""
    config = ModelConfig(
        vocab_size=vocab_size, n_layers=n_layers, d_model=d_model, n_heads=n_heads, n_kv_heads=n_kv_heads,
        d_expert=width, n_experts=1, context_length=2 * context + 50,
    )  # fmt: skip
    return Trial((config, context), note or f"V={vocab_size}, D={d_model}")


def _focus(attempt: Attempt) -> str:
    """The total to speak of: the parameters if they are wrong, for the FLOPs are made of them."""
    return "flops" if attempt.right("n_parameters") else "n_parameters"


def _off(attempt: Attempt) -> float:
    name = _focus(attempt)
    return attempt.got[name].item() - attempt.expected[name].item()


def _beside(attempt: Attempt) -> str:
    name, off = _focus(attempt), _off(attempt)
    whole = int(off) if off == off and abs(off) != float("inf") else off
    return (
        f"`{name}` is {attempt.got[name].item():,.0f}, expected {attempt.expected[name].item():,}: "
        f"{abs(whole):,} too {'many' if off > 0 else 'few'}."
    )


def _single(slip: Slip) -> Mistake:
    """Recognised when the learner's total is off by exactly what the slip adds."""

    def recognise(attempt: Attempt) -> Note | None:
        if not attempt.got or attempt.all_right or slip.added(_focus(attempt), *attempt.args) != _off(attempt):
            return None
        return Note(slip.title, f"{_beside(attempt)} {slip.sentence}")

    def answer(names: tuple[str, ...], args: tuple) -> tuple:
        return tuple(right + slip.added(name, *args) for name, right in zip(names, totals(*args), strict=True))

    return Mistake(recognise, title=slip.title, answer=answer)


def _two_at_once(attempt: Attempt) -> Note | None:
    """Two slips that together explain the difference; the first in the list is named."""
    if not attempt.got or attempt.all_right:
        return None
    off, name = _off(attempt), _focus(attempt)
    for one, other in combinations(SLIPS, 2):
        added = [slip.added(name, *attempt.args) for slip in (one, other)]
        if all(added) and sum(added) == off:
            return Note(f"{one.title}, and more", f"{_beside(attempt)} {one.sentence} This explains a part of it.")
    return None


MISTAKES = (*map(_single, SLIPS), Mistake(_two_at_once))

COUNT_DENSE = Exercise(
    id="1.3",
    name="count_dense",
    parameters=("config", "context"),
    sizes="VDLHKSFT",
    outputs=(Output("n_parameters", whole=True), Output("flops", whole=True)),
    reference=totals,
    cases=cases,
    mistakes=MISTAKES,
    hints=(
        "Give each kind of matrix a line: rows times columns, and in how many layers it stands. Keys and values can "
        "have fewer heads than the queries. Which of all these is no matrix product at all?",
        "One sum of the matrices that a token is multiplied with serves both answers: `n_parameters` is that sum plus "
        "the embedding plus the vectors; `flops` is twice the sum plus what attention does with `context` tokens.",
    ),
    minutes=12,
    lines="about 8 lines",
    done="Your formula counts any dense model, also one too large for this machine.",
)
