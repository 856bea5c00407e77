"""Answers to exercise 10.1, steps_to: right ones, and wrong ones with the message that they must get."""

import bisect
import math

import numpy as np
import torch
from answers import ANY, blind, right, wrong

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


@blind("The first point that is low enough")
def i_return_the_first_measured_step(steps, losses, target):
    """I return the first measured step whose loss is low enough; that is the first time we know of."""
    for s, l in zip(steps, losses):
        if l <= target:
            return float(s)
    return float("inf")


@blind("At the target is low enough")
def the_curve_has_to_get_under(steps, losses, target):
    """The curve has to get under the target, so I test with <."""
    for i in range(len(steps)):
        if losses[i] < target:
            if i == 0:
                return float(steps[0])
            w = (losses[i - 1] - target) / (losses[i - 1] - losses[i])
            return float(steps[i - 1] + w * (steps[i] - steps[i - 1]))
    return float("inf")


@blind("The last time, not the first")
def the_curve_is_noisy_so_it(steps, losses, target):
    """The curve is noisy, so it only counts once it stays below the target for good."""
    above = (losses > target).nonzero().flatten()
    if len(above) == 0:
        return float(steps[0])
    i = int(above[-1])
    if i == len(losses) - 1:
        return float("inf")
    w = (losses[i] - target) / (losses[i] - losses[i + 1])
    return float(steps[i] + w * (steps[i + 1] - steps[i]))


@blind("A binary search on a curve that rises")
def a_loss_curve_falls_so_turned(steps, losses, target):
    """A loss curve falls, so turned round it is ascending and np.interp can invert it."""
    if (losses > target).all():
        return float("inf")
    return float(np.interp(target, losses.flip(0).numpy(), steps.flip(0).numpy()))


@blind("The last point stands before the first")
def there_is_always_a_point_before(steps, losses, target):
    """There is always a point before the crossing, so i - 1 is fine."""
    hit = (losses <= target).nonzero()
    if len(hit) == 0:
        return float("inf")
    i = int(hit[0])
    w = (losses[i - 1] - target) / (losses[i - 1] - losses[i])
    return float(steps[i - 1] + w * (steps[i] - steps[i - 1]))


@blind("Nothing is returned")
def if_the_loop_finds_nothing_there(steps, losses, target):
    """If the loop finds nothing there is nothing to return."""
    s, l = steps.tolist(), losses.tolist()
    if l[0] <= target:
        return float(s[0])
    for i in range(1, len(s)):
        if l[i] <= target:
            return s[i - 1] + (s[i] - s[i - 1]) * (l[i - 1] - target) / (l[i - 1] - l[i])


@blind("Not a plain float")
def a_tensor_with_one_number_in(steps, losses, target):
    """A tensor with one number in it is as good as a float."""
    hit = (losses <= target).nonzero().flatten()
    if len(hit) == 0:
        return torch.tensor(float("inf"), dtype=torch.float64)
    i = hit[0]
    if i == 0:
        return steps[0].double()
    w = (losses[i - 1] - target) / (losses[i - 1] - losses[i])
    return steps[i - 1] + w * (steps[i] - steps[i - 1])


@blind("The last step where the curve never gets there")
def if_it_has_not_got_there(steps, losses, target):
    """If it has not got there by the end, the best I can say is the last step."""
    s, l = steps.tolist(), losses.tolist()
    if l[0] <= target:
        return float(s[0])
    for i in range(1, len(s)):
        if l[i] <= target:
            return s[i - 1] + (s[i] - s[i - 1]) * (l[i - 1] - target) / (l[i - 1] - l[i])
    return float(s[-1])


@blind("The fraction is turned round")
def the_share_of_the_way_is(steps, losses, target):
    """The share of the way is how far the target is above the lower point."""
    s, l = steps.tolist(), losses.tolist()
    if l[0] <= target:
        return float(s[0])
    for i in range(1, len(s)):
        if l[i] <= target:
            w = (target - l[i]) / (l[i - 1] - l[i])
            return s[i - 1] + w * (s[i] - s[i - 1])
    return float("inf")


