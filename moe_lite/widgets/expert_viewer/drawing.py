"""The expert viewer's figures as HTML, the same for the live widget and for the picture that stays.

Elements with one parent differ in the first word of their class, or in `data-expert`, and hold either text or elements:
the script moves the old ones to what the new ones show (`drawHtml` in the kit).
"""

import html

from moe_lite.look.palette import expert_class
from moe_lite.look.words import percent
from moe_lite.widgets.expert_viewer.view import Card, Changes, LayerTable, Shown
from moe_lite.widgets.expert_viewer.words import HOW, SPACES, lift_text, signed
from moe_lite.widgets.kit.text import Face, face, numeral_width, row_html, tile_html
from moe_lite.widgets.kit.widget import badge_html, inline_tint
from moe_lite.widgets.token_viewer import NONE

# the ramp: where each of its steps begins, in lifts as they are printed, and what it is called
RAMP = ((0.0, "0–0.2"), (0.3, "0.3–0.4"), (0.5, "0.5–0.7"), (0.8, "0.8–1.2"), (1.3, "1.3–1.9"), (2.0, "2.0–3.9"),
        (4.0, "4.0 and more"))  # fmt: skip
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
    without its control, where that is measured."""
    names, n_experts = layer.domains, layer.n_experts
    shares = layer.table.double() / layer.table.sum(dim=1, keepdim=True).clamp(min=1)  # (E, D)
    full = max(shares.max().item(), *card.fair)  # the share at which a bar is full, the same for all of the layer
    heads = [("share of its assignments", "", "<u class='key'></u><span class='w'>share of all assignments</span>")]
    if changes:
        heads += [("loss without", badge_html(changes.expert, n_experts), "change in nats per token"),
                  ("without", badge_html(changes.control, n_experts), "its control")]  # fmt: skip
    head = "".join(
        f'<th class="c{i}" scope="col" colspan="2"><div class="t"><span class="w">{text}</span>{badge}</div>'
        f'<div class="k">{more}</div></th>'
        for i, (text, badge, more) in enumerate(heads)
    )
    scale = _scale(changes)
    rows = ""
    for d, name in enumerate(names):
        share = _bar(card.expert, n_experts, 0, card.domains[d] / full, card.fair[d] / full)
        cells = f'<td class="b0">{share}</td><td class="v0">{percent(card.domains[d])}</td>'
        pair = changes.by_domain.get(name, (None, None)) if changes else ()
        experts = (changes.expert, changes.control) if changes else ()
        for i, (e, nats) in enumerate(zip(experts, pair, strict=True), start=1):
            drawn = _change(e, n_experts, nats, *scale)
            cells += f'<td class="b{i}">{drawn}</td><td class="v{i}">{"…" if nats is None else signed(nats)}</td>'
        rows += f'<tr class="d{d}"><th class="name" scope="row">{html.escape(name)}</th>{cells}</tr>'
    look = "doms three" if changes else "doms"
    return (
        f'<table class="{look}">'
        f'<thead class="hh"><tr class="h"><th class="name" scope="col">domain</th>{head}</tr></thead>'
        f'<tbody class="hb">{rows}</tbody></table>'
    )


def _scale(changes: Changes | None) -> tuple[float, float]:
    """The changes at the left and at the right end of the bars, one scale for both columns."""
    values = [nats for pair in changes.by_domain.values() for nats in pair] if changes else []
    low, high = min([0.0, *values]), max([0.05, *values])
    return (low if low <= -0.005 else 0.0), high


def _bar(e: int, n_experts: int, start: float, end: float, tick: float | None = None, zero: float | None = None) -> str:
    """A bar from start to end, 0 to 1, with a tick and a line at zero."""
    start, end = sorted((start, end))
    fill = f'<i class="f" style="left:{100 * start:.1f}%;width:{100 * (end - start):.1f}%"></i>'
    tick = "" if tick is None else f'<u class="t" style="left:{100 * tick:.1f}%"></u>'
    line = "" if zero is None else f'<s class="z" style="left:{100 * zero:.1f}%"></s>'
    return f'<span class="bar {expert_class(e, n_experts)}">{line}{fill}{tick}</span>'


def _change(e: int, n_experts: int, nats: float | None, low: float, high: float) -> str:
    zero = -low / (high - low)
    if nats is None:
        return _bar(e, n_experts, zero, zero, zero=zero)
    return _bar(e, n_experts, zero, (min(max(nats, low), high) - low) / (high - low), zero=zero)


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
    what = SPACES if card.top else "No token came often enough."
    return (
        f'<table class="tops"><thead class="hh"><tr class="h">{head}</tr></thead><tbody class="hb">{rows}</tbody>'
        f"</table><p class='note'>{what}</p>"
    )
