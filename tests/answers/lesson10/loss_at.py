"""Answers to exercise 10.3, loss_at: right ones, and wrong ones with the message that they must get."""

import bisect
import math

import numpy as np
import torch
from answers import ANY, blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def with_nonzero(tokens, losses, at):
    i = int((tokens >= at).nonzero()[0])
    if tokens[i] == at:
        return float(losses[i])
    x = tokens.double().log()
    part = (math.log(at) - x[i - 1]) / (x[i] - x[i - 1])
    return float(losses[i - 1] + part * (losses[i] - losses[i - 1]))


@right
def in_numpy(tokens, losses, at):
    return float(np.interp(np.log(at), np.log(tokens.numpy()), losses.numpy()))


@right
def in_python(tokens, losses, at):
    points = list(zip(tokens.tolist(), losses.tolist()))
    for (t0, l0), (t1, l1) in zip(points, points[1:]):
        if t0 <= at <= t1:
            w = math.log(t1 / at) / math.log(t1 / t0)
            return w * l0 + (1 - w) * l1


@right
def searchsorted(tokens, losses, at):
    x = torch.log2(tokens.to(torch.float64))
    y = torch.log2(torch.tensor(at, dtype=torch.float64))
    j = torch.searchsorted(x, y).clamp(1, len(x) - 1)
    return torch.lerp(losses[j - 1], losses[j], (y - x[j - 1]) / (x[j] - x[j - 1])).item()


@right
def bisected(tokens, losses, at):
    t = tokens.tolist()
    i = min(bisect.bisect_right(t, at), len(t) - 1)
    share = (math.log10(at) - math.log10(t[i - 1])) / (math.log10(t[i]) - math.log10(t[i - 1]))
    return losses[i - 1].item() * (1 - share) + losses[i].item() * share


@right
def slope_by_slope(tokens, losses, at):
    """Down from the first budget, along every line that lies before `at`."""
    x = [math.log(n) for n in tokens.tolist()]
    here = math.log(at)
    loss = losses[0].item()
    for i in range(len(x) - 1):
        slope = (losses[i + 1] - losses[i]).item() / (x[i + 1] - x[i])
        loss += slope * max(min(here, x[i + 1]) - x[i], 0.0)
    return loss


@right
def hats(tokens, losses, at):
    """Each loss weighs 1 at its own budget and 0 at its neighbours."""
    x, here, n = tokens.double().log(), math.log(at), len(tokens)
    total = 0.0
    for i in range(n):
        if i > 0 and x[i - 1] <= here <= x[i]:
            return float(
                losses[i] * (here - x[i - 1]) / (x[i] - x[i - 1]) + losses[i - 1] * (x[i] - here) / (x[i] - x[i - 1])
            )
        total = float(losses[i])
    return float(losses[0]) if at <= tokens[0] else total


@right
def index_minus_one_at_the_first_budget(tokens, losses, at):
    """At the first budget, the line comes from the last one, and ends where it should."""
    i = int((tokens >= at).nonzero()[0])
    x = tokens.double().log()
    return float(losses[i - 1] + (math.log(at) - x[i - 1]) / (x[i] - x[i - 1]) * (losses[i] - losses[i - 1]))


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------

wrong("linear", "Straight in the tokens", of=with_nonzero,
      put={"tokens.double().log()": "tokens.double()", "math.log(at)": "at"})  # fmt: skip
wrong("log_in_float32", "The logarithm in float32", of=with_nonzero, put={"tokens.double().log()": "tokens.log()"})
wrong("weights_swapped", "The weights have changed places", of=with_nonzero,
      put={"losses[i - 1] + part * (losses[i] - losses[i - 1])": "losses[i] + part * (losses[i - 1] - losses[i])"})  # fmt: skip
wrong("log_of_at_forgotten", "The logarithm of `at` is missing", of=with_nonzero, put={"math.log(at)": "at"})
wrong("log_of_the_budgets_forgotten", "The logarithm of the budgets is missing", of=with_nonzero,
      put={"tokens.double().log()": "tokens.double()"})  # fmt: skip
