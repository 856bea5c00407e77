"""Exercise 12.2, lru: which experts a small memory loads, step by step, if the least recently used one makes room."""

import re
from collections.abc import Callable

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.causes import Line
from moe_lite.checks.engine.exercise import Attempt, Case, Drawn, Exercise, Mistake, Note, Output, Trial
from moe_lite.checks.engine.mistakes import sign, wrong
from moe_lite.checks.engine.rows import lists, padded
from moe_lite.checks.lesson12.memory_rules import (
    Requests,
    Step,
    as_listed,
    ascending,
    experts,
    first_eviction,
    hits,
    hits_first,
    loads_first,
    many,
    memory,
    one_by_one,
    play,
    what_is_missing,
)
from moe_lite.lessons.expert_cache import lru

MOST = 12  # numbers of a list that a sentence quotes

# ---- inputs ----------------------------------------------------------------------------------------------------------


def cases() -> tuple[Case, ...]:
    plain = (random(1, 8, 7, 4, 2), random(2, 12, 9, 5, 3), random(3, 10, 6, 3, 2), random(4, 15, 12, 6, 4))
    single = (
        listed([[3], [1], [4], [3], [0], [1], [3], [4]], 3), listed([[2], [0], [2], [5], [2], [0], [5], [0]], 2),
        listed([[1], [1], [6], [2], [1], [6], [1], [2], [6]], 2), random(5, 16, 6, 4, 1),
    )  # fmt: skip
    ties = (
        listed([[4, 1], [3, 0], [5], [1], [4], [0, 3]], 4), listed([[5, 2, 0], [1], [2], [0], [5]], 3),
        listed([[7, 3], [6, 2], [3, 7], [1], [6], [2]], 4), random(6, 14, 9, 6, 3),
    )  # fmt: skip
    filling = (
        listed([[0, 1], [2, 0], [1, 2], [3, 1], [0, 3]], 2), listed([[4, 2, 6], [6, 1, 2], [1, 5, 4], [4, 6, 5]], 3),
        listed([[2, 1], [3, 4], [0, 1, 2], [4, 0, 3, 1], [2, 3]], 4), random(7, 12, 7, 3, 3),
    )  # fmt: skip
    roomy = (
        listed([[3, 0], [0, 3], [1], [3, 1, 0], [2], [0]], 6), listed([[5, 2], [2], [5, 2], [1, 5], [2, 1]], 3),
        listed([[4, 1], [1, 4], [4], [1]], 2),
    )  # fmt: skip
    long = (random(8, 40, 8, 4, 2), random(9, 60, 16, 7, 4))
    begin, _ = inputs.usual(plain[:2], plain[1:2], name="a list of lists")
    return (
        *begin,
        Case("one expert per step", single, ("loaded",)),
        Case("several experts per step", plain, ("loaded",)),
        Case("last used in the same step", ties, ("loaded",)),
        Case("steps that fill the memory", filling, ("loaded",)),
        Case("room for all", roomy, ("loaded",)),
        Case("a longer text", long, ("loaded",)),
    )


def listed(requests: Requests, slots: int, note: str = "") -> Trial:
    told = f"{many(len(requests), 'step')}, {many(slots, 'slot')}"
    return Trial((requests, slots), f"{note}, {told}" if note else told)


def random(seed: int, n_steps: int, n_experts: int, slots: int, most: int) -> Trial:
    """Up to `most` experts per step."""
    return listed(drawn(seed, n_steps, n_experts, slots, most)[0], slots, f"seed {seed}")


def drawn(seed: int, T: int, E: int, S: int, K: int) -> tuple:
    """Steps that need 1 to K of a few more experts than fit; the first one needs K. In no order."""
    g = inputs.generator(seed)
    pool = torch.randperm(E, generator=g)[: S + K]
    sizes = [K, *torch.randint(1, K + 1, (T - 1,), generator=g).tolist()]
    return [pool[torch.randperm(len(pool), generator=g)[:size]].tolist() for size in sizes], S


