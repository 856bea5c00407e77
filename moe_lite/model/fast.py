"""What is here only for speed. Each function has a plain equivalent in one line, which its tests compare it with.

Skip this file at first: `routing` and `experts` can be read without it. Measured in NOTES.md, "Speed".
"""

import torch
import torch.nn.functional as F
from torch import Tensor

REGISTER = 16  # float32 numbers that one instruction works on, at most
FEW = 8  # up to so many are found one after the other, more by sorting
GROUPED = {"cpu": (torch.float32, torch.bfloat16, torch.float16), "cuda": (torch.bfloat16,)}  # what grouped_mm takes


def softmax_rows(z: Tensor) -> Tensor:
    """`z.softmax(dim=1)`, (N, E) -> (N, E).

    Rows shorter than a vector register are slow one by one, so several short ones are worked on as columns: a quarter
    of the time with 8 experts and 2,048 tokens. torch.compile (2.13) stops at that view, and does as well without it.
    """
    if z.shape[1] < REGISTER <= len(z) and not torch.compiler.is_compiling():
        return z.t().softmax(dim=0).t()
    return z.softmax(dim=1)


def best_of(values: Tensor, k: int) -> Tensor:
    """`values.sort(dim=1, descending=True, stable=True).indices[:, :k]`, (N, E) -> (N, k) int64.

    The k largest are found one after the other; `max` gives the first of equals. For few of many that costs a fifth
    of a stable sort. The sort decides where it is as fast (one token), and where a row has fewer than k numbers above
    −inf.
    """
    if k <= FEW < len(values):
        rest, found = values.clone(), []
        for _ in range(k):
            best, place = rest.max(dim=-1, keepdim=True)  # (N, 1), (N, 1)
            found.append(place)
            rest.scatter_(1, place, float("-inf"))
        if (best > float("-inf")).all():
            return torch.cat(found, dim=-1)
    return values.sort(dim=-1, descending=True, stable=True).indices[:, :k]


def each_expert(rows: Tensor, gate_up: Tensor, down: Tensor, load: Tensor) -> Tensor:
    """`torch.cat([swiglu(*part) for part in zip(rows.split(load.tolist()), gate_up.unbind(0), down.unbind(0))])`.

    rows (A, D) expert by expert, gate_up (E, 2F, D), down (E, D, F), load (E,) of the A rows -> (A, D).
    """
    if torch.is_autocast_enabled(rows.device.type):  # as autocast does for the loop's `linear`
        dtype = torch.get_autocast_dtype(rows.device.type)
        rows, gate_up, down = rows.to(dtype), gate_up.to(dtype), down.to(dtype)
    gate, up = _products(rows, gate_up, load).chunk(2, dim=-1)  # (A, F), (A, F)
    return _products(F.silu(gate) * up, down, load)


def _products(rows: Tensor, weights: Tensor, load: Tensor) -> Tensor:
    """Each expert's rows (n, I) times its weights (O, I): (A, I), (E, O, I), (E,) -> (A, O).

    PyTorch's grouped product takes all experts in one call. It knows neither float64 nor widths that are no multiple of
    16 bytes, `torch.compile` knows it for bfloat16 only, and it does not exist before PyTorch 2.10: there each expert
    has a product of its own.
    """
    known = hasattr(F, "grouped_mm") and not torch.compiler.is_compiling()
    fits = all(n * rows.element_size() % 16 == 0 for n in weights.shape[1:])
    if known and fits and len(rows) and rows.dtype in GROUPED.get(rows.device.type, ()):
        return F.grouped_mm(rows, weights.mT, offs=load.cumsum(0, dtype=torch.int32))
    parts = zip(rows.split(load.tolist()), weights.unbind(0), strict=True)
    return torch.cat([F.linear(part, weight) for part, weight in parts])


def one_token(x: Tensor, gate_up: Tensor, down: Tensor, expert_ids: list[int], weights: Tensor, gate_on: str) -> Tensor:
    """The loop over the experts of a single token, as decoding needs it: A small products, nothing to sort or to send.

    x (1, D), gate_up (E, 2F, D), down (E, D, F), expert_ids A numbers, weights (A,) -> (1, D).
    """
    weights = weights.unsqueeze(-1).to(x.dtype)  # (A, 1)
    rows = (x * weights).split(1) if gate_on == "input" else [x] * len(expert_ids)  # A of (1, D)
    hidden = [F.linear(row, gate_up[e]) for row, e in zip(rows, expert_ids, strict=True)]
    gate, up = torch.cat(hidden).chunk(2, dim=-1)  # (A, F), (A, F)
    h = F.silu(gate) * up  # (A, F)
    if gate_on == "output":
        h = h * weights  # here already: what follows is linear
    first, *others = (F.linear(row, down[e]) for row, e in zip(h.split(1), expert_ids, strict=True))
    return sum(others, start=first)
