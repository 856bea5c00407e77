"""Answers to exercise 10.4, equal_cost: right ones, and wrong ones with the message that they must get."""

import math

import numpy as np
import torch
from answers import ANY, blind, right, wrong


def loss_at(tokens, losses, at):
    i = int((tokens >= at).nonzero()[0])
    if tokens[i] == at:
        return float(losses[i])
    x = tokens.double().log()
    part = (math.log(at) - x[i - 1]) / (x[i] - x[i - 1])
    return float(losses[i - 1] + part * (losses[i] - losses[i - 1]))


def paired_interval(a, b, t):
    d = a - b
    half = t * d.std() / math.sqrt(len(d))
    return float(d.mean()), float(d.mean() - half), float(d.mean() + half)


def linear_at(tokens, losses, at):
    return float(np.interp(at, tokens.numpy(), losses.numpy()))


def nearest_at(tokens, losses, at):
    return float(losses[(tokens - at).abs().argmin()])


def welch(a, b, t):
    mean, half = float(a.mean() - b.mean()), t * float(((a.var() + b.var()) / len(a)).sqrt())
    return mean, mean - half, mean + half


def with_weights(tokens, losses, at):
    points = list(zip(tokens.tolist(), losses.tolist()))
    at = min(at, points[-1][0])
    for (t0, l0), (t1, l1) in zip(points, points[1:]):
        if t0 <= at <= t1:
            w = math.log(t1 / at) / math.log(t1 / t0)
            return w * l0 + (1 - w) * l1


# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def with_both_functions(tokens, a, b, cost_a, cost_b, t):
    amount = min(cost_a, cost_b) * float(tokens[-1])
    n_a, n_b = amount / cost_a, amount / cost_b
    x = torch.tensor([loss_at(tokens, row, n_a) for row in a], dtype=torch.float64)
    y = torch.tensor([loss_at(tokens, row, n_b) for row in b], dtype=torch.float64)
    mean, low, high = paired_interval(x, y, t)
    better = -1 if low <= 0 <= high else 0 if high < 0 else 1
    return amount, better, mean, low, high


@right
def in_numpy(tokens, a, b, cost_a, cost_b, t):
    logs = np.log(tokens.numpy())
    amount = float(np.minimum(cost_a, cost_b) * tokens.numpy()[-1])
    d = [np.interp(np.log(amount / cost_a), logs, x) - np.interp(np.log(amount / cost_b), logs, y)
         for x, y in zip(a.numpy(), b.numpy())]  # fmt: skip
    mean, half = float(np.mean(d)), float(t * np.std(d, ddof=1) / len(d) ** 0.5)
    low, high = mean - half, mean + half
    return amount, int(low > 0) if low * high > 0 else -1, mean, low, high


@right
def with_weights_and_welford(tokens, a, b, cost_a, cost_b, t):
    """Mean and squares are kept up to date from seed to seed."""
    amount = float(tokens[-1]) * (cost_a if cost_a < cost_b else cost_b)
    mean, squares, n = 0.0, 0.0, 0
    for x, y in zip(a, b):
        d = with_weights(tokens, x, amount / cost_a) - with_weights(tokens, y, amount / cost_b)
        n += 1
        off = d - mean
        mean += off / n
        squares += off * (d - mean)
    half = t * math.sqrt(squares / (n - 1)) / math.sqrt(n)
    low, high = mean - half, mean + half
    return amount, 1 if low > 0 else 0 if high < 0 else -1, mean, low, high


@right
def by_the_cheaper_one(tokens, a, b, cost_a, cost_b, t):
    last = len(tokens) - 1
    if cost_a <= cost_b:
        amount = cost_a * tokens[last].item()
        d = [a[s, last].item() - loss_at(tokens, b[s], amount / cost_b) for s in range(len(a))]
    else:
        amount = cost_b * tokens[last].item()
        d = [loss_at(tokens, a[s], amount / cost_a) - b[s, last].item() for s in range(len(a))]
    n = len(d)
    mean = sum(d) / n
    half = t * (sum((x - mean) ** 2 for x in d) / (n - 1) / n) ** 0.5
    low, high = mean - half, mean + half
    if high < 0:
        return amount, 0, mean, low, high
    if low > 0:
        return amount, 1, mean, low, high
    return amount, -1, mean, low, high


