"""Exercise 10.1, steps_to: after how many steps a curve is at a target or below for the first time."""

import math
import re
from functools import partial

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.causes import Line
from moe_lite.checks.engine.compare import number
from moe_lite.checks.engine.exercise import Attempt, Case, Drawn, Exercise, Note, Output, Trial
from moe_lite.checks.engine.mistakes import off, sign
from moe_lite.checks.lesson10.crossings import (
    NEVER,
    any_side,
    at_crossing,
    at_index,
    between_indices,
    extended,
    first_passed_over,
    first_time,
    for_good,
    from_the_first,
    if_first,
    if_never,
    in_order,
    interpolated,
    interpolated_or_never,
    last_low,
    last_time,
    log_losses,
    log_steps,
    nearest_loss,
    of_running_minimum,
    searched,
    second_for_first,
    share_of_the_way,
    strictly,
    times_of,
    without_equal,
    wrapped,
)  # fmt: skip

# ---- inputs ----------------------------------------------------------------------------------------------------------


def cases() -> tuple[Case, ...]:
    plain = (falling(1, 7, 3), falling(2, 10, 6), falling(3, 8, 5, scale=0.2), falling(4, 6, 1))
    last = (falling(5, 6, 5), falling(6, 9, 8))
    on_the_way = (
        curve("that rises before it gets there", [6.1, 4.2, 4.9, 4.6, 3.4, 3.1], 4.05),
        curve("that rises before it gets there", [5.7, 4.9, 4.1, 4.55, 4.7, 3.2, 2.9, 2.8], 3.83),
        curve("that rises before it gets there", [7.2, 3.9, 6.3, 3.45, 3.2, 3.3, 2.7], 3.6),
    )
    again = (
        curve("that rises above the target again", [5.9, 4.4, 3.3, 3.95, 3.1, 2.9], 3.62),
        curve("that rises above the target again", [6.3, 5.2, 3.4, 4.4, 3.3, 4.1, 3.2], 3.77),
        curve(
            "that rises above the target twice",
            [5.8, 3.3, 4.6, 4.5, 4.2, 4.3, 4.1, 3.9, 3.4, 3.95, 3.2],
            3.7,
        ),
        curve("that rises above the target again and stays there", [6.0, 4.1, 3.2, 3.9, 3.8], 3.53),
    )
    exact = (
        curve("with a point exactly at the target", [5.5, 4.25, 3.5, 2.75, 2.5], 3.5),
        curve("that touches the target and rises", [6.0, 4.5, 3.5, 4.25, 3.0, 2.5], 3.5),
        curve("that stays at the target for a while", [5.0, 4.25, 3.0, 3.0, 3.0, 2.25, 2.0], 3.0),
        curve("that ends exactly at the target", [5.0, 4.0, 3.5, 3.25], 3.25),
    )
    begins = (
        curve("that begins below the target", [3.2, 2.9, 2.7, 2.4, 2.2], 3.31),
        curve("whose first two points lie at the target", [3.5, 3.5, 3.0, 2.5], 3.5),
        curve("that begins below the target and rises above it", [3.1, 3.9, 3.6, 2.9, 2.7], 3.25),
        curve("that begins at the target and rises above it", [3.25, 3.75, 3.5, 3.0], 3.25),
    )
    never = (
        curve("that never gets there", [5.9, 4.7, 3.9, 3.5, 3.4], 3.1),
        curve("that never gets there", [6.2, 4.8, 4.1, 3.6, 3.8, 3.85], 3.57),
        curve("that never gets there", [5.2, 4.4, 4.0, 4.0], 3.2),
    )
    begin, _ = inputs.usual(plain[:2], plain, name="a float")
    return (
        *begin,
        Case("between two points", (*plain, *last), ("reached",)),
        Case("curves that rise on the way", on_the_way, ("reached",)),
        Case("curves that rise again afterwards", again, ("reached",)),
        Case("a point at the target", exact, ("reached",)),
        Case("the first point is low enough", begins, ("reached",)),
        Case("never", never, ("reached",)),
    )


