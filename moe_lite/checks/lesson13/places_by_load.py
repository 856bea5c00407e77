"""Exercise 13.4, places_by_load: on which device each expert stands, if the devices are to have the same load."""

import re
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.causes import Line
from moe_lite.checks.engine.compare import listed, number
from moe_lite.checks.engine.exercise import Attempt, Case, Drawn, Exercise, Mistake, Note, Output, Trial
from moe_lite.checks.engine.mistakes import once_per_trial, one_wrong, sign
from moe_lite.checks.lesson13.placing import (
    Step,
    as_many_as_devices,
    by_key,
    by_sorted_loads,
    else_the_first,
    else_the_next,
    found_by_load,
    full_costs,
    its_own_place,
    largest_first,
    least_load,
    of_rank,
    or_device_0,
    placed,
    same_sum,
    steps,
    there_and_back,
)
from moe_lite.lessons.traffic import places_by_load

# ---- inputs ----------------------------------------------------------------------------------------------------------


def cases() -> tuple[Case, ...]:
    plain = (random(1, 12, 3), random(2, 20, 5), random(3, 18, 6), random(4, 16, 2))
    equal = (random(5, 15, 3, most=4), random(6, 24, 4, most=6), random(7, 12, 4, most=3), few(8, 60, 6))
    idle = (
        listed_load([0, 7, 0, 3, 0, 0, 5, 0], 4), listed_load([0, 0, 9, 0, 0, 4], 2),
        listed_load([6, 0, 0, 0, 0, 2, 0, 0, 1], 3), listed_load([0] * 6, 3),
    )  # fmt: skip
    crowd = (
        listed_load([90, 1, 2, 3, 2, 1, 1, 2], 2), listed_load([2, 1, 70, 3, 60, 1, 2, 4, 3], 3),
        listed_load([1, 2, 1, 2, 80, 1, 2, 1, 3, 1, 2, 1], 4),
    )  # fmt: skip
    ends = (listed_load([4, 9, 2, 7], 4), listed_load([5, 1, 8], 1), listed_load([3], 1), listed_load([5, 5, 5, 5], 4))
    begin, _ = inputs.usual(plain[:2], plain)
    return (
        *begin,
        Case("experts by their load", plain, ("places",)),
        Case("one expert outweighs the others", crowd, ("places",)),
        Case("equal loads", equal, ("places",)),
        Case("experts without tokens", idle, ("places",)),
        Case("one expert per device, one device", ends, ("places",)),
        Case("many experts", (random(9, 256, 32),), ("places",)),
    )


def listed_load(load: list[int], n_devices: int, note: str = "") -> Trial:
    devices = "1 device" if n_devices == 1 else f"{n_devices} devices"
    experts = "1 expert" if len(load) == 1 else f"{len(load)} experts"
    return Trial((torch.tensor(load), n_devices), note or f"{experts}, {devices}")


def random(seed: int, E: int, M: int, most: int = 0) -> Trial:
    """Loads of which no two are equal, or from 1 to `most`."""
    load = torch.randint(1, most + 1, (E,), generator=inputs.generator(seed)) if most else uneven(seed, E)
    return Trial((load, M), f"seed {seed}, {E} experts, {M} devices")


def few(seed: int, E: int, M: int) -> Trial:
    """So many equal loads that a sort which may exchange them does."""
    load = torch.randint(1, 4, (E,), generator=inputs.generator(seed)) * 5
    return Trial((load, M), f"seed {seed}, {E} experts, {M} devices, three loads")


def uneven(seed: int, E: int) -> Tensor:
    """(E,) int64, all different, a few of them large."""
    values = inputs.distinct(seed, E, low=0.0, high=3.5).exp().mul(12).long()
    return values + torch.arange(E)[values.argsort().argsort()]


def drawn(seed: int, M: int, S: int) -> tuple:
    """S experts per device. The loads of every second input are from 0 to 5, with equals among them."""
    if seed % 2:
        return torch.randint(0, 6, (M * S,), generator=inputs.generator(seed)), M
    return uneven(seed, M * S), M


