"""Lesson 07's rules on plain tables: who finds room, who is chosen with a bias, whom experts choose, who looks ahead.

The model works with a Routing; these take and give what an exercise does, and ask the same functions.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor

from moe_lite.model.balance import drop_over_capacity, expert_capacity, update_selection_bias_
from moe_lite.model.routing import Routing, top_k_stable
from moe_lite.model.transformer import MoELanguageModel

# scores (N, E), bias (E,), k, step -> weights (N, k), expert_ids (N, k), the bias for the next batch (E,)
BiasRule = Callable[[Tensor, Tensor, int, float], tuple[Tensor, Tensor, Tensor]]


def keep_within_capacity(expert_ids: Tensor, n_experts: int, factor: float) -> tuple[int, Tensor]:
    """expert_ids (N, K) -> capacity, kept (N, K) bool: earlier places first (Switch, arXiv 2101.03961, section 2.2)."""
    capacity = expert_capacity(*expert_ids.shape, n_experts, factor)
    routing, places = as_routing(torch.ones(expert_ids.shape, device=expert_ids.device), expert_ids, n_experts)
    return capacity, _table(drop_over_capacity(routing, capacity).kept, places, expert_ids)


def keep_best(weights: Tensor, expert_ids: Tensor, capacity: int) -> Tensor:
    """weights (N, K), expert_ids (N, K) -> weights (N, K), 0 where no room is left; largest first, as in V-MoE."""
    routing, places = as_routing(weights.detach(), expert_ids, int(expert_ids.max()) + 1)
    return weights * _table(drop_over_capacity(routing, capacity, "score").kept, places, expert_ids)


def choose_and_move(scores: Tensor, bias: Tensor, k: int, step: float) -> tuple[Tensor, Tensor, Tensor]:
    """scores (N, E), bias (E,) -> weights (N, k), expert_ids (N, k), the bias for the next batch (E,).

    DeepSeek-V3, arXiv 2412.19437, section 2.1.2.
    """
    _, expert_ids = top_k_stable((scores + bias).detach(), k)  # (N, k)
    weights = scores.gather(1, expert_ids)  # (N, k)
    load = torch.bincount(expert_ids.flatten(), minlength=len(bias))  # (E,)
    return weights / weights.sum(dim=1, keepdim=True), expert_ids, update_selection_bias_(bias.clone(), load, step)


def expert_choice(scores: Tensor, capacity: int) -> tuple[Tensor, Tensor]:
    """scores (N, E) -> weights (E, C), token_ids (E, C): each expert's best tokens (Zhou et al., arXiv 2202.09368)."""
    return top_k_stable(scores.t(), capacity)


def looks_ahead(choose: Callable[[Tensor], Tensor], scores: Tensor, n_past: int, *, tries: int = 100) -> bool:
    """Whether later rows of the scores (N, E) can change what `choose` gives for the first n_past rows.

    choose: scores (N, E) -> weights (N, E), 0 where an expert does not work. True is proved by an example; False means
    that `tries` random futures changed nothing.
    """
    generator, before = torch.Generator().manual_seed(0), choose(scores.clone())[:n_past]
    for _ in range(tries):
        other = scores.clone()
        other[n_past:] = torch.rand(other[n_past:].shape, generator=generator, dtype=scores.dtype)
        if not torch.allclose(choose(other)[:n_past], before):
            return True
    return False


@contextmanager
def limited(model: MoELanguageModel, factor: float | None) -> Iterator[MoELanguageModel]:
    """Within it, every sparse layer has this capacity factor (None: no limit), and the model is in training mode.

    Training mode, because only there a layer drops what does not fit. Afterwards the model is as it was.
    """
    layers, was_training = model.moe_layers, model.training
    before = [layer.capacity for layer in layers]
    try:
        for layer in layers:
            layer.capacity = factor
        yield model.train()
    finally:
        for layer, capacity in zip(layers, before, strict=True):
            layer.capacity = capacity
        model.train(was_training)


class OwnBias:
    """The choice of one layer: a rule, and a bias that the rule moves after every batch of training."""

    def __init__(self, rule: BiasRule, n_experts: int, step: float):
        self.rule, self.bias, self.step = rule, torch.zeros(n_experts), step  # the bias goes where the scores are

    def __call__(self, scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """scores (N, E) -> weights (N, k), expert_ids (N, k)."""
        weights, expert_ids, moved = self.rule(scores, self.bias.to(scores.device), k, self.step)
        if torch.is_grad_enabled():  # in evaluation the bias stands still
            self.bias = moved.detach()
        return weights, expert_ids


def steer(model: MoELanguageModel, rule: BiasRule, step: float) -> None:
    """From now on every layer of the model chooses with `rule`, each with a bias of its own that begins at 0."""
    for layer in model.moe_layers:
        layer.router.options["top_k_fn"] = OwnBias(rule, model.config.n_experts, step)


def as_routing(weights: Tensor, expert_ids: Tensor, n_experts: int) -> tuple[Routing, Tensor]:
    """A Routing of the table's choices (N, K), and for each of its assignments the place n·K + j (A,)."""
    n_tokens, k = expert_ids.shape
    by_expert, places = expert_ids.flatten().sort(stable=True)  # (A,), (A,)
    scores = weights.new_zeros(n_tokens, n_experts).scatter(1, expert_ids, weights)  # (N, E)
    kept = torch.ones_like(places, dtype=torch.bool)
    routing = Routing(
        places // k, by_expert, weights.flatten()[places], kept, scores.log(), scores, n_tokens, n_experts
    )
    return replace(routing, batch_shape=(1, n_tokens)), places


def _table(values: Tensor, places: Tensor, expert_ids: Tensor) -> Tensor:
    """Values (A,) of assignments, back to the table (N, K)."""
    return torch.empty_like(values).index_copy(0, places, values).view_as(expert_ids)
