"""Exercise 10.3, loss_at: the loss between two budgets, on a line that is straight in the logarithm of the tokens."""

import math
import re
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.causes import Line
from moe_lite.checks.engine.exercise import Attempt, Case, Drawn, Exercise, Note, Output, Trial
from moe_lite.checks.engine.mistakes import not_finite, off, sign

MILLION = 1_000_000
CLOSE = 1.01  # neighbouring budgets that are no further apart than this


def read(tokens: Tensor, losses: Tensor, at: float) -> float:
    """tokens (B,), losses (B,) -> the loss on the line between the two neighbours of `at`."""
    i = after(tokens, at)
    if float(tokens[i]) == at:
        return float(losses[i])
    left, right, low, high = float(tokens[i - 1]), float(tokens[i]), float(losses[i - 1]), float(losses[i])
    return low + math.log(at / left) / math.log(right / left) * (high - low)


def after(tokens: Tensor, at: float) -> int:
    """The first budget that is not smaller."""
    return next(i for i, budget in enumerate(tokens.tolist()) if budget >= at)


# ---- inputs ----------------------------------------------------------------------------------------------------------


def cases() -> tuple[Case, ...]:
    plain = (between(1, 5, 2), between(2, 4, 1), between(3, 6, 4), between(4, 7, 3))
    ends = (between(5, 5, 1), between(6, 5, 4), between(7, 3, 1), between(8, 3, 2))
    two = (between(9, 2, 1), between(10, 2, 1, part=0.81))
    usual = tuple(course(at) for at in (1.37e6, 2.6e6, 3.3e6, 7.1e6))
    exact = tuple(at_budget(seed, 4, i) for seed, i in ((11, 0), (12, 1), (13, 2), (14, 3)))
    near = (close(15, 4, 2), close(16, 3, 1), close(17, 5, 4))
    begin, _ = inputs.usual(plain[:2], plain, name="a float")
    return (
        *begin,
        Case("between two budgets", plain, ("loss",)),
        Case("between the first two, and the last two", ends, ("loss",)),
        Case("1, 2 and 8 million tokens", usual, ("loss",)),
        Case("two budgets", two, ("loss",)),
        Case("at a budget itself", exact, ("loss",)),
        Case("budgets that are close to each other", near, ("loss",)),
    )


def budgets(seed: int, n: int) -> Tensor:
    """(n,) int64, ascending: each up to three times the one before, and no two of these factors alike.

    The first and the last are the same for every seed, so what is drawn between them fits any other budgets, too.
    """
    factors = torch.cat([torch.ones(1, dtype=torch.float64), inputs.distinct(seed, n - 1, low=1.3, high=3.1)])
    return (500_000 * factors.cumprod(0) if n <= 12 else 460_000 + 40_000 * factors.cumsum(0)).round().long()


def ends_of(seed: int, n: int) -> Tensor:
    """(n,) float64: falls, and each time by another amount."""
    drops = inputs.distinct(seed + 100, n, low=0.05, high=0.6)
    return (2.5 + drops.sum() - drops.cumsum(0)).round(decimals=4)


def between(seed: int, n: int, i: int, part: float = 0.29) -> Trial:
    """`at` lies between budgets i − 1 and i, nearer to one of them."""
    tokens = budgets(seed, n)
    part = part if seed % 2 else 1 - part
    at = float(round(float(tokens[i - 1]) + part * float(tokens[i] - tokens[i - 1])))
    return Trial((tokens, ends_of(seed, n), at), f"{n} budgets, seed {seed}")


def course(at: float) -> Trial:
    losses = torch.tensor([4.1873, 3.6104, 2.8951], dtype=torch.float64)
    return Trial((torch.tensor([1, 2, 8]) * MILLION, losses, at), f"{at:,.0f} tokens")


def at_budget(seed: int, n: int, i: int) -> Trial:
    tokens = budgets(seed, n)
    return Trial((tokens, ends_of(seed, n), float(tokens[i])), f"budget {i} of {n} itself, seed {seed}")


def close(seed: int, n: int, i: int) -> Trial:
    """Budget i has only 70 tokens more than the one before, of 8 million."""
    tokens = budgets(seed, n)
    tokens = (tokens.double() * (8.2e6 / float(tokens[i]))).round().long()
    tokens[i - 1] = tokens[i] - 70
    losses = ends_of(seed, n)
    losses[i] = losses[i - 1] - 0.3  # the later ones rise, so that no order of the losses helps
    return Trial((tokens, losses, float(tokens[i] - 26)), f"{n} budgets, two of them 70 tokens apart, seed {seed}")


