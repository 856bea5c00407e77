"""Who takes which domain in a layer, what one expert takes, and what each domain loses without it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from moe_lite.data import Corpus
from moe_lite.evaluate import evaluate
from moe_lite.lessons.interventions import control
from moe_lite.lessons.specialisation import Reading, TopToken, expert_table, lift, read, top_tokens
from moe_lite.model.transformer import MoELanguageModel
from moe_lite.widgets.kit.text import TokenText
from moe_lite.widgets.token_viewer import TokenRouting, checked_models, watched

MOST_EXPERTS = 64  # with more, a column of the heatmap is too narrow for its number
N_TOP = 10  # top tokens of an expert


def checked(
    models: MoELanguageModel | Mapping[int, MoELanguageModel], corpora: Mapping[str, Corpus], windows: int
) -> dict[int, MoELanguageModel]:
    """{n_experts: model}, fewest experts first. Raises ValueError for models, corpora and windows that do not fit."""
    models = checked_models(models)
    if not isinstance(corpora, Mapping) or not corpora:
        came = "none" if isinstance(corpora, Mapping) else f"a {type(corpora).__name__}"
        raise ValueError(f"corpora: {came} came; expected {{domain: Corpus}}, as load_corpora() gives them.")
    for n, model in models.items():
        if n > MOST_EXPERTS:
            raise ValueError(f"models[{n}] has {n} experts; the expert viewer has room for {MOST_EXPERTS}.")
        length = model.config.context_length
        domain, most = min(((d, (len(c.val) - 1) // length) for d, c in corpora.items()), key=lambda pair: pair[1])
        if windows < 1:
            raise ValueError(f"windows is {windows}; expected at least 1 per domain.")
        if windows > most:
            raise ValueError(f"windows is {windows}; expected at most {most}: {domain} has no more of {length} tokens.")
    return models


@dataclass(frozen=True)
class LayerTable:
    """Assignments of one layer, domain by expert, on the windows that were read: E experts, D domains."""

    reading: Reading
    row: int  # the place of the layer in reading.layers

    @property
    def domains(self) -> tuple[str, ...]:
        return self.reading.domain_names

    @property
    def n_experts(self) -> int:
        return self.reading.n_experts

    @cached_property
    def table(self) -> Tensor:
        """(E, D) int64"""
        reading = self.reading
        return expert_table(reading.experts[self.row], reading.domains, self.n_experts, len(self.domains))

    @cached_property
    def lift(self) -> Tensor:
        """(E, D) float64; NaN for an expert that got nothing."""
        return lift(self.table)

    @cached_property
    def share(self) -> Tensor:
        """(E,) float64: each expert's share of all assignments."""
        return self.table.sum(dim=1).double() / self.table.sum()

    def best(self, domain: str | None = None) -> int:
        """The expert with the highest lift for a domain, or for any."""
        lifts = self.lift.nan_to_num(0.0)  # (E, D)
        column = lifts[:, self.domains.index(domain)] if domain else lifts.max(dim=1).values  # (E,)
        return int(column.argmax())

    def controls(self, expert: int) -> "Controls":
        """For each domain the other expert with the nearest number of its assignments, as lesson 08's rule has it."""
        return tuple(Control.of(self.table[:, d], expert) for d in range(len(self.domains)))


@dataclass(frozen=True)
class Control:
    """Whom an expert is compared with on one domain."""

    expert: int
    share: float  # its assignments of this domain over the muted expert's

    @classmethod
    def of(cls, counts: Tensor, expert: int) -> "Control | None":
        """counts (E,) int64, a domain's assignments by expert. None if `expert` gets none of them."""
        if not counts[expert]:
            return None
        other = control(counts, [expert])[0]
        return cls(other, int(counts[other]) / int(counts[expert]))

    @property
    def near(self) -> bool:
        """Whether it gets enough, and not too much, of the domain for the two losses to be compared."""
        return 0.5 <= self.share <= 2


Controls = tuple[Control | None, ...]  # one for each domain


@dataclass(frozen=True)
class Card:
    """What one expert of a layer takes."""

    expert: int
    share: float  # of all assignments
    domains: tuple[float, ...]  # (D,) of its assignments, by domain; zeros if it got none
    fair: tuple[float, ...]  # (D,) of all assignments, by domain
    top: tuple[TopToken, ...]
    n_tokens: int  # different tokens that it got
    n_half: int  # the most frequent of them that make half of its assignments

    @classmethod
    def of(cls, layer: LayerTable, expert: int) -> "Card":
        reading, got = layer.reading, layer.table[expert].double()  # (D,)
        mine = (reading.experts[layer.row] == expert).any(dim=-1)  # (N,)
        n_each = torch.bincount(reading.token_ids[mine]).sort(descending=True).values  # (V,) most frequent first
        return cls(
            expert=expert,
            share=layer.share[expert].item(),
            domains=tuple((got / got.sum().clamp(min=1)).tolist()),
            fair=tuple((layer.table.sum(dim=0).double() / layer.table.sum()).tolist()),
            top=tuple(top_tokens(reading, reading.layers[layer.row], expert, n=N_TOP)),
            n_tokens=int((n_each > 0).sum()),
            n_half=int((n_each.cumsum(0) < n_each.sum() / 2).sum()) + 1 if len(n_each) else 0,
        )


