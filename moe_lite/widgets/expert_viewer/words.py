"""The expert viewer in words: its sentences, written from the numbers that are shown."""

from collections.abc import Callable, Mapping, Sequence

from moe_lite.look.words import fair_share, listed, number, percent
from moe_lite.widgets.expert_viewer.view import Card, Changes, Control, LayerTable, Shown
from moe_lite.widgets.kit.parts import Parts, filled
from moe_lite.widgets.token_viewer import ORDINALS

EMPTY = "Type a sentence: its tokens are shown with their experts."
HOW = "Lift: an expert's share of a domain's assignments over its share of all assignments. At 1.0 the two are equal."
UNREAD = "The model could not be read."
STILL = "changes on no domain (0.00 nats per token)"
NO_CONTROL = "none"
MOST_PERCENT = 999  # of what a control gets: beyond it the number would only be long
SPACES = "· is a space, ↵ a line break"

SENTENCES = {
    "idle": "In layer {layer}, expert {expert} takes none of the {n} tokens that were read.",
    "takes": "In layer {layer}, expert {expert} takes {share} of all assignments. Its lift is highest for {most}, "
    "{high}, and lowest for {least}, {low}.",
    "measuring": "The loss without expert {expert} in layer {layer} is being measured: {done} of {n} domains.",
    "without": "Without expert {expert} in layer {layer}, {changes}.",
    "control": " On {domain}, its control is expert {expert}, which gets {share} as many assignments there{far}; "
    "without that one, the loss {moves}.",
    "uncontrolled": " On {domain}, it gets no assignments, so it has no control there.",
    "idle control": " It gets no assignments, so there is nothing to compare it with.",
    "chosen": "Expert {expert} is the {choice} choice of {count} of {n} tokens.",
    "moved": "Without expert {expert}, {count} of {n} tokens have another {choice} choice: those with a bar.",
}


def fill(sentence: str, **values: object) -> Parts:
    return filled(SENTENCES[sentence], **values)


def lift_text(value: float) -> str:
    """A lift as the heatmap prints it; "–" for an expert that got nothing."""
    return "–" if value != value else number(value, 1)


def signed(nats: float) -> str:
    """+0.21, −0.03; 0.00 has no sign."""
    text = number(nats)
    return text if text == "0.00" or nats < 0 else f"+{text}"


def as_many(control: Control) -> str:
    """How many assignments of a domain a control gets, in percent of those of the muted expert."""
    return f">{MOST_PERCENT} %" if 100 * control.share > MOST_PERCENT else percent(control.share)


# ---- reading line ----------------------------------------------------------------------------------------------------


def about_expert(layer: LayerTable, card: Card, at: int) -> Parts:
    """What the expert takes; `at` counts layers from 1."""
    expert = {"expert": card.expert}
    if not card.share:
        return fill("idle", layer=str(at), expert=expert, n=f"{len(layer.reading.token_ids):,}")
    lifts = _lifts(layer, card.expert)
    (most, high), (least, low) = (_ends(lifts, end) for end in (max, min))
    return fill("takes", layer=str(at), expert=expert, share=percent(card.share), most=_named(most),
                least=_named(least), high=lift_text(high), low=lift_text(low))  # fmt: skip


def about_changes(changes: Changes, layer: LayerTable, at: int) -> Parts:
    """What the model loses without the expert, and without its controls; `at` counts layers from 1."""
    expert = {"expert": changes.expert}
    if not changes.complete:
        return fill("measuring", layer=str(at), expert=expert, done=str(len(changes.by_domain)),
                    n=str(len(changes.controls)))  # fmt: skip
    mine = {d: round(nats, 2) for d, (nats, _) in changes.by_domain.items()}
    lifts = _lifts(layer, changes.expert)
    owned = {d: mine[d] for d in _ends(lifts, max)[0] if d in mine}  # more than one where their lifts print the same
    first, named = first_changes(mine, _ends(owned, max)[0][0])
    return [*fill("without", layer=str(at), expert=expert, changes=first), *about_controls(changes, named)]


def first_changes(nats: Mapping[str, float], own: str) -> tuple[str, list[str]]:
    """Where the loss rises most, and what it does on `own`, where the expert's lift is highest; the domains named.

    nats: domain -> change, rounded to two decimals.
    """
    (most, high), (least, low) = _ends(nats, max), _ends(nats, min)
    if high == low:
        return f"the loss {_moves(high)} on every domain" if high else f"the loss {STILL}", [own]
    lifted = f"on {own}, where the expert's lift is highest"
    if high <= 0:
        return f"the loss rises on no domain; {lifted}, it {_moves(nats[own])}", [own]
    if most == [own]:
        end = f"least on {_named(least)}, by {number(low)}" if low > 0 else f"on {_named(least)} it {_moves(low, '')}"
        return f"the loss rises most {lifted}, by {number(high)} nats per token, and {end}", [own]
    named = [*most[:1], own] if len(most) == 1 else [own]
    there = _moves(nats[own], "")
    return f"the loss rises most on {_named(most)}, by {number(high)} nats per token; {lifted}, it {there}", named


