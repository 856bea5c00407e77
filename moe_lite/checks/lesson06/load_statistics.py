"""Exercises 6.1, load_statistics, and 6.3, pick_coefficient: how even a load is, and what keeps it so."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.compare import decimals_that_differ, number
from moe_lite.checks.engine.exercise import FORM, INPUT, REPEAT, Attempt, Case, Exercise, Mistake, Output, Trial
from moe_lite.checks.engine.mistakes import one_of, seen

DEAD_BELOW = 0.01  # of the mean load


def told(name: str, sentence: str) -> Callable[[Attempt], str]:
    """The learner's number of this output beside the expected one, then `sentence`."""

    def text(attempt: Attempt) -> str:
        got, expected = attempt.got[name].item(), attempt.expected[name].item()
        decimals = 0 if attempt.expected[name].dtype == torch.int64 else decimals_that_differ([(got, expected)], 3)
        values = f"`{name}` is {number(got, decimals)}, expected {number(expected, decimals)}"
        return f"{values}, for {attempt.trial.note}: {sentence}"

    return text


# ---- 6.1 -------------------------------------------------------------------------------------------------------------


def statistics(load: Tensor) -> tuple[float, float, float, int]:
    """load (E,) int64 -> entropy over log E, CV, maximum violation, dead experts."""
    share, mean = load.double() / load.sum(), load.double().mean()
    entropy = -sum(p * math.log(p) for p in share.tolist() if p) / math.log(len(load))
    cv = (load - mean).square().mean().sqrt() / mean
    return entropy, cv.item(), (load.max() / mean - 1).item(), int((load < DEAD_BELOW * mean).sum())


def load_cases() -> tuple[Case, ...]:
    plain = (_load(1, 7), _load(2, 12), _load(3, 5))
    silent = (_load(4, 9, n_silent=3), _load(5, 6, n_silent=1))
    thin = (_trial([1000, 3, 997, 5, 32, 0, 1000, 9, 11], "nine experts, some nearly idle"),)
    edge = (_trial([199, 1], "an expert at exactly a hundredth of the mean"),)
    alone = (_trial([0, 0, 37, 0], "everything on one expert"),)
    return (
        Case("three floats and a whole number", plain, (FORM,)),
        Case("input unchanged, no memory", plain[:1], (INPUT, REPEAT)),
        Case("entropy", plain, ("entropy",)),
        Case("coefficient of variation", plain, ("cv",)),
        Case("maximum violation", plain, ("max_violation",)),
        Case("experts without a token", (*silent, *alone), ("entropy", "cv", "max_violation", "dead")),
        Case("dead ones", (*thin, *edge, *silent), ("dead",)),
    )


def _load(seed: int, n_experts: int, n_silent: int = 0) -> Trial:
    load = torch.randint(20, 200, (n_experts,), generator=inputs.generator(seed))
    load[:n_silent] = 0
    return Trial(
        (load[torch.randperm(n_experts, generator=inputs.generator(seed))],), f"seed {seed}, {n_experts} experts"
    )


def _trial(load: list[int], note: str) -> Trial:
    return Trial((torch.tensor(load),), note)


def _rule(output: str, title: str, rule: Callable[[Tensor], float], sentence: str) -> Mistake:
    """`rule` gets the load in float64."""
    return one_of(output, title, lambda load: torch.tensor(rule(load.double())), told(output, sentence))


def _entropy(load: Tensor) -> float:
    share = load / load.sum()
    return torch.special.entr(share).sum().item()


