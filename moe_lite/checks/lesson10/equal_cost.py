"""Exercise 10.4, equal_cost: which of two models has the lower loss when both spent as much."""

import re
from collections.abc import Callable

import torch

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.causes import Line
from moe_lite.checks.engine.compare import number
from moe_lite.checks.engine.exercise import Attempt, Case, Drawn, Exercise, Mistake, Note, Output, Trial
from moe_lite.checks.engine.mistakes import not_finite, sign, wrong
from moe_lite.checks.lesson10.loss_at import budgets, linear, nearest
from moe_lite.checks.lesson10.paired_interval import T_975, unpaired
from moe_lite.checks.lesson10.spending import (
    after_tokens,
    at_equal_cost,
    found_better,
    left_budget,
    no_width,
    one_line,
    reading,
    right_budget,
    spending,
    spent,
    tokens_as_amount,
    turned,
    turned_but_for_better,
    with_interval,
    with_seeds,
)  # fmt: skip

MILLION = 1_000_000
UNIT = 2.0**-18  # costs are whole numbers of it


# ---- inputs ----------------------------------------------------------------------------------------------------------


def cases() -> tuple[Case, ...]:
    dearer_b = (trained(1, 3, 4, 1.62), trained(2, 5, 3, 2.3), trained(3, 4, 5, 1.19))
    dearer_a = (trained(4, 3, 4, 1 / 1.43), trained(5, 4, 3, 1 / 2.1), trained(6, 5, 4, 1 / 1.75))
    first = (trained(7, 4, 3, 1.4, lead=-0.5), trained(8, 3, 5, 1 / 1.3, lead=-0.8), trained(9, 5, 2, 1.3, lead=-0.5))
    second = (trained(10, 4, 3, 1.3, lead=0.6), trained(11, 3, 5, 1 / 1.5, lead=0.8), trained(12, 6, 2, 1.4, lead=0.7))
    undecided = (level(13, 3, 4, 1.5, 0.004), level(14, 4, 3, 1 / 1.7, -0.003), level(15, 6, 3, 1.26, -0.006))
    touches = (touching(16, 4, 1), touching(17, 3, -1), same(18, 3, 4))
    as_dear = (trained(19, 4, 3, 1.0), trained(20, 3, 4, 1.0, lead=0.4))
    doubled = (at_a_budget(21, 4, 2.0), at_a_budget(22, 3, 0.5))
    seconds = (trained(23, 3, 4, 1.57, unit=2.0**-22), trained(24, 4, 5, 1 / 1.33, unit=2.0**-20))
    everything = tuple(output.name for output in OUTPUTS)
    plain = (*dearer_b, *dearer_a)
    begin, _ = inputs.usual((dearer_b[0], dearer_a[1]), plain, name="a float, a whole number, three floats")
    return (
        *begin,
        Case("the amount that both reach", plain, ("amount",)),
        Case("the second model costs more", dearer_b, ("mean", "low", "high")),
        Case("the first model costs more", dearer_a, ("mean", "low", "high")),
        Case("the first model is better", first, ("better",)),
        Case("the second model is better", second, ("better",)),
        Case("the runs cannot tell", undecided, ("better",)),
        Case("an interval that ends at 0", touches, ("better",)),
        Case("equal costs, and costs that meet at a budget", (*as_dear, *doubled), everything),
        Case("costs in seconds", seconds, everything),
        Case("amount / cost a hair above the last budget", (overshooting(25, 0), overshooting(26, 1)), everything),
    )


