"""The router stepper in words. Sentences are written from two steps, before and now, and claim only what differs."""

import math

from moe_lite.look.words import number
from moe_lite.widgets.kit.parts import Parts, listed_parts
from moe_lite.widgets.router_stepper.view import RULES, Step

EMPTY = "No token: give RouterStepper a sentence."
SAME = 1e-6  # weights closer than this differ by rounding


def ordinal(n: int) -> str:
    """1 -> "1st" """
    ending = "th" if 10 <= n % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{ending}"


def temperature_text(temperature: float) -> str:
    """0.25 -> "0.25", 1 -> "1.0" """
    text = f"{temperature:g}"
    return text if "." in text else f"{text}.0"


def parting_digits(a: float, b: float, most: int = 6) -> int:
    """The fewest decimals, from 2 to `most`, at which a and b print differently; 2 if they never do."""
    return next((d for d in range(2, most + 1) if number(a, d) != number(b, d)), 2)


def reading_parts(now: Step, before: Step | None) -> Parts:
    """The reading line: what the last move changed, or, without one, what is shown. `before` is the step before it."""
    if now.stopped:
        return _stopped(now)
    moved = [] if before is None or before.stopped or before.token != now.token else _moves(now, before)
    if not moved:
        return [*_state(now), *_sum(now), *_tie(now)]
    parts = [*listed_clauses(moved), ": ", *_choice(now, before), ", and ", *_weights(now, before), "."]
    first = parts[0]
    parts[0] = first[:1].upper() + first[1:]
    only_t = len(moved) == 1 and now.temperature != before.temperature
    if only_t and now.chosen == before.chosen and _differ(now, before):
        parts.append(" The weights changed, the choice did not.")
    return [*parts, *_sum(now), *_tie(now)]


def listed_clauses(clauses: list[Parts]) -> Parts:
    """[[a], [b, c]] -> a and b c"""
    marks = listed_parts([str(i) for i in range(len(clauses))])
    return [part for mark in marks for part in (clauses[int(mark)] if mark.isdigit() else [mark])]


def notes(now: Step, clamped: str = "", function: str = "") -> str:
    """What holds in this state and is easily missed. `function`: the name of the learner's function, or ""."""
    parts = [clamped]
    if function and not now.stopped and not now.chooser:
        parts.append(f"{function} takes scores and renormalises: in this setting the package's rule does the work.")
    if now.flat and now.k == 1:
        parts.append(
            f"The weight is {number(now.weights[now.chosen[0]])} whatever the logits are: "
            "the task loss sends no gradient to the router."
        )
    if now.k == now.n_experts and not now.stopped:
        same = all(abs(w - s) < SAME for w, s in zip(now.weights, now.scores, strict=True))
        parts.append("Nothing is crossed out: every expert works on this token.")
        parts.append("The weights are the scores: a soft mixture of all experts." if same else "")
    return " ".join(filter(None, parts))


def setting_text(step: Step) -> str:
    """What the controls would show, for the picture that has none."""
    renormalised = "renormalised" if step.renorm else "not renormalised"
    temperature = temperature_text(step.temperature)
    return f"{step.n_experts} experts · top-{step.k} · T {temperature} · {RULES[step.rule].label} · {renormalised}"


def _badges(experts: tuple[int, ...] | list[int], n_experts: int) -> Parts:
    """Experts as badges with spaces between; one that is no longer there has no colour."""
    parts: Parts = []
    for e in experts:
        parts += [*([" "] if parts else []), {"expert": e} if e < n_experts else str(e)]
    return parts


def _experts(experts: tuple[int, ...]) -> Parts:
    return ["expert " if len(experts) == 1 else "experts ", *listed_parts([{"expert": e} for e in experts])]


def _who(step: Step) -> Parts:
    if step.k == step.n_experts:
        return [f"all {step.k} experts"]
    return _badges(step.chosen, step.n_experts)


