"""What the traffic explorer shows, as data: the choices of a shipped model, the devices of its tokens and experts, and
with them the vectors that travel. Each pass of a model is made once."""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
from torch import Tensor

from moe_lite import data
from moe_lite.lessons import traffic
from moe_lite.lessons.traffic import Network, Placement
from moe_lite.model.config import is_positive_int
from moe_lite.model.routing import route
from moe_lite.model.transformer import MoELanguageModel, evaluating
from moe_lite.widgets.kit.held_out import shown_model, validation_texts

COUNTS = (8, 16, 32)  # experts of the shipped models that are offered
DEVICES = (2, 4, 8)
MOST_K = 8
LIMITS = (1, 2, 4)
PLACEMENTS = {"neighbours": "neighbours", "load": "by load", "copies": "hot experts copied"}
TEXTS = {"mixed": "mixed", "kinds": "one kind per device"}
KINDS = (
    "shakespeare",
    "python",
    "french",
    "math",
    "german",
    "json",
    "italian",
    "facts",
    "dialogue",
)  # of devices 0, 1…
PER_DOMAIN = 16  # texts of each domain
PIECE = 32  # tokens of a piece of a sample, where no validation texts have been built
NUMBER_BYTES = 2  # of each number of a vector, on the way there and on the way back


# ---- settings --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Setting:
    """What was asked for. ValueError for what cannot be."""

    n_experts: int = 16
    layer: int = 1  # counted from 1
    devices: int = 4
    top_k: int = 2
    limit: int | None = None  # devices that a token's experts may come from
    placement: str = "neighbours"
    once: bool = True  # a vector is sent once per device, else once per expert
    texts: str = "mixed"

    def __post_init__(self) -> None:
        for name, offered in (
            ("n_experts", COUNTS), ("devices", DEVICES), ("limit", (None, *LIMITS)), ("placement", tuple(PLACEMENTS)),
            ("once", (True, False)), ("texts", tuple(TEXTS)),
        ):  # fmt: skip
            value = getattr(self, name)
            if not any(type(value) is type(each) and value == each for each in offered):
                raise ValueError(f"{name} is {value!r}, expected one of {', '.join(map(str, offered))}.")
        for name, high, why in (
            ("layer", self.n_layers, "the layers of this model"),
            ("top_k", self.most_k, "the experts per token"),
        ):
            value = getattr(self, name)
            if not is_positive_int(value) or value > high:
                raise ValueError(f"{name} is {value!r}, expected a whole number from 1 to {high}: {why}.")
        self._check_limit()

    def _check_limit(self) -> None:
        if self.limit is None:
            return
        if self.placement == "copies":
            raise ValueError("limit and placement='copies' are not combined here: leave limit at None.")
        if self.limit > self.devices:
            raise ValueError(f"limit is {self.limit}, but there are only {self.devices} devices.")
        if not self.fits(self.limit):
            raise ValueError(
                f"limit is {self.limit}, but top_k={self.top_k} experts do not stand on {self.limit} of the devices, "
                f"which hold {self.per_device} each."
            )

    def fits(self, limit: int) -> bool:
        """Whether so many devices hold as many experts as a token chooses."""
        return limit <= self.devices and self.top_k <= limit * self.per_device

    @property
    def model(self) -> MoELanguageModel:
        return shown_model(self.n_experts)

    @property
    def n_layers(self) -> int:
        return self.model.config.n_sparse_layers

    @property
    def most_k(self) -> int:
        return min(MOST_K, self.n_experts)

    @property
    def per_device(self) -> int:
        """Experts on each device; without copies."""
        return self.n_experts // self.devices


# ---- choices ---------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=2)
def read_texts(built: tuple[str, ...]) -> dict[str, Tensor]:
    """domain -> (R, T) ids: validation texts, or pieces of the package's sample where none have been built."""
    texts = {domain: ids[:PER_DOMAIN] for domain, ids in validation_texts(built).items()}
    for domain in data.DOMAINS:
        if domain not in texts:
            pieces = torch.tensor(data.encode(data.SAMPLES[domain])).unfold(0, PIECE, 1)  # (n, PIECE)
            texts[domain] = pieces[torch.linspace(0, len(pieces) - 1, PER_DOMAIN).long()]
    return texts


