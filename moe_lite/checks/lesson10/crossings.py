"""Where a curve comes down to a target: the right answer of exercise 10.1, and the wrong ones that have a rule."""

import bisect
import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

NEVER = float("inf")
Rule = Callable[[Tensor, Tensor, float], float]


def first_time(steps: Tensor, losses: Tensor, target: float) -> float:
    """steps (P,), losses (P,) -> where the line through the points first comes down to `target`; inf if never."""
    s, values = steps.tolist(), losses.tolist()
    if values[0] <= target:
        return float(s[0])
    for i in range(1, len(values)):
        if values[i] <= target:
            return s[i - 1] + (values[i - 1] - target) / (values[i - 1] - values[i]) * (s[i] - s[i - 1])
    return NEVER


def index_of(losses: Tensor, target: float) -> int | None:
    """Of the first point that is low enough."""
    low = (losses <= target).nonzero()
    return int(low[0]) if len(low) else None


def crossing(steps: Tensor, losses: Tensor, target: float, i: int) -> float:
    """Where the line through points i − 1 and i is at `target`, also where that lies outside of them."""
    s0, s1, high, low = float(steps[i - 1]), float(steps[i]), float(losses[i - 1]), float(losses[i])
    return s0 + (high - target) / (high - low) * (s1 - s0) if high != low else s0


def at_crossing(rule: Callable[[float, float, float], float]) -> Rule:
    """A rule of the steps before and after the crossing, and of how far between them it lies; else right."""

    def found(steps: Tensor, losses: Tensor, target: float) -> float:
        i = index_of(losses, target)
        if not i:
            return first_time(steps, losses, target)
        high, low = float(losses[i - 1]), float(losses[i])
        return rule(float(steps[i - 1]), float(steps[i]), (high - target) / (high - low))

    return found


def at_index(steps: Tensor, losses: Tensor, target: float) -> float:
    i = index_of(losses, target)
    return NEVER if i is None else float(i)


def between_indices(steps: Tensor, losses: Tensor, target: float) -> float:
    return first_time(torch.arange(len(steps)), losses, target)


def nearest_loss(steps: Tensor, losses: Tensor, target: float) -> float:
    """Of all points, the one whose loss is nearest."""
    return NEVER if index_of(losses, target) is None else float(steps[(losses - target).abs().argmin()])


def log_steps(before: float, after: float, part: float) -> float:
    return before ** (1 - part) * after**part if before > 0 else after


def log_losses(steps: Tensor, losses: Tensor, target: float) -> float:
    if float(losses.min()) <= 0 or target <= 0:
        return first_time(steps, losses, target)
    return first_time(steps, losses.log(), math.log(target))


def last_time(steps: Tensor, losses: Tensor, target: float) -> float:
    """Of all times that the curve comes down to the target."""
    down = [i for i in range(1, len(losses)) if losses[i - 1] > target >= losses[i]]
    return crossing(steps, losses, target, down[-1]) if down else first_time(steps, losses, target)


def last_low(steps: Tensor, losses: Tensor, target: float) -> float:
    """The line that leads to the last point that is low enough."""
    low = (losses <= target).nonzero()
    if not len(low):
        return NEVER
    return crossing(steps, losses, target, int(low[-1])) if int(low[-1]) else float(steps[0])


def for_good(steps: Tensor, losses: Tensor, target: float) -> float:
    """After the last point above the target; never if that is the last point of all."""
    above = (losses > target).nonzero()
    if not len(above):
        return float(steps[0])
    i = int(above[-1]) + 1
    return crossing(steps, losses, target, i) if i < len(losses) else NEVER


def any_side(steps: Tensor, losses: Tensor, target: float) -> float:
    """The first time that the curve changes sides, whether it falls or rises."""
    for i in range(1, len(losses)):
        if (losses[i - 1] <= target) != (losses[i] <= target):
            return crossing(steps, losses, target, i)
    return NEVER


def first_passed_over(steps: Tensor, losses: Tensor, target: float) -> float:
    """The first crossing downward; a curve that begins below has none before it has risen."""
    down = [i for i in range(1, len(losses)) if losses[i - 1] > target >= losses[i]]
    return crossing(steps, losses, target, down[0]) if down else NEVER


def second_for_first(steps: Tensor, losses: Tensor, target: float) -> float:
    """The search begins with the second point, whose line is followed backwards."""
    i = index_of(losses[1:], target)
    return NEVER if i is None else crossing(steps, losses, target, i + 1)


def wrapped(steps: Tensor, losses: Tensor, target: float) -> float:
    """The point before the first one is the last one, as index −1 says."""
    i = index_of(losses, target)
    return NEVER if i is None else crossing(steps, losses, target, i)


def if_first(rule: Rule) -> Rule:
    """Wrong only where the first point is low enough."""
    return lambda s, losses, target: (rule if losses[0] <= target else first_time)(s, losses, target)


def if_never(rule: Rule) -> Rule:
    return lambda s, losses, target: (first_time if (losses <= target).any() else rule)(s, losses, target)


def strictly(steps: Tensor, losses: Tensor, target: float) -> float:
    """Only below counts."""
    low = (losses < target).nonzero()
    if not len(low):
        return NEVER
    return crossing(steps, losses, target, int(low[0])) if int(low[0]) else float(steps[0])


def without_equal(steps: Tensor, losses: Tensor, target: float) -> float:
    """Only a line that comes from above and ends below counts, not one that ends at the target."""
    if losses[0] < target:
        return float(steps[0])
    down = [i for i in range(1, len(losses)) if losses[i - 1] > target > losses[i]]
    return crossing(steps, losses, target, down[0]) if down else NEVER


def of_running_minimum(steps: Tensor, losses: Tensor, target: float) -> float:
    return first_time(steps, losses.cummin(0).values, target)


def searched(steps: Tensor, losses: Tensor, target: float) -> float:
    """By halving, as if the curve fell all the way."""
    i = bisect.bisect_left([-value for value in losses.tolist()], -target)
    if i == len(losses):
        return NEVER
    return crossing(steps, losses, target, i) if i else float(steps[0])


def interpolated(steps: Tensor, losses: Tensor, target: float) -> float:
    """np.interp, which searches by halving and goes on with the last value."""
    return float(np.interp(target, losses.numpy()[::-1], steps.numpy()[::-1]))


def interpolated_or_never(steps: Tensor, losses: Tensor, target: float) -> float:
    return interpolated(steps, losses, target) if (losses <= target).any() else NEVER


def in_order(steps: Tensor, losses: Tensor, target: float) -> float:
    """The losses are put in order first, the steps stay where they are."""
    return first_time(steps, losses.sort(descending=True).values, target)


def extended(steps: Tensor, losses: Tensor, target: float) -> float:
    """On the line through the last two points, unless it is level."""
    if len(losses) < 2 or losses[-1] == losses[-2]:
        return NEVER
    return crossing(steps, losses, target, len(losses) - 1)


def share_of_the_way(steps: Tensor, losses: Tensor, target: float) -> float:
    return first_time(steps, losses, float(losses[0] + target * (losses[-1] - losses[0])))


def times_of(rule: Callable[[float], float]) -> Rule:
    """A rule of the right number of steps, where there is one."""

    def found(steps: Tensor, losses: Tensor, target: float) -> float:
        right = first_time(steps, losses, target)
        return rule(right) if math.isfinite(right) else right

    return found


def from_the_first(steps: Tensor, losses: Tensor, target: float) -> float:
    return first_time(steps - steps[0], losses, target)
