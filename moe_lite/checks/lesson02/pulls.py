"""Exercise 2.4, pulls: where either loss draws each expert's answer, by hand."""

from collections.abc import Callable

from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.exercise import Case, Exercise, Mistake, Output
from moe_lite.checks.engine.mistakes import wrong
from moe_lite.checks.lesson02.responsibilities import reference as responsible
from moe_lite.checks.lesson02.slips import (
    about,
    beside_sigma,
    drawn_with,
    far_trials,
    first_cell,
    gaps,
    one_expert,
    plain_trials,
)

COOP, COMP = "cooperative", "competitive"


def blend_gap(g: Tensor, o: Tensor, t: Tensor) -> Tensor:
    """t − y, for every expert of a row the same. (N, 1)"""
    return (t - (g.exp() * o).sum(dim=-1))[:, None]


def cooperative(g: Tensor, o: Tensor, t: Tensor, s: float) -> Tensor:
    return g.exp() * blend_gap(g, o, t) / s**2


def competitive(g: Tensor, o: Tensor, t: Tensor, s: float) -> Tensor:
    return responsible(g, o, t, s) * gaps(o, t) / s**2


def reference(log_gates: Tensor, outputs: Tensor, targets: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
    """log_gates (N, E), outputs (N, E), targets (N,), sigma -> cooperative (N, E), competitive (N, E)."""
    args = log_gates, outputs, targets, sigma
    return cooperative(*args), competitive(*args)


def cases() -> tuple[Case, ...]:
    plain = plain_trials()
    first, _ = inputs.usual(plain, plain)
    return (
        *first,
        Case("the cooperative pull", plain, (COOP,)),
        Case("the competitive pull", plain, (COMP,)),
        Case("one expert: both alike", (one_expert(),), (COOP, COMP)),
        Case("far targets", far_trials()[:2], (COOP, COMP)),
    )


# ---- mistakes --------------------------------------------------------------------------------------------------------


def both(title: str, change: Callable[[Tensor, Tensor, float], Tensor], sentence: str) -> Mistake:
    """Both pulls changed in the same way: change(pull (N, E), targets, sigma)."""

    def rule(g: Tensor, o: Tensor, t: Tensor, s: float) -> tuple[Tensor, ...]:
        return tuple(change(pull, t, s) for pull in reference(g, o, t, s))

    return wrong(title, rule, lambda a: f"`{COOP}`: {first_cell(a, COOP)}: {sentence}")


MISTAKES = (
    both("The gradients, not the pulls", lambda p, t, s: -p, "yours are the slopes of the losses. Learning goes "
         "against them: a pull is *minus* the gradient, and points to the target."),
    both("Divided by the number of rows", lambda p, t, s: p / len(t), "yours is the slope of the mean over all rows. "
         "Asked is each row's own loss."),
    both("σ is missing", lambda p, t, s: p * s**2, "both losses are divided by σ², and so are the pulls."),
    both("σ is not squared", lambda p, t, s: p * s, "the slope of ½(gap / σ)² is gap / σ²."),
    both("Twice the pull", lambda p, t, s: 2 * p, "the ½ in the losses takes the 2 of the square away."),
    about(COOP, "The cooperative pull looks at the expert's own gap", lambda g, o, t, s: g.exp() * gaps(o, t) / s**2,
          "yours uses t − o. This loss knows the blend only: all experts of a row meet the same gap, t − y."),
    about(COOP, "The cooperative pull has no gate", lambda g, o, t, s: (blend_gap(g, o, t) / s**2).expand_as(o),
          "moving an answer by 1 moves the blend by its gate g: it stands in the pull as a factor."),
    about(COOP, "The cooperative pull uses responsibilities", lambda g, o, t, s: responsible(g, o, t, s)
          * blend_gap(g, o, t) / s**2, "the blend is made with the gates; responsibilities belong to the other loss."),
    about(COOP, "The gates are logarithms", lambda g, o, t, s: g * blend_gap(g, o, t) / s**2, "`log_gates` stands "
          "where the gates belong: take exp."),
    about(COOP, "The blend is a plain mean", lambda g, o, t, s: g.exp() * (t - o.mean(1))[:, None] / s**2, "y is the "
          "sum of gate times answer."),
    about(COOP, "The cooperative pull has the wrong sign", lambda *a: -cooperative(*a), "a pull is minus the "
          "gradient: where the blend is below the target, it draws upwards."),
    about(COOP, "σ is missing", lambda *a: cooperative(*a) * a[3] ** 2, "this loss is divided by σ² as well."),
    about(COMP, "The competitive pull uses the gates", lambda g, o, t, s: g.exp() * gaps(o, t) / s**2, "the slope of "
          "−log Σ weighs each expert by its part of the sum: its responsibility h, not its gate."),
    about(COMP, "The competitive pull looks at the blend", lambda g, o, t, s: responsible(g, o, t, s)
          * blend_gap(g, o, t) / s**2, "yours uses t − y. In this loss every expert meets its own gap, t − o."),
    about(COMP, "The competitive pull has no weight", lambda g, o, t, s: gaps(o, t) / s**2, "each expert is drawn "
          "with its responsibility h as a factor."),
    about(COMP, "Divided by the responsibility", lambda g, o, t, s: gaps(o, t) / s**2 / responsible(g, o, t, s),
          "h multiplies: the larger an expert's responsibility, the stronger its pull."),
    about(COMP, "The competitive pull has the wrong sign", lambda *a: -competitive(*a), "a pull is minus the "
          "gradient: an answer below the target is drawn upwards."),
    about(COMP, "σ is missing", lambda *a: competitive(*a) * a[3] ** 2, "the slope of ½(gap / σ)² is gap / σ²."),
    about(COMP, "σ is not squared", lambda *a: competitive(*a) * a[3], "the slope of ½(gap / σ)² is gap / σ²."),
    *beside_sigma(reference),
)  # fmt: skip

PULLS = Exercise(
    id="2.4", name="pulls", parameters=("log_gates", "outputs", "targets", "sigma"), sizes="NE", differentiable=False,
    left_to_you=("grad", "backward"),
    outputs=(Output(COOP, "N, E", expert_columns=True), Output(COMP, "N, E", expert_columns=True)),
    reference=reference, cases=cases, mistakes=MISTAKES,
    drawn=drawn_with(),
    hints=(
        "Cooperative: how far the blend is off, times how much this answer moves the blend. Competitive: how far the "
        "answer itself is off, times its part of the sum inside the logarithm.",
        "Two tables with the same σ² below: a gap that is one column for all experts, weighed by gates; a gap of each "
        "expert's own, weighed by a softmax that you have written.",
    ),
    minutes=12, lines="about 4 lines", stretch=True,
    done="The cooperative pull shares the blend's error among all experts; the competitive one looks at each alone.",
)  # fmt: skip
