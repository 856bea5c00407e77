"""Exercise 2.3, responsibilities: whose case it was, once the target is known."""

from collections.abc import Callable

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.compare import number
from moe_lite.checks.engine.exercise import Attempt, Case, Exercise, Mistake, Output
from moe_lite.checks.engine.mistakes import not_finite, sign, wrong
from moe_lite.checks.lesson01.cross_entropy import log_softmax
from moe_lite.checks.lesson02.slips import (
    OTHER_EXPONENTS,
    beside_sigma,
    costs,
    drawn_with,
    far_trials,
    first_cell,
    joint,
    one_expert,
    plain_trials,
)


def reference(log_gates: Tensor, outputs: Tensor, targets: Tensor, sigma: float) -> Tensor:
    """log_gates (N, E), outputs (N, E), targets (N,), sigma -> h (N, E)."""
    return softmax(joint(log_gates, outputs, targets, sigma))


def softmax(logits: Tensor, dim: int = -1) -> Tensor:
    return log_softmax(logits, dim).exp()


def cases() -> tuple[Case, ...]:
    plain = plain_trials()
    first, last = inputs.usual(plain, plain, gradient=(0, 1), through=plain[::2])
    return (
        *first,
        Case("gate times fit, divided by the sum", plain, ("h",)),
        Case("one expert", (one_expert(),), ("h",)),
        Case("far targets, tiny gates", far_trials(), ("h",)),
        *last,
    )


# ---- mistakes --------------------------------------------------------------------------------------------------------


def shares(title: str, rule: Callable[..., Tensor], sentence: str) -> Mistake:
    """Told with the first cell that differs: "Expert 0 of row 0 has 0.31, expected 0.27: …"."""
    return wrong(title, rule, lambda a: f"{first_cell(a, 'h').capitalize()}: {sentence}")


def best_only(*args) -> Tensor:
    terms = joint(*args)
    return (terms == terms.amax(dim=-1, keepdim=True)).to(terms.dtype)


def nobody(a: Attempt) -> bool:
    """All 0 where everything is far: a small number was added to a sum of 0, or 0 / 0 was replaced."""
    got = a.got["h"]
    return got.shape == a.expected["h"].shape and bool((got.sum(dim=-1) < 0.5).any()) and not not_finite(a)


def smallest_sum(a: Attempt) -> str:
    return (
        f"The smallest sum of your rows is {number(float(a.got['h'].sum(-1).min()))}: where exp is 0 for all experts, "
        "a small number added to the sum leaves a row of zeros. One expert is always nearest: use a softmax."
    )


def lost_gate(a: Attempt) -> bool:
    """Another expert takes a row because the gate of the right one was 0 as a float32."""
    got, expected, shut = a.got["h"], a.expected["h"], a.args[0].min() < -104
    if not shut or got.shape != expected.shape or not got.is_floating_point():
        return False
    return not torch.equal(got.argmax(-1), expected.argmax(-1))


MISTAKES = (
    *(shares(title, lambda *a, rule=rule: softmax(rule(*a)), advice) for title, rule, advice in OTHER_EXPONENTS),
    shares("The gates, not the responsibilities", lambda g, o, t, s: g.exp(), "yours are the gates, which do not know "
           "the target. Weigh each with how well the expert's answer fits."),
    shares("Softmax over the rows", lambda *a: softmax(joint(*a), dim=0), "the responsibilities for a target "
           "sum to 1 over the experts, along the last dimension."),
    shares("One softmax over the whole table", lambda *a: softmax(joint(*a).flatten()).view_as(a[0]), "every target "
           "has responsibilities of its own: each row sums to 1."),
    shares("The logarithm of the responsibilities", lambda *a: log_softmax(joint(*a)), "yours are logarithms. Take the "
           "softmax itself."),
    shares("The softmax is missing", joint, "yours is log g − ½(t − o)²/σ². A softmax along the experts is "
           "missing."),
    wrong("The rows do not sum to 1", lambda *a: joint(*a).exp(), "Your rows sum to {h.rows}: g · exp(…) is right, but "
          "it is not divided by its sum along the experts."),
    wrong("The rows do not sum to 1", lambda g, o, t, s: g.exp() * softmax(-costs(o, t, s)), "Your rows sum to "
          "{h.rows}: the sum below is that of the fits alone. Divide g · exp(…) by its own sum."),
    shares("The best expert takes all", best_only, "yours gives the whole target to the best expert. Responsibilities "
           "are shares."),
    shares("Softmax was applied twice", lambda *a: softmax(reference(*a)), "yours is a softmax of the "
           "responsibilities: once is enough."),
    shares("Shares of the costs", lambda g, o, t, s: costs(o, t, s) / costs(o, t, s).sum(-1, True), "yours grows with "
           "the distance, and knows no gates. Take g · exp(−½(t − o)²/σ²), divided by its sum."),
    *beside_sigma(reference),
    sign("0 divided by 0", not_finite, "{h.not_finite} of your values are nan or infinite: far from the target exp is "
         "0 for every expert, and so is their sum. A softmax of log g − ½(t − o)²/σ² takes the largest exponent away "
         "first."),
    sign("No expert is responsible", nobody, smallest_sum),
    sign("The expert with a tiny gate was lost", lost_gate, lambda a: f"{first_cell(a, 'h').capitalize()}: a gate of "
         "exp(−120) is 0 in float32, and with it went the only expert that fits. Add `log_gates` to the exponent."),
)  # fmt: skip

RESPONSIBILITIES = Exercise(
    id="2.3", name="responsibilities", parameters=("log_gates", "outputs", "targets", "sigma"), sizes="NE",
    outputs=(Output("h", "N, E", expert_columns=True),), reference=reference, cases=cases, mistakes=MISTAKES,
    drawn=drawn_with(gradient=(0, 1)),
    hints=(
        "The terms that the loss adds up are known: an expert's gate times its fit. Its responsibility is its part of "
        "that sum.",
        "The table of exponents from 2.2, log g − ½(gap / σ)²; dividing exponentials by their sum is a function that "
        "you used in 2.1.",
    ),
    minutes=8, lines="about 2 lines",
    done="Statisticians call this a posterior: the gate is the guess before the target is known, h the guess after.",
)  # fmt: skip