@right
def all_seeds_at_once(tokens, a, b, cost_a, cost_b, t):
    amount = torch.tensor([cost_a, cost_b], dtype=torch.float64).amin().item() * tokens.max().item()
    x = tokens.double().log()

    def read(losses, cost):
        at = torch.tensor(amount / cost, dtype=torch.float64).log()
        j = torch.searchsorted(x, at).clamp(1, len(x) - 1)
        return torch.lerp(losses[:, j - 1], losses[:, j], (at - x[j - 1]) / (x[j] - x[j - 1]))

    mean, low, high = paired_interval(read(a, cost_a), read(b, cost_b), t)
    return amount, (0 if high < 0 else 1) if not low <= 0 <= high else -1, mean, low, high


@right
def in_costs(tokens, a, b, cost_a, cost_b, t):
    """The line is straight in the logarithm of the cost, too: a factor moves it along."""
    spent_a, spent_b = (tokens.double() * c for c in (cost_a, cost_b))
    amount = float(min(spent_a[-1], spent_b[-1]))
    d = torch.stack([
        torch.tensor(np.interp(math.log(amount), spent_a.log(), x) - np.interp(math.log(amount), spent_b.log(), y))
        for x, y in zip(a, b)
    ])  # fmt: skip
    mean, low, high = paired_interval(d, torch.zeros_like(d), t)
    better = -1
    if low > 0:
        better = 1
    elif high < 0:
        better = 0
    return amount, better, mean, low, high


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------

wrong("tokens_for_cost", "Tokens, not cost", of=with_both_functions,
      put={"min(cost_a, cost_b) * float(tokens[-1])": "float(tokens[-1])",
           "amount / cost_a, amount / cost_b": "amount, amount"})  # fmt: skip
wrong("of_a_alone", "Outside of the budgets",
      of=with_both_functions, put={"min(cost_a, cost_b)": "cost_a"})  # fmt: skip
wrong(
    "largest_cost", "Outside of the budgets", of=with_both_functions, put={"min(cost_a, cost_b)": "max(cost_a, cost_b)"}
)
wrong("times_cost", "Outside of the budgets", of=with_both_functions,
      put={"amount / cost_a, amount / cost_b": "amount * cost_a, amount * cost_b"})  # fmt: skip
wrong("costs_swapped", "The costs have changed places", of=with_both_functions,
      put={"amount / cost_a, amount / cost_b": "amount / cost_b, amount / cost_a"})  # fmt: skip
wrong("last_columns", "Compared after the same tokens", of=with_both_functions,
      put={"amount / cost_a, amount / cost_b": "float(tokens[-1]), float(tokens[-1])"})  # fmt: skip
wrong("same_tokens", "Compared after the same tokens", of=with_both_functions,
      put={"amount / cost_a, amount / cost_b": "amount / max(cost_a, cost_b), amount / max(cost_a, cost_b)"})  # fmt: skip
wrong("first_budget", "The smallest amount, not the largest", of=with_both_functions,
      put={"min(cost_a, cost_b) * float(tokens[-1])": "max(cost_a, cost_b) * float(tokens[0])"})  # fmt: skip
wrong("swapped_verdict", "0 and 1 have changed places", of=with_both_functions, put={"high < 0": "low > 0"})
wrong("of_the_mean", "Judged by the mean alone", of=with_both_functions,
      put={"-1 if low <= 0 <= high else 0 if high < 0 else 1": "0 if mean < 0 else 1"})  # fmt: skip
wrong(
    "never_undecided",
    "Judged by one end of the interval",
    of=with_both_functions,
    put={"-1 if low <= 0 <= high else ": ""},
)
wrong("touching_is_outside", "An end at 0 is inside", of=with_both_functions,
      put={"low <= 0 <= high else 0 if high < 0": "low < 0 < high else 0 if mean < 0"})  # fmt: skip
wrong("sign_as_verdict", "0 is the first model", of=with_both_functions,
      put={"-1 if low <= 0 <= high else 0 if high < 0 else 1": "0 if low <= 0 <= high else -1 if high < 0 else 1"})  # fmt: skip