wrong("the_mean", "The mean of two neighbours", of=with_nonzero,
      put={"(math.log(at) - x[i - 1]) / (x[i] - x[i - 1])": "0.5"})  # fmt: skip
wrong("whole_part", "The budget before", of=with_nonzero,
      put={"(math.log(at) - x[i - 1]) / (x[i] - x[i - 1])": "(math.log(at) - x[i - 1]) // (x[i] - x[i - 1])"})  # fmt: skip
wrong("subtracted", "The change is subtracted", of=with_nonzero, put={"+ part": "- part"})
wrong("change_alone", "Only the change from the budget before", of=with_nonzero,
      put={"losses[i - 1] + part": "part", "return float(losses[i])": "return float(losses[i] - losses[max(i - 1, 0)])"})  # fmt: skip
wrong("roots", "Straight in the root of the tokens", of=with_nonzero,
      put={"tokens.double().log()": "tokens.double().sqrt()", "math.log(at)": "math.sqrt(at)"})  # fmt: skip
wrong("inverse", "Straight in one over the tokens", of=with_nonzero,
      put={"tokens.double().log()": "1 / tokens.double()", "math.log(at)": "1 / at"})  # fmt: skip
wrong("from_one_token", "The part of the way begins at 0 tokens", of=with_nonzero,
      put={"(math.log(at) - x[i - 1]) / (x[i] - x[i - 1])": "math.log(at) / x[i]"})  # fmt: skip
wrong("log_of_differences", "The logarithm of a difference", of=with_nonzero,
      put={"(math.log(at) - x[i - 1]) / (x[i] - x[i - 1])": "math.log(at - tokens[i - 1]) / math.log(tokens[i] - tokens[i - 1])"})  # fmt: skip


@wrong("Straight in the logarithm of the loss")
def log_log(tokens, losses, at):
    return float(np.exp(np.interp(np.log(at), np.log(tokens.numpy()), np.log(losses.numpy()))))


@wrong("Straight in the logarithm of the loss")
def log_of_the_loss_alone(tokens, losses, at):
    return float(np.exp(np.interp(at, tokens.numpy(), np.log(losses.numpy()))))


@wrong("Straight in the tokens")
def np_interp(tokens, losses, at):
    return float(np.interp(at, tokens.numpy(), losses.numpy()))


@wrong("The nearest budget")
def nearest(tokens, losses, at):
    return losses[(tokens - at).abs().argmin()].item()


@wrong("The nearest budget")
def nearest_in_log(tokens, losses, at):
    return losses[(tokens.double().log() - math.log(at)).abs().argmin()].item()


@wrong("The budget before")
def last_not_larger(tokens, losses, at):
    return losses[tokens <= at][-1].item()


@wrong("The budget after")
def first_not_smaller(tokens, losses, at):
    return losses[tokens >= at][0].item()


@wrong("One line from the first budget to the last")
def first_to_last(tokens, losses, at):
    part = math.log(at / tokens[0]) / math.log(tokens[-1] / tokens[0])
    return float(losses[0] + part * (losses[-1] - losses[0]))


@wrong("One line from the first budget to the last")
def first_to_last_in_tokens(tokens, losses, at):
    part = (at - tokens[0]) / (tokens[-1] - tokens[0])
    return float(losses[0] + part.double() * (losses[-1] - losses[0]))


@wrong("A line fitted to all budgets")
def polyfit(tokens, losses, at):
    slope, start = np.polyfit(np.log(tokens.numpy()), losses.numpy(), 1)
    return float(start + slope * np.log(at))


@wrong("The line of the first two budgets")
def first_two(tokens, losses, at):
    x = tokens.double().log()
    return float(losses[0] + (math.log(at) - x[0]) / (x[1] - x[0]) * (losses[1] - losses[0]))


@wrong("The line of the last two budgets")
def last_two(tokens, losses, at):
    x = tokens.double().log()
    return float(losses[-2] + (math.log(at) - x[-2]) / (x[-1] - x[-2]) * (losses[-1] - losses[-2]))