LOAD_MISTAKES = (
    _rule("entropy", "The entropy is not divided by log E", _entropy, "divide by log E, the largest that it can be, so "
          "that 1 is even whatever the number of experts."),
    _rule("entropy", "The entropy is in bits", lambda x: _entropy(x) / math.log(2), "this is in bits, and not yet "
          "divided by log E, the largest that it can be."),
    _rule("entropy", "Two different logarithms", lambda x: _entropy(x) / math.log2(len(x)), "the share's logarithm is "
          "natural, that of E has base 2. One base for both."),
    _rule("entropy", "Two different logarithms", lambda x: _entropy(x) / math.log(2) / math.log(len(x)), "the share's "
          "logarithm has base 2, that of E is natural. One base for both."),
    _rule("entropy", "The sign is missing", lambda x: -_entropy(x) / math.log(len(x)), "the logarithm of a share is "
          "negative: the sum needs a minus."),
    _rule("entropy", "The sign is missing", lambda x: -_entropy(x), "the logarithm of a share is negative, so the sum "
          "needs a minus; and it is divided by log E."),
    _rule("entropy", "Divided by E, not by its logarithm", lambda x: _entropy(x) / len(x), "the largest entropy of E "
          "experts is log E."),
    _rule("entropy", "The mean, not the sum", lambda x: _entropy(x) / len(x) / math.log(len(x)), "entropy sums over "
          "the experts."),
    _rule("entropy", "The entropy of counts, not of shares", lambda x: torch.special.entr(x).sum().item() /
          math.log(len(x)), "entropy is of shares that sum to 1: divide the load by its sum first."),
    _rule("entropy", "Divided by the log of the experts in use", lambda x: _entropy(x) / math.log(max(2, int((x > 0)
          .sum()))), "E counts all experts, also those without a token: two that share everything are not "
          "an even layer."),
    _rule("entropy", "1 is even, not 0", lambda x: 1 - _entropy(x) / math.log(len(x)), "yours is 0 for an even load. "
          "The entropy over log E is 1 there."),
    seen("Experts without a token give nan", lambda a: bool(a.got["entropy"].isnan()), "0 · log 0 is not a number to a "
         "computer; its limit is 0, and an idle expert adds nothing. `torch.special.entr` knows that."),
    _rule("cv", "Divided by E − 1", lambda x: (x.std() / x.mean()).item(), "`std` divides by E − 1 unless told "
          "`correction=0`. These are all the experts, not a sample of them."),
    _rule("cv", "The deviation is not divided by the mean", lambda x: x.std(correction=0).item(), "CV is the deviation "
          "*over the mean*: twice as many tokens must not change it."),
    _rule("cv", "The deviation is not divided by the mean", lambda x: x.std().item(), "CV is the deviation *over the "
          "mean*, and the deviation is taken with `correction=0`."),
    _rule("cv", "The variance, not the deviation", lambda x: (x.var(correction=0) / x.mean()).item(), "take the square "
          "root of the mean squared deviation before you divide by the mean."),
    _rule("cv", "CV squared", lambda x: (x.var(correction=0) / x.mean() ** 2).item(), "this is its square: the square "
          "root is missing."),
    _rule("cv", "Mean absolute deviation", lambda x: ((x - x.mean()).abs().mean() / x.mean()).item(), "deviations are "
          "squared, averaged, and the root taken."),
    _rule("cv", "The deviation of the shares", lambda x: (x / x.sum()).std(correction=0).item(), "shares have the mean "
          "1/E: divide by it as well."),
    _rule("cv", "Upside down", lambda x: (x.mean() / x.std(correction=0)).item(), "the deviation stands above, the "
          "mean below: 0 is even."),
    _rule("cv", "Divided by the median", lambda x: (x.std(correction=0) / x.median()).item(), "divide by the mean."),
    _rule("max_violation", "1 is not taken off", lambda x: (x.max() / x.mean()).item(), "this is the fullest over the "
          "mean. How far it is *above* the mean is 1 less, so that 0 is even."),
    _rule("max_violation", "In assignments, not in means", lambda x: (x.max() - x.mean()).item(), "divide by the mean: "
          "twice as many tokens must not change it."),
    _rule("max_violation", "The emptiest, not the fullest", lambda x: (x.min() / x.mean() - 1).item(), "the *fullest* "
          "expert over the mean, minus 1."),
    _rule("max_violation", "The emptiest, not the fullest", lambda x: (1 - x.min() / x.mean()).item(), "the *fullest* "
          "expert over the mean, minus 1."),
    _rule("max_violation", "Fullest minus emptiest", lambda x: ((x.max() - x.min()) / x.mean()).item(), "the "
          "distance is taken from the *mean*."),
    _rule("max_violation", "The largest share", lambda x: (x.max() / x.sum()).item(), "this is a share of all "
          "assignments. Compare the fullest with the mean."),
    _rule("max_violation", "Fullest over emptiest", lambda x: (x.max() / x.min()).item(), "compare the fullest with "
          "the mean."),
    _rule("dead", "Only those with nothing at all", lambda x: int((x == 0).sum()), "an expert with a handful of tokens "
          "among thousands is dead as well: the line is a hundredth of the mean."),
    _rule("dead", "Exactly a hundredth is alive", lambda x: int((x <= DEAD_BELOW * x.mean()).sum()), "dead is *less "
          "than* a hundredth of the mean."),
    _rule("dead", "A hundredth of all, not of the mean", lambda x: int((x < DEAD_BELOW * x.sum()).sum()), "the line is "
          "a hundredth of the *mean* load, not of the sum."),
    _rule("dead", "A hundredth of the fullest", lambda x: int((x < DEAD_BELOW * x.max()).sum()), "the line is a "
          "hundredth of the *mean* load."),
    _rule("dead", "A tenth, not a hundredth", lambda x: int((x < 0.1 * x.mean()).sum()), "the line is at 1 % of the "
          "mean."),
    _rule("dead", "Less than the mean is not dead", lambda x: int((x < x.mean()).sum()), "half of all experts are "
          "below the mean; the line is a hundredth of it."),
    _rule("dead", "Counted are the living", lambda x: int((x >= DEAD_BELOW * x.mean()).sum()), "these are the experts "
          "at work. Count the others."),
    _rule("dead", "A share, not a number", lambda x: (x < DEAD_BELOW * x.mean()).double().mean().item(), "asked is how "
          "many, a whole number."),
)  # fmt: skip