def about_controls(changes: Changes, named: Sequence[str]) -> Parts:
    """Of each domain named who is the control, how near it comes, and what the loss does without it."""
    if not any(changes.controls.values()):
        return fill("idle control")
    parts: Parts = []
    for domain in named:
        control, nats = changes.controls[domain], changes.by_domain[domain][1]
        if control is None:
            parts += fill("uncontrolled", domain=domain)
            continue
        far = "" if control.near else f", too {'few' if control.share < 1 else 'many'} to compare"
        parts += fill("control", domain=domain, expert={"expert": control.expert}, share=as_many(control), far=far,
                      moves=_moves(round(nats, 2), ""))  # fmt: skip
    return parts


def _moves(nats: float, unit: str = " nats per token") -> str:
    if nats == 0:
        return f"does not change (0.00{unit})"
    return f"{'rises' if nats > 0 else 'falls'} by {number(abs(nats))}{unit}"


def _ends(values: Mapping[str, float], end: Callable) -> tuple[list[str], float]:
    """Which domains have the largest or smallest value, and that value."""
    value = end(values.values())
    return [d for d, v in values.items() if v == value], value


def _lifts(layer: LayerTable, expert: int) -> dict[str, float]:
    """domain -> lift as it is printed; 0 for an expert that got nothing."""
    lifts = layer.lift[expert].nan_to_num(0.0).tolist()  # (D,)
    return {d: round(x, 1) for d, x in zip(layer.domains, lifts, strict=True)}


def _named(domains: Sequence[str]) -> str:
    return listed(domains) if len(domains) <= 3 else f"{len(domains)} domains"


# ---- beside the figures ----------------------------------------------------------------------------------------------


def about_text(shown: Shown, choice: int) -> Parts:
    """How many tokens of the text have the expert as this choice, or have another one without it."""
    if shown.routing is None:
        return [EMPTY]
    sentence, counted = ("moved", shown.changed(choice)) if shown.muted else ("chosen", ~shown.dimmed(choice))
    parts = fill(sentence, expert={"expert": shown.expert}, choice=ORDINALS[choice], count=f"{int(counted.sum()):,}",
                 n=f"{len(counted):,}")  # fmt: skip
    total = len(shown.text.ids)
    return [*parts, f" The first {len(counted):,} of {total:,} tokens are shown." if total > len(counted) else ""]


def facts_of(card: Card, n_experts: int) -> list[tuple[str, str]]:
    """Key figures of an expert: [value, what it is]."""
    n = f"{card.n_half:,} token{'s' * (card.n_half != 1)}"
    half = f"make{'s' * (card.n_half == 1)} half of its assignments; it gets {card.n_tokens:,} different ones"
    return [
        (percent(card.share), f"of all assignments; {fair_share(n_experts)} would be a fair share"),
        (n, half),
    ]


def measured_note(changes: Changes, windows: int, length: int, n_experts: int) -> str:
    """What the losses are, and who the controls are."""
    many = f"{windows} windows" if windows > 1 else "one window"
    return (
        f"Loss: how many nats per token it rises against the whole model, on {many} of {length} tokens per domain. "
        f"{' '.join(_control_notes(changes, n_experts))} The heatmap and the assignments are those of the whole model."
    )


def _control_notes(changes: Changes, n_experts: int) -> list[str]:
    """Sentences: who the controls are, and what is said of those that are far, or missing."""
    found, expert = [control for control in changes.controls.values() if control], f"expert {changes.expert}"
    if not found:
        return [f"There is no control, since {expert} gets no assignments."]
    if n_experts > 2:
        notes = [
            "Each domain has its own control: the other expert of this layer whose number of this domain's assignments "
            f"is nearest to that of {expert}. The percentage is the control's number divided by that of {expert}."
        ]
    else:
        notes = [
            "The control is the only other expert of this layer. The percentage is its number of the domain's "
            f"assignments divided by that of {expert}."
        ]
    if not all(control.near for control in found):
        notes.append(
            "A control whose bar is an outline gets less than half or more than twice as many, so the two losses can "
            "hardly be compared."
        )
    if len(found) < len(changes.controls):
        notes.append(f"A domain of which {expert} gets no assignments has no control.")
    return notes
