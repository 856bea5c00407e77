"""Answers to exercise 12.2, lru: right ones, and wrong ones with the message that they must get."""

import heapq
from collections import Counter, OrderedDict

import numpy as np
import torch
from answers import ANY, blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def dict_of_last_uses(requests, slots):
    last, loaded = {}, []
    for step, needed in enumerate(requests):
        missing = [e for e in needed if e not in last]
        for e in needed:
            last[e] = step
        while len(last) > slots:
            del last[min(last, key=lambda e: (last[e], e))]
        loaded.append(sorted(missing))
    return loaded


@right
def set_and_times(requests, slots):
    memory, used, loaded = set(), {}, []
    for step, needed in enumerate(requests):
        missing = set(needed) - memory
        for e in sorted(missing):
            if len(memory) == slots:
                away = min(memory - set(needed), key=lambda e: (used[e], e))
                memory.remove(away)
            memory.add(e)
        for e in needed:
            used[e] = step
        loaded.append(sorted(missing))
    return loaded


@right
def ordered_dict(requests, slots):
    """The longest unused one stands first; experts of one step come in ascending order."""
    memory, loaded = OrderedDict(), []
    for needed in requests:
        loaded.append(sorted(e for e in needed if e not in memory))
        for e in sorted(needed):
            memory[e] = True
            memory.move_to_end(e)
        while len(memory) > slots:
            memory.popitem(last=False)
    return loaded


@right
def list_of_recency(requests, slots):
    memory, loaded = [], []
    for needed in requests:
        loaded.append(sorted(set(needed).difference(memory)))
        memory = [e for e in memory if e not in needed] + sorted(needed)
        memory = memory[-slots:]
    return loaded


@right
def nothing_is_held(requests, slots):
    """Whatever was used last is in memory: it follows from the uses so far."""
    used, loaded = {}, []
    for step, needed in enumerate(requests):
        memory = sorted(used, key=lambda e: (used[e], e))[-slots:]
        loaded.append(sorted(set(needed) - set(memory)))
        used.update(dict.fromkeys(needed, step))
    return loaded


@right
def heap_of_uses(requests, slots):
    """Old entries of the heap are passed over."""
    heap, last, loaded = [], {}, []
    for step, needed in enumerate(requests):
        loaded.append(sorted(e for e in needed if e not in last))
        for e in needed:
            last[e] = step
            heapq.heappush(heap, (step, e))
        while len(last) > slots:
            when, e = heapq.heappop(heap)
            if last.get(e) == when:
                del last[e]
    return loaded


@right
def ages_in_numpy(requests, slots):
    """How long ago each expert was used; −1 for one that is not in memory."""
    ages = np.full(1 + max(e for needed in requests for e in needed), -1)
    loaded = []
    for needed in requests:
        needed = np.array(needed)
        loaded.append(sorted(needed[ages[needed] < 0]))
        ages[ages >= 0] += 1
        ages[needed] = 0
        for _ in range(int((ages >= 0).sum()) - slots):
            ages[ages.argmax()] = -1
    return loaded


@right
def with_a_class(requests, slots):
    class Cache:
        def __init__(self):
            self.slots = [None] * min(slots, 10_000)
            self.used = {}

        def place(self, needed):
            if None in self.slots:
                return self.slots.index(None)
            free = [i for i, e in enumerate(self.slots) if e not in needed]
            return min(free, key=lambda i: (self.used[self.slots[i]], self.slots[i]))

        def serve(self, step, needed):
            new = [e for e in needed if e not in self.slots]
            for e in new:
                self.slots[self.place(needed)] = e
            self.used |= {e: step for e in needed}
            return sorted(new)

    cache = Cache()
    return [cache.serve(step, needed) for step, needed in enumerate(requests)]


@right
def stack_distance(requests, slots):
    """Without a memory: order all experts by last use."""
    order, out = [], []
    for step in requests:
        rest = [e for e in order if e not in step]
        inmem = set(order[:slots])
        out.append(sorted(e for e in step if e not in inmem))
        order = sorted(step, reverse=True) + rest
    return out