wrong(
    "one_and_two",
    "Models are counted from 0",
    of=with_both_functions,
    put={"0 if high < 0 else 1": "1 if high < 0 else 2"},
)
wrong(
    "b_minus_a",
    "b − a, not a − b",
    of=with_both_functions,
    put={"paired_interval(x, y, t)": "paired_interval(y, x, t)"},
)
wrong("b_minus_a_with_its_verdict", "b − a, not a − b", of=with_both_functions,
      put={"paired_interval(x, y, t)": "paired_interval(y, x, t)", "0 if high < 0 else 1": "1 if high < 0 else 0"})  # fmt: skip
wrong("unpaired", "The pairs are not used", of=with_both_functions, put={"paired_interval(": "welch("})
wrong("first_seed_alone", "One seed for all", of=with_both_functions,
      put={"row, n_a)": "a[0], n_a)", "row, n_b)": "b[0], n_b)"})  # fmt: skip
wrong("without_the_last_seed", "A seed is missing", of=with_both_functions,
      put={"for row in a]": "for row in a[:-1]]", "for row in b]": "for row in b[:-1]]"})  # fmt: skip
wrong("nearest", "The nearest budget", of=with_both_functions,
      put={"loss_at(tokens, row, n_a)": "nearest_at(tokens, row, n_a)", "loss_at(tokens, row, n_b)": "nearest_at(tokens, row, n_b)"})  # fmt: skip
wrong("linear", "Straight in the tokens", of=with_both_functions,
      put={"loss_at(tokens, row, n_a)": "linear_at(tokens, row, n_a)", "loss_at(tokens, row, n_b)": "linear_at(tokens, row, n_b)"})  # fmt: skip
wrong("a_on_its_largest", "The first model is always on its largest budget", of=with_both_functions,
      put={"loss_at(tokens, row, n_a)": "float(row[-1])"})  # fmt: skip


@wrong("The mean over the seeds was taken first")
def mean_first(tokens, a, b, cost_a, cost_b, t):
    amount = min(cost_a, cost_b) * float(tokens[-1])
    x = torch.tensor([loss_at(tokens, a.mean(dim=0), amount / cost_a)], dtype=torch.float64)
    y = torch.tensor([loss_at(tokens, b.mean(dim=0), amount / cost_b)], dtype=torch.float64)
    d = x - y
    half = t * math.sqrt(((d - d.mean()) ** 2).sum() / max(len(d) - 1, 1))
    low, high = d.item() - half, d.item() + half
    return amount, -1 if low <= 0 <= high else 0 if high < 0 else 1, d.item(), low, high


@wrong("A result is nan")
def one_number_per_model(tokens, a, b, cost_a, cost_b, t):
    amount = min(cost_a, cost_b) * float(tokens[-1])
    x = torch.tensor([loss_at(tokens, a.mean(dim=0), amount / cost_a)], dtype=torch.float64)
    y = torch.tensor([loss_at(tokens, b.mean(dim=0), amount / cost_b)], dtype=torch.float64)
    d = x - y
    half = t * (((d - d.mean()) ** 2).sum() / (len(d) - 1) / len(d)).sqrt().item()
    low, high = d.item() - half, d.item() + half
    return amount, -1 if low <= 0 <= high else 0 if high < 0 else 1, d.item(), low, high


@wrong("The cost of the more expensive model")
def clamped_at_the_largest(tokens, a, b, cost_a, cost_b, t):
    amount = max(cost_a, cost_b) * float(tokens[-1])
    last = float(tokens[-1])
    x = torch.tensor([loss_at(tokens, row, min(amount / cost_a, last)) for row in a], dtype=torch.float64)
    y = torch.tensor([loss_at(tokens, row, min(amount / cost_b, last)) for row in b], dtype=torch.float64)
    mean, low, high = paired_interval(x, y, t)
    return amount, -1 if low <= 0 <= high else 0 if high < 0 else 1, mean, low, high


@wrong("Outside of the budgets")
def a_hair_too_far(tokens, a, b, cost_a, cost_b, t):
    amount = min(cost_a, cost_b) * float(tokens[-1])
    ends = []
    for losses, cost in ((a, cost_a), (b, cost_b)):
        right = int((tokens.double() >= amount / cost).nonzero()[0])  # none, where rounding put it above the last
        part = 0.0 if right == 0 else reached_part(tokens, right, amount / cost)
        before = losses[:, max(right - 1, 0)]
        ends.append(before + part * (losses[:, right] - before))
    mean, low, high = paired_interval(*ends, t)
    return amount, -1 if low <= 0 <= high else int(high > 0), mean, low, high


