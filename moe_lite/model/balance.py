"""Keeping every expert busy: balancing losses, of one layer and of all, the selection bias, capacity.

Notation of Switch Transformers (arXiv 2101.03961, equations 4 to 6): f_i is the share of assignments that go to
expert i, P_i the mean score that tokens give it.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from moe_lite.model.config import PRIORITIES
from moe_lite.model.routing import Routing


def load_balancing_loss(scores: Tensor, expert_ids: Tensor, *, count: str = "per_assignment") -> Tensor:
    """E · sum_i f_i · P_i for one layer.

    scores (N, E), rows summing to 1; expert_ids, any shape, the experts chosen for these tokens -> scalar.
    count says what f is divided by: "per_assignment" by N·K (the papers; uniform scores give 1), "per_token" by N
    (Hugging Face's Mixtral; uniform scores give K). f carries no gradient: only P can move.
    It has no lower bound at 1: f and P can point in opposite directions.
    """
    if count not in ("per_assignment", "per_token"):
        raise ValueError(f"count is {count!r}, expected 'per_assignment' or 'per_token'.")
    n_tokens, n_experts = scores.shape
    counts = torch.bincount(expert_ids.flatten(), minlength=n_experts).to(scores.dtype)  # (E,)
    share = counts / max(expert_ids.numel() if count == "per_assignment" else n_tokens, 1)  # (E,) f
    return n_experts * (share * scores.mean(dim=0)).sum()


def router_z_loss(logits: Tensor) -> Tensor:
    """Mean over tokens of (log sum_i exp z_i)²: keeps logits small (ST-MoE, arXiv 2202.08906, eq. 5).

    logits (N, E) -> scalar.
    """
    return logits.logsumexp(dim=-1).square().mean()


def without_padding(routing: Routing) -> tuple[Tensor, Tensor, Tensor]:
    """What losses are computed of: scores (n, E), logits (n, E) and the chosen experts (n·K,) of the n real tokens.

    Rows of the scores sum to 1: sigmoid scores are divided by their sum, as DeepSeek-V3 does for its balancing loss.
    """
    scores, logits, expert_ids = routing.scores, routing.logits, routing.expert_ids
    if routing.token_mask is not None:
        scores, logits = scores[routing.token_mask], logits[routing.token_mask]
        expert_ids = expert_ids[routing.token_mask[routing.token_ids]]
    return scores / scores.sum(dim=-1, keepdim=True).clamp(min=1e-20), logits, expert_ids


@torch.no_grad()
def update_selection_bias_(bias: Tensor, load: Tensor, step: float) -> Tensor:
    """Move the bias (E,) of overloaded experts down and of underloaded ones up by `step`, in place.

    load (E,): assignments over the whole batch. DeepSeek-V3 (arXiv 2412.19437, section 2.1.2); called by the trainer.
    """
    load = load.to(bias.dtype)
    return bias.add_(step * (load.mean() - load).sign())


@torch.no_grad()
def soft_bias_step_(
    bias: Tensor, momentum: Tensor, load: Tensor, step: float, *, keep: float = 0.5, sharpness: float = 2.0
) -> Tensor:
    """Move the bias (E,) by SMEBU (arXiv 2602.17004), in place, and with it its momentum (E,).

    v = (mean − load) / mean is how much of the fair share an expert lacks; d = step · tanh(sharpness · v), less its
    mean over experts; momentum becomes keep · momentum + (1 − keep) · d and is added to the bias. Near balance the
    steps become small, where those by sign never do. Trinity Large: step 5e-4, keep 0.5, sharpness 2.
    """
    load = load.to(bias.dtype)
    lacking = 1 - load / load.mean().clamp(min=1e-20)  # (E,) v
    change = step * (sharpness * lacking).tanh()  # (E,)
    momentum.mul_(keep).add_((1 - keep) * (change - change.mean()))
    return bias.add_(momentum)


@torch.no_grad()
def quantile_bias_(bias: Tensor, scores: Tensor, k: int, keep: float = 0.0) -> Tensor:
    """Set the bias (E,) to what would have balanced this batch, in place: quantile balancing, which needs no step.

    scores (N, E) without the bias. Of each token the (k+1)-th best biased score is what an expert must exceed to be
    chosen. Each expert's bias becomes such that its score exceeds that of exactly N·k/E tokens (rounded): minus a
    quantile of the differences, halfway between the last that is to pass and the next; less the mean over experts.
    keep: share of the old bias that stays, a moving average over batches. kexue.fm/archives/11619; (k+1)-th best and
    mean as in Kimi K3 (arXiv 2607.24653).
    """
    n_tokens, n_experts = scores.shape
    fair = round(n_tokens * k / n_experts)
    if k == n_experts or fair >= n_tokens:
        return bias  # every token takes every expert
    cutoff = (scores + bias).topk(k + 1, dim=-1).values[:, -1:]  # (N, 1)
    lead = (scores - cutoff).sort(dim=0, descending=True).values  # (N, E)
    found = -(lead[fair - 1] + lead[fair]) / 2 if fair else -lead[0]  # (E,)
    return bias.mul_(keep).add_((1 - keep) * (found - found.mean()))


@torch.no_grad()
def move_threshold_(threshold: Tensor, logits: Tensor, k: int, weight: float) -> Tensor:
    """Move each expert's threshold (E,) toward the N·k/E-th highest of its logits (N, E) in this batch, in place.

    weight: how far, 1 is all the way. The moving average of Expert Threshold routing (arXiv 2603.11535).
    """
    n_tokens, n_experts = logits.shape
    fair = min(max(n_tokens * k // n_experts, 1), n_tokens)
    return threshold.lerp_(logits.topk(fair, dim=0).values[-1].to(threshold.dtype), weight)


@torch.no_grad()
def remember_load_(earlier: Tensor, load: Tensor) -> Tensor:
    """Put the load (E,) of this batch behind those of the batches before, (W, E) int64; the oldest goes. In place."""
    return earlier.copy_(torch.cat([earlier[1:], load[None]]))


def expert_capacity(n_tokens: int, k: int, n_experts: int, factor: float) -> int:
    """C: how many assignments an expert takes, `factor` times the fair share, rounded up."""
    return math.ceil(round(factor * n_tokens * k / n_experts, 6))  # 1.1 · 100 / 10 is 11.000000000000002; 11 is meant


def drop_over_capacity(routing: Routing, capacity: int, priority: str = "position") -> Routing:
    """The same routing with `kept` False for all but the first `capacity` assignments of each expert.

    priority  position: earlier tokens first, so what happens to a token never depends on later ones of its row
              score: the highest score first (as V-MoE and Megatron do); later tokens can push out earlier ones
              first_choice: all first choices before any second one, then by position (GShard); looks ahead as well
    Padding takes no room: it is never kept.
    """
    mask = routing.token_mask
    real = torch.ones_like(routing.kept) if mask is None else mask[routing.token_ids]  # (A,)
    order = queue(routing, priority)  # (A,)
    starts = routing.load.cumsum(0) - routing.load  # (E,) real assignments before each expert's first
    place = real[order].cumsum(0) - 1 - starts[routing.expert_ids]  # (A,) in the queue of its expert, from 0
    kept = torch.empty_like(real).index_copy(0, order, real[order] & (place < capacity))  # (A,)
    return replace(routing, kept=kept)


def queue(routing: Routing, priority: str) -> Tensor:
    """(A,) int64: the assignments expert by expert, in the order in which they find room."""
    place = torch.arange(len(routing.expert_ids), device=routing.expert_ids.device)  # (A,)
    if priority == "position":
        return place
    if priority == "score":
        rank = -routing.scores.detach()[routing.token_ids, routing.expert_ids]  # (A,)
    elif priority == "first_choice":
        order = routing.weights.detach().argsort(descending=True, stable=True)  # (A,)
        order = order[routing.token_ids[order].argsort(stable=True)]  # (A,) token by token, largest weight first
        first = routing.per_token.cumsum(0) - routing.per_token  # (N,)
        rank = torch.empty_like(order)
        rank[order] = place - first[routing.token_ids[order]]  # (A,) 0 for a first choice
    else:
        raise ValueError(f"priority is {priority!r}, expected one of {PRIORITIES}.")
    order = rank.argsort(stable=True)  # (A,)
    return order[routing.expert_ids[order].argsort(stable=True)]


def switch_loss(routings: Sequence[Routing]) -> Tensor:
    """E · sum_i f_i · P_i over the whole batch, the mean over layers; uniform scores give 1.

    Switch Transformers (arXiv 2101.03961, eq. 4), f over N·K assignments as in MegaBlocks and Megatron. Where a Routing
    carries the loads of earlier batches, f counts them, too; P is always that of this batch (arXiv 2501.11873).
    """
    terms = []
    for routing in routings:
        scores, _, expert_ids = without_padding(routing)
        if routing.earlier is None:
            terms.append(load_balancing_loss(scores, expert_ids))
        else:
            load = (routing.load + routing.earlier).to(scores.dtype)  # (E,)
            terms.append(routing.n_experts * (load / load.sum().clamp(min=1) * scores.mean(dim=0)).sum())
    return torch.stack(terms).mean()


def z_loss(routings: Sequence[Routing]) -> Tensor:
    """`router_z_loss` of the tokens that are not padding, the mean over layers."""
    return torch.stack([router_z_loss(without_padding(routing)[1]) for routing in routings]).mean()


def pooled_loss(routings: Sequence[Routing]) -> Tensor:
    """The tokens of all layers in one f and one P, f over tokens: uniform scores give K.

    `load_balancing_loss_func` of transformers, for Mixtral and most later models. Two layers that overload opposite
    experts score as even: pooling hides it.
    """
    scores, _, expert_ids = zip(*(without_padding(routing) for routing in routings), strict=True)
    n_tokens = sum(map(len, scores))
    counted = load_balancing_loss(torch.cat(scores), torch.cat(expert_ids))
    return counted * sum(map(len, expert_ids)) / n_tokens  # over N·K -> over N


def gshard_loss(routings: Sequence[Routing]) -> Tensor:
    """f counts first choices only, row by row; the mean over rows, then layers; uniform scores give 1.

    GShard (arXiv 2006.16668); its text takes the mean of f · P, its code multiplies by E², which is the form here.
    """
    rows = [load_balancing_loss(scores, ids[:, :1]) for scores, ids in _rows(routings)]
    return torch.stack(rows).mean()


def sequence_loss(routings: Sequence[Routing]) -> Tensor:
    """The Switch form row by row, so that every text is balanced on its own; the mean over rows, then layers.

    DeepSeek-V3 (arXiv 2412.19437, eq. 17 to 20): f counts the K best of the *unbiased* scores, also where a selection
    bias chooses others; sigmoid scores are divided by their sum.
    """
    rows = []
    for scores, ids in _rows(routings):
        best = scores.detach().topk(ids.shape[1], dim=-1).indices  # (n, K)
        rows.append(load_balancing_loss(scores, best))
    return torch.stack(rows).mean()


def importance_loss(routings: Sequence[Routing]) -> Tensor:
    """CV² of the importance: the sum of the weights that each expert is given. The mean over layers; even gives 0.

    Shazeer et al. 2017 (arXiv 1701.06538, eq. 6 and 7).
    """
    return torch.stack([cv_squared(_importance(routing)) for routing in routings]).mean()


def importance_and_load_loss(routings: Sequence[Routing]) -> Tensor:
    """CV² of the importance plus CV² of the load to be expected under fresh noise, mean over layers; even gives 0.

    Shazeer et al. 2017 (arXiv 1701.06538, eq. 6 to 11), both with one coefficient, as there. Where there is no noise
    (in evaluation) the load is counted and carries no gradient.
    """
    terms = []
    for routing in routings:
        load = routing.load.to(routing.scores.dtype) if routing.smooth_load is None else routing.smooth_load
        terms.append(cv_squared(_importance(routing)) + cv_squared(load))
    return torch.stack(terms).mean()


BalanceLoss = Callable[[Sequence[Routing]], Tensor]
BALANCE_LOSSES: dict[str, BalanceLoss] = {
    "switch": switch_loss,
    "pooled": pooled_loss,
    "gshard": gshard_loss,
    "sequence": sequence_loss,
    "importance": importance_loss,
    "importance_and_load": importance_and_load_loss,
}


def cv_squared(values: Tensor) -> Tensor:
    """Squared coefficient of variation, population form, (E,) -> scalar."""
    return values.var(correction=0) / values.mean().square().clamp(min=1e-20)


def _importance(routing: Routing) -> Tensor:
    """(E,) with graph: the sum of the weights of each expert's assignments, padding left out, dropped ones counted."""
    weights = routing.weights
    if routing.token_mask is not None:
        weights = weights * routing.token_mask[routing.token_ids]
    return weights.new_zeros(routing.n_experts).index_add(0, routing.expert_ids, weights)


def _rows(routings: Sequence[Routing]) -> Iterator[tuple[Tensor, Tensor]]:
    """Scores (n, E) whose rows sum to 1 and chosen experts (n, K), best first, for every row of every layer.

    Padding is left out, and so are rows of nothing else.
    """
    for routing in routings:
        rows, length = routing.batch_shape
        scores = without_padding(replace(routing, token_mask=None))[0]  # (N, E)
        mask = torch.ones(rows * length, dtype=torch.bool) if routing.token_mask is None else routing.token_mask
        for s, ids, real in zip(*(t.split(length) for t in (scores, routing.top_k[1], mask)), strict=True):
            if real.any():
                yield s[real], ids[real]