def drawn(
    seed: int, S: int, B: int, ratio: float | None = None, lead: float | None = None, unit: float = UNIT
) -> tuple:
    """The second model costs `ratio` times as much per token; its loss is `lead` lower, give or take what a seed does.

    Costs are whole numbers of `unit`, so that no rounding puts amount / cost above the last budget. The ratio stays
    so small that the first budget costs either model less than `amount`.
    """
    g = inputs.generator(seed + 400)
    tokens = budgets(seed, B)
    most = min(float(tokens[-1] / tokens[0]), 4.0)
    if ratio is None:
        ratio = most ** (1.6 * float(torch.rand((), generator=g)) - 0.8)
    if not 1 / most < ratio < most:
        raise ValueError(f"{ratio} times the cost, where the last budget has {most} times the tokens of the first")
    cost_a = unit * int(torch.randint(12_000, 30_000, (), generator=g))
    cost_b = unit * round(ratio * cost_a / unit)
    lead = 0.8 * float(torch.rand((), generator=g)) - 0.4 if lead is None else lead
    drops = inputs.distinct(seed + 200, B, low=0.15, high=0.7)
    course = 2.6 + drops.sum() - drops.cumsum(0)  # (B,)
    luck = 0.15 * torch.randn(S, B, dtype=torch.float64, generator=g)  # shared by both models
    a = course + luck + 0.03 * torch.randn(S, B, dtype=torch.float64, generator=g)
    b = course * 0.97 + luck + 0.03 * torch.randn(S, B, dtype=torch.float64, generator=g) - lead
    t = T_975.get(S, round(1.96 + 2.5 / (S - 1), 3))
    return tokens, a.round(decimals=4), b.round(decimals=4), cost_a, cost_b, t


def trained(seed: int, n_seeds: int, n_budgets: int, ratio: float, lead: float = 0.05, unit: float = 64.0) -> Trial:
    args = drawn(seed, n_seeds, n_budgets, ratio, lead, unit)
    return Trial(args, f"seed {seed}, {n_seeds} seeds, {n_budgets} budgets")


def level(seed: int, n_seeds: int, n_budgets: int, ratio: float, mean: float) -> Trial:
    """The mean difference at equal cost is far smaller than what seeds do."""
    tokens, a, b, cost_a, cost_b, t = drawn(seed, n_seeds, n_budgets, ratio, 0.05)
    a = a - (at_equal_cost(tokens, a, b, cost_a, cost_b, t)[2] - mean)
    return Trial((tokens, a.round(decimals=4), b, cost_a, cost_b, t), f"{n_seeds} seeds that differ in who is better")


def touching(seed: int, n_budgets: int, sign: int) -> Trial:
    """One end of the interval is exactly 0, in whatever order it is computed: all numbers have few binary digits, both
    models cost as much, and their losses are the same on every budget, so nothing is rounded on the way."""
    tokens, _, _, cost, _, _ = drawn(seed, 4, n_budgets, 1.3)
    t, unit = 3.25, 1 / 128
    difference = sign * torch.tensor([t - 1, t - 1, t - 1, t + 3], dtype=torch.float64) * unit
    b = torch.tensor([3.25, 3.5, 3.125, 3.375], dtype=torch.float64)
    both = ((b + difference)[:, None].repeat(1, n_budgets), b[:, None].repeat(1, n_budgets))
    return Trial((tokens, *both, cost, cost, t), f"an interval with {'low' if sign > 0 else 'high'} = 0")


def same(seed: int, n_seeds: int, n_budgets: int) -> Trial:
    tokens, a, _, cost_a, _, t = drawn(seed, n_seeds, n_budgets, 1.3)
    return Trial((tokens, a, a.clone(), cost_a, cost_a, t), "a model compared with itself")


def at_a_budget(seed: int, n_seeds: int, ratio: float) -> Trial:
    """One model reaches `amount` on its largest budget, and the other on a smaller one."""
    _, a, b, cost_a, _, t = drawn(seed, n_seeds, 3)
    tokens = torch.tensor([1, 2, 4]) * MILLION
    return Trial((tokens, a, b, cost_a, ratio * cost_a, t), f"one model costs twice as much, {n_seeds} seeds")