@wrong("The wrong two neighbours")
def one_too_far(tokens, losses, at):
    i = min(int((tokens >= at).nonzero()[0]) + 1, len(tokens) - 1)
    x = tokens.double().log()
    return float(losses[i - 1] + (math.log(at) - x[i - 1]) / (x[i] - x[i - 1]) * (losses[i] - losses[i - 1]))


@wrong("The wrong two neighbours")
def one_too_early(tokens, losses, at):
    i = max(int((tokens >= at).nonzero()[0]) - 1, 1)
    x = tokens.double().log()
    return float(losses[i - 1] + (math.log(at) - x[i - 1]) / (x[i] - x[i - 1]) * (losses[i] - losses[i - 1]))


# ---- wrong, written from the exercise's text alone ---------------------------------------------------------------------


@blind("No budget was found")
def strictly_larger(tokens, losses, at):
    i = int((tokens > at).nonzero()[0])
    x = tokens.double().log()
    part = (math.log(at) - x[i - 1]) / (x[i] - x[i - 1])
    return float(losses[i - 1] + part * (losses[i] - losses[i - 1]))


@blind("At a budget itself")
def strict_neighbours(tokens, losses, at):
    if at in (tokens[0], tokens[-1]):
        return float(losses[0] if at == tokens[0] else losses[-1])
    left, right = int((tokens < at).nonzero()[-1]), int((tokens > at).nonzero()[0])
    x = tokens.double().log()
    part = (math.log(at) - x[left]) / (x[right] - x[left])
    return float(losses[left] + part * (losses[right] - losses[left]))


@blind("Nothing is returned")
def strictly_between(tokens, losses, at):
    t = tokens.tolist()
    for i in range(len(t) - 1):
        if t[i] < at < t[i + 1]:
            part = math.log(at / t[i]) / math.log(t[i + 1] / t[i])
            return losses[i].item() + part * (losses[i + 1] - losses[i]).item()


@blind("The loss is nan or infinite")
def zero_over_zero(tokens, losses, at):
    x = tokens.double().log()
    left = torch.where(tokens <= at)[0][-1]
    right = torch.where(tokens >= at)[0][0]
    part = (math.log(at) - x[left]) / (x[right] - x[left])
    return float(losses[left] + part * (losses[right] - losses[left]))


@blind("The logarithm in float32", "Nearly right")
def all_in_float32(tokens, losses, at):
    i = max(int((tokens >= at).nonzero()[0]), 1)
    x, here = tokens.float().log(), torch.tensor(at).log()
    part = ((here - x[i - 1]) / (x[i] - x[i - 1])).nan_to_num(0)
    return (losses[i - 1] + part * (losses[i] - losses[i - 1])).item()


@blind("Not a plain float")
def a_tensor(tokens, losses, at):
    i = max(int((tokens >= at).nonzero()[0]), 1)
    x = tokens.double().log()
    return losses[i - 1] + (math.log(at) - x[i - 1]) / (x[i] - x[i - 1]) * (losses[i] - losses[i - 1])


@blind("Always the last budget")
def the_largest(tokens, losses, at):
    return losses[-1].item()


@blind("The loss itself at a budget")
def the_next_one(tokens, losses, at):
    t = tokens.tolist()
    if at in t:
        return losses[(t.index(at) + 1) % len(t)].item()
    return float(np.interp(np.log(at), np.log(tokens.numpy()), losses.numpy()))


@blind("Straight in the tokens")
def a_straight_line_between_two_budgets(tokens, losses, at):
    """A straight line between two budgets is np.interp."""
    return float(np.interp(at, tokens.numpy(), losses.numpy()))


@blind("The logarithm in float32")
def torch_log_of_the_tokens_and(tokens, losses, at):
    """torch.log of the tokens and math.log of `at`, then the line; a log is a log."""
    x = torch.log(tokens)  # int64 -> float32
    i = 0
    while i < len(x) - 2 and tokens[i + 1] < at:
        i += 1
    if len(x) == 1:
        return float(losses[0])
    w = (math.log(at) - x[i]) / (x[i + 1] - x[i])
    return float(losses[i] + w * (losses[i + 1] - losses[i]))


