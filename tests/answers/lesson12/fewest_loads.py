"""Answers to exercise 12.3, fewest_loads: right ones, and wrong ones with the message that they must get."""

import heapq
from collections import Counter, OrderedDict, defaultdict, deque
from functools import cache, lru_cache
from itertools import combinations

from answers import blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def belady(requests, slots):
    memory, loads = set(), 0
    for step, needed in enumerate(requests):
        for e in needed:
            if e in memory:
                continue
            if len(memory) == slots:
                later = {
                    one: next((t for t in range(step + 1, len(requests)) if one in requests[t]), len(requests))
                    for one in memory
                    if one not in needed
                }
                memory.remove(max(later, key=later.get))
            memory.add(e)
            loads += 1
    return loads


@right
def sorted_by_next_use(requests, slots):
    uses = defaultdict(list)
    for step in reversed(range(len(requests))):
        for e in requests[step]:
            uses[e].append(step)
    memory, loads = [], 0
    for needed in requests:
        missing = [e for e in needed if e not in memory]
        loads += len(missing)
        for e in needed:
            uses[e].pop()
        others = [e for e in memory if e not in needed]
        others.sort(key=lambda e: uses[e][-1] if uses[e] else float("inf"))
        memory = needed + others[: slots - len(needed)]
    return loads


@right
def every_choice(requests, slots):
    @cache
    def rest(step, memory):
        if step == len(requests):
            return 0
        needed = frozenset(requests[step])
        kept = min(slots - len(needed), len(memory - needed))
        choices = combinations(memory - needed, kept)
        return len(needed - memory) + min(rest(step + 1, needed | set(choice)) for choice in choices)

    return rest(0, frozenset())


@right
def all_states_forward(requests, slots):
    cost = {frozenset(): 0}
    for needed in map(frozenset, requests):
        after = {}
        for memory, loads in cost.items():
            others = memory - needed
            for choice in combinations(others, min(len(others), slots - len(needed))):
                state, n = needed | set(choice), loads + len(needed - memory)
                after[state] = min(after.get(state, n), n)
        cost = after
    return min(cost.values())


@right
def gaps_that_can_be_kept(requests, slots):
    """A gap between two uses of an expert is bridged in memory where there is room, those that end first before others."""
    last, gaps = {}, []
    for step, needed in enumerate(requests):
        for e in needed:
            if e in last:
                gaps.append((step, last[e]))
            last[e] = step
    room = [slots - len(needed) for needed in requests]
    kept = 0
    for end, start in sorted(gaps, key=lambda gap: (gap[0], -gap[1])):
        between = range(start + 1, end)
        if all(room[t] > 0 for t in between):
            kept += 1
            for t in between:
                room[t] -= 1
    return sum(map(len, requests)) - kept


@right
def next_use_precomputed(requests, slots):
    """Next uses in a table from back to front, sorted list."""
    n = len(requests)
    nxt, seen = [None] * n, {}
    for t in range(n - 1, -1, -1):
        nxt[t] = {e: seen.get(e, n) for e in requests[t]}
        for e in requests[t]:
            seen[e] = t
    mem, loads = {}, 0
    for t, step in enumerate(requests):
        loads += sum(e not in mem for e in step)
        others = sorted((u, e) for e, u in mem.items() if e not in nxt[t])
        others = others[: slots - len(step)]
        mem = {e: u for u, e in others}
        mem.update(nxt[t])
    return loads


@right
def min_cost_bruteforce_dijkstra(requests, slots):
    """Dijkstra over (step, memory)."""
    heap, best, k = [(0, 0, 0, frozenset())], {}, 0
    while heap:
        cost, _, t, mem = heapq.heappop(heap)
        if t == len(requests):
            return cost
        if best.get((t, mem), 10**9) <= cost:
            continue
        best[t, mem] = cost
        need = frozenset(requests[t])
        rest = mem - need
        for keep in combinations(sorted(rest), min(slots - len(need), len(rest))):
            k += 1
            heapq.heappush(heap, (cost + len(need - mem), k, t + 1, need | frozenset(keep)))