def overshooting(seed: int, cheaper: int) -> Trial:
    """Rounding puts amount / cost of the cheaper model above its largest budget, by a millionth of a token."""
    tokens, a, b, _, _, t = drawn(seed, 4, 3)
    last = float(tokens[-1])
    cost = next(cost for cost in (1e-4 * (1 + i / 997) for i in range(997)) if last * cost / cost > last)
    costs = (cost, 1.4 * cost) if cheaper == 0 else (1.4 * cost, cost)
    return Trial((tokens, a, b, *costs, t), f"costs of {costs[0]:.3g} and {costs[1]:.3g}")


def extremes(seed: int) -> tuple[Trial, ...]:
    tokens, a, b, cost_a, cost_b, t = drawn(seed, 3, 4, 1.4)
    ratio = 0.99 * float(tokens[-1] / tokens[0])
    zero = torch.zeros_like(a)
    return (
        Trial(
            (tokens, a, b, cost_a, UNIT * int(ratio * cost_a / UNIT), t),
            f"{ratio:.1f} times the cost, seed {seed}",
        ),
        Trial((tokens, a, b, 2.0**-40 * cost_a, 2.0**-40 * cost_b, t), f"very small costs, seed {seed}"),
        Trial((tokens, a, b, 2.0**40 * cost_a, 2.0**40 * cost_b, t), f"very large costs, seed {seed}"),
        Trial((tokens, zero, b - 3, cost_a, cost_b, t), f"losses of 0, seed {seed}"),
        Trial((tokens, zero, zero, cost_a, cost_b, t), f"all losses 0, seed {seed}"),
        Trial((tokens, b + 1e-6 * a, b, cost_a, cost_a, t), f"differences of a millionth, seed {seed}"),
    )


DRAWN = Drawn(
    drawn, {"S": 3, "B": 4}, at_least={"S": 2, "B": 2}, long="", wide="", float32=False, not_expanded=(0,),
    extremes=extremes,
)  # fmt: skip


# ---- mistakes --------------------------------------------------------------------------------------------------------


def losses_read(a: Attempt) -> str:
    """What each model's seeds end with, and how the mean comes out."""
    tokens, x, y, cost_a, cost_b, _ = a.args
    amount = float(a.expected["amount"])
    seen = [number(amount / cost / MILLION, 3) for cost in (cost_a, cost_b)]
    firsts = [number(float(spent(tokens, rows, amount / cost)[0]), 4) for rows, cost in ((x, cost_a), (y, cost_b))]
    mine, right = (number(float(values["mean"]), 4) for values in (a.got, a.expected))
    return (
        f"`mean` is {mine}, expected {right}, for {a.trial.note}. With this amount, the first model sees {seen[0]} and "
        f"the second {seen[1]} million tokens, and seed 0 ends with {firsts[0]} and {firsts[1]}. Compare these numbers "
        "with yours, one by one."
    )


def nearly(a: Attempt) -> bool:
    """All but the verdict are off by no more than what float32 leaves."""
    names = ("amount", "mean", "low", "high")
    return not all(a.right(name) for name in names) and all(
        torch.allclose(a.got[name], a.expected[name], rtol=1e-5, atol=1e-5) for name in names
    )


def mean_is_wrong(a: Attempt) -> bool:
    return a.right("amount") and not a.right("mean")


def interval_is_wrong(a: Attempt) -> bool:
    return a.right("amount") and a.right("mean") and not (a.right("low") and a.right("high"))


def only_better_is_wrong(a: Attempt) -> bool:
    return all(a.right(name) for name in ("amount", "mean", "low", "high"))


def better(title: str, rule: Callable[[float, float, float], int], say: str) -> Mistake:
    return wrong(title, better=found_better(rule), say="`better` is {better} and the interval goes from {low:4} to "
                 "{high:4}, for {note}: " + say)  # fmt: skip


AMOUNT = "`amount` is {amount.beside:4}, for {note}: "
MEAN = "`mean` is {mean.beside:4}, for {note}: "
ENDS = "The interval goes from {low:4} to {high:4}, expected {right.low:4} to {right.high:4}, for {note}: "
DIVIDE = "A model that spends `amount` sees `amount / cost` tokens, with its own cost per token."

