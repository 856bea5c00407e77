"""Answers to exercise 10.1, steps_to: right ones, and wrong ones with the message that they must get."""

import bisect
import math

import numpy as np
import torch
from answers import blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def with_nonzero(steps, losses, target):
    low = (losses <= target).nonzero()
    if len(low) == 0:
        return float("inf")
    i = int(low[0])
    if i == 0:
        return float(steps[0])
    part = (losses[i - 1] - target) / (losses[i - 1] - losses[i])
    return float(steps[i - 1] + part * (steps[i] - steps[i - 1]))


@right
def in_python(steps, losses, target):
    before = None
    for step, loss in zip(steps.tolist(), losses.tolist()):
        if loss <= target:
            if before is None:
                return float(step)
            s, high = before
            return s + (step - s) * (high - target) / (high - loss)
        before = step, loss
    return math.inf


@right
def in_numpy(steps, losses, target):
    s, y = steps.numpy(), losses.numpy()
    low = np.flatnonzero(y <= target)
    if low.size == 0:
        return float("inf")
    i = low[0]
    if i == 0:
        return float(s[0])
    return float(np.interp(target, [y[i], y[i - 1]], [s[i], s[i - 1]]))


@right
def segment_by_segment(steps, losses, target):
    if losses[0] <= target:
        return steps[0].item() * 1.0
    for i in range(len(steps) - 1):
        a, b = losses[i].item(), losses[i + 1].item()
        if a > target >= b:
            slope = (b - a) / (steps[i + 1] - steps[i]).item()
            return steps[i].item() + (target - a) / slope
    return float("inf")


@right
def running_minimum_for_the_index_alone(steps, losses, target):
    above = int((losses.cummin(0).values > target).sum())
    if above == len(losses):
        return float("inf")
    if above == 0:
        return float(steps[0])
    w = (target - losses[above]) / (losses[above - 1] - losses[above])
    return ((1 - w) * steps[above] + w * steps[above - 1]).item()


@right
def argmax_of_a_mask(steps, losses, target):
    mask = losses <= target
    if not mask.any():
        return float("inf")
    i = mask.int().argmax().item()
    if i == 0:
        return float(steps[0])
    return torch.lerp(
        steps[i - 1].double(), steps[i].double(), (losses[i - 1] - target) / (losses[i - 1] - losses[i])
    ).item()


@right
def all_crossings(steps, losses, target):
    s = steps.double()
    a, b = losses[:-1], losses[1:]
    down = (a > target) & (b <= target)
    at = s[:-1] + (a - target) / (a - b) * s.diff()
    found = at[down].tolist()
    if losses[0] <= target:
        found.insert(0, float(s[0]))
    return min(found, default=float("inf"))


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------


@wrong("An index, not a step")
def index(steps, losses, target):
    low = (losses <= target).nonzero()
    return float(low[0]) if len(low) else float("inf")


@wrong("An index, not a step")
def fraction_of_an_index(steps, losses, target):
    for i, loss in enumerate(losses.tolist()):
        if loss <= target:
            if i == 0:
                return 0.0
            high = losses[i - 1].item()
            return i - 1 + (high - target) / (high - loss)
    return float("inf")


@wrong("The first point that is low enough")
def no_interpolation(steps, losses, target):
    low = steps[losses <= target]
    return float(low[0]) if len(low) else float("inf")


@wrong("The last point that is too high")
def the_point_before(steps, losses, target):
    low = (losses <= target).nonzero()
    return float(steps[max(int(low[0]) - 1, 0)]) if len(low) else float("inf")


@wrong("The nearest point")
def argmin(steps, losses, target):
    return float(steps[(losses - target).abs().argmin()])


@wrong("The nearest point")
def nearer_of_two(steps, losses, target):
    low = (losses <= target).nonzero()
    if not len(low):
        return float("inf")
    i = int(low[0])
    if i == 0:
        return float(steps[0])
    return float(steps[i] if target - losses[i] < losses[i - 1] - target else steps[i - 1])


wrong("halfway", "Halfway between two points", of=with_nonzero,
      put={"(losses[i - 1] - target) / (losses[i - 1] - losses[i])": "0.5"})  # fmt: skip
wrong("other_end", "The fraction is turned round", of=with_nonzero,
      put={"(losses[i - 1] - target) /": "(target - losses[i]) /"})  # fmt: skip
wrong("last_crossing", "The last time, not the first", of=with_nonzero, put={"int(low[0])": "int(low[-1])"})


