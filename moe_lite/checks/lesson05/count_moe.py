"""Exercise 5.3, count_moe: what a sparse model holds, what of it works on a token, and what that costs."""

from itertools import combinations

from moe_lite.checks.engine.exercise import FORM, INPUT, REPEAT, Attempt, Case, Exercise, Mistake, Note, Output, Trial
from moe_lite.checks.lesson05.count_slips import NAMES, SLIPS, Slip, totals
from moe_lite.model.config import ModelConfig

SIZES = (
    "vocab_size", "d_model", "n_layers", "n_heads", "n_kv_heads", "d_expert", "n_experts", "top_k", "n_shared_experts",
)  # fmt: skip


def cases() -> tuple[Case, ...]:
    # V, D, L, H, H_kv, F, E, K, shared; and the context
    plain = (
        _trial(1009, 60, 7, 6, 2, 37, 11, 5, 3, context=53),
        _trial(523, 120, 7, 10, 2, 43, 16, 4, 1, context=59),
        _trial(263, 84, 11, 14, 2, 31, 8, 4, 1, context=90),
    )
    unshared = (_trial(331, 48, 3, 4, 2, 29, 9, 2, 0, context=41), _trial(613, 72, 4, 6, 3, 23, 7, 1, 0, context=67))
    dense = (_trial(97, 24, 3, 4, 2, 53, 1, 2, 0, context=19), _trial(311, 36, 4, 6, 6, 71, 1, 1, 0, context=29))
    edges = (
        _trial(151, 40, 1, 4, 2, 17, 6, 2, 1, context=1, note="one layer, one token"),
        _trial(173, 56, 2, 4, 4, 13, 5, 5, 2, context=31, note="K = E"),
    )
    large = (_trial(32_000, 4096, 32, 32, 8, 14_336, 8, 2, 0, context=2048, note="Mixtral's sizes"),)
    return (
        Case("three whole numbers", plain, (FORM,)),
        Case("no memory", plain[:1], (INPUT, REPEAT)),
        Case("all parameters", plain, ("total",)),
        Case("active parameters", plain, ("active",)),
        Case("FLOPs", plain, ("flops",)),
        Case("no shared expert", unshared, NAMES),
        Case("dense models", dense, NAMES),
        Case("one layer, K = E, a large model", edges + large, NAMES),
    )


def _trial(*sizes: int, context: int, note: str = "") -> Trial:
    """`context` is never the config's own context_length."""
    config = ModelConfig(**dict(zip(SIZES, sizes, strict=True)), context_length=2 * context + 50)
    told = "dense" if config.is_dense else f"{config.top_k} of {config.n_experts} and {config.n_shared_experts} shared"
    return Trial((config, context), note or f"V={config.vocab_size}, {told}")


def _focus(attempt: Attempt) -> str:
    """The number to speak of: the first that is wrong, for those after it are made of it."""
    return next(name for name in NAMES if not attempt.right(name))


def _off(attempt: Attempt) -> float:
    name = _focus(attempt)
    return attempt.got[name].item() - attempt.expected[name].item()


def _is(added: float, off: float) -> bool:
    """Whether a slip explains the difference; it may have been rounded."""
    return bool(added) and abs(added - off) < 1


def _beside(attempt: Attempt) -> str:
    name, off = _focus(attempt), _off(attempt)
    whole = int(off) if off == off and abs(off) != float("inf") else off
    return (
        f"`{name}` is {attempt.got[name].item():,.0f}, expected {attempt.expected[name].item():,}: "
        f"{abs(whole):,} too {'many' if off > 0 else 'few'}."
    )


def _single(slip: Slip) -> Mistake:
    """Recognised when the learner's number is off by exactly what the slip adds."""

    def recognise(attempt: Attempt) -> Note | None:
        if not attempt.got or attempt.all_right:
            return None
        if not _is(slip.added(_focus(attempt), *attempt.args), _off(attempt)):
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
    added = [(slip, slip.added(name, *attempt.args)) for slip in SLIPS]
    for (one, a), (other, b) in combinations([pair for pair in added if pair[1]], 2):
        if _is(a + b, off) and one.title != other.title:
            return Note(f"{one.title}, and more", f"{_beside(attempt)} {one.sentence} This explains a part of it.")
    return None


MISTAKES = (*map(_single, SLIPS), Mistake(_two_at_once))

COUNT_MOE = Exercise(
    id="5.3",
    name="count_moe",
    parameters=("config", "context"),
    sizes="VDLHKSFTEkG",  # G: the shared experts
    outputs=tuple(Output(name, whole=True) for name in NAMES),
    reference=totals,
    cases=cases,
    mistakes=MISTAKES,
    hints=(
        "Only one thing differs between `total` and `active`: how many of a layer's experts count. All else works on "
        "every token, the router and the shared experts among it. And what would a dense config make of your formula?",
        "Give each kind of weight a line, as in 1.3; the experts get a number held and a number at work. `flops` is "
        "twice the active weights that are matrix products, and what attention does with `context` tokens.",
    ),
    minutes=15,
    lines="about 10 lines",
    done="Three numbers that a model card often mixes up: what is held, what works on a token, what that costs.",
)
