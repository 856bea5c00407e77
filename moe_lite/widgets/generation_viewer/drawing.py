"""The generation viewer as a picture: the text so far with its experts, and their shares, without script or kernel."""

import html
import os

import numpy as np

from moe_lite.look.words import fair_share
from moe_lite.widgets.generation_viewer.view import Generation, plain_text
from moe_lite.widgets.generation_viewer.words import HOW, ending, layer_parts, settings_text
from moe_lite.widgets.kit.text import row_html
from moe_lite.widgets.token_viewer import MOST_EXPERTS, NONE, ORDINALS, hundredths, rail_html, token_html


def generation_html(generation: Generation, layer: int, choice: int, state: str, names: tuple[str, str]) -> str:
    """The figure for one layer and choice, counted from 0. names are those of the model and of the dense one."""
    routing, faces, full = generation.routing, generation.faces, largest_share(generation)
    tokens = row_html(faces, (token_html(routing, face, layer, choice, i) for i, face in enumerate(faces)))
    rows = [(names[0], f'<span class="prompt">{html.escape(prompt_text(generation))}</span>{tokens}')]
    if any(made.beside is not None for made in generation.made):
        rows.append(
            (names[1], f'<span class="beside"><span class="prompt">…</span>{html.escape(generation.beside)}</span>')
        )
    named = len(rows) > 1
    text = "".join(
        f'<div class="dom"><span>{html.escape(name) if named else ""}</span><div class="tx">{row}</div></div>'
        for name, row in rows
    )
    facts = settings_text(generation, state)
    facts = f'<p class="cap dim">{html.escape(facts)}</p>' if facts else ""
    rail = rail_html(routing.load[layer], full, generation.prompt_load[layer], "prompt")
    numeral = f"--num:{4 + 6 * len(str(routing.shape[-1] - 1))}px"
    note = f"Picture of layer {layer + 1}, {ORDINALS[choice]} choice. {HOW}"
    return (
        f'{facts}<div class="tv{"" if named else " plain"}" style="{numeral}"><div>{text}</div>{rail}</div>'
        f'<p class="note">{html.escape(note)}</p>'
    )


def prompt_text(generation: Generation) -> str:
    """The prompt as it is read; "…" stands for what was cut off before it."""
    return "…" * generation.cut + plain_text(generation.prompt)


def largest_share(generation: Generation) -> float:
    """The share at which a bar is full: the largest that an expert can have, as a token takes top_k different ones."""
    return 1 / generation.top_k


def prompt_data(generation: Generation) -> dict:
    """What stays as long as the prompt does."""
    n_layers, n_experts = generation.prompt_load.shape
    return {
        "text": prompt_text(generation),
        "last": generation.input_face(0).text,  # the token that the first new one is made from
        "load": generation.prompt_load.tolist(),
        "layers": n_layers,
        "experts": n_experts,
        "k": generation.top_k,
        "full": largest_share(generation),
        "fair": fair_share(n_experts),
    }


class News:
    """Messages about one generation; remembers what has been sent, so that each holds the difference."""

    def __init__(self, generation: Generation, run: int):
        self.generation, self.run = generation, run
        self.forget()

    def forget(self) -> None:
        """Make the next message hold everything: a page asks for that if it has missed one."""
        self._faces: list[list] = []
        self._beside = ""

    def message(self, state: str) -> dict:
        """All new tokens since the last message, from `first` on: a token comes again if its face has changed.

        choice is bytes and weight little-endian uint16, both (n, L, K); weights are hundredths. load is (L, E),
        spread the reading line of each layer.
        """
        generation, layers = self.generation, range(len(self.generation.prompt_load))
        faces = [face.sent() for face in generation.faces]
        first = next((i for i, pair in enumerate(zip(faces, self._faces, strict=False)) if pair[0] != pair[1]),
                     min(len(faces), len(self._faces)))  # fmt: skip
        beside = generation.beside
        kept = len(os.path.commonprefix([beside, self._beside]))
        routing = generation.routing
        experts, weights = (t[:, first:].swapaxes(0, 1) for t in (routing.experts, routing.weights))  # (n, L, K)
        self._faces, self._beside = faces, beside
        return {
            "run": self.run,
            "first": first,
            "tokens": faces[first:],
            "choice": np.where(experts == NONE, MOST_EXPERTS, experts).astype(np.uint8).tobytes(),
            "weight": np.minimum(hundredths(weights), 0xFFFF).astype("<u2").tobytes(),
            "load": routing.load.tolist(),
            "spread": [layer_parts(generation, layer) + ending(generation, state) for layer in layers],
            "beside": [kept, beside[kept:]],
            "facts": settings_text(generation, state),
        }