def reached_part(tokens, right, at):
    x = tokens.double().log()
    return (math.log(at) - x[right - 1]) / (x[right] - x[right - 1])


# ---- wrong, written from the exercise's text alone ---------------------------------------------------------------------


def clamped_at(tokens, losses, at):
    """As loss_at, but the last loss beyond the last budget."""
    x = np.log(tokens.numpy().astype(np.float64))
    return float(np.interp(math.log(at), x, losses.numpy().astype(np.float64)))


def read(tokens, y, at):
    """Every seed's loss at `at`."""
    return torch.tensor([clamped_at(tokens, row, at) for row in y], dtype=torch.float64)


def verdict(mean, low, high):
    """The rule that most of the wrong ones below get right."""
    if low <= 0 <= high:
        return -1
    return 0 if mean < 0 else 1


@blind("Multiplied by the cost, not divided")
def multiplied(tokens, a, b, cost_a, cost_b, t):
    amount = min(cost_a, cost_b) * float(tokens[-1])
    logs = tokens.double().log().numpy()
    x = torch.tensor([np.interp(math.log(amount * cost_a), logs, row) for row in a.numpy()])
    y = torch.tensor([np.interp(math.log(amount * cost_b), logs, row) for row in b.numpy()])
    mean, low, high = paired_interval(x, y, t)
    return amount, -1 if low <= 0 <= high else 0 if high < 0 else 1, mean, low, high


@blind("The cost of the first model alone")
def cost_of_the_first(tokens, a, b, cost_a, cost_b, t):
    amount = cost_a * float(tokens[-1])
    logs = tokens.double().log().numpy()
    x = torch.tensor([np.interp(math.log(amount / cost_a), logs, row) for row in a.numpy()])
    y = torch.tensor([np.interp(math.log(amount / cost_b), logs, row) for row in b.numpy()])
    mean, low, high = paired_interval(x, y, t)
    return amount, -1 if low <= 0 <= high else 0 if high < 0 else 1, mean, low, high


@blind("The interval is not that of exercise 10.2")
def one_standard_deviation(tokens, a, b, cost_a, cost_b, t):
    amount, _, mean, low, high = with_both_functions(tokens, a, b, cost_a, cost_b, t)
    low, high = mean + (low - mean) * 1.3, mean + (high - mean) * 1.3
    return amount, -1 if low <= 0 <= high else 0 if high < 0 else 1, mean, low, high


@blind("The losses are not read right")
def on_a_parabola(tokens, a, b, cost_a, cost_b, t):
    amount = min(cost_a, cost_b) * float(tokens[-1])
    logs = np.log(tokens.numpy())

    def read(rows, cost):
        found = [
            np.polyval(np.polyfit(logs, row, min(2, len(row) - 1)), math.log(amount / cost)) for row in rows.numpy()
        ]
        return torch.tensor(np.array(found))

    mean, low, high = paired_interval(read(a, cost_a), read(b, cost_b), t)
    return amount, -1 if low <= 0 <= high else 0 if high < 0 else 1, mean, low, high


@blind("Nearly right")
def in_float32(tokens, a, b, cost_a, cost_b, t):
    amount = min(cost_a, cost_b) * float(tokens[-1])
    x = torch.tensor([loss_at(tokens, row, amount / cost_a) for row in a])
    y = torch.tensor([loss_at(tokens, row, amount / cost_b) for row in b])
    mean, low, high = paired_interval(x, y, t)
    return amount, -1 if low <= 0 <= high else 0 if high < 0 else 1, mean, low, high


@blind("The verdict is not right")
def undecided_always(tokens, a, b, cost_a, cost_b, t):
    amount, _, mean, low, high = with_both_functions(tokens, a, b, cost_a, cost_b, t)
    return amount, -1, mean, low, high


@blind("Not a whole number")
def true_or_false(tokens, a, b, cost_a, cost_b, t):
    amount, better, mean, low, high = with_both_functions(tokens, a, b, cost_a, cost_b, t)
    return amount, better == 0, mean, low, high