def curve(note: str, losses: list[float], target: float) -> Trial:
    """With steps between the points that all differ."""
    values = torch.tensor(losses, dtype=torch.float64)
    n = len(losses)
    return Trial((uneven(n + round(100 * target), n), values, target), f"a curve of {n} points {note}")


def uneven(seed: int, n: int) -> Tensor:
    """(n,) int64, ascending, and for up to 20 points each distance another one; the first is larger than 0."""
    return (17 + inputs.distinct(seed, n, low=0, high=40 * min(n, 20)).long()).cumsum(0)


def falling(seed: int, n: int, at: int, scale: float = 1.0) -> Trial:
    """A curve that always falls; its target lies between points at − 1 and at, nearer to one of them."""
    drops = inputs.distinct(seed, n, low=0.15, high=0.9)
    losses = (scale * (2.6 + drops.sum() - drops.cumsum(0))).round(decimals=4)
    part = 0.31 if seed % 2 else 0.73
    target = round(float(losses[at - 1] + part * (losses[at] - losses[at - 1])), 4)
    return Trial((uneven(seed, n), losses, target), f"seed {seed}, a curve of {n} points")


def drawn(seed: int, P: int) -> tuple:
    """A noisy curve, and a target between a record and the lowest loss before it.

    Where no loss is a record, the first one is low enough.
    """
    g = inputs.generator(seed)
    noise = torch.randn(P, dtype=torch.float64, generator=g) * 0.2
    losses = (2.5 + 3 * torch.exp(-3 * torch.linspace(0, 1, P, dtype=torch.float64)) + noise).round(decimals=4)
    lowest = losses.cummin(0).values
    records = (losses[1:] < lowest[:-1] - 1e-3).nonzero()[:, 0] + 1
    if not len(records):
        return uneven(seed, P), losses, round(float(losses[0]) + 0.1, 4)
    at = int(records[int(torch.randint(len(records), (), generator=g))])
    part = 0.2 + 0.6 * float(torch.rand((), generator=g))
    return uneven(seed, P), losses, float(lowest[at - 1] + part * (losses[at] - lowest[at - 1]))


def extremes(seed: int) -> tuple[Trial, ...]:
    steps, losses, target = drawn(seed, 9)
    zero = torch.tensor([2.0, 1.0, 0.5, 0.0, 0.25, 0.0], dtype=torch.float64)
    flat = 3 - 1e-6 * inputs.distinct(seed, 8, low=1, high=4).cumsum(0)
    between = float(flat[4] + 0.37 * (flat[5] - flat[4]))
    from_zero = steps - steps[0]
    million = torch.tensor([2**19, 2**20 - 7, 2**20 + 9, 2**20 + 400])  # the answer is 2**20 + 1/16
    in_between = torch.tensor([5.0, 4.0, 3.0, 2.5], dtype=torch.float64), 4 - 7.0625 / 16
    return (
        Trial((uneven(seed, 6), zero, 0.0), f"a loss that reaches 0, seed {seed}"),
        Trial((uneven(seed, 8), flat, between), f"a curve that is nearly flat, seed {seed}"),
        Trial((from_zero, losses, target), f"the first point at step 0, seed {seed}"),
        Trial((10**8 * steps + 1, losses, target), f"steps in the billions, seed {seed}"),
        Trial((million, *in_between), "an answer halfway between two float32 numbers"),
        Trial((from_zero, losses, float(losses[0]) + 0.5), f"low enough at step 0, seed {seed}"),
        Trial((steps[:1], losses[:1], float(losses[0]) - 0.1), f"a single point that is too high, seed {seed}"),
    )


DRAWN = Drawn(drawn, {"P": 11}, long="P", wide="", float32=False, not_expanded=(0,), extremes=extremes)


# ---- mistakes --------------------------------------------------------------------------------------------------------

reached = partial(off, "reached")


def flat_at_the_target(a: Attempt) -> bool:
    """0 / 0: two neighbours are equal and low enough."""
    return not math.isfinite(float(a.got["reached"])) and math.isfinite(float(a.expected["reached"]))


def not_infinite(a: Attempt) -> bool:
    return float(a.expected["reached"]) == NEVER != float(a.got["reached"])


