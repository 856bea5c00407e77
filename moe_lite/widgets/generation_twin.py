"""The generation viewer as a picture: the text so far with its experts, and their shares, without script or kernel."""

import html

from moe_lite.widgets.generation_data import Generation, plain_text
from moe_lite.widgets.generation_words import HOW, settings_text
from moe_lite.widgets.token_twin import rail_html, token_html
from moe_lite.widgets.token_words import ORDINALS


def generation_html(generation: Generation, layer: int, choice: int, state: str, names: tuple[str, str]) -> str:
    """The figure for one layer and choice, counted from 0. names are those of the model and of the dense one."""
    routing, faces, full = generation.routing, generation.faces, largest_share(generation)
    tokens = "<wbr>".join(token_html(routing, face, layer, choice, i) for i, face in enumerate(faces))
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
