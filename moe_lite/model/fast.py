"""What is here only for speed. Each function has a plain equivalent in one line, which its tests compare it with.

Skip this file at first: `routing` and `experts` can be read without it. Measured in NOTES.md, "Speed".
"""

import torch
import torch.nn.functional as F
from torch import Tensor

REGISTER = 16  # float32 numbers that one instruction works on, at most
FEW = 8  # up to so many are found one after the other, more by sorting


def softmax_rows(z: Tensor) -> Tensor:
    """`z.softmax(dim=1)`, (N, E) -> (N, E).

    Rows shorter than a vector register are slow one by one, so several short ones are worked on as columns: a quarter
    of the time with 8 experts and 2,048 tokens.
    """
    if z.shape[1] < REGISTER <= len(z):
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


def each_expert(rows: Tensor, gate_up: Tensor, down: Tensor, sizes: list[int]) -> Tensor:
    """`torch.cat([swiglu(*part) for part in zip(rows.split(sizes), gate_up.unbind(0), down.unbind(0))])`.

    rows (A, D) expert by expert, gate_up (E, 2F, D), down (E, D, F), sizes of the E parts -> (A, D). Has no second
    derivative.
    """
    if torch.is_autocast_enabled(rows.device.type):  # as autocast does for the loop's `linear`
        dtype = torch.get_autocast_dtype(rows.device.type)
        rows, gate_up, down = rows.to(dtype), gate_up.to(dtype), down.to(dtype)
    return _EachExpert.apply(rows, gate_up, down, sizes)


class _EachExpert(torch.autograd.Function):
    """With plain calls autograd computes every gradient apart and copies them together afterwards; here each matrix
    product writes to its place."""

    @staticmethod
    def forward(ctx, rows: Tensor, gate_up: Tensor, down: Tensor, sizes: list[int]) -> Tensor:
        out, hidden = torch.empty_like(rows), []
        parts = zip(rows.split(sizes), out.split(sizes), gate_up.mT.unbind(0), down.mT.unbind(0), strict=True)
        for x, y, to_hidden, to_out in parts:
            h = x.mm(to_hidden)  # (n, 2F)
            gate, up = h.chunk(2, dim=-1)  # (n, F), (n, F)
            torch.mm(F.silu(gate).mul_(up), to_out, out=y)  # (n, D)
            hidden.append(h)
        ctx.save_for_backward(rows, gate_up, down, *hidden)
        ctx.sizes = sizes
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, d_out: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """d_… is the loss's gradient for …"""
        rows, gate_up, down, *hidden = ctx.saved_tensors
        d_rows, d_gate_up, d_down = torch.empty_like(rows), torch.empty_like(gate_up), torch.empty_like(down)
        slices = (t.split(ctx.sizes) for t in (rows, d_rows, d_out))
        weights = (t.unbind(0) for t in (gate_up, d_gate_up, down, d_down))
        for x, dx, dy, w, dw, v, dv, h in zip(*slices, *weights, hidden, strict=True):
            gate, up = h.chunk(2, dim=-1)  # (n, F), (n, F)
            s, da = F.silu(gate), dy.mm(v)  # (n, F), (n, F): a = s · up, y = a vᵀ
            dh = torch.cat([torch.ops.aten.silu_backward(da * up, gate), da * s], dim=-1)  # (n, 2F)
            torch.mm(dy.t(), s.mul_(up), out=dv)  # (D, F)
            torch.mm(dh.t(), x, out=dw)  # (2F, D), zeros where n is 0
            torch.mm(dh, w, out=dx)  # (n, D)
        return d_rows, d_gate_up, d_down, None


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
