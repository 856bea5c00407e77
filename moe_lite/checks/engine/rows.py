"""Lists of whole numbers that may differ in length, one list per step, as one tensor that can be compared."""

from numbers import Integral
from typing import Any

import torch
from torch import Tensor

from moe_lite.checks.engine.compare import article

FILL = torch.iinfo(torch.int64).min  # behind the end of a shorter list


def padded(rows: list) -> Tensor:
    """Lists -> int64 (rows, longest), filled up with FILL. Whole numbers that stand in no list of their own -> (n,)."""
    if rows and not isinstance(rows[0], list):
        return torch.tensor(rows, dtype=torch.int64)
    longest = max(map(len, rows), default=0)
    filled = [row + [FILL] * (longest - len(row)) for row in rows]
    return torch.tensor(filled, dtype=torch.int64).reshape(len(rows), longest)


def lists(table: Tensor) -> list:
    """`padded` undone."""
    if table.dim() == 1:
        return table.tolist()
    return [[number for number in row if number != FILL] for row in table.tolist()]


def complaint(name: str, value: list) -> tuple[str, str] | None:
    """A title and a sentence on the first thing that `padded` cannot lay out; None if there is none.

    An int may be one of numpy's.
    """
    flat = all(map(_is_whole, value))
    for place, row in enumerate([] if flat else value):
        if isinstance(row, list) and all(map(_is_whole, row)):
            continue
        title, should = "Not a list of ints", f"`{name}[{place}]` should be a list of ints"
        if isinstance(row, list):
            other = next(number for number in row if not _is_whole(number))
            return title, f"{should}, and holds {article(type(other).__name__)}."
        made = " `sorted(…)` makes a list of it." if isinstance(row, set | frozenset | tuple) else ""
        return title, f"{should}, got {article(type(row).__name__)}.{made}"
    numbers = value if flat else [number for row in value for number in row]
    if any(not FILL < number < -FILL for number in numbers):
        return "A number far too large", f"A number in `{name}` does not fit into 64 bits."
    return None


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)