@lru_cache(maxsize=len(COUNTS) * MOST_K)
@torch.no_grad()
def choices(n_experts: int, top_k: int, built: tuple[str, ...]) -> dict[str, tuple[Tensor, Tensor]]:
    """domain -> the experts (L, R, T, K) that the model chooses if it uses so many per token, and its routers' logits
    (L, R, T, E). `built` as `kit.held_out.there` gives it."""
    model, texts, found = shown_model(n_experts), read_texts(built), {}
    for length in {ids.shape[1] for ids in texts.values()}:
        alike = {domain: ids for domain, ids in texts.items() if ids.shape[1] == length}
        with evaluating(model):
            routings = model(torch.cat(list(alike.values())), top_k=top_k).routing
        shape = (len(alike), PER_DOMAIN, length, -1)
        experts = torch.stack([routing.top_k[1].view(shape) for routing in routings], dim=1)  # (domains, L, R, T, K)
        logits = torch.stack([routing.logits.view(shape) for routing in routings], dim=1)  # (domains, L, R, T, E)
        found |= {domain: (experts[i], logits[i]) for i, domain in enumerate(alike)}
    return found


# ---- what travels ----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=16)
def travels(setting: Setting, built: tuple[str, ...]) -> "Traffic":
    return Traffic(setting, built)


