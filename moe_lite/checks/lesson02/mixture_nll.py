"""Exercise 2.2, mixture_nll: the competitive loss of a mixture."""

import math
from collections.abc import Callable

from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.compare import close
from moe_lite.checks.engine.exercise import Attempt, Case, Exercise, Output
from moe_lite.checks.engine.mistakes import sign, wrong
from moe_lite.checks.lesson01.cross_entropy import IN_BRACKETS
from moe_lite.checks.lesson02.slips import (
    OTHER_EXPONENTS,
    beside_sigma,
    costs,
    drawn_with,
    far_trials,
    joint,
    logsumexp,
    one_expert,
    plain_trials,
)


def reference(log_gates: Tensor, outputs: Tensor, targets: Tensor, sigma: float) -> Tensor:
    """log_gates (N, E), outputs (N, E), targets (N,), sigma -> loss ()."""
    return each(log_gates, outputs, targets, sigma).mean()


def each(log_gates: Tensor, outputs: Tensor, targets: Tensor, sigma: float) -> Tensor:
    """−log Σ g exp(−½(t − o)²/σ²) of each row. (N,)"""
    return -logsumexp(joint(log_gates, outputs, targets, sigma))


def cases() -> tuple[Case, ...]:
    plain, far = plain_trials(), far_trials()
    first, last = inputs.usual(plain, plain, gradient=(0, 1), through=(plain[0], plain[2], far[0]))
    return (
        *first,
        Case("mean of −log Σ", plain, ("loss",)),
        Case("one expert", (one_expert(),), ("loss",)),
        Case("far targets, tiny gates", far, ("loss",)),
        *last,
    )


# ---- mistakes --------------------------------------------------------------------------------------------------------