@dataclass(frozen=True)
class Shown:
    """What the widget shows: a layer, one of its experts, and a text routed with or without that expert."""

    at: int  # the layer, from 1
    layer: LayerTable
    card: Card
    muted: bool
    text: TokenText
    routing: TokenRouting | None  # None for a text without tokens
    moved: np.ndarray | None  # (L, N, K) bool: which choices are others because the expert is muted

    @property
    def expert(self) -> int:
        return self.card.expert

    @property
    def n_experts(self) -> int:
        return self.layer.n_experts

    @property
    def place(self) -> int:
        """The layer as `Routing.layer`."""
        return self.layer.reading.layers[self.at - 1]

    @cached_property
    def muting(self) -> tuple[int, int, int, Controls]:
        """What there is to measure: n_experts, layer as `Routing.layer`, the expert and its controls."""
        return self.n_experts, self.place, self.expert, self.layer.controls(self.expert)

    @property
    def routed_as(self) -> tuple:
        """What the routing depends on."""
        return self.text, self.n_experts, (self.place, self.expert) if self.muted else None

    @property
    def sections(self) -> list[tuple[str, int, int]]:
        """Those of the text, as far as its tokens are shown."""
        n = 0 if self.routing is None else self.routing.shape[1]
        return [(name, a, min(b, n)) for name, a, b in self.text.sections if a < n]

    def chosen(self) -> np.ndarray:
        """(N, K): the experts of the text's tokens in this layer."""
        return self.routing.experts[self.at - 1]

    def changed(self, choice: int) -> np.ndarray:
        """(N,) bool: which tokens have another expert as this choice because the expert is muted."""
        if self.moved is None:
            return np.zeros(self.routing.shape[1], dtype=bool)
        return self.moved[self.at - 1, :, choice]

    def dimmed(self, choice: int) -> np.ndarray:
        """(N,) bool: which tokens step back: all that are not the expert's, or that its muting does not move."""
        return ~self.changed(choice) if self.muted else self.chosen()[:, choice] != self.expert


Without = tuple[int, int | None, int | None]  # n_experts, layer as `Routing.layer`, expert; None, None: the whole model


@dataclass(frozen=True)
class Changes:
    """What each domain's loss changes by without an expert, and without its control there: nats per token."""

    expert: int
    controls: Mapping[str, Control | None]  # of each domain
    by_domain: Mapping[str, tuple[float, float | None]]  # those that are measured; None where there is no control

    @property
    def complete(self) -> bool:
        return len(self.by_domain) == len(self.controls)


class Bench:
    """Reads each model once, and measures each model and each missing expert once per domain.

    A control is measured on its own domain alone, so the controls of all domains cost as much as one expert.
    """

    def __init__(self, models: Mapping[int, MoELanguageModel], corpora: Mapping[str, Corpus], windows: int):
        self.models, self.corpora, self.windows = models, dict(corpora), windows
        self.forget()

    def forget(self) -> None:
        """Read and measure anew: the models' weights have changed."""
        self._readings: dict[int, Reading] = {}
        self._losses: dict[Without, dict[str, float]] = {}

    def layer(self, n_experts: int, row: int) -> LayerTable:
        if n_experts not in self._readings:
            self._readings[n_experts] = read(watched(self.models[n_experts]), self.corpora, windows=self.windows)
        return LayerTable(self._readings[n_experts], row)

    def changes(self, n_experts: int, layer: int, expert: int, controls: Controls) -> Changes:
        """As far as they are measured."""
        others, measured = dict(zip(self.corpora, controls, strict=True)), {}
        for domain, other in others.items():
            keys = _needed(n_experts, layer, expert, other)
            losses = [self._losses.get(key, {}).get(domain) for key in keys]
            if None not in losses:
                whole, mine, *its = losses
                measured[domain] = (mine - whole, its[0] - whole if its else None)
        return Changes(expert, others, measured)

    def steps(self, n_experts: int, layer: int, expert: int, controls: Controls) -> Iterator[str]:
        """Measure what is missing for `changes`, domain by domain; the name of each domain when it is done."""
        losses = self._losses
        for (domain, corpus), other in zip(self.corpora.items(), controls, strict=True):
            for key in _needed(n_experts, layer, expert, other):
                if domain not in losses.setdefault(key, {}):
                    model = self._without(*key)
                    losses[key][domain] = evaluate(model, {domain: corpus}, max_windows=self.windows).loss[domain]
            yield domain

    def _without(self, n_experts: int, layer: int | None, expert: int | None) -> MoELanguageModel:
        model = self.models[n_experts]
        return watched(model) if expert is None else watched(model, [expert], [layer])


def _needed(n_experts: int, layer: int, expert: int, other: Control | None) -> list[Without]:
    """Whose losses on a domain are compared: of the whole model, without the expert, and without its control."""
    experts = [expert] if other is None else [expert, other.expert]
    return [(n_experts, None, None), *((n_experts, layer, e) for e in experts)]
