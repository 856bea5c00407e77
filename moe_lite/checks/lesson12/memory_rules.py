"""Rules for what makes room in a small memory, right and wrong ones, and sentences on what they do in a step."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import NamedTuple

Requests = list[list[int]]


@dataclass
class Memory:
    """What a rule can look at."""

    held: set[int] = field(default_factory=set)
    used: dict[int, int] = field(default_factory=dict)  # the last step of each expert; all dicts go by expert
    turn: dict[int, int] = field(default_factory=dict)  # counts single uses, one after the other within a step
    times: dict[int, int] = field(default_factory=dict)
    here: dict[int, int] = field(default_factory=dict)  # times since it was loaded
    came: dict[int, int] = field(default_factory=dict)  # the step in which it was loaded
    came_at: dict[int, int] = field(default_factory=dict)  # counts single loads
    stamp: dict[int, int] = field(default_factory=dict)  # the last use as a rule notes it
    now: int = 0
    count: int = 0

    def use(self, e: int) -> None:
        self.count += 1
        self.used[e], self.turn[e] = self.now, self.count
        self.times[e], self.here[e] = self.times.get(e, 0) + 1, self.here.get(e, 0) + 1

    def load(self, e: int) -> None:
        self.count += 1
        self.held.add(e)
        self.came[e], self.came_at[e], self.here[e] = self.now, self.count, 1


class Step(NamedTuple):
    """What happens in one step."""

    needed: list[int]
    held: dict[int, int]  # before it, with the step of the last use
    loaded: list[int]
    gone: list[int]
    after: list[int]  # what is in memory after it


Worth = Callable[[Memory, int], tuple]  # what is worth least makes room
Order = Callable[[list[int], Collection[int]], list[int]]  # of a step's experts, given what is in memory
HowMany = Callable[[Memory, list[int], list[int], float], int]  # make room for what is missing
Stamps = Callable[[Memory, list[int], list[int]], dict[int, int]]  # noted of what is needed, and of what is missing
After = Callable[[list[int], list[int], list[int], int], list[int]]  # unneeded, needed, loaded, slots -> in memory


def last_use(m: Memory, e: int) -> tuple:
    return m.used.get(e, m.now), e


def ascending(needed: list[int], held: Collection[int]) -> list[int]:
    return sorted(needed)


def as_listed(needed: list[int], held: Collection[int]) -> list[int]:
    return list(needed)


def hits_first(needed: list[int], held: Collection[int]) -> list[int]:
    return sorted(needed, key=lambda e: e not in held)


def loads_first(needed: list[int], held: Collection[int]) -> list[int]:
    return sorted(needed, key=lambda e: e in held)


def what_is_missing(m: Memory, needed: list[int], missing: list[int], slots: float) -> int:
    return max(0, len(m.held) + len(missing) - slots)


def play(
    requests: Requests, slots: float, worth: Worth = last_use, *, order: Order = ascending,
    how_many: HowMany = what_is_missing, among: Callable[[Memory], Collection[int]] = lambda m: m.held,
    stamps: Stamps = lambda *step: {},
) -> list[Step]:  # fmt: skip
    """The right rule, with some of its parts done in another way."""
    m, steps = Memory(), []
    for m.now, needed in enumerate(requests):
        held = {e: m.used[e] for e in sorted(m.held)}
        used = order(needed, held)
        missing = [e for e in used if e not in held]
        free = sorted(set(among(m)) - set(needed), key=lambda e: worth(m, e))
        gone = free[: how_many(m, needed, missing, slots)]
        for e in used:
            m.use(e)
        m.stamp |= stamps(m, needed, missing)
        m.held.difference_update(gone)
        for e in missing:
            m.load(e)
        steps.append(Step(needed, held, missing, gone, sorted(m.held)))
    return steps


def one_by_one(
    requests: Requests, slots: int, worth: Worth = last_use, *, order: Order = as_listed, again: bool = True,
    at_once: bool = True, hits_late: bool = False,
) -> list[Step]:  # fmt: skip
    """The experts of a step are not spared: one after the other is used, and what is worth least makes room.

    again: one that made room in its own step is loaded once more at its turn; else all that is missing is loaded first,
    and the step's experts are used then. at_once: what is loaded counts as used at once, and not only then.
    hits_late: what was there counts as used only at the end of the step, and is in memory then, though it made room.
    """
    m, steps = Memory(), []
    for m.now, needed in enumerate(requests):
        held, loaded, gone = {e: m.used[e] for e in sorted(m.held)}, [], []
        for e in order(needed, held):
            is_there = e in (m.held if again else held)
            if not is_there:
                if len(m.held) >= slots:
                    gone.append(min(m.held, key=lambda e: worth(m, e)))
                    m.held.remove(gone[-1])
                m.load(e)
                loaded.append(e)
                if at_once and not again:
                    m.use(e)
            if again and not (hits_late and is_there):
                m.use(e)
        if not again or hits_late:
            for e in needed:
                m.use(e)
        if hits_late:
            m.held.update(needed)
        steps.append(Step(needed, held, loaded, gone, sorted(m.held)))
    return steps


def room_for_missing(requests: Requests, slots: int) -> list[Step]:
    """Room is made for what is missing before anybody looks at what the step needs itself."""
    m, steps = Memory(), []
    for m.now, needed in enumerate(requests):
        held = {e: m.used[e] for e in sorted(m.held)}
        n = len(held) + sum(e not in held for e in needed) - slots
        gone = sorted(held, key=lambda e: last_use(m, e))[: max(n, 0)]
        loaded = sorted(e for e in needed if e not in held or e in gone)
        m.held.difference_update(gone)
        for e in loaded:
            m.load(e)
        for e in needed:
            m.use(e)
        steps.append(Step(needed, held, loaded, gone, sorted(m.held)))
    return steps


def queue(requests: Requests, slots: int, after: After) -> list[Step]:
    """Memory is a list, which `after` makes anew in each step."""
    line, used, steps = [], {}, []
    for step, needed in enumerate(requests):
        held = {e: used[e] for e in sorted(line)}
        loaded = sorted(e for e in needed if e not in held)
        line = after([e for e in line if e not in needed], needed, loaded, slots)
        used |= dict.fromkeys(needed, step)
        gone = sorted({*held, *loaded}.difference(line))
        steps.append(Step(needed, held, loaded, gone, sorted(line)))
    return steps


def next_use(requests: Requests, step: int, e: int) -> float:
    return next((t for t in range(step + 1, len(requests)) if e in requests[t]), float("inf"))


def hits(step: Step) -> list[int]:
    return sorted(e for e in step.needed if e in step.held)


# ---- what is said of them --------------------------------------------------------------------------------------------


def many(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def experts(some: Collection[int]) -> str:
    """ "expert 3", "experts 1, 3 and 4"."""
    names = [str(e) for e in some]
    if len(names) < 2:
        return f"expert {names[0]}" if names else "no expert"
    return f"experts {', '.join(names[:-1])} and {names[-1]}"


def first_eviction(mine: list[Step], rights: list[Step]) -> str:
    """Where another expert makes room than should, and when both were last used; and where a step's own one does."""
    own = [t for t, step in enumerate(mine) if set(step.gone) & set(step.needed)]
    for t, (one, right) in enumerate(zip(mine, rights, strict=True)):
        bad, good = ([e for e in x.gone if e not in y.gone] for x, y in ((one, right), (right, one)))
        if bad or good:
            bad.sort(key=lambda e: e not in right.needed)
            later = f" In step {own[0]}, {_own_eviction(mine[own[0]])}" if own and own[0] > t else ""
            return f"In step {t} (counted from 0), {_eviction(right, bad, good)}{later}"
    return ""