def extremes(seed: int) -> tuple[Trial, ...]:
    requests, slots = drawn(seed, 9, 8, 4, 3)
    return (
        listed([[2], [2], [0], [2], [0], [0], [1]], 1, "one at a time"),
        listed([[step % 4] for step in range(13)], 3, "round and round"),
        listed([[3, 1, 0]] * 5, 3, "the same experts in every step"),
        listed([[6, 0, 2]], 3, "nothing but a start"),
        listed(requests, 1_000_000, f"more room than there are experts, seed {seed}"),
        listed([sorted(needed) for needed in requests], slots, f"experts in ascending order, seed {seed}"),
        listed([sorted(needed, reverse=True) for needed in requests], slots, f"in descending order, seed {seed}"),
    )


DRAWN = Drawn(
    drawn, {"T": 11, "E": 9, "S": 5, "K": 3}, at_most=(("K", "S"), ("K", "E")), long="T", float32=False,
    extremes=extremes,
)  # fmt: skip


# ---- mistakes --------------------------------------------------------------------------------------------------------

Rule = Callable[[Requests, int], list[Step]]


def rule(title: str, steps_of: Rule, why: str) -> Mistake:
    """Another choice of what makes room: the sentence tells where it first differs."""

    def loads(requests: Requests, slots: int) -> Tensor:
        return padded([sorted(step.loaded) for step in steps_of(requests, slots)])

    return wrong(title, loads, lambda a: f"{lead(a)} {first_eviction(steps_of(*a.args), play(*a.args))} {why}")


def other(title: str, of_step: Callable[[Step], list[int] | int], why: str) -> Mistake:
    """Memory as it should be, and something else returned of each step."""

    def returned(requests: Requests, slots: int) -> Tensor:
        return padded([of_step(step) for step in play(requests, slots)])

    return wrong(title, returned, lambda a: f"{lead(a)} {why}")


def rows(a: Attempt) -> list:
    return lists(a.got["loaded"])


def differs(a: Attempt) -> int:
    """The first step that is not right."""
    return next(t for t, (mine, right) in enumerate(zip(rows(a), right_rows(a), strict=False)) if mine != right)


def right_rows(a: Attempt) -> list[list[int]]:
    return lists(a.expected["loaded"])


def lead(a: Attempt) -> str:
    t = differs(a)
    return f"{entry(a, t)}, for {a.trial.note}."


def entry(a: Attempt, t: int) -> str:
    """What is returned of a step, beside what should be."""
    return f"`loaded[{t}]` is {cut(rows(a)[t])}, expected {right_rows(a)[t]}"


def cut(row: list[int] | int) -> str:
    """A list of many numbers ends in `…`."""
    long = isinstance(row, list) and len(row) > MOST
    return f"[{', '.join(map(str, row[:MOST]))}, …]" if long else str(row)


def what_memory_held(a: Attempt) -> str:
    """For a list that is wrong in some way that has no name: the first step that differs."""
    t, steps = differs(a), play(*a.args)
    step, mine, right = steps[t], rows(a)[t], right_rows(a)[t]
    facts = [lead(a), f"Step {t} (counted from 0) needs {experts(sorted(step.needed))}.", memory(step)]
    for e in [e for e in mine if e not in right][:1]:
        facts.append(f"Expert {e} is there already." if e in step.held else f"The step does not need expert {e}.")
    for e in [e for e in right if e not in mine][:1]:
        left = [s for s in range(t) if e in steps[s].gone]
        facts.append(
            f"Expert {e} made room in step {left[-1]}, so it is loaded again." if left
            else f"Expert {e} was not needed so far, so it is loaded."
        )  # fmt: skip
    return " ".join(facts)


def is_table(a: Attempt) -> bool:
    """Lists, one per step."""
    return a.got["loaded"].dim() == 2 and len(a.got["loaded"]) == len(a.args[0])


def in_other_order(a: Attempt) -> bool:
    return is_table(a) and [sorted(row) for row in rows(a)] == right_rows(a)


