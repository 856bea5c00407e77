"""Experts beside each other: which work together, which match those of another model, who always works.

For lesson 08, on tables of choices, expert_ids (N, K): the K experts of each of N tokens, all different.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


def chosen_by(expert_ids: Tensor, n_experts: int) -> Tensor:
    """expert_ids (N, K) -> (N, E) float64: 1 where the expert is one of the token's K, else 0."""
    return F.one_hot(expert_ids, n_experts).sum(dim=1).double()


# ---- together --------------------------------------------------------------------------------------------------------


def co_activation(expert_ids: Tensor, n_experts: int) -> Tensor:
    """How often two experts share a token, over what their loads alone let expect: (N, K) -> (E, E) float64.

    1: as often as expected, 0: never. NaN on the diagonal and for experts without tokens. ValueError for K = 1.
    """
    n_tokens, k = expert_ids.shape
    if k < 2:
        raise ValueError("co-activation needs two experts per token or more; these tokens have one.")
    chosen = chosen_by(expert_ids, n_experts)  # (N, E)
    together = chosen.T @ chosen / n_tokens  # (E, E)
    found = together / expected_pairs(chosen.mean(dim=0), k)  # (E, E)
    return found.fill_diagonal_(float("nan"))


@dataclass(frozen=True)
class StrongPair:
    """The two experts of a layer that share a token most often beyond what their loads let expect."""

    experts: tuple[int, int]  # the lower number first
    found: float  # the share of tokens that have both
    ratio: float  # found over expected


def strongest_pair(expert_ids: Tensor, n_experts: int) -> StrongPair:
    """The pair with the largest `co_activation`: expert_ids (N, K). Among equals the one with the lower numbers."""
    ratio = co_activation(expert_ids, n_experts).nan_to_num(0.0)  # (E, E)
    a, b = divmod(int(ratio.triu().argmax()), n_experts)
    both = (expert_ids == a).any(dim=1) & (expert_ids == b).any(dim=1)  # (N,)
    return StrongPair((a, b), both.double().mean().item(), ratio[a, b].item())


def expected_pairs(share: Tensor, k: int) -> Tensor:
    """For each pair of experts the share of tokens that have both, if nothing but loads matters: (E,) -> (E, E).

    share: the share of tokens that an expert gets, which sum to K. The K experts of a token differ, so the product of
    two shares would be too much. Expected is what the least committed rule gives: every set of K experts has a chance
    proportional to the product of its experts' weights, and the weights are fitted until each expert gets its share
    (the conditional Bernoulli distribution; Chen, Dempster, Liu 1994, doi 10.1093/biomet/81.3.457). The diagonal means
    nothing.
    """
    n_experts = len(share)
    alone = torch.eye(n_experts, dtype=torch.bool)  # (E, E)
    weights = share.double() / share.sum()  # (E,)
    for _ in range(1000):
        fitted = share / _products(weights, alone, k - 1)  # (E,)
        before, weights = weights, fitted / fitted.sum()
        if torch.allclose(before, weights, rtol=1e-10, atol=0):
            break
    pair = (alone[:, None] | alone[None]).flatten(0, 1)  # (E·E, E)
    rest = _products(weights, pair, k - 2).view(n_experts, n_experts)  # (E, E)
    return weights[:, None] * weights * rest / _products(weights, torch.zeros_like(alone[:1]), k)


def _products(weights: Tensor, left_out: Tensor, k: int) -> Tensor:
    """The sum over all sets of k experts of the products of their weights: (E,), left_out (M, E) bool -> (M,).

    Row m leaves the experts left_out[m] aside.
    """
    sums = weights.new_zeros(len(left_out), k + 1)  # (M, k+1) for sets of 0 to k of the experts so far
    sums[:, 0] = 1
    for weight, absent in zip(weights, left_out.T, strict=True):
        sums[:, 1:] = sums[:, 1:] + sums[:, :-1] * (weight * ~absent)[:, None]
    return sums[:, k]


# ---- the same tokens, twice ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Overlap:
    """How far two models' choices agree, once the experts of one have been given the numbers of the other's."""

    matching: Tensor  # (E,) int64: matching[e] is the other model's expert that stands for expert e
    share: float  # of all assignments, those that agree
    chance: Tensor  # (n,) float64: the same for tokens in random order, experts matched anew each time