@blind("Straight in the logarithm of the loss")
def scaling_laws_are_straight_in_log(tokens, losses, at):
    """Scaling laws are straight in log-log, so I take the logarithm of the losses too."""
    y = np.interp(math.log(at), np.log(tokens.numpy()), np.log(losses.numpy()))
    return float(np.exp(y))


@blind("Straight in the logarithm of the loss")
def logarithm_of_the_losses_over_the(tokens, losses, at):
    """Logarithm of the losses over the tokens as they are."""
    return float(np.exp(np.interp(at, tokens.numpy(), np.log(losses.numpy()))))


@blind("The nearest budget")
def i_take_the_loss_of_the(tokens, losses, at):
    """I take the loss of the budget that is nearest in the logarithm."""
    d = (tokens.double().log() - math.log(at)).abs()
    return losses[d.argmin()].item()


@blind("The mean of two neighbours")
def between_two_budgets_means_the_mean(tokens, losses, at):
    """Between two budgets means the mean of their two losses."""
    x = tokens.tolist()
    if at in x:
        return losses[x.index(at)].item()
    i = bisect.bisect(x, at)
    return ((losses[i - 1] + losses[i]) / 2).item()


@blind("The weights have changed places")
def w_is_the_share_of_the(tokens, losses, at):
    """w is the share of the first one."""
    x, y = tokens.tolist(), losses.tolist()
    if at in x:
        return y[x.index(at)]
    i = bisect.bisect(x, at)
    w = (math.log(at) - math.log(x[i - 1])) / (math.log(x[i]) - math.log(x[i - 1]))
    return w * y[i - 1] + (1 - w) * y[i]


@blind("The budget before")
def the_loss_is_that_of_the(tokens, losses, at):
    """The loss is that of the largest budget that `at` can pay for."""
    i = int((tokens <= at).sum()) - 1
    return losses[i].item()


@blind("A line fitted to all budgets")
def a_straight_line_in_log_tokens(tokens, losses, at):
    """A straight line in log(tokens): I fit one with least squares through all the budgets."""
    if len(tokens) == 1:
        return losses[0].item()
    slope, start = np.polyfit(np.log(tokens.numpy()), losses.numpy(), 1)
    return float(start + slope * math.log(at))


@blind("One line from the first budget to the last")
def the_line_goes_from_the_first(tokens, losses, at):
    """The line goes from the first budget to the last one."""
    if len(tokens) == 1:
        return losses[0].item()
    lo, hi = math.log(tokens[0]), math.log(tokens[-1])
    w = (math.log(at) - lo) / (hi - lo)
    return (losses[0] + w * (losses[-1] - losses[0])).item()


@blind("No budget was found")
def searchsorted_from_the_right_gives_the(tokens, losses, at):
    """searchsorted from the right gives the upper neighbour, always."""
    i = int(torch.searchsorted(tokens.double(), torch.tensor(at, dtype=torch.float64), right=True))
    x = tokens.double().log()
    w = (math.log(at) - x[i - 1]) / (x[i] - x[i - 1])
    return (losses[i - 1] + w * (losses[i] - losses[i - 1])).item()


@blind("The line of the first two budgets")
def there_are_two_budgets_1_and(tokens, losses, at):
    """There are two budgets, 1 and 2 million."""
    x = tokens.double().log()
    w = (math.log(at) - x[0]) / (x[1] - x[0])
    return (losses[0] + w * (losses[1] - losses[0])).item()


@blind("Not a plain float")
def losses_is_already_the_number_no(tokens, losses, at):
    """losses[...] is already the number, no need for item()."""
    if len(tokens) == 1:
        return losses[0]
    x = tokens.double().log()
    i = max(1, int((tokens < at).sum()))
    w = (math.log(at) - x[i - 1]) / (x[i] - x[i - 1])
    return losses[i - 1] + w * (losses[i] - losses[i - 1])


@blind(ANY)
def budgets_double_so_log2_at_tokens(tokens, losses, at):
    """Budgets double, so log2(at / tokens[0]) is the place in the list."""
    place = math.log2(at / tokens[0].item())
    return float(np.interp(place, np.arange(len(tokens)), losses.numpy()))