@right
def recursive(requests, slots):
    """Recursion with a tuple of groups."""

    def go(i, mem):
        if i == len(requests):
            return []
        step = requests[i]
        loads = sorted(e for e in step if e not in mem)
        kept = tuple(e for e in mem if e not in step)
        new = kept + tuple(sorted(step))
        return [loads] + go(i + 1, new[-slots:])

    return go(0, ())


@right
def rescan(requests, slots):
    """The memory's content recomputed by looking back in the requests."""
    out = []
    for t, step in enumerate(requests):
        mem = []
        for back in range(t - 1, -1, -1):
            for e in sorted(requests[back], reverse=True):
                if e not in mem:
                    mem.append(e)
        out.append(sorted(set(step) - set(mem[:slots])))
    return out


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------

LEAST = "key=lambda e: (used[e], e))"
REFRESH = "        for e in needed:\n            used[e] = step\n"

wrong("first_in", "First in, first out", of=set_and_times,
      put={REFRESH: "        for e in missing:\n            used[e] = step\n"})  # fmt: skip


@wrong("First in, first out")
def queue(requests, slots):
    memory, loaded = [], []
    for needed in requests:
        missing = [e for e in needed if e not in memory]
        memory += missing
        while len(memory) > slots:
            memory.remove(next(e for e in memory if e not in needed))
        loaded.append(sorted(missing))
    return loaded


wrong(
    "most_recent", "The most recently used one made room", of=set_and_times, put={LEAST: "key=lambda e: (-used[e], e))"}
)
wrong("max_in_place_of_min", "The most recently used one made room", of=set_and_times, put={"= min(": "= max("})


@wrong("The least frequently used one made room")
def frequency(requests, slots):
    memory, times, loaded = set(), Counter(), []
    for needed in requests:
        missing = set(needed) - memory
        for e in sorted(missing):
            if len(memory) == slots:
                memory.remove(min(memory - set(needed), key=lambda e: (times[e], e)))
            memory.add(e)
        times.update(needed)
        loaded.append(sorted(missing))
    return loaded


wrong("frequency_since_loaded", "The least frequently used one made room", of=dict_of_last_uses,
      put={"last[e] = step": "last[e] = last.get(e, 0) + 1",
           "min(last, key": "min(set(last) - set(needed), key"})  # fmt: skip
wrong("lowest_number", "The lowest number made room", of=set_and_times, put={", " + LEAST: ")"})
wrong("highest_number", "The highest number made room", of=set_and_times, put={LEAST: "key=lambda e: -e)"})
wrong("highest_of_equals", "Of equals, the lowest number makes room first", of=set_and_times,
      put={LEAST: "key=lambda e: (used[e], -e))"})  # fmt: skip
wrong("as_they_are_listed", "Of equals, the lowest number makes room first", of=ordered_dict,
      put={"in sorted(needed):": "in needed:"})  # fmt: skip
wrong("recency_as_listed", "Of equals, the lowest number makes room first", of=list_of_recency,
      put={"+ sorted(needed)": "+ needed"})  # fmt: skip


@wrong("Of equals, the lowest number makes room first")
def hits_before_loads(requests, slots):
    memory, loaded = OrderedDict(), []
    for needed in requests:
        missing = sorted(e for e in needed if e not in memory)
        for e in sorted(set(needed).intersection(memory)):
            memory.move_to_end(e)
        for e in missing:
            if len(memory) == slots:
                del memory[next(other for other in memory if other not in needed)]
            memory[e] = True
        loaded.append(missing)
    return loaded


@wrong("An expert that the step needs made room")
def one_after_the_other(requests, slots):
    memory, loaded = {}, []
    for step, needed in enumerate(requests):
        missing = []
        for e in needed:
            if e not in memory:
                if len(memory) == slots:
                    del memory[min(memory, key=lambda e: (memory[e], e))]
                missing.append(e)
            memory[e] = step
        loaded.append(sorted(missing))
    return loaded


wrong("ascending_one_by_one", "An expert that the step needs made room", of=one_after_the_other,
      put={"for e in needed": "for e in sorted(needed)"})  # fmt: skip
