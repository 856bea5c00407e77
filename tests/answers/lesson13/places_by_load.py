"""Answers to exercise 13.4, places_by_load: right ones, and wrong ones with the message that they must get."""

import heapq

import torch
from answers import ANY, blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def two_lists(load, n_devices):
    room = len(load) // n_devices
    busy, held = [0] * n_devices, [0] * n_devices
    places = torch.zeros(len(load), dtype=torch.int64)
    for e in load.argsort(descending=True, stable=True).tolist():
        free = [d for d in range(n_devices) if held[d] < room]
        device = min(free, key=lambda d: (busy[d], d))
        places[e] = device
        busy[device] += int(load[e])
        held[device] += 1
    return places


@right
def heap(load, n_devices):
    loads, room = load.tolist(), len(load) // n_devices
    devices = [(0, d, 0) for d in range(n_devices)]
    places = [0] * len(loads)
    for e in sorted(range(len(loads)), key=lambda e: (-loads[e], e)):
        busy, device, held = heapq.heappop(devices)
        places[e] = device
        if held + 1 < room:
            heapq.heappush(devices, (busy + loads[e], device, held + 1))
    return torch.tensor(places)


@right
def tensors(load, n_devices):
    room = len(load) // n_devices
    busy, held = torch.zeros(n_devices), torch.zeros(n_devices, dtype=torch.int64)
    places = torch.empty_like(load)
    for e in load.sort(descending=True, stable=True).indices:
        device = torch.where(held < room, busy, float("inf")).argmin()
        places[e] = device
        busy[device] += load[e]
        held[device] += 1
    return places


@right
def loops_alone(load, n_devices):
    left = dict(enumerate(load.tolist()))
    inside = {d: [] for d in range(n_devices)}
    while left:
        largest = None
        for e in left:
            if largest is None or left[e] > left[largest]:
                largest = e
        chosen = None
        for d in range(n_devices):
            if len(inside[d]) < len(load) // n_devices:
                if chosen is None or sum(w for _, w in inside[d]) < sum(w for _, w in inside[chosen]):
                    chosen = d
        inside[chosen].append((largest, left.pop(largest)))
    places = torch.zeros(len(load), dtype=torch.int64)
    for d, experts in inside.items():
        for e, _ in experts:
            places[e] = d
    return places