@blind(ANY)
def more_tokens_give_a_lower_loss(tokens, losses, at):
    """More tokens give a lower loss, so I sort the losses downwards first."""
    y = losses.sort(descending=True).values
    return float(np.interp(math.log(at), np.log(tokens.numpy()), y.numpy()))


@blind(ANY)
def log_tokens_1_because_of_a(tokens, losses, at):
    """log(tokens + 1), because of a possible zero."""
    return float(np.interp(np.log1p(at), np.log1p(tokens.numpy()), losses.numpy()))


@blind(ANY)
def i_find_the_share_of_the(tokens, losses, at):
    """I find the share of the way in tokens and then take its logarithm."""
    x, y = tokens.tolist(), losses.tolist()
    if at in x:
        return y[x.index(at)]
    i = bisect.bisect(x, at)
    w = math.log(1 + (at - x[i - 1]) / (x[i] - x[i - 1]))
    return y[i - 1] + w * (y[i] - y[i - 1])


@blind(ANY)
def tokens_are_whole_numbers_so_int(tokens, losses, at):
    """Tokens are whole numbers, so int(at)."""
    return float(np.interp(np.log(int(at)), np.log(tokens.numpy()), losses.numpy()))


@blind("The budget before")
def the_share_of_the_way_with(tokens, losses, at):
    """The share of the way with // since tokens are integers."""
    x, y = tokens.tolist(), losses.tolist()
    if at in x:
        return y[x.index(at)]
    i = bisect.bisect(x, at)
    w = (math.log(at) - math.log(x[i - 1])) // (math.log(x[i]) - math.log(x[i - 1]))
    return y[i - 1] + w * (y[i] - y[i - 1])


@blind("Your function changed its input")
def i_move_the_lower_point_up(tokens, losses, at):
    """I move the lower point up along the line until it is at `at`, and read it there."""
    y = losses.numpy()  # the same memory
    x = np.log(tokens.numpy())
    if len(y) == 1:
        return float(y[0])
    i = min(max(int((tokens <= at).sum()) - 1, 0), len(y) - 2)
    y[i] += (math.log(at) - x[i]) / (x[i + 1] - x[i]) * (y[i + 1] - y[i])
    return float(y[i])


@blind("Nothing is returned")
def print_shows_the_loss(tokens, losses, at):
    """print shows the loss."""
    print(float(np.interp(math.log(at), np.log(tokens.numpy()), losses.numpy())))


@blind(ANY)
def math_log_works_on_numbers_and(tokens, losses, at):
    """math.log works on numbers and so on a tensor of numbers."""
    x = math.log(tokens)
    return float(np.interp(math.log(at), x, losses.numpy()))


@blind(ANY)
def the_two_neighbouring_budgets_are_the(tokens, losses, at):
    """The two neighbouring budgets are the two nearest ones."""
    if len(tokens) == 1:
        return losses[0].item()
    i, j = (tokens - at).abs().argsort()[:2].tolist()
    lo, hi = math.log(tokens[i]), math.log(tokens[j])
    w = (math.log(at) - lo) / (hi - lo)
    return (losses[i] + w * (losses[j] - losses[i])).item()


@blind("Nothing is returned")
def i_loop_over_the_segments_and(tokens, losses, at):
    """I loop over the segments and test with < on both sides."""
    x, y = tokens.tolist(), losses.tolist()
    for i in range(len(x) - 1):
        if x[i] < at < x[i + 1]:
            w = (math.log(at) - math.log(x[i])) / (math.log(x[i + 1]) - math.log(x[i]))
            return y[i] + w * (y[i + 1] - y[i])


@blind(ANY)
def a_curve_through_all_the_points(tokens, losses, at):
    """A curve through all the points in log(tokens) is better than pieces of lines."""
    x = np.log(tokens.numpy())
    p = math.log(at)
    total = 0.0
    for i in range(len(x)):
        term = losses[i].item()
        for j in range(len(x)):
            if j != i:
                term *= (p - x[j]) / (x[i] - x[j])
        total += term
    return float(total)