wrong("own_ones_not_spared", "An expert that the step needs made room", of=set_and_times,
      put={"memory - set(needed)": "memory", "(used[e], e)": "(used.get(e, step), e)"})  # fmt: skip


@wrong("An expert that the step needs made room")
def textbook_ordered_dict(requests, slots):
    memory, loaded = OrderedDict(), []
    for needed in requests:
        missing = []
        for e in needed:
            if e in memory:
                memory.move_to_end(e)
                continue
            if len(memory) >= slots:
                memory.popitem(last=False)
            memory[e] = True
            missing.append(e)
        loaded.append(sorted(missing))
    return loaded


wrong("nobody_goes", "No expert makes room", of=set_and_times,
      put={"if len(memory) == slots:": "if len(memory) < 0:"})  # fmt: skip
wrong("known_by_last_use", "No expert makes room", of=set_and_times,
      put={"set(needed) - memory": "set(needed) - set(used)", "if len(memory) == slots:": "if len(memory) < 0:"})  # fmt: skip
wrong("one_slot_more", "One slot too many", of=dict_of_last_uses, put={"> slots": "> slots + 1"})
wrong("one_slot_fewer", "One slot too few", of=dict_of_last_uses,
      put={"while len(last) > slots": "while len(last) >= max(slots, len(needed) + 1)"})  # fmt: skip
wrong("new_memory_each_step", "Memory stays from step to step", of=set_and_times,
      put={"        missing =": "        memory = set()\n        missing ="})  # fmt: skip
wrong(
    "each_step_anew",
    "Memory stays from step to step",
    of=list_of_recency,
    put={"set(needed).difference(memory)": "needed"},
)
wrong("only_the_last_step", "Memory stays from step to step", of=list_of_recency,
      put={"memory = memory[-slots:]": "memory = sorted(needed)"})  # fmt: skip
wrong("cleared", "Only as many make room as have to", of=list_of_recency,
      put={"memory = memory[-slots:]": "memory = sorted(needed) if len(memory) > slots else memory"})  # fmt: skip
wrong("room_for_hits", "Room for what is there already", of=list_of_recency,
      put={"memory = [e for e in memory if e not in needed] + sorted(needed)":
           "stay = [e for e in memory if e not in needed]\n"
           "        stay = stay[max(0, len(memory) + len(needed) - slots) :]\n"
           "        memory = stay + sorted(needed)"})  # fmt: skip
wrong("gone_and_asked_again", "One that is gone makes room once more", of=set_and_times,
      put={"== slots": ">= slots", "min(memory - set(needed), ": "min(set(used) - set(needed), ", "memory.remove": "memory.discard"})  # fmt: skip
wrong("what_was_there", "What was there, not what was loaded", of=set_and_times,
      put={"missing = set(needed) - memory": "hits, missing = set(needed) & memory, set(needed) - memory",
           "loaded.append(sorted(missing))": "loaded.append(sorted(hits))"})  # fmt: skip
wrong("memory_after", "What is in memory, not what was loaded", of=set_and_times,
      put={"loaded.append(sorted(missing))": "loaded.append(sorted(memory))"})  # fmt: skip
wrong("memory_before", "What is in memory, not what was loaded", of=list_of_recency,
      put={"sorted(set(needed).difference(memory))": "sorted(memory)"})  # fmt: skip


@wrong("What made room, not what was loaded")
def the_evicted(requests, slots):
    last, gone = {}, []
    for step, needed in enumerate(requests):
        for e in needed:
            last[e] = step
        order = sorted(last, key=lambda e: (last[e], e))
        away = order[: max(0, len(last) - slots)]
        for e in away:
            del last[e]
        gone.append(sorted(away))
    return gone


wrong("counts", "How many, not which", of=dict_of_last_uses, put={"sorted(missing)": "len(missing)"})
wrong("in_one_list", "One list per step", of=dict_of_last_uses,
      put={"loaded.append(sorted(missing))": "loaded.extend(sorted(missing))"})  # fmt: skip
