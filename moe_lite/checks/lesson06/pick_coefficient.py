"""Exercise 6.3, pick_coefficient: the smallest coefficient that keeps every load even enough."""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.exercise import Case, Drawn, Exercise, Mistake, Output, Trial
from moe_lite.checks.engine.mistakes import off


def smallest(coefficients: list[float], loads: Tensor, limit: float) -> float:
    """loads (C, S, L, E) -> the first coefficient with every violation at most `limit`, inf if there is none."""
    return first(coefficients, worst(loads) <= limit)


def violation(loads: Tensor) -> Tensor:
    loads = loads.double()
    return loads.amax(dim=-1) / loads.mean(dim=-1) - 1  # (C, S, L)


def worst(loads: Tensor) -> Tensor:
    """The largest violation at each coefficient."""
    return violation(loads).flatten(1).amax(dim=1)  # (C,)


def first(coefficients: list[float], fits: Tensor) -> float:
    return next((c for c, fit in zip(coefficients, fits.tolist(), strict=True) if fit), math.inf)


# ---- inputs ----------------------------------------------------------------------------------------------------------


def cases() -> tuple[Case, ...]:
    steps = [0.0, 0.001, 0.01, 0.1, 1.0]
    plain = (grid(1, steps, 2.0), grid(2, steps, 1.0, (4, 3, 7)), grid(3, steps[1:], 0.6, (3, 2, 8)))
    uneven = (one_bad(4, steps, (2, 1, 0)), one_bad(5, steps, (3, 2, 1)), one_bad(6, steps, (2, 0, 1)))
    loads = torch.tensor([[[[9, 3, 3, 1]]], [[[6, 4, 4, 2]]], [[[5, 4, 4, 3]]]])  # mean 4: 1.25, 0.5 and 0.25 above
    exact = (Trial(([0.0, 0.1, 0.2], loads, 0.5), "a violation of exactly the limit"),)
    idle = torch.tensor([[[[9, 3, 3, 1]]], [[[5, 5, 5, 1]]], [[[5, 4, 4, 3]]]])  # mean 4; the second: 3 below it
    below = (Trial(([0.0, 0.1, 0.2], idle, 0.5), "an expert far below the mean, none far above"),)
    mild = (Trial(([0.0, 0.1, 0.2], loads, 1.5), "a limit that 0 keeps already"),)
    none = (Trial(([0.0, 0.1, 0.2], loads, 0.1), "no coefficient is enough"),)
    back = (
        Trial(([0.0, 0.1, 0.2, 0.3], torch.cat([loads, loads[:1]]), 0.6), "the largest coefficient is worse again"),
    )
    begin, _ = inputs.usual(plain, plain, name="a float")
    return (
        *begin,
        Case("the smallest that keeps the limit", plain + mild, ("coefficient",)),
        Case("every seed and every layer", (*uneven, opposite("seeds"), opposite("layers")), ("coefficient",)),
        Case("exactly the limit", exact + below, ("coefficient",)),
        Case("none keeps it", none, ("coefficient",)),
        Case("the last is not always best", back, ("coefficient",)),
    )


def grid(seed: int, coefficients: list[float], limit: float, shape: tuple[int, int, int] = (3, 2, 6)) -> Trial:
    """Loads (C, S, L, E), S, L and E in `shape`, that get more even from coefficient to coefficient."""
    g = inputs.generator(seed)
    spread = torch.linspace(3.5, 0.2, len(coefficients)).view(-1, 1, 1, 1)
    skew = torch.rand(len(coefficients), *shape, generator=g) * spread
    loads = (100 * skew.exp()).round().long()
    return Trial((coefficients, loads, limit), f"seed {seed}, limit {limit}")


def one_bad(seed: int, coefficients: list[float], bad: tuple[int, int, int]) -> Trial:
    """From the third coefficient on all is even, but for one layer of one seed at `bad`: coefficient, seed, layer."""
    trial = grid(seed, coefficients, 1.0)
    loads = trial.args[1].clone()
    loads[2:] = torch.randint(95, 105, loads[2:].shape, generator=inputs.generator(seed))
    loads[: bad[0]] = torch.tensor([600, 20, 20, 20, 20, 20])
    loads[bad] = torch.tensor([400, 60, 50, 45, 40, 5])
    return Trial((coefficients, loads, 1.0), f"one layer of seed {bad[1]} over the limit")


def opposite(what: str) -> Trial:
    """At the second coefficient two seeds, or two layers, overload different experts: added up they look even."""
    one, other = torch.tensor([8, 2, 2]), torch.tensor([2, 8, 2])
    pair = torch.stack([one, other])[:, None] if what == "seeds" else torch.stack([one, other])  # (S, 1, E), (L, E)
    second = pair.expand(2, 2, 3)
    loads = torch.stack([torch.tensor([10, 1, 1]).expand(2, 2, 3), second, torch.full((2, 2, 3), 4)])
    return Trial(([0.0, 0.1, 0.2], loads, 0.6), f"{what} that overload different experts")


