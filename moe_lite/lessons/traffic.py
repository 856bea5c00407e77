"""What travels when the experts of a layer live on many devices: bytes from device to device, and how long they take.

A token lives on one device. Its vector is sent to the devices of its experts (dispatch), and what they answer comes
back (combine). A network is a number of nodes with a fast connection inside and a slower one between them.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

# ---- who sends what to whom ------------------------------------------------------------------------------------------


def spread(n: int, n_devices: int) -> Tensor:
    """(n,) int64: the device of each of n experts or tokens, the same number of neighbours on each.

    Raises ValueError if they cannot be shared out evenly.
    """
    if n % n_devices:
        raise ValueError(f"{n} cannot be shared out evenly over {n_devices} devices.")
    return torch.arange(n_devices).repeat_interleave(n // n_devices)


def sent(expert_ids: Tensor, homes: Tensor, places: Tensor, n_devices: int, once: bool = True) -> Tensor:
    """(M, M) int64: how many vectors device i sends to device j; the diagonal stays where it is.

    expert_ids (N, K); homes (N,), the device of each token; places (E,), that of each expert. once: a vector goes to a
    device once, however many of the token's experts are there; else once for each of them.
    """
    to = places[expert_ids]  # (N, K)
    if once:
        there = torch.zeros(len(to), n_devices, dtype=torch.int64).scatter(1, to, 1)  # (N, M)
        return torch.zeros(n_devices, n_devices, dtype=torch.int64).index_add(0, homes, there)
    return _counted(homes[:, None].expand_as(to).flatten(), to.flatten(), n_devices)


def bytes_between(expert_ids: Tensor, homes: Tensor, places: Tensor, n_devices: int, vector_bytes: int) -> Tensor:
    """(M, M) int64: bytes that device i sends to device j, each vector once to a device; 0 on the diagonal."""
    return sent(expert_ids, homes, places, n_devices).fill_diagonal_(0) * vector_bytes


def crossing(matrix: Tensor) -> int:
    """How many vectors leave their device."""
    return int(matrix.sum() - matrix.diagonal().sum())


def expected_crossing(top_k: int, n_devices: int, once: bool = True, n_experts: int | None = None) -> float:
    """How many copies of a token's vector leave its device, if it chooses K experts at random.

    once: each of the M − 1 other devices is left out with probability C(E − E/M, K) / C(E, K), or (1 − 1/M)^K where
    n_experts is None, for very many of them. Else a copy for each expert that is elsewhere, K · (1 − 1/M).
    """
    if not once:
        return top_k * (1 - 1 / n_devices)
    if n_experts is None:
        left_out = (1 - 1 / n_devices) ** top_k
    else:
        left_out = math.comb(n_experts - n_experts // n_devices, top_k) / math.comb(n_experts, top_k)
    return (n_devices - 1) * (1 - left_out)


def bytes_per_token(d_model: int, dispatch_bytes: float = 2, combine_bytes: float = 2) -> float:
    """Of one copy of a token's vector that leaves its device and of the answer that comes back, in one layer."""
    return d_model * (dispatch_bytes + combine_bytes)


# ---- how long it takes -----------------------------------------------------------------------------------------------


class Network(NamedTuple):
    """Devices in nodes. Every device sends and receives at the same time, inside of its node and beyond it."""

    per_node: int  # devices
    within: float  # bytes per second, of one device, inside of its node
    between: float  # bytes per second, of one device, to other nodes
    latency: float = 0.0  # seconds until the first byte arrives


class Exchange(NamedTuple):
    """One all-to-all: every device sends to every other what is theirs."""

    within: int  # bytes that stay inside of a node
    between: int  # bytes that leave theirs
    seconds: float  # until the last device has everything
    mean_seconds: float  # if the bytes were shared out evenly over the devices
    slowest: int  # device
    hops: float = 1.0  # connections that a vector crosses on its way, mean of those that leave their device

    @property
    def bytes(self) -> int:
        return self.within + self.between


