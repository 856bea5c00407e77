"""Two models at equal cost: the right answer of exercise 10.4, and the wrong ones that have a rule."""

from collections.abc import Callable

import torch
from torch import Tensor

from moe_lite.checks.lesson10.loss_at import after, read
from moe_lite.checks.lesson10.paired_interval import interval

Five = tuple[float, int, float, float, float]
Reader = Callable[[Tensor, Tensor, float], float]  # tokens (B,), losses (B,), at -> a loss
Rule = Callable[..., Five]


def at_equal_cost(tokens: Tensor, a: Tensor, b: Tensor, cost_a: float, cost_b: float, t: float) -> Five:
    """tokens (B,), a and b (S, B) -> amount, better, mean, low, high."""
    amount = min(cost_a, cost_b) * float(tokens[-1])
    mean, low, high = interval(spent(tokens, a, amount / cost_a), spent(tokens, b, amount / cost_b), t)
    return amount, decided(low, high), mean, low, high


def spent(tokens: Tensor, losses: Tensor, at: float, reader: Reader = read) -> Tensor:
    """losses (S, B) -> (S,), what each seed would end with; rounding does not put `at` outside of the budgets."""
    at = min(max(at, float(tokens[0])), float(tokens[-1]))
    return torch.tensor([reader(tokens, row, at) for row in losses], dtype=torch.float64)


def decided(low: float, high: float) -> int:
    return -1 if low <= 0 <= high else 0 if high < 0 else 1


def verdict(amount: float, x: Tensor, y: Tensor, t: float) -> Five:
    """From the losses (S,) of both models."""
    mean, low, high = interval(x, y, t)
    return amount, decided(low, high), mean, low, high


def spending(amount_of: Callable[[Tensor, float, float], float], reader: Reader = read) -> Rule:
    """Another amount of tokens, cost_a and cost_b; each model's loss is read after that, within the budgets."""

    def found(tokens: Tensor, a: Tensor, b: Tensor, cost_a: float, cost_b: float, t: float) -> Five:
        amount = amount_of(tokens, cost_a, cost_b)
        x, y = (spent(tokens, rows, amount / cost, reader) for rows, cost in ((a, cost_a), (b, cost_b)))
        return verdict(amount, x, y, t)

    return found


def cheapest(tokens: Tensor, cost_a: float, cost_b: float) -> float:
    return min(cost_a, cost_b) * float(tokens[-1])


def reading(reader: Reader) -> Rule:
    """The right amount, with each seed's loss read in another way."""
    return spending(cheapest, reader)


def after_tokens(at: Callable[[Tensor, float, float, float], tuple[float, float]]) -> Rule:
    """The right amount; how many tokens each model sees for it follows from tokens, amount, cost_a and cost_b."""

    def found(tokens: Tensor, a: Tensor, b: Tensor, cost_a: float, cost_b: float, t: float) -> Five:
        amount = cheapest(tokens, cost_a, cost_b)
        n_a, n_b = at(tokens, amount, cost_a, cost_b)
        return verdict(amount, spent(tokens, a, n_a), spent(tokens, b, n_b), t)

    return found


def with_seeds(change: Callable[[Tensor], Tensor]) -> Rule:
    """Losses (S,) of both models, each changed before the interval is taken."""

    def found(tokens: Tensor, a: Tensor, b: Tensor, cost_a: float, cost_b: float, t: float) -> Five:
        amount = cheapest(tokens, cost_a, cost_b)
        x, y = (change(spent(tokens, rows, amount / cost)) for rows, cost in ((a, cost_a), (b, cost_b)))
        return verdict(amount, x, y, t)

    return found


def with_interval(rule: Callable[[Tensor, Tensor, float], tuple[float, float, float]]) -> Rule:
    """The losses are read rightly, and compared by another rule."""

    def found(tokens: Tensor, a: Tensor, b: Tensor, cost_a: float, cost_b: float, t: float) -> Five:
        amount = cheapest(tokens, cost_a, cost_b)
        mean, low, high = rule(spent(tokens, a, amount / cost_a), spent(tokens, b, amount / cost_b), t)
        return amount, decided(low, high), mean, low, high

    return found


def tokens_as_amount(tokens: Tensor, a: Tensor, b: Tensor, cost_a: float, cost_b: float, t: float) -> Five:
    return verdict(float(tokens[-1]), a[:, -1], b[:, -1], t)


def turned(tokens: Tensor, a: Tensor, b: Tensor, cost_a: float, cost_b: float, t: float) -> Five:
    """b − a, and a verdict that follows from its sign."""
    return with_interval(lambda x, y, t: interval(y, x, t))(tokens, a, b, cost_a, cost_b, t)


def turned_but_for_better(*args) -> Five:
    amount, _, mean, low, high = turned(*args)
    return amount, at_equal_cost(*args)[1], mean, low, high


def no_width(x: Tensor, y: Tensor, t: float) -> tuple[float, float, float]:
    mean = interval(x, y, t)[0]
    return mean, mean, mean


def left_budget(tokens: Tensor, losses: Tensor, at: float) -> float:
    return float(losses[tokens <= at][-1])


def right_budget(tokens: Tensor, losses: Tensor, at: float) -> float:
    return float(losses[after(tokens, at)])


def one_line(tokens: Tensor, losses: Tensor, at: float) -> float:
    """From the first budget to the last."""
    return read(tokens[[0, -1]], losses[[0, -1]], at)


def found_better(rule: Callable[[float, float, float], int]) -> Callable[..., int]:
    """Another rule for `better`, from mean, low and high."""
    return lambda *args: rule(*at_equal_cost(*args)[2:])
