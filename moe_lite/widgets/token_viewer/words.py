"""The token viewer in words: the sentences of its reading line, made from the routing that is shown."""

from collections.abc import Sequence

import numpy as np

from moe_lite.look.words import fair_share, percent
from moe_lite.widgets.kit.parts import Parts, code, experts_named, filled, listed_parts
from moe_lite.widgets.kit.text import Face, TokenText
from moe_lite.widgets.token_viewer.view import NONE, TokenRouting

ORDINALS = ("first", "second", "third", "fourth")
EMPTY = "Type a sentence, or take one from the nine domains."
UNROUTED = "The text could not be routed."

# One set of sentences for Python and script; {name} is filled with a text, a code piece or a list of experts.
SENTENCES = {
    "token": "Layer {layer} sends {token} to {experts} with {weights}.",
    "picked": "{experts} the {choice} choice of {count} of {n} tokens in layer {layer}.",
    "domain": " {most} of the {count} are {domain}.",
    "spread": "Layer {layer}: of {assignments}, {busiest} most, {high}, and {idlest} least, {low}.",
    "even": "Layer {layer}: all {n_experts} experts take the same share, {high} of {assignments}.",
    "muted": " Without {experts}, {count} of {n} tokens have another {choice} choice here.",
    # two models, one before and one after
    "changed": "Layer {layer}: {count} of {n} tokens have another {choice} expert than before.",
    "unchanged": "Layer {layer}: all {n} tokens have the same {choice} expert as before.",
    "shift": " The share that moved most is that of expert {expert}: {was} before, {now} after.",
    "then_token": " Before: {experts} with {weights}.",
    "then_picked": " Before: {count} of {n}.",
    "then_moved": " Before: {count}.",
}


def fill(sentence: str, **values: object) -> Parts:
    """A sentence of SENTENCES with its {names} replaced by values: strings, parts, or lists of parts."""
    return filled(SENTENCES[sentence], **values)


def hundredths(values: np.ndarray) -> np.ndarray:
    """Values × 100, rounded half up: the numbers that are printed with two decimals."""
    return np.floor(values.astype(np.float64) * 100 + 0.5).astype(np.int64)


def reading_of(
    routing: TokenRouting, text: TokenText, layer: int, choice: int, pinned: int, picked: Sequence[int]
) -> Parts:
    """The sentence about the pinned token, else the picked experts, else the layer."""
    if pinned >= 0:
        return token_sentence(routing, text.faces[routing.first :], layer, pinned)
    if picked:
        return picked_sentence(routing, text.sections, layer, choice, picked)
    return layer_sentence(routing, layer)


def layer_sentence(routing: TokenRouting, layer: int) -> Parts:
    """How evenly the experts of a layer are used, in one sentence. Shares count assignments."""
    load, total = routing.load[layer], int(routing.load[layer].sum())
    values = {"layer": str(layer + 1), "assignments": f"{total:,} assignments"}
    most, least = (np.flatnonzero(load == end).tolist() for end in (load.max(), load.min()))
    if most == least:
        return fill("even", high=fair_share(len(load)), n_experts=str(len(load)), **values)
    takes = [*_all_named(most), " takes" if len(most) == 1 else " take"]
    high, low = (percent(end / total) for end in (load.max(), load.min()))
    each = " each" if len(most) > 1 else ""
    return fill("spread", busiest=takes, idlest=_all_named(least), high=f"{high}{each}", low=low, **values)


def _all_named(experts: Sequence[int]) -> Parts:
    """Those of one share, by name; by their number where they are many."""
    return experts_named(experts) if len(experts) <= 3 else [f"{len(experts)} experts"]


def token_sentence(routing: TokenRouting, faces: Sequence[Face], layer: int, i: int) -> Parts:
    """Where a layer sends the token at place i of the page, best expert first."""
    token = [code(faces[i])]
    if faces[i].part_of:
        token += [" (a part of ", {"code": faces[i].part_of}, ")"]
    return fill("token", layer=str(layer + 1), token=token, **_chosen(routing, layer, i))


def then_token(before: TokenRouting, layer: int, i: int) -> Parts:
    """Where the model before sent the same token."""
    return fill("then_token", **_chosen(before, layer, i))


def _chosen(routing: TokenRouting, layer: int, i: int) -> dict[str, Parts]:
    """The experts of a token and their weights, best first, as a sentence names them."""
    return named_choice(routing.experts[layer, i], routing.weights[layer, i])


def named_choice(experts: np.ndarray, weights: np.ndarray) -> dict[str, Parts]:
    """experts (K,), weights (K,) of one token -> {"experts": "experts 5 and 1", "weights": "weights 0.85 and 0.15"}."""
    chosen = [int(e) for e in experts if e != NONE]
    printed = [f"{w / 100:.2f}" for w in hundredths(weights[: len(chosen)])]
    return {
        "experts": experts_named(chosen),
        "weights": ["weight " if len(chosen) == 1 else "weights ", *listed_parts(printed)],
    }


def picked_sentence(
    routing: TokenRouting, sections: Sequence[tuple[str, int, int]], layer: int, choice: int, picked: Sequence[int]
) -> Parts:
    """How many tokens the picked experts take, and from which section most of them are. Sections as in TokenText."""
    taken = np.isin(routing.experts[layer, :, choice], picked)  # (N,)
    count = f"{int(taken.sum()):,}"
    subject = ["Expert " if len(picked) == 1 else "Experts ", *experts_named(picked)[1:]]
    parts = fill("picked", experts=[*subject, " is" if len(picked) == 1 else " are"], choice=ORDINALS[choice],
                 count=count, n=f"{len(taken):,}", layer=str(layer + 1))  # fmt: skip
    first = routing.first
    per_section = [(int(taken[max(0, a - first) : max(0, b - first)].sum()), name) for name, a, b in sections]
    most, name = max(per_section, key=lambda pair: pair[0])  # of equals the first
    return parts + (fill("domain", most=f"{most:,}", count=count, domain=name) if name and most else [])


def then_picked(before: TokenRouting, layer: int, choice: int, picked: Sequence[int]) -> Parts:
    """How many tokens the picked experts took in the model before."""
    taken = np.isin(before.experts[layer, :, choice], picked)  # (N,)
    return fill("then_picked", count=f"{int(taken.sum()):,}", n=f"{len(taken):,}")


def muted_sentence(muted: Sequence[int], moved: np.ndarray, choice: int) -> Parts:
    """moved (N,) bool: which tokens have another expert because of the muting."""
    return fill(
        "muted",
        experts=experts_named(muted),
        count=f"{int(moved.sum()):,}",
        n=f"{len(moved):,}",
        choice=ORDINALS[choice],
    )