@wrong("The last time, not the first")
def keeps_the_last(steps, losses, target):
    found = float(steps[0]) if losses[0] <= target else float("inf")
    for i in range(1, len(steps)):
        if losses[i - 1] > target >= losses[i]:
            found = float(
                steps[i - 1] + (losses[i - 1] - target) / (losses[i - 1] - losses[i]) * (steps[i] - steps[i - 1])
            )
    return found


@wrong("The last time, not the first")
def after_the_last_point_above(steps, losses, target):
    i = int((losses > target).nonzero().max()) + 1 if (losses > target).any() else 0
    if i == 0:
        return float(steps[0])
    if i == len(steps):
        return float("inf")
    return float(steps[i - 1] + (losses[i - 1] - target) / (losses[i - 1] - losses[i]) * (steps[i] - steps[i - 1]))


@wrong("Straight in the logarithm of the steps")
def log_steps(steps, losses, target):
    low = (losses <= target).nonzero()
    if not len(low):
        return float("inf")
    i = int(low[0])
    if i == 0:
        return float(steps[0])
    x = steps.double().log()
    return float((x[i - 1] + (losses[i - 1] - target) / (losses[i - 1] - losses[i]) * (x[i] - x[i - 1])).exp())


@wrong("Straight in the logarithm of the loss")
def log_losses(steps, losses, target):
    return with_nonzero(steps, losses.log(), math.log(target))


@wrong("The running minimum was interpolated")
def running_minimum(steps, losses, target):
    return with_nonzero(steps, torch.cummin(losses, 0).values, target)


@wrong("A binary search on a curve that rises")
def searchsorted(steps, losses, target):
    i = int(torch.searchsorted(-losses, -target))
    if i == len(losses):
        return float("inf")
    if i == 0:
        return float(steps[0])
    return float(steps[i - 1] + (losses[i - 1] - target) / (losses[i - 1] - losses[i]) * (steps[i] - steps[i - 1]))


@wrong("A binary search on a curve that rises")
def bisected(steps, losses, target):
    y, s = [-v for v in losses.tolist()], steps.tolist()
    i = bisect.bisect_left(y, -target)
    if i == len(y):
        return float("inf")
    return s[i - 1] + (-target - y[i - 1]) / (y[i] - y[i - 1]) * (s[i] - s[i - 1]) if i else float(s[0])


@wrong("A binary search on a curve that rises")
def np_interp(steps, losses, target):
    return float(np.interp(target, losses.numpy()[::-1], steps.numpy()[::-1]))


@wrong("A binary search on a curve that rises")
def np_interp_or_inf(steps, losses, target):
    if losses.min() > target:
        return float("inf")
    return float(np.interp(target, losses.flip(0).numpy(), steps.flip(0).numpy()))


@wrong("The losses were sorted")
def sorted_first(steps, losses, target):
    return with_nonzero(steps, losses.sort(descending=True).values, target)


wrong("strictly_below", "At the target is low enough", of=with_nonzero, put={"losses <= target": "losses < target"})


@wrong("At the target is low enough")
def from_above_to_below(steps, losses, target):
    if losses[0] < target:
        return float(steps[0])
    for i in range(1, len(steps)):
        a, b = losses[i - 1].item(), losses[i].item()
        if a > target > b:
            return float(steps[i - 1] + (a - target) / (a - b) * (steps[i] - steps[i - 1]))
    return float("inf")


@wrong("A rise is no crossing")
def changes_of_side(steps, losses, target):
    for i in range(1, len(steps)):
        a, b = losses[i - 1].item(), losses[i].item()
        if (a <= target) != (b <= target):
            return float(steps[i - 1] + (a - target) / (a - b) * (steps[i] - steps[i - 1]))
    return float("inf")


@wrong("The first point is passed over")
def only_downward(steps, losses, target):
    for i in range(1, len(steps)):
        a, b = losses[i - 1].item(), losses[i].item()
        if a > target >= b:
            return float(steps[i - 1] + (a - target) / (a - b) * (steps[i] - steps[i - 1]))
    return float("inf")


@wrong("The last point stands before the first")
def index_minus_one(steps, losses, target):
    low = (losses <= target).nonzero()
    if len(low) == 0:
        return float("inf")
    i = int(low[0])
    part = (losses[i - 1] - target) / (losses[i - 1] - losses[i])
    return float(steps[i - 1] + part * (steps[i] - steps[i - 1]))


wrong(
    "zero_first", "0 where the first point is low enough", of=with_nonzero, put={"return float(steps[0])": "return 0.0"}
)
wrong("inf_first", "Never, though the first point is low enough", of=with_nonzero,
      put={"return float(steps[0])": 'return float("inf")'})  # fmt: skip
