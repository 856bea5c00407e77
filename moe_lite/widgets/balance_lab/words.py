"""The balance lab in words: what columns are called, the standard text, and the reading line."""

import html
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from moe_lite.lab.sweeps import BIN, LABELS
from moe_lite.look.palette import expert_class
from moe_lite.look.words import listed
from moe_lite.widgets.balance_lab.view import MEASURES, Column, figures, multiples
from moe_lite.widgets.kit.parts import Parts
from moe_lite.widgets.kit.text import Face, face, numeral_width, row_html, tile_html, together
from moe_lite.widgets.kit.widget import inline_tint

EMPTY = "No column is left. Move the coefficient, or train one."
NOT_RECORDED = "The text was recorded for seed 0 only."
NO_BIN = f"has begun; its first {BIN} steps are not over yet."

# ---- what columns are called -----------------------------------------------------------------------------------------


def title(column: Column) -> str:
    """What tells it from its neighbours: the coefficient, and whatever else was set."""
    return ", ".join([_coefficient(column, "no balancing loss"), *_told(column)])


def subtitle(column: Column) -> str:
    """All else that is to be known of it: how far it is, top-k and seed."""
    if column.live is None:
        return f"recorded · {_about(column)} of {len(column.seeds)}"
    return f"{_about(column)} · {_state(column)}"


def heads(columns: Sequence[Column]) -> tuple[str, list[tuple[str, str]]]:
    """What all columns share, to be said once, and of each its title and what is left to say under it."""
    titles, full = [title(column) for column in columns], [subtitle(column) for column in columns]
    if len(set(full)) == 1:
        return full[0], [(name, "") for name in titles]
    if len(abouts := {_about(column) for column in columns}) == 1:
        return abouts.pop(), [(title(column), _state(column)) for column in columns]
    return "", [*zip(titles, full, strict=True)]


def _coefficient(column: Column, none: str) -> str:
    value = column.run.settings.get("balance_coef", 0.0)
    return f"coefficient {value:g}" if value else none


def _told(column: Column) -> list[str]:
    return [LABELS[name].format(column.run.settings[name]) for name in column.told]


def _about(column: Column) -> str:
    return f"top-{column.run.settings['top_k']}, seed {column.run.settings['seed']}"


def _state(column: Column) -> str:
    at = column.step_at(0)
    if column.live is None:
        return f"recorded, {len(column.seeds)} seeds"
    if column.state in ("stopped", "failed"):
        return f"{column.state} at step {at:,}"
    if column.state == "finished":
        return "trained here, 1 seed"
    state = {"running": "live", "ready": "queued"}.get(column.state, column.state)
    return f"{state} · step {at:,} of {column.total:,}"


def in_sentence(column: Column, others: Sequence[Column]) -> str:
    """What a sentence calls it: "without balancing loss", "with coefficient 0.1", "in the training with coefficient 1".

    Top-k and seed are told where they differ from those of the others.
    """
    told = _told(column)
    if column.run.settings.get("balance_coef", 0.0):
        name = "with " + listed([_coefficient(column, ""), *told])
    else:
        name = "without balancing loss" + (f" but with {listed(told)}" if told else "")
    if len({_about(each) for each in (column, *others)}) > 1:
        name += f" ({_about(column)})"
    return f"in the training {name}" if column.live else name


def final(losses: Sequence[float]) -> str:
    """The final validation loss: mean and half the range over seeds, or one seed, which says so."""
    if not losses:
        return "–"
    if len(losses) == 1:
        return f"{losses[0]:.2f} · 1 seed"
    return f"{statistics.mean(losses):.2f} ± {(max(losses) - min(losses)) / 2:.2f}"


# ---- the reading line ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Look:
    """What is looked at. moved: the name of what the last move was of, "" for none; "training" while that begins or
    ends. text: the sentence about the text, for when that has changed."""

    layer: int
    step: int
    picked: int
    moved: str = ""
    text: str = ""