LOAD_STATISTICS = Exercise(
    id="6.1",
    name="load_statistics",
    parameters=("load",),
    sizes="E",
    outputs=(
        Output("entropy", real=True), Output("cv", real=True), Output("max_violation", real=True),
        Output("dead", whole=True),
    ),
    reference=statistics,
    cases=load_cases,
    mistakes=LOAD_MISTAKES,
    hints=(
        "`mean` and `std` want floating-point numbers: begin with `load.double()`. An even load has entropy 1, CV 0 "
        "and violation 0, whatever its size.",
        "The shares are `load / load.sum()`; `torch.special.entr(p)` is −p · log p, and 0 at 0. `std` has an argument "
        "`correction`. `.item()` makes a number of a tensor.",
    ),
    minutes=8,
    lines="about 6 lines",
    done="Four numbers that this course uses from here on, always by layer.",
)  # fmt: skip


# ---- 6.3 -------------------------------------------------------------------------------------------------------------


def smallest(coefficients: list[float], loads: Tensor, limit: float) -> float:
    """loads (C, S, L, E) -> the first coefficient with every violation at most `limit`, inf if there is none."""
    return _first(coefficients, _violation(loads).flatten(1).amax(dim=1) <= limit)


def _violation(loads: Tensor) -> Tensor:
    loads = loads.double()
    return loads.amax(dim=-1) / loads.mean(dim=-1) - 1  # (C, S, L)


def _first(coefficients: list[float], fits: Tensor) -> float:
    return next((c for c, fit in zip(coefficients, fits.tolist(), strict=True) if fit), math.inf)


def pick_cases() -> tuple[Case, ...]:
    steps = [0.0, 0.001, 0.01, 0.1, 1.0]
    plain = (_grid(1, steps, 2.0), _grid(2, steps, 1.0, (4, 3, 7)), _grid(3, steps[1:], 0.6, (3, 2, 8)))
    uneven = (_one_bad(4, steps, (2, 1, 0)), _one_bad(5, steps, (3, 2, 1)), _one_bad(6, steps, (2, 0, 1)))
    loads = torch.tensor([[[[9, 3, 3, 1]]], [[[6, 4, 4, 2]]], [[[5, 4, 4, 3]]]])  # mean 4: 1.25, 0.5 and 0.25 above
    exact = (Trial(([0.0, 0.1, 0.2], loads, 0.5), "a violation of exactly the limit"),)
    idle = torch.tensor([[[[9, 3, 3, 1]]], [[[5, 5, 5, 1]]], [[[5, 4, 4, 3]]]])  # mean 4; the second: 3 below it
    below = (Trial(([0.0, 0.1, 0.2], idle, 0.5), "an expert far below the mean, none far above"),)
    none = (Trial(([0.0, 0.1, 0.2], loads, 0.1), "no coefficient is enough"),)
    back = (
        Trial(([0.0, 0.1, 0.2, 0.3], torch.cat([loads, loads[:1]]), 0.6), "the largest coefficient is worse again"),
    )
    return (
        Case("a float", plain, (FORM,)),
        Case("input unchanged, no memory", plain[:1], (INPUT, REPEAT)),
        Case("the smallest that keeps the limit", plain, ("coefficient",)),
        Case("every seed and every layer", (*uneven, _opposite("seeds"), _opposite("layers")), ("coefficient",)),
        Case("exactly the limit", exact + below, ("coefficient",)),
        Case("none keeps it", none, ("coefficient",)),
        Case("the last is not always best", back, ("coefficient",)),
    )


