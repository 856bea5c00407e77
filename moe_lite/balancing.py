"""Balancing losses of other papers and libraries than Switch Transformers, with their own conventions.

Each takes the Routing of every MoE layer and gives a scalar; `ModelConfig.balance` chooses one by name.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from moe_lite.balance import load_balancing_loss, router_z_loss, without_padding
from moe_lite.routing import Routing


def switch_loss(routings: Sequence[Routing]) -> Tensor:
    """E · sum_i f_i · P_i over the whole batch, the mean over layers; uniform scores give 1.

    Switch Transformers (arXiv 2101.03961, eq. 4), f over N·K assignments as in MegaBlocks and Megatron.
    """
    layers = [without_padding(routing) for routing in routings]
    return torch.stack([load_balancing_loss(scores, expert_ids) for scores, _, expert_ids in layers]).mean()


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