def reading(columns: Sequence[Column], subject: Column | None, look: Look) -> Parts:
    """One sentence: about what has just moved, else about how `subject` differs from the first column."""
    if look.moved == "training" and subject is not None and subject.live:
        return [training_says(subject, columns[0], look.layer)]
    if look.text:
        return [look.text]
    shown = [column for column in columns if column.run.steps]
    if not shown:
        return [f"The training {NO_BIN}" if columns else EMPTY]
    subject = subject if subject in shown else shown[-1]
    pair = shown[:1] if subject is shown[0] else [shown[0], subject]
    if look.moved == "picked":
        return _expert_says(pair, look)
    more = _busiest_says(pair, look) if look.moved in ("at", "layer") or len(pair) == 1 else _losses_say(*pair)
    return [f"{_dead_say(pair, look)}{more}."]


def _dead_say(pair: Sequence[Column], look: Look) -> str:
    counts = [int(_now(column, look, "dead experts")) for column in pair]
    n_experts = pair[0].n_experts
    said = _dead(counts[0], n_experts, f" of layer {look.layer + 1}")
    names = _names(pair, look)
    other = ""
    if len(pair) == 2:
        all_dead = f" of {pair[1].n_experts}" if pair[1].n_experts != n_experts else ""
        other = f", and {counts[1] or 'none'}{all_dead if counts[1] else ''} {names[1]}"
    settings = pair[-1].run.settings
    moved = {"seed": f"With seed {settings.get('seed')}, at", "top_k": f"With top-{settings.get('top_k')}, at"}
    return f"{moved.get(look.moved, 'At')} step {pair[0].step_at(look.step):,}, {said} {names[0]}{other}"


def _dead(count: int, n_experts: int, where: str = "") -> str:
    return (
        f"{count} of {n_experts} experts{where} {'is' if count == 1 else 'are'} dead"
        if count
        else (f"no expert{where} is dead")
    )


def _busiest_says(pair: Sequence[Column], look: Look) -> str:
    busiest = [f"{1 + _now(column, look, 'max violation'):.1f}" for column in pair]
    return f"; the busiest takes {' and '.join(busiest)} times its fair share"


def _expert_says(pair: Sequence[Column], look: Look) -> Parts:
    having = [column for column in pair if look.picked < column.n_experts]
    if not having:
        return ["Expert ", {"expert": look.picked}, f" is in neither model; they have {pair[-1].n_experts}."]
    shares = [multiples(column, look.layer)[column.bin_at(look.step), look.picked].item() for column in having]
    fair = [" its fair share", ""]
    took = [
        f"{share:.1f} times{of} {name}" for share, of, name in zip(shares, fair, _names(having, look), strict=False)
    ]
    said = f" of layer {look.layer + 1} takes {', and '.join(took)}."
    return [f"At step {having[0].step_at(look.step):,}, expert ", {"expert": look.picked}, said]


def _names(pair: Sequence[Column], look: Look) -> list[str]:
    """Their names in a sentence, with the step where it is another than the first one's."""
    first = pair[0].step_at(look.step)
    steps = [column.step_at(look.step) for column in pair]
    return [
        in_sentence(column, pair) + (f" (at step {step:,})" if step != first else "")
        for column, step in zip(pair, steps, strict=True)
    ]


def _now(column: Column, look: Look, measure: str) -> float:
    return figures(column, look.layer).by_name[measure][column.bin_at(look.step)]


def _losses_say(first: Column, other: Column) -> str:
    """What may be said of the validation losses of two trainings of the same top-k; "" where nothing may."""
    base, losses = figures(first, 0).losses, figures(other, 0).losses
    if not losses or not base or other.run.settings.get("top_k") != first.run.settings.get("top_k"):
        return ""
    if min(len(losses), len(base)) < 2:
        return f"; its validation loss is {losses[0]:.2f}, and one seed gives no verdict" if len(losses) == 1 else ""
    if max(min(losses), min(base)) <= min(max(losses), max(base)):
        return "; the ranges of their validation losses over the seeds overlap"
    higher = "higher" if min(losses) > max(base) else "lower"
    gap = abs(statistics.mean(losses) - statistics.mean(base))
    than = "than any of the first column's"
    return f"; all its seeds end with a {higher} validation loss {than}, by {gap:.2f} on average"


