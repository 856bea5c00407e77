"""Exercise 10.2, paired_interval: the mean of a − b over the seeds, and its confidence interval."""

import math
import statistics
from collections.abc import Callable

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.compare import number
from moe_lite.checks.engine.exercise import Attempt, Case, Drawn, Exercise, Mistake, Output, Trial
from moe_lite.checks.engine.mistakes import not_finite, sign, wrong

T_975 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365}  # by the number of seeds

Triple = tuple[float, float, float]


def interval(a: Tensor, b: Tensor, t: float) -> Triple:
    """a, b (S,) -> mean, low, high of a − b."""
    differences = [x - y for x, y in zip(a.tolist(), b.tolist(), strict=True)]
    mean = math.fsum(differences) / len(differences)
    variance = math.fsum((d - mean) ** 2 for d in differences) / (len(differences) - 1)
    half = t * math.sqrt(variance / len(differences))
    return mean, mean - half, mean + half


# ---- inputs ----------------------------------------------------------------------------------------------------------


def cases() -> tuple[Case, ...]:
    plain = (seeds(1, 5), seeds(2, 3), seeds(3, 7), seeds(4, 4, lead=0.02))
    few = (seeds(5, 2), seeds(6, 2, lead=0.15))
    either = (seeds(7, 6, lead=0.004), seeds(8, 4, lead=-0.09), seeds(9, 5, lead=0.3))
    equal = (alike(10, 4, 0.125), alike(11, 3, -0.25), alike(12, 5, 0.0))
    everything = ("mean", "low", "high")
    begin, _ = inputs.usual(plain[:2], plain, name="three floats")
    return (
        *begin,
        Case("the mean difference", plain, ("mean",)),
        Case("the interval around it", plain, ("low", "high")),
        Case("two seeds", few, everything),
        Case("intervals with and without 0", either, everything),
        Case("the same difference for all seeds", equal, everything),
    )


def seeds(seed: int, n: int, lead: float = -0.06) -> Trial:
    return Trial(drawn(seed, n, lead), f"seed {seed}, {n} seeds")


def alike(seed: int, n: int, difference: float) -> Trial:
    """Every seed has the same difference, and exactly so: all numbers are whole 128ths."""
    b = torch.randint(3 * 128, 4 * 128, (n,), generator=inputs.generator(seed)).double() / 128
    return Trial((b + difference, b, T_975[n]), f"{n} seeds with the same difference, {number(difference, 3)}")


def drawn(seed: int, S: int, lead: float | None = None) -> tuple:
    """Losses that seeds move much more than the models differ, as texts in another order do."""
    g = inputs.generator(seed)
    if lead is None:
        lead = 0.3 * float(torch.rand((), generator=g)) - 0.15
    b = 3.4 + 0.3 * torch.randn(S, dtype=torch.float64, generator=g)
    a = b + lead + 0.04 * torch.randn(S, dtype=torch.float64, generator=g)
    t = T_975.get(S, round(1.96 + 2.5 / max(S - 1, 1), 3))
    return a.round(decimals=4), b.round(decimals=4), t


def extremes(seed: int) -> tuple[Trial, ...]:
    a, b, t = drawn(seed, 5)
    close = 1e-6 * inputs.distinct(seed, 5, low=1, high=2)
    return (
        Trial((torch.zeros_like(a), b - 3, t), f"losses of 0, seed {seed}"),
        Trial((a, a.clone(), t), f"two models that are equal, seed {seed}"),
        Trial((b + close, b, t), f"differences of a millionth, seed {seed}"),
        Trial((a, b, 1.533), f"a narrower interval, seed {seed}"),
        Trial((1e4 * a, 1e4 * b, t), f"large losses, seed {seed}"),
    )


DRAWN = Drawn(
    drawn, {"S": 5}, at_least={"S": 2}, long="S", wide="", float32=False, extremes=extremes,
)  # fmt: skip


# ---- mistakes --------------------------------------------------------------------------------------------------------


def around(mean: float, half: float) -> Triple:
    return mean, mean - half, mean + half