def _grid(
    seed: int, coefficients: list[float], limit: float, shape: tuple[int, int, int] = (3, 2, 6)
) -> Trial:  # fmt: skip
    """Loads (C, S, L, E), S, L and E in `shape`, that get more even from coefficient to coefficient."""
    g = inputs.generator(seed)
    spread = torch.linspace(3.5, 0.2, len(coefficients)).view(-1, 1, 1, 1)
    skew = torch.rand(len(coefficients), *shape, generator=g) * spread
    loads = (100 * skew.exp()).round().long()
    return Trial((coefficients, loads, limit), f"seed {seed}, limit {limit}")


def _one_bad(seed: int, coefficients: list[float], bad: tuple[int, int, int]) -> Trial:
    """From the third coefficient on all is even, but for one layer of one seed at `bad`: coefficient, seed, layer."""
    trial = _grid(seed, coefficients, 1.0)
    loads = trial.args[1].clone()
    loads[2:] = torch.randint(95, 105, loads[2:].shape, generator=inputs.generator(seed))
    loads[: bad[0]] = torch.tensor([600, 20, 20, 20, 20, 20])
    loads[bad] = torch.tensor([400, 60, 50, 45, 40, 5])
    return Trial((coefficients, loads, 1.0), f"one layer of seed {bad[1]} over the limit")


def _opposite(what: str) -> Trial:
    """At the second coefficient two seeds, or two layers, overload different experts: added up they look even."""
    one, other = torch.tensor([8, 2, 2]), torch.tensor([2, 8, 2])
    pair = torch.stack([one, other])[:, None] if what == "seeds" else torch.stack([one, other])  # (S, 1, E), (L, E)
    second = pair.expand(2, 2, 3)
    loads = torch.stack([torch.tensor([10, 1, 1]).expand(2, 2, 3), second, torch.full((2, 2, 3), 4)])
    return Trial(([0.0, 0.1, 0.2], loads, 0.6), f"{what} that overload different experts")


def _pick(title: str, rule: Callable[[list[float], Tensor, float], float], sentence: str) -> Mistake:
    def as_tensor(coefficients: list[float], loads: Tensor, limit: float) -> Tensor:
        return torch.tensor(float(rule(coefficients, loads, limit)), dtype=torch.float64)

    return one_of("coefficient", title, as_tensor, told("coefficient", sentence))


def _by_mean(dims: tuple[int, ...]) -> Callable[[list[float], Tensor, float], float]:
    """The violation is averaged over some of its dimensions, the worst of the rest decides."""

    def rule(coefficients: list[float], loads: Tensor, limit: float) -> float:
        violation = _violation(loads).mean(dim=dims, keepdim=True)
        return _first(coefficients, violation.flatten(1).amax(dim=1) <= limit)

    return rule


def _pooled(dims: tuple[int, ...]) -> Callable[[list[float], Tensor, float], float]:
    def rule(coefficients: list[float], loads: Tensor, limit: float) -> float:
        return smallest(coefficients, loads.sum(dim=dims, keepdim=True), limit)

    return rule


def _last(coefficients: list[float], loads: Tensor, limit: float) -> float:
    return _first(coefficients[::-1], (_violation(loads).flatten(1).amax(dim=1) <= limit).flip(0))


def _or(coefficients: list[float], loads: Tensor, limit: float, otherwise: float) -> float:
    found = smallest(coefficients, loads, limit)
    return otherwise if found == math.inf else found


def _index(coefficients: list[float], loads: Tensor, limit: float) -> float:
    found = smallest(coefficients, loads, limit)
    return coefficients.index(found) if found in coefficients else -1


