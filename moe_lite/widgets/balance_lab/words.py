"""The balance lab in words: what columns are called, the standard text, and the reading line."""

import html
import statistics
from collections.abc import Sequence

from torch import Tensor

from moe_lite.lab.sweeps import LABELS
from moe_lite.look.palette import expert_class
from moe_lite.widgets.balance_lab.view import MEASURES, OVER, Column, figures
from moe_lite.widgets.kit.parts import Parts, listed_parts

EMPTY = "No column is left. Move the coefficient, or train one."


def title(column: Column) -> str:
    """What tells it from its neighbours: the coefficient, and whatever else was set."""
    settings = column.run.settings
    coefficient = settings.get("balance_coef", 0.0)
    parts = ["no balancing loss" if not coefficient else f"coefficient {coefficient:g}"]
    extra = ("n_experts", "z_coef", "bias_step", "capacity_factor", "jitter") if column.live else ()
    return ", ".join([*parts, *(LABELS[name].format(settings[name]) for name in extra if settings.get(name))])


def subtitle(column: Column) -> str:
    settings, run = column.run.settings, column.run
    about = f"top-{settings['top_k']}, seed {settings['seed']}"
    if column.live is None:
        return f"recorded · {about} of {len(column.seeds)}"
    at = run.steps[-1] if run.steps else 0
    state = {"running": "live", "stopping": "stopping", "ready": "queued"}.get(column.state, column.state)
    return f"{state} · {about} · step {at:,} of {column.total:,}"


def final(losses: Sequence[float]) -> str:
    """The final validation loss: mean and half the range over seeds, or one seed, which says so."""
    if not losses:
        return "–"
    if len(losses) == 1:
        return f"{losses[0]:.2f} · 1 seed"
    return f"{statistics.mean(losses):.2f} ± {(max(losses) - min(losses)) / 2:.2f}"


def reading(columns: Sequence[Column], layer: int, step: int) -> Parts:
    """One sentence a column, then what may be said of the losses."""
    shown = [column for column in columns if column.run.steps and column.bin_at(step) >= 0]
    if not shown:
        return [EMPTY if not columns else "Training has begun; the first bin of steps is not full yet."]
    last = max(column.run.steps[column.bin_at(step)] for column in shown)
    said = " ".join(_column_says(column, layer, step) for column in shown)
    return [f"Layer {layer + 1}, step {last:,}. {said} ", *_losses_say(shown)]


def _column_says(column: Column, layer: int, step: int) -> str:
    numbers, at, name = figures(column, layer).by_name, column.bin_at(step), title(column)
    dead, busiest = int(numbers["dead experts"][at]), 1 + numbers["max violation"][at]
    over, are = numbers[f"over {OVER} × fair, %"][at], "is" if dead == 1 else "are"
    died = f"{dead} of {column.n_experts} experts {are} dead" if dead else "no expert is dead"
    return (
        f"{name[0].upper()}{name[1:]}: {died}, the busiest takes {busiest:.1f} times its share, and {over:.0f} % would "
        f"not fit into {OVER} times it."
    )


def _losses_say(columns: Sequence[Column]) -> Parts:
    first = columns[0]
    known = [(column, figures(column, 0).losses) for column in columns]
    base = dict(zip(map(id, columns), (losses for _, losses in known), strict=True))[id(first)]
    out = []
    for column, losses in known[1:]:
        if not losses or not base or column.run.settings.get("top_k") != first.run.settings.get("top_k"):
            continue
        if min(len(losses), len(base)) < 2:
            out.append(f"{title(column)}: one seed, no verdict")
        elif max(min(losses), min(base)) <= min(max(losses), max(base)):
            out.append(f"with {title(column)} the ranges over seeds overlap with the first column's")
        else:
            higher = "higher" if min(losses) > max(base) else "lower"
            gap = abs(statistics.mean(losses) - statistics.mean(base))
            than = "than all of the first column's"
            out.append(f"with {title(column)} every seed is {higher} {than}, by {gap:.2f} on average")
    return ["Validation loss: ", *listed_parts(out), "."] if out else []


def text_html(tokens: Sequence[str], first: Tensor, kept: Tensor, k: int, n_experts: int) -> str:
    """The standard text as spans: the hue and number of the first choice; tokens that lost assignments are marked."""
    out = []
    for token, expert, n in zip(tokens, first.tolist(), kept.tolist(), strict=True):
        state = "" if n == k else " gone" if n == 0 else " part"
        says = f"expert {expert}" + ("" if n == k else f", {k - n} of {k} assignments dropped")
        shown = html.escape(token).replace(" ", "&nbsp;").replace("\n", "⏎")
        line = "<br>" if "\n" in token else ""
        look = f"tk {expert_class(expert, n_experts)}{state}"
        out.append(f'<span class="{look}" title="{says}">{shown}<sub>{expert}</sub></span>{line}')
    return "".join(out)


def rows(columns: Sequence[Column], layer: int, step: int) -> list[list[str]]:
    """The table as text: the measure's name, then one value a column."""
    table = []
    for name in MEASURES:
        cells = []
        for column in columns:
            values, at = figures(column, layer).by_name[name], column.bin_at(step)
            cells.append("–" if at < 0 else measure_text(name, values[at]))
        table.append([name, *cells])
    table.append(["validation loss, end", *(final(figures(column, layer).losses) for column in columns)])
    return table


def measure_text(name: str, value: float) -> str:
    return f"{value:.0f}" if name == "dead experts" else f"{value:.1f}" if name.endswith("%") else f"{value:.2f}"