@dataclass(frozen=True, eq=False)
class Traffic:
    """One layer's choices for all tokens, where they are computed, and what is sent for it."""

    setting: Setting
    built: tuple[str, ...]  # domains that have validation texts

    # ---- tokens

    @property
    def domains(self) -> list[str]:
        """Whose texts are read: of all that are built, or one for each device."""
        if self.setting.texts == "kinds":
            return self.kinds
        return list(self.built or data.DOMAINS)

    @property
    def kinds(self) -> list[str]:
        """The domain of each device, those with validation texts first."""
        return sorted(KINDS, key=lambda domain: domain not in self.built)[: self.setting.devices]

    @property
    def sampled(self) -> list[str]:
        """The domains among them that pieces of samples stand in for."""
        return [domain for domain in self.domains if domain not in self.built]

    def _rows(self, which: int) -> Tensor:
        """(N, …) of all tokens, text after text: text r lives on device r % M. which: 0 for experts, 1 for logits."""
        setting = self.setting
        found = choices(setting.n_experts, setting.top_k, self.built)
        texts = [found[domain][which][setting.layer - 1] for domain in self.domains]  # (R, T, …) each
        length = min(text.shape[1] for text in texts)
        stacked = torch.stack([text[:, :length] for text in texts], dim=1).flatten(0, 1)  # (R·domains, T, …)
        if setting.texts == "mixed":
            stacked = stacked[torch.randperm(len(stacked), generator=torch.Generator().manual_seed(0))]
        return stacked.flatten(0, 1)

    @cached_property
    def homes(self) -> Tensor:
        """(N,): the device of each token."""
        n_texts = PER_DOMAIN * len(self.domains)
        return (torch.arange(n_texts) % self.setting.devices).repeat_interleave(len(self.free) // n_texts)

    @property
    def n_tokens(self) -> int:
        return len(self.homes)

    # ---- experts

    @cached_property
    def free(self) -> Tensor:
        """(N, K): the experts that the model chooses."""
        return self._rows(0)

    @cached_property
    def experts(self) -> Tensor:
        """(N, K): the same under the limit."""
        setting = self.setting
        if setting.limit is None:
            return self.free
        order = self.places.argsort(stable=True)  # (E,): device by device, as groups of `route` stand
        logits = self._rows(1)[:, order]  # (N, E)
        limited = route(logits, setting.top_k, n_groups=setting.devices, topk_groups=setting.limit, group_score="max")
        return order[limited.top_k[1]]

    @cached_property
    def replaced(self) -> float:
        """The part of the choices that the limit changed."""
        same = (self.experts[:, :, None] == self.free[:, None, :]).any(dim=-1)  # (N, K)
        return 1 - float(same.double().mean())

    @cached_property
    def wanted(self) -> Tensor:
        """(E,): how many of these tokens the model sends to each expert, without a limit."""
        return torch.bincount(self.free.flatten(), minlength=self.setting.n_experts)

    @cached_property
    def places(self) -> Tensor:
        """(E,): the device of each expert, if none has copies."""
        setting = self.setting
        if setting.placement == "load":
            return traffic.places_by_load(self.wanted, setting.devices)
        return traffic.spread(setting.n_experts, setting.devices)

    @cached_property
    def held(self) -> list[list[int]]:
        """The experts of each device, each once."""
        setting = self.setting
        if setting.placement == "copies":
            found = traffic.balanced(self.wanted, setting.devices, setting.per_device + 1).experts
            return [sorted(set(experts)) for experts in found]
        return [(self.places == device).nonzero().flatten().tolist() for device in range(setting.devices)]

    @property
    def copied(self) -> list[int]:
        """Experts that stand on several devices."""
        every = [expert for held in self.held for expert in held]
        return sorted({expert for expert in every if every.count(expert) > 1})

    # ---- traffic

    @cached_property
    def to(self) -> Tensor:
        """(N, K): the device that computes each choice."""
        return traffic.to_copies(self.experts, self.homes, self.held)

    @cached_property
    def matrix(self) -> Tensor:
        """(M, M): vectors from device to device; the diagonal stays."""
        m = self.setting.devices
        return traffic.sent(self.to, self.homes, torch.arange(m), m, once=self.setting.once)

    @cached_property
    def _tokens(self) -> list[int]:
        """How many live on each device."""
        return torch.bincount(self.homes, minlength=self.setting.devices).tolist()

    @cached_property
    def shown(self) -> list[list[float]]:
        """The matrix per 100 tokens of the device that sends."""
        return [[100 * n / tokens for n in row] for row, tokens in zip(self.matrix.tolist(), self._tokens, strict=True)]

    @property
    def busiest_pair(self) -> float:
        """The largest number off the diagonal."""
        return max(n for i, row in enumerate(self.shown) for j, n in enumerate(row) if i != j)

    def sends(self, device: int) -> float:
        """Per 100 of its tokens."""
        return sum(self.shown[device]) - self.shown[device][device]

    def receives(self, device: int) -> float:
        """Per 100 tokens of a device; all have the same number."""
        return sum(row[device] for row in self.shown) - self.shown[device][device]

    @property
    def copies(self) -> float:
        """Copies of a token's vector that leave their device."""
        return traffic.crossing(self.matrix) / self.n_tokens

    @property
    def at_random(self) -> float:
        """The same, if a token's experts were drawn at random, each on one device and without a limit."""
        setting = self.setting
        return traffic.expected_crossing(setting.top_k, setting.devices, setting.once, setting.n_experts)

    @property
    def copy_bytes(self) -> float:
        """Of one copy and of the answer that comes back."""
        return traffic.bytes_per_token(self.setting.model.config.d_model, NUMBER_BYTES, NUMBER_BYTES)

    @property
    def bytes(self) -> float:
        """Per token and layer."""
        return self.copies * self.copy_bytes

    @cached_property
    def over_even(self) -> float:
        """The time of the all-to-all over that of one whose bytes are shared out evenly; 1 if nothing is sent."""
        found = traffic.exchange(self.matrix, Network(self.setting.devices, 1.0, 1.0), self.copy_bytes / 2)
        return found.seconds / found.mean_seconds if found.bytes else 1.0

    # ---- load

    @cached_property
    def _by_expert(self) -> Tensor:
        """(M, M, E): choices of the tokens of a device, computed on a device by an expert."""
        m, n_experts = self.setting.devices, self.setting.n_experts
        which = (self.homes[:, None] * m + self.to) * n_experts + self.experts  # (N, K)
        return torch.bincount(which.flatten(), minlength=m * m * n_experts).view(m, m, n_experts)

    @cached_property
    def pieces(self) -> list[list[tuple[int, float]]]:
        """Of each device its experts, with their choices over the mean load of a device."""
        load = self._by_expert.sum(dim=0).double()  # (M, E)
        load = load / load.sum(dim=1).mean()
        return [[(e, float(load[device, e])) for e in held] for device, held in enumerate(self.held)]

    @cached_property
    def placement(self) -> Placement:
        """With the load that was counted."""
        return Placement(self.held, self._by_expert.sum(dim=(0, 2)).double())

    @property
    def imbalance(self) -> float:
        return self.placement.imbalance

    @property
    def loads(self) -> list[float]:
        """Of each device, over the mean."""
        return (self.placement.load / self.placement.load.mean()).tolist()

    def favourite(self, home: int, device: int) -> tuple[int, float]:
        """The expert on a device that the tokens of another choose most, and how many of 100 do."""
        counts = self._by_expert[home, device]  # (E,)
        return int(counts.argmax()), 100 * int(counts.max()) / self._tokens[home]
