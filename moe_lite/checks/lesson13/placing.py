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
Choose = Callable[[list[int], list[int], list[int]], int]  # devices with room, busy, held -> device


def largest_first(loads: list[int]) -> list[int]:
    return sorted(range(len(loads)), key=lambda e: (-loads[e], e))


def least_load(free: list[int], busy: list[int], held: list[int]) -> int:
    return min(free, key=lambda d: (busy[d], d))


def steps(
    load: Tensor, n_devices: int, order: Order = largest_first, choose: Choose = least_load, room: float = 0
) -> list[Step]:
    """room: how many experts beyond E / n_devices a device takes."""
    loads, busy, held, made = load.tolist(), [0] * n_devices, [0] * n_devices, []
    for e in order(loads):
        free = [d for d in range(n_devices) if held[d] < len(loads) // n_devices + room]
        device = choose(free, busy, held)
        made.append(Step(e, [*busy], [*held], device))
        busy[device] += loads[e]
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