@right
def asked_of_the_answer(load, n_devices):
    """What a device has is worked out anew from the places so far."""
    places = torch.full((len(load),), -1)
    for _ in range(len(load)):
        e = int(torch.where(places < 0, load, -1).argmax())
        busy = [(int(load[places == d].sum()), d) for d in range(n_devices)
                if (places == d).sum() < len(load) // n_devices]  # fmt: skip
        places[e] = min(busy)[1]
    return places


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------

ROOM, SMALLEST = "A device gets more experts than it has room for", "The smallest load comes first"
DEVICES, EXPERTS = "Equal devices: the lower number comes first", "Equal experts: the lower number comes first"
BLOCKS, TURNS = "One device is filled after the other", "In turn, whatever the devices have"
LISTS, LOADS = "The experts of the devices, not the device of each expert", "Loads, not devices"
FULL, IDLE = "If a device is full, the loads still decide", "Experts without tokens are placed as well"
KEY, ORDER = "key=lambda d: (busy[d], d)", "load.argsort(descending=True, stable=True).tolist()"
END = "    return places"

wrong("no_room", ROOM, of=two_lists, put={" if held[d] < room": ""})
wrong("one_more", ROOM, of=two_lists, put={"held[d] < room": "held[d] <= room"})
wrong("ascending", SMALLEST, of=two_lists, put={"descending=True, ": ""})
wrong("by_number", "In the order of their numbers", of=two_lists, put={ORDER: "range(len(load))"})
wrong("fewest_experts", TURNS, of=two_lists, put={KEY: "key=lambda d: (held[d], d)"})
wrong("fewest_then_least", "The device with the fewest experts", of=two_lists, put={KEY: "key=lambda d: (held[d], "
      "busy[d], d)"})  # fmt: skip
wrong(
    "mean_load",
    "The loads of all experts on a device count",
    of=two_lists,
    put={KEY: "key=lambda d: busy[d] / max(held[d], 1)"},
)
wrong("busiest", BLOCKS, of=two_lists, put={"min(free, key=lambda d: (busy[d], d))":
      "max(free, key=lambda d: (busy[d], -d))"})  # fmt: skip
wrong("higher_device", DEVICES, of=two_lists, put={KEY: "key=lambda d: (busy[d], -d)"})
wrong("fewer_of_equals", DEVICES, of=two_lists, put={KEY: "key=lambda d: (busy[d], held[d], d)"})
wrong("fuller_of_equals", DEVICES, of=two_lists, put={KEY: "key=lambda d: (busy[d], -held[d], d)"})
wrong("higher_expert", EXPERTS, of=two_lists, put={ORDER: "sorted(range(len(load)), key=lambda e: (-load[e], -e))"})
wrong("plain_argsort", EXPERTS, of=two_lists, put={", stable=True": ""})
wrong("busy_stays", BLOCKS, of=two_lists, put={"        busy[device] += int(load[e])\n": ""})
wrong("idle_left_out", IDLE, of=two_lists, put={"stable=True).tolist():": "stable=True).tolist():\n        if not "
      "load[e]:\n            continue"})  # fmt: skip
wrong("idle_at_minus_one", IDLE, of=two_lists, put={"torch.zeros(len(load), dtype=torch.int64)": "torch.full_like(load,"
      " -1)", "stable=True).tolist():": "stable=True).tolist():\n        if not load[e]:\n            continue"})  # fmt: skip
wrong("experts_in_order", "The order of the experts", of=two_lists, put={END: "    return load.argsort(descending=True, "
      "stable=True)"})  # fmt: skip
wrong("in_the_order_of_loads", "The order of the experts", of=two_lists, put={END: "    return places[load.argsort("
      "descending=True, stable=True)]"})  # fmt: skip
wrong("table_of_experts", LISTS, of=two_lists, put={END: "    return places.argsort(stable=True).view(n_devices, -1)"})
wrong("loads_of_devices", LOADS, of=two_lists, put={END: "    return torch.tensor(busy)"})
wrong("from_one", "Devices count from 0", of=two_lists, put={END: "    return places + 1"})
wrong("as_a_list", "Not a tensor", of=heap, put={"torch.tensor(places)": "places"})
wrong("as_floats", "`places` has the wrong type", of=two_lists, put={", dtype=torch.int64": ""})
wrong("none_left", "No device is left to choose from", of=two_lists, put={"held[d] < room": "held[d] < room - 1"})


@wrong(BLOCKS)
def neighbours(load, n_devices):
    return torch.arange(len(load)) // (len(load) // n_devices)


@wrong(TURNS)
def snake(load, n_devices):
    places = torch.zeros_like(load)
    for rank, e in enumerate(load.argsort(descending=True, stable=True)):
        turn, place = divmod(rank, n_devices)
        places[e] = n_devices - 1 - place if turn % 2 else place
    return places


@wrong(FULL)
def next_with_room(load, n_devices):
    busy, held, places = torch.zeros(n_devices), [0] * n_devices, torch.zeros_like(load)
    for e in load.argsort(descending=True, stable=True):
        device = int(busy.argmin())
        while held[device] == len(load) // n_devices:
            device = (device + 1) % n_devices
        places[e] = device
        busy[device] += load[e]
        held[device] += 1
    return places


@wrong("Your function changed its input")
def used_up(load, n_devices):
    places, busy = torch.full_like(load, -1), torch.zeros_like(load[:n_devices])
    for _ in range(len(load)):
        e = load.argmax()
        full = torch.bincount(places[places >= 0], minlength=n_devices) == len(load) // n_devices
        device = busy.masked_fill(full, 10**12).argmin()
        places[e] = device
        busy[device] += load[e]
        load[e] = -1
    return places


wrong("first_and_last_swapped", ANY, of=two_lists, put={END: "    return torch.where(places == 0, 1, "
      "torch.where(places == 1, 0, places))"})  # fmt: skip

# ---- wrong, written from the exercise's text alone ------------------------------------------------------------------


@blind(EXPERTS)
def sorted_in_reverse(load, n_devices):
    busy, held, places = [0] * n_devices, [0] * n_devices, [0] * len(load)
    for weight, e in sorted(zip(load.tolist(), range(len(load))), reverse=True):
        _, device = min((busy[d], d) for d in range(n_devices) if held[d] < len(load) // n_devices)
        places[e], busy[device], held[device] = device, busy[device] + weight, held[device] + 1
    return torch.tensor(places)


@blind(DEVICES)
def not_greater(load, n_devices):
    busy, held, places = [0] * n_devices, [0] * n_devices, torch.zeros_like(load)
    for e in load.argsort(descending=True, stable=True).tolist():
        best = -1
        for d in range(n_devices):
            if held[d] < len(load) // n_devices and (best < 0 or busy[d] <= busy[best]):
                best = d
        places[e] = best
        busy[best] += int(load[e])
        held[best] += 1
    return places


@blind("The order of the experts")
def written_back_the_wrong_way(load, n_devices):
    order = load.argsort(descending=True, stable=True)
    busy, held, devices = [0] * n_devices, [0] * n_devices, []
    for weight in load[order].tolist():
        _, device = min((busy[d], d) for d in range(n_devices) if held[d] < len(load) // n_devices)
        devices.append(device)
        busy[device] += weight
        held[device] += 1
    return torch.tensor(devices)[order]


@blind("The order of the experts")
def never_written_back(load, n_devices):
    busy, held, devices = [0] * n_devices, [0] * n_devices, []
    for weight in load.sort(descending=True).values.tolist():
        _, device = min((busy[d], d) for d in range(n_devices) if held[d] < len(load) // n_devices)
        devices.append(device)
        busy[device] += weight
        held[device] += 1
    return torch.tensor(devices)


@blind(LISTS)
def lists_per_device(load, n_devices):
    held, busy = [[] for _ in range(n_devices)], [0] * n_devices
    for e in load.argsort(descending=True, stable=True).tolist():
        _, device = min((busy[d], d) for d in range(n_devices) if len(held[d]) < len(load) // n_devices)
        held[device].append(e)
        busy[device] += int(load[e])
    return torch.tensor(held)


@blind(TURNS)
def dealt_out(load, n_devices):
    places = torch.zeros_like(load)
    places[load.argsort(descending=True, stable=True)] = torch.arange(len(load)) % n_devices
    return places


@blind(ANY)
def two_rounds(load, n_devices):
    """The first E / 2 by load, the others where there is room."""
    busy, held, places = [0] * n_devices, [0] * n_devices, torch.zeros_like(load)
    for rank, e in enumerate(load.argsort(descending=True, stable=True).tolist()):
        free = [d for d in range(n_devices) if held[d] < len(load) // n_devices]
        device = free[0] if rank > len(load) // 2 else min(free, key=lambda d: busy[d])
        places[e] = device
        busy[device] += int(load[e])
        held[device] += 1
    return places


MIXED = "Experts are looked up by their load"
CHOSEN, GROWS = "min(free, key=lambda d: (busy[d], d))", "busy[device] += int(load[e])"
ALL = "free = [d for d in range(n_devices) if held[d] < room]"

blind(
    "last_load_alone",
    "The loads of all experts on a device count",
    of=two_lists,
    put={GROWS: "busy[device] = int(load[e])"},
)
blind("adds_the_number", "The number of the expert is added", of=two_lists, put={GROWS: "busy[device] += e"})
blind(
    "sorted_load_looked_up",
    "The load of another expert is added",
    of=two_lists,
    put={GROWS: "busy[device] += int(load.sort(descending=True).values[e])"},
)
blind(
    "place_in_the_list",
    "A place among those with room, not a device",
    of=two_lists,
    put={CHOSEN: "free.index(min(free, key=lambda d: (busy[d], d)))"},
)
blind("sum_found_at_a_full_one", ROOM, of=two_lists, put={CHOSEN: "busy.index(min(busy[d] for d in free))"})
blind(
    "plus_1000",
    ROOM,
    of=two_lists,
    put={CHOSEN: "min(range(n_devices), key=lambda d: busy[d] + 1000 * (held[d] >= room))"},
)
blind(
    "plus_a_million",
    ROOM,
    of=two_lists,
    put={CHOSEN: "min(range(n_devices), key=lambda d: busy[d] + 1_000_000 * (held[d] >= room))"},
)
blind(
    "plus_all_loads",
    ROOM,
    of=two_lists,
    put={CHOSEN: "min(range(n_devices), key=lambda d: busy[d] + int(load.sum()) * (held[d] >= room))"},
)
blind("room_for_n_devices", "Room for `n_devices` experts", of=tensors, put={"held < room": "held < n_devices"})
blind("room_for_one_fewer", "Room for one expert fewer", of=tensors, put={"held < room": "held < room - 1"})
blind(
    "room_by_load",
    ROOM,
    of=two_lists,
    put={ALL: "free = [d for d in range(n_devices) if busy[d] < load.sum() / n_devices] or range(n_devices)"},
)


@blind(MIXED)
def index_of_the_load(load, n_devices):
    loads, room = load.tolist(), len(load) // n_devices
    busy, held = [0] * n_devices, [0] * n_devices
    places = torch.zeros(len(load), dtype=torch.int64)
    for value in sorted(loads, reverse=True):
        device = min((d for d in range(n_devices) if held[d] < room), key=lambda d: busy[d])
        places[loads.index(value)] = device
        busy[device] += value
        held[device] += 1
    return places


@blind(MIXED)
def dict_by_load(load, n_devices):
    number, room = {value: e for e, value in enumerate(load.tolist())}, len(load) // n_devices
    busy, held = [0] * n_devices, [0] * n_devices
    places = torch.zeros(len(load), dtype=torch.int64)
    for value in sorted(load.tolist(), reverse=True):
        device = min((d for d in range(n_devices) if held[d] < room), key=lambda d: busy[d])
        places[number[value]] = device
        busy[device] += value
        held[device] += 1
    return places