@right
def plain_memo_one_evict(requests, slots):
    """Branch on every victim, one at a time, memo by frozenset."""

    @lru_cache(None)
    def go(t, mem):
        if t == len(requests):
            return 0
        need = frozenset(requests[t])

        @lru_cache(None)
        def shrink(m):
            if len(m) <= slots:
                return go(t + 1, m)
            return min(shrink(m - {e}) for e in m - need)

        return len(need - mem) + shrink(mem | need)

    return go(0, frozenset())


# ---- wrong: another rule --------------------------------------------------------------------------------------------

NEXT = "next((t for t in range(step + 1, len(requests)) if one in requests[t]), len(requests))"
GO = "memory.remove(max(later, key=later.get))"


@wrong("That is what LRU loads")
def least_recently_used(requests, slots):
    last, loads = {}, 0
    for step, needed in enumerate(requests):
        for e in sorted(needed):
            if e not in last:
                loads += 1
                if len(last) == slots:
                    del last[min((one for one in last if one not in needed), key=lambda one: (last[one], one))]
            last[e] = step
    return loads


@wrong("That is what LRU loads")
def ordered_dict(requests, slots):
    memory, loads = OrderedDict(), 0
    for needed in requests:
        for e in needed:
            if e in memory:
                memory.move_to_end(e)
        for e in needed:
            if e not in memory:
                loads += 1
                if len(memory) == slots:
                    memory.popitem(last=False)
                memory[e] = True
    return loads


@wrong("That is what first in, first out loads")
def queue(requests, slots):
    memory, loads = deque(), 0
    for needed in requests:
        for e in sorted(needed):
            if e not in memory:
                loads += 1
                if len(memory) == slots:
                    memory.remove(next(one for one in memory if one not in needed))
                memory.append(e)
    return loads


@wrong("That is what least frequently used loads")
def counted(requests, slots):
    memory, loads, used, last = set(), 0, Counter(), {}
    for step, needed in enumerate(requests):
        used.update(needed)
        last.update(dict.fromkeys(needed, step))
        for e in set(needed) - memory:
            loads += 1
            if len(memory) == slots:
                memory.remove(min(memory - set(needed), key=lambda one: (used[one], last[one], one)))
            memory.add(e)
    return loads


wrong("counted_lower_number", "That is what least frequently used loads", of=counted, put={
      "(used[one], last[one], one)": "(used[one], one)"})  # fmt: skip


@wrong("That is what least frequently used loads")
def counted_since_loaded(requests, slots):
    used, last, loads = {}, {}, 0
    for step, needed in enumerate(requests):
        for e in sorted(needed, key=lambda e: e not in used):
            last[e] = step
            if e not in used:
                loads += 1
                if len(used) == slots:
                    del used[
                        min((one for one in used if one not in needed), key=lambda one: (used[one], last[one], one))
                    ]
                used[e] = 0
            used[e] += 1
    return loads


wrong("most_recently_used", "That is what most recently used loads", of=least_recently_used, put={
      "(last[one], one)": "(-last[one], one)"})  # fmt: skip
wrong("min_of_the_next_uses", "What is needed again soonest makes room", of=belady, put={GO:
      "memory.remove(min(later, key=later.get))"})  # fmt: skip
wrong("never_is_0", "An expert that is never needed again stays", of=belady, put={", len(requests))\n": ", 0)\n"})
wrong("never_is_minus_1", "An expert that is never needed again stays", of=belady, put={", len(requests))\n":
      ", -1)\n"})  # fmt: skip
wrong("whole_list", "The next use is looked for from the start", of=belady, put={"range(step + 1, len(requests))":
      "range(len(requests))"})  # fmt: skip
wrong("last_use", "The last use decides, not the next one", of=belady, put={
      "next((t for t in range(step + 1, len(requests)) if one in requests[t]), len(requests))":
      "max((t for t in range(step + 1, len(requests)) if one in requests[t]), default=len(requests))"})  # fmt: skip


@wrong("How often it is needed again decides")
def future_uses(requests, slots):
    memory, loads = set(), 0
    for step, needed in enumerate(requests):
        again = Counter(e for later in requests[step + 1 :] for e in later)
        for e in sorted(set(needed) - memory):
            loads += 1
            if len(memory) == slots:
                memory.remove(min(sorted(memory - set(needed)), key=lambda one: again[one]))
            memory.add(e)
    return loads


