"""Wrong memories that exercise 12.2 knows by name: another expert makes room, or something else is returned."""

from collections.abc import Callable, Collection

import torch
from torch import Tensor

from moe_lite.checks.engine.exercise import Attempt, Mistake
from moe_lite.checks.engine.mistakes import wrong
from moe_lite.checks.engine.rows import lists, padded
from moe_lite.checks.lesson12.memory_rules import (
    Memory,
    Requests,
    Stamps,
    Step,
    as_listed,
    ascending,
    experts,
    first_eviction,
    hits,
    hits_first,
    loads_first,
    memory,
    next_use,
    one_by_one,
    play,
    queue,
    room_for_missing,
    what_is_missing,
)

MOST = 12  # numbers of a list that a sentence quotes

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


def all_are_loaded(a: Attempt) -> str:
    t = differs(a)
    found = hits(play(*a.args)[t])
    return (
        f"{lead(a)} Yours loads all that step {t} needs. It finds {experts(found)} in memory, and what is there is not "
        "loaded again."
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
UNDECIDED = (
    "Nothing in yours decides between experts that were last used in the same step: `min` then takes whichever comes "
    "first. Give it the pair (last use, number)."
)
TOO_FEW = "Memory holds as many experts as `slots` says, and so many may stay after a step."
OWN = (
    "Note for all experts of the step that they are used now, before any other expert makes room: then none of them "
    "has to."
)


def hits_then_ascending(needed: list[int], held: Collection[int]) -> list[int]:
    return [e for e in needed if e in held] + sorted(e for e in needed if e not in held)


def all_as_old(m: Memory, needed: list[int], missing: list[int], slots: float) -> int:
    """With the last one that has to go, all that were last used in the same step go."""
    n = what_is_missing(m, needed, missing, slots)
    ages = sorted(m.used[e] for e in m.held if e not in needed)
    return sum(age <= ages[n - 1] for age in ages) if n else 0


def noted(stamps: Stamps) -> Rule:
    """Last uses are noted in another way."""
    return lambda r, s: play(r, s, lambda m, e: (m.stamp[e], e), stamps=stamps)


WRONG_MEMORIES = (
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
    rule("Of equals, the lowest number makes room first", lambda r, s: play(r, s, lambda m, e: (m.turn[e],),
         order=hits_then_ascending), EQUALS),
    rule("Of equals, the lowest number makes room first", lambda r, s: play(r, s, lambda m, e: (m.used[e],
         m.came_at[e]), order=as_listed), UNDECIDED),
    rule("Of equals, the lowest number makes room first", lambda r, s: play(r, s, lambda m, e: (m.used[e],
         m.came_at[e])), UNDECIDED),
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
    rule("An expert that the step needs made room", lambda r, s: one_by_one(r, s, hits_late=True), OWN),
    rule("An expert that the step needs made room", lambda r, s: one_by_one(r, s, order=ascending,
         hits_late=True), OWN),
    rule("An expert that the step needs made room", room_for_missing, OWN),
    rule("An expert that the step needs made room", lambda r, s: queue(r, s, lambda rest, needed, loaded, s:
         (rest + loaded)[-s:]), "Yours takes what a step finds in memory out of the list, and does not put it back. "
         "It stays in memory, as what was used last."),
    rule("No expert makes room", lambda r, s: play(r, float("inf")), "An expert that made room is no longer in memory, "
         "even if its last use is still noted: it is loaded again when a step needs it."),
    rule("One slot too many", lambda r, s: play(r, s + 1), "Memory holds as many experts as `slots` says, also while a "
         "step is being served."),
    rule("One slot too few", lambda r, s: play(r, s - 1), "Memory holds as many experts as `slots` says; only where "
         "one more is to be loaded, one makes room."),
    rule("One slot too few", lambda r, s: play(r, max(s - 1, *map(len, r))), TOO_FEW),
    rule("One slot too few", lambda r, s: queue(r, s, lambda rest, needed, loaded, s:
         (rest + sorted(needed))[-(s - 1):] if s > 1 else []), TOO_FEW),
    rule("Memory gets too full", lambda r, s: play(r, s, how_many=lambda m, needed, missing, slots:
         max(0, min(len(missing), len(m.held) - slots + 1))), "Yours asks whether memory is full before what the step "
         "loads is in it. Count its loads as well: what is in memory and what is loaded must fit together."),
    rule("Memory gets too full", lambda r, s: play(r, s, how_many=lambda m, needed, missing, slots:
         min(1, what_is_missing(m, needed, missing, slots))), "Yours lets one expert go in a step, also where the step "
         "loads several. Repeat it until everything fits: `while`, not `if`."),
    rule("Full memory stays as it is", lambda r, s: queue(r, s, lambda rest, needed, loaded, s:
         (held := rest + [e for e in needed if e not in loaded]) + loaded[:s - len(held)]), "Yours keeps what it "
         "loads only while there is room. Each expert that is loaded comes into memory, and another one makes room."),
    rule("Memory stays from step to step", lambda r, s: play(r, s, how_many=lambda m, *rest: len(m.held)), "What a "
         "step finds in memory is not loaded again, and what it does not need stays as long as there is room."),
    wrong("Memory stays from step to step", lambda r, s: padded([sorted(needed) for needed in r]), all_are_loaded),
    rule("Only as many make room as have to", lambda r, s: play(r, s, how_many=lambda m, needed, missing, slots:
         len(m.held) * (what_is_missing(m, needed, missing, slots) > 0)), "You cleared the memory. One expert makes "
         "room for each one that does not fit, and the others stay."),
    rule("Only as many make room as have to", lambda r, s: play(r, s, how_many=lambda m, needed, missing, slots:
         len(missing) * (what_is_missing(m, needed, missing, slots) > 0)), "Yours lets one expert go for each one that "
         "is loaded. Where there is still room for some of them, fewer have to go."),
    rule("Only as many make room as have to", lambda r, s: play(r, s, how_many=all_as_old), "Yours lets all experts go "
         "that were last used in the same step. Only as many make room as have to, of equals the lowest number first."),
    rule("A use is not noted", noted(lambda m, needed, missing: dict.fromkeys(needed if missing else [], m.now)),
         "Yours notes no use in a step that loads nothing. What a step needs is used in it, also where all of it is in "
         "memory already."),
    rule("A use is not noted", noted(lambda m, needed, missing: dict.fromkeys(missing or needed, m.now)), "In a step "
         "that loads something, yours notes the use of what is loaded alone. What was there already is used as well."),
    rule("A use is not noted", noted(lambda m, needed, missing: {e: m.stamp.get(e, m.now) for e in needed}), "Yours "
         "keeps the first use that was noted of an expert. The last one counts, so each use replaces the one before."),
    rule("A use is not noted", noted(lambda m, needed, missing: {e: -1 if e in missing else m.now for e in needed}),
         "Yours notes no use where an expert is loaded. A step uses what it loads as well."),
    rule("The longest unused makes room, not the newest", lambda r, s: queue(r, s, lambda rest, needed, loaded, s:
         (rest + sorted(needed))[:s]), "Yours cuts off the end of the list, where the experts stand that were used "
         "last. Those at its beginning make room."),
    rule("That is the rule of exercise 12.3", lambda r, s: play(r, s, lambda m, e: (-next_use(r, m.now, e), e)),
         "Yours looks at the coming steps. Here only the past counts: the one whose last use is longest ago goes."),
    rule("Room for what is there already", lambda r, s: play(r, s, how_many=lambda m, needed, missing, slots:
         max(0, len(m.held) + len(needed) - slots)), "You made room for every expert of the step. Those that are in "
         "memory already need no more room."),
    rule("One that is gone makes room once more", lambda r, s: play(r, s, how_many=lambda m, needed, missing, slots:
         min(1, what_is_missing(m, needed, missing, slots)), among=lambda m: m.used), "Yours looks for the longest "
         "unused one among all experts so far. Look only among those that are in memory: delete the last use of one "
         "that makes room."),
    other("Step 0 counts as never", lambda step: sorted(e for e in step.needed if not step.held.get(e)), "Yours loads "
          "an expert again that is in memory since its last use in step 0. `if last.get(e)` takes 0 for no: ask "
          "`e in last`."),
    wrong("The loads of the first step are missing", lambda r, s: padded([[], *(sorted(step.loaded) for step in
          play(r, s)[1:])]), "`loaded[0]` is [], expected {right.loaded[0]}, for {note}. Memory is empty at the start, "
          "so the first step loads all that it needs, and these loads are returned as well."),
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
)  # fmt: skip