def _most_even(coefficients: list[float], loads: Tensor, limit: float) -> float:
    worst = _violation(loads).flatten(1).amax(dim=1)  # (C,)
    return coefficients[int(worst.argmin())] if worst.min() <= limit else math.inf


PICK_MISTAKES = (
    _pick("The mean over the seeds", _by_mean((1,)), "averaged over seeds the limit is kept, in one seed it is not. "
          "Every seed has to keep it."),
    _pick("The mean over the layers", _by_mean((2,)), "averaged over layers the limit is kept, in one layer it is not. "
          "Every layer has to keep it."),
    _pick("The mean over seeds and layers", _by_mean((1, 2)), "on average the limit is kept, in one layer of one seed "
          "it is not."),
    _pick("Loads are pooled over layers", _pooled((2,)), "the loads of the layers were added before the violation was "
          "taken: an expert that is full in one layer hides behind the same number in another."),
    _pick("Loads are pooled over seeds", _pooled((1,)), "the loads of the seeds were added before the violation was "
          "taken; one seed hides behind the others."),
    _pick("Loads are pooled", _pooled((1, 2)), "the loads were added over seeds and layers before the violation was "
          "taken. Each layer of each seed has its own."),
    _pick("One that keeps it is enough", lambda c, x, m: _first(c, _violation(x).flatten(1).amin(dim=1) <= m), "one "
          "layer of one seed keeps the limit here. All of them have to."),
    _pick("The largest, not the smallest", _last, "this is the largest coefficient that keeps the limit. The smallest "
          "disturbs the model least."),
    _pick("The most even, not the smallest", _most_even, "this coefficient has the lowest violation of all. A smaller "
          "one keeps the limit as well."),
    _pick("Too far below counts as well", lambda c, x, m: _first(c, (x.double() / x.double().mean(dim=-1, keepdim=True)
          - 1).abs().flatten(1).amax(dim=1) <= m), "an expert far *below* the mean is no violation: asked is "
          "how far the fullest is above it."),
    _pick("Exactly the limit is allowed", lambda c, x, m: _first(c, _violation(x).flatten(1).amax(dim=1) < m), "*at "
          "most* the limit: a violation of just that is kept."),
    _pick("A place, not a coefficient", _index, "this is where it stands in the list. Return the coefficient."),
    _pick("1 is not taken off", lambda c, x, m: smallest(c, x, m - 1), "the violation is the fullest over the mean, "
          "*minus 1*."),
    _pick("The limit is turned round", lambda c, x, m: _first(c, _violation(x).flatten(1).amax(dim=1) > m), "this "
          "coefficient does *not* keep the limit."),
    _pick("Only the first seed", lambda c, x, m: smallest(c, x[:, :1], m), "the first seed keeps the limit here; "
          "another does not."),
    _pick("Only the first layer", lambda c, x, m: smallest(c, x[:, :, :1], m), "the first layer keeps the limit here; "
          "another does not."),
    _pick("Only the last layer", lambda c, x, m: smallest(c, x[:, :, -1:], m), "the last layer keeps the limit here; "
          "another does not."),
    _pick("The last one, though it does not keep the limit", lambda c, x, m: _or(c, x, m, c[-1]), "no coefficient "
          "in the list keeps the limit, and that is the answer: `float(\"inf\")`."),
    _pick("0 means: no balancing", lambda c, x, m: _or(c, x, m, 0.0), "0 is one of the "
          "coefficients. If none keeps the limit, return `float(\"inf\")`."),
)  # fmt: skip

PICK_COEFFICIENT = Exercise(
    id="6.3",
    name="pick_coefficient",
    parameters=("coefficients", "loads", "limit"),
    sizes="CSLE",
    outputs=(Output("coefficient", real=True),),
    reference=smallest,
    cases=pick_cases,
    mistakes=PICK_MISTAKES,
    hints=(
        "First all violations at once: a maximum and a mean over the last dimension give a tensor (C, S, L). Which of "
        "its numbers decides for one coefficient?",
        "The worst one: `violation.flatten(1).amax(dim=1)` has one number a coefficient. Go through them in order and "
        'return the first coefficient whose number is at most `limit`; after the loop, `float("inf")`.',
    ),
    minutes=8,
    lines="about 5 lines",
    done="A limit is a decision; the coefficient follows from it and from the recordings.",
)