wrong("one_step_ahead", "Only the next step is looked at", of=future_uses, put={"requests[step + 1 :]":
      "requests[step + 1 : step + 2]"})  # fmt: skip
wrong("any_that_is_free", "The lowest number makes room", of=future_uses, put={
      "min(sorted(memory - set(needed)), key=lambda one: again[one])": "min(memory - set(needed))"})  # fmt: skip

# ---- wrong: what a step needs ---------------------------------------------------------------------------------------

NEEDED = "An expert makes room that the step needs"


@wrong(NEEDED)
def one_after_the_other(requests, slots):
    return belady([[e] for needed in requests for e in needed], slots)


wrong("also_what_is_needed", NEEDED, of=belady, put={"                    if one not in needed\n": "",
      "for one in memory": "for one in sorted(memory)"})  # fmt: skip
wrong("also_what_is_needed_in_order", NEEDED, of=belady, put={"                    if one not in needed\n": "",
      "for one in memory": "for one in sorted(memory)", "for e in needed": "for e in sorted(needed)"})  # fmt: skip

# ---- wrong: what is counted -----------------------------------------------------------------------------------------

FIRST, SHARE = "The first loads are not counted", "A share, not a number"
END = "    return loads"
ALL = "sum(map(len, requests))"
EVER = "{e for needed in requests for e in needed}"


@wrong("The number of different experts")
def different(requests, slots):
    return len(set(sum(requests, [])))


wrong("evictions", FIRST, of=belady, put={GO: GO + "; loads += 1", "            loads += 1\n": ""})
wrong("loaded_again", FIRST, of=belady, put={END: f"    return loads - len({EVER})"})
wrong("memory_begins_with_the_first_step", FIRST, of=belady, put={"memory, loads = set(), 0":
      "memory, loads = set(requests[0]), 0"})  # fmt: skip
wrong("one_too_many", "One slot too many", of=belady, put={"len(memory) == slots": "len(memory) > slots"})
wrong("one_too_few", "One slot too few", of=belady, put={"len(memory) == slots": "len(memory) >= slots - 1",
      "memory.remove(max(later, key=later.get))": "memory.discard(max(later or memory or [e], key=lambda x: "
      "later.get(x, 0)))"})  # fmt: skip
wrong("hits", "Hits, not loads", of=belady, put={END: f"    return {ALL} - loads"})


@wrong("Every need is counted")
def all_needs(requests, slots):
    return sum(len(needed) for needed in requests)


@wrong("Steps are counted, not loads")
def steps_with_loads(requests, slots):
    before = [belady(requests[:n], slots) for n in range(len(requests) + 1)]
    whole, memory, steps = before[-1], set(), 0
    assert whole
    for step, needed in enumerate(requests):
        steps += bool(set(needed) - memory)
        others = sorted(memory - set(needed), key=lambda e: next(
            (t for t in range(step + 1, len(requests)) if e in requests[t]), len(requests)))  # fmt: skip
        memory = set(needed) | set(others[: slots - len(needed)])
    return steps


@wrong("The memory is emptied after each step")
def only_the_step_before(requests, slots):
    return sum(len(set(b) - set(a)) for a, b in zip([[]] + requests, requests))


wrong("miss_rate", SHARE, of=belady, put={END: f"    return loads / {ALL}"})
wrong("hit_rate", SHARE, of=belady, put={END: f"    return 1 - loads / {ALL}"})
wrong("loads_per_step", SHARE, of=belady, put={END: "    return loads / len(requests)"})
wrong("as_a_float", "A float, where a whole number is asked", of=belady, put={END: "    return float(loads)"})
wrong("all_loads_listed", "Not a whole number", of=belady, put={"memory, loads = set(), 0": "memory, loads = set(), []",
      "loads += 1": "loads.append(e)"})  # fmt: skip


@wrong("Fewer than can be")
def half(requests, slots):
    return belady(requests, slots) // 2


@wrong("More than are needed")
def highest_number_goes(requests, slots):
    memory, loads = set(), 0
    for needed in requests:
        for e in set(needed) - memory:
            loads += 1
            if len(memory) == slots:
                memory.remove(max(memory - set(needed)))
            memory.add(e)
    return loads


