"""What the cache explorer shows, as data: the experts that a text asks for, what a cache does with these requests, and
how many experts a batch touches. All of it is computed from the choices of a shipped model, each pass made once."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from statistics import median
from typing import NamedTuple

import torch
from torch import Tensor

from moe_lite import data
from moe_lite.checkpoint import pretrained
from moe_lite.lab.decoding import BATCHES, PROMPT, decoding_speeds
from moe_lite.lessons import expert_cache
from moe_lite.lessons.expert_cache import LFU, LRU, Belady, ExpertCache, Favourites
from moe_lite.lessons.serving import experts_touched
from moe_lite.model.config import is_positive_int
from moe_lite.model.transformer import MoELanguageModel
from moe_lite.widgets.kit.held_out import PER_DOMAIN, shown_model, there, validation_texts
from moe_lite.widgets.kit.text import Face, faces_of

COUNTS = (8, 16, 32)  # experts of the shipped models that are offered
RULES = {"lru": "LRU", "lfu": "LFU", "favourites": "favourites", "belady": "knows the future"}
MIXED = "mixed"
DOMAINS = (MIXED, *data.DOMAINS)
MOST_NEW, MOST_TEXTS = 96, PER_DOMAIN
BYTES = 2  # of a weight in the file: bfloat16
POINTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)  # batches that are measured
ROUNDS = 3  # of timing


# ---- settings --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Setting:
    """What was asked for. ValueError for what cannot be."""

    text: str
    n_experts: int = 16
    layer: int = 1  # counted from 1
    slots: int = 4  # experts per layer that fit into memory
    rule: str = "lru"
    new: int = 40  # tokens that are written
    batch: int = 8  # texts at a time
    domain: str = MIXED

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise ValueError(f"text is a {type(self.text).__name__}, expected a str that the model goes on from.")
        for name, offered in (("n_experts", COUNTS), ("rule", tuple(RULES)), ("domain", DOMAINS)):
            value = getattr(self, name)
            if type(value) is not type(offered[0]) or value not in offered:
                raise ValueError(f"{name} is {value!r}, expected one of {', '.join(map(str, offered))}.")
        for name, low, high, why in (
            ("layer", 1, self.n_layers, "the layers of this model"),
            ("slots", self.top_k, self.n_experts, f"a token needs {self.top_k} experts per layer at once"),
            ("new", 1, MOST_NEW, "the tokens to be written"),
            ("batch", 1, MOST_TEXTS, "the texts at a time"),
        ):
            value = getattr(self, name)
            if not is_positive_int(value) or not low <= value <= high:
                raise ValueError(f"{name} is {value!r}, expected a whole number from {low} to {high}: {why}.")

    @property
    def model(self) -> MoELanguageModel:
        return shown_model(self.n_experts)

    @property
    def n_layers(self) -> int:
        return self.model.config.n_sparse_layers

    @property
    def top_k(self) -> int:
        return self.model.config.top_k

    @property
    def expert_bytes(self) -> int:
        """Of one expert in one layer, as it lies in the file."""
        experts = self.model.moe_layers[0].experts
        return BYTES * (experts.gate_up[0].numel() + experts.down[0].numel())

    @property
    def common_bytes(self) -> int:
        """Of the weights that every step reads; of the input embedding it reads a row per token, which is left out."""
        named = self.model.named_parameters()
        return BYTES * sum(p.numel() for name, p in named if ".experts." not in name and name != "embed.weight")


# ---- a text ----------------------------------------------------------------------------------------------------------


class Moment(NamedTuple):
    """What a cache did in one step."""

    needed: list[int]
    loaded: list[tuple[int, int | None]]  # expert, and what made room for it
    resident: list[int]  # afterwards


@dataclass(frozen=True, eq=False)
class Written:
    """A prompt and what the model wrote after it, with the experts of every step: the prompt's, then one per token."""

    n_prompt: int  # tokens that were read
    n_typed: int  # and that there are
    faces: list[Face]  # of the new tokens
    requests: list[list[list[int]]]  # layer, step -> experts
    load: Tensor  # (L, E): how often validation texts chose each expert
    _served: dict[tuple[int, str, int], list[Moment]] = field(default_factory=dict, repr=False)

    @property
    def new(self) -> int:
        return len(self.faces)

    def cache(self, layer: int, rule: str, slots: int) -> ExpertCache:
        if rule == "favourites":
            return Favourites(slots, self.load[layer - 1])
        return Belady(slots, self.requests[layer - 1]) if rule == "belady" else {"lru": LRU, "lfu": LFU}[rule](slots)

    def moments(self, layer: int, rule: str, slots: int) -> list[Moment]:
        """Step by step, the prompt's first."""
        key = layer, rule, slots
        if key not in self._served:
            cache, self._served[key] = self.cache(*key), []
            for needed in self.requests[layer - 1]:
                loaded = [(use.expert, use.evicted) for use in cache.step(needed) if use.loaded]
                self._served[key].append(Moment(needed, loaded, sorted(cache.resident)))
        return self._served[key]

    def loads(self, layer: int, rule: str, slots: int) -> int:
        """Experts that were loaded while writing; those of the prompt are not counted."""
        return sum(len(moment.loaded) for moment in self.moments(layer, rule, slots)[1:])

    def needed(self, layer: int) -> int:
        """Experts that the steps of writing needed."""
        return sum(map(len, self.requests[layer - 1][1:]))

    def loads_in_all(self, rule: str, slots: int) -> int:
        """In all layers."""
        return sum(self.loads(layer, rule, slots) for layer in range(1, len(self.requests) + 1))

    def needed_in_all(self) -> int:
        return sum(map(self.needed, range(1, len(self.requests) + 1)))