@blind("Not a plain float")
def a_tensor_of_cost(tokens, a, b, cost_a, cost_b, t):
    amount, better, mean, low, high = with_both_functions(tokens, a, b, cost_a, cost_b, t)
    return min(cost_a, cost_b) * tokens[-1], better, mean, low, high


@blind("The cost of the more expensive model")
def the_largest_cost_is_the_largest(tokens, a, b, cost_a, cost_b, t):
    """The largest cost is the largest of the costs: max."""
    amount = tokens[-1].item() * max(cost_a, cost_b)
    mean, low, high = paired_interval(read(tokens, a, amount / cost_a), read(tokens, b, amount / cost_b), t)
    return amount, verdict(mean, low, high), mean, low, high


@blind("Tokens, not cost")
def both_reach_their_last_budget_so(tokens, a, b, cost_a, cost_b, t):
    """Both reach their last budget, so the amount is the last budget, in tokens."""
    amount = float(tokens[-1])
    mean, low, high = paired_interval(a[:, -1], b[:, -1], t)
    return amount, verdict(mean, low, high), mean, low, high


@blind("Compared after the same tokens")
def the_amount_is_right_but_equal(tokens, a, b, cost_a, cost_b, t):
    """The amount is right, but equal means equal tokens: I compare the last column of both."""
    amount = tokens[-1].item() * min(cost_a, cost_b)
    mean, low, high = paired_interval(a[:, -1], b[:, -1], t)
    return amount, verdict(mean, low, high), mean, low, high


@blind("Multiplied by the cost, not divided")
def at_this_cost_each_model_has(tokens, a, b, cost_a, cost_b, t):
    """At this cost each model has amount times cost tokens."""
    amount = tokens[-1].item() * min(cost_a, cost_b)
    mean, low, high = paired_interval(read(tokens, a, amount * cost_a), read(tokens, b, amount * cost_b), t)
    return amount, verdict(mean, low, high), mean, low, high


@blind(ANY)
def reached_means_measured_the_dearest_budget(tokens, a, b, cost_a, cost_b, t):
    """Reached means measured: the dearest budget of the first model that the second can pay too."""
    limit = min(tokens[-1].item() * cost_a, tokens[-1].item() * cost_b)
    amount = max(n * cost_a for n in tokens.tolist() if n * cost_a <= limit)
    mean, low, high = paired_interval(read(tokens, a, amount / cost_a), read(tokens, b, amount / cost_b), t)
    return amount, verdict(mean, low, high), mean, low, high


@blind(ANY)
def a_cost_that_both_reach_is(tokens, a, b, cost_a, cost_b, t):
    """A cost that both reach is one that is in both lists of costs."""
    both = {n * cost_a for n in tokens.tolist()} & {n * cost_b for n in tokens.tolist()}
    amount = max(both)
    mean, low, high = paired_interval(read(tokens, a, amount / cost_a), read(tokens, b, amount / cost_b), t)
    return amount, verdict(mean, low, high), mean, low, high


@blind("0 and 1 have changed places")
def a_positive_a_b_means_that(tokens, a, b, cost_a, cost_b, t):
    """A positive a - b means that the first is ahead: 0."""
    amount = tokens[-1].item() * min(cost_a, cost_b)
    mean, low, high = paired_interval(read(tokens, a, amount / cost_a), read(tokens, b, amount / cost_b), t)
    better = -1 if low <= 0 <= high else (0 if mean > 0 else 1)
    return amount, better, mean, low, high


@blind("Judged by the mean alone")
def the_model_with_the_lower_mean(tokens, a, b, cost_a, cost_b, t):
    """The model with the lower mean loss is better; -1 only if they are equal."""
    amount = tokens[-1].item() * min(cost_a, cost_b)
    mean, low, high = paired_interval(read(tokens, a, amount / cost_a), read(tokens, b, amount / cost_b), t)
    better = 0 if mean < 0 else 1 if mean > 0 else -1
    return amount, better, mean, low, high


@blind("An end at 0 is inside")
def as_0_is_inside_when_low_0(tokens, a, b, cost_a, cost_b, t):
    """0 is inside when low < 0 < high; otherwise the sign of the mean decides."""
    amount = tokens[-1].item() * min(cost_a, cost_b)
    mean, low, high = paired_interval(read(tokens, a, amount / cost_a), read(tokens, b, amount / cost_b), t)
    better = -1 if low < 0 < high else int(mean > 0)
    return amount, better, mean, low, high


