"""What a dashboard can show of a training that may be ill: every number with one definition.

shown = symptoms(model, logs, corpora)              # after a training: its model, its StepLogs
shown.load_cv, shown.tied, shown.loss_difference
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import mean

import torch
from torch import Tensor

from moe_lite.data import Corpus, validation_batches
from moe_lite.evaluate import evaluate
from moe_lite.metrics import dead_experts, load_cv, max_violation
from moe_lite.model.routing import Router, Routing
from moe_lite.model.transformer import MoELanguageModel, evaluating
from moe_lite.train import StepLog

LAST = 20  # training steps over which terms and dropping are averaged
WINDOWS = 8  # of validation text a domain that are looked at token by token
BATCH = 16  # rows


@dataclass(frozen=True)
class Symptoms:
    """One dashboard. Means are over layers unless a line says otherwise."""

    loss: float  # cross-entropy on the whole validation split, the mean over domains, nats per token
    loss_difference: float  # between two evaluations of the same windows of text, the largest of any domain
    load_cv: float  # on the whole validation split
    max_violation: float  # the same; of the worst layer
    dead: float  # experts below 1 % of their layer's mean load, a sum over layers
    dropped: float  # share of the assignments that training dropped, last 20 steps
    balance_term: float  # the balancing loss without its coefficient, last 20 steps; 1 is even
    z_term: float  # the router z-loss without its coefficient, last 20 steps
    logit_spread: float  # standard deviation of a token's logits over the experts
    top_score: float  # a token's highest score: how sure the router is
    weight_sum: float  # sum of a token's weights, nothing dropped
    weight_gap: float  # weights against scores, both as shares of a token's chosen experts: mean distance
    tied: float  # share of tokens with two equal logits
    other_experts: (
        float  # share of tokens whose experts the package's own Router, with the same weights, would not take
    )


@torch.no_grad()
def symptoms(
    model: MoELanguageModel, logs: Sequence[StepLog], corpora: Mapping[str, Corpus], *,
    length: int | None = None, windows: int = WINDOWS, max_windows: int | None = None,
) -> Symptoms:  # fmt: skip
    """Measure a trained model; logs are its training's. length: tokens per window (default: the model's context).

    Load and loss are those of `max_windows` per domain of the validation split (default: all of it); what is read twice
    or looked at token by token, of `windows` per domain.
    ValueError for a dense model or without logs.
    """
    if model.config.is_dense or not logs:
        raise ValueError(f"{'A dense model has no router' if logs else 'There are no StepLogs'}: nothing to measure.")
    whole = evaluate(model, dict(corpora), length=length, max_windows=max_windows)
    first, again = (evaluate(model, dict(corpora), length=length, max_windows=windows).loss for _ in range(2))
    last = logs[-LAST:]
    assignments = sum(log.load.sum() for log in last)  # over layers, too
    return Symptoms(
        loss=whole.mean_loss,
        loss_difference=max(abs(again[domain] - first[domain]) for domain in corpora),
        load_cv=load_cv(whole.load).mean().item(),
        max_violation=max_violation(whole.load).max().item(),
        dead=float(dead_experts(whole.load).sum()),
        dropped=float(sum(log.dropped.sum() for log in last) / assignments),
        balance_term=mean(log.balance_loss for log in last),
        z_term=mean(log.z_loss for log in last),
        **_token_by_token(model, corpora, length or model.config.context_length, windows),
    )


def _token_by_token(model: MoELanguageModel, corpora, length: int, windows: int) -> dict[str, float]:
    """Means over tokens and layers of what `_of_tokens` gives."""
    ids = torch.cat([batch.ids for batch in validation_batches(corpora, length, max_windows=windows).values()])
    parts: dict[str, list[Tensor]] = {}
    with evaluating(model), beside_the_plain_router(model) as pairs:
        for rows in ids.split(BATCH):
            model(rows)
    for routing, plain in pairs:
        for name, values in _of_tokens(routing, plain).items():
            parts.setdefault(name, []).append(values.double())
    return {name: torch.cat(values).mean().item() for name, values in parts.items()}


@contextmanager
def beside_the_plain_router(model: MoELanguageModel) -> Iterator[list[tuple[Routing, Routing]]]:
    """Inside the block every call of a router adds a pair: its Routing, and that of a plain Router in its place.

    The plain one has the same weights, bias and input, computes in float32 and, in evaluation, without noise.
    """
    pairs: list[tuple[Routing, Routing]] = []

    def look(router: Router, arguments: tuple[Tensor], routing: Routing) -> None:
        pairs.append((routing, Router.forward(router, arguments[0])))

    hooks = [layer.router.register_forward_hook(look) for layer in model.moe_layers]
    try:
        yield pairs
    finally:
        for hook in hooks:
            hook.remove()


def _of_tokens(routing: Routing, plain: Routing) -> dict[str, Tensor]:
    """name -> (N,): one number a token."""
    logits, scores, taken = routing.logits, routing.scores, routing.combine != 0  # (N, E) each
    in_order = logits.sort(dim=-1).values  # (N, E)
    weights = routing.combine  # (N, E)
    total = weights.sum(dim=-1)  # (N,)
    kept_scores = scores * taken  # (N, E)
    gap = (_shares(weights) - _shares(kept_scores)).abs()  # (N, E)
    return {
        "logit_spread": logits.std(dim=-1, correction=0),
        "top_score": scores.amax(dim=-1),
        "weight_sum": total,
        "weight_gap": gap.sum(dim=-1) / taken.sum(dim=-1).clamp(min=1),
        "tied": (in_order.diff(dim=-1) == 0).any(dim=-1),
        "other_experts": (taken != (plain.combine != 0)).any(dim=-1),
    }


def _shares(values: Tensor) -> Tensor:
    """Each row over its sum, (N, E) -> (N, E)."""
    return values / values.sum(dim=-1, keepdim=True).clamp(min=1e-20)