@blind("An index, not a step")
def the_place_in_the_curve_is(steps, losses, target):
    """The place in the curve is the number of steps, so I interpolate the index."""
    l = losses.tolist()
    if l[0] <= target:
        return 0.0
    for i in range(1, len(l)):
        if l[i] <= target:
            return i - 1 + (l[i - 1] - target) / (l[i - 1] - l[i])
    return float("inf")


@blind("0 where the first point is low enough")
def if_it_starts_low_enough_it(steps, losses, target):
    """If it starts low enough it needed no steps at all: 0."""
    s, l = steps.tolist(), losses.tolist()
    if l[0] <= target:
        return 0.0
    for i in range(1, len(s)):
        if l[i] <= target:
            return s[i - 1] + (s[i] - s[i - 1]) * (l[i - 1] - target) / (l[i - 1] - l[i])
    return float("inf")


@blind("The first step where the curve never gets there")
def argmax_of_the_mask_gives_the(steps, losses, target):
    """argmax of the mask gives the first True; there always is one."""
    i = int((losses <= target).int().argmax())
    if i == 0:
        return float(steps[0])
    w = (losses[i - 1] - target) / (losses[i - 1] - losses[i])
    return float(steps[i - 1] + w * (steps[i] - steps[i - 1]))


@blind(ANY)
def if_the_best_point_reaches_the(steps, losses, target):
    """If the best point reaches the target, the step of the best point is the answer."""
    i = int(losses.argmin())
    if losses[i] > target:
        return float("inf")
    return float(steps[i])


@blind("The nearest point")
def the_point_whose_loss_is_nearest(steps, losses, target):
    """The point whose loss is nearest to the target is where it was reached."""
    if losses.min() > target:
        return float("inf")
    return float(steps[(losses - target).abs().argmin()])


@blind("Straight in the logarithm of the steps")
def losses_fall_with_the_logarithm_of(steps, losses, target):
    """Losses fall with the logarithm of the steps, so I interpolate in log(steps)."""
    s, l = steps.tolist(), losses.tolist()
    if l[0] <= target:
        return float(s[0])
    for i in range(1, len(s)):
        if l[i] <= target:
            w = (l[i - 1] - target) / (l[i - 1] - l[i])
            x = math.log(s[i - 1]) + w * (math.log(s[i]) - math.log(s[i - 1]))
            return math.exp(x)
    return float("inf")


@blind("A whole step")
def one_cannot_train_a_part_of(steps, losses, target):
    """One cannot train a part of a step, so I round up to a whole step."""
    s, l = steps.tolist(), losses.tolist()
    if l[0] <= target:
        return float(s[0])
    for i in range(1, len(s)):
        if l[i] <= target:
            return float(math.ceil(s[i - 1] + (s[i] - s[i - 1]) * (l[i - 1] - target) / (l[i - 1] - l[i])))
    return float("inf")


@blind("The running minimum was interpolated")
def the_curve_is_noisy_so_i(steps, losses, target):
    """The curve is noisy, so I make it falling with the running minimum and interpolate on that."""
    y = torch.cummin(losses, dim=0).values
    hit = (y <= target).nonzero().flatten()
    if len(hit) == 0:
        return float("inf")
    i = int(hit[0])
    if i == 0:
        return float(steps[0])
    w = (y[i - 1] - target) / (y[i - 1] - y[i])
    return float(steps[i - 1] + w * (steps[i] - steps[i - 1]))