def not_empty_at_first(a: Attempt) -> bool:
    return is_table(a) and not set(a.args[0][0]) <= set(rows(a)[0])


def twice_in_a_step(a: Attempt) -> bool:
    return is_table(a) and any(len(set(row)) < len(row) for row in rows(a))


def unasked(a: Attempt) -> bool:
    return is_table(a) and any(not set(row) <= set(needed) for row, needed in zip(rows(a), a.args[0], strict=True))


def how_many_entries(a: Attempt) -> str:
    entries = len(a.got["loaded"])
    come = f"`loaded` has {many(entries, 'number')}" if a.got["loaded"].dim() == 1 else (
        f"`loaded` has {entries:,} {'entry' if entries == 1 else 'entries'}"
    )  # fmt: skip
    return (
        f"{come}, for {a.trial.note}. Each step has a list of its own in it, which is empty where nothing is loaded: "
        f"`{right_rows(a)[:3]}` are the first ones here."
    )


def first_request(a: Attempt) -> str:
    return (
        f"{entry(a, 0)}, for {a.trial.note}. Memory is empty at the start, so the first step "
        "loads all its experts. Is something kept from the call before: a global, or a default argument?"
    )


def all_are_loaded(a: Attempt) -> str:
    t = differs(a)
    found = hits(play(*a.args)[t])
    return (
        f"{lead(a)} Yours loads all that step {t} needs. It finds {experts(found)} in memory, and what is there is not "
        "loaded again."
    )


def load_twice(a: Attempt) -> str:
    t = next(t for t, row in enumerate(rows(a)) if len(set(row)) < len(row))
    e = next(e for e in rows(a)[t] if rows(a)[t].count(e) > 1)
    return (
        f"{entry(a, t)}, for {a.trial.note}: expert {e} is loaded twice in one step. All experts of a "
        "step are in memory at its end, so each is loaded once at most, and none of them makes room."
    )


def load_unasked(a: Attempt) -> str:
    t = next(t for t, (row, needed) in enumerate(zip(rows(a), a.args[0], strict=True)) if not set(row) <= set(needed))
    e = next(e for e in rows(a)[t] if e not in a.args[0][t])
    return (
        f"{entry(a, t)}, for {a.trial.note}: step {t} needs "
        f"{experts(sorted(a.args[0][t]))}. Expert {e} is none of them, so it is not loaded."
    )


FIRST_IN = (
    "Yours goes by when an expert was loaded. What counts is when it was last used, and a use of an expert that is in "
    "memory already counts as well."
)
OFTEN = "Yours goes by how often an expert was used. What counts is when it was used last."
EQUALS = (
    "All experts of a step count as used in that step, wherever they stand in its list, and whether they were loaded "
    "or there already."
)
OWN = (
    "Note for all experts of the step that they are used now, before any other expert makes room: then none of them "
    "has to."
)

