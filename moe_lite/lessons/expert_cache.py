"""Which experts are asked for, and which of them a small memory holds.

A layer's requests are one list per step: the experts that the step needs, each once. A step reads one token or many; a
cache with room for `slots` of a layer's experts decides what is loaded, and what makes room for it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from moe_lite.model.transformer import MoELanguageModel, evaluating

Requests = Sequence[Sequence[int]]

# ---- what is asked for -----------------------------------------------------------------------------------------------


def expected_touched(shares: Tensor, n_tokens: int) -> float:
    """How many different experts n tokens choose on average, if they choose independently of each other.

    shares (E,): how large a part of the tokens chooses each expert; they sum to K. Expert e is left alone by all tokens
    with probability (1 − shares[e])^n. With K/E everywhere it is `serving.experts_touched`.
    """
    return float((1 - (1 - shares.double()) ** n_tokens).sum())


def shares(expert_ids: Tensor, n_experts: int) -> Tensor:
    """expert_ids (..., K), those of every token -> (E,) float64: the part of the tokens that chose each expert."""
    n_tokens = expert_ids[..., 0].numel()
    return torch.bincount(expert_ids.flatten(), minlength=n_experts).double() / n_tokens


@torch.no_grad()
def choices(model: MoELanguageModel, ids: Tensor) -> Tensor:
    """The experts of every token of the texts ids (B, T): (L, B, T, K) int64, in the sparse layers, best first."""
    with evaluating(model):
        routings = model(ids).routing
    return torch.stack([routing.top_k[1].view(*ids.shape, -1) for routing in routings])


def of_one_text(expert_ids: Tensor, n: int) -> Tensor:
    """expert_ids (..., B, T, K) -> (..., B, T // n, n, K): n tokens that follow each other, as in reading a prompt."""
    whole = expert_ids.shape[-2] // n * n
    return expert_ids[..., :whole, :].unflatten(-2, (-1, n))


def of_many_texts(expert_ids: Tensor, n: int) -> Tensor:
    """expert_ids (..., B, T, K) -> (..., B // n, T, n, K): one token each of n texts, as in generating a batch."""
    whole = expert_ids.shape[-3] // n * n
    return expert_ids[..., :whole, :, :].unflatten(-3, (-1, n)).transpose(-3, -2)


def touched(expert_ids: Tensor, n_experts: int) -> Tensor:
    """expert_ids (..., n, K), those of n tokens -> (...) int64: how many different experts they are."""
    flat = expert_ids.flatten(-2)  # (..., n·K)
    return torch.zeros(*flat.shape[:-1], n_experts, dtype=torch.int64).scatter(-1, flat, 1).sum(dim=-1)


def requests(expert_ids: Tensor) -> list[list[int]]:
    """expert_ids (T, K), those of one token after the other -> T requests, experts ascending."""
    return expert_ids.sort(dim=-1).values.tolist()


# ---- what is held ----------------------------------------------------------------------------------------------------


class Use(NamedTuple):
    """One expert in one step, in the order in which a step uses them."""

    expert: int
    loaded: bool  # it was not in memory
    evicted: int | None  # what made room for it


class ExpertCache:
    """Room for `slots` experts of one layer; the subclasses differ in which one makes room.

    A step uses what it finds in memory first, and then loads the others. None of its own experts makes room, unless it
    needs more than fit; then those go that it has used already.
    """

    def __init__(self, slots: int):
        if slots < 1:
            raise ValueError(f"slots is {slots}, expected at least 1: an expert can only work from memory.")
        self.slots, self.clock = slots, -1
        self.resident: set[int] = set()
        self.last_used: dict[int, int] = {}  # step by expert
        self.times_used: dict[int, int] = {}

    def step(self, needed: Sequence[int]) -> list[Use]:
        """What a step that needs these experts does, one expert after the other."""
        self.clock += 1
        needed = sorted(set(needed), key=lambda e: (e not in self.resident, e))
        for e in needed:
            self.last_used[e] = self.clock
            self.times_used[e] = self.times_used.get(e, 0) + 1
        return [self._use(e, needed, waiting=needed[i:]) for i, e in enumerate(needed)]

    def _use(self, expert: int, needed: Sequence[int], waiting: Sequence[int]) -> Use:
        if expert in self.resident:
            return Use(expert, False, None)
        evicted = None
        if len(self.resident) == self.slots:
            free = self.resident.difference(needed) or self.resident.difference(waiting)
            evicted = min(free, key=lambda e: (*self.worth(e), e))
            self.resident.remove(evicted)
        self.resident.add(expert)
        return Use(expert, True, evicted)

    def worth(self, expert: int) -> tuple[float, ...]:
        """The resident expert that is worth least makes room; of equals, the one with the lower number."""
        raise NotImplementedError


class LRU(ExpertCache):
    """Least recently used: the expert whose last step is longest ago makes room."""

    def worth(self, expert: int) -> tuple[float, ...]:
        return (self.last_used[expert],)


class LFU(ExpertCache):
    """Least frequently used: the expert that was needed in the fewest steps so far makes room; of equals as in LRU."""

    def worth(self, expert: int) -> tuple[float, ...]:
        return self.times_used[expert], self.last_used[expert]


class Favourites(ExpertCache):
    """The layer's favourites stay: what was chosen least in some text before makes room, whatever happens now."""

    def __init__(self, slots: int, load: Tensor):
        """load (E,): how often each expert was chosen there."""
        super().__init__(slots)
        self.load = load.tolist()

    def worth(self, expert: int) -> tuple[float, ...]:
        return self.load[expert], self.last_used[expert]


class Belady(ExpertCache):
    """Knows the future: what is needed again latest makes room (Belady 1966). No rule loads less often.

    That holds where every step fits into the cache. No program can do it while a text is written; it is the bound.
    """

    def __init__(self, slots: int, requests: Requests):
        """requests: all that will be asked for, step by step."""
        super().__init__(slots)
        self.coming: dict[int, list[int]] = {}  # steps by expert, the latest first
        for step in range(len(requests) - 1, -1, -1):
            for e in requests[step]:
                self.coming.setdefault(e, []).append(step)

    def worth(self, expert: int) -> tuple[float, ...]:
        steps = self.coming.get(expert, [])
        while steps and steps[-1] <= self.clock:
            steps.pop()
        return (-steps[-1] if steps else float("-inf"),)


class Step(NamedTuple):
    """What a cache did in one step."""

    needed: list[int]
    loaded: list[int]
    resident: list[int]  # afterwards


def serve(cache: ExpertCache, requests: Requests) -> list[Step]:
    """All requests of a layer, one after the other."""
    steps = []
    for needed in requests:
        loaded = [use.expert for use in cache.step(needed) if use.loaded]
        steps.append(Step(sorted(set(needed)), loaded, sorted(cache.resident)))
    return steps


def loads(steps: Sequence[Step]) -> int:
    """How many experts were loaded in all."""
    return sum(len(step.loaded) for step in steps)


def lru(requests: Requests, slots: int) -> list[list[int]]:
    """Step by step, which experts a cache loads that gives up the least recently used one."""
    return [sorted(step.loaded) for step in serve(LRU(slots), requests)]


def fewest_loads(requests: Requests, slots: int) -> int:
    """How often experts have to be loaded at least, whatever rule decides what makes room.

    Raises ValueError where a step needs more experts than fit: there the rule that knows the future is no bound.
    """
    largest = max((len(set(needed)) for needed in requests), default=0)
    if largest > slots:
        raise ValueError(f"A step needs {largest} experts, but {slots} fit into memory.")
    return loads(serve(Belady(slots, requests), requests))