wrong("without_empty_steps", "One list per step", of=dict_of_last_uses,
      put={"loaded.append(sorted(missing))": "loaded += [sorted(missing)] if missing else []"})  # fmt: skip
wrong("only_the_last", "One list per step", of=dict_of_last_uses, put={"return loaded": "return loaded[-1]"})
wrong("a_total", "Not a list", of=dict_of_last_uses, put={"return loaded": "return sum(map(len, loaded))"})
wrong("as_listed", "Not in ascending order", of=dict_of_last_uses, put={"sorted(missing)": "missing"})
wrong("descending", "Not in ascending order", of=dict_of_last_uses, put={"sorted(missing)": "sorted(missing)[::-1]"})
wrong(
    "as_sets", "Not a list of ints", of=set_and_times, put={"loaded.append(sorted(missing))": "loaded.append(missing)"}
)
wrong("as_tuples", "Not a list of ints", of=dict_of_last_uses, put={"sorted(missing)": "tuple(sorted(missing))"})
wrong(
    "as_tensors", "Not a list of ints", of=dict_of_last_uses, put={"sorted(missing)": "torch.tensor(sorted(missing))"}
)
wrong("as_floats", "Not a list of ints", of=dict_of_last_uses, put={"sorted(missing)": "sorted(map(float, missing))"})
wrong("with_memory", "Not a list", of=set_and_times, put={"return loaded": "return loaded, memory"})
wrong("a_tuple_of_lists", "Not a list", of=set_and_times, put={"return loaded": "return tuple(loaded)"})
wrong("step_by_step", "A generator, not a result", of=dict_of_last_uses,
      put={"loaded.append(sorted(missing))": "yield sorted(missing)", "    return loaded": "    return"})  # fmt: skip
wrong("sorts_the_requests", "Your function changed its input", of=dict_of_last_uses,
      put={"        missing =": "        needed.sort()\n        missing ="})  # fmt: skip
wrong("takes_from_the_requests", "Your function changed its input", of=dict_of_last_uses,
      put={"    return loaded": "    requests.clear()\n    return loaded"})  # fmt: skip


@wrong("Memory is empty at the start")
def memory_that_stays(requests, slots, memory={}):  # noqa: B006
    loaded = []
    for needed in requests:
        loaded.append(sorted(e for e in needed if e not in memory))
        for e in sorted(needed):
            memory.pop(e, None)
            memory[e] = True
        while len(memory) > slots:
            del memory[next(iter(memory))]
    return loaded


@wrong("An expert is loaded twice in one step")
def loaded_twice(requests, slots):
    return [sorted(2 * row) for row in dict_of_last_uses(requests, slots)]


@wrong("Loaded, though the step does not need it")
def loads_the_next_one_too(requests, slots):
    return [sorted({*row, *(e + 1 for e in row)}) for row in dict_of_last_uses(requests, slots)]


@wrong("A step loads other experts")
def second_longest_unused(requests, slots):
    memory, used, loaded = set(), {}, []
    for step, needed in enumerate(requests):
        missing = set(needed) - memory
        for e in sorted(missing):
            if len(memory) == slots:
                memory.remove(sorted(memory - set(needed), key=lambda e: (used[e], e))[:2][-1])
            memory.add(e)
        used |= dict.fromkeys(needed, step)
        loaded.append(sorted(missing))
    return loaded


@wrong("Changed while a loop goes through it")
def deletes_in_the_loop(requests, slots):
    last, loaded = {}, []
    for step, needed in enumerate(requests):
        loaded.append(sorted(e for e in needed if e not in last))
        for e in needed:
            last[e] = step
        for e in last:
            if len(last) > slots and last[e] < step:
                del last[e]
    return loaded


wrong("no_one_to_choose", "No expert is left that could make room", of=set_and_times,
      put={"== slots": "< slots"})  # fmt: skip
wrong("not_noted", "An expert is looked up that is not there", of=set_and_times, put={REFRESH: ""})


@wrong(ANY)  # all cases are right: there is no expert 255 in them
def expert_numbers_in_a_byte(requests, slots):
    return dict_of_last_uses([[e % 256 for e in needed] for needed in requests], slots)


