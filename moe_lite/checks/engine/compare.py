"""Compare two arrays, and say in words and numbers how they differ."""

import math

import torch
from torch import Tensor

# Relative and absolute, with room for an eps in a sum.
ROUNDING = {
    torch.float64: (1e-6, 1e-9), torch.float32: (1e-4, 1e-6), torch.float16: (2e-3, 1e-4), torch.bfloat16: (2e-2, 1e-3),
}  # fmt: skip
EXACT = ROUNDING | {torch.float64: (3e-8, 3e-10)}  # no room for float64 that was computed in float32


def close(got: Tensor, expected: Tensor, within: float | None = None, exact: bool = False) -> bool:
    """Same shape, and the same values up to rounding, or up to `within`. A nan is never right."""
    if got.shape != expected.shape:
        return False
    same = got.dtype == expected.dtype and torch.equal(got, expected)  # the usual case, and quickly told
    return same or not bool(differing(got, expected, within, exact).any())


def differing(got: Tensor, expected: Tensor, within: float | None = None, exact: bool = False) -> Tensor:
    """bool, shape of both: where the values differ by more than rounding, or by more than `within`.

    A small number that large ones were added up to is only as exact as these: the largest value counts, too.
    """
    rtol, atol = (0.0, within) if within is not None else (EXACT if exact else ROUNDING).get(expected.dtype, (0.0, 0.0))
    got, expected = as_float(got), as_float(expected)
    sizes = expected.abs()
    largest = float(sizes.max()) if sizes.numel() else 0.0
    if not math.isfinite(largest + atol):
        finite = sizes[sizes.isfinite()]
        largest = float(finite.max()) if finite.numel() else 0.0
        return ~torch.isclose(got, expected, rtol=rtol, atol=atol + rtol / 100 * largest)
    off = (
        got - expected
    ).abs_()  # as isclose does it, which looks for nan and infinity on both sides, and takes longer
    return (off <= sizes.mul_(rtol).add_(atol + rtol / 100 * largest)).logical_not_()


def as_float(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", torch.float64)


def first_difference(
    got: Tensor, expected: Tensor, within: float | None = None, exact: bool = False
) -> tuple[int, ...]:
    """Index of the first cell, row by row, that differs."""
    return tuple(differing(got, expected, within, exact).nonzero()[0].tolist())


def relation(got: Tensor, expected: Tensor) -> str:
    """A sentence on how all of `got` follows from `expected`: a factor, a turn, another order. Empty if it does not."""
    if got.dim() == expected.dim() == 2 and close(got.T, expected):
        return "Yours is the expected array turned over: rows and columns have changed places."
    if got.shape != expected.shape or got.numel() < 2:  # any number is some factor times any other
        return ""
    off = (as_float(got) - as_float(expected)).abs().max()
    if expected.is_floating_point() and off < 0.01 * as_float(expected).abs().max():
        return "All are close: is something rounded to a shorter type, or a small number added?"
    if (factor := constant_factor(got, expected)) is not None:
        return f"Every value of yours is {number(factor)} times the expected one."
    if (offset := constant_offset(got, expected)) is not None:
        size = int(abs(offset)) if offset.is_integer() else abs(offset)
        return f"Every value of yours is the expected one {'+' if offset > 0 else '−'} {number(size)}."
    if got.dim() >= 1 and close(got.flip(-1), expected):
        return "The values are right, but each row runs backwards." if got.dim() > 1 else "Yours runs backwards."
    if got.dim() == 2 and close(_sorted_rows(got), _sorted_rows(expected)):
        return "The rows are right, but stand in another order."
    if got.dim() == 2 and close(_sorted_rows(got.T), _sorted_rows(expected.T)):
        return "The columns are right, but stand in another order."
    if got.dim() >= 1 and close(got.sort(dim=-1).values, expected.sort(dim=-1).values):
        where = "Each row has the right values" if got.dim() > 1 else "The values are right"
        return f"{where}, but in another order."
    return ""


def constant_factor(got: Tensor, expected: Tensor) -> float | None:
    """The one number that `expected` has to be multiplied with to give `got`, if there is one."""
    got, expected = as_float(got), as_float(expected)
    if not expected.numel() or not expected.abs().max() or not torch.isfinite(got).all():
        return None
    largest = expected.abs().argmax()
    factor = got.flatten()[largest] / expected.flatten()[largest]
    return float(factor) if factor and close(got, expected * factor) else None


def constant_offset(got: Tensor, expected: Tensor) -> float | None:
    """The one number that `expected` has to be increased by to give `got`, if there is one."""
    got, expected = as_float(got), as_float(expected)
    if got.numel() < 2 or not torch.isfinite(got).all():
        return None
    offset = (got - expected).mean()
    return float(offset) if offset and close(got, expected + offset) else None


def _sorted_rows(matrix: Tensor) -> Tensor:
    return torch.tensor(sorted(matrix.tolist()), dtype=matrix.dtype)


def decimals_that_differ(pairs: list[tuple[float, float]], start: int = 2, most: int = 12) -> int:
    """The fewest decimals, at least `start`, with which every pair of different numbers prints differently."""
    for decimals in range(start, most):
        if all(number(a, decimals) != number(b, decimals) for a, b in pairs):
            return decimals
    return most


def number(value: float, decimals: int = 2) -> str:
    """A number for a learner's eyes: whole numbers without decimals, a real minus sign, powers of ten where needed."""
    if value != value:
        return "nan"
    if value in (float("inf"), float("-inf")):
        return "inf" if value > 0 else "−inf"
    if isinstance(value, int) or value == 0:
        text = f"{int(value):,}"
    elif abs(value) >= 1e5:
        text = f"{value:.{decimals}e}"
    elif abs(value) < 0.5 * 10**-decimals:
        text = f"{value:.{decimals}g}"
    else:
        text = f"{value:.{decimals}f}"
    return text.replace("-", "−")


def listed(values: list, decimals: int = 2, most: int = 3) -> str:
    """`0.73, 0.73 and 0.66`; longer lists are cut and end in `…`."""
    texts = [number(v, decimals) for v in values[:most]]
    if len(values) > most:
        return ", ".join(texts) + ", …"
    return " and ".join([", ".join(texts[:-1]), texts[-1]]) if len(texts) > 1 else "".join(texts)


def article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def shape_text(tensor: Tensor) -> str:
    sizes = ", ".join(str(n) for n in tensor.shape)
    return f"({sizes},)" if tensor.dim() == 1 else f"({sizes})"


def dtype_text(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
