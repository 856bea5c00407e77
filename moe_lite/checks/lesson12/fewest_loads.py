"""Exercise 12.3, fewest_loads: how often experts have to be loaded at least, whatever rule makes room (Belady)."""

import random as draws
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from moe_lite.checks.engine.exercise import Attempt, Case, Drawn, Exercise, Mistake, Output, Trial
from moe_lite.checks.engine.inputs import usual
from moe_lite.checks.engine.mistakes import once_per_trial, one_wrong, sign
from moe_lite.checks.engine.say import said
from moe_lite.checks.lesson12.errors import NEVER_AGAIN, TOO_DEEP
from moe_lite.checks.lesson12.ruled_cache import (
    NEVER,
    Requests,
    RuledCache,
    a_few_ahead,
    a_few_ahead_lower_number,
    after_the_next,
    all_of_them,
    different,
    evictions,
    fewest,
    first_in,
    first_of_all,
    first_place_alone,
    last_of_all,
    last_of_whole,
    latest,
    least_often_again,
    least_recent,
    least_used,
    least_used_lower_number,
    least_used_since,
    lowest_number,
    most_recent,
    most_used,
    needed_ones_go,
    needs,
    never_is_now,
    next_after,
    one_after_the_other,
    one_in_a_step,
    one_per_load,
    one_slot_less,
    one_step_ahead,
    served,
    soonest,
    stays_once_full,
    step_before,
    too_early,
    used_and_gone,
    with_loads,
)

# ---- inputs ----------------------------------------------------------------------------------------------------------


def cases() -> tuple[Case, ...]:
    # steps, experts, experts per step, slots
    # with one expert per step no two are equally old: there a rule is known by its number, however it breaks ties
    single = (random(4, 26, 7, 1, 3), random(5, 34, 9, 1, 4), random(6, 30, 8, 1, 3))
    several = tuple(
        random(seed, *sizes)
        for seed, sizes in enumerate(((24, 9, 2, 4), (27, 10, 3, 5), (22, 9, 2, 4), (18, 12, 3, 6), (25, 8, 2, 3)), 7)
    )
    uneven = (mixed(12, 20, 9, 4), mixed(13, 24, 11, 5), mixed(14, 28, 8, 4))
    tight = (random(15, 16, 8, 2, 2), mixed(16, 20, 8, 3, most=3), random(17, 20, 5, 1, 1))
    roomy = (random(18, 14, 6, 2, 6), random(19, 12, 5, 2, 20), random(20, 18, 8, 2, 7))
    passing = tuple(passing_by(seed, 24, 5, 3) for seed in (21, 22, 23))
    first, _ = usual(single, single, name="a whole number")
    return (
        *first,
        Case("one expert per step", single, ("loads",)),
        Case("several experts per step", several, ("loads",)),
        Case("steps of different size", uneven, ("loads",)),
        Case("experts that are needed once", passing, ("loads",)),
        Case("no more slots than a step needs", tight, ("loads",)),
        Case("room for nearly all, for all", roomy, ("loads",)),
        Case("a longer text", (random(24, 90, 11, 2, 5),), ("loads",)),
    )


def asked(seed: int, sizes: Sequence[int], E: int) -> Requests:
    """One list of different experts for each of `sizes`, in no order. Some experts are needed more often than others,
    and what was needed a short time ago is needed again more easily."""
    one = draws.Random(seed)
    popular = [1 / (1 + place) ** 0.5 for place in range(E)]
    one.shuffle(popular)
    requests: Requests = []
    for size in sizes:
        recent = {e for step in requests[-3:-1] for e in step}
        weight = [popular[e] * (2.0 if e in recent else 1.0) for e in range(E)]
        requests.append(sorted(range(E), key=lambda e: -(one.random() ** (1 / weight[e])))[:size])  # noqa: B023
        one.shuffle(requests[-1])
    return requests