def how_low(a: Attempt) -> str:
    losses, target = a.args[1], a.args[2]
    return (
        f"The lowest loss of the curve is {number(float(losses.min()))} and lies above the target, {number(target)}: "
        f"the curve never gets there. `reached` is {number(float(a.got['reached']))}, expected inf. Return "
        '`float("inf")`, which is later than any step.'
    )


STRAIGHT = (
    "The curve is a straight line between two points, so it is at the target somewhere between them. The part of the "
    "distance is `(before - target) / (before - after)` of the two losses."
)
RISES = (
    "the curve rises on its way, and a binary search only works on values that are in order. Look for the first point "
    "at or below the target instead: `(losses <= target).nonzero()`, or a loop."
)

MISTAKES = (
    reached("An index, not a step", at_index, "that is the position of a point in the tensor. Look up its step in "
            "`steps`, whose points are not one step apart."),
    reached("An index, not a step", between_indices, "that is a position between two points of the tensor. Go the same "
            "part of the way between their two entries in `steps`."),
    reached("The first point that is low enough", at_crossing(lambda before, after, part: after), "that is the first "
            "point at or below the target. " + STRAIGHT),
    reached("The last point that is too high", at_crossing(lambda before, after, part: before), "that is the point "
            "before the crossing. " + STRAIGHT),
    reached("The nearest point", at_crossing(lambda before, after, part: after if part > 0.5 else before), "that is "
            "the nearer one of the two points. " + STRAIGHT),
    reached("The nearest point", nearest_loss, "that is the point whose loss is nearest to the target, wherever it "
            "lies. Find the first point at or below the target; the answer lies between it and the point before."),
    reached("Halfway between two points", at_crossing(lambda before, after, part: (before + after) / 2), "that is the "
            "middle of the two points. How far the crossing lies between them depends on their losses: "
            "`(before - target) / (before - after)`."),
    reached("The fraction is turned round", at_crossing(lambda before, after, part: after + part * (before - after)),
            "the part of the way was measured from the other end. Starting at the point before, it is "
            "`(before - target) / (before - after)` of the two losses: 0 where the target is the higher loss."),
    reached("Straight in the logarithm of the steps", at_crossing(log_steps), "you interpolated in log(steps). Here "
            "the line between two points is straight in the steps themselves."),
    reached("Straight in the logarithm of the loss", log_losses, "you interpolated in log(loss). Here the line between "
            "two points is straight in the loss itself."),
    reached("The last time, not the first", last_time, "the curve was at the target before that, and rose again. The "
            "first time counts."),
    reached("The last time, not the first", last_low, "you took the last point at or below the target. The first one "
            "counts."),
    reached("The last time, not the first", for_good, "you looked for the time after which the curve stays at or below "
            "the target. It was there before, and rose again. The first time counts."),
    reached("The running minimum was interpolated", of_running_minimum, "`cummin` finds the right point, but it also "
            "lowers the point before it, where the line begins. Interpolate between the two losses of the curve."),
    reached("A binary search on a curve that rises", searched, RISES),
    reached("A binary search on a curve that rises", interpolated, RISES + " `np.interp` needs "
            "values in order, too, and where the target lies outside of them it returns the step at their end."),
    reached("A binary search on a curve that rises", interpolated_or_never, RISES + " `np.interp` needs "
            "values in order, too."),
    reached("The losses were sorted", in_order, "sorted losses no longer belong to their steps. Look for the first "
            "point at or below the target in the curve as it is."),
    reached("At the target is low enough", strictly, "a point lies exactly at the target, and that counts: `<=`, not "
            "`<`."),
    reached("At the target is low enough", without_equal, "a point lies exactly at the target, and that counts: `<=`, "
            "not `<`."),
    reached("A rise is no crossing", any_side, "there the curve rises above the target. It began at or below it, so "
            "the answer is its first step."),
    reached("The first point is passed over", first_passed_over, "the first point is at or below the target already, "
            "so the answer is its step. No line leads to it: treat it before the loop."),
    reached("The first point is passed over", second_for_first, "the first point is at or below the target already, "
            "so the answer is its step. You followed the line between the first two points beyond its end."),
    reached("The last point stands before the first", wrapped, "the first point is at or below the target. For "
            "i = 0, the index i − 1 is −1, which is the *last* point. Where i is 0, return the first step."),
    reached("0 where the first point is low enough", if_first(lambda *args: 0.0), "the first point is at or below "
            "the target. What was before it is unknown, so the answer is its step."),
    reached("Never, though the first point is low enough", if_first(lambda *args: NEVER), "the first point is "
            "at or below the target, so the answer is its step."),
    sign("0 / 0 between equal losses", flat_at_the_target, "`reached` is {reached.beside:3}, for {note}. Two "
         "neighbouring losses may be equal, and `before - after` is 0 then. The first point at or below the target "
         "never has an equal one before it, and where it is the first of all, the answer is its step."),
    reached("Extrapolated where the curve never gets there", if_never(extended), "the line through the last two points "
            "was followed beyond its end. Nobody knows how the training would have gone on: return `float(\"inf\")`."),
    reached("The last step where the curve never gets there", if_never(lambda s, losses, target: float(s[-1])), "that "
            "is the last step, and the loss is above the target there. Return `float(\"inf\")`."),
    reached("The first step where the curve never gets there", if_never(lambda s, losses, target: float(s[0])), "that "
            "is the first step. `argmax` of a row of False gives 0, as if the first point were low enough: ask with "
            "`any()` first, and return `float(\"inf\")`."),
    sign("Never is infinite", not_infinite, how_low),
    reached("The target is a loss", share_of_the_way, "you took the target for a share of the way from the first loss "
            "to the last. It is a loss, in nats per token."),
    reached("Counted from the first point", from_the_first, "that is how many steps lie between the first point and "
            "the crossing. Steps are counted from the start of the training, as `steps` counts them."),
    reached("A whole step", times_of(math.floor), "the answer is a float and usually lies between two whole steps. Do "
            "not round it down."),
    reached("A whole step", times_of(math.ceil), "the answer is a float and usually lies between two whole steps. Do "
            "not round it up."),
    reached("A whole step", times_of(round), "the answer is a float and usually lies between two whole steps. Do not "
            "round it."),
    reached("A share of the training", lambda s, *rest: first_time(s, *rest) / float(s[-1]), "that is a share of all "
            "steps. The number of steps is wanted."),
    reached("Always the first step", lambda s, losses, target: float(s[0]), "that is the first step. The curve starts "
            "above the target: the *lower* losses are wanted, `losses <= target`."),
    reached("Always the last step", lambda s, losses, target: float(s[-1]), "that is the last step. The curve is at "
            "the target before it."),
)  # fmt: skip


