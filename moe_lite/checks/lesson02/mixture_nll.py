"""Exercise 2.2, mixture_nll: the competitive loss of a mixture."""

import math
from collections.abc import Callable

from torch import Tensor

from moe_lite.checks.engine.compare import close, decimals_that_differ, number, shape_text
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
from moe_lite.checks.engine.mistakes import ruled, seen
from moe_lite.checks.lesson02.slips import ADVICE, EXPONENTS, F32, costs, far_trials, joint, logsumexp, random_trial


def each(log_gates: Tensor, outputs: Tensor, targets: Tensor, sigma: float) -> Tensor:
    """−log Σ g exp(−½(t − o)²/σ²) of each row. (N,)"""
    return -logsumexp(joint(log_gates, outputs, targets, sigma))


def reference(log_gates: Tensor, outputs: Tensor, targets: Tensor, sigma: float) -> Tensor:
    """log_gates (N, E), outputs (N, E), targets (N,), sigma -> loss ()."""
    return each(log_gates, outputs, targets, sigma).mean()


def cases() -> tuple[Case, ...]:
    plain = (random_trial(1, 6, 4, 0.5), random_trial(2, 5, 3, 2.0, F32), random_trial(3, 4, 7, 0.8))
    one_expert = random_trial(4, 6, 1, 0.6)
    gradient = tuple(Trial(t.args, t.note, gradient=(0, 1)) for t in (plain[0], plain[2]))
    return (
        Case("shapes and types", plain, (FORM,)),
        Case("input unchanged, no memory", plain[:1], (INPUT, REPEAT)),
        Case("mean of −log Σ", plain, ("loss",)),
        Case("one expert", (one_expert,), ("loss",)),
        Case("far targets, shut gates", far_trials(), ("loss",)),
        Case("gradient", (*gradient, _far_gradient()), (GRADIENT,)),
    )


def _far_gradient() -> Trial:
    far = far_trials()[0]
    return Trial(far.args, far.note, gradient=(0, 1))


def _got(attempt: Attempt) -> float:
    got = attempt.got["loss"]
    return float(got) if got.numel() == 1 and not got.is_complex() else float("nan")


def _beside(attempt: Attempt) -> str:
    mine, right = _got(attempt), float(attempt.expected["loss"])
    decimals = decimals_that_differ([(mine, right)])
    return f"Yours is {number(mine, decimals)}, expected {number(right, decimals)}"


def _told(title: str, rule: Callable[..., Tensor], sentence: str) -> Mistake:
    return ruled(title, rule, lambda a: f"{_beside(a)}: {sentence}")