def write(setting: Setting) -> Written | None:
    """The model goes on from the text, always with the most probable token; None where there is no text."""
    ids = tuple(data.encode(setting.text))
    return written(setting.n_experts, ids, setting.new, there()) if ids else None


@lru_cache(maxsize=8)
def written(n_experts: int, ids: tuple[int, ...], new: int, built: tuple[str, ...]) -> Written:
    """`built` as `there` gives it. A prompt that is too long is cut to its last tokens."""
    model = shown_model(n_experts)
    read = ids[-(model.config.context_length - new - 1) :]
    requests = [[] for _ in model.moe_layers]
    tokens = []
    for token, output in model.generate(torch.tensor([read]), new + 1, temperature=0):
        tokens.append(int(token))
        for asked, routing in zip(requests, output.routing, strict=True):
            asked.append(routing.expert_ids.unique().tolist())
    load = held_out(n_experts, built).load
    return Written(len(read), len(ids), faces_of(tokens[:-1]), requests, load)  # the last one is not read any more


# ---- texts of the course ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class HeldOut:
    """The model's choices on validation texts, and on the samples that the package holds for domains without."""

    n_experts: int
    texts: dict[str, Tensor]  # domain -> (B, T) ids of its validation texts, in random order
    choices: dict[str, Tensor]  # the same domains -> (L, B, T, K)
    samples: dict[str, Tensor]  # domains that have not been built -> (L, T, K)
    _touched: dict[tuple[int, str, int], float] = field(default_factory=dict, repr=False)

    @cached_property
    def load(self) -> Tensor:
        """(L, E) int64: how often each expert was chosen, in all domains."""
        flat = self._flat(MIXED)  # (L, N, K)
        return torch.stack([torch.bincount(layer.flatten(), minlength=self.n_experts) for layer in flat])

    def is_measured(self, domain: str) -> bool:
        """Whether there are validation texts."""
        return bool(self.texts) if domain == MIXED else domain in self.texts

    def shares(self, layer: int, domain: str) -> Tensor:
        """(E,) float64: the part of the domain's tokens that chose each expert."""
        return expert_cache.shares(self._flat(domain)[layer - 1], self.n_experts)

    def _flat(self, domain: str) -> Tensor:
        """(L, N, K): the experts of all tokens of a domain, or of all domains that have been built."""
        chosen = {name: each.flatten(1, 2) for name, each in self.choices.items()} or self.samples
        if domain == MIXED:
            return torch.cat(list(chosen.values()), dim=1)
        return chosen[domain] if domain in chosen else self.samples[domain]

    @cached_property
    def _mixed(self) -> tuple[Tensor, Tensor]:
        """Ids and choices of all texts, in random order."""
        ids, choices = torch.cat(list(self.texts.values())), torch.cat(list(self.choices.values()), dim=1)
        order = torch.randperm(len(ids), generator=torch.Generator().manual_seed(0))
        return ids[order], choices[:, order]

    def touched(self, layer: int, domain: str, n: int) -> float:
        """How many experts one token each of n validation texts chose, on average over their places in the text."""
        key = layer, domain, n
        if key not in self._touched:
            choices = (self._mixed[1] if domain == MIXED else self.choices[domain])[layer - 1]  # (B, T, K)
            counts = expert_cache.touched(expert_cache.of_many_texts(choices, n), self.n_experts)
            self._touched[key] = float(counts.double().mean())
        return self._touched[key]

    def prompts(self, domain: str, n: int) -> Tensor:
        """(n, PROMPT) ids: beginnings of validation texts, else pieces of samples."""
        if self.is_measured(domain):
            return (self._mixed[0] if domain == MIXED else self.texts[domain])[:n, :PROMPT]
        names = list(data.SAMPLES) if domain == MIXED else [domain]
        pieces = torch.cat([torch.tensor(data.encode(data.SAMPLES[name])).unfold(0, PROMPT, 1) for name in names])
        return pieces[torch.linspace(0, len(pieces) - 1, n).long()]