def _own_eviction(step: Step) -> str:
    v = next(e for e in step.gone if e in step.needed)
    return f"expert {v} made room, although this step itself needs {experts(sorted(step.needed))}."


def _eviction(step: Step, bad: list[int], good: list[int]) -> str:
    """bad: made room and should not have; good: the other way round."""
    if not bad:
        return (
            f"which needs {experts(sorted(step.needed))}, expert {good[0]} has to make room: its last use, in step "
            f"{step.held[good[0]]}, is longest ago. In your memory it stayed."
        )
    v = bad[0]
    last = f"it was last used in step {step.held[v]}" if v in step.held else "it had just been loaded"
    if v in step.needed:
        instead = f" Expert {good[0]} should have: the step does not need it." if good else ""
        return _own_eviction(step._replace(gone=bad)) + instead
    if not good:
        return f"expert {v} made room, and should have stayed: {last}, and {_enough(step)}."
    w = good[0]
    if step.held.get(v) == step.held[w]:
        return (
            f"expert {v} made room. It was last used in step {step.held[w]}, as expert {w} was, and expert {w} has the "
            "lower number, so it makes room first."
        )
    return (
        f"expert {v} made room, although {last}; expert {w} was last used in step {step.held[w]}, which is longer ago."
    )


def _enough(step: Step) -> str:
    return f"only {experts(step.gone)} had to make room" if step.gone else "there was room for all that was loaded"


def memory(step: Step) -> str:
    """What was in memory before a step, a few of many."""
    if not step.held:
        return "Memory is empty before it."
    named = [f"expert {e} (last used in step {used})" for e, used in list(step.held.items())[:6]]
    more = len(step.held) - len(named)
    if more:
        named.append(many(more, "other"))
    return f"Before it, memory holds {', '.join(named[:-1])} and {named[-1]}." if len(named) > 1 else (
        f"Before it, memory holds {named[0]}."
    )  # fmt: skip