def drawn(seed: int, B: int) -> tuple:
    g = inputs.generator(seed)
    tokens = budgets(seed, B)
    i = int(torch.randint(1, B, (), generator=g))
    part = 0.1 + 0.8 * float(torch.rand((), generator=g))
    at = float(tokens[i - 1]) + part * float(tokens[i] - tokens[i - 1])
    losses = ends_of(seed, B) + 0.3 * torch.rand(B, dtype=torch.float64, generator=g)  # may rise, too
    return tokens, losses, at


def extremes(seed: int) -> tuple[Trial, ...]:
    tokens, losses, at = drawn(seed, 5)
    few = torch.tensor([1, 3, 10, 40, 1000])
    zero = losses.clone()
    zero[1:3] = 0.0
    return (
        Trial((few, losses, 2.5), f"budgets of a few tokens, seed {seed}"),
        Trial((tokens * 10**6, losses, at * 10**6), f"budgets of a million million tokens, seed {seed}"),
        Trial((tokens, zero, at), f"losses of 0, seed {seed}"),
        Trial((tokens, losses.flip(0), at), f"losses that rise, seed {seed}"),
        Trial((tokens, losses, float(tokens[0])), f"the first budget itself, seed {seed}"),
        Trial((tokens, losses, float(tokens[-1])), f"the last budget itself, seed {seed}"),
    )


DRAWN = Drawn(
    drawn, {"B": 5}, at_least={"B": 2}, long="B", wide="", float32=False, not_expanded=(0,), extremes=extremes,
)  # fmt: skip


# ---- mistakes --------------------------------------------------------------------------------------------------------

loss = partial(off, "loss")
Rule = Callable[[Tensor, Tensor, float], float]


def on_line(rule: Callable[[float, float, float], float]) -> Rule:
    """A rule of the two budgets around `at` says what part of the way it lies; at a budget itself, right."""

    def found(tokens: Tensor, losses: Tensor, at: float) -> float:
        i = after(tokens, at)
        if not i or float(tokens[i]) == at:
            return float(losses[i])
        part = rule(float(tokens[i - 1]), float(tokens[i]), at)
        return float(losses[i - 1] + part * (losses[i] - losses[i - 1]))

    return found


def log_part(left: float, right: float, at: float) -> float:
    return math.log(at / left) / math.log(right / left)


def along(change: Callable[[float], float]) -> Callable[[float, float, float], float]:
    """The part of the way from left to right, once all three are changed."""
    return lambda left, right, at: (change(at) - change(left)) / (change(right) - change(left))


def log_log(tokens: Tensor, losses: Tensor, at: float) -> float:
    return math.exp(read(tokens, losses.log(), at)) if losses.min() > 0 else read(tokens, losses, at)


def log_loss(tokens: Tensor, losses: Tensor, at: float) -> float:
    return math.exp(linear(tokens, losses.log(), at)) if losses.min() > 0 else linear(tokens, losses, at)


def linear(tokens: Tensor, losses: Tensor, at: float) -> float:
    return on_line(along(float))(tokens, losses, at)


def nearest_in_log(tokens: Tensor, losses: Tensor, at: float) -> float:
    return float(losses[(tokens.double().log() - math.log(at)).abs().argmin()])


def nearest(tokens: Tensor, losses: Tensor, at: float) -> float:
    return float(losses[(tokens - at).abs().argmin()])


def ends_alone(part: Callable[[float, float, float], float]) -> Rule:
    """One line from the first budget to the last."""

    def found(tokens: Tensor, losses: Tensor, at: float) -> float:
        way = part(float(tokens[0]), float(tokens[-1]), at)
        return float(losses[0] + way * (losses[-1] - losses[0]))

    return found


def fitted(change: Callable[[Tensor], Tensor]) -> Rule:
    """The line that all budgets lie nearest to."""

    def found(tokens: Tensor, losses: Tensor, at: float) -> float:
        x = change(tokens.double())
        slope = ((x - x.mean()) * (losses - losses.mean())).sum() / (x - x.mean()).square().sum()
        return float(losses.mean() + slope * (change(torch.tensor(at, dtype=torch.float64)) - x.mean()))

    return found


def segment(choose: Callable[[int, int], int]) -> Rule:
    """The line through budgets j − 1 and j, where j is chosen by the right one and B."""

    def found(tokens: Tensor, losses: Tensor, at: float) -> float:
        j = min(max(choose(after(tokens, at), len(tokens)), 1), len(tokens) - 1)
        part = log_part(float(tokens[j - 1]), float(tokens[j]), at)
        return float(losses[j - 1] + part * (losses[j] - losses[j - 1]))

    return found