MISTAKES = (
    wrong("Tokens, not cost", tokens_as_amount, AMOUNT + "that is a number of tokens, and both models were compared "
          "after as many tokens. `amount` is a cost: tokens times what one token costs."),
    wrong("Tokens, not cost", amount=lambda tokens, *rest: float(tokens[-1]), say=AMOUNT + "that is a number of "
          "tokens. `amount` is a cost: tokens times what one token costs."),
    wrong("The cost of the more expensive model", spending(lambda n, ca, cb: max(ca, cb) * float(n[-1])), AMOUNT
          + "that is what the largest budget costs the more expensive model. The cheaper one never spent so much, so "
          "both reach only the smaller of the two costs: `min`, not `max`."),
    wrong("The cost of the more expensive model", amount=lambda n, a, b, ca, cb, t: max(ca, cb) * float(n[-1]),
          say=AMOUNT + "that is what the largest budget costs the more expensive model. The cheaper one never spent so "
          "much, so both reach only the smaller of the two costs: `min`, not `max`."),
    wrong("The cost of the first model alone", spending(lambda n, ca, cb: ca * float(n[-1])), AMOUNT + "that is what "
          "the largest budget costs the first model. Where it costs more than the second, the second never spent so "
          "much. Take the smaller of the two costs."),
    wrong("The cost of the second model alone", spending(lambda n, ca, cb: cb * float(n[-1])), AMOUNT + "that is what "
          "the largest budget costs the second model. Where it costs more than the first, the first never spent so "
          "much. Take the smaller of the two costs."),
    wrong("The smallest amount, not the largest", spending(lambda n, ca, cb: max(ca, cb) * float(n[0])), AMOUNT +
          "that is the smallest cost that both models reach. The largest is wanted, which the cheaper model reaches on "
          "its last budget."),
    wrong("The smallest amount, not the largest", spending(lambda n, ca, cb: min(ca, cb) * float(n[0])), AMOUNT +
          "that is what the smallest budget costs. The largest cost that both reach is wanted: take the last "
          "budget."),
    wrong("The mean of the two costs", spending(lambda n, ca, cb: (ca + cb) / 2 * float(n[-1])), AMOUNT + "that is the "
          "mean of what both spent on the largest budget. The cheaper model never spent so much: take the smaller."),
    wrong("Compared after the same tokens", after_tokens(lambda n, amount, ca, cb: (float(n[-1]), float(n[-1]))), MEAN
          + "you compared the losses on the largest budget, for which the more expensive model spent more. " + DIVIDE),
    wrong("Compared after the same tokens", after_tokens(lambda n, amount, ca, cb: (amount / max(ca, cb),) * 2), MEAN
          + "you read both losses after the same number of tokens, so the more expensive model spent more. " + DIVIDE),
    wrong("The costs have changed places", after_tokens(lambda n, amount, ca, cb: (amount / cb, amount / ca)), MEAN
          + "each model's tokens were computed with the cost of the other one. " + DIVIDE),
    wrong("Multiplied by the cost, not divided", after_tokens(lambda n, amount, ca, cb: (amount * ca, amount * cb)),
          MEAN + "`amount * cost` is no number of tokens. " + DIVIDE),
    wrong("Straight in the tokens", reading(linear), MEAN + "the losses were read on a line that is straight in the "
          "tokens. It is straight in log(tokens), as in your `loss_at` of exercise 10.3."),
    wrong("The nearest budget", reading(nearest), MEAN + "you took the loss of the nearest budget. Read it between the "
          "budgets, with your `loss_at` of exercise 10.3."),
    wrong("The budget before or after", reading(left_budget), MEAN + "you took the loss of the largest budget that "
          "does not cost more. Read it between the budgets, with your `loss_at` of exercise 10.3."),
    wrong("The budget before or after", reading(right_budget), MEAN + "you took the loss of the smallest budget that "
          "costs as much or more. Read it between the budgets, with your `loss_at` of exercise 10.3."),
    wrong("One line from the first budget to the last", reading(one_line), MEAN + "the losses were read on one line "
          "from the first budget to the last. Take the two neighbours, as your `loss_at` of exercise 10.3 does."),
    wrong("The first model is always on its largest budget", after_tokens(lambda n, amount, ca, cb:
          (float(n[-1]), amount / cb)), MEAN + "the loss of the first model was taken from the last column, also where "
          "it costs more than the second. " + DIVIDE),
    wrong("The second model is always on its largest budget", after_tokens(lambda n, amount, ca, cb:
          (amount / ca, float(n[-1]))), MEAN + "the loss of the second model was taken from the last column, also "
          "where it costs more than the first. " + DIVIDE),
    wrong("b − a, not a − b", turned, MEAN + "the sign is turned, and the verdict with it. Below 0, the first model "
          "has the lower loss: take a − b."),
    wrong("b − a, not a − b", turned_but_for_better, MEAN + "the sign is turned, while `better` is right. Take a − b."),
    wrong("The pairs are not used", with_interval(unpaired), ENDS + "you added the variances of both models, as for "
          "runs that share nothing. Seed s of one belongs to seed s of the other: use your `paired_interval` of "
          "exercise 10.2."),
    wrong("The mean over the seeds was taken first", with_interval(no_width), ENDS + "it has no width. You took the "
          "mean over the seeds before the difference, so nothing is left of how much seeds differ. Read the loss of "
          "each seed, and hand all of them to `paired_interval`."),
    wrong("One seed for all", with_seeds(lambda x: x[:1].expand_as(x)), MEAN + "only the first seed was read. Read the "
          "loss of each row of a and of b."),
    wrong("A seed is missing", with_seeds(lambda x: x[1:] if len(x) > 2 else x), MEAN + "the first seed was left out."),
    wrong("A seed is missing", with_seeds(lambda x: x[:-1] if len(x) > 2 else x), MEAN + "the last seed was left out."),
    wrong("0 and 1 have changed places", better=lambda *args: (1, 0, -1)[at_equal_cost(*args)[1]], say="`better` is "
          "{better} and the interval goes from {low:4} to {high:4}, for {note}: below 0, the first model has the lower "
          "loss, and `better` is 0. Above 0 it is 1."),
    better("Judged by the mean alone", lambda mean, low, high: 0 if mean < 0 else 1, "the mean has a sign, but the "
           "interval contains 0, so the runs cannot tell, and `better` is −1."),
    better("Judged by the mean alone", lambda mean, low, high: 0 if mean < 0 else 1 if mean > 0 else -1, "the mean has "
           "a sign, but the interval contains 0, so the runs cannot tell, and `better` is −1."),
    better("Judged by one end of the interval", lambda mean, low, high: 0 if low < 0 else 1, "the first model is "
           "better only where both ends are below 0: `high < 0`."),
    better("Judged by one end of the interval", lambda mean, low, high: 0 if high < 0 else 1, "the second model is "
           "better only where both ends are above 0: `low > 0`."),
    better("Judged by one end of the interval", lambda mean, low, high: 0 if high < 0 else -1, "both ends are above 0, "
           "so the second model has the lower loss."),
    better("Judged by one end of the interval", lambda mean, low, high: 1 if low > 0 else -1, "both ends are below 0, "
           "so the first model has the lower loss."),
    better("An end at 0 is inside", lambda mean, low, high: -1 if low < 0 < high else 0 if mean < 0 else 1, "an end of "
           "the interval is exactly 0, so it contains 0, and `better` is −1: `<=`, not `<`."),
    better("An end at 0 is inside", lambda mean, low, high: 0 if high <= 0 else 1 if low >= 0 else -1, "an end of the "
           "interval is exactly 0, so it contains 0, and `better` is −1."),
    better("The verdict is turned", lambda mean, low, high: (0 if mean < 0 else 1) if low <= 0 <= high else -1, "the "
           "answer is −1 where the interval contains 0, and 0 or 1 where it does not."),
    better("Models are counted from 0", lambda mean, low, high: -1 if low <= 0 <= high else 1 if high < 0 else 2, "0 "
           "stands for the first model, and 1 for the second."),
    better("0 is the first model", lambda mean, low, high: 0 if low <= 0 <= high else -1 if high < 0 else 1, "you "
           "returned the sign. 0 stands for the first model, 1 for the second, and −1 for runs that cannot tell."),
    better("0 is the first model", lambda mean, low, high: 0 if low <= 0 <= high else 1 if high < 0 else -1, "0 stands "
           "for the first model, 1 for the second, and −1 for runs that cannot tell."),
    sign("A result is nan", not_finite, "`mean` is {mean:4}, and the interval goes from {low:4} to {high:4}, for "
         "{note}. The standard deviation of a single number is nan: hand the losses of all seeds to `paired_interval`, "
         "one number per seed."),
    sign("Nearly right", nearly, "`mean` is {mean.beside:5}, for {note}. So small a difference usually comes from "
         "float32: `torch.tensor` of Python's floats is float32 unless you write `dtype=torch.float64`."),
    sign("The losses are not read right", mean_is_wrong, losses_read),
    sign("The interval is not that of exercise 10.2", interval_is_wrong, ENDS + "the mean is right. Call your "
         "`paired_interval` of exercise 10.2 with the losses of all seeds."),
    sign("The verdict is not right", only_better_is_wrong, "`better` is {better.beside}, where the interval goes from "
         "{low:4} to {high:4}, for {note}. Return 0 where it lies below 0, 1 where it lies above, and −1 where it "
         "contains 0.", all_or_none=True),
)  # fmt: skip