def random(seed: int, steps: int, E: int, k: int, slots: int) -> Trial:
    each = f"{k} experts" if k > 1 else "1 expert"
    return Trial(
        (asked(seed, [k] * steps, E), slots),
        f"seed {seed}, {each} per step, {slots} {'slots' if slots > 1 else 'slot'}",
    )


def mixed(seed: int, steps: int, E: int, slots: int, most: int = 0) -> Trial:
    """A step needs 1 to `most` experts, and some step as many as that."""
    most = most or slots - 1
    sizes = [1 + draws.Random(seed + step).randrange(most) for step in range(steps)]
    sizes[steps // 2] = most
    return Trial((asked(seed, sizes, E), slots), f"seed {seed}, 1 to {most} experts per step, {slots} slots")


def passing_by(seed: int, steps: int, E: int, slots: int) -> Trial:
    """Every third step needs an expert that no other step needs."""
    requests = asked(seed, [1] * steps, E)
    for step in range(1, steps, 3):
        requests[step] = [E + step]
    return Trial((requests, slots), f"seed {seed}, some experts needed once, {slots} slots")


def drawn(seed: int, steps: int, E: int, K: int, slots: int) -> tuple:
    return asked(seed, [K] * steps, E), slots


def extremes(seed: int) -> tuple[Trial, ...]:
    requests, slots = drawn(seed, 18, 7, 2, 4)
    return (
        Trial(([[3, 1]] * 9, 3), "every step needs the same experts"),
        Trial(([[e] for e in range(12)], 3), "every step needs another expert"),
        Trial(([[e % 4] for e in range(21)], 3), "four experts take turns, 3 slots"),
        Trial(([[e % 3, 3 + e % 2] for e in range(20)], 3), "experts take turns in pairs, 3 slots"),
        Trial((asked(seed + 1, [2] * 19, 300), slots), "300 experts"),
        Trial(([[1000 * e + 7 for e in step] for step in requests], slots), "experts with large numbers"),
        Trial((requests + requests[::-1], slots), "requests forwards and backwards"),
        Trial(([[5]], 1), "one step, one expert, one slot"),
    )


DRAWN = Drawn(
    drawn, {"steps": 19, "E": 7, "K": 2, "slots": 4}, at_most=(("K", "E"), ("K", "slots")), long="", wide="slots",
    float32=False, extremes=extremes,
)  # fmt: skip


# ---- mistakes --------------------------------------------------------------------------------------------------------


Count = Callable[[Requests, int], float]


def counts(title: str, count: Count, say: str) -> Mistake:
    """A number that is made in another way, and its sentence."""

    def words(a: Attempt) -> str:
        requests, slots = a.args
        facts = {
            "n_best": fewest(requests, slots), "n_different": different(requests, slots),
            "n_needs": needs(requests, slots), "n_evictions": evictions(requests, slots), "n_steps": len(requests),
            "n_first": len(requests[0]), "largest": max(map(len, requests)), "more": slots + 1, "less": slots - 1,
        }  # fmt: skip
        return f"{lead(a)} {said(say, a, **facts)}"

    return one_wrong("loads", title, lambda *args: number_of(count(*args)), words)


def number_of(count: float) -> Tensor:
    return torch.tensor(count, dtype=torch.float64 if isinstance(count, float) else torch.int64)


def lead(a: Attempt) -> str:
    return said("`loads` is {loads.beside:3}, for {note}.", a)


def ruled(title: str, rule: Callable[[RuledCache, int], float], say: str) -> Mistake:
    """A rule of what makes room, with the first expert that it should have kept."""
    result_of = once_per_trial(lambda a: served(*a.args, rule))

    def words(a: Attempt) -> str:
        return f"{lead(a)} {said(say, a)} {first_loss(a, result_of(a)[1])}"

    return one_wrong("loads", title, lambda *args: torch.tensor(served(*args, rule)[0]), words)


def first_loss(a: Attempt, cache: RuledCache) -> str:
    """The first time that an expert made room while another one was needed later."""
    requests = a.args[0]
    for one in cache.evictions:
        mine = next_after(requests, one.step, one.expert)
        other = max(sorted(one.others), key=lambda e: next_after(requests, one.step, e), default=one.expert)
        right = next_after(requests, one.step, other)
        if right > mine:
            never = f"expert {other} is never needed again" if right == NEVER else (
                f"expert {other} is not needed before `requests[{right}]`"
            )  # fmt: skip
            return (
                f"In `requests[{one.step}]`, expert {one.expert} makes room then, and `requests[{mine}]` needs it "
                f"again, while {never}."
            )
    return ""


def needed_one_gone(a: Attempt) -> str:
    """Where an expert of the step makes room for another one of it."""
    for listed in (True, False):
        one = needed_ones_go(*a.args, listed)[1]
        if one is not None:
            return (
                f"{lead(a)} `requests[{one.step}]` needs {', '.join(map(str, a.args[0][one.step][:-1]))} and "
                f"{a.args[0][one.step][-1]} together, so none of them can make room for another: in yours an expert "
                "goes that its own step needs."
            )
    return f"{lead(a)} In yours an expert makes room that its own step needs."


def where_steps_leave_room(mistake: Mistake) -> Mistake:
    """A mistake that no answer contradicts where a step needs all slots."""
    return replace(mistake, fits=lambda a: max(map(len, a.args[0])) == a.args[1] or mistake.fits(a))


def used_one_gone(a: Attempt) -> str:
    """Where an expert makes room at the end of the step that needs it."""
    one = used_and_gone(*a.args)[1]
    where = f"In `requests[{one.step}]` expert {one.expert} makes room in the step that needs it, and " if one else ""
    return (
        f"{lead(a)} {where}others stay instead. While that step is served, more than {a.args[1]} experts would be in "
        "memory: what a step needs is there together with what stays. Let the choice be among the others alone."
    )


def gone(title: str, count: Count) -> Mistake:
    return one_wrong("loads", title, lambda *args: torch.tensor(count(*args)), needed_one_gone)


def one_per_step(a: Attempt) -> bool:
    return all(len(needed) == 1 for needed in a.args[0])


def several(a: Attempt) -> bool:
    return not one_per_step(a) and not a.trial.kind and bool(a.got["loads"] > a.expected["loads"])


def choice_of_one(a: Attempt) -> bool:
    """One expert per step, and a choice of what makes room: there a rule has one number, whatever it does in ties."""
    return one_per_step(a) and a.args[1] > 1 and not a.trial.kind


def fewer(a: Attempt) -> bool:
    return bool(a.got["loads"] < a.expected["loads"])


def more(a: Attempt) -> bool:
    return choice_of_one(a) and bool(a.got["loads"] > a.expected["loads"])


def first_choice(a: Attempt) -> str:
    """The first step in which something has to make room, and what the rule that knows the future does there."""
    requests, slots = a.args
    for one in served(requests, slots, latest)[1].evictions:
        if one.others:
            when = next_after(requests, one.step, one.expert)
            again = "is never needed again" if when == NEVER else f"is needed again latest, in `requests[{when}]`"
            known = ", ".join(map(str, sorted(one.others | {one.expert})))
            return (
                "What is needed again latest makes room, whenever memory is full, and all else stays. The first choice "
                f"comes in `requests[{one.step}]`, where one of experts {known} has to make room: expert {one.expert} "
                f"{again}. If it goes in yours as well, a later choice is another one."
            )
    return "Nothing has to make room here, so each expert is loaded once."


A_FEW = (
    "Here an expert that the next {slots} steps do not need makes room, whichever it is. Look as far ahead as there "
    "are steps."
)
NEEDED, FIRST = "An expert makes room that the step needs", "The first loads are not counted"
LFU = "That is what least frequently used loads"
MISTAKES = (
    ruled("That is what LRU loads", least_recent, "This is the number of the rule of exercise 12.2, which looks back. "
          "The fewest come from looking ahead: what is needed again latest makes room."),
    ruled("That is what first in, first out loads", first_in, "Here the expert that was loaded first makes room. Look "
          "ahead instead: what is needed again latest makes room."),
    ruled(LFU, least_used, "Here the expert that was needed least often so far makes room. Look ahead instead: what "
          "is needed again latest makes room."),
    ruled(LFU, least_used_since, "Here the expert that was needed least often so far makes room. Look ahead instead: "
          "what is needed again latest makes room."),
    ruled(LFU, least_used_lower_number, "Here the expert that was needed least often so far makes room. Look ahead "
          "instead: what is needed again latest makes room."),
    ruled("That is what most recently used loads", most_recent, "Here the expert that was used last makes room. Look "
          "ahead instead: what is needed again latest makes room."),
    ruled("What is needed again soonest makes room", soonest, "Here the expert that is needed again first makes room, "
          "and soon has to be loaded again. The one that is needed again latest should go: `max`, not `min`."),
    ruled("An expert that is never needed again stays", never_is_now, "Here an expert that is never needed again "
          "counts as needed at once, as with a next use of 0 or −1. It should go first: its next use is infinitely "
          "far, or `len(requests)`."),
    ruled("The next use is looked for from the start", first_of_all, "Here the next use is the first one in the whole "
          "list, which is over. Look only at the steps after this one."),
    ruled("The last use decides, not the next one", last_of_all, "Here the expert makes room whose last use of all "
          "comes latest. What counts is when it is needed again for the first time."),
    ruled("How often it is needed again decides", least_often_again, "Here the expert makes room that the coming steps "
          "need least often. What counts is when it is needed again for the first time, however often that is."),
    ruled("The last use decides, not the next one", last_of_whole, "Here the expert makes room whose last use in "
          "the whole list comes latest. What counts is when it is needed again for the first time."),
    ruled("The next step is left out", after_the_next, "Here the next use is looked for from the step after the "
          "next one on. The next step counts as well: begin with `step + 1`."),
    ruled("Only some steps ahead are looked at", a_few_ahead, A_FEW),
    ruled("Only some steps ahead are looked at", a_few_ahead_lower_number, A_FEW),
    ruled("Only the first of a step's experts is looked at", first_place_alone, "Here a later step counts as a "
          "need only for the first expert of its list. Ask `e in requests[t]`."),
    ruled("That is what most frequently used loads", most_used, "Here the expert that was needed most often so "
          "far makes room. Look ahead instead: what is needed again latest makes room."),
    ruled("Only the next step is looked at", one_step_ahead, "Here an expert makes room that the next step does not "
          "need, whichever it is. Look as far ahead as there are steps."),
    ruled("The lowest number makes room", lowest_number, "Here the expert with the lowest number makes room. Look "
          "ahead instead: what is needed again latest makes room."),
    gone(NEEDED, one_after_the_other),
    gone(NEEDED, lambda *args: needed_ones_go(*args)[0]),
    gone(NEEDED, lambda *args: needed_ones_go(*args, listed=False)[0]),
    one_wrong("loads", NEEDED, lambda *args: torch.tensor(used_and_gone(*args)[0]), used_one_gone),
    counts("The number of different experts", different, "There are {n_different} different experts, and each has to "
           "be loaded once. With {slots} slots some of them have to make room, and to be loaded again."),
    counts(FIRST, evictions, "An expert makes room for another one {n_evictions} times. The memory is empty at the "
           "start, and the loads that fill it count as well."),
    counts(FIRST, lambda *args: fewest(*args) - different(*args), "That is how often one of the {n_different} experts "
           "is loaded once more. The first load of each counts as well, because the memory is empty at the start."),
    counts(FIRST, lambda requests, slots: fewest(requests, slots) - len(requests[0]), "The loads of the first step "
           "are missing, {n_first} of them: the memory is empty at the start, and filling it counts as well."),
    counts("One slot too many", lambda requests, slots: served(requests, slots + 1, latest)[0], "That is the fewest "
           "for {more} slots, and there are {slots}. Make room before you load: afterwards there are never more than "
           "`slots` experts in memory."),
    where_steps_leave_room(counts("One slot too few", one_slot_less, "That is the number for {less} slots, and there "
           "are {slots}. An expert makes room only where all slots are taken.")),
    counts("Memory gets too full", one_in_a_step, "In yours one expert makes room in a step, also where the step "
           "loads several. Repeat it while there are more than {slots}: `while`, not `if`."),
    counts("Memory gets too full", too_early, "Yours asks whether memory is full before what the step loads is in "
           "it. What is there and what is loaded must fit together: never more than {slots} experts."),
    counts("Only as many make room as have to", one_per_load, "In yours one expert makes room for each that is "
           "loaded. Where there is still room for some of them, fewer have to go."),
    counts("Only as many make room as have to", all_of_them, "Yours clears the memory where there is no room. "
           "Only as many make room as have to, and the others stay."),
    counts("Full memory stays as it is", stays_once_full, "Yours keeps what it loads only while there is room. "
           "Every expert that is loaded comes into memory, and another one makes room."),
    counts("The last step is left out", lambda requests, slots: fewest(requests[:-1], slots), "That is the number "
           "without the last of the {n_steps} steps."),
    counts("Hits, not loads", lambda *args: needs(*args) - fewest(*args), "The steps need {n_needs} experts in all, "
           "and so many of them are in memory already. Count the others, which have to be loaded."),
    counts("Every need is counted", needs, "The steps need {n_needs} experts in all. One that is still in memory does "
           "not have to be loaded."),
    counts("Steps are counted, not loads", with_loads, "In so many of the {n_steps} steps something is loaded, and a "
           "step can load more than one expert."),
    counts("The memory is emptied after each step", step_before, "That is the number when a step finds only what the "
           "step before needed. There is room for {slots} experts, and what no step needs stays until it has to go."),
    counts("A share, not a number", lambda *args: fewest(*args) / needs(*args), "You divided by the {n_needs} experts "
           "that the steps need. The number of loads itself is wanted, an int."),
    counts("A share, not a number", lambda requests, slots: fewest(requests, slots) / len(requests), "You divided by "
           "the {n_steps} steps. The number of loads itself is wanted, an int."),
    counts("A share, not a number", lambda *args: 1 - fewest(*args) / needs(*args), "That is the share of the "
           "{n_needs} needs that were in memory already. The number of loads is wanted, an int."),
    sign("Wrong where a step needs several experts", several, lambda a: f"{lead(a)} The numbers are "
         "right where each step needs one expert. Where it needs more: does none of the step's own experts make room, "
         "do exactly as many of the others as have to, and is a later need seen wherever an expert stands in its "
         "list?", all_or_none=True),
    sign("Fewer than can be", fewer, lambda a: f"{lead(a)} No rule can serve these requests with fewer. Is every load "
         "counted, in every step, are there never more than `slots` experts in memory, and is what a step needs there "
         "together, none making room for another?"),
    sign("More than are needed", more, lambda a: f"{lead(a)} {first_choice(a)}"),
)  # fmt: skip

FEWEST_LOADS = Exercise(
    id="12.3", name="fewest_loads", parameters=("requests", "slots"), sizes="TS",
    outputs=(Output("loads", whole=True),), reference=fewest, cases=cases, mistakes=MISTAKES, drawn=DRAWN,
    causes=(*NEVER_AGAIN, TOO_DEEP),
    hints=(
        "The loads can be counted by going through the steps, as in exercise 12.2. Only the choice of what makes room "
        "is another one, and here you may look at the coming steps: which expert could stay away longest?",
        "For each expert in memory that the step does not need, find the first later step that needs it, as in "
        "`next((t for t in range(step + 1, len(requests)) if …), …)`, with something larger than every step where "
        "there is none. The expert for which this is largest makes room. (The rule is Belady's, and no rule loads less "
        "often.)",
    ),
    minutes=12, lines="about 10 lines", stretch=True,
    done="This is the bound for every cache: what a rule loads beyond it is the price of not knowing the future.",
)  # fmt: skip
