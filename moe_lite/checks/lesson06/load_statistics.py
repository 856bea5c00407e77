"""Exercise 6.1, load_statistics: four numbers that say how even a load is."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.exercise import Case, Drawn, Exercise, Mistake, Output, Trial
from moe_lite.checks.engine.mistakes import off, sign

DEAD_BELOW = 0.01  # of the mean load
MILLIONS = "16,777,216 each, or one more"


def reference(load: Tensor) -> tuple[float, float, float, int]:
    """load (E,) int64 -> entropy over log E, CV, maximum violation, dead experts."""
    share, mean = load.double() / load.sum(), load.double().mean()
    entropy = -sum(p * math.log(p) for p in share.tolist() if p) / math.log(len(load))
    cv = (load - mean).square().mean().sqrt() / mean
    return entropy, cv.item(), (load.max() / mean - 1).item(), int((load < DEAD_BELOW * mean).sum())


# ---- inputs ----------------------------------------------------------------------------------------------------------


def cases() -> tuple[Case, ...]:
    plain = (random(1, 7), random(2, 12), random(3, 5))
    silent = (random(4, 9, n_silent=3), random(5, 6, n_silent=1))
    thin = (trial([1000, 3, 997, 5, 32, 0, 1000, 9, 11], "nine experts, some nearly idle"),)
    edge = (trial([199, 1], "an expert at exactly a hundredth of the mean"),)
    alone = (trial([0, 0, 37, 0], "everything on one expert"),)
    first, _ = inputs.usual(plain, plain, name="three floats and a whole number")
    return (
        *first,
        Case("entropy", plain, ("entropy",)),
        Case("coefficient of variation", plain, ("cv",)),
        Case("maximum violation", plain, ("max_violation",)),
        Case("experts without a token", (*silent, *alone), ("entropy", "cv", "max_violation", "dead")),
        Case("dead ones", (*thin, *edge, *silent), ("dead",)),
    )


def random(seed: int, n_experts: int, n_silent: int = 0) -> Trial:
    load = torch.randint(20, 200, (n_experts,), generator=inputs.generator(seed))
    load[:n_silent] = 0
    order = torch.randperm(n_experts, generator=inputs.generator(seed))
    return Trial((load[order],), f"seed {seed}, {n_experts} experts")


def trial(load: list[int], note: str) -> Trial:
    return Trial((torch.tensor(load),), note)


def drawn(seed: int, E: int) -> tuple:
    """At least two experts: one alone has no entropy to speak of."""
    return (torch.randint(0, 50, (max(E, 2),), generator=inputs.generator(seed)) + 1,)


def extremes(seed: int) -> tuple[Trial, ...]:
    load = drawn(seed, 7)[0]
    return (
        Trial((load * 10**12,), "loads in the trillions"),
        Trial((torch.full_like(load, 3),), "an even load"),
        Trial((torch.full_like(load, 2**24) + (torch.arange(7) < 3),), MILLIONS),
        Trial((torch.where(load > 40, load, 0) + torch.eye(7, dtype=torch.int64)[0],), "few experts at work"),
    )


DRAWN = Drawn(drawn, {"E": 7}, long="", float32=False, not_expanded=(0,), extremes=extremes)


# ---- mistakes --------------------------------------------------------------------------------------------------------


def statistic(output: str, title: str, rule: Callable[[Tensor], Tensor | float], say: str) -> Mistake:
    """`rule` gets the load in float64. What it gives is compared in float32: a learner may have computed in that."""

    def rounded(load: Tensor) -> Tensor:
        value = torch.as_tensor(rule(load.double()))
        return value.float() if value.is_floating_point() else value

    return off(output, title, rounded, say)


def entropy(load: Tensor) -> Tensor:
    """In nats."""
    return torch.special.entr(load / load.sum()).sum()


def in_use(load: Tensor) -> int:
    """Experts with a token, but at least two: the logarithm of 1 is 0."""
    return max(2, int((load > 0).sum()))


def deviation(load: Tensor) -> Tensor:
    return load.std(correction=0)


MISTAKES = (
    statistic("entropy", "The entropy is not divided by log E", entropy, "divide by log E, the largest that it can be, "
              "so that 1 is even whatever the number of experts."),
    statistic("entropy", "The entropy is in bits", lambda x: entropy(x) / math.log(2), "this is in bits, and not yet "
              "divided by log E, the largest that it can be."),
    statistic("entropy", "Two different logarithms", lambda x: entropy(x) / math.log2(len(x)), "the share's logarithm "
              "is natural, that of E has base 2. One base for both."),
    statistic("entropy", "Two different logarithms", lambda x: entropy(x) / math.log(2) / math.log(len(x)), "the "
              "share's logarithm has base 2, that of E is natural. One base for both."),
    statistic("entropy", "The sign is missing", lambda x: -entropy(x) / math.log(len(x)), "the logarithm of a share is "
              "negative: the sum needs a minus."),
    statistic("entropy", "The sign is missing", lambda x: -entropy(x), "the logarithm of a share is negative, so the "
              "sum needs a minus; and it is divided by log E."),
    statistic("entropy", "Divided by E, not by its logarithm", lambda x: entropy(x) / len(x), "the largest entropy of "
              "E experts is log E."),
    statistic("entropy", "The mean, not the sum", lambda x: entropy(x) / len(x) / math.log(len(x)), "entropy sums over "
              "the experts."),
    statistic("entropy", "The entropy of counts, not of shares",
              lambda x: torch.special.entr(x).sum() / math.log(len(x)), "entropy is of shares that sum to 1: divide "
              "the load by its sum first."),
    statistic("entropy", "Divided by the log of the experts in use", lambda x: entropy(x) / math.log(in_use(x)), "E "
              "counts all experts, also those without a token: two that share everything are not an even layer."),
    statistic("entropy", "1 is even, not 0", lambda x: 1 - entropy(x) / math.log(len(x)), "yours is 0 for an even "
              "load. The entropy over log E is 1 there."),
    sign("Experts without a token give nan", lambda a: bool(a.got["entropy"].isnan()), "0 · log 0 is not a number to a "
         "computer; its limit is 0, and an idle expert adds nothing. `torch.special.entr` knows that."),
    sign("Counted in float32", lambda a: a.trial.note == MILLIONS, "With loads of {load[0]} and {load[6]} the CV is "
         "{cv:3}, expected {right.cv:3}. float32 does not tell these two apart, and a difference of large squares "
         "loses them too: begin with `load.double()`, and square deviations from the mean."),
    statistic("cv", "Divided by E − 1", lambda x: x.std() / x.mean(), "`std` divides by E − 1 unless told "
              "`correction=0`. These are all the experts, not a sample of them."),
    statistic("cv", "The deviation is not divided by the mean", deviation, "CV is the deviation *over the mean*: twice "
              "as many tokens must not change it."),
    statistic("cv", "The deviation is not divided by the mean", lambda x: x.std(), "CV is the deviation *over the "
              "mean*, and the deviation is taken with `correction=0`."),
    statistic("cv", "The variance, not the deviation", lambda x: x.var(correction=0) / x.mean(), "take the square root "
              "of the mean squared deviation before you divide by the mean."),
    statistic("cv", "CV squared", lambda x: x.var(correction=0) / x.mean() ** 2, "this is its square: the square root "
              "is missing."),
    statistic("cv", "Mean absolute deviation", lambda x: (x - x.mean()).abs().mean() / x.mean(), "deviations are "
              "squared, averaged, and the root taken."),
    statistic("cv", "The deviation of the shares", lambda x: deviation(x / x.sum()), "shares have the mean 1/E: divide "
              "by it as well."),
    statistic("cv", "Upside down", lambda x: x.mean() / deviation(x), "the deviation stands above, the mean below: 0 "
              "is even."),
    statistic("cv", "Divided by the median", lambda x: deviation(x) / x.median(), "divide by the mean."),
    statistic("max_violation", "1 is not taken off", lambda x: x.max() / x.mean(), "this is the busiest over the mean. "
              "How far it is *above* the mean is 1 less, so that 0 is even."),
    statistic("max_violation", "In assignments, not in means", lambda x: x.max() - x.mean(), "divide by the mean: "
              "twice as many tokens must not change it."),
    statistic("max_violation", "The least used, not the busiest", lambda x: x.min() / x.mean() - 1, "the *busiest* "
              "expert over the mean, minus 1."),
    statistic("max_violation", "The least used, not the busiest", lambda x: 1 - x.min() / x.mean(), "the *busiest* "
              "expert over the mean, minus 1."),
    statistic("max_violation", "Busiest minus least used", lambda x: (x.max() - x.min()) / x.mean(), "the distance is "
              "taken from the *mean*."),
    statistic("max_violation", "The largest share", lambda x: x.max() / x.sum(), "this is a share of all assignments. "
              "Compare the busiest with the mean."),
    statistic("max_violation", "Busiest over least used", lambda x: x.max() / x.min(), "compare the busiest with the "
              "mean."),
    statistic("dead", "Only those with nothing at all", lambda x: (x == 0).sum(), "an expert with a handful of tokens "
              "among thousands is dead as well: the line is a hundredth of the mean."),
    statistic("dead", "Exactly a hundredth is alive", lambda x: (x <= DEAD_BELOW * x.mean()).sum(), "dead is *less "
              "than* a hundredth of the mean."),
    statistic("dead", "A hundredth of all, not of the mean", lambda x: (x < DEAD_BELOW * x.sum()).sum(), "the line is "
              "a hundredth of the *mean* load, not of the sum."),
    statistic("dead", "A hundredth of the busiest", lambda x: (x < DEAD_BELOW * x.max()).sum(), "the line is a "
              "hundredth of the *mean* load."),
    statistic("dead", "A tenth, not a hundredth", lambda x: (x < 0.1 * x.mean()).sum(), "the line is at 1 % of the "
              "mean."),
    statistic("dead", "Less than the mean is not dead", lambda x: (x < x.mean()).sum(), "half of all experts are below "
              "the mean; the line is a hundredth of it."),
    statistic("dead", "The living are counted", lambda x: (x >= DEAD_BELOW * x.mean()).sum(), "these are the experts "
              "at work. Count the others."),
)  # fmt: skip

OUTPUTS = (*(Output(name, real=True) for name in ("entropy", "cv", "max_violation")), Output("dead", whole=True))
LOAD_STATISTICS = Exercise(
    id="6.1", name="load_statistics", parameters=("load",), sizes="E", outputs=OUTPUTS, reference=reference,
    cases=cases, mistakes=MISTAKES,
    drawn=DRAWN,
    hints=(
        "`mean` and `std` want floating-point numbers: begin with `load.double()`. An even load has entropy 1, CV 0 "
        "and violation 0, whatever its size.",
        "The shares are `load / load.sum()`; `torch.special.entr(p)` is −p · log p, and 0 at 0. `std` has an argument "
        "`correction`. `.item()` makes a number of a tensor.",
    ),
    minutes=8, lines="about 6 lines", done="Four numbers that this course uses from here on, always by layer.",
)  # fmt: skip
