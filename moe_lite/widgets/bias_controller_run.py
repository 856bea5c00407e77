"""A router in miniature whose experts are not equally liked, and the selection bias that evens them out."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
from torch import Tensor

from moe_lite import metrics
from moe_lite.balance import update_selection_bias_
from moe_lite.widgets.base import CallbackError, called, name_of

STEPS = 200
EVEN, LAST = 0.2, 50  # CV below which the load counts as even here; steps at the end that are looked at
LIKED = 0.8  # standard deviation of how much the experts are liked, in logits

Move = Callable[[Tensor, Tensor, float], Tensor]  # bias (E,), load (E,), step -> new bias (E,)


def by_sign(bias: Tensor, load: Tensor, step: float) -> Tensor:
    """DeepSeek-V3's rule."""
    return update_selection_bias_(bias.clone(), load, step)


def by_difference(bias: Tensor, load: Tensor, step: float) -> Tensor:
    """A proportional controller: the further from the mean, the larger the move."""
    load = load.to(bias.dtype)
    return bias + step * (1 - load / load.mean())


RULES: dict[str, Move] = {"sign": by_sign, "difference": by_difference}


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

    @cached_property
    def cv(self) -> Tensor:
        return metrics.load_cv(self.load)  # (STEPS,)

    @property
    def even_after(self) -> int | None:
        """The first step from which the mean CV of ten steps is below EVEN."""
        found = (self.cv.unfold(0, 10, 1).mean(dim=1) < EVEN).nonzero()
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
def control(settings: Settings, move: Move) -> Controlled:
    """Let `move` change the bias after each batch. CallbackError for what it raises or returns wrongly."""
    s, bias, loads, biases = settings, torch.zeros(settings.n_experts), [], []
    logits = opinions(s.n_experts, s.n_tokens, s.seed) + liking(s.n_experts, s.drift, s.seed)[:, None]
    scores = logits.sigmoid()  # (STEPS, N, E)
    for step in range(STEPS):
        expert_ids = (scores[step] + bias).topk(s.top_k, dim=1).indices  # (N, K)
        loads.append(torch.bincount(expert_ids.flatten(), minlength=s.n_experts))
        biases.append(bias)
        if step < s.frozen_from:
            bias = _moved(move, bias, loads[-1], s.step)
    return Controlled(settings, torch.stack(loads), torch.stack(biases))


def _moved(move: Move, bias: Tensor, load: Tensor, step: float) -> Tensor:
    new = called(move, bias.clone(), load.clone(), step)
    if not isinstance(new, Tensor) or new.shape != bias.shape or not new.is_floating_point():
        came = f"{tuple(new.shape)} {new.dtype}" if isinstance(new, Tensor) else type(new).__name__
        raise CallbackError(f"{name_of(move)} returned {came}, expected a float tensor {tuple(bias.shape)}.")
    if not torch.isfinite(new).all():
        raise CallbackError(f"{name_of(move)} returned a bias that is not finite: {new.tolist()}.")
    return new.detach().to(bias.dtype)