def training_says(column: Column, first: Column, layer: int) -> str:
    """How far a training is and what its experts do; at its end, what it comes to."""
    name = in_sentence(column, ()).removeprefix("in ")
    name, losses = name[0].upper() + name[1:], figures(column, layer).losses
    if column.state == "finished" and losses:
        base = figures(first, layer).losses
        beside = f", against {final(base)} {in_sentence(first, ())}" if len(base) > 1 and first is not column else ""
        return f"{name} has ended with a validation loss of {losses[0]:.2f}{beside}; one seed gives no verdict."
    if not column.run.steps:
        return f"{name} {NO_BIN}"
    is_at = {"paused": "rests at", "stopped": "was stopped after", "failed": "failed after"}.get(column.state, "is at")
    look = Look(layer, 0, 0)
    return (
        f"{name} {is_at} step {column.step_at(0):,} of {column.total:,}: "
        f"{_dead(int(_now(column, look, 'dead experts')), column.n_experts, f' of layer {layer + 1}')}"
        f"{_busiest_says([column], look)}."
    )


# ---- the text --------------------------------------------------------------------------------------------------------


def text_says(column: Column, layer: int, step: int, factor: float, kept: Tensor, k: int) -> str:
    """How many tokens of the text lose assignments, kept (N,) of K each; factor 0 is no limit."""
    where = f"layer {layer + 1} at step {column.step_at(step):,}, {in_sentence(column, ())}"
    lost, gone = int((kept < k).sum()), int((kept == 0).sum())
    if not factor:
        return f"Without a limit, no token of the text loses an assignment in {where}."
    limit = f"With room for {factor:g} times the fair share"
    many = f"{lost} of {len(kept)} tokens of the text lose{'s' if lost == 1 else ''}"
    return f"{limit}, {many} assignments in {where}; {gone or 'none'} of them lose{'s' if gone == 1 else ''} all."


def text_html(tokens: Sequence[str], first: Tensor, kept: Tensor, k: int, n_experts: int) -> str:
    """The standard text as tiles: the hue and number of the first choice; tokens that lost assignments are marked."""
    faces = together(map(face, tokens))
    each = zip(faces, first.tolist(), kept.tolist(), strict=True)
    tiles = row_html(faces, (token_html(shown, expert, n, k, n_experts) for shown, expert, n in each))
    return f'<div class="tx" style="--num:{numeral_width(n_experts)}px">{tiles}</div>'


def token_html(shown: Face, expert: int, kept: int, k: int, n_experts: int) -> str:
    """One token whose first choice is `expert`, and which keeps `kept` of its K assignments."""
    says = f"expert {expert}" + ("" if kept == k else f", {k - kept} of {k} assignments dropped")
    look = "" if kept == k else "gone" if kept == 0 else "part"
    tint = "" if look == "gone" else f"{inline_tint(expert, n_experts)} "
    looks = f"{expert_class(expert, n_experts)} {look}"
    return tile_html(shown, f"<sub><b>{expert}</b></sub>", looks, f'{tint}title="{html.escape(says)}"')


def signs_html() -> str:
    """What the signs on the tokens mean, each on a token of its own."""
    signs = (
        (2, "the number of its first expert"), (1, "some of its experts are full: it lost these assignments"),
        (0, "all of them are full: it lost every assignment"),
    )  # fmt: skip
    return "".join(
        f"<span>{token_html(face('token'), 5, kept, 2, 8)} {html.escape(means)}</span>" for kept, means in signs
    )


# ---- the table -------------------------------------------------------------------------------------------------------


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