def extremes(seed: int) -> tuple[Trial, ...]:
    load, M = drawn(2 * seed, 4, 3)
    return (
        Trial((uneven(seed, 384), 64), f"384 experts, 64 devices, seed {seed}"),
        Trial((load * 2**24, M), "loads of billions"),
        Trial((torch.tensor([90, 1, 2, 3, 2, 1, 1, 2]) * 2**26, 2), "one expert with billions of tokens"),
        Trial((load * 0, M), "no expert has a token"),
        Trial((load * 0 + 9, M), "all loads equal"),
        Trial((torch.where(load == load.max(), load, 0), M), "one expert has all tokens"),
        Trial((load.sort().values, M), "loads in ascending order"),
        Trial((load.sort(descending=True).values, M), "loads in descending order"),
    )


DRAWN = Drawn(drawn, {"M": 3, "S": 5}, long="", wide="", float32=False, extremes=extremes)


# ---- sentences -------------------------------------------------------------------------------------------------------


right_steps = once_per_trial(lambda a: steps(*a.args))


def elsewhere(a: Attempt) -> tuple[int, Step]:
    """The first expert, in the order of loads, that stands on another device; from 1."""
    got = a.got["places"]
    return next((n, s) for n, s in enumerate(right_steps(a), 1) if got[s.expert].item() != s.device)