def neighbour_at_budget(step: int) -> Rule:
    """At a budget itself, the loss of the one beside it."""

    def found(tokens: Tensor, losses: Tensor, at: float) -> float:
        i = after(tokens, at)
        return float(losses[(i + step) % len(losses)]) if float(tokens[i]) == at else read(tokens, losses, at)

    return found


def share_of_losses(tokens: Tensor, losses: Tensor, at: float) -> float:
    """The part of the way that is walked in losses, from the right end."""
    return on_line(lambda left, right, at: 1 - log_part(left, right, at))(tokens, losses, at)


def only_close(a: Attempt) -> bool:
    """Whether the two budgets are so close that float32 cannot tell their logarithms apart well."""
    tokens, _, at = a.args
    i = after(tokens, at)
    return i > 0 and float(tokens[i]) <= CLOSE * float(tokens[i - 1])


def at_a_budget(a: Attempt) -> bool:
    tokens, _, at = a.args
    return bool((tokens == at).any())


def nearly(a: Attempt) -> bool:
    return torch.allclose(a.got["loss"], a.expected["loss"], rtol=1e-4, atol=1e-5)


LINE = "The line is straight in log(tokens): the part of the way is (log at − log left) / (log right − log left)."

MISTAKES = (
    sign("The logarithm in float32", only_close, "`loss` is {loss.beside:4}, for {note}; where budgets lie further "
         "apart, yours is right. In torch, `log()` and `/` of whole numbers give float32, whose seven digits cannot "
         "tell such budgets apart. Start with `tokens.double()`.", all_or_none=True),
    loss("Straight in the tokens", linear, "you interpolated in the tokens themselves. " + LINE),
    loss("Straight in the logarithm of the loss", log_log, "you took the logarithm of the losses as well. The line is "
         "straight in the loss; only the tokens are replaced by their logarithm."),
    loss("Straight in the logarithm of the loss", log_loss, "you took the logarithm of the losses, not of the tokens. "
         + LINE),
    loss("Straight in the root of the tokens", on_line(along(math.sqrt)), "you interpolated in √tokens. " + LINE),
    loss("Straight in one over the tokens", on_line(along(lambda x: 1 / x)), "you interpolated in 1 / tokens. " + LINE),
    loss("The weights have changed places", share_of_losses, "near the left budget, the result is near the loss of the "
         "right one. What lies nearer has to weigh more."),
    loss("The weights have changed places", on_line(lambda left, right, at: 1 - along(float)(left, right, at)), "near "
         "the left budget, the result is near the loss of the right one, and the line is straight in the tokens. "
         + LINE),
    loss("The nearest budget", nearest, "that is the loss of the budget whose tokens are nearest. Go along the line "
         "between the two neighbours instead."),
    loss("The nearest budget", nearest_in_log, "that is the loss of the budget whose log(tokens) is nearest. Go along "
         "the line between the two neighbours instead."),
    loss("The budget before", on_line(lambda left, right, at: 0.0), "that is the loss of the budget on the left. Go "
         "along the line to the one on the right. (`//` and `int` make 0 of a part of the way.)"),
    loss("The budget after", on_line(lambda left, right, at: 1.0), "that is the loss of the budget on the right. Go "
         "along the line from the one on the left."),
    loss("The mean of two neighbours", on_line(lambda left, right, at: 0.5), "that is halfway between the two losses, "
         "wherever `at` lies. " + LINE),
    loss("One line from the first budget to the last", ends_alone(log_part), "you drew one line from the first budget "
         "to the last. Each two neighbours have a line of their own: find the ones around `at`."),
    loss("One line from the first budget to the last", ends_alone(along(float)), "you drew one line from the first "
         "budget to the last, straight in the tokens. Each two neighbours have a line of their own, straight in "
         "log(tokens)."),
    loss("A line fitted to all budgets", fitted(torch.log), "you fitted one line to all budgets. The curve goes "
         "through every budget: take the line between the two neighbours of `at`."),
    loss("A line fitted to all budgets", fitted(lambda x: x), "you fitted one line to all budgets, in the tokens. The "
         "curve goes through every budget: take the line between the two neighbours of `at`, in log(tokens)."),
    loss("The line of the first two budgets", segment(lambda i, n: 1), "you followed the line through the first two "
         "budgets beyond its end. Find the two neighbours of `at`."),
    loss("The line of the last two budgets", segment(lambda i, n: n - 1), "you followed the line through the last two "
         "budgets beyond its end. Find the two neighbours of `at`."),
    loss("The wrong two neighbours", segment(lambda i, n: i + 1), "you took the two budgets to the right of `at`, and "
         "followed their line beyond its end. One of the two has to be on either side."),
    loss("The wrong two neighbours", segment(lambda i, n: i - 1), "you took the two budgets to the left of `at`, and "
         "followed their line beyond its end. One of the two has to be on either side."),
    loss("The logarithm of `at` is missing", on_line(lambda left, right, at: (at - math.log(left))
         / math.log(right / left)), "the logarithms of the budgets were compared with `at` itself. Take its logarithm, "
         "too."),
    loss("The logarithm of the budgets is missing", on_line(lambda left, right, at: (math.log(at) - left)
         / (right - left)), "the budgets were compared with log(at). Take their logarithms, too."),
    loss("The logarithm of a difference", on_line(lambda left, right, at: math.log(max(at - left, 1e-9))
         / math.log(right - left)), "you took log(at − left). " + LINE),
    loss("The part of the way begins at 0 tokens", on_line(lambda left, right, at: math.log(at) / math.log(right)),
         "you divided log(at) by log(right), so the line begins at 1 token. It begins at the budget on the left. "
         + LINE),
    loss("The part of the way begins at 0 tokens", on_line(lambda left, right, at: at / right), "you divided `at` by "
         "the budget on the right, so the line begins at 0 tokens. It begins at the budget on the left. " + LINE),
    loss("The loss itself at a budget", neighbour_at_budget(1), "`at` is a budget itself, and you took the one after "
         "it. Return the loss of that budget."),
    loss("The loss itself at a budget", neighbour_at_budget(-1), "`at` is a budget itself, and you took the one before "
         "it. Return the loss of that budget."),
    loss("Only the change from the budget before", lambda tokens, losses, at: read(tokens, losses, at)
         - float(losses[max(after(tokens, at) - 1, 0)]), "that is how far the loss falls from the budget on the left. "
         "Add it to the loss there."),
    loss("The change is subtracted", on_line(lambda left, right, at: -log_part(left, right, at)), "the loss went away "
         "from the right budget, not towards it. Add the part of (loss on the right − loss on the left)."),
    loss("Always the last budget", lambda tokens, losses, at: float(losses[-1]), "that is the loss of the largest "
         "budget. Go along the line between the two neighbours of `at`."),
    sign("The loss is nan or infinite", not_finite, "`loss` is {loss.beside:4}, for {note}. Is a logarithm taken of 0 "
         "or below, or is something divided by the distance of a budget from itself?"),
    sign("At a budget itself", at_a_budget, "`loss` is {loss.beside:4}, for {note}. There, the loss of that budget is "
         "the answer. Which two neighbours does your search find?", all_or_none=True),
    sign("Nearly right", nearly, "`loss` is {loss.beside:5}, for {note}. So small a difference usually comes from "
         "float32, from rounding, or from a number that was added: compute in float64."),
)  # fmt: skip