@blind(ANY)
def curves_are_noisy_so_i_smooth(steps, losses, target):
    """Curves are noisy, so I smooth over three points before I look for the crossing."""
    y = losses.clone()
    y[1:-1] = (losses[:-2] + losses[1:-1] + losses[2:]) / 3
    hit = (y <= target).nonzero().flatten()
    if len(hit) == 0:
        return float("inf")
    i = int(hit[0])
    if i == 0:
        return float(steps[0])
    w = (y[i - 1] - target) / (y[i - 1] - y[i])
    return float(steps[i - 1] + w * (steps[i] - steps[i - 1]))


@blind("Your function changed its input")
def i_shift_the_losses_so_that(steps, losses, target):
    """I shift the losses so that the target is 0 (in place, saves a copy) and look for the first one <= 0."""
    losses -= target
    hit = (losses <= 0).nonzero().flatten()
    if len(hit) == 0:
        return float("inf")
    i = int(hit[0])
    if i == 0:
        return float(steps[0])
    w = losses[i - 1] / (losses[i - 1] - losses[i])
    return float(steps[i - 1] + w * (steps[i] - steps[i - 1]))


@blind("Nothing is returned")
def i_print_the_answer_to_see(steps, losses, target):
    """I print the answer to see it."""
    s, l = steps.tolist(), losses.tolist()
    answer = float("inf")
    for i in range(len(s)):
        if l[i] <= target:
            answer = float(s[i])
            if i > 0:
                answer = s[i - 1] + (s[i] - s[i - 1]) * (l[i - 1] - target) / (l[i - 1] - l[i])
            break
    print(answer)


@blind(ANY)
def single_precision_is_what_we_use(steps, losses, target):
    """Single precision is what we use everywhere, so .float() first."""
    x, y = steps.float(), losses.float()
    hit = (y <= target).nonzero().flatten()
    if len(hit) == 0:
        return float("inf")
    i = int(hit[0])
    if i == 0:
        return float(x[0])
    w = (y[i - 1] - target) / (y[i - 1] - y[i])
    return float(x[i - 1] + w * (x[i] - x[i - 1]))


@blind("0 / 0 between equal losses")
def crossing_means_the_sign_of_loss(steps, losses, target):
    """Crossing means the sign of loss - target changes between two neighbours (product below 0)."""
    d = (losses - target).tolist()
    s = steps.tolist()
    if d[0] <= 0:
        return float(s[0])
    for i in range(len(d) - 1):
        if d[i] * d[i + 1] < 0:
            return s[i] + (s[i + 1] - s[i]) * d[i] / (d[i] - d[i + 1])
    return float("inf")


@blind(ANY)
def i_take_the_segment_after_the(steps, losses, target):
    """I take the segment after the first low point: from i to i + 1."""
    hit = (losses <= target).nonzero().flatten()
    if len(hit) == 0:
        return float("inf")
    i = int(hit[0])
    if i == 0:
        return float(steps[0])
    j = min(i + 1, len(steps) - 1)
    if i == j:
        return float(steps[i])
    w = (losses[i] - target) / (losses[i] - losses[j])
    return float(steps[i] + w * (steps[j] - steps[i]))


@blind("No point is low enough")
def the_first_index_of_the_mask(steps, losses, target):
    """The first index of the mask is nonzero()[0]; a target that is never reached will not come up."""
    i = int((losses <= target).nonzero()[0])
    if i == 0:
        return float(steps[0])
    w = (losses[i - 1] - target) / (losses[i - 1] - losses[i])
    return float(steps[i - 1] + w * (steps[i] - steps[i - 1]))


@blind(ANY)
def losses_are_python_floats_after_tolist(steps, losses, target):
    """Losses are Python floats after tolist, steps may stay a tensor: the sum is exact anyhow."""
    l = losses.tolist()
    for i in range(len(l)):
        if l[i] <= target:
            if i == 0:
                return float(steps[0])
            w = (l[i - 1] - target) / (l[i - 1] - l[i])
            return float(steps[i - 1] + w * (steps[i] - steps[i - 1]))  # int64 tensor * float -> float32
    return float("inf")