def _state(now: Step) -> Parts:
    weights = [number(now.weights[e]) for e in now.chosen]
    to = [f"all {now.k} experts"] if now.k == now.n_experts else _experts(now.chosen)
    values = ["weight " if len(weights) == 1 else "weights ", *listed_parts(weights)]
    if len(weights) > 4:
        values = [f"weights from {weights[0]} down to {weights[-1]}"]
    return ["The router sends ", {"code": now.text}, " to ", *to, " with ", *values, "."]


def _moves(now: Step, before: Step) -> list[Parts]:
    """One clause for each setting that differs."""
    moves: list[Parts] = []
    if now.n_experts != before.n_experts:
        moves.append([f"E from {before.n_experts} to {now.n_experts}"])
    if now.k != before.k:
        moves.append([f"top-k from {before.k} to {now.k}"])
    if now.temperature != before.temperature:
        moves.append([f"T from {temperature_text(before.temperature)} to {temperature_text(now.temperature)}"])
    if now.rule != before.rule:
        moves.append([f"“{RULES[now.rule].label}” instead of “{RULES[before.rule].label}”"])
    if now.renorm != before.renorm:
        moves.append(["renormalised" if now.renorm else "no longer renormalised"])
    edits = [e for e, (a, b) in enumerate(zip(before.logits, now.logits, strict=False)) if a != b]
    for e in edits[:3]:
        a, b = before.logits[e], now.logits[e]
        digits = parting_digits(a, b)
        moves.append(["logit of ", {"expert": e}, f" from {number(a, digits)} to {number(b, digits)}"])
    if len(edits) > 3:
        moves.append([f"{len(edits) - 3} more logits"])
    return moves


def _choice(now: Step, before: Step) -> Parts:
    joined = [e for e in now.chosen if e not in before.chosen]
    left = [e for e in before.chosen if e not in now.chosen]
    if not joined and not left:
        order = [] if now.chosen == before.chosen else [", in another order"]
        if now.chosen[0] != before.chosen[0]:
            order = [", now with ", {"expert": now.chosen[0]}, " first"]
        return ["the choice stays ", *_who(now), *order]
    verbs = [(left, "leaves", "leave"), (joined, "joins", "join")]
    clauses = [
        [*(_badges(experts, now.n_experts) if len(experts) < 5 else [f"{len(experts)} experts"]),
         f" {one if len(experts) == 1 else many}"]
        for experts, one, many in verbs
        if experts
    ]  # fmt: skip
    return [*listed_clauses(clauses), ", the choice is ", *_who(now)]


def _differ(now: Step, before: Step) -> bool:
    pairs = zip(now.weights, before.weights, strict=False)
    return set(now.chosen) != set(before.chosen) or any(abs(a - b) >= SAME for a, b in pairs)


def _weights(now: Step, before: Step) -> Parts:
    if not _differ(now, before):
        return ["every weight stays" if now.k > 1 else f"the weight stays {number(now.weights[now.chosen[0]])}"]
    a, b = before.weights[before.chosen[0]], now.weights[now.chosen[0]]
    if abs(a - b) < SAME:
        return [f"the first weight stays {number(b)}"]
    digits = parting_digits(a, b)
    return [f"the first weight {'grows' if b > a else 'shrinks'} from {number(a, digits)} to {number(b, digits)}"]


def _sum(now: Step) -> Parts:
    total = number(sum(now.weights))
    return [] if total == "1.00" else [f" The weights sum to {total}."]


def _tie(now: Step) -> Parts:
    passed, out = now.tied
    if not out:
        return []
    equal = listed_parts([{"expert": e} for e in sorted(passed + out)])
    what = "logit" if now.rule == "topk" else "score"
    if max(passed) < min(out):
        return [" ", *equal, f" have the same {what}: the lower number passes, every time."]
    return [" ", *equal, f" have the same {what}: the lower number should pass, here ", *_experts(passed), " did."]


def _stopped(now: Step) -> Parts:
    broken = tuple(e for e, z in enumerate(now.logits) if not math.isfinite(z))
    one = len(broken) == 1
    return [
        "The ", "logit of " if one else "logits of ", *_experts(broken), " is" if one else " are",
        " not a number" if one else " not numbers",
        ", so the scores are not either: choosing stops here.",
    ]  # fmt: skip
