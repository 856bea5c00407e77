"""Scales of groups of zeros in exercise 12.4, and other scales that are taken for such."""

import torch
from torch import Tensor

from moe_lite.checks.engine.compare import close, number
from moe_lite.checks.engine.exercise import Attempt
from moe_lite.checks.lesson12.scale_slips import in_groups, largest, top


def zero_groups(a: Attempt) -> Tensor:
    return largest(in_groups(a.args[0], a.args[2])) == 0  # (R, G) bool


def only_zero_groups(a: Attempt) -> bool:
    """All scales are right but those of groups of zeros, some of which are not 1."""
    got, right = a.got["scales"], a.expected["scales"]
    if got.shape != right.shape or a.right("scales") or not got.is_floating_point():
        return False
    return bool(zero_groups(a).any()) and close(torch.where(zero_groups(a), right, got.to(right.dtype)), right)


def scale_0(a: Attempt) -> bool:
    found = a.got["scales"][zero_groups(a)] if only_zero_groups(a) else None
    return found is not None and bool(((found == 0) | (found == 1)).all()) and bool((found == 0).any())


def scale_part_of_1(a: Attempt) -> bool:
    found = a.got["scales"][zero_groups(a)] if only_zero_groups(a) else None
    return found is not None and close(found, torch.full_like(found, 1 / top(a.args[1])))


def ones_too_many(a: Attempt) -> Tensor | None:
    """(R, G) bool: scales that are 1 where not all weights are 0; None if others are wrong, too."""
    got, right = a.got["scales"], a.expected["scales"]
    if got.shape != right.shape or not got.is_floating_point():
        return None
    off = ~torch.isclose(got.to(right.dtype), right, rtol=1e-4, atol=0.0)
    return off if bool(off.any()) and bool((got[off] == 1).all()) and not bool((off & zero_groups(a)).any()) else None


def one_too_many(a: Attempt) -> str:
    row, place = ones_too_many(a).nonzero()[0].tolist()
    group = in_groups(a.args[0], a.args[2])[row, place]
    values = ", ".join(number(float(w), 3) for w in group[:6]) + (", …" if len(group) > 6 else "")
    right = number(float(a.expected["scales"][row, place]), 4)
    return (
        f"`scales[{row}, {place}]` is 1, expected {right}: the weights of this group are {values}. Only where all "
        "weights are 0, and so the largest absolute weight, the scale is 1."
    )


def negative_scale(a: Attempt) -> bool:
    got, right = a.got["scales"], a.expected["scales"]
    if got.shape != right.shape or a.right("scales"):
        return False
    return bool((got < 0).any()) and close(got.abs().to(right.dtype), right)


def scale_tiny(a: Attempt) -> bool:
    found = a.got["scales"][zero_groups(a)] if only_zero_groups(a) else None
    return found is not None and bool(((found > 0) & (found < 0.01)).all())


def scale_nan(a: Attempt) -> bool:
    found = a.got["scales"]
    if found.shape != a.expected["scales"].shape or not bool(zero_groups(a).any()):
        return False
    return only_zero_groups(a) and not bool(found[zero_groups(a)].isfinite().any())


def zero_place(a: Attempt) -> str:
    """The first group of zeros, with its scale."""
    row, place = (zero_groups(a) & (a.got["scales"] != 1)).nonzero()[0].tolist()
    scale = number(float(a.got["scales"][row, place]))
    return f"`scales[{row}, {place}]` is {scale}, expected 1: all weights of this group are 0."