@wrong("Your function changed its input")
def emptied(requests, slots):
    memory, loads = [], 0
    while requests:
        needed = requests.pop(0)
        loads += len(set(needed) - set(memory))
        coming = [e for later in requests for e in later]
        others = [e for e in memory if e not in needed]
        others.sort(key=lambda e: next((t for t, later in enumerate(requests) if e in later), len(coming) + 1))
        memory = needed + others[: slots - len(needed)]
    return loads


@wrong("Fewer than can be")
def highest_of_the_step_goes(requests, slots):
    """With what the step has loaded itself among the first to go."""
    memory, loads = [], 0
    for step, needed in enumerate(requests):
        for e in needed:
            if e not in memory:
                loads += 1
                if len(memory) == slots:
                    memory.sort(key=lambda one: next(
                        (t for t in range(step + 1, len(requests)) if one in requests[t]), len(requests)))  # fmt: skip
                    memory.pop()
                memory.append(e)
    return loads


# ---- wrong, from readers of the text alone ---------------------------------------------------------------------------


@blind("An expert makes room that the step needs")
def no_pin(requests, slots):
    """May evict an expert that the step itself needs."""
    mem, loads = set(), 0
    for t, step in enumerate(requests):
        for e in step:
            if e in mem:
                continue
            loads += 1
            if len(mem) >= slots:

                def nxt(x, t=t):
                    return next((u for u in range(t + 1, len(requests)) if x in requests[u]), 10**9)

                mem.remove(max(mem, key=nxt))
            mem.add(e)
    return loads


@blind("More than are needed")
def next_includes_now_off(requests, slots):
    """Looks for the next use from t+2 on."""
    mem, loads = set(), 0
    for t, step in enumerate(requests):
        need = set(step)
        loads += len(need - mem)
        mem |= need
        while len(mem) > slots:

            def nxt(e, t=t):
                return next((u for u in range(t + 2, len(requests)) if e in requests[u]), 10**9)

            mem.remove(max(mem - need, key=nxt))
    return loads


@blind("The last use decides, not the next one")
def blind_last_use(requests, slots):
    """Evicts the one whose last use in the whole is latest."""
    mem, loads = set(), 0
    for step in requests:
        need = set(step)
        loads += len(need - mem)
        mem |= need
        while len(mem) > slots:
            mem.remove(max(mem - need, key=lambda e: max(u for u in range(len(requests)) if e in requests[u])))
    return loads


@blind("Only as many make room as have to")
def drop_as_many(requests, slots):
    """Evicts one per load although there is still room."""
    mem, loads = set(), 0
    for t, step in enumerate(requests):
        need = set(step)
        new = need - mem
        loads += len(new)

        def nxt(e, t=t):
            return next((u for u in range(t + 1, len(requests)) if e in requests[u]), 10**9)

        if len(mem) + len(new) > slots:
            for _ in new:
                if mem - need:
                    mem.remove(max(mem - need, key=nxt))
        mem |= need
    return loads


@blind("Memory gets too full")
def evict_one(requests, slots):
    """Evicts at most one per step."""
    mem, loads = set(), 0
    for t, step in enumerate(requests):
        need = set(step)
        loads += len(need - mem)
        mem |= need

        def nxt(e, t=t):
            return next((u for u in range(t + 1, len(requests)) if e in requests[u]), 10**9)

        if len(mem) > slots:
            mem.remove(max(mem - need, key=nxt))
    return loads


@blind("Nothing to choose from")
def index_error(requests, slots):
    """Crashes when an expert is never used again (next without default)."""
    mem, loads = set(), 0
    for t, step in enumerate(requests):
        need = set(step)
        loads += len(need - mem)
        mem |= need
        while len(mem) > slots:
            mem.remove(
                max(mem - need, key=lambda e, t=t: min(u for u in range(t + 1, len(requests)) if e in requests[u]))
            )
    return loads