def none_found(match: re.Match, line: Line, exercise: Exercise) -> Note:
    """The first row of none."""
    return Note(
        "No point is low enough",
        "This curve never gets down to the target, so `nonzero()` has no rows, and there is no first one. Ask with "
        '`len(…)` or `any()` before, and return `float("inf")`.',
    )


STEPS_TO = Exercise(
    id="10.1", name="steps_to", parameters=("steps", "losses", "target"), sizes="P",
    outputs=(Output("reached", real=True),), reference=first_time, cases=cases, mistakes=MISTAKES, drawn=DRAWN,
    hints=(
        "Find the first point whose loss is at the target or below. There may be none, and it may be the first of "
        "all: both have answers of their own. Otherwise the curve crosses the target on the straight line between the "
        "point before and this one.",
        "`low = (losses <= target).nonzero()` has one row for each point that is low enough; `len(low)` may be 0. With "
        "i as the first of them, the line falls from `losses[i - 1]` to `losses[i]`. Divide the drop down to the "
        "target by the whole drop, and go that part of the way from `steps[i - 1]` to `steps[i]`.",
    ),
    causes=((IndexError, r"with size 0|list index out of range", none_found),), minutes=8, lines="about 6 lines",
    done="Two curves can be compared now by how long they take to the same loss, and not only by where they end.",
)  # fmt: skip
