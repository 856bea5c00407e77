"""Exercise 12.2, lru: which experts a small memory loads, step by step, if the least recently used one makes room."""

import re

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.attempt import same_again
from moe_lite.checks.engine.causes import Line
from moe_lite.checks.engine.exercise import Attempt, Case, Drawn, Exercise, Note, Output, Trial
from moe_lite.checks.engine.mistakes import sign
from moe_lite.checks.engine.rows import lists
from moe_lite.checks.lesson12.errors import TOO_DEEP
from moe_lite.checks.lesson12.lru_slips import WRONG_MEMORIES, entry, lead, right_rows, rows, what_memory_held
from moe_lite.checks.lesson12.memory_rules import Requests, experts, many
from moe_lite.lessons.expert_cache import lru

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
        listed([[2, 1], [3, 4], [0, 1, 2], [4, 0, 3, 1], [2, 3]], 4),
        listed([[0, 1, 2], [3, 4], [1], [2, 0], [3]], 4), listed([[5, 1], [2, 0, 3], [1], [5]], 4),
        random(7, 12, 7, 3, 3),
    )  # fmt: skip
    roomy = (
        listed([[3, 0], [0, 3], [1], [3, 1, 0], [2], [0]], 6), listed([[5, 2], [2], [5, 2], [1, 5], [2, 1]], 3),
        listed([[4, 1], [1, 4], [4], [1]], 2),
    )  # fmt: skip
    long = (random(8, 40, 8, 4, 2), random(9, 60, 16, 7, 4))
    # the first experts are in no other trial, and still there at the end: what is kept from call to call shows
    again = (listed([[21, 24], [20, 22], [24, 23], [21, 24]], 4),)
    begin, _ = inputs.usual(plain[:2], plain, again=again, name="a list of lists")
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
    drawn, {"T": 11, "E": 9, "S": 5, "K": 3}, at_most=(("K", "S"), ("K", "E")), long="T", thousands=397, float32=False,
    extremes=extremes,  # 397 steps: an answer may go one call deeper in each
)  # fmt: skip


# ---- mistakes --------------------------------------------------------------------------------------------------------


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


def alike(a: Attempt) -> bool:
    """One list for all steps, which ends as the last step left it, or empty."""
    if not is_table(a) or len(rows(a)) < 2 or any(row != rows(a)[0] for row in rows(a)):
        return False
    return rows(a)[0] in ([], right_rows(a)[-1])


def all_alike(a: Attempt) -> str:
    return (
        f"{lead(a)} All entries are {rows(a)[0]}. Is one list appended in every step, and changed afterwards? Then all "
        "entries are that list, and show what is in it at the end. Make a new list in each step."
    )


def kept(a: Attempt) -> bool:
    """The second call with the same input gave something else."""
    return a.repeated is not None and not same_again(a)


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
        "loads all its experts. Is there something in memory before it: a filled list, or what an earlier call left in "
        "a global or a default argument?"
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


MISTAKES = (
    sign("Not in ascending order", in_other_order, lambda a: f"{lead(a)} These are the right experts in another order. "
         "A step may list its experts in any order; sort what was loaded."),
    *WRONG_MEMORIES,
    sign("One list per step", lambda a: not is_table(a), how_many_entries),
    sign("All entries are the same list", alike, all_alike),
    sign("Memory is empty at the start", not_empty_at_first, first_request),
    sign("An expert is loaded twice in one step", twice_in_a_step, load_twice),
    sign("Loaded, though the step does not need it", unasked, load_unasked),
    sign("A step loads other experts", lambda a: is_table(a) and not kept(a), what_memory_held, all_or_none=True),
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
            (KeyError, r"^(\d+)$", unknown), TOO_DEEP),
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