def none_found(match: re.Match, line: Line, exercise: Exercise) -> Note:
    """The first or last row of none, or the one behind the last."""
    return Note(
        "No budget was found",
        "`at` may be the largest or the smallest budget itself. No budget is larger than the largest, so `tokens > at` "
        "is False everywhere then, and `tokens < at` at the smallest. There is no neighbour to look up; return the "
        "loss of that budget.",
    )


LOSS_AT = Exercise(
    id="10.3", name="loss_at", parameters=("tokens", "losses", "at"), sizes="B",
    outputs=(Output("loss", real=True),), reference=read, cases=cases, mistakes=MISTAKES, drawn=DRAWN,
    hints=(
        "Find the first budget that is not smaller than `at`. If it is `at`, return its loss. Otherwise `at` lies "
        "between the budget before and this one: what part of the way, measured in logarithms?",
        "`right = int((tokens.double() >= at).nonzero()[0])`, and `x = tokens.double().log()`: of whole numbers torch "
        "would make float32. The part is `math.log(at)` minus the `x` on the left, over the distance of the two. "
        "Go that part of the way from one loss to the other.",
    ),
    causes=((IndexError, r"out of bounds|out of range", none_found),), minutes=8, lines="about 5 lines",
    done="So models can be compared at any cost between the budgets that were trained, and not only at the budgets.",
)  # fmt: skip
