"""Count the work of a learner's layer: matrix products, rows that go through experts, searches, copied matrices."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from moe_lite.checks.engine.exercise import Output, Watch

FIRST_FACTOR = {"mm": 0, "bmm": 0, "addmm": 1, "baddbmm": 1, "mv": 0, "addmv": 1}  # its position among the arguments


class _Work(TorchDispatchMode):
    """Sees what torch computes in this thread: for each matrix product its sizes and its multiply-adds; how often all
    n_places choices are compared with something; how many tensors hold a matrix for each of them."""

    def __init__(self, n_places: int, matrices: tuple[set[int], ...]) -> None:
        super().__init__()
        self.seen: list[tuple[set[int], int]] = []
        self.n_places, self.matrices, self.searches, self.copies = n_places, matrices, 0, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        first = FIRST_FACTOR.get(name)
        if first is not None:
            left, right = args[first : first + 2]  # (…, n, m), (…, m, p) or (m,)
            width = right.shape[-1] if right.dim() > 1 else 1
            self.seen.append(({*left.shape[-2:], width}, left.numel() * width))
        made = func(*args, **(kwargs or {}))
        self.searches += name == "eq" and args[0].numel() == self.n_places
        if name in ("index", "index_select", "gather") and made.dim() >= 3 and set(made.shape[-2:]) in self.matrices:
            self.copies += made.shape[:-2].numel() >= self.n_places
        return made


@contextmanager
def _counted(args: tuple) -> Iterator[tuple[dict[str, Tensor], list[int], _Work]]:
    """Multiply-adds of each product with expert matrices, and the rest; the dict is to be filled by the caller."""
    down, found, amounts = args[4], {}, []
    n_experts, d_model, d_expert = down.shape
    inner = {d_expert * factor for factor in (1, 2, n_experts, 2 * n_experts)}  # stacked or not, gates with ups or not
    with _Work(args[2].numel(), ({d_model, d_expert}, {d_model, 2 * d_expert})) as work:
        yield found, amounts, work
    # a permutation written as a product with zeros and ones has other sizes
    amounts += [amount for sizes, amount in work.seen if d_model in sizes and inner & sizes]


def _rows(args: tuple, amounts: list[int]) -> int:
    """A row through an expert is 3·D·F multiply-adds."""
    return -(-sum(amounts) // (3 * args[4][0].numel()))


@contextmanager
def _sparse(args: tuple) -> Iterator[dict[str, Tensor]]:
    """At least the rows that are needed: a product written as `*` and `sum` is not seen."""
    with _counted(args) as (found, amounts, work):
        yield found
    found["rows"] = torch.tensor(max(_rows(args, amounts), args[2].numel()))
    found["products"] = torch.tensor(max(len(amounts), 3 * len(args[4])))
    found["searches"] = torch.tensor(max(work.searches, 1))
    found["copies"] = torch.tensor(work.copies)


@contextmanager
def _batched(args: tuple) -> Iterator[dict[str, Tensor]]:
    with _counted(args) as (found, amounts, _):
        yield found
    found["rows"] = torch.tensor(_rows(args, amounts))
    found["products"] = torch.tensor(max(len(amounts), 3))


OUTPUTS = (Output("rows"), Output("products"))
# `products`: up to three for each expert are as good as two; `searches`: one comparison is as good as none
A_SLICE_EACH = Watch((*OUTPUTS, Output("searches"), Output("copies")), _sparse)
ALL_AT_ONCE = Watch(OUTPUTS, _batched)  # `products`: up to three are as good as two
