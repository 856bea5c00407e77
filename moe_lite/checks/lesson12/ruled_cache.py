"""What a memory loads by a rule of what makes room: the rules that exercise 12.3 knows by name, and their numbers."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from moe_lite.lessons import expert_cache
from moe_lite.lessons.expert_cache import ExpertCache, Use

Requests = list[list[int]]
NEVER = float("inf")


def fewest(requests: Requests, slots: int) -> int:
    """requests, a list of experts per step, and slots, at least as many as any step needs -> the fewest loads."""
    return expert_cache.fewest_loads(requests, slots)


class Eviction(NamedTuple):
    step: int
    expert: int  # that made room
    others: set[int]  # that could have made room in its place


class RuledCache(ExpertCache):
    """A memory from which the expert with the lowest `rule` goes; of equals, the one with the lower number."""

    def __init__(self, requests: Requests, slots: int, rule: Callable[["RuledCache", int], float]):
        super().__init__(slots)
        self.requests, self.rule = requests, rule
        self.loaded_at: dict[int, int] = {}
        self.times_since: dict[int, int] = {}  # it was loaded
        self.evictions: list[Eviction] = []

    def worth(self, expert: int) -> tuple[float, ...]:
        return (self.rule(self, expert),)

    def step(self, needed: Sequence[int]) -> list[Use]:
        uses = super().step(needed)
        for use in uses:
            if use.loaded:
                self.loaded_at[use.expert], self.times_since[use.expert] = self.clock, 0
            self.times_since[use.expert] += 1
        return uses

    def _use(self, expert: int, needed: Sequence[int], waiting: Sequence[int]) -> Use:
        could = self.resident.difference(needed)
        use = super()._use(expert, needed, waiting)
        if use.evicted is not None:
            self.evictions.append(Eviction(self.clock, use.evicted, could - {use.evicted}))
        return use

    def coming(self, expert: int) -> list[int]:
        return [step for step in range(self.clock + 1, len(self.requests)) if expert in self.requests[step]]

    def next_use(self, expert: int) -> float:
        return next_after(self.requests, self.clock, expert)


def next_after(requests: Requests, step: int, expert: int) -> float:
    return next((t for t in range(step + 1, len(requests)) if expert in requests[t]), NEVER)


def served(requests: Requests, slots: int, rule: Callable[[RuledCache, int], float]) -> tuple[int, RuledCache]:
    cache = RuledCache(requests, slots, rule)
    return sum(use.loaded for needed in requests for use in cache.step(needed)), cache


# Of an expert in memory: the lowest makes room.
def soonest(c: RuledCache, e: int) -> float:
    return c.next_use(e)


def latest(c: RuledCache, e: int) -> float:
    return -c.next_use(e)


def least_recent(c: RuledCache, e: int) -> float:
    return c.last_used[e]


def most_recent(c: RuledCache, e: int) -> float:
    return -c.last_used[e]


def first_in(c: RuledCache, e: int) -> float:
    return c.loaded_at[e]


def least_used(c: RuledCache, e: int) -> float:
    return c.times_used[e] + c.last_used[e] / 1e6


def least_used_lower_number(c: RuledCache, e: int) -> float:
    return c.times_used[e]


def least_used_since(c: RuledCache, e: int) -> float:
    return c.times_since[e] + c.last_used[e] / 1e6


def least_often_again(c: RuledCache, e: int) -> float:
    return len(c.coming(e))


def never_is_now(c: RuledCache, e: int) -> float:
    step = c.next_use(e)
    return 0 if step == NEVER else -step


def first_of_all(c: RuledCache, e: int) -> float:
    """The first step of all that needs it, which is over."""
    return -next(step for step, needed in enumerate(c.requests) if e in needed)


def last_of_all(c: RuledCache, e: int) -> float:
    return -(c.coming(e) or [NEVER])[-1]


def last_of_whole(c: RuledCache, e: int) -> float:
    """The last step of all that needs it, also where that is over."""
    return -max(step for step, needed in enumerate(c.requests) if e in needed)


def after_the_next(c: RuledCache, e: int) -> float:
    """The next step is left out."""
    return -next_after(c.requests, c.clock + 1, e)


def a_few_ahead(c: RuledCache, e: int) -> float:
    """As many steps as there are slots; of equals, the highest number goes."""
    step = c.next_use(e)
    return -(1e9 if step > c.clock + c.slots else step * 1e3) - e / 1e3


def a_few_ahead_lower_number(c: RuledCache, e: int) -> float:
    step = c.next_use(e)
    return -(NEVER if step > c.clock + c.slots else step)


def first_place_alone(c: RuledCache, e: int) -> float:
    """Seen only where it is the first of its step's list."""
    return -next((t for t in range(c.clock + 1, len(c.requests)) if c.requests[t][0] == e), NEVER)