@wrong(ANY)  # the same, for a text of hundreds of steps
def forgets_late_steps(requests, slots):
    return dict_of_last_uses(requests[:300], slots) + [[] for _ in requests[300:]]


# ---- wrong, from readers of the text alone ---------------------------------------------------------------------------


@blind("One slot too few")
def slots_minus_1_raw(requests, slots):
    """Off by one: slots-1 (trim after each step)."""
    queue, out = [], []
    for step in requests:
        out.append(sorted(set(step) - set(queue)))
        queue = [e for e in queue if e not in step] + sorted(step)
        while len(queue) >= slots:
            queue.pop(0)
    return out


@blind("Memory gets too full")
def evict_one_only(requests, slots):
    """Evicts only one expert a step even if more have to go."""
    last, out = {}, []
    for t, step in enumerate(requests):
        loads = sorted(e for e in step if e not in last)
        if len(last) + len(loads) > slots:
            del last[min((e for e in last if e not in step), key=lambda e: (last[e], e))]
        for e in step:
            last[e] = t
        out.append(loads)
    return out


@blind("Only as many make room as have to")
def drop_all_unneeded(requests, slots):
    """Evicts as many as loads even if there is still room."""
    last, out = {}, []
    for t, step in enumerate(requests):
        loads = sorted(e for e in step if e not in last)
        if len(last) + len(loads) > slots:
            for _ in loads:
                c = [e for e in last if e not in step]
                if c:
                    del last[min(c, key=lambda e: (last[e], e))]
        for e in step:
            last[e] = t
        out.append(loads)
    return out


@blind("A use is not noted")
def loads_not_used(requests, slots):
    """Only hits get a stamp; a fresh load counts as -1."""
    last, out = {}, []
    for t, step in enumerate(requests):
        loads = sorted(e for e in step if e not in last)
        while len(last) + len(loads) > slots:
            del last[min((e for e in last if e not in step), key=lambda e: (last[e], e))]
        for e in step:
            last[e] = t if e in last else -1
        out.append(loads)
    return out


@blind("A step loads other experts")
def refresh_before_evict_key(requests, slots):
    """Hits pinned, but fresh loads of this step can be evicted (stamp set at the end)."""
    last, out = {}, []
    for t, step in enumerate(requests):
        loads = []
        for e in sorted(step):
            if e in last:
                last[e] = t
        for e in sorted(step):
            if e not in last:
                if len(last) >= slots:
                    del last[min(last, key=lambda x: (last[x], x))]
                last[e] = t - 1
                loads.append(e)
        out.append(sorted(loads))
    return out


@blind("An expert that the step needs made room")
def pin_too_late(requests, slots):
    """Evicts before marking, victim may be needed by the step, then reloaded and counted."""
    last, out = {}, []
    for t, step in enumerate(requests):
        loads = set(e for e in step if e not in last)
        n = len(last) + len(loads) - slots
        for v in sorted(last, key=lambda e: (last[e], e))[: max(n, 0)]:
            del last[v]
        loads = sorted(e for e in step if e not in last)
        for e in step:
            last[e] = t
        out.append(loads)
    return out


@blind("Full memory stays as it is")
def stop_when_full(requests, slots):
    """Loads only while there is room, never evicts."""
    mem, out = set(), []
    for step in requests:
        new = sorted(set(step) - mem)
        out.append(new)
        for e in new:
            if len(mem) < slots:
                mem.add(e)
    return out


@blind("An expert that the step needs made room")
def last_use_lost(requests, slots):
    """A hit removes expert from order (forgets to reappend)."""
    queue, out = [], []
    for step in requests:
        loads = sorted(e for e in step if e not in queue)
        queue = [e for e in queue if e not in step] + loads
        queue = queue[max(0, len(queue) - slots) :]
        out.append(loads)
    return out


@blind("Step 0 counts as never")
def falsy(requests, slots):
    """Last use in step 0 is falsy: `if not last.get(e)`."""
    last, out = {}, []
    for t, step in enumerate(requests):
        loads = sorted(e for e in step if not last.get(e))
        n = len(set(last) | set(step)) - slots
        for _ in range(n):
            del last[min((e for e in last if e not in step), key=lambda e: (last[e], e))]
        for e in step:
            last[e] = t
        out.append(loads)
    return out


