"""The capacity view as HTML: the text with its dropped tokens, and the queue of every expert as SVG."""

import html

from moe_lite.look.palette import expert_class
from moe_lite.look.svg import figure
from moe_lite.widgets.capacity_view.view import NO_LIMIT, Rooms
from moe_lite.widgets.kit.text import Face
from moe_lite.widgets.kit.widget import badge_html, inline_tint

WIDEST, NARROWEST = 812, 460  # px
ROW, LEFT, RIGHT, TOP = 18, 28, 64, 22  # px: height of a queue; room for numerals, for counts, for the line's label
MOST_CELL = 16  # px


def drawing(now: Rooms, width: int, label: str) -> str:
    """Text and queues; `label` is the queues' text alternative."""
    return f'{text_html(now)}<div class="queues">{queues_svg(now, width, label)}</div>'


# ---- the text --------------------------------------------------------------------------------------------------------


def text_html(now: Rooms) -> str:
    tokens = (_token(now, n) + ("<br/>" if "\n" in face.text else "") for n, face in enumerate(now.faces))
    return f'<div class="tx">{"".join(tokens)}</div>'


def _token(now: Rooms, token: int) -> str:
    choices, face = now.choices[token], now.faces[token]
    gone = not any(kept for _, kept in choices)
    leading = next((expert for expert, kept in choices if kept), choices[0][0] if choices else None)
    if leading is None:  # expert choice: nobody took it, and it asked for nobody
        return (
            f'<span class="tk idle{" gap" if face.gap else ""}" title="token {token}: no expert">{_shown(face)}</span> '
        )
    kind = "gone" if gone else "part" if not all(kept for _, kept in choices) else "whole"
    numerals = "".join(f"<b{'' if kept else ' class=no'}>{expert}</b>" for expert, kept in choices)
    tint = "" if gone else f" {inline_tint(leading, now.n_experts)}"
    return (
        f'<span class="tk {kind} {expert_class(leading, now.n_experts)}{" gap" if face.gap else ""}"{tint} '
        f'title="{html.escape(_title(token, choices))}">{_shown(face)}{numerals}</span> '
    )


def _shown(face: Face) -> str:
    text = html.escape(face.text.replace("\n", ""))
    return f"<em>{text}</em>" if face.blank else text


def _title(token: int, choices: list[tuple[int, bool]]) -> str:
    said = ", ".join(f"expert {expert}{'' if kept else ' (full)'}" for expert, kept in choices)
    return f"token {token}: {said}"


# ---- the queues ------------------------------------------------------------------------------------------------------


def queues_svg(now: Rooms, width: int, label: str) -> str:
    longest = max([*now.load, 1])
    limit = None if now.factor == NO_LIMIT else now.capacity
    across = max(longest, min(limit or 0, 2 * longest)) + 1
    cell = min(MOST_CELL, (width - LEFT - RIGHT) / across)
    height = TOP + ROW * now.n_experts + 6
    body = "".join(_queue(now, e, cell, limit) for e in range(now.n_experts))
    return figure(body + _line(limit, cell, height, width), width, height, label, "rooms")


def _queue(now: Rooms, expert: int, cell: float, limit: int | None) -> str:
    y, name = TOP + ROW * expert, expert_class(expert, now.n_experts)
    out = [f'<g class="{name}"><rect class="plate" x="0" y="{y + 2}" width="20" height="14" rx="3"/>',
           f'<text class="n0" x="10" y="{y + 13}">{expert}</text>']  # fmt: skip
    for place, (token, choice) in enumerate(now.lines[expert]):
        x, kept = LEFT + place * cell, limit is None or place < limit
        kind = f"{'in' if kept else 'out'}{' second' if choice else ''}"
        tip = f"token {token} {now.faces[token].text!r}, its {_ordinal(choice)} choice{'' if kept else ': no room'}"
        box = f'x="{x:.1f}" y="{y + 3}" width="{max(1.0, cell - 1):.1f}" height="12"'
        stroke = "" if kept else f'<path class="stroke" d="M{x:.1f} {y + 15}L{x + max(1.0, cell - 1):.1f} {y + 3}"/>'
        out.append(f'<g><title>{html.escape(tip)}</title><rect class="{kind}" {box}/>{stroke}</g>')
    kept = now.load[expert] if limit is None else min(limit, now.load[expert])
    count = f"{kept}" if kept == now.load[expert] else f"{kept} of {now.load[expert]}"
    end = LEFT + max(len(now.lines[expert]), limit or 0 if len(now.lines[expert]) > (limit or 0) else 0) * cell
    out.append(f'<text class="d" x="{end + 8:.1f}" y="{y + 13}">{count}</text></g>')
    return "".join(out)


def _line(limit: int | None, cell: float, height: int, width: int) -> str:
    if limit is None:
        return ""
    x = LEFT + limit * cell - 0.5
    if x > width - 4:
        return f'<text class="d" x="{width - 4}" y="12" text-anchor="end">capacity {limit}, beyond the queues →</text>'
    anchor = "end" if x > width - 90 else "start" if x < 90 else "middle"
    return (
        f'<path class="limit" d="M{x:.1f} {TOP - 4}V{height - 4}"/>'
        f'<text x="{x:.1f}" y="12" text-anchor="{anchor}">capacity {limit}</text>'
    )


def _ordinal(choice: int) -> str:
    return ("first", "second", "third", "fourth")[choice] if choice < 4 else f"{choice + 1}th"


def table_html(now: Rooms) -> str:
    """The queues as a table, for pages that drop SVG."""
    rows = "".join(
        f"<tr><td>{badge_html(e, now.n_experts)}</td><td>{load}</td><td>{min(load, now.capacity)}</td></tr>"
        for e, load in enumerate(now.load)
    )
    return f"<table><tr><th>expert</th><th>asked</th><th>kept</th></tr>{rows}</table>"