def of_exponents(rule: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The loss with another exponent."""
    return lambda *args: -logsumexp(rule(*args)).mean()


def likelihood(*args) -> Tensor:
    return (-each(*args)).exp()  # (N,)


def of_the_blend(g: Tensor, o: Tensor, t: Tensor, s: float) -> Tensor:
    blend = (g.exp() * o).sum(dim=-1, keepdim=True)  # (N, 1)
    return costs(blend, t, s).mean()


def is_far(a: Attempt) -> bool:
    return a.got["loss"].dim() == 0 and float(a.expected["loss"]) > 80


def overflows(a: Attempt) -> bool:
    return a.got["loss"].dim() == 0 and not bool(a.got["loss"].isfinite())


def has_a_ceiling(a: Attempt) -> bool:
    return is_far(a) and 0 < float(a.got["loss"]) < float(a.expected["loss"])


def lost_gate(a: Attempt) -> bool:
    """An expert was lost because its gate is 0 as a float32: the others have to explain the target."""
    return is_far(a) and float(a.got["loss"]) > float(a.expected["loss"])


def one_each(a: Attempt) -> bool:
    return a.got["loss"].dim() > 0 and close(a.got["loss"].squeeze(), each(*a.args).squeeze())


MISTAKES = (
    wrong("The sign is missing", lambda *a: -reference(*a), "Yours is {loss.beside}: the loss is *minus* the "
          "logarithm, so that a target that fits well has a small loss."),
    wrong("A sum, not a mean", lambda *a: each(*a).sum(), "Yours is {loss.beside}: the costs of all rows were added. "
          "Average them."),
    *(wrong(title, of_exponents(rule), f"Yours is {{loss.beside}}: {advice}")
      for title, rule, advice in OTHER_EXPONENTS),
    wrong("That is the cooperative loss", of_the_blend, "Yours is {loss.beside}: yours is ½(t − y)²/σ² of the blend y. "
          "Here every expert's own answer is compared with the target; only the fits are blended."),
    wrong("The logarithm is inside the sum", lambda g, o, t, s: (g.exp() * costs(o, t, s)).sum(-1).mean(), "Yours is "
          "{loss.beside}: yours is Σ g · ½(t − o)²/σ². The logarithm is taken of the whole sum Σ g · exp(…)."),
    wrong("The best expert only", lambda *a: -joint(*a).amax(dim=-1).mean(), "Yours is {loss.beside}: yours takes the "
          "largest term. The loss adds the terms of all experts before the logarithm."),
    wrong("A mean over the experts", lambda *a: reference(*a) + math.log(a[0].shape[1]), "Yours is {loss.beside}: the "
          "terms of the experts are added, not averaged: the gates sum to 1 already."),
    wrong("Summed over the rows", lambda *a: -logsumexp(joint(*a), dim=0).mean(), "Yours is {loss.beside}: each row is "
          "one target, explained by all experts: the sum inside the logarithm runs along the experts, the last "
          "dimension."),
    wrong("One logarithm for all rows", lambda *a: -logsumexp(joint(*a).flatten()), "Yours is {loss.beside}: every row "
          "has a logarithm of its own; average those."),
    wrong("The mean comes before the logarithm", lambda *a: -likelihood(*a).mean().log(), "Yours is {loss.beside}: "
          "that is the cost of the mean likelihood. Each row has its own cost; average those."),
    wrong("The logarithm is missing", lambda *a: likelihood(*a).mean(), "Yours is {loss.beside}: yours is the mean "
          "likelihood. The cost is minus its logarithm."),
    wrong("The logarithm is missing", lambda *a: -likelihood(*a).mean(), "Yours is {loss.beside}: yours is minus the "
          "mean likelihood. The cost is minus its logarithm."),
    wrong("Bits, not nats", lambda *a: reference(*a) / math.log(2), "Yours is {loss.beside}: take the natural "
          "logarithm."),
    wrong("A normalised density", lambda *a: reference(*a) + math.log(a[3] * math.sqrt(2 * math.pi)), "Yours is "
          "{loss.beside}: yours adds log(σ√(2π)), as a true density would. As long as σ is fixed that is a constant; "
          "the formula of this exercise leaves it out."),
    wrong("Every gap is averaged first", lambda g, o, t, s: costs(o, t, s).mean(), "Yours is {loss.beside}: the gates "
          "and the logarithm are missing: that is the mean error of all experts."),
    wrong("The distance is taken to the sum", lambda g, o, t, s: -logsumexp(g - costs(o.sum(1, True), t, s)).mean(),
          "Yours is {loss.beside}: each expert's own answer is compared with the target, not their sum."),
    *beside_sigma(reference),
    sign("One loss for each row", one_each, "`loss` is {loss.shape}: the costs are right, their mean is missing."),
    IN_BRACKETS,
    sign("The logarithm of 0", overflows, "Your loss is {loss}, expected {right.loss}: in float32 exp of anything "
         "below −104 is 0, and its logarithm −inf. Stay with logarithms: log g + exponent, and `logsumexp` along the "
         "experts."),
    sign("The loss has a ceiling", has_a_ceiling, "Yours is {loss.beside}: a clamp, or a small number inside the "
         "logarithm, hides how wrong all experts are, and no gradient would tell them. `logsumexp` needs neither."),
    sign("The expert with a tiny gate was lost", lost_gate, "Yours is {loss.beside}: one gate is exp(−120), which is 0 "
         "in float32, and with it went the only expert that fits. Do not turn `log_gates` into gates: add them to the "
         "exponent."),
)  # fmt: skip

MIXTURE_NLL = Exercise(
    id="2.2", name="mixture_nll", parameters=("log_gates", "outputs", "targets", "sigma"), sizes="NE",
    outputs=(Output("loss", strict_dtype=False),), reference=reference, cases=cases, mistakes=MISTAKES,
    drawn=drawn_with(gradient=(0, 1)),
    hints=(
        "The logarithm of g · exp(z) is log g + z, and that never overflows. What is left is the logarithm of a sum of "
        "exponentials along the experts, which has a safe function of its own.",
        "Make a column of `targets` so that each meets every expert of its row; one table of log g − ½(gap / σ)²; then "
        "`logsumexp` along the last dimension, a minus, a mean.",
    ),
    minutes=12, lines="about 3 lines",
    done="An expert is judged by its own answer, in proportion to how well it fits.",
)  # fmt: skip