def deviation(values: Tensor) -> float:
    return statistics.stdev(values.tolist())


def with_half(rule: Callable[[Tensor, float, int], float]) -> Callable[[Tensor, Tensor, float], Triple]:
    """The right mean; half the interval by a rule of the standard deviation of a − b, t and S."""
    return lambda a, b, t: around(interval(a, b, t)[0], rule(deviation(a - b), t, len(a)))


def width(title: str, rule: Callable[[float, float, int], float], say: str) -> Mistake:
    return wrong(title, with_half(rule), "For {note}, the interval goes from {low:4} to {high:4}, expected "
                 "{right.low:4} to {right.high:4}: " + say)  # fmt: skip


def unpaired(a: Tensor, b: Tensor, t: float) -> Triple:
    error = math.sqrt((deviation(a) ** 2 + deviation(b) ** 2) / len(a))
    return around(interval(a, b, t)[0], t * error)


def errors_added(a: Tensor, b: Tensor, t: float) -> Triple:
    return around(interval(a, b, t)[0], t * (deviation(a) + deviation(b)) / math.sqrt(len(a)))


def of_one(values: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor, float], Triple]:
    """The mean of a − b with the standard deviation of other values."""
    return lambda a, b, t: around(interval(a, b, t)[0], t * deviation(values(a, b)) / math.sqrt(len(a)))


def of_other(values: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor, float], Triple]:
    """Mean and interval of other values than a − b."""

    def found(a: Tensor, b: Tensor, t: float) -> Triple:
        chosen = values(a, b)
        return interval(chosen, torch.zeros_like(chosen), t)

    return found


def centred(middle: Callable[[Tensor, Tensor], float]) -> Callable[[Tensor, Tensor, float], Triple]:
    """The right width around another middle."""

    def found(a: Tensor, b: Tensor, t: float) -> Triple:
        mean, low, _ = interval(a, b, t)
        return around(middle(a, b), mean - low)

    return found


def of_medians(a: Tensor, b: Tensor) -> float:
    return statistics.median(a.tolist()) - statistics.median(b.tolist())


def by_place(a: Tensor, b: Tensor) -> Tensor:
    """The best run against the best, the worst against the worst."""
    return a.sort().values - b.sort().values


def all_seeds_range(a: Tensor, b: Tensor, t: float) -> Triple:
    d = a - b
    return interval(a, b, t)[0], float(d.min()), float(d.max())


def around_zero(a: Tensor, b: Tensor, t: float) -> Triple:
    mean, low, _ = interval(a, b, t)
    return mean, low - mean, mean - low


def one_error(a: Tensor, b: Tensor, t: float) -> Triple:
    """In place of the ends, how far they are from the mean."""
    mean, low, _ = interval(a, b, t)
    return mean, mean - low, mean - low


def turned_mean(a: Tensor, b: Tensor, t: float) -> Triple:
    _, low, high = interval(a, b, t)
    return interval(b, a, t)[0], low, high


def relative(a: Tensor, b: Tensor) -> Tensor:
    return (a - b) / torch.where(b == 0, 1.0, b)


def relative_to_mean(a: Tensor, b: Tensor) -> Tensor:
    return (a - b) / (float(b.mean()) or 1.0)


def nearly(a: Attempt) -> bool:
    """Each number off by no more than what float32, rounding or a table with more digits leaves."""
    return all(torch.allclose(a.got[name], a.expected[name], rtol=2e-4, atol=1e-5) for name in a.expected)


MEAN = "`mean` is {mean.beside:4}, for {note}: "
PAIRS = (
    "Entry s of a and b has the same seed, so the luck that both runs share drops out of a[s] − b[s]. Take the "
    "standard deviation of the differences."
)