@blind("An expert makes room that the step needs")
def next_from_now(requests, slots):
    """Next use searched from t, step's own experts not protected."""
    mem, loads = set(), 0
    for t, step in enumerate(requests):
        need = set(step)
        loads += len(need - mem)
        mem |= need
        while len(mem) > slots:

            def nxt(e, t=t):
                return next((u for u in range(t + 1, len(requests)) if e in requests[u]), 10**9)

            mem.remove(max(mem, key=nxt))
    return loads


@blind("Wrong where a step needs several experts")
def interval_by_start(requests, slots):
    """Interval greedy but sorted by the length only."""
    last, gaps = {}, []
    for t, step in enumerate(requests):
        for e in step:
            if e in last:
                gaps.append((t - last[e], last[e], t))
            last[e] = t
    cap = [slots - len(s) for s in requests]
    saved = 0
    for _, start, end in sorted(gaps):
        if all(cap[u] > 0 for u in range(start + 1, end)):
            for u in range(start + 1, end):
                cap[u] -= 1
            saved += 1
    return sum(map(len, requests)) - saved


@blind("More than are needed")
def bool_any_future(requests, slots):
    """Evicts one that's never needed again, otherwise LRU."""
    last, n = {}, 0
    for t, s in enumerate(requests):
        need = set(s)
        n += len(need - set(last))
        for e in s:
            last[e] = t
        while len(last) > slots:
            c = [e for e in last if e not in need]
            del last[min(c, key=lambda e, t=t: (any(e in x for x in requests[t + 1 :]), last[e], e))]
    return n


@blind("More than are needed")
def memo_t_only(requests, slots):
    """Memo key is only the step."""
    memo = {}

    def go(t, mem):
        if t == len(requests):
            return 0
        if t not in memo:
            need = frozenset(requests[t])
            rest = mem - need
            memo[t] = len(need - mem) + min(
                go(t + 1, need | frozenset(k)) for k in combinations(sorted(rest), min(slots - len(need), len(rest)))
            )
        return memo[t]

    return go(0, frozenset())


@blind("An expert makes room that the step needs")
def bypass_dp(requests, slots):
    """An expert can be used without being kept, while memory stays full."""
    states = {frozenset(): 0}
    for s in requests:
        need = frozenset(s)
        new = {}
        for mem, c in states.items():
            pool = sorted(mem | need)
            for k in combinations(pool, min(slots, len(pool))):
                k = frozenset(k)
                v = c + len(need - mem)
                if v < new.get(k, 10**9):
                    new[k] = v
        states = new
    return min(states.values())


@blind("Only as many make room as have to")
def clear(requests, slots):
    """Clears the memory when full."""
    mem, n = set(), 0
    for s in requests:
        new = set(s) - mem
        n += len(new)
        mem = (mem | new) if len(mem | new) <= slots else set(s)
    return n


@blind("Only some steps ahead are looked at")
def within_window(requests, slots):
    """Window of slots steps ahead."""
    mem, n = set(), 0
    for t, s in enumerate(requests):
        n += len(set(s) - mem)
        mem |= set(s)

        def f(e, t=t):
            return next((u for u in range(t + 1, min(len(requests), t + 1 + slots)) if e in requests[u]), 10**9)

        while len(mem) > slots:
            mem.remove(max(mem - set(s), key=lambda e, f=f: (f(e), e)))
    return n


@blind("Wrong where a step needs several experts")
def next_only_alone(requests, slots):
    """Next use looked for as `[e] in` the first place: only if e is the first of the step."""
    mem, n = set(), 0
    for t, s in enumerate(requests):
        n += len(set(s) - mem)
        mem |= set(s)

        def f(e, t=t):
            return next((u for u in range(t + 1, len(requests)) if requests[u][0] == e), 10**9)

        while len(mem) > slots:
            mem.remove(max(mem - set(s), key=f))
    return n


@blind("Full memory stays as it is")
def never_evict_stop(requests, slots):
    """Memory is filled once, then stays; others loaded each time."""
    mem, n = set(), 0
    for s in requests:
        for e in s:
            if e not in mem:
                n += 1
                if len(mem) < slots:
                    mem.add(e)
    return n


blind("without_the_last_step", "The last step is left out", of=belady, put={
      "memory, loads = set(), 0": "memory, loads, requests = set(), 0, requests[:-1]"})  # fmt: skip