def most_used(c: RuledCache, e: int) -> float:
    return -c.times_used[e]


def one_step_ahead(c: RuledCache, e: int) -> float:
    return c.clock + 1 < len(c.requests) and e in c.requests[c.clock + 1]


def lowest_number(c: RuledCache, e: int) -> float:
    return e


# Of requests and slots: a number.
def evictions(requests: Requests, slots: int) -> int:
    return len(served(requests, slots, latest)[1].evictions)


def different(requests: Requests, slots: int) -> int:
    return len({e for needed in requests for e in needed})


def needs(requests: Requests, slots: int) -> int:
    return sum(map(len, requests))


def with_loads(requests: Requests, slots: int) -> int:
    cache = RuledCache(requests, slots, latest)
    return sum(any(use.loaded for use in cache.step(needed)) for needed in requests)


def step_before(requests: Requests, slots: int) -> int:
    """Only what the step before needed is still there."""
    return sum(len(set(b) - set(a)) for a, b in zip([[], *requests], requests, strict=False))


def one_after_the_other(requests: Requests, slots: int) -> int:
    """As if each expert were needed in a step of its own."""
    return fewest([[e] for needed in requests for e in needed], slots)


def needed_ones_go(requests: Requests, slots: int, listed: bool = True) -> tuple[int, Eviction | None]:
    """Whatever is needed latest after this step makes room, also where this step needs it."""
    memory: set[int] = set()
    n, first = 0, None
    for step, needed in enumerate(requests):
        for e in needed if listed else sorted(needed):
            if e in memory:
                continue
            n += 1
            if len(memory) >= slots:
                gone = max(sorted(memory), key=lambda one: next_after(requests, step, one))  # noqa: B023
                if gone in needed and first is None:
                    first = Eviction(step, gone, memory - {gone})
                memory.remove(gone)
            memory.add(e)
    return n, first


def one_slot_less(requests: Requests, slots: int) -> int:
    """Where a step needs all slots, there are several numbers: it depends on which of its own experts goes."""
    return served(requests, slots - 1, latest)[0] if slots > 1 else needs(requests, slots)


HowMany = Callable[[set[int], set[int], int], int]  # memory, needed, slots -> how many make room


def with_room_for(how_many: HowMany) -> Callable[[Requests, int], int]:
    """The best choice of what makes room, and another number of experts that do."""

    def count(requests: Requests, slots: int) -> int:
        memory: set[int] = set()
        n = 0
        for step, needed in enumerate(requests):
            free = sorted(memory.difference(needed), key=lambda e: (-next_after(requests, step, e), e))  # noqa: B023
            n += len(set(needed) - memory)
            memory = memory.difference(free[: max(0, how_many(memory, set(needed), slots))]).union(needed)
        return n

    return count


def over(memory: set[int], needed: set[int], slots: int) -> int:
    return len(memory | needed) - slots


one_per_load = with_room_for(lambda m, needed, slots: len(needed - m) if over(m, needed, slots) > 0 else 0)
one_in_a_step = with_room_for(lambda m, needed, slots: min(1, over(m, needed, slots)))
too_early = with_room_for(lambda m, needed, slots: min(len(needed - m), len(m) - slots + 1))
all_of_them = with_room_for(lambda m, needed, slots: len(m) if over(m, needed, slots) > 0 else 0)


def stays_once_full(requests: Requests, slots: int) -> int:
    memory: set[int] = set()
    n = 0
    for e in (e for needed in requests for e in needed):
        if e not in memory:
            n += 1
            if len(memory) < slots:
                memory.add(e)
    return n


def used_and_gone(requests: Requests, slots: int) -> tuple[int, Eviction | None]:
    """After each step that which is needed latest makes room, also what the step itself needed."""
    memory: set[int] = set()
    n, first = 0, None
    for step, needed in enumerate(requests):
        n += len(set(needed) - memory)
        memory |= set(needed)
        while len(memory) > slots:
            gone = max(sorted(memory), key=lambda e: next_after(requests, step, e))  # noqa: B023
            memory.remove(gone)
            if gone in needed and first is None:
                first = Eviction(step, gone, set(memory))
    return n, first