@blind("A float, where a whole number is asked")
def first_the_numbers_then_the_verdict(tokens, a, b, cost_a, cost_b, t):
    """First the numbers, then the verdict: amount, mean, low, high, better."""
    amount = tokens[-1].item() * min(cost_a, cost_b)
    mean, low, high = paired_interval(read(tokens, a, amount / cost_a), read(tokens, b, amount / cost_b), t)
    return amount, mean, low, high, verdict(mean, low, high)


@blind("The pairs are not used")
def the_two_models_end_on_different(tokens, a, b, cost_a, cost_b, t):
    """The two models end on different numbers of tokens, so they are no longer paired."""
    amount = tokens[-1].item() * min(cost_a, cost_b)
    x, y = read(tokens, a, amount / cost_a), read(tokens, b, amount / cost_b)
    mean = (x.mean() - y.mean()).item()
    half = t * math.sqrt((x.var().item() + y.var().item()) / len(x))
    return amount, verdict(mean, mean - half, mean + half), mean, mean - half, mean + half


@blind(ANY)
def i_walk_over_the_second_dimension(tokens, a, b, cost_a, cost_b, t):
    """I walk over the second dimension, seeds come last."""
    amount = tokens[-1].item() * min(cost_a, cost_b)
    x = torch.tensor([loss_at(tokens, a[:, s], amount / cost_a) for s in range(a.shape[1])], dtype=torch.float64)
    y = torch.tensor([loss_at(tokens, b[:, s], amount / cost_b) for s in range(b.shape[1])], dtype=torch.float64)
    mean, low, high = paired_interval(x, y, t)
    return amount, verdict(mean, low, high), mean, low, high


@blind("Straight in the tokens")
def between_two_budgets_i_go_straight(tokens, a, b, cost_a, cost_b, t):
    """Between two budgets I go straight in tokens, np.interp does that."""
    n = tokens.numpy()
    amount = tokens[-1].item() * min(cost_a, cost_b)
    x = torch.tensor([float(np.interp(amount / cost_a, n, r.numpy())) for r in a], dtype=torch.float64)
    y = torch.tensor([float(np.interp(amount / cost_b, n, r.numpy())) for r in b], dtype=torch.float64)
    mean, low, high = paired_interval(x, y, t)
    return amount, verdict(mean, low, high), mean, low, high


@blind("Not a plain float")
def amount_may_stay_what_tokens_1(tokens, a, b, cost_a, cost_b, t):
    """amount may stay what tokens[-1] * cost is, a tensor."""
    amount = torch.minimum(tokens[-1].double() * cost_a, tokens[-1].double() * cost_b)
    mean, low, high = paired_interval(read(tokens, a, amount / cost_a), read(tokens, b, amount / cost_b), t)
    return amount, verdict(mean, low, high), mean, low, high


@blind(ANY)
def float_tokens_1_cost_is_a(tokens, a, b, cost_a, cost_b, t):
    """float(tokens[-1] * cost) is a Python float, so it is exact."""
    amount = min(float(tokens[-1] * cost_a), float(tokens[-1] * cost_b))  # int64 tensor * float -> float32
    mean, low, high = paired_interval(read(tokens, a, amount / cost_a), read(tokens, b, amount / cost_b), t)
    return amount, verdict(mean, low, high), mean, low, high


@blind("The cost of the first model alone")
def the_first_model_is_the_plain(tokens, a, b, cost_a, cost_b, t):
    """The first model is the plain one and so the cheaper one: its last budget sets the amount."""
    amount = tokens[-1].item() * cost_a
    mean, low, high = paired_interval(a[:, -1], read(tokens, b, amount / cost_b), t)
    return amount, verdict(mean, low, high), mean, low, high


@blind(ANY)
def how_far_a_model_gets_is(tokens, a, b, cost_a, cost_b, t):
    """How far a model gets is its tokens divided by what a token costs."""
    amount = min(tokens[-1].item() / cost_a, tokens[-1].item() / cost_b)
    mean, low, high = paired_interval(read(tokens, a, amount * cost_a), read(tokens, b, amount * cost_b), t)
    return amount, verdict(mean, low, high), mean, low, high


