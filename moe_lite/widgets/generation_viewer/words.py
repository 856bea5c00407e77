"""The generation viewer in words: its reading line, made from the routing that is shown."""

import numpy as np

from moe_lite.look.words import fair_share, percent
from moe_lite.widgets.generation_viewer.view import Generation
from moe_lite.widgets.kit.parts import Parts, code, filled
from moe_lite.widgets.token_viewer import named_choice

EMPTY = "Type the beginning of a text, then press Generate."
HOW = (
    "The number on a new token is the expert that made it: the one chosen at the position before, where the token was "
    "predicted. You typed the prompt, so it has no numbers; its shares are the ticks."
)
SENTENCES = {
    "made": "{token} was made while {input} passed through {experts} of layer {layer}, with {weights}.",
    "spread": "Layer {layer}: of the {assignments} that made {tokens}, {busiest} took most, {high} ({high_was} in the "
    "prompt), and {idlest} least, {low} ({low_was} in the prompt).",
    "even": "Layer {layer}: all {n_experts} experts took the same share, {high}, of the {assignments} that made "
    "{tokens}.",
    "ready": "The prompt has {tokens}. In layer {layer} most of its assignments go to {busiest}, {high}; a fair share "
    "is {fair}.",
}
ENDS = {
    "stopped": " Stopped after {done} of {wanted}.",
    "failed": " It ended after {done} of {wanted}.",
}


def counted(n: int, what: str) -> str:
    """3, "token" -> "3 tokens" """
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def layer_parts(generation: Generation, layer: int) -> Parts:
    """How the experts of a layer have shared the making so far; before the first token, how they share the prompt."""
    prompt = generation.prompt_load[layer]  # (E,)
    before = prompt / max(1, prompt.sum())
    if not generation.made:
        values = {"tokens": counted(len(generation.prompt), "token"), "fair": fair_share(len(prompt))}
        return _fill(
            "ready", layer=str(layer + 1), busiest=_expert(before.argmax()), high=percent(before.max()), **values
        )
    load = generation.routing.load[layer]  # (E,)
    total = int(load.sum())
    values = {"layer": str(layer + 1), "assignments": counted(total, "assignment"),
              "tokens": counted(len(generation.made), "token")}  # fmt: skip
    most, least = int(load.argmax()), int(load.argmin())
    if load[most] == load[least]:
        return _fill("even", n_experts=str(len(load)), high=fair_share(len(load)), **values)
    (high, high_was), (low, low_was) = ((percent(load[e] / total), percent(before[e])) for e in (most, least))
    return _fill("spread", busiest=_expert(most), idlest=_expert(least), high=high, high_was=high_was, low=low,
                 low_was=low_was, **values)  # fmt: skip


def token_parts(generation: Generation, layer: int, i: int) -> Parts:
    """Which experts made new token i, and from what."""
    made = generation.made[i]
    names = {"token": code(generation.faces[i]), "input": code(generation.input_face(i)), "layer": str(layer + 1)}
    return _fill("made", **names, **named_choice(made.experts[layer], made.weights[layer]))


def ending(generation: Generation, state: str) -> Parts:
    """What is said where a generation has ended early."""
    if state not in ENDS:
        return []
    return [ENDS[state].format(done=f"{len(generation.made):,}", wanted=counted(generation.n_tokens, "token"))]


def settings_text(generation: Generation, state: str) -> str:
    """ "T 0.8 · seed 0 · 23 of 60 tokens": what the text that is shown was made with."""
    degrees = f"T {generation.temperature:g} · seed {generation.seed} · "
    return f"{degrees}{len(generation.made):,} of {counted(generation.n_tokens, 'token')}" if state != "ready" else ""


def _expert(e: int | np.integer) -> Parts:
    return ["expert ", {"expert": int(e)}]


def _fill(sentence: str, **values: object) -> Parts:
    return filled(SENTENCES[sentence], **values)