def drawn(seed: int, C: int, S: int, L: int, E: int) -> tuple:
    """A limit that some coefficient keeps, and none but it and later ones."""
    trial = grid(seed, [0.1 * place for place in range(C)], 1.0, (S, L, E))
    found = worst(trial.args[1])  # (C,)
    return trial.args[0], trial.args[1], round(float(found[C // 2]) + 0.01, 3)


def extremes(seed: int) -> tuple[Trial, ...]:
    """Loads of four experts with a mean of 1,000: how far the largest is above it is what is said."""

    def of(limit: float, *largest: int) -> Trial:
        loads = torch.tensor([[[[most, 1000, 1000, 2000 - most]]] for most in largest])  # (C, 1, 1, E)
        said = ", ".join(f"{most / 1000 - 1:g}" for most in largest)
        return Trial(([0.0, 0.1, 0.2][: len(largest)], loads, limit), f"violations {said}, limit {limit}")

    many = torch.tensor([[[[2**24 + 2, 0, 0, -(2**24) - 2]]], [[[2**24, 0, 0, -(2**24)]]]]) + 2**25  # (2, 1, 1, 4)
    return (
        Trial(([0.3, 0.7], many, 0.5), "violations 0.50000006, 0.5, limit 0.5"),
        Trial(([0.3, 0.7], 10**9 + torch.tensor([[[[10**8 + 2, -(10**8) - 2]]], [[[0, 0]]]]), 0.1),
              "violations 0.100000002, 0, limit 0.1"),
        of(0.5, 1000, 1800, 1800), of(0.5, 1501, 1501, 1400), of(0.5, 1500, 1400, 1300), of(0.0, 1500, 1001, 1000),
        of(0.1, 1200, 1101, 1099), of(0.01, 1200, 1100, 1200),
    )  # fmt: skip


DRAWN = Drawn(drawn, {"C": 5, "S": 3, "L": 2, "E": 6}, long="L", float32=False, not_expanded=(1,), extremes=extremes)


# ---- mistakes --------------------------------------------------------------------------------------------------------

Rule = Callable[[list[float], Tensor, float], float]


def pick(title: str, rule: Rule, say: str) -> Mistake:
    """`rule` gives a plain float, which is compared with all its digits."""
    return off("coefficient", title, lambda *args: torch.tensor(rule(*args), dtype=torch.float64), say)


def by_mean(dims: tuple[int, ...]) -> Rule:
    """The violation is averaged over some of its dimensions, the worst of the rest decides."""

    def rule(coefficients: list[float], loads: Tensor, limit: float) -> float:
        mean = violation(loads).mean(dim=dims, keepdim=True)
        return first(coefficients, mean.flatten(1).amax(dim=1) <= limit)

    return rule


def pooled(dims: tuple[int, ...]) -> Rule:
    def rule(coefficients: list[float], loads: Tensor, limit: float) -> float:
        return smallest(coefficients, loads.sum(dim=dims, keepdim=True), limit)

    return rule


def last(coefficients: list[float], loads: Tensor, limit: float) -> float:
    return first(coefficients[::-1], (worst(loads) <= limit).flip(0))


def otherwise(coefficients: list[float], loads: Tensor, limit: float, answer: float) -> float:
    found = smallest(coefficients, loads, limit)
    return answer if found == math.inf else found


def place(coefficients: list[float], loads: Tensor, limit: float, none: float = -1) -> float:
    found = smallest(coefficients, loads, limit)
    return coefficients.index(found) if found in coefficients else none


def from_the_back(coefficients: list[float], loads: Tensor, limit: float) -> float:
    """From the largest coefficient down, as long as the limit is kept."""
    found = math.inf
    for coefficient, fits in zip(coefficients[::-1], (worst(loads) <= limit).flip(0).tolist(), strict=True):
        if not fits:
            break
        found = coefficient
    return found


def either_side(coefficients: list[float], loads: Tensor, limit: float) -> float:
    """An expert far below the mean counts like one far above it."""
    relative = loads.double() / loads.double().mean(dim=-1, keepdim=True)  # (C, S, L, E)
    return first(coefficients, (relative - 1).abs().flatten(1).amax(dim=1) <= limit)


def in_float32(coefficients: list[float], loads: Tensor, limit: float) -> float:
    counts = loads.float()
    found = (counts.amax(dim=-1) / counts.mean(dim=-1) - 1).flatten(1).amax(dim=1)
    return first(coefficients, found <= limit)


def most_even(coefficients: list[float], loads: Tensor, limit: float) -> float:
    found = worst(loads)  # (C,)
    return coefficients[int(found.argmin())] if found.min() <= limit else math.inf


MISTAKES = (
    pick("The mean over the seeds", by_mean((1,)), "averaged over seeds the limit is kept, in one seed it is not. "
         "Every seed has to keep it."),
    pick("The mean over the layers", by_mean((2,)), "averaged over layers the limit is kept, in one layer it is not. "
         "Every layer has to keep it."),
    pick("The mean over seeds and layers", by_mean((1, 2)), "on average the limit is kept, in one layer of one seed it "
         "is not."),
    pick("Loads are pooled over layers", pooled((2,)), "the loads of the layers were added before the violation was "
         "taken: an expert that is full in one layer hides behind the same number in another."),
    pick("Loads are pooled over seeds", pooled((1,)), "the loads of the seeds were added before the violation was "
         "taken; one seed hides behind the others."),
    pick("Loads are pooled", pooled((1, 2)), "the loads were added over seeds and layers before the violation was "
         "taken. Each layer of each seed has its own."),
    pick("One that keeps it is enough", lambda c, x, m: first(c, violation(x).flatten(1).amin(dim=1) <= m), "one layer "
         "of one seed keeps the limit here. All of them have to."),
    pick("The largest, not the smallest", last, "this is the largest coefficient that keeps the limit. The smallest "
         "disturbs the model least."),
    pick("The most even, not the smallest", most_even, "this coefficient has the lowest violation of all. A smaller "
         "one keeps the limit as well."),
    pick("Stopped at the first failure from the back", from_the_back, "you went from the largest coefficient down and "
         "stopped at the first that fails. A larger one may be worse again: begin with the smallest."),
    pick("Too far below counts as well", either_side, "an expert far *below* the mean is no violation: asked is how "
         "far the busiest is above it."),
    pick("Exactly the limit is allowed", lambda c, x, m: first(c, worst(x) < m), "*at most* the limit: a violation of "
         "just that is kept."),
    pick("A place, not a coefficient", place, "this is where it stands in the list. Return the coefficient."),
    pick("A place, not a coefficient", partial(place, none=math.inf), "this is where it stands in the list. Return the "
         "coefficient."),
    pick("1 is not taken off", lambda c, x, m: smallest(c, x, m - 1), "the violation is the busiest over the mean, "
         "*minus 1*."),
    pick("The limit is turned round", lambda c, x, m: first(c, worst(x) > m), "this coefficient does *not* keep the "
         "limit."),
    pick("0 is left out", lambda c, x, m: smallest(c[c[0] == 0 :], x[c[0] == 0 :], m), "without balancing the limit is "
         "kept already, so the answer is the coefficient 0."),
    pick("Only the first seed", lambda c, x, m: smallest(c, x[:, :1], m), "the first seed keeps the limit here; "
         "another does not."),
    pick("Only the first layer", lambda c, x, m: smallest(c, x[:, :, :1], m), "the first layer keeps the limit here; "
         "another does not."),
    pick("Only the last layer", lambda c, x, m: smallest(c, x[:, :, -1:], m), "the last layer keeps the limit here; "
         "another does not."),
    pick("The last one, though it does not keep the limit", lambda c, x, m: otherwise(c, x, m, c[-1]), "no coefficient "
         "in the list keeps the limit, and that is the answer: `float(\"inf\")`."),
    pick("Counted in float32", in_float32, "float32 does not tell 50,331,650 from 50,331,648, and one of them is more "
         "than the limit allows. `loads.double()` keeps the counts exact."),
    pick("Compared in float32", lambda c, x, m: first(c, worst(x).float() <= torch.tensor(m)), "as float32 numbers the "
         "violation and the limit are equal. Leave both in float64."),
    pick("Nearly the coefficient", lambda c, x, m: torch.tensor(smallest(c, x, m)).item(), "a number that was made a "
         "float32 tensor keeps seven digits, and is found in the list no more. Return the entry of `coefficients` "
         "itself."),
    pick("0 means: no balancing", lambda c, x, m: otherwise(c, x, m, 0.0), "0 is one of the coefficients. If none "
         "keeps the limit, return `float(\"inf\")`."),
)  # fmt: skip

PICK_COEFFICIENT = Exercise(
    id="6.3", name="pick_coefficient", parameters=("coefficients", "loads", "limit"), sizes="CSLE",
    outputs=(Output("coefficient", real=True, among=True),), reference=smallest, cases=cases, mistakes=MISTAKES,
    drawn=DRAWN,
    hints=(
        "First all violations at once: a maximum and a mean over the last dimension give a tensor (C, S, L). Which of "
        "its numbers decides for one coefficient? `mean` wants floating-point numbers: begin with `loads.double()`, "
        "which keeps the counts exact.",
        "The worst one: `violation.flatten(1).amax(dim=1)` has one number per coefficient. Go through them in order "
        'and return the first coefficient whose number is at most `limit`; after the loop, `float("inf")`.',
    ),
    minutes=8, lines="about 5 lines",
    done="The limit is your decision. The coefficient follows from it and from the recordings.",
)  # fmt: skip
