"""Count the matrix products of a learner's layer: how many, and how many rows go through experts."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from moe_lite.checks.engine.exercise import Output, Watch

FIRST_FACTOR = {"mm": 0, "bmm": 0, "addmm": 1, "baddbmm": 1, "mv": 0, "addmv": 1}  # its position among the arguments


class _Products(TorchDispatchMode):
    """Sees what torch computes in this thread: for each matrix product its sizes, and its multiply-adds."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[set[int], int]] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        first = FIRST_FACTOR.get(func.overloadpacket.__name__)
        if first is not None:
            left, right = args[first : first + 2]  # (…, n, m), (…, m, p) or (m,)
            width = right.shape[-1] if right.dim() > 1 else 1
            self.seen.append(({*left.shape[-2:], width}, left.numel() * width))
        return func(*args, **(kwargs or {}))


@contextmanager
def _counted(args: tuple) -> Iterator[tuple[dict[str, Tensor], list[int]]]:
    """Multiply-adds of each product with expert matrices; the dict is to be filled by the caller."""
    down, found, amounts = args[4], {}, []
    n_experts, d_model, d_expert = down.shape
    inner = {d_expert * factor for factor in (1, 2, n_experts, 2 * n_experts)}  # stacked or not, gates with ups or not
    with _Products() as products:
        yield found, amounts
    # a permutation written as a product with zeros and ones has other sizes
    amounts += [amount for sizes, amount in products.seen if d_model in sizes and inner & sizes]


def _rows(args: tuple, amounts: list[int]) -> int:
    """A row through an expert is 3·D·F multiply-adds."""
    return -(-sum(amounts) // (3 * args[4][0].numel()))


@contextmanager
def _sparse(args: tuple) -> Iterator[dict[str, Tensor]]:
    """At least the rows that are needed: a product written as `*` and `sum` is not seen."""
    with _counted(args) as (found, amounts):
        yield found
    found["rows"] = torch.tensor(max(_rows(args, amounts), args[2].numel()))
    found["products"] = torch.tensor(max(len(amounts), 3 * len(args[4])))


@contextmanager
def _batched(args: tuple) -> Iterator[dict[str, Tensor]]:
    with _counted(args) as (found, amounts):
        yield found
    found["rows"] = torch.tensor(_rows(args, amounts))
    found["products"] = torch.tensor(max(len(amounts), 3))


OUTPUTS = (Output("rows"), Output("products"))
A_SLICE_EACH = Watch(OUTPUTS, _sparse)  # `products`: up to three for each expert are as good as two
ALL_AT_ONCE = Watch(OUTPUTS, _batched)  # `products`: up to three are as good as two
