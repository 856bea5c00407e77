"""Weights with few bits: codes, scales, and what rounding does to each expert and to the model's choices.

Symmetric round to nearest: a group of weights shares one scale, weight ≈ scale · code, and the codes are the whole
numbers from −(2^(bits−1) − 1) to 2^(bits−1) − 1. Products are computed with the rounded weights as float32, so this
saves memory where weights are kept, and no time.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

from moe_lite.model.transformer import MoELanguageModel

SCALE_BITS = 16
PARTS = {  # of a model: the names of their matrices
    "experts": r"\.experts\.(gate_up|down)$",
    "router": r"\.router\.weight$",
    "attention": r"\.attention\.(query|key|value|out)\.weight$",
    "vocabulary": r"^(embed|head)\.weight$",
}


class Quantised(NamedTuple):
    """A matrix, or a stack of them, as codes and scales."""

    codes: Tensor  # (..., C) int8
    scales: Tensor  # (..., C / group) float32, one for each group of a row
    bits: int


def quantise(weight: Tensor, bits: int = 8, group: int | None = None) -> Quantised:
    """weight (..., C) -> codes and scales, the largest of a group at the largest code.

    group: how many neighbours of a row share a scale; None: all C. A group of zeros has scale 1. Raises ValueError for
    other bits than 2 to 8, for a group that does not divide C, and for a weight that is not finite.
    """
    if not 2 <= bits <= 8:
        raise ValueError(f"bits is {bits}, expected 2 to 8.")
    width = weight.shape[-1]
    group = group or width
    if width % group:
        raise ValueError(f"Rows of {width} weights cannot be cut into groups of {group}.")
    if not weight.isfinite().all():
        raise ValueError("weight holds nan or inf; expected finite numbers.")
    grouped = weight.float().unflatten(-1, (-1, group))  # (..., G, group)
    largest = 2 ** (bits - 1) - 1
    scales = grouped.abs().amax(dim=-1) / largest  # (..., G)
    scales = torch.where(scales > 0, scales, torch.ones_like(scales))
    codes = (grouped / scales.unsqueeze(-1)).round().clamp(-largest, largest)
    return Quantised(codes.flatten(-2).to(torch.int8), scales, bits)


def dequantise(quantised: Quantised) -> Tensor:
    """(..., C) float32."""
    codes, scales = quantised.codes.float(), quantised.scales
    grouped = codes.unflatten(-1, (scales.shape[-1], -1))  # (..., G, group)
    return (grouped * scales.unsqueeze(-1)).flatten(-2)


def names_of(model: MoELanguageModel, parts: Sequence[str]) -> list[str]:
    """The matrices of these parts of a model. ValueError for a part that there is not."""
    for part in parts:
        if part not in PARTS:
            raise ValueError(f"There is no part {part!r}; there are {', '.join(PARTS)}.")
    return [name for name, _ in model.named_parameters() if any(re.search(PARTS[part], name) for part in parts)]


@contextmanager
def rounded(
    model: MoELanguageModel, parts: Sequence[str] = tuple(PARTS), bits: int = 8, group: int | None = None, fn=None
) -> Iterator[MoELanguageModel]:  # fmt: skip
    """The model with the matrices of `parts` rounded; afterwards it has its own again.

    fn (weight (R, C)) -> rounded (R, C) rounds in place of `quantise` and `dequantise`; a stack is rounded matrix by
    matrix.
    """
    parameters = dict(model.named_parameters())
    kept = {name: parameters[name].detach().clone() for name in names_of(model, parts)}
    try:
        with torch.no_grad():
            for name, weight in kept.items():
                if fn is None:
                    parameters[name].copy_(dequantise(quantise(weight, bits, group)))
                else:
                    matrices = weight.flatten(0, -3) if weight.dim() > 2 else weight[None]
                    parameters[name].copy_(torch.stack([fn(matrix) for matrix in matrices]).view_as(weight))
        yield model
    finally:
        with torch.no_grad():
            for name, weight in kept.items():
                parameters[name].copy_(weight)


def stored_bytes(model: MoELanguageModel, parts: Sequence[str], bits: int, group: int | None = None) -> int:
    """Of the whole model, with `parts` at so many bits and everything else at 16."""
    few = set(names_of(model, parts))
    n = 0
    for name, weight in model.named_parameters():
        if name in few:
            n += weight.numel() * bits // 8 + weight.numel() // (group or weight.shape[-1]) * SCALE_BITS // 8
        else:
            n += weight.numel() * 2
    return n
