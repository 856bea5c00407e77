"""Groups of experts: how they open (DeepSeek-V3), and the other ways in which an answer to 9.3 may open them."""

from collections.abc import Callable

import torch
from torch import Tensor

from moe_lite.checks.lesson03.top_k_route import best

CLOSED = float("-inf")


def reference(values: Tensor, k: int, n_groups: int, topk_groups: int) -> Tensor:
    """values (N, E) -> expert_ids (N, k) int64 (DeepSeek-V3, arXiv 2412.19437, section 2.1.2)."""
    return best(open_values(values, n_groups, topk_groups), k)[1]


def open_values(values: Tensor, n_groups: int, topk_groups: int) -> Tensor:
    """(N, E): the values, −inf in closed groups."""
    return limited(values, worths(values, n_groups), topk_groups)


def worths(values: Tensor, n_groups: int) -> Tensor:
    """(N, G): the sum of the two largest values of each group."""
    return largest(in_groups(values, n_groups), 2)


def largest(grouped: Tensor, how_many: int) -> Tensor:
    return grouped.sort(dim=-1, descending=True).values[..., :how_many].sum(dim=-1)  # (N, G)


def in_groups(values: Tensor, n_groups: int) -> Tensor:
    return values.unflatten(1, (n_groups, -1))  # (N, G, E/G)


def limited(values: Tensor, worth: Tensor, topk_groups: int, fill: float = CLOSED) -> Tensor:
    """values (N, E), with `fill` in all but the best groups by worth (N, G)."""
    return filled(values, opened(worth, topk_groups), fill)


def opened(worth: Tensor, topk_groups: int) -> Tensor:
    """(N, G) bool: the best groups; among equals the lower number."""
    return torch.zeros_like(worth, dtype=torch.bool).scatter(1, best(worth, topk_groups)[1], True)


def filled(values: Tensor, is_open: Tensor, fill: float = CLOSED) -> Tensor:
    """values (N, E), with `fill` in the groups that are not open (N, G)."""
    width = values.shape[1] // is_open.shape[1]
    return values.masked_fill(~is_open.repeat_interleave(width, dim=1), fill)


Rule = Callable[[Tensor, int, int, int], Tensor]  # values (N, E), k, n_groups, topk_groups


def by_worth(worth: Callable[[Tensor, int, int], Tensor]) -> Rule:
    """Groups are worth something else: `worth` of the values in groups (N, G, E/G), k and topk_groups."""
    return lambda v, k, groups, n_open: best(limited(v, worth(in_groups(v, groups), k, n_open), n_open), k)[1]


def of_the_batch(v: Tensor, k: int, n_groups: int, topk_groups: int) -> Tensor:
    return best(limited(v, worths(v, n_groups).sum(dim=0, keepdim=True).expand(len(v), -1), topk_groups), k)[1]


def interleaved(v: Tensor, k: int, n_groups: int, topk_groups: int) -> Tensor:
    """Expert e in group e % G."""
    order = torch.arange(v.shape[1]).view(-1, n_groups).T.flatten()  # (E,) the experts, group by group
    back = order.argsort()
    return best(open_values(v[:, order], n_groups, topk_groups)[:, back], k)[1]


def size_for_number(v: Tensor, k: int, n_groups: int, topk_groups: int) -> Tensor:
    """Groups of n_groups experts, not n_groups groups."""
    n_now = v.shape[1] // n_groups
    return best(open_values(v, n_now, min(topk_groups, n_now)), k)[1]


def filtered_late(v: Tensor, k: int, n_groups: int, topk_groups: int) -> Tensor:
    """The k best of all, those of closed groups moved to the end."""
    ids = best(v, k)[1]  # (N, k)
    is_closed = open_values(v, n_groups, topk_groups).gather(1, ids).isinf()  # (N, k)
    return ids.gather(1, is_closed.to(torch.uint8).argsort(dim=1, stable=True))


def shared_out(v: Tensor, k: int, n_groups: int, topk_groups: int) -> Tensor:
    """Each open group gives as many experts as the others."""
    grouped = in_groups(v, n_groups)
    rank = grouped.argsort(dim=-1, descending=True, stable=True).argsort(dim=-1).flatten(1)  # (N, E) in its group
    each = -(-k // topk_groups)
    return best(open_values(v, n_groups, topk_groups).masked_fill(rank >= each, CLOSED), k)[1]


def shared_out_in_turn(v: Tensor, k: int, n_groups: int, topk_groups: int) -> Tensor:
    """Each open group gives as many experts as the others, those of the best group first."""
    ids = best_groups_first(v, n_groups, topk_groups)
    inner = v.gather(1, ids).unflatten(1, (topk_groups, -1)).argsort(dim=-1, descending=True, stable=True)
    each = min(-(-k // topk_groups), inner.shape[-1])
    return ids.unflatten(1, (topk_groups, -1)).gather(-1, inner)[..., :each].flatten(1)[:, :k]


def best_groups_first(v: Tensor, n_groups: int, topk_groups: int) -> Tensor:
    """(N, experts that are open): their numbers, group by group."""
    width = v.shape[1] // n_groups
    groups = best(worths(v, n_groups), topk_groups)[1]
    return (groups[:, :, None] * width + torch.arange(width)).flatten(1)


def among_the_open_by_worth(v: Tensor, k: int, n_groups: int, topk_groups: int) -> Tensor:
    """Places in the row of open experts, the best group first."""
    return best(v.gather(1, best_groups_first(v, n_groups, topk_groups)), k)[1]


def among_the_open(v: Tensor, k: int, n_groups: int, topk_groups: int) -> Tensor:
    """Places in the row of open experts, by number."""
    return best(v.gather(1, best_groups_first(v, n_groups, topk_groups).sort(dim=1).values), k)[1]


def second_largest(grouped: Tensor, k: int, topk_groups: int) -> Tensor:
    return largest(grouped, 2) - largest(grouped, 1)  # (N, G)


def closed_to_0(v: Tensor, k: int, n_groups: int, topk_groups: int) -> Tensor:
    return best(limited(v, worths(v, n_groups), topk_groups, 0.0), k)[1]


def ties_open_all(v: Tensor, k: int, n_groups: int, topk_groups: int) -> Tensor:
    worth = worths(v, n_groups)
    last_in = worth.sort(dim=1, descending=True).values[:, topk_groups - 1 : topk_groups]  # (N, 1)
    return best(filled(v, worth >= last_in), k)[1]


def higher_group_first(v: Tensor, k: int, n_groups: int, topk_groups: int) -> Tensor:
    is_open = opened(worths(v, n_groups).flip(1), topk_groups).flip(1)  # (N, G)
    return best(filled(v, is_open), k)[1]


def group_by_group(v: Tensor, k: int, n_groups: int, topk_groups: int) -> Tensor:
    """The right experts, those of the best group first."""
    ids = reference(v, k, n_groups, topk_groups)
    width, order = v.shape[1] // n_groups, best(worths(v, n_groups), n_groups)[1].argsort(dim=1)  # (N, G) place
    return ids.gather(1, order.gather(1, ids // width).argsort(dim=1, stable=True))


def smallest_of_the_open(v: Tensor, k: int, n_groups: int, topk_groups: int) -> Tensor:
    values = open_values(v, n_groups, topk_groups)
    return best(-values.masked_fill(values.isinf(), float("inf")), k)[1]


def smallest_of_all(v: Tensor, k: int, n_groups: int, topk_groups: int) -> Tensor:
    """The closed ones among them."""
    return best(-open_values(v, n_groups, topk_groups), k)[1]