@blind("Memory gets too full")
def check_before_growth(requests, slots):
    """Room checked before the loads are put in: memory overfull."""
    last, out = {}, []
    for t, step in enumerate(requests):
        loads = sorted(e for e in step if e not in last)
        for e in loads:
            if len(last) >= slots:
                c = [x for x in last if x not in step]
                if c:
                    del last[min(c, key=lambda e: (last[e], e))]
        for e in step:
            last[e] = t
        out.append(loads)
    return out


@blind("An expert that the step needs made room")
def pins_loads_only(requests, slots):
    """Protects what it has just loaded, not what was there and is needed."""
    last, out = {}, []
    for t, step in enumerate(requests):
        got = []
        for e in sorted(step):
            if e not in last:
                if len(last) >= slots:
                    del last[min((x for x in last if x not in got), key=lambda e: (last[e], e))]
                last[e] = t
                got.append(e)
        for e in step:
            last[e] = t
        out.append(sorted(got))
    return out


@blind("All entries are the same list")
def same_list(requests, slots):
    """Appends one list object that is cleared."""
    last, out, got = {}, [], []
    for t, step in enumerate(requests):
        got.clear()
        got.extend(sorted(e for e in step if e not in last))
        while len(last) + len(got) > slots:
            del last[min((e for e in last if e not in step), key=lambda e: (last[e], e))]
        for e in step:
            last[e] = t
        out.append(got)
    return out


@blind("Of equals, the lowest number makes room first")
def tie_not_broken(requests, slots):
    """No rule for ties: the first in the dict (order of insertion)."""
    last, out = {}, []
    for t, step in enumerate(requests):
        loads = sorted(e for e in step if e not in last)
        while len(last) + len(loads) > slots:
            del last[min((e for e in last if e not in step), key=last.get)]
        for e in step:
            last[e] = t
        out.append(loads)
    return out


@blind("A use is not noted")
def slots_new_per_step(requests, slots):
    """Returns early when nothing to load (continue without append and stamp)."""
    last, out = {}, []
    for t, step in enumerate(requests):
        loads = sorted(e for e in step if e not in last)
        if not loads:
            out.append([])
            continue
        while len(last) + len(loads) > slots:
            del last[min((e for e in last if e not in step), key=lambda e: (last[e], e))]
        for e in step:
            last[e] = t
        out.append(loads)
    return out


@blind("Only as many make room as have to")
def evict_all_older(requests, slots):
    """All experts of the oldest step make room together."""
    last, out = {}, []
    for t, step in enumerate(requests):
        loads = sorted(e for e in step if e not in last)
        while len(last) + len(loads) > slots:
            old = min(last[e] for e in last if e not in step)
            for e in [e for e in last if last[e] == old and e not in step]:
                del last[e]
        for e in step:
            last[e] = t
        out.append(loads)
    return out


@blind("The longest unused makes room, not the newest")
def neg_slice(requests, slots):
    """LRU over all steps, queue cut from the wrong side."""
    q, out = [], []
    for step in requests:
        out.append(sorted(set(step) - set(q)))
        q = ([e for e in q if e not in step] + sorted(step))[:slots]
    return out


@blind("Memory is empty at the start")
def last_uses_in_a_default_argument(requests, slots, last={}):  # noqa: B006
    out = []
    for t, step in enumerate(requests):
        loads = sorted(e for e in step if e not in last)
        while len(last) + len(loads) > slots:
            del last[min((e for e in last if e not in step), key=lambda e: (last[e], e))]
        for e in step:
            last[e] = t
        out.append(loads)
    return out


@blind("The loads of the first step are missing")
def one_first_step(requests, slots):
    queue, out = [], []
    for i, step in enumerate(requests):
        out.append(sorted(set(step) - set(queue)) if i else [])
        queue = [e for e in queue if e not in step] + sorted(step)
        queue = queue[max(0, len(queue) - slots) :]
    return out
