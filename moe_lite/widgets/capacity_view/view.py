"""What the capacity view shows: a text, which experts each token asks for, and who finds room."""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import torch

from moe_lite.model.balance import drop_over_capacity, expert_capacity, queue
from moe_lite.model.routing import Routing
from moe_lite.widgets.kit.text import Face

NO_LIMIT = 0.0  # the factor that stands for it: infinity cannot travel to a page


@dataclass(frozen=True, eq=False)
class Rooms:
    """N tokens, the experts they ask for, and the order in which every expert serves them."""

    faces: tuple[Face, ...]  # N
    routing: Routing  # with `kept` set
    factor: float
    priority: str
    capacity: int  # places of an expert; a large number without a limit

    @property
    def n_experts(self) -> int:
        return self.routing.n_experts

    @property
    def limit(self) -> int | None:
        """The capacity, or None without a limit."""
        return None if self.factor == NO_LIMIT else self.capacity

    @property
    def asked(self) -> int:
        return len(self.routing.expert_ids)

    @property
    def dropped(self) -> int:
        return int((~self.routing.kept).sum())

    @property
    def rows(self) -> int:
        """Of all experts' tables, filled or not."""
        return self.n_experts * self.capacity

    @property
    def empty(self) -> int:
        return self.rows - (self.asked - self.dropped)

    @cached_property
    def load(self) -> list[int]:
        """(E,): choices of each expert."""
        return self.routing.load.tolist()

    @cached_property
    def _chosen(self) -> list[list[tuple[float, int, bool]]]:
        """For each token (−weight, expert, kept), largest weight first."""
        rows: list[list[tuple[float, int, bool]]] = [[] for _ in self.faces]
        parts = (getattr(self.routing, name).tolist() for name in ("token_ids", "weights", "expert_ids", "kept"))
        for token, weight, expert, kept in zip(*parts, strict=True):
            rows[token].append((-weight, expert, kept))
        return [sorted(row) for row in rows]

    @cached_property
    def choices(self) -> list[list[tuple[int, bool]]]:
        """For each token (expert, kept), largest weight first."""
        return [[(expert, kept) for _, expert, kept in row] for row in self._chosen]

    @cached_property
    def weights(self) -> list[list[float]]:
        """For each token the weights of its choices, largest first."""
        return [[-weight for weight, _, _ in row] for row in self._chosen]

    @cached_property
    def lines(self) -> list[list[tuple[int, int]]]:
        """For each expert (token, its choice from 0), in the order in which they are served."""
        lines: list[list[tuple[int, int]]] = [[] for _ in range(self.n_experts)]
        for place in queue(self.routing, self.priority).tolist():
            token, expert = int(self.routing.token_ids[place]), int(self.routing.expert_ids[place])
            choice = [chosen for chosen, _ in self.choices[token]].index(expert)
            lines[expert].append((token, choice))
        return lines

    @cached_property
    def places(self) -> list[list[int]]:
        """For each token where it stands in the lines of the experts that it chose, from 0, largest weight first."""
        places = [[0] * len(row) for row in self.choices]
        for line in self.lines:
            for place, (token, choice) in enumerate(line):
                places[token][choice] = place
        return places

    @cached_property
    def free(self) -> list[int]:
        """(E,): rows of each expert's table that stay empty; none without a limit, where a table is as long as it
        must be."""
        return [0 if self.limit is None else max(0, self.limit - load) for load in self.load]

    @cached_property
    def alone(self) -> list[int]:
        """Tokens that no expert computes: the residual alone carries them on."""
        return [token for token, row in enumerate(self.choices) if not any(kept for _, kept in row)]

    @cached_property
    def short(self) -> int:
        """How many tokens lost some of their experts, but not all."""
        return sum(any(kept for _, kept in row) and not all(kept for _, kept in row) for row in self.choices)


def rooms(faces: tuple[Face, ...], routing: Routing, factor: float, priority: str) -> Rooms:
    """Serve the choices of `routing`; its own `kept` is not looked at."""
    if factor == NO_LIMIT:
        served, capacity = replace(routing, kept=torch.ones_like(routing.kept)), len(routing.expert_ids)
    else:
        k = math.ceil(len(routing.expert_ids) / max(1, routing.n_tokens))
        capacity = expert_capacity(routing.n_tokens, k, routing.n_experts, factor)
        served = drop_over_capacity(routing, capacity, priority)
    return Rooms(faces, served, factor, priority, capacity)
