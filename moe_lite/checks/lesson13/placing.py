"""Rules by which experts are placed on devices, one after the other (13.4): as asked, and otherwise."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor


class Step(NamedTuple):
    """What the devices have when an expert is placed."""

    expert: int
    busy: list[int]  # by device: the load so far
    held: list[int]  # by device: how many experts
    device: int  # where it goes


Order = Callable[[list[int]], Iterable[int]]
Grow = Callable[[int, list[int], int], int]  # busy of the device, loads, expert -> busy after it
Choose = Callable[[list[int], list[int], list[int]], int]  # devices with room, busy, held -> device


def largest_first(loads: list[int]) -> list[int]:
    return sorted(range(len(loads)), key=lambda e: (-loads[e], e))


def least_load(free: list[int], busy: list[int], held: list[int]) -> int:
    return min(free, key=lambda d: (busy[d], d))


def added(busy: int, loads: list[int], e: int) -> int:
    return busy + loads[e]


def steps(
    load: Tensor,
    n_devices: int,
    order: Order = largest_first,
    choose: Choose = least_load,
    room: float = 0,
    grow: Grow = added,
) -> list[Step]:
    """room: how many experts beyond E / n_devices a device takes."""
    loads, busy, held, made = load.tolist(), [0] * n_devices, [0] * n_devices, []
    for e in order(loads):
        free = [d for d in range(n_devices) if held[d] < len(loads) // n_devices + room]
        device = choose(free, busy, held)
        made.append(Step(e, [*busy], [*held], device))
        busy[device] = grow(busy[device], loads, e)
        held[device] += 1
    return made


def placed(load: Tensor, n_devices: int, **how) -> Tensor:
    """(E,) int64"""
    places = torch.empty(len(load), dtype=torch.int64)
    for step in steps(load, n_devices, **how):
        places[step.expert] = step.device
    return places


def of_rank(device_of: Callable[[int, int, int], int]) -> Callable[[Tensor, int], Tensor]:
    """By the place of an expert in the order of loads, (rank, M, E / M) -> device."""

    def rule(load: Tensor, M: int) -> Tensor:
        order, places = largest_first(load.tolist()), torch.empty(len(load), dtype=torch.int64)
        for rank, e in enumerate(order):
            places[e] = device_of(rank, M, len(load) // M)
        return places

    return rule


def there_and_back(rank: int, M: int, S: int) -> int:
    turn, place = divmod(rank, M)
    return M - 1 - place if turn % 2 else place


def by_key(key: Callable[[int, int, int], object]) -> Choose:
    """(load, number of experts, number of the device): the device with the smallest key."""
    return lambda free, busy, held: min(free, key=lambda d: key(busy[d], held[d], d))


def else_the_first(free: list[int], busy: list[int], held: list[int]) -> int:
    """The device with the least load of all; if it is full, the first one that is not."""
    device = least_load(list(range(len(busy))), busy, held)
    return device if device in free else free[0]


def else_the_next(free: list[int], busy: list[int], held: list[int]) -> int:
    """The device with the least load of all; if it is full, the next number that is not."""
    device = least_load(list(range(len(busy))), busy, held)
    return next(d for d in ((device + n) % len(busy) for n in range(len(busy))) if d in free)


def its_own_place(free: list[int], busy: list[int], held: list[int]) -> int:
    """The place of the device among those with room, taken for its number."""
    return free.index(least_load(free, busy, held))


def same_sum(free: list[int], busy: list[int], held: list[int]) -> int:
    """The first device that has the smallest sum of those with room, be it full or not."""
    return busy.index(busy[least_load(free, busy, held)])


def as_many_as_devices(free: list[int], busy: list[int], held: list[int]) -> int:
    """Room for M experts; device 0 if all are full, as `argmin` finds it among infinities."""
    return least_load([d for d, n in enumerate(held) if n < len(held)] or [0], busy, held)


def or_device_0(free: list[int], busy: list[int], held: list[int]) -> int:
    return least_load(free or [0], busy, held)


def full_costs(number: int) -> Choose:
    """A full device counts with a fixed number on top of its load."""
    return lambda free, busy, held: min(range(len(busy)), key=lambda d: (busy[d] + (0 if d in free else number), d))


def by_sorted_loads(busy: int, loads: list[int], e: int) -> int:
    """The sorted loads, looked up with the number that an expert has before sorting."""
    return busy + sorted(loads, reverse=True)[e]


def found_by_load(last: bool) -> Callable[[Tensor, int], Tensor]:
    """An expert is looked up by its load: of equals always the first or the last one is found."""

    def rule(load: Tensor, M: int) -> Tensor:
        """Experts that are never found have device 0."""
        loads, places = load.tolist(), torch.zeros(len(load), dtype=torch.int64)
        at = {value: e for e, value in (enumerate(loads) if last else reversed(list(enumerate(loads))))}
        for step in steps(load, M):
            places[at[loads[step.expert]]] = step.device
        return places

    return rule