def lead(a: Attempt) -> str:
    """What the devices had when it was placed, and why it goes to another one."""
    n, step = elsewhere(a)
    (load, M), mine = a.args, a.got["places"][step.expert].item()
    told = (
        f"`places[{step.expert}]` is {number(mine)}, expected {step.device}. Expert {step.expert} has a load of "
        f"{int(load[step.expert]):,}"
    )
    if n == 1:
        return f"{told} and is the first to be placed. All devices are empty, so it goes to device 0."
    known = f"{told} and is number {n} in the order of loads."
    full = [d for d in range(M) if step.held[d] == len(load) // M]
    if M <= 6:
        so_far = listed(step.busy, most=6)
        known += f" The devices have loads of {so_far} by then{f', and {several(full)} full' if full else ''}."
    least = f"evice {step.device} has the smallest load, {step.busy[step.device]:,}."
    if len(full) == M - 1:
        least = f"Only device {step.device} has room left."
    else:
        least = f"Of those with room left, d{least}" if full else f"D{least}"
    return f"{known} {least} {not_there(step, mine, M, full)}"


def several(devices: list[int]) -> str:
    return f"device {devices[0]} is" if len(devices) == 1 else f"devices {listed(devices, most=6)} are"


def not_there(step: Step, mine: float, M: int, full: list[int]) -> str:
    """Why an expert does not go to device `mine`."""
    if not (mine == mine and 0 <= mine < M and int(mine) == mine):
        return f"The devices have the numbers 0 to {M - 1}." if M > 1 else "There is no other device."
    mine = int(mine)
    if mine in full:
        return f"Device {mine} has its {step.held[mine]} {'expert' if step.held[mine] == 1 else 'experts'} already."
    if step.busy[mine] == step.busy[step.device]:
        return f"Device {mine} has the same, and of equals the lower number is chosen."
    return f"Device {mine} has {step.busy[mine]:,}."


def other(title: str, say: str, rule: Callable[[Tensor, int], Tensor] | None = None, **how) -> Mistake:
    """Experts that stand on other devices: by a rule, or by another `order`, `choose` or `room`."""
    return one_wrong("places", title, rule or partial(placed, **how), lambda a: f"{lead(a)} {say}")


def full_device(a: Attempt) -> str:
    step = elsewhere(a)[1]
    least = least_load(list(range(len(step.busy))), step.busy, step.held)
    return (
        f"{lead(a)} Device {least} has the smallest load of all, {step.busy[least]:,}, and is full. The next device is "
        "chosen by its load again, and not by its number."
    )


def returned(title: str, rule: Callable[[Tensor, int], Tensor], say: str) -> Mistake:
    """The devices may be right, and something else is returned."""

    def sentence(a: Attempt) -> str:
        got, right = a.got["places"], a.expected["places"]
        if got.shape != right.shape:
            return f"`places` has the shape {tuple(got.shape)}, expected {tuple(right.shape)}. {say}"
        return f"`places` begins with {listed(got.tolist())}, expected {listed(right.tolist())}. {say}"

    return one_wrong("places", title, rule, sentence, other_shape=True)


def order_of(load: Tensor, M: int) -> Tensor:
    return torch.tensor(largest_first(load.tolist()))


def experts_of_devices(load: Tensor, M: int) -> Tensor:
    """(M, E / M), in ascending order."""
    return places_by_load(load, M).argsort(stable=True).view(M, -1)


def as_placed(load: Tensor, M: int) -> Tensor:
    """(M, E / M), in the order in which they came."""
    order = order_of(load, M)
    return order[places_by_load(load, M)[order].argsort(stable=True)].view(M, -1)


def loads_of_devices(load: Tensor, M: int) -> Tensor:
    return torch.zeros(M, dtype=torch.int64).index_add(0, places_by_load(load, M), load)


def without_idle(value: int) -> Callable[[Tensor, int], Tensor]:
    """Experts without tokens are not placed at all."""
    return lambda load, M: torch.where(load == 0, value, places_by_load(load, M))


def equals_changed(a: Attempt) -> bool:
    """Experts of one load stand on the right devices, but not each on its own."""
    got, right, load = a.got.get("places"), a.expected["places"], a.args[0]
    if got is None or got.shape != right.shape or got.dtype != right.dtype:
        return False
    return all(torch.equal(got[load == v].sort().values, right[load == v].sort().values) for v in load.unique())


def equals(a: Attempt) -> str:
    got, right, load = a.got["places"], a.expected["places"], a.args[0]
    _, step = elsewhere(a)
    same = (load == load[step.expert]).nonzero()[:, 0]
    shown = same[int((same == step.expert).nonzero()[0]) :][:3]
    return (
        f"Experts {listed(shown.tolist())} have the same load, {int(load[step.expert]):,}, and of equals the lower "
        f"number is placed first. So they go to devices {listed(right[shown].tolist())}, and yours are on "
        f"{listed(got[shown].tolist())}. A plain `argsort` promises nothing about equals, and an ascending sort that "
        "is read backwards turns them over. `argsort(descending=True, stable=True)` keeps them in order."
    )


def other_equals(names: tuple[str, ...], args: tuple) -> tuple[Tensor]:
    return (placed(*args, order=lambda loads: sorted(range(len(loads)), key=lambda e: (-loads[e], -e))),)


def no_room(match: re.Match, line: Line, exercise: Exercise) -> Note:
    return Note(
        "No device is left to choose from", "A smallest of nothing was asked for. Every device has room for E / "
        "`n_devices` experts, so as long as an expert is to be placed, some device has fewer. Is the room "
        "counted in experts, is it E / `n_devices`, and does every expert take a place on one device only?",
    )  # fmt: skip


# ---- mistakes --------------------------------------------------------------------------------------------------------

ROOM, ORDER = "A device gets more experts than it has room for", "The order of the experts"
SMALLEST, TURNS = "The smallest load comes first", "In turn, whatever the devices have"
BLOCKS, FEWEST = "One device is filled after the other", "The device with the fewest experts"
DEVICES, FULL = "Equal devices: the lower number comes first", "If a device is full, the loads still decide"
IDLE, LISTS = "Experts without tokens are placed as well", "The experts of the devices, not the device of each expert"
LOADS, SUM = "Loads, not devices", "The loads of all experts on a device count"
SAY_ROOM = "Every device holds E / `n_devices` experts, also if its load stays the smallest."
SAY_TURNS = "You deal the sorted experts out in turn. Each one goes to the device that has the smallest load by then."
SAY_SUM = (
    "Yours stays with the device that got the last expert until it is full. That happens if mean loads are compared, "
    "or if a device keeps only the load of its last expert, `=` in place of `+=`. Its loads are added up."
)
SAY_LISTS = (
    "These are numbers of experts, device by device. Entry e of `places` is the device on which expert e stands."
)
SAY_IDLE = "A load of 0 is the smallest there is, so this expert comes late, but it needs its place as well."

NAMED = (
    other(ROOM, SAY_ROOM, room=float("inf")),
    other(ROOM, SAY_ROOM + " Yours has room for one more.", room=1),
    other("Room for `n_devices` experts", "You stop at `n_devices` experts per device. There is room for E / "
          "`n_devices`.", room=float("inf"), choose=as_many_as_devices),
    other("Room for one expert fewer", "Yours lets each device have one expert fewer than it has room for, so that in "
          "the end some are left over.", room=-1, choose=or_device_0),
    other(ROOM, SAY_ROOM + " Yours takes the first device with that load, which is full.", choose=same_sum),
    *(other(ROOM, "This happens if a fixed number is added to the load of a full device, or stands in its place: "
            "here loads are larger than that number. Leave full devices out, or give them infinity.",
            choose=full_costs(big))
      for big in (10**3, 10**4, 10**5, 10**6, 10**9)),
    other("A place among those with room, not a device", "You look for the smallest load among the devices with room, "
          "and take its place in that shorter list for the number of the device.", choose=its_own_place),
    other(SMALLEST, "You place the smallest load first. The experts are placed from the largest load to the smallest, "
          "so that the small ones fill what is left.", order=lambda loads: sorted(range(len(loads)), key=lambda e:
          (loads[e], e))),
    other(SMALLEST, "You place the smallest load first. The experts are placed from the largest load to the smallest, "
          "so that the small ones fill what is left.", order=lambda loads: largest_first(loads)[::-1]),
    other("In the order of their numbers", "You place the experts in the order of their numbers. They are placed from "
          "the largest load to the smallest: sort first.", order=lambda loads: range(len(loads))),
    other("In the order of their numbers", "You place the experts from the last number to the first. They are placed "
          "from the largest load to the smallest: sort first.", order=lambda loads: range(len(loads))[::-1]),
    other(BLOCKS, "You put E / `n_devices` neighbours on each device, and their loads decide nothing.",
          lambda load, M: torch.arange(len(load)) // (len(load) // M)),
    other(BLOCKS, "You fill one device before the next one begins, in the order of loads. That happens if the device "
          "with the largest load is chosen, or if the load of a device does not grow with its experts.",
          of_rank(lambda n, M, S: n // S)),
    other(TURNS, "You deal the experts out in turn by their numbers, and their loads decide nothing.",
          lambda load, M: torch.arange(len(load)) % M),
    other(TURNS, SAY_TURNS + " (Choosing the device with the fewest experts does the same.)",
          of_rank(lambda n, M, S: n % M)),
    other(TURNS, SAY_TURNS + " Going there and back again does not look at the loads either.",
          of_rank(there_and_back)),
    other(FEWEST, "You choose among the devices with the fewest experts. The number of experts only says whether there "
          "is room; the smallest load decides.", choose=by_key(lambda busy, held, d: (held, busy, d))),
    other(SUM, SAY_SUM, choose=by_key(lambda busy, held, d: (busy / max(held, 1), d))),
    other(SUM, SAY_SUM, grow=lambda busy, loads, e: loads[e]),
    other("The load of another expert is added", "The loads are sorted, and you look them up with the numbers that the "
          "experts have before sorting. Expert e has `load[e]`.", grow=by_sorted_loads),
    other("The number of the expert is added", "You add the number of the expert to what its device has. Add its load.",
          grow=lambda busy, loads, e: busy + e),
    other(DEVICES, "You take the higher number. `min` and `argmin` over the devices in their order find the lower one; "
          "`<=` in a loop finds the higher.", choose=by_key(lambda busy, held, d: (busy, -d))),
    other(DEVICES, "You take the one with fewer experts. Of devices with the same load the lower number is chosen, "
          "however many experts they have.", choose=by_key(lambda busy, held, d: (busy, held, d))),
    other(DEVICES, "You take the one with more experts. Of devices with the same load the lower number is chosen, "
          "however many experts they have.", choose=by_key(lambda busy, held, d: (busy, -held, d))),
    sign("Equal experts: the lower number comes first", equals_changed, equals, show="places", fits=lambda a:
         equals_changed(a) or a.right("places"), answer=other_equals),
    *(one_wrong("places", FULL, partial(placed, choose=choose), full_device) for choose in (else_the_first,
      else_the_next)),
    *(other("Experts are looked up by their load", "You look an expert up by its load, and experts with equal loads "
            "cannot be told apart that way. Sort the numbers of the experts, as `argsort` does.", found_by_load(last))
      for last in (False, True)),
    other(IDLE, SAY_IDLE, without_idle(0)),
    other(IDLE, SAY_IDLE, without_idle(-1)),
    returned(ORDER, order_of, "These are the experts in the order of their loads, and it has to be said where each of "
             "them stands. Entry e of `places` is the device of expert e."),
    returned(ORDER, lambda load, M: places_by_load(load, M)[order_of(load, M)], "Yours are the devices in the order of "
             "loads: the first entry is that of the expert with the largest load. Entry e belongs to expert e: write "
             "with `places[order] = …`."),
    returned(ORDER, lambda load, M: places_by_load(load, M)[order_of(load, M)][order_of(load, M)], "The devices are "
             "written back to the wrong experts. If `order` is the sorted experts, `places[order] = devices` puts each "
             "where it belongs, and `devices[order]` does not."),
    returned(LISTS, experts_of_devices, SAY_LISTS),
    returned(LISTS, as_placed, SAY_LISTS),
    returned(LISTS, lambda *args: experts_of_devices(*args).flatten(), SAY_LISTS),
    returned(LISTS, lambda *args: as_placed(*args).flatten(), SAY_LISTS),
    returned(LOADS, loads_of_devices, "These are the loads of the devices, in all. Entry e of `places` is the number "
             "of the device on which expert e stands."),
    returned(LOADS, lambda *args: loads_of_devices(*args)[places_by_load(*args)], "These are the loads of the devices "
             "on which the experts stand. `places` has the numbers of the devices."),
    other("Devices count from 0", "Yours count from 1.", lambda *args: places_by_load(*args) + 1),
)  # fmt: skip


def in_words(a: Attempt) -> Note | None:
    """For places that are wrong in some way that has no name."""
    if not a.got or a.trial.kind or a.right("places") or a.got["places"].shape != a.expected["places"].shape:
        return None
    if any(mistake.recognise(a) for mistake in NAMED):
        return None
    return Note("`places` is not right yet", lead(a), general=True, show="places")


PLACES_BY_LOAD = Exercise(
    id="13.4", name="places_by_load", parameters=("load", "n_devices"), sizes="EM",
    outputs=(Output("places", "E,", expert_columns=True),), reference=places_by_load, cases=cases,
    mistakes=(*NAMED, Mistake(in_words)), drawn=DRAWN,
    causes=((ValueError, r"empty sequence|iterable argument is empty", no_room),),
    hints=(
        "Sort the experts once, then place them one after the other. What do you have to know about each device to "
        "decide where the next expert goes?",
        "Keep two lists with an entry per device: the load so far, and how many experts it has. For each expert, `min` "
        "over the devices with room, `key=lambda d: (busy[d], d)`, gives the device; then both of its entries grow.",
    ),
    minutes=12, lines="about 8 lines", stretch=True,
    done="Placing experts by their loads makes the devices more equal, and what a token computes stays the same. "
    "An expert that outweighs a whole device stays a problem.",
)  # fmt: skip
