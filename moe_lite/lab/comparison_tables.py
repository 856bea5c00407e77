"""The tables of lesson 10, from data/runs/: `python -m moe_lite.lab.comparison_tables` prints them."""

import argparse
from collections.abc import Sequence

from moe_lite.lab.comparison import (
    CHANGED,
    DENSE_ACTIVE,
    DENSE_TOTAL,
    EIGHT,
    Series,
    Verdict,
    changes,
    compared,
    equal,
    largest_common,
    series,
    timed,
)
from moe_lite.lab.runs import (
    BUDGET,
    Interval,
    budgets,
    differences,
    in_order,
    in_seconds,
    in_words,
    interval,
    names,
    recording,
)


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def tables(names: Sequence[str], against: Sequence[str]) -> str:
    """What was compared, where it ended, and each model against each of `against`, as Markdown."""
    models, base = [series(name) for name in names], series(DENSE_ACTIVE)
    what = []
    for one in models:
        counts = [f"{one.recordings[0].parameters[kind] / 1e6:.2f} M" for kind in ("total", "active")]
        over = [f"{one.per_token(axis) / base.per_token(axis):.2f}" for axis in ("FLOPs", "seconds")]
        what.append([one.title, *counts, f"{one.bytes / 1e6:.1f} MB", *over])
    ends = [[one.title] + [_ended(one, budget) for budget in budgets()] for one in models]
    parts = [
        "The models; FLOPs and seconds per token as multiples of the small dense model's",
        markdown(["model", "parameters", "active", "held in training", "FLOPs", "seconds"], what),
        "Final loss by budget, nats per token: mean and 95 % interval over seeds (number of seeds, learning rate)",
        markdown(["model", *budgets()], ends),
    ]
    for name in against:
        series(name)  # whatever budget it has; says so if it has none
        parts += [part for within in spans() for part in _minus(name, models, within)]
    return "\n\n".join(parts)


def spans() -> list[list[str]]:
    """The budgets that are compared together: those up to the usual one, which all models have; and, where longer
    trainings are there, all of them, for the models that have the longest."""
    every = budgets()
    usual = every[: every.index(BUDGET) + 1]
    return [usual] if usual == every else [usual, every]


def longest(within: Sequence[str]) -> str:
    """Of budgets, the one with the most tokens."""
    return [budget for budget in in_order(within) if not in_seconds(budget)][-1]


def _minus(name: str, models: Sequence[Series], within: Sequence[str]) -> list[str]:
    """Each model against the one of this name, on the budgets `within`; nothing where they lack the longest of them."""
    there = names(longest(within))
    others = [one.name for one in models if one.name in there and one.name != name]
    if name not in there or not others:
        return []
    against, axes = series(name, within), ("tokens", "FLOPs", "seconds")
    read = [series(other, within) for other in others]
    trained = f"trainings on up to {in_words(longest(within))}, at the most that both spent"
    return [
        f"Minus {against.title}, {trained}: mean and 95 % interval, seed by seed",
        markdown(
            ["model", *(f"equal {axis}" for axis in axes)],
            [[one.title, *(_told(one, against, axis) for axis in axes)] for one in read],
        ),
    ]


def _ended(one: Series, budget: str) -> str:
    if one.name not in names(budget):
        return "—"
    found = recording(one.name, budget, seeds=None)
    interval_of = str(interval(found.losses)) if len(found.losses) > 1 else f"{found.losses[0]:.3f}"
    return f"{interval_of} ({len(found.losses)}; {found.lr:g})"


def changes_table() -> str:
    """As Markdown: size, seconds per token, the differences from the eight experts on two budgets, and that from the
    small dense model at equal seconds, read between the two."""
    within = spans()[0][-2:]
    eight, small = series(EIGHT, within), series(DENSE_ACTIVE, within)
    minus_eight = {budget: changes(budget) for budget in within}
    rows = []
    for name in CHANGED:
        one = series(name, within)
        seconds = f"{one.seconds_per_token / eight.seconds_per_token:.2f}"
        told = [_numbers(minus_eight[budget][name]) for budget in within]
        size = f"{one.recordings[0].parameters['total'] / 1e6:.2f} M"
        rows.append([one.title, size, seconds, *told, _told(one, small, "seconds")])
    title = f"{eight.title}, changed: minus that model at equal tokens, and minus the small dense one at equal seconds"
    head = ["model", "parameters", "seconds", *within, "equal seconds"]
    return f"{title}\n\n{markdown(head, rows)}"


def timed_tables() -> str:
    """As Markdown, for each budget in seconds: how many tokens each model saw, where it ended, and the difference from
    the small dense one, if that was trained for so long."""
    parts = []
    for budget in filter(in_seconds, budgets()):
        rows, there = [], timed(budget)
        base = there.get(DENSE_ACTIVE)
        for one in there.values():
            minus = "" if base is None or one is base else _numbers(interval(differences(one, base)))
            rows.append([one.title, f"{one.tokens / 1e6:.1f} M", str(interval(one.losses)), minus, str(len(one.runs))])
        head = ["model", "tokens", "loss", "minus the small dense one", "seeds"]
        parts.append(f"Trained for {in_words(budget)}: mean and 95 % interval\n\n{markdown(head, rows)}")
    return "\n\n".join(parts)


def _told(a: Series, b: Series, axis: str) -> str:
    found = equal(a, b, axis, largest_common(a, b, axis))
    if found is None:
        return "—"
    numbers = _numbers(found)
    return numbers if found.better else f"cannot tell {numbers}"


def _numbers(of: Interval | Verdict) -> str:
    mean = of.delta_nats if isinstance(of, Verdict) else of.mean
    return f"{mean:+.3f} [{of.low:+.3f}, {of.high:+.3f}]".replace("-", "−")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m moe_lite.lab.comparison_tables", description="Which model is better?"
    )
    parser.add_argument("--against", action="append", help="a model to compare with, in place of the usual two; repeat")
    a = parser.parse_args(arguments)
    try:
        print(tables(compared(), a.against or (DENSE_ACTIVE, DENSE_TOTAL)))
        print(f"\n{changes_table()}\n\n{timed_tables()}")
    except ValueError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
