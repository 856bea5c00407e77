"""Exercise 2.4, pulls: where either loss draws each expert's answer, by hand."""

from collections.abc import Callable

from torch import Tensor

from moe_lite.checks.engine.exercise import FORM, INPUT, REPEAT, Case, Exercise, Mistake, Output
from moe_lite.checks.engine.mistakes import one_of, ruled
from moe_lite.checks.lesson02.responsibilities import reference as responsible
from moe_lite.checks.lesson02.slips import F32, far_trials, first_cell, gaps, random_trial

Pull = Callable[[Tensor, Tensor, Tensor, float], Tensor]


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
    plain = (random_trial(1, 6, 4, 0.5), random_trial(2, 5, 3, 2.0, F32), random_trial(3, 4, 7, 0.8))
    return (
        Case("shapes and types", plain, (FORM,)),
        Case("input unchanged, no memory", plain[:1], (INPUT, REPEAT)),
        Case("the cooperative pull", plain, ("cooperative",)),
        Case("the competitive pull", plain, ("competitive",)),
        Case("one expert: both alike", (random_trial(4, 6, 1, 0.6),), ("cooperative", "competitive")),
        Case("far targets", far_trials()[:2], ("cooperative", "competitive")),
    )


def _about(output: str, title: str, rule: Pull, sentence: str) -> Mistake:
    return one_of(output, title, rule, lambda a: f"`{output}`: {first_cell(a, output)}: {sentence}")


def _both(title: str, change: Callable[[Tensor, Tensor, float], Tensor], sentence: str) -> Mistake:
    """Both pulls changed in the same way: change(pull (N, E), targets, sigma)."""

    def rule(g: Tensor, o: Tensor, t: Tensor, s: float) -> tuple[Tensor, ...]:
        return tuple(change(pull, t, s) for pull in reference(g, o, t, s))

    return ruled(title, rule, lambda a: f"`cooperative`: {first_cell(a, 'cooperative')}: {sentence}")


COOP, COMP = "cooperative", "competitive"
MISTAKES = (
    _both("The gradients, not the pulls", lambda p, t, s: -p, "yours are the slopes of the losses. Learning goes "
          "against them: a pull is *minus* the gradient, and points to the target."),
    _both("Divided by the number of rows", lambda p, t, s: p / len(t), "yours is the slope of the mean over all rows. "
          "Asked is each row's own loss."),
    _both("σ is missing", lambda p, t, s: p * s**2, "both losses are divided by σ², and so are the pulls."),
    _both("σ is not squared", lambda p, t, s: p * s, "the slope of ½(gap / σ)² is gap / σ²."),
    _both("Twice the pull", lambda p, t, s: 2 * p, "the ½ in the losses takes the 2 of the square away."),
    _about(COOP, "The cooperative pull looks at the expert's own gap", lambda g, o, t, s: g.exp() * gaps(o, t) / s**2,
           "yours uses t − o. This loss knows the blend only: all experts of a row meet the same gap, t − y."),
    _about(COOP, "The cooperative pull has no gate", lambda g, o, t, s: (blend_gap(g, o, t) / s**2).expand_as(o),
           "moving an answer by 1 moves the blend by its gate g: it stands in the pull as a factor."),
    _about(COOP, "The cooperative pull uses responsibilities", lambda g, o, t, s: responsible(g, o, t, s)
           * blend_gap(g, o, t) / s**2, "the blend is made with the gates; responsibilities belong to the other loss."),
    _about(COOP, "The gates are logarithms", lambda g, o, t, s: g * blend_gap(g, o, t) / s**2, "`log_gates` stands "
           "where the gates belong: take exp."),
    _about(COOP, "The blend is a plain mean", lambda g, o, t, s: g.exp() * (t - o.mean(1))[:, None] / s**2, "y is the "
           "sum of gate times answer."),
    _about(COOP, "The cooperative pull has the wrong sign", lambda *a: -cooperative(*a), "a pull is minus the "
           "gradient: where the blend is below the target, it draws upwards."),
    _about(COOP, "σ is missing", lambda *a: cooperative(*a) * a[3] ** 2, "this loss is divided by σ² as well."),
    _about(COMP, "The competitive pull uses the gates", lambda g, o, t, s: g.exp() * gaps(o, t) / s**2, "the slope of "
           "−log Σ weighs each expert by its part of the sum: its responsibility h, not its gate."),
    _about(COMP, "The competitive pull looks at the blend", lambda g, o, t, s: responsible(g, o, t, s)
           * blend_gap(g, o, t) / s**2, "yours uses t − y. In this loss every expert meets its own gap, t − o."),
    _about(COMP, "The competitive pull has no weight", lambda g, o, t, s: gaps(o, t) / s**2, "each expert is drawn "
           "with its responsibility h as a factor."),
    _about(COMP, "Divided by the responsibility", lambda g, o, t, s: gaps(o, t) / s**2 / responsible(g, o, t, s),
           "h multiplies: who is responsible for more is drawn more."),
    _about(COMP, "The competitive pull has the wrong sign", lambda *a: -competitive(*a), "a pull is minus the "
           "gradient: an answer below the target is drawn upwards."),
    _about(COMP, "σ is missing", lambda *a: competitive(*a) * a[3] ** 2, "the slope of ½(gap / σ)² is gap / σ²."),
    _about(COMP, "σ is not squared", lambda *a: competitive(*a) * a[3], "the slope of ½(gap / σ)² is gap / σ²."),
)  # fmt: skip

PULLS = Exercise(
    id="2.4",
    name="pulls",
    parameters=("log_gates", "outputs", "targets", "sigma"),
    sizes="NE",
    outputs=(Output(COOP, "N, E", expert_columns=True), Output(COMP, "N, E", expert_columns=True)),
    reference=reference,
    cases=cases,
    mistakes=MISTAKES,
    hints=(
        "Cooperative: how far the blend is off, times how much this answer moves the blend. Competitive: how far the "
        "answer itself is off, times its part of the sum inside the logarithm.",
        "Two tables with the same σ² below: a gap that is one column for all experts, weighed by gates; a gap of each "
        "expert's own, weighed by a softmax that you have written.",
    ),
    minutes=12,
    lines="about 4 lines",
    done="One formula shares the blame for the blend, the other hands each case to whoever is nearly right.",
    stretch=True,
    differentiable=False,
)