MISTAKES = (
    sign("Not in ascending order", in_other_order, lambda a: f"{lead(a)} These are the right experts in another order. "
         "A step may list its experts in any order; sort what was loaded."),
    rule("First in, first out", lambda r, s: play(r, s, lambda m, e: (m.came[e], e)), FIRST_IN),
    rule("First in, first out", lambda r, s: play(r, s, lambda m, e: (m.came_at[e], e), order=as_listed), FIRST_IN),
    rule("The most recently used one made room", lambda r, s: play(r, s, lambda m, e: (-m.used[e], e)), "Yours takes "
         "the expert whose last use is the most recent. The one whose last use is longest ago makes room."),
    rule("The most recently used one made room", lambda r, s: play(r, s, lambda m, e: (-m.used[e], -e)), "Yours takes "
         "the expert whose last use is the most recent. The one whose last use is longest ago makes room."),
    rule("The least frequently used one made room", lambda r, s: play(r, s, lambda m, e: (m.times[e], m.used[e], e)),
         OFTEN),
    rule("The least frequently used one made room", lambda r, s: play(r, s, lambda m, e: (m.times[e], e)), OFTEN),
    rule("The least frequently used one made room", lambda r, s: play(r, s, lambda m, e: (m.here[e], m.used[e], e)),
         OFTEN),
    rule("The least frequently used one made room", lambda r, s: play(r, s, lambda m, e: (m.here[e], e)), OFTEN),
    rule("The lowest number made room", lambda r, s: play(r, s, lambda m, e: (e,)), "The number only decides between "
         "experts that were last used in the same step."),
    rule("The highest number made room", lambda r, s: play(r, s, lambda m, e: (-e,)), "The number only decides between "
         "experts that were last used in the same step, and there the lowest makes room first."),
    rule("Of equals, the lowest number makes room first", lambda r, s: play(r, s, lambda m, e: (m.used[e], -e)),
         EQUALS),
    rule("Of equals, the lowest number makes room first", lambda r, s: play(r, s, lambda m, e: (m.turn[e],),
         order=as_listed), EQUALS),
    rule("Of equals, the lowest number makes room first", lambda r, s: play(r, s, lambda m, e: (m.turn[e],),
         order=hits_first), EQUALS),
    rule("Of equals, the lowest number makes room first", lambda r, s: play(r, s, lambda m, e: (m.turn[e],),
         order=loads_first), EQUALS),
    rule("Of equals, the lowest number makes room first", lambda r, s: play(r, s, lambda m, e: (m.turn[e],),
         order=lambda n, held: hits_first(sorted(n), held)), EQUALS),
    rule("An expert that the step needs made room", one_by_one, OWN),
    rule("An expert that the step needs made room", lambda r, s: one_by_one(r, s, order=ascending), OWN),
    rule("An expert that the step needs made room", lambda r, s: one_by_one(r, s, lambda m, e: (m.turn[e],)), OWN),
    rule("An expert that the step needs made room", lambda r, s: one_by_one(r, s, again=False), OWN),
    rule("An expert that the step needs made room", lambda r, s: one_by_one(r, s, order=ascending, again=False), OWN),
    rule("An expert that the step needs made room", lambda r, s: one_by_one(r, s, lambda m, e: (m.turn[e],),
         again=False), OWN),
    rule("An expert that the step needs made room", lambda r, s: one_by_one(r, s, order=ascending, again=False,
         at_once=False), OWN),
    rule("An expert that the step needs made room", lambda r, s: one_by_one(r, s, again=False, at_once=False), OWN),
    rule("No expert makes room", lambda r, s: play(r, float("inf")), "An expert that made room is no longer in memory, "
         "even if its last use is still noted: it is loaded again when a step needs it."),
    rule("One slot too many", lambda r, s: play(r, s + 1), "Memory holds as many experts as `slots` says, also while a "
         "step is being served."),
    rule("One slot too few", lambda r, s: play(r, s - 1), "Memory holds as many experts as `slots` says; only where "
         "one more is to be loaded, one makes room."),
    rule("Memory stays from step to step", lambda r, s: play(r, s, how_many=lambda m, *rest: len(m.held)), "What a "
         "step finds in memory is not loaded again, and what it does not need stays as long as there is room."),
    wrong("Memory stays from step to step", lambda r, s: padded([sorted(needed) for needed in r]), all_are_loaded),
    rule("Only as many make room as have to", lambda r, s: play(r, s, how_many=lambda m, needed, missing, slots:
         len(m.held) * (what_is_missing(m, needed, missing, slots) > 0)), "You cleared the memory. One expert makes "
         "room for each one that does not fit, and the others stay."),
    rule("Room for what is there already", lambda r, s: play(r, s, how_many=lambda m, needed, missing, slots:
         max(0, len(m.held) + len(needed) - slots)), "You made room for every expert of the step. Those that are in "
         "memory already need no more room."),
    rule("One that is gone makes room once more", lambda r, s: play(r, s, how_many=lambda m, needed, missing, slots:
         min(1, what_is_missing(m, needed, missing, slots)), among=lambda m: m.used), "Yours looks for the longest "
         "unused one among all experts so far. Look only among those that are in memory: delete the last use of one "
         "that makes room."),
    other("What was there, not what was loaded", hits, "These are the experts that the step found in memory. Return "
          "the others, which had to be loaded."),
    other("What is in memory, not what was loaded", lambda step: step.after, "This is what is in memory after the "
          "step. Return only what the step loaded."),
    other("What is in memory, not what was loaded", lambda step: sorted(step.held), "This is what was in memory before "
          "the step. Return what the step loaded."),
    other("What made room, not what was loaded", lambda step: sorted(step.gone), "These are the experts that made "
          "room. Return those that were loaded."),
    wrong("How many, not which", lambda r, s: torch.tensor([len(step.loaded) for step in play(r, s)]), lambda a:
          f"{entry(a, 0)}, for {a.trial.note}. Yours counts the experts that "
          "were loaded. Return the experts themselves, a list per step."),
    sign("One list per step", lambda a: not is_table(a), how_many_entries),
    sign("Memory is empty at the start", not_empty_at_first, first_request),
    sign("An expert is loaded twice in one step", twice_in_a_step, load_twice),
    sign("Loaded, though the step does not need it", unasked, load_unasked),
    sign("A step loads other experts", is_table, what_memory_held),
)  # fmt: skip