@lru_cache(maxsize=2 * len(COUNTS))
def held_out(n_experts: int, built: tuple[str, ...]) -> HeldOut:
    """`built` as `there` gives it."""
    model, texts = shown_model(n_experts), validation_texts(built)
    choices = {domain: expert_cache.choices(model, ids) for domain, ids in texts.items()}
    samples = {
        domain: expert_cache.choices(model, torch.tensor([data.encode(data.SAMPLES[domain])]))[:, 0]
        for domain in data.DOMAINS if domain not in texts
    }  # fmt: skip
    return HeldOut(n_experts, texts, choices, samples)


# ---- a batch ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Batch:
    """How many of a layer's experts one decoding step touches, by the number of texts."""

    setting: Setting
    held_out: HeldOut

    @property
    def measured(self) -> bool:
        return self.held_out.is_measured(self.setting.domain)

    @property
    def missing(self) -> list[str]:
        """Domains that are asked for and have not been built."""
        asked = data.DOMAINS if self.setting.domain == MIXED else (self.setting.domain,)
        return [domain for domain in asked if domain not in self.held_out.texts]

    @property
    def points(self) -> list[int]:
        """The batches at which texts are counted: as many texts as there are of the domain, at most."""
        if not self.measured:
            return []
        n = sum(map(len, self.held_out.texts.values()))
        most = n if self.setting.domain == MIXED else len(self.held_out.texts[self.setting.domain])
        return sorted({min(point, most) for point in POINTS})

    def even(self, n: int) -> float:
        return experts_touched(self.setting.n_experts, self.setting.top_k, n)

    @cached_property
    def _shares(self) -> Tensor:
        return self.held_out.shares(self.setting.layer, self.setting.domain)

    def by_shares(self, n: int) -> float:
        return expert_cache.expected_touched(self._shares, n)

    def counted(self, n: int, layer: int | None = None) -> float:
        """On validation texts, as many of them at once as there are, at most."""
        return self.held_out.touched(layer or self.setting.layer, self.setting.domain, min(n, self.points[-1]))

    def best(self, n: int) -> float:
        """Counted on validation texts, else by shares."""
        return self.counted(n) if self.measured else self.by_shares(n)

    def bytes(self, n: int) -> float:
        """Of this layer's experts that one step reads."""
        return self.best(n) * self.setting.expert_bytes

    # ---- speed

    def step_bytes(self, n: int) -> float:
        """Of all weights that one step reads, in all layers."""
        layers = range(1, self.setting.n_layers + 1)
        if self.measured:
            touched = sum(self.counted(n, layer) for layer in layers)
        else:
            touched = sum(
                expert_cache.expected_touched(self.held_out.shares(layer, self.setting.domain), n) for layer in layers
            )
        return self.setting.common_bytes + touched * self.setting.expert_bytes

    def predicted(self, n: int, alone: float) -> float:
        """Tokens per second of n texts, if a step took as long as its weights have bytes; `alone`: of one text."""
        return alone * n * self.step_bytes(1) / self.step_bytes(n)


def measuring(setting: Setting) -> Iterator[dict[int, float]]:
    """Time the model on this machine, round by round: tokens per second by batch, medians of the rounds so far."""
    prompts = held_out(setting.n_experts, there()).prompts(setting.domain, max(BATCHES))
    model, taken = pretrained(setting.n_experts).eval(), []  # its own: the page may use the other meanwhile
    for _ in range(ROUNDS):
        taken.append(decoding_speeds(model, prompts, rounds=1))
        yield {n: median(speeds[n] for speeds in taken) for n in BATCHES}