OUTPUTS = (Output("amount", real=True), Output("better", whole=True)) + tuple(
    Output(name, real=True) for name in ("mean", "low", "high")
)


def outside(match: re.Match, line: Line, exercise: Exercise) -> Note:
    """A loss was asked for where none was trained."""
    return Note(
        "Outside of the budgets",
        "A loss was looked up at more tokens than the largest budget has, or at fewer than the smallest. `amount / "
        "cost` lies between them for both models if `amount` is the *smaller* one of what the largest budget costs "
        "either model, and if each model is divided by its own cost. If both are as they should be, rounding put "
        "`amount / cost` a hair above the largest budget: take `min(amount / cost, float(tokens[-1]))`.",
    )


CAUSES = (
    (IndexError, r"with size 0|out of bounds|out of range", outside),
    (ValueError, r"outside of the budgets", outside),
    (StopIteration, r"", outside),
    ((TypeError, RuntimeError), r"not NoneType|dtype of NoneType", outside),
)

EQUAL_COST = Exercise(
    id="10.4", name="equal_cost", parameters=("tokens", "a", "b", "cost_a", "cost_b", "t"), sizes="SB",
    outputs=OUTPUTS, reference=at_equal_cost, cases=cases, mistakes=MISTAKES, drawn=DRAWN, in_program=False,
    causes=CAUSES,
    hints=(
        "On the largest budget, one model has spent less than the other. That is the amount. With it, the more "
        "expensive model has seen fewer tokens, and its loss lies between two of its budgets.",
        "`amount / cost_a` is how many tokens the first model sees. Rounding may put it a hair above the last budget: "
        "`min(…, float(tokens[-1]))`. `loss_at(tokens, row, …) for row in a` gives one number per seed; make a tensor "
        "in float64 of each model's, and give both to `paired_interval`. The verdict looks at `low` and `high` alone.",
    ),
    minutes=10, lines="about 7 lines",
    done="A verdict that says at what cost, and that may also say that the runs cannot tell.",
)  # fmt: skip
