"""What the token viewer's script draws: plain values and bytes, one message for all layers of a page."""

from collections.abc import Mapping, Sequence

import numpy as np

from moe_lite.widgets.token_routing import NONE, TokenRouting
from moe_lite.widgets.token_text import PAGE, TokenText
from moe_lite.widgets.token_twin import bar_scale
from moe_lite.widgets.token_words import ORDINALS, fair_share, hundredths, layer_sentence, muted_sentence

MOST_EXPERTS = 255  # an expert is one byte, and 255 stands for none


def page_data(text: TokenText, routing: TokenRouting, context_length: int) -> dict:
    """Faces and sections of the tokens that `routing` covers; sections count from the first of them."""
    first, stop = routing.first, routing.first + routing.shape[1]
    sections = [(name, max(a, first) - first, min(b, stop) - first) for name, a, b in text.sections]
    cut = max(b - a for _, a, b in text.sections) > context_length
    return {
        "tokens": [[face.text, face.gap, face.blank, face.part_of] for face in text.faces[first:stop]],
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
