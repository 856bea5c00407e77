"""The expert viewer's figures as HTML, the same for the live widget and for the picture that stays.

Elements with one parent differ in the first word of their class, or in `data-expert`, and hold either text or elements:
the script moves the old ones to what the new ones show (`drawHtml` in the kit).
"""

import html

from moe_lite.look.palette import expert_class
from moe_lite.look.words import percent
from moe_lite.widgets.expert_viewer.view import Card, Changes, LayerTable, Shown
from moe_lite.widgets.expert_viewer.words import HOW, NO_CONTROL, SPACES, as_many, lift_text, signed
from moe_lite.widgets.kit.text import Face, face, numeral_width, row_html, tile_html
from moe_lite.widgets.kit.widget import badge_html, inline_tint
from moe_lite.widgets.token_viewer import NONE

# the ramp: where each of its steps begins, in lifts as they are printed, and what it is called
RAMP = ((0.0, "0–0.2"), (0.3, "0.3–0.4"), (0.5, "0.5–0.7"), (0.8, "0.8–1.2"), (1.3, "1.3–1.9"), (2.0, "2.0–3.9"),
        (4.0, "4.0 and more"))  # fmt: skip
KEY = '<u class="key"></u>'  # the tick of a bar, beside its name
FEW, SOME = 20, 40  # experts up to which the heatmap's columns are wide, and narrow


def step_of(lift: float) -> int:
    """The step of the ramp for a lift, −1 for an expert that got nothing."""
    return -1 if lift != lift else sum(round(lift, 1) >= start for start, _ in RAMP) - 1


# ---- heatmap ---------------------------------------------------------------------------------------------------------


def heatmap_html(shown: Shown, live: bool = False) -> str:
    """Domains by experts, shaded by lift; the selected expert's column is framed. Live, the heads are buttons."""
    layer, expert, n = shown.layer, shown.expert, shown.n_experts
    wide = "wide" if n <= FEW else "narrow" if n <= SOME else "slim"
    heads = "".join(_head(e, n, e == expert, shown.muted, live) for e in range(n))
    rows = "".join(_row(layer, d, name, expert) for d, name in enumerate(layer.domains))
    loads = "".join(_cell(e, e == expert, "share", _hundred(share)) for e, share in enumerate(layer.share.tolist()))
    corner = f'<th class="name" scope="col">lift in layer {shown.at}</th>'
    return (
        f'<table class="heat {wide}" aria-label="Lift of each domain and expert in layer {shown.at}">'
        f'<thead class="hh"><tr class="h">{corner}{heads}</tr></thead>'
        f'<tbody class="hb">{rows}<tr class="loads"><th class="name" scope="row">load, %</th>{loads}</tr></tbody>'
        f"</table>"
    )


def _head(e: int, n: int, on: bool, muted: bool, live: bool) -> str:
    look = f"{expert_class(e, n)}{' on' * on}{' muted' * (on and muted)}"
    if not live:
        return f'<th class="x {look}" scope="col">{badge_html(e, n)}</th>'
    pressed = "true" if on else "false"
    button = f'<button class="pick" type="button" aria-pressed="{pressed}" aria-label="expert {e}">'
    return f'<th class="x {look}" data-expert="{e}" scope="col">{button}{badge_html(e, n)}</button></th>'


def _row(layer: LayerTable, d: int, name: str, expert: int) -> str:
    lifts = layer.lift[:, d].tolist()
    cells = "".join(_cell(e, e == expert, f"l{step_of(x)}", lift_text(x), layer) for e, x in enumerate(lifts))
    return f'<tr class="d{d}"><th class="name" scope="row">{html.escape(name)}</th>{cells}</tr>'


def _cell(e: int, on: bool, look: str, text: str, layer: LayerTable | None = None) -> str:
    hue = f" on {expert_class(e, layer.n_experts)}" if on and layer else " on" * on
    return f'<td class="{look}{hue}" data-expert="{e}">{text}</td>'


def _hundred(share: float) -> str:
    return percent(share).removesuffix(" %")


def ramp_html() -> str:
    steps = "".join(f'<span class="l{i}">{text}</span>' for i, (_, text) in enumerate(RAMP))
    return f'<div class="ramp"><span class="what">lift</span>{steps}</div><p class="note">{HOW}</p>'


# ---- text ------------------------------------------------------------------------------------------------------------


def text_html(shown: Shown, choice: int) -> str:
    """The tokens of the text with their experts, choice from 0: those that step back without tint, moved ones with a
    bar."""
    if shown.routing is None:
        return ""
    experts, faces, n_experts = shown.chosen()[:, choice].tolist(), shown.text.faces, shown.n_experts
    marks = list(zip(experts, shown.dimmed(choice).tolist(), shown.changed(choice).tolist(), strict=True))
    rows = ""
    for _, a, b in shown.sections:
        tiles = (_token(faces[i], n_experts, *marks[i]) for i in range(a, b))
        rows += f'<div class="dom"><span></span><div class="tx">{row_html(faces[a:b], tiles)}</div></div>'
    return f'<div class="plain" style="--num:{numeral_width(n_experts)}px">{rows}</div>'


def _token(token_face: Face, n_experts: int, expert: int, off: bool, moved: bool) -> str:
    if expert == NONE:
        return tile_html(token_face, look="none")
    look = f"{expert_class(expert, n_experts)}{' off' * off}{' mv' * moved}"
    return tile_html(token_face, f"<sub><b>{expert}</b></sub>", look, "" if off else inline_tint(expert, n_experts))


# ---- the expert's card -----------------------------------------------------------------------------------------------


