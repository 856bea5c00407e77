"""The token viewer as a picture: HTML that shows one layer and choice with no script and no kernel."""

import html

import numpy as np

from moe_lite.look import palette
from moe_lite.look.words import fair_share, percent
from moe_lite.widgets.kit.text import Face, TokenText, numeral_width, row_html, tile_html
from moe_lite.widgets.kit.widget import badge_html, inline_tint
from moe_lite.widgets.token_viewer.view import NONE, TokenRouting
from moe_lite.widgets.token_viewer.words import ORDINALS, hundredths


def token_view_html(routing: TokenRouting, text: TokenText, layer: int, choice: int, full: float | None = None) -> str:
    """The page of tokens and the experts' shares of one layer, without controls. Layer and choice count from 0.

    full is the share at which a bar is full, `bar_scale(routing)` if None.
    """
    stop = routing.first + routing.shape[1]
    sections = [(name, max(a, routing.first), min(b, stop)) for name, a, b in text.sections]
    named = "" if any(name for name, _, _ in sections) else " plain"
    rows = [
        f'<div class="dom"><span>{html.escape(name)}</span><div class="tx">'
        + row_html(
            text.faces[a:b], (token_html(routing, text.faces[i], layer, choice, i - routing.first) for i in range(a, b))
        )
        + "</div></div>"
        for name, a, b in sections
        if a < b
    ]
    caption = f'<p class="note">Picture of layer {layer + 1}, {ORDINALS[choice]} choice.</p>'
    numeral = f"--num:{numeral_width(routing.shape[-1])}px"
    figure = f"<div>{''.join(rows)}</div>{rail_html(routing.load[layer], full or bar_scale(routing))}"
    return f'<div class="tv{named}" style="{numeral}">{figure}</div>{caption}'


def token_html(routing: TokenRouting, face: Face, layer: int, choice: int, i: int) -> str:
    n_experts = routing.shape[-1]
    chosen = routing.experts[layer, i]
    expert = int(chosen[choice])
    if expert == NONE:
        return tile_html(face, look="none")
    others = [f"{ORDINALS[c]} {e}" for c, e in enumerate(chosen[: len(ORDINALS)]) if c != choice and e != NONE]
    facts = [f"expert {expert}", f"weight {hundredths(routing.weights[layer, i, choice]) / 100:.2f}", *others]
    attributes = f'{inline_tint(expert, n_experts)} title="{", ".join(facts)}"'
    return tile_html(face, f"<sub><b>{expert}</b></sub>", palette.expert_class(expert, n_experts), attributes)


def rail_html(load: np.ndarray, full: float, was: np.ndarray | None = None, was_name: str = "") -> str:
    """One bar an expert: its share of load (E,), full at the share `full`. Ticks stand at the shares of was (E,)."""
    n_experts, shares = len(load), load / max(1, load.sum())  # (E,)
    ticks = [""] * n_experts if was is None else [_tick(share / full) for share in was / max(1, was.sum())]
    line = f'<s style="left:{100 / n_experts / full:.1f}%"></s>'
    rows = "".join(
        f'<div class="row {palette.expert_class(e, n_experts)}">{badge_html(e, n_experts)} '
        f'<span class="bar"><i style="width:{100 * share / full:.1f}%"></i>{line}{ticks[e]}</span> '
        f'<span class="r">{percent(share)}</span></div>'
        for e, share in enumerate(shares)
    )
    key = "" if was is None else f' <span class="key"><u></u>{html.escape(was_name)}</span>'
    head = f'<div class="row h"><span></span><span>share of assignments{key}</span></div>'
    return f'<div class="rail">{head}{rows}<div class="fair">fair share {fair_share(n_experts)}</div></div>'


def _tick(place: float) -> str:
    return f'<u style="left:{100 * min(1, place):.1f}%"></u>'


def bar_scale(routing: TokenRouting) -> float:
    """The share at which a bar is full, one for all layers: two fair shares, or the largest share if that is more."""
    shares = routing.load / routing.load.sum(axis=1, keepdims=True).clip(min=1)  # (L, E)
    return float(max(2 / shares.shape[1], shares.max()))