@blind("The costs have changed places")
def i_read_the_first_model_at(tokens, a, b, cost_a, cost_b, t):
    """I read the first model at amount / cost_b and the second at amount / cost_a, each at the other's price."""
    amount = tokens[-1].item() * min(cost_a, cost_b)
    mean, low, high = paired_interval(read(tokens, a, amount / cost_b), read(tokens, b, amount / cost_a), t)
    return amount, verdict(mean, low, high), mean, low, high


@blind("Not a whole number")
def better_is_whether_the_second_one(tokens, a, b, cost_a, cost_b, t):
    """better is whether the second one has the lower loss, a bool is a whole number; else -1."""
    amount = tokens[-1].item() * min(cost_a, cost_b)
    mean, low, high = paired_interval(read(tokens, a, amount / cost_a), read(tokens, b, amount / cost_b), t)
    better = mean > 0 if not low <= 0 <= high else -1
    return amount, better, mean, low, high


@blind("The interval is not that of exercise 10.2")
def i_average_the_seeds_first_then(tokens, a, b, cost_a, cost_b, t):
    """I average the seeds first, then there is one curve per model and one difference."""
    amount = tokens[-1].item() * min(cost_a, cost_b)
    x = loss_at(tokens, a.mean(dim=0), amount / cost_a)
    y = loss_at(tokens, b.mean(dim=0), amount / cost_b)
    mean = x - y
    half = t * (a - b).std().item() / math.sqrt(len(a))
    return amount, verdict(mean, mean - half, mean + half), mean, mean - half, mean + half


@blind(ANY)
def all_the_trainings_of_all_budgets(tokens, a, b, cost_a, cost_b, t):
    """All the trainings of all budgets cost something: a model reaches tokens.sum() * cost."""
    amount = tokens.sum().item() * min(cost_a, cost_b)
    mean, low, high = paired_interval(read(tokens, a, amount / cost_a), read(tokens, b, amount / cost_b), t)
    return amount, verdict(mean, low, high), mean, low, high


@blind("The verdict is not right")
def each_model_has_its_own_interval(tokens, a, b, cost_a, cost_b, t):
    """Each model has its own interval; only if they do not overlap is one better."""
    amount = tokens[-1].item() * min(cost_a, cost_b)
    x, y = read(tokens, a, amount / cost_a), read(tokens, b, amount / cost_b)
    mean, low, high = paired_interval(x, y, t)
    zero = torch.zeros_like(x)
    _, low_x, high_x = paired_interval(x, zero, t)
    _, low_y, high_y = paired_interval(y, zero, t)
    better = 0 if high_x < low_y else 1 if high_y < low_x else -1
    return amount, better, mean, low, high


@blind("Your function changed its input")
def i_write_the_losses_at_equal(tokens, a, b, cost_a, cost_b, t):
    """I write the losses at equal cost into the last column and go on with it."""
    amount = tokens[-1].item() * min(cost_a, cost_b)
    for s in range(len(a)):
        a[s, -1] = loss_at(tokens, a[s], amount / cost_a)
        b[s, -1] = loss_at(tokens, b[s], amount / cost_b)
    mean, low, high = paired_interval(a[:, -1], b[:, -1], t)
    return amount, verdict(mean, low, high), mean, low, high


@blind("A variable is used before it has a value")
def if_the_runs_cannot_tell_there(tokens, a, b, cost_a, cost_b, t):
    """If the runs cannot tell there is no better one, I only set it in the two clear cases."""
    amount = tokens[-1].item() * min(cost_a, cost_b)
    mean, low, high = paired_interval(read(tokens, a, amount / cost_a), read(tokens, b, amount / cost_b), t)
    if high < 0:
        better = 0
    if low > 0:
        better = 1
    return amount, better, mean, low, high


@blind(ANY)
def loss_at_takes_tensors_so_i(tokens, a, b, cost_a, cost_b, t):
    """loss_at takes tensors, so I give it all seeds at once."""
    amount = tokens[-1].item() * min(cost_a, cost_b)
    x = loss_at(tokens, a, amount / cost_a)
    y = loss_at(tokens, b, amount / cost_b)
    mean, low, high = paired_interval(x, y, t)
    return amount, verdict(mean, low, high), mean, low, high