def domains_html(card: Card, layer: LayerTable, changes: Changes | None) -> str:
    """A row per domain: its share of the expert's assignments, and what its loss changes by without the expert and
    without its control there, where that is measured."""
    names, n_experts = layer.domains, layer.n_experts
    shares = layer.table.double() / layer.table.sum(dim=1, keepdim=True).clamp(min=1)  # (E, D)
    full = max(shares.max().item(), *card.fair)  # the share at which a bar is full, the same for all of the layer
    columns = ["name", "b0", "v0"]
    heads = [_title("c0", "share of its assignments", KEY + _words("share of all assignments"))]
    if changes:
        badge = badge_html(changes.expert, n_experts)
        heads += [_title("c1", _words("loss without ") + badge, "change in nats per token"),
                  _title("vs", "control", _words("% of ") + badge, span=1),
                  _title("c2", "loss without", "its control")]  # fmt: skip
        columns += ["b1", "v1", "vs", "b2", "v2"]
    widths = "".join(f'<col class="{column}">' for column in columns)
    scale = _scale(changes)
    rows = ""
    for d, name in enumerate(names):
        share = _bar(expert_class(card.expert, n_experts), 0, card.domains[d] / full, card.fair[d] / full)
        cells = f'<td class="b0">{share}</td><td class="v0">{percent(card.domains[d])}</td>'
        cells += _compared(changes, name, n_experts, scale) if changes else ""
        rows += f'<tr class="d{d}"><th class="name" scope="row">{html.escape(name)}</th>{cells}</tr>'
    look = "doms three" if changes else "doms"
    return (
        f'<table class="{look}"><colgroup class="hc">{widths}</colgroup>'
        f'<thead class="hh"><tr class="h"><th class="name" scope="col">domain</th>{"".join(heads)}</tr></thead>'
        f'<tbody class="hb">{rows}</tbody></table>'
    )


def _words(text: str) -> str:
    return f'<span class="w">{text}</span>'


def _title(look: str, above: str, below: str, span: int = 2) -> str:
    """The head of a column of numbers, and of that of their bars beside it."""
    lines = f'<div class="t">{above}</div><div class="k">{below}</div>'
    return f'<th class="{look}" scope="col" colspan="{span}">{lines}</th>'


def _compared(changes: Changes, domain: str, n_experts: int, scale: tuple[float, float]) -> str:
    """What a domain's loss changes by without the expert; who is its control there, how much of the domain that one
    gets, and what changes without it. The bar of a control that is not near is an outline."""
    other, (mine, its) = changes.controls[domain], changes.by_domain.get(domain, (None, None))
    cells = _loss(1, expert_class(changes.expert, n_experts), mine, scale)
    if other is None:
        who = f'<td class="vs"><span class="of">{NO_CONTROL}</span></td>'
        return f'{cells}{who}<td class="b2"></td><td class="v2">–</td>'
    of = f'<span class="of"> {as_many(other)}</span>'  # the space keeps the two apart where only letters are left
    who = f'<td class="vs">{badge_html(other.expert, n_experts)}{of}</td>'
    look = f"{expert_class(other.expert, n_experts)}{'' if other.near else ' open'}"
    return f"{cells}{who}{_loss(2, look, its, scale)}"


def _loss(i: int, look: str, nats: float | None, scale: tuple[float, float]) -> str:
    """A change as a bar and as a number; None if it is not measured yet."""
    low, high = scale
    zero, end = ((x - low) / (high - low) for x in (0.0, min(max(nats or 0.0, low), high)))
    bar = _bar(look, zero, end, zero=zero)
    return f'<td class="b{i}">{bar}</td><td class="v{i}">{"…" if nats is None else signed(nats)}</td>'


def _scale(changes: Changes | None) -> tuple[float, float]:
    """The changes at the left and at the right end of the bars, one scale for both columns."""
    values = [nats for pair in changes.by_domain.values() for nats in pair if nats is not None] if changes else []
    low, high = min([0.0, *values]), max([0.05, *values])
    return (low if low <= -0.005 else 0.0), high


def _bar(look: str, start: float, end: float, tick: float | None = None, zero: float | None = None) -> str:
    """A bar from start to end, 0 to 1, with a tick and a line at zero."""
    start, end = sorted((start, end))
    fill = f'<i class="f" style="left:{100 * start:.1f}%;width:{100 * (end - start):.1f}%"></i>'
    tick = "" if tick is None else f'<u class="t" style="left:{100 * tick:.1f}%"></u>'
    line = "" if zero is None else f'<s class="z" style="left:{100 * zero:.1f}%"></s>'
    return f'<span class="bar {look}">{line}{fill}{tick}</span>'


def top_html(card: Card, n_experts: int) -> str:
    """The expert's top tokens, with lift and count."""
    rows = ""
    for i, top in enumerate(card.top):
        text = face(top.text)
        shown = "·" * text.gap + text.text.replace("\n", "")
        look = f"tk {expert_class(card.expert, n_experts)}"
        chip = f'<span class="{look}" {inline_tint(card.expert, n_experts)}>{html.escape(shown)}</span>'
        rows += f'<tr class="t{i}"><td class="tok">{chip}</td><td class="v0">{top.lift:.1f}</td>'
        rows += f'<td class="v1">{top.count:,}</td></tr>'
    names = {"tok": "top tokens", "v0": "lift", "v1": "count"}
    head = "".join(f'<th class="{look}" scope="col">{name}</th>' for look, name in names.items())
    what = SPACES if card.top else "No token came often enough for a lift."
    return (
        f'<table class="tops"><thead class="hh"><tr class="h">{head}</tr></thead><tbody class="hb">{rows}</tbody>'
        f"</table><p class='note'>{what}</p>"
    )