def overlap(a: Tensor, b: Tensor, n_experts: int, *, n: int = 20, seed: int = 0) -> Overlap:
    """Compare two models' choices (N, K) for the same N tokens under the best one-to-one matching of their experts.

    An expert's number means nothing across trainings. Any two models agree by chance on K of E, and more where loads
    are uneven or few tokens were read: `chance` has all of that. ValueError for tables of different shapes.
    """
    if a.shape != b.shape:
        raise ValueError(f"the choices are of shapes {tuple(a.shape)} and {tuple(b.shape)}; expected the same tokens.")
    ours, theirs = chosen_by(a, n_experts), chosen_by(b, n_experts)  # (N, E), (N, E)
    matching, share = _matched(ours.T @ theirs / a.numel())
    generator = torch.Generator().manual_seed(seed)
    orders = [torch.randperm(len(b), generator=generator) for _ in range(n)]
    chance = [_matched(ours.T @ theirs[order] / a.numel())[1] for order in orders]
    return Overlap(matching, share, torch.tensor(chance, dtype=torch.float64))


def _matched(agreement: Tensor) -> tuple[Tensor, float]:
    """agreement (E, E) -> the column of each row, (E,), and the sum there: the largest that is possible."""
    from scipy.optimize import linear_sum_assignment  # takes a second to import

    _, columns = linear_sum_assignment(agreement.numpy(), maximize=True)
    matching = torch.as_tensor(columns, dtype=torch.int64)
    return matching, agreement.gather(1, matching[:, None]).sum().item()


def saturation(earlier: Tensor, final: Tensor) -> Tensor:
    """The share of a model's final choices that it made already at an earlier step: (L, N, K) twice -> (L,) float64.

    Of one training and the same tokens (router saturation; OLMoE, arXiv 2409.02060). By chance it is K / E if the loads
    are even.
    """
    if earlier.shape != final.shape:
        raise ValueError(
            f"choices of shapes {tuple(earlier.shape)} and {tuple(final.shape)}; expected the same tokens."
        )
    kept = (final[..., :, None] == earlier[..., None, :]).any(dim=-1)  # (L, N, K)
    return kept.double().mean(dim=(1, 2))


# ---- always and never ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Committee:
    """The fewest experts that carry a given share of every domain."""

    experts: tuple[int, ...]  # the one with the largest mass first
    least: float  # their mass in the domain where it is smallest
    even: int  # how many experts it would take if every domain used all of them evenly


def committee(mass: Tensor, share: float = 0.7) -> Committee:
    """The smallest set of experts with at least `share` of the routing mass in every domain; of several, a heavy one.

    mass (D, E): by domain, how much weight each expert gets; rows sum to 1 (`Reading.mass`). The size is exact, by
    integer programming. A small set that serves every domain is the "standing committee" of arXiv 2601.03425; if it is
    no smaller than `even`, there is none. ValueError for a share outside of 0 to 1 or rows that do not sum to 1.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp  # takes a second to import

    mass, n_experts = mass.double(), mass.shape[1]
    if not 0 < share <= 1 or not torch.allclose(mass.sum(dim=1), mass.new_ones(len(mass))):
        raise ValueError(f"share is {share} and rows sum to {mass.sum(dim=1).tolist()}; expected 0 < share ≤ 1, and 1.")
    slack = 1e-7  # of rounding: seven tenths are at least 0.7
    found = milp(
        1 - mass.mean(dim=0).numpy() / 2,  # size comes first: the mean masses of a set sum to 1 at most
        constraints=LinearConstraint(mass.numpy(), lb=share - slack), integrality=1, bounds=Bounds(0, 1),
        options={"mip_rel_gap": 0.25 / n_experts},  # a larger set costs at least 0.5 more, so it is never taken
    )  # fmt: skip
    members = torch.as_tensor(found.x).round().nonzero()[:, 0]  # (size,)
    members = members[mass.mean(dim=0)[members].argsort(descending=True, stable=True)]
    least = mass[:, members].sum(dim=1).min().item()
    return Committee(tuple(members.tolist()), least, math.ceil((share - slack) * n_experts))


def silent(expert_ids: Tensor, n_experts: int) -> tuple[float, float]:
    """The share of experts that no token of a text (N, K) chose, and the share to be expected by chance.

    By chance: (1 − K/E)^N, if every token chose evenly and on its own. A short text leaves experts out in any case.
    """
    n_tokens, k = expert_ids.shape
    return 1 - len(expert_ids.unique()) / n_experts, (1 - k / n_experts) ** n_tokens