MISTAKES = (
    sign("A result is nan", not_finite, "`mean` is {mean:4}, `low` is {low:4} and `high` is {high:4}, for {note}. Is "
         "the standard deviation taken of a single number, a root of a negative one, or is something divided by 0? "
         "Take `std()` of all S differences."),
    wrong("b − a, not a − b", lambda a, b, t: interval(b, a, t), MEAN + "the sign is turned. Below 0, the "
          "first model has the lower loss: take a − b."),
    wrong("b − a, not a − b", turned_mean, MEAN + "its sign is turned, while the interval is right. Take a − b for "
          "both."),
    wrong("The pairs are not used", unpaired, "For {note}, the interval goes from {low:4} to {high:4}, expected "
          "{right.low:4} to {right.high:4}: you added the variances of a and b, as for runs that share nothing. "
          + PAIRS),
    wrong("The pairs are not used", errors_added, "For {note}, the interval goes from {low:4} to {high:4}, expected "
          "{right.low:4} to {right.high:4}: you added the standard errors of a and b. " + PAIRS),
    wrong("The standard deviation of one model", of_one(lambda a, b: a), "For {note}, the interval goes from {low:4} "
          "to {high:4}, expected {right.low:4} to {right.high:4}: that is the spread of a alone. " + PAIRS),
    wrong("The standard deviation of one model", of_one(lambda a, b: b), "For {note}, the interval goes from {low:4} "
          "to {high:4}, expected {right.low:4} to {right.high:4}: that is the spread of b alone. " + PAIRS),
    wrong("The pairs are not used", of_one(lambda a, b: torch.cat([a, b])), "For {note}, the interval goes from "
          "{low:4} to {high:4}, expected {right.low:4} to {right.high:4}: that is the spread of all losses at once. "
          + PAIRS),
    wrong("The losses were sorted", of_other(by_place), "For {note}, the interval goes from {low:4} to {high:4}, "
          "expected {right.low:4} to {right.high:4}: sorting puts runs of different seeds side by side. Entry s of a "
          "belongs to entry s of b."),
    width("Not divided by √S", lambda std, t, n: t * std, "that is t standard deviations of the differences. The "
          "standard error of their *mean* is smaller: divide by √S."),
    width("Divided by S, not by √S", lambda std, t, n: t * std / n, "the standard error is the standard deviation over "
          "the *root* of S."),
    width("Divided by √(S − 1)", lambda std, t, n: t * std / math.sqrt(n - 1), "the standard error is the standard "
          "deviation over √S. S − 1 belongs inside the standard deviation."),
    width("S in the denominator of the variance", lambda std, t, n: t * std * math.sqrt((n - 1) / n) / math.sqrt(n),
          "the standard deviation of a sample has S − 1 in its denominator, as `std()` has it. With S it comes out too "
          "small."),
    width("S in the denominator of the variance", lambda std, t, n: t * std * math.sqrt((n - 1) / n), "the standard "
          "deviation has S in its denominator instead of S − 1, and it was not divided by √S."),
    width("The variance, not the standard deviation", lambda std, t, n: t * std**2 / math.sqrt(n), "`var()` is the "
          "square of the standard deviation. Take `std()`, or the root."),
    width("The variance, not the standard deviation", lambda std, t, n: t * std**2 / n, "that is the square of the "
          "standard error. Take the root of it before you multiply with t."),
    width("The root of t as well", lambda std, t, n: math.sqrt(t * std**2 / n), "t stands under the root. Multiply the "
          "standard error with t itself."),
    width("1.96 in place of t", lambda std, t, n: 1.96 * std / math.sqrt(n), "1.96 holds for very many values. With "
          "few seeds, the standard deviation is uncertain itself, and Student's t, which is given, allows for it."),
    width("2 standard errors", lambda std, t, n: 2 * std / math.sqrt(n), "the interval reaches t standard errors to "
          "either side, and t is given. 2 is only right for very many values."),
    width("One standard error", lambda std, t, n: std / math.sqrt(n), "t is missing. The interval reaches t standard "
          "errors to either side."),
    width("Half as wide", lambda std, t, n: t * std / math.sqrt(n) / 2, "the whole interval is t standard errors wide. "
          "It has to reach t standard errors to *either* side of the mean."),
    width("Twice as wide", lambda std, t, n: 2 * t * std / math.sqrt(n), "the interval reaches t standard errors to "
          "either side of the mean, not 2 t."),
    width("An interval without width", lambda std, t, n: 0.0, "both ends are the mean itself. They lie t standard "
          "errors below and above it."),
    wrong("The range of the differences", all_seeds_range, "For {note}, `low` and `high` are the smallest and the "
          "largest difference of a seed. They should be the mean minus and plus t standard errors: {right.low:4} and "
          "{right.high:4}."),
    wrong("The interval lies around 0", around_zero, "For {note}, the interval goes from {low:4} to {high:4}, expected "
          "{right.low:4} to {right.high:4}: its width is right, but it has to lie around the mean."),
    wrong("The distance, not the ends", one_error, "For {note}, `low` and `high` are both {high:4}. That is how far "
          "the ends are from the mean: subtract it from the mean for one, and add it for the other."),
    wrong("A relative difference", of_other(relative), MEAN + "you divided each difference by the loss of b. Here the "
          "difference itself is wanted, in nats per token."),
    wrong("A relative difference", of_other(relative_to_mean), MEAN + "you divided by the mean loss of b. Here the "
          "difference itself is wanted, in nats per token."),
    wrong("In percent", of_other(lambda a, b: 100 * relative(a, b)), MEAN + "you took the difference in percent of b. "
          "Here the difference itself is wanted, in nats per token."),
    wrong("The signs of the differences are lost", of_other(lambda a, b: (a - b).abs()), MEAN + "`abs` makes every "
          "difference count for b. Differences below 0 keep their sign."),
    wrong("The median, not the mean", centred(lambda a, b: statistics.median((a - b).tolist())), MEAN + "that is the "
          "median of the differences. The mean is wanted."),
    wrong("The median, not the mean", centred(lambda a, b: float((a - b).median())), MEAN + "that is the "
          "median of the differences. The mean is wanted."),
    wrong("The median, not the mean", centred(of_medians), MEAN + "that is the median of a minus the median of b. The "
          "mean of the differences is wanted."),
    wrong("A sum, not a mean", centred(lambda a, b: float((a - b).sum())), MEAN + "the differences were added up. "
          "Divide by S."),
    wrong("Only one of the models", of_other(lambda a, b: a), MEAN + "that is the mean of a alone. The mean of a − b "
          "is wanted."),
    wrong("Only one of the models", of_other(lambda a, b: b), MEAN + "that is the mean of b alone. The mean of a − b "
          "is wanted."),
    wrong("Only one of the models", centred(lambda a, b: float(a.mean())), MEAN + "that is the mean of a alone. The "
          "mean of a − b is wanted."),
    wrong("Only the first seed", centred(lambda a, b: float(a[0] - b[0])), MEAN + "that is the difference of the first "
          "seed. The mean over all of them is wanted."),
    wrong("A sum of the two losses", of_other(lambda a, b: a + b), MEAN + "a and b were added. Take a − b."),
    sign("Nearly right", nearly, "`low` is {low.beside:5}, for {note}. So small a difference usually comes from "
         "float32, from rounding, or from a t of your own: compute in float64, and take the t that is given."),
)  # fmt: skip

PAIRED_INTERVAL = Exercise(
    id="10.2", name="paired_interval", parameters=("a", "b", "t"), sizes="S",
    outputs=(Output("mean", real=True), Output("low", real=True), Output("high", real=True)), reference=interval,
    cases=cases, mistakes=MISTAKES, drawn=DRAWN,
    hints=(
        "Both models saw the same texts in the same order with one seed, so a seed that is hard for one is hard for "
        "the other. Subtract first, seed by seed; from then on there is only one list of numbers.",
        "`difference = a - b`; its `mean()`; its `std()`, which has S − 1 in its denominator, over the root of "
        "`len(difference)`. Half the interval is t of these. `.item()` makes a float of a tensor.",
    ),
    minutes=6, lines="about 3 lines",
    done="From here on, a difference comes with an interval that says whether so few seeds can tell it from 0.",
)  # fmt: skip