def exchange(matrix: Tensor, network: Network, n_bytes: float) -> Exchange:
    """matrix (M, M): vectors from device to device, each of n_bytes. The slowest device decides about the time.

    A device is done when its slowest connection is: what it sends or what it receives, inside of the node or beyond.
    Raises ValueError if the devices do not fill the nodes.
    """
    node = _nodes(len(matrix), network)
    same = node[:, None] == node  # (M, M)
    moved = matrix.double() * n_bytes * (1 - torch.eye(len(matrix), dtype=torch.float64))
    return _timed(moved * same, moved * ~same, network)


def forwarded(
    expert_ids: Tensor, homes: Tensor, places: Tensor, n_devices: int, network: Network, n_bytes: float
) -> Exchange:
    """The same all-to-all with each vector sent to a node once: to the device that has the sender's number there, which
    passes it on inside (DeepSeek-V3, arXiv 2412.19437, section 3.2.2). That takes up to two hops for a vector.

    expert_ids (N, K), homes (N,), places (E,) as for `sent`; vectors of n_bytes. Passing on begins with the first bytes
    that arrive, so that the connections work side by side, and only the latency counts twice.
    """
    node, per_node = _nodes(n_devices, network), network.per_node
    goal = torch.zeros(len(homes), n_devices, dtype=torch.bool).scatter(1, places[expert_ids], True)  # (N, M)
    visited = goal.view(len(homes), -1, per_node).any(dim=2)  # (N, nodes)
    tokens, nodes = visited.nonzero().unbind(1)
    landing = nodes * per_node + homes[tokens] % per_node  # the device of the node at which the vector comes in
    away = nodes != node[homes[tokens]]
    between = _counted(homes[tokens[away]], landing[away], n_devices)
    comes_in = torch.zeros(len(homes), len(node) // per_node, dtype=torch.int64)
    comes_in[tokens, nodes] = landing
    tokens, devices = goal.nonzero().unbind(1)
    via = comes_in[tokens, node[devices]]
    within = _counted(via, devices, n_devices).fill_diagonal_(0)
    leaves = devices != homes[tokens]
    hops = (node[devices] != node[homes[tokens]]).double() + (via != devices).double()
    found = _timed(within.double() * n_bytes, between.double() * n_bytes, network, hops=2 if away.any() else 1)
    return found._replace(hops=float(hops[leaves].mean()) if leaves.any() else 0.0)


def _nodes(n_devices: int, network: Network) -> Tensor:
    """(M,) int64: the node of each device."""
    if n_devices % network.per_node:
        raise ValueError(f"{n_devices} devices do not fill nodes of {network.per_node}.")
    return torch.arange(n_devices) // network.per_node


def _counted(of: Tensor, to: Tensor, n_devices: int) -> Tensor:
    """(M, M) int64: how often a device is named in `of` beside one in `to`."""
    return torch.bincount(of * n_devices + to, minlength=n_devices**2).view(n_devices, n_devices)


def _timed(within: Tensor, between: Tensor, network: Network, hops: int = 1) -> Exchange:
    """Of the bytes (M, M) that go from device to device inside of nodes, and between them."""
    by_link = [(within, network.within), (between, network.between)]
    loads = [part.sum(dim=dim) / speed for part, speed in by_link for dim in (0, 1)]  # 4 of (M,) seconds
    each = torch.stack(loads).amax(dim=0)  # (M,)
    even = max(float(load.mean()) for load in loads)
    total = [int(part.sum()) for part, _ in by_link]
    latency = hops * network.latency if sum(total) else 0.0
    return Exchange(*total, float(each.max()) + latency, even + latency, int(each.argmax()))


# ---- where experts stand ---------------------------------------------------------------------------------------------


class Placement(NamedTuple):
    """Which experts each device holds. A hot expert can stand on several; they share its tokens evenly."""

    experts: list[list[int]]  # by device
    load: Tensor  # (M,) float64: assignments that each device computes

    @property
    def imbalance(self) -> float:
        """The busiest device over the mean: how many times as long as necessary everybody waits."""
        return float(self.load.max() / self.load.mean())


def placed(load: Tensor, experts: Sequence[Sequence[int]]) -> Placement:
    """The load of every device, for a load (E,) of the experts and the experts of each device."""
    copies = torch.bincount(torch.tensor([e for held in experts for e in held]), minlength=len(load))
    if (copies == 0).any():
        raise ValueError(f"Expert {int((copies == 0).nonzero()[0])} stands on no device.")
    share = load.double() / copies
    return Placement([sorted(held) for held in experts], torch.stack([share[list(held)].sum() for held in experts]))


def places_by_load(load: Tensor, n_devices: int) -> Tensor:
    """(E,) int64: the device of each expert, as many experts on each, none on two.

    load (E,). The experts are placed in the order of their load, the largest first, of equals the lower number: each on
    the device with the least load so far that has room left, of equals again the lower number.
    """
    slots = len(spread(len(load), n_devices)) // n_devices
    places, busy, held = torch.empty(len(load), dtype=torch.int64), [0] * n_devices, [0] * n_devices
    loads = load.tolist()
    for e in sorted(range(len(loads)), key=lambda e: (-loads[e], e)):
        device = min((d for d in range(n_devices) if held[d] < slots), key=lambda d: (busy[d], d))
        places[e], busy[device], held[device] = device, busy[device] + loads[e], held[device] + 1
    return places


def balanced(load: Tensor, n_devices: int, slots: int) -> Placement:
    """Experts placed by their load, the hottest on several devices where there is room: the idea of DeepSeek's EPLB.

    load (E,); slots: experts per device. First every slot beyond E goes to a copy of the expert whose copies have the
    most to do each; then all copies, the busiest first, go to the device that has the least to do and a free slot, no
    device holding an expert twice where it can be helped. Raises ValueError where the slots do not suffice.
    """
    n_experts = len(load)
    if n_devices * slots < n_experts:
        raise ValueError(f"{n_devices} devices with {slots} slots cannot hold {n_experts} experts.")
    copies = torch.ones(n_experts, dtype=torch.int64)
    for _ in range(n_devices * slots - n_experts):
        copies[int((load / copies).argmax())] += 1
    share = load.double() / copies
    held: list[list[int]] = [[] for _ in range(n_devices)]
    busy = [0.0] * n_devices
    for e in sorted(range(n_experts), key=lambda e: -float(share[e])):
        for _ in range(int(copies[e])):
            free = [d for d in range(n_devices) if len(held[d]) < slots]
            device = min(free, key=lambda d: (e in held[d], busy[d], d))
            held[device].append(e)
            busy[device] += float(share[e])
    return placed(load, held)


def to_copies(expert_ids: Tensor, homes: Tensor, experts: Sequence[Sequence[int]]) -> Tensor:
    """(N, K) int64: the device that computes each choice where an expert may stand on several devices.

    expert_ids (N, K); homes (N,), the device of each token; experts of each device. A token goes to the copy on its own
    device if there is one, else to the copies in turn: the first token that asks for the expert from outside goes to
    the copy with the lowest device, the next one to the next copy, and after the last copy comes the first. Raises
    ValueError if a token asks for an expert that stands on no device.
    """
    n_experts = 1 + max(int(expert_ids.max()), max(e for held in experts for e in held))
    there = torch.zeros(n_experts, len(experts), dtype=torch.bool)  # (E, M)
    for device, held in enumerate(experts):
        there[list(held), device] = True
    copies = there.sum(dim=1)  # (E,)
    if (copies[expert_ids] == 0).any():
        raise ValueError(f"Expert {int(expert_ids[copies[expert_ids] == 0][0])} stands on no device.")
    devices = there.int().argsort(dim=1, descending=True, stable=True)  # (E, M): those that have it come first
    own = there[expert_ids, homes[:, None]]  # (N, K)
    asked = expert_ids[~own]  # (A,) by token
    order = asked.argsort(stable=True)
    counts = torch.bincount(asked, minlength=n_experts)  # (E,)
    turn = torch.empty_like(asked)
    turn[order] = torch.arange(len(asked)) - (counts.cumsum(0) - counts)[asked[order]]  # 0, 1, 2, … for each expert
    to = homes[:, None].expand_as(expert_ids).clone()  # (N, K)
    to[~own] = devices[asked, turn % copies[asked]]
    return to
