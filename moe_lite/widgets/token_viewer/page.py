"""What the token viewer's script draws: plain values and bytes, one message for all layers of a page."""

import html
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np

from moe_lite.look.words import fair_share, percent
from moe_lite.widgets.kit.parts import Parts
from moe_lite.widgets.kit.text import PAGE, TokenText
from moe_lite.widgets.kit.widget import CallbackError
from moe_lite.widgets.token_viewer.drawing import bar_scale, token_view_html
from moe_lite.widgets.token_viewer.view import MOST_EXPERTS, NONE, Names, TokenRouting
from moe_lite.widgets.token_viewer.words import (
    ORDINALS,
    fill,
    hundredths,
    layer_sentence,
    muted_sentence,
    reading_of,
    then_picked,
    then_token,
)

Pair = Sequence  # of two: before, after


@contextmanager
def failures_of(side: str, names: Names | None) -> Iterator[None]:
    """What goes wrong in the block is told with the model it went wrong in, where there are two."""
    try:
        yield
    except Exception as problem:
        if names is None:
            raise
        speaks = isinstance(problem, (CallbackError, ValueError, TypeError))
        what = str(problem) if speaks else f"{type(problem).__name__}: {problem}"
        name = f" ({names.caption(side)})" if names.caption(side) else ""
        raise CallbackError(f"The model {side}{name}: {what}") from (problem.__cause__ or problem)


def pair_data(routings: Pair[TokenRouting], moved: Pair[np.ndarray], muted: Sequence[int]) -> dict:
    """What is added to the data of the routing after: sentences about both, as [layer][choice], and what changed.

    moved are (L, N, K) bool: tokens that have another expert because `muted` are.
    """
    before, after = routings
    n_layers, _, k, _ = after.shape
    choices = range(min(k, len(ORDINALS)))
    return {
        "full": max(map(bar_scale, routings)),  # one scale for the bars of both
        "changed": (before.experts != after.experts).tobytes(),
        "pair": [[changed_sentence(routings, layer, c) for c in choices] for layer in range(n_layers)],
        "pair_moves": [[_muted_pair(muted, moved, layer, c) for c in choices] for layer in range(n_layers)],
    }


def changed_sentence(routings: Pair[TokenRouting], layer: int, choice: int) -> Parts:
    """How many tokens have another expert than before, and which expert's share of assignments has moved most."""
    then, now = (r.experts[layer, :, choice] for r in routings)  # (N,), (N,)
    count, n = int((then != now).sum()), len(now)
    values = {"layer": str(layer + 1), "choice": ORDINALS[choice], "n": f"{n:,}"}
    parts = fill("changed", count=f"{count:,}", **values) if count else fill("unchanged", **values)
    shares = [r.load[layer] / max(1, r.load[layer].sum()) for r in routings]  # (E,), (E,)
    expert = int(np.abs(shares[1] - shares[0]).argmax())
    was, is_now = (percent(share[expert]) for share in shares)
    return parts + (fill("shift", expert={"expert": expert}, was=was, now=is_now) if was != is_now else [])


def _muted_pair(muted: Sequence[int], moved: Pair[np.ndarray], layer: int, choice: int) -> Parts:
    if not muted:
        return []
    then, now = (m[layer, :, choice] for m in moved)  # (N,), (N,)
    return muted_sentence(muted, now, choice) + fill("then_moved", count=f"{int(then.sum()):,}")


def pair_reading(
    routings: Pair[TokenRouting], sent: Mapping, text: TokenText, layer: int, choice: int, pinned: int,
    picked: Sequence[int],
) -> Parts:  # fmt: skip
    """The reading line where both are seen: what the token, the picked experts or the layer does now, and did before.

    sent is what `pair_data` gave.
    """
    before, after = routings
    now = reading_of(after, text, layer, choice, pinned, picked)
    if pinned >= 0:
        now += then_token(before, layer, pinned)
    elif picked:
        now += then_picked(before, layer, choice, picked)
    else:
        now = sent["pair"][layer][choice]
    return now + sent["pair_moves"][layer][choice]


def sides_html(seen: Mapping[str, TokenRouting], names: Names | None, text: TokenText, layer: int, choice: int) -> str:
    """The text by each of the routings seen, under their names where there are some, without controls.

    Layer and choice count from 0.
    """
    full = max(map(bar_scale, seen.values()))
    views = {side: token_view_html(routing, text, layer, choice, full) for side, routing in seen.items()}
    if names is None:
        return "".join(views.values())
    sides = "".join(f'<div class="side">{_caption(side, names)}{view}</div>' for side, view in views.items())
    return f'<div class="{"pair" if len(views) > 1 else "alone"}">{sides}</div>'


def _caption(side: str, names: Names) -> str:
    return f'<p class="cap"><b>{side}</b> <span class="dim">{html.escape(names.caption(side))}</span></p>'


def page_data(text: TokenText, routing: TokenRouting, context_length: int) -> dict:
    """Faces and sections of the tokens that `routing` covers; sections count from the first of them."""
    first, stop = routing.first, routing.first + routing.shape[1]
    sections = [(name, max(a, first) - first, min(b, stop) - first) for name, a, b in text.sections]
    cut = max(b - a for _, a, b in text.sections) > context_length
    return {
        "tokens": [face.sent() for face in text.faces[first:stop]],
        "sections": [section for section in sections if section[1] < section[2]],
        "first": first,
        "total": len(text.ids),
        "size": PAGE,
        "cut": f"The model reads {context_length} tokens at once: the text is read in parts of that length, each from "
        f"an empty context." if cut else "",
    }  # fmt: skip


def routed_data(routing: TokenRouting, moved: np.ndarray, muted: Sequence[int]) -> dict:
    """All layers of a page. moved (L, N, K) bool: which tokens have another expert because `muted` are.

    choice (L, N, K) and scores (L, N, E) are bytes, weight (L, N, K) is little-endian uint16; scores and weights are
    hundredths, the numbers that are printed.
    """
    n_layers, _, k, n_experts = routing.shape
    choices = range(min(k, len(ORDINALS)))
    return {
        "layers": n_layers,
        "k": k,
        "experts": n_experts,
        "choice": np.where(routing.experts == NONE, MOST_EXPERTS, routing.experts).astype(np.uint8).tobytes(),
        "weight": np.minimum(hundredths(routing.weights), 0xFFFF).astype("<u2").tobytes(),
        "scores": hundredths(routing.scores).astype(np.uint8).tobytes(),
        "moved": moved.tobytes(),
        "load": routing.load.tolist(),
        "full": bar_scale(routing),
        "fair": fair_share(n_experts),
        "spread": [layer_sentence(routing, layer) for layer in range(n_layers)],
        "moves": [[muted_sentence(muted, layer[:, c], c) if muted else [] for c in choices] for layer in moved],
    }


def loss_text(measured: Mapping[str, float], top_k: int, trained: int) -> str:
    """ "validation loss 3.35 at top-1 · 3.12 at top-2 (trained so)", or "" where nothing was measured."""
    if not measured:
        return ""
    parts = [
        f"{measured[str(k)]:.2f} at top-{k}" if str(k) in measured else f"not measured at top-{k}"
        for k in dict.fromkeys((top_k, trained))
    ]
    return f"validation loss {' · '.join(parts)} (trained so)"
