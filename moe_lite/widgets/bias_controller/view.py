"""A router in miniature whose experts are not equally liked, and the selection bias that evens them out."""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
from torch import Tensor

from moe_lite import metrics
from moe_lite.lessons.admission import BiasRule
from moe_lite.model.balance import update_selection_bias_
from moe_lite.widgets.kit.widget import CallbackError, called, name_of

STEPS = 200
EVEN, LAST = 0.2, 50  # CV below which a load counts as even, if chance allows it; steps at the end that are looked at
LIKED = 0.8  # standard deviation of how much the experts are liked, in logits


def by_sign(scores: Tensor, bias: Tensor, k: int, step: float) -> tuple[Tensor, Tensor, Tensor]:
    """DeepSeek-V3's rule: one step up or down, whatever the distance."""
    weights, expert_ids = _chosen(scores, bias, k)
    return weights, expert_ids, update_selection_bias_(bias.clone(), _load(expert_ids, bias), step)


def by_difference(scores: Tensor, bias: Tensor, k: int, step: float) -> tuple[Tensor, Tensor, Tensor]:
    """A proportional controller: the further from the mean, the larger the move."""
    weights, expert_ids = _chosen(scores, bias, k)
    load = _load(expert_ids, bias)
    return weights, expert_ids, bias + step * (1 - load / load.mean())


def _chosen(scores: Tensor, bias: Tensor, k: int) -> tuple[Tensor, Tensor]:
    expert_ids = (scores + bias).topk(k, dim=1).indices  # (N, k)
    return scores.gather(1, expert_ids), expert_ids


def _load(expert_ids: Tensor, bias: Tensor) -> Tensor:
    return torch.bincount(expert_ids.flatten(), minlength=len(bias)).to(bias.dtype)


RULES: dict[str, BiasRule] = {"sign": by_sign, "difference": by_difference}


@dataclass(frozen=True)
class Settings:
    """What a run is made of. drift: how far the experts' liking moves at each step, in logits."""

    n_experts: int
    top_k: int
    n_tokens: int  # of a batch
    step: float
    drift: float
    frozen_from: int  # the step from which the bias stands still; STEPS: never
    seed: int


@dataclass(frozen=True, eq=False)
class Controlled:
    """A run: load and bias at every step."""

    settings: Settings
    load: Tensor  # (STEPS, E) int64
    bias: Tensor  # (STEPS, E), with which the load was chosen
    rule: str = ""  # its name

    @cached_property
    def cv(self) -> Tensor:
        return metrics.load_cv(self.load)  # (STEPS,)

    @property
    def line(self) -> float:
        """The CV below which the load counts as even: in small batches chance alone is above EVEN."""
        return max(EVEN, 1.25 * self.chance)

    @property
    def even_after(self) -> int | None:
        """The first step from which the mean CV of ten steps is below `line`."""
        found = (self.cv.unfold(0, 10, 1).mean(dim=1) < self.line).nonzero()
        return int(found[0]) if len(found) else None

    @property
    def chance(self) -> float:
        """The CV of a batch in which every expert is equally likely: p = K / E for each of N tokens."""
        p = self.settings.top_k / self.settings.n_experts
        return ((1 - p) / (p * self.settings.n_tokens)) ** 0.5

    @property
    def swing(self) -> float:
        """The most by which one expert's bias goes up and down over the last steps."""
        last = self.bias[-LAST:]
        return (last.amax(dim=0) - last.amin(dim=0)).max().item()


@lru_cache(maxsize=8)
def liking(n_experts: int, drift: float, seed: int) -> Tensor:
    """(STEPS, E): how much each expert is liked at each step, a random walk where there is a drift."""
    generator = torch.Generator().manual_seed(seed)
    first = LIKED * torch.randn(n_experts, generator=generator)
    walk = torch.randn(STEPS, n_experts, generator=generator).cumsum(dim=0)
    return first + drift * walk


@lru_cache(maxsize=4)
def opinions(n_experts: int, n_tokens: int, seed: int) -> Tensor:
    """(STEPS, N, E): what each token of each batch thinks of the experts."""
    return torch.randn(STEPS, n_tokens, n_experts, generator=torch.Generator().manual_seed(seed + 1))


@torch.no_grad()
def control(settings: Settings, rule: BiasRule, name: str = "") -> Controlled:
    """Let `rule`, called `name`, choose experts and move the bias, batch after batch. CallbackError for what it does
    wrong."""
    s, bias, loads, biases = settings, torch.zeros(settings.n_experts), [], []
    logits = opinions(s.n_experts, s.n_tokens, s.seed) + liking(s.n_experts, s.drift, s.seed)[:, None]
    scores = logits.sigmoid()  # (STEPS, N, E)
    for step in range(STEPS):
        expert_ids, moved = _asked(rule, scores[step], bias, s)
        loads.append(torch.bincount(expert_ids.flatten(), minlength=s.n_experts))
        biases.append(bias)
        if step < s.frozen_from:
            bias = moved
    return Controlled(settings, torch.stack(loads), torch.stack(biases), name)


def _asked(rule: BiasRule, scores: Tensor, bias: Tensor, s: Settings) -> tuple[Tensor, Tensor]:
    """The experts that `rule` chooses, and the bias that it gives back."""
    answer, name = called(rule, scores.clone(), bias.clone(), s.top_k, s.step), name_of(rule)
    if not isinstance(answer, tuple) or len(answer) != 3 or not all(isinstance(part, Tensor) for part in answer):
        raise CallbackError(f"{name} returned {type(answer).__name__}, expected weights, expert_ids and a new bias.")
    _, expert_ids, new = answer
    if expert_ids.shape != (len(scores), s.top_k) or expert_ids.dtype != torch.int64:
        raise CallbackError(f"{name}: expert_ids are {tuple(expert_ids.shape)} {expert_ids.dtype}, expected int64 "
                            f"{(len(scores), s.top_k)}.")  # fmt: skip
    if not ((expert_ids >= 0) & (expert_ids < s.n_experts)).all():
        raise CallbackError(f"{name}: expert_ids go from {expert_ids.min()} to {expert_ids.max()}, experts from 0 to "
                            f"{s.n_experts - 1}.")  # fmt: skip
    if new.shape != bias.shape or not new.is_floating_point():
        raise CallbackError(f"{name}: the new bias is {tuple(new.shape)} {new.dtype}, expected a float tensor "
                            f"{tuple(bias.shape)}.")  # fmt: skip
    if not torch.isfinite(new).all():
        raise CallbackError(f"{name}: the new bias is not finite: {new.tolist()}.")
    return expert_ids, new.to(bias.dtype)
