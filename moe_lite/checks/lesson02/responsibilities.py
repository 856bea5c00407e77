"""Exercise 2.3, responsibilities: whose case it was, once the target is known."""

from collections.abc import Callable

import torch
from torch import Tensor

from moe_lite.checks.engine.compare import number
from moe_lite.checks.engine.exercise import (
    FORM,
    GRADIENT,
    INPUT,
    REPEAT,
    Attempt,
    Case,
    Exercise,
    Mistake,
    Output,
    Trial,
)
from moe_lite.checks.engine.mistakes import not_finite, row_sums, ruled, seen
from moe_lite.checks.lesson02.slips import (
    ADVICE,
    EXPONENTS,
    F32,
    costs,
    far_trials,
    first_cell,
    joint,
    log_softmax,
    random_trial,
)


def softmax(logits: Tensor, dim: int = -1) -> Tensor:
    return log_softmax(logits, dim).exp()


def reference(log_gates: Tensor, outputs: Tensor, targets: Tensor, sigma: float) -> Tensor:
    """log_gates (N, E), outputs (N, E), targets (N,), sigma -> h (N, E)."""
    return softmax(joint(log_gates, outputs, targets, sigma))


def cases() -> tuple[Case, ...]:
    plain = (random_trial(1, 6, 4, 0.5), random_trial(2, 5, 3, 2.0, F32), random_trial(3, 4, 7, 0.8))
    gradient = tuple(Trial(t.args, t.note, gradient=(0, 1)) for t in (plain[0], plain[2]))
    return (
        Case("shapes and types", plain, (FORM,)),
        Case("input unchanged, no memory", plain[:1], (INPUT, REPEAT)),
        Case("gate times fit, shared out", plain, ("h",)),
        Case("one expert", (random_trial(4, 6, 1, 0.6),), ("h",)),
        Case("far targets, shut gates", far_trials(), ("h",)),
        Case("gradient", gradient, (GRADIENT,)),
    )


def _told(title: str, rule: Callable[..., Tensor], sentence: str) -> Mistake:
    def tell(attempt: Attempt) -> str:
        same = attempt.got["h"].shape == attempt.expected["h"].shape
        return f"{first_cell(attempt, 'h').capitalize()}: {sentence}" if same else sentence.capitalize()

    return ruled(title, rule, tell)


def _one_hot(*args) -> Tensor:
    best = joint(*args)
    return (best == best.amax(dim=-1, keepdim=True)).to(best.dtype)


def _terms(*args) -> Tensor:
    """g · exp(−½(t − o)²/σ²), not shared out."""
    return joint(*args).exp()


def _eps(attempt: Attempt) -> bool:
    """All 0 where everything is far: a small number was added to a sum of 0, or 0 / 0 was replaced."""
    got = attempt.got["h"]
    return got.shape == attempt.expected["h"].shape and bool((got.sum(dim=-1) < 0.5).any()) and not not_finite(attempt)


def _lost_gate(attempt: Attempt) -> bool:
    """Another expert takes a row because the gate of the right one was 0 as a float32."""
    got, expected, shut = attempt.got["h"], attempt.expected["h"], attempt.args[0].min() < -104
    if not shut or got.shape != expected.shape or not got.is_floating_point():
        return False
    return not torch.equal(got.argmax(-1), expected.argmax(-1))


MISTAKES = (
    *(_told(title, lambda *a, rule=rule: softmax(rule(*a)), ADVICE[title]) for title, rule in EXPONENTS.items()),
    _told("The gates, not the responsibilities", lambda g, o, t, s: g.exp(), "yours are the gates, which do not know "
          "the target. Weigh each with how well the expert's answer fits."),
    _told("Softmax over the rows", lambda *a: softmax(joint(*a), dim=0), "each target is shared out among the experts, "
          "along the last dimension."),
    _told("One softmax over the whole table", lambda *a: softmax(joint(*a).flatten()).view(a[0].shape), "every target "
          "is shared out by itself: its row sums to 1."),
    _told("The logarithm of the responsibilities", lambda *a: log_softmax(joint(*a)), "yours are logarithms. Take the "
          "softmax itself."),
    _told("The exponent, not shared out", joint, "yours is log g − ½(t − o)²/σ². A softmax along the experts is "
          "missing."),
    ruled("The rows do not sum to 1", _terms, lambda a:
          f"Your rows sum to {row_sums(a, 'h')}: g · exp(…) is right, but it is not divided by its sum along the "
          "experts."),
    ruled("The rows do not sum to 1", lambda g, o, t, s: g.exp() * softmax(-costs(o, t, s)), lambda a:
          f"Your rows sum to {row_sums(a, 'h')}: the sum below is that of the fits alone. Divide g · exp(…) by its "
          "own sum."),
    _told("The best expert takes all", _one_hot, "yours gives the whole target to the best expert. Responsibilities "
          "are shares."),
    _told("Softmax was applied twice", lambda *a: softmax(reference(*a)), "yours is a softmax of the "
          "responsibilities: once is enough."),
    ruled("Shares of the costs", lambda g, o, t, s: costs(o, t, s) / costs(o, t, s).sum(-1, True), lambda a:
          f"{first_cell(a, 'h').capitalize()}: yours grows with the distance, and knows no gates. Take "
          "g · exp(−½(t − o)²/σ²), divided by its sum."),
    seen("0 divided by 0", not_finite, lambda a:
         f"{int((~a.got['h'].isfinite()).sum())} of your values are nan or infinite: far from the target exp is 0 for "
         "every expert, and so is their sum. A softmax of log g − ½(t − o)²/σ² takes the largest exponent away first."),
    seen("Nobody is responsible", _eps, lambda a:
         f"The smallest sum of your rows is {number(float(a.got['h'].sum(-1).min()))}: where exp is 0 for all experts, "
         "a small number added to the sum leaves a row of zeros. Somebody is always nearest: use a softmax."),
    seen("A shut gate lost its expert", _lost_gate, lambda a:
         f"{first_cell(a, 'h').capitalize()}: a gate of exp(−120) is 0 in float32, and with it went the only expert "
         "that fits. Add `log_gates` to the exponent."),
)  # fmt: skip

RESPONSIBILITIES = Exercise(
    id="2.3",
    name="responsibilities",
    parameters=("log_gates", "outputs", "targets", "sigma"),
    sizes="NE",
    outputs=(Output("h", "N, E", expert_columns=True),),
    reference=reference,
    cases=cases,
    mistakes=MISTAKES,
    hints=(
        "The terms that the loss adds up are known: an expert's gate times its fit. Its responsibility is its part of "
        "that sum.",
        "The table of exponents from 2.2, log g − ½(gap / σ)²; dividing exponentials by their sum is a function that "
        "you used in 2.1.",
    ),
    minutes=8,
    lines="about 2 lines",
    done="Statisticians call it the posterior: the gate before the answer is known, corrected after.",
)