def drawn_table(a: Attempt, outputs: dict[str, Tensor]) -> Tensor | None:
    """(T, E): 1 where a step loads an expert."""
    if outputs["loaded"].dim() != 2 or len(outputs["loaded"]) != len(a.args[0]):
        return None
    n_experts = 1 + max(e for needed in a.args[0] for e in needed)
    table = torch.zeros(len(a.args[0]), n_experts, dtype=torch.int64)
    for t, row in enumerate(lists(outputs["loaded"])):
        for e in row:
            if not 0 <= e < n_experts:
                return None
            table[t, e] += 1
    return table


def changed_in_a_loop(match: re.Match, line: Line, exercise: Exercise) -> Note:
    return Note(
        "Changed while a loop goes through it",
        "A set or dict must not get longer or shorter while a `for` goes through it. Let the loop go through a copy, "
        "`list(memory)`, or note first what has to go.",
    )


def nobody_left(match: re.Match, line: Line, exercise: Exercise) -> Note:
    return Note(
        "No expert is left that could make room",
        "`min` was given nothing to choose from. An expert only makes room where memory is full and the step needs one "
        "that is not there; then there is always another one that the step does not need.",
    )


def unknown(match: re.Match, line: Line, exercise: Exercise) -> Note:
    return Note(
        "An expert is looked up that is not there",
        f"A dict or set was asked for expert {match[1]}, and does not have it. Was it entered when it was loaded, and "
        "has it made room before?",
    )


LRU = Exercise(
    id="12.2", name="lru", parameters=("requests", "slots"), sizes="TS",
    outputs=(Output("loaded", rows=True, expert_values=True),), reference=lru, cases=cases, mistakes=MISTAKES,
    drawn=DRAWN, picture=("loaded (T, E)", drawn_table),
    causes=((RuntimeError, r"changed size during iteration", changed_in_a_loop),
            (ValueError, r"m(?:in|ax)\(\) (?:arg is an empty sequence|iterable argument is empty)", nobody_left),
            (KeyError, r"^(\d+)$", unknown)),
    hints=(
        "For each expert in memory, note the step in which it was last used. Two things have to be known before "
        "anything makes room: which experts of the step are missing, and which ones in memory the step needs itself.",
        "A dict from expert to the step of its last use can be the whole memory. In each step: write down which "
        "experts are missing. Set the last use of all experts of the step to now, so that they are in the dict. "
        "While it has more than `slots` entries, delete the one with the smallest pair (last use, number). Why can "
        "that never be an expert of this step?",
    ),
    minutes=15, lines="about 10 lines",
    done="Your function shows, for every step of a text, which experts a small memory has to load.",
)  # fmt: skip