wrong("minus_one", "Never is infinite", of=with_nonzero, put={'return float("inf")': "return -1.0"})
wrong("nan", "Never is infinite", of=with_nonzero, put={'return float("inf")': 'return float("nan")'})
wrong("minus_infinity", "Never is infinite", of=with_nonzero, put={'return float("inf")': 'return float("-inf")'})
wrong("none", "Nothing is returned", of=with_nonzero, put={'return float("inf")': "return None"})
wrong("last_step", "The last step where the curve never gets there", of=with_nonzero,
      put={'return float("inf")': "return float(steps[-1])"})  # fmt: skip
wrong("one_step_more", "Never is infinite", of=with_nonzero, put={'return float("inf")': "return float(steps[-1] + 1)"})


@wrong("Extrapolated where the curve never gets there")
def extrapolated(steps, losses, target):
    low = (losses <= target).nonzero()
    i = int(low[0]) if len(low) else len(losses) - 1
    if i == 0:
        return float(steps[0])
    a, b = losses[i - 1].item(), losses[i].item()
    if a == b:
        return float("inf")
    return float(steps[i - 1] + (a - target) / (a - b) * (steps[i] - steps[i - 1]))


@wrong("No point is low enough")
def first_of_none(steps, losses, target):
    i = int((losses <= target).nonzero()[0])
    if i == 0:
        return float(steps[0])
    return float(steps[i - 1] + (losses[i - 1] - target) / (losses[i - 1] - losses[i]) * (steps[i] - steps[i - 1]))


@wrong("No point is low enough")
def list_of_none(steps, losses, target):
    i = [i for i, loss in enumerate(losses.tolist()) if loss <= target][0]
    if i == 0:
        return float(steps[0])
    return float(steps[i - 1] + (losses[i - 1] - target) / (losses[i - 1] - losses[i]) * (steps[i] - steps[i - 1]))


@wrong("The first step where the curve never gets there")
def argmax_alone(steps, losses, target):
    i = int((losses <= target).int().argmax())
    if i == 0:
        return float(steps[0])
    return float(steps[i - 1] + (losses[i - 1] - target) / (losses[i - 1] - losses[i]) * (steps[i] - steps[i - 1]))


# ---- wrong, written from the exercise's text alone ---------------------------------------------------------------------


@blind("0 / 0 between equal losses")
def between_the_first_two(steps, losses, target):
    if not (losses <= target).any():
        return float("inf")
    if losses[0] < target:
        return float(steps[0])
    for i in range(len(steps) - 1):
        a, b = losses[i], losses[i + 1]
        if a >= target >= b:
            return float(steps[i] + (a - target) / (a - b) * (steps[i + 1] - steps[i]))
    return float("inf")


@blind("The first point is passed over")
def from_the_second(steps, losses, target):
    for i in range(1, len(losses)):
        if losses[i] <= target:
            a, b = losses[i - 1].item(), losses[i].item()
            if a == b:
                return float(steps[i - 1])
            return float(steps[i - 1] + (a - target) / (a - b) * (steps[i] - steps[i - 1]))
    return float("inf")


@blind("Close, but not equal")
def in_float32(steps, losses, target):
    return with_nonzero(steps.float(), losses.float(), target)


@blind("The target is a loss")
def share(steps, losses, target):
    return with_nonzero(steps, losses, float(losses[0] - target * (losses[0] - losses[-1])))


@blind("Counted from the first point")
def since_the_start(steps, losses, target):
    return with_nonzero(steps - steps[0], losses, target)


@blind("A whole step")
def whole(steps, losses, target):
    found = with_nonzero(steps, losses, target)
    return found if found == float("inf") else float(int(found))


@blind("A whole step")
def integer_division(steps, losses, target):
    low = (losses <= target).nonzero()
    if not len(low):
        return float("inf")
    i = int(low[0])
    if i == 0:
        return float(steps[0])
    a, b = losses[i - 1].item(), losses[i].item()
    return float(int(steps[i - 1]) + int((a - target) / (a - b) * int(steps[i] - steps[i - 1])))


@blind("A share of the training")
def of_all_steps(steps, losses, target):
    return with_nonzero(steps, losses, target) / float(steps[-1])


@blind("Not a plain float")
def a_tensor(steps, losses, target):
    low = (losses <= target).nonzero()
    if len(low) == 0:
        return float("inf")
    i = int(low[0])
    if i == 0:
        return float(steps[0])
    part = (losses[i - 1] - target) / (losses[i - 1] - losses[i])
    return steps[i - 1] + part * (steps[i] - steps[i - 1])


@blind("Always the first step")
def above(steps, losses, target):
    return float(steps[(losses >= target).nonzero()[0, 0]]) if (losses >= target).any() else float(steps[0])


@blind("Always the last step")
def end(steps, losses, target):
    return float(steps[-1])