def _with(exponent: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The loss with another exponent."""
    return lambda *args: -logsumexp(exponent(*args)).mean()


def _likelihood(*args) -> Tensor:
    return (-each(*args)).exp()  # (N,)


def _of_the_blend(g: Tensor, o: Tensor, t: Tensor, s: float) -> Tensor:
    blend = (g.exp() * o).sum(dim=-1, keepdim=True)  # (N, 1)
    return costs(blend, t, s).mean()


def _by_column(g: Tensor, o: Tensor, t: Tensor, s: float) -> Tensor:
    return -logsumexp(joint(g, o, t, s), dim=0).mean()


def _density(g: Tensor, o: Tensor, t: Tensor, s: float) -> Tensor:
    return reference(g, o, t, s) + math.log(s * math.sqrt(2 * math.pi))


def _is_far(attempt: Attempt) -> bool:
    return float(attempt.expected["loss"]) > 80


def _overflows(attempt: Attempt) -> bool:
    loss = attempt.got["loss"]
    return loss.dim() == 0 and not bool(loss.isfinite())


def _has_a_ceiling(attempt: Attempt) -> bool:
    return attempt.got["loss"].dim() == 0 and _is_far(attempt) and 0 < _got(attempt) < float(attempt.expected["loss"])


def _lost_gate(attempt: Attempt) -> bool:
    """An expert was lost because its gate is 0 as a float32: the others have to explain the target."""
    return attempt.got["loss"].dim() == 0 and _is_far(attempt) and _got(attempt) > float(attempt.expected["loss"])


def _one_each(attempt: Attempt) -> bool:
    got = attempt.got["loss"]
    return got.dim() > 0 and close(got.squeeze(), each(*attempt.args).squeeze())


def _not_bare(attempt: Attempt) -> bool:
    got = attempt.got["loss"]
    return got.dim() > 0 and got.numel() == 1 and close(got.reshape(()), attempt.expected["loss"])


MISTAKES = (
    _told("The sign is missing", lambda *a: -reference(*a), "−log, with a minus: a likely target is cheap."),
    _told("A sum, not a mean", lambda *a: each(*a).sum(), "the costs of all rows were added. Average them."),
    *(_told(title, _with(rule), ADVICE[title]) for title, rule in EXPONENTS.items()),
    _told("That is the cooperative loss", _of_the_blend, "yours is ½(t − y)²/σ² of the blend y. Here every expert's "
          "own answer is compared with the target; only the fits are blended."),
    _told("The logarithm is inside the sum", lambda g, o, t, s: (g.exp() * costs(o, t, s)).sum(-1).mean(), "yours is "
          "Σ g · ½(t − o)²/σ². The logarithm is taken of the whole sum Σ g · exp(…)."),
    _told("The best expert only", lambda *a: -joint(*a).amax(dim=-1).mean(), "yours takes the largest term. The loss "
          "adds the terms of all experts before the logarithm."),
    _told("A mean over the experts", lambda *a: reference(*a) + math.log(a[0].shape[1]), "the terms of the experts "
          "are added, not averaged: the gates sum to 1 already."),
    _told("Summed over the rows", _by_column, "each row is one target, explained by all experts: the sum inside the "
          "logarithm runs along the experts, the last dimension."),
    _told("One logarithm for all rows", lambda *a: -logsumexp(joint(*a).flatten()), "every row has a logarithm of "
          "its own; average those."),
    _told("The mean comes before the logarithm", lambda *a: -_likelihood(*a).mean().log(), "that is the cost of the "
          "mean likelihood. Each row has its own cost; average those."),
    _told("The logarithm is missing", lambda *a: _likelihood(*a).mean(), "yours is the mean likelihood. The cost is "
          "minus its logarithm."),
    _told("The logarithm is missing", lambda *a: -_likelihood(*a).mean(), "yours is minus the mean likelihood. The "
          "cost is minus its logarithm."),
    _told("Bits, not nats", lambda *a: reference(*a) / math.log(2), "take the natural logarithm."),
    _told("A normalised density", _density, "yours adds log(σ√(2π)), as a true density would. As long as σ is fixed "
          "that is a constant; the formula of this exercise leaves it out."),
    _told("Every gap is averaged first", lambda g, o, t, s: costs(o, t, s).mean(), "the gates and the logarithm are "
          "missing: that is the mean error of all experts."),
    _told("The distance is taken to the sum", lambda g, o, t, s: -logsumexp(g - costs(o.sum(1, True), t, s)).mean(),
          "each expert's own answer is compared with the target, not their sum."),
    seen("One loss for each row", _one_each, lambda a:
         f"`loss` is {shape_text(a.got['loss'])}: the costs are right, their mean is missing."),
    seen("A number in brackets", _not_bare, lambda a:
         f"`loss` is {shape_text(a.got['loss'])}: right, but a scalar has no dimension, `()`."),
    seen("The logarithm of 0", _overflows, lambda a:
         f"Your loss is {number(_got(a))}, expected {number(float(a.expected['loss']))}: in float32 exp of anything "
         "below −104 is 0, and its logarithm −inf. Stay with logarithms: log g + exponent, and `logsumexp` along the "
         "experts."),
    seen("The loss has a ceiling", _has_a_ceiling, lambda a:
         f"{_beside(a)}: a clamp, or a small number inside the logarithm, hides how wrong all experts are, and no "
         "gradient would tell them. `logsumexp` needs neither."),
    seen("A shut gate lost its expert", _lost_gate, lambda a:
         f"{_beside(a)}: one gate is exp(−120), which is 0 in float32, and with it went the only expert that fits. Do "
         "not turn `log_gates` into gates: add them to the exponent."),
)  # fmt: skip

MIXTURE_NLL = Exercise(
    id="2.2",
    name="mixture_nll",
    parameters=("log_gates", "outputs", "targets", "sigma"),
    sizes="NE",
    outputs=(Output("loss", strict_dtype=False),),
    reference=reference,
    cases=cases,
    mistakes=MISTAKES,
    hints=(
        "The logarithm of g · exp(z) is log g + z, and that never overflows. What is left is the logarithm of a sum of "
        "exponentials along the experts, which has a safe function of its own.",
        "Make a column of `targets` so that each meets every expert of its row; one table of log g − ½(gap / σ)²; then "
        "`logsumexp` along the last dimension, a minus, a mean.",
    ),
    minutes=12,
    lines="about 3 lines",
    done="An expert is judged by its own answer, in proportion to how well it fits.",
)
