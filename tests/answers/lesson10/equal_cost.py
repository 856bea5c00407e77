"""Answers to exercise 10.4, equal_cost: right ones, and wrong ones with the message that they must get."""

import math

import numpy as np
import torch
from answers import blind, right, wrong


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


# ---- wrong, written from the exercise's text alone ---------------------------------------------------------------------


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
