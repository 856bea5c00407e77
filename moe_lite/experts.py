"""The experts: E small SwiGLU networks, and two ways to send tokens through them.

`loop` is the obvious way and the reference; `sorted` gives the same values and gradients and costs what it activates.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from moe_lite.config import GATES, IMPLEMENTATIONS
from moe_lite.routing import Routing


def swiglu(x: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
    """down · (silu(gate · x) ⊙ (up · x)), Shazeer 2020 (arXiv 2002.05202).

    x (N, D), gate_up (2F, D) with the gate in its first half, down (D, F) -> (N, D).
    """
    gate, up = F.linear(x, gate_up).chunk(2, dim=-1)  # (N, F), (N, F)
    return F.linear(F.silu(gate) * up, down)  # (N, D)


class SwiGLU(nn.Module):
    """One feed-forward network: the dense model's, or a shared expert. (..., D) -> (..., D)."""

    def __init__(self, d_model: int, d_ff: int):
        super().__init__()
        self.gate_up = nn.Parameter(torch.empty(2 * d_ff, d_model))
        self.down = nn.Parameter(torch.empty(d_model, d_ff))

    def forward(self, x: Tensor) -> Tensor:
        return swiglu(x, self.gate_up, self.down)


class _EachOnItsOwn(torch.autograd.Function):
    """Each expert's `swiglu` on its own rows: rows (A, D) expert by expert, sizes of the E parts -> (A, D).

    Plain calls of `swiglu` give the same, but autograd then computes every gradient apart and copies them together
    afterwards. Here each matrix product writes to its place. Has no second derivative.
    """

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


class Experts(nn.Module):
    """E SwiGLU networks of equal width, their weights stacked."""

    def __init__(self, n_experts: int, d_model: int, d_expert: int, implementation: str = "sorted"):
        super().__init__()
        if implementation not in IMPLEMENTATIONS:
            raise ValueError(f"implementation is {implementation!r}, expected one of {IMPLEMENTATIONS}.")
        self.implementation = implementation
        self.gate_up = nn.Parameter(torch.empty(n_experts, 2 * d_expert, d_model))
        self.down = nn.Parameter(torch.empty(n_experts, d_model, d_expert))

    def forward(self, x: Tensor, routing: Routing, *, gate_on: str = "output") -> Tensor:
        """x (N, D) -> (N, D): for each token the weighted sum over its kept experts, 0 where it has none.

        gate_on: the weight multiplies the expert's "output" (most models) or its "input" (Llama 4).
        """
        if gate_on not in GATES:
            raise ValueError(f"gate_on is {gate_on!r}, expected one of {GATES}.")
        compute = self._loop if self.implementation == "loop" else self._sorted
        return compute(x, routing, gate_on)

    def _loop(self, x: Tensor, routing: Routing, gate_on: str) -> Tensor:
        y = x.new_zeros(x.shape)  # (N, D)
        for e, (gate_up, down) in enumerate(zip(self.gate_up.unbind(0), self.down.unbind(0), strict=True)):
            mine = (routing.expert_ids == e) & routing.kept  # (A,)
            tokens = routing.token_ids[mine]  # (n,)
            weights = routing.weights[mine, None].to(x.dtype)  # (n, 1)
            if gate_on == "input":
                out = swiglu(x[tokens] * weights, gate_up, down)  # (n, D)
            else:
                out = swiglu(x[tokens], gate_up, down) * weights  # (n, D)
            y = y.index_add(0, tokens, out.to(y.dtype))
        return y

    def _sorted(self, x: Tensor, routing: Routing, gate_on: str) -> Tensor:
        # assignments already stand expert by expert, so each expert's rows are one contiguous slice
        token_ids, expert_ids, weights = routing.token_ids, routing.expert_ids, routing.weights
        if not routing.kept.all():
            token_ids, expert_ids, weights = (t[routing.kept] for t in (token_ids, expert_ids, weights))
        if len(token_ids) == 0:
            return torch.zeros_like(x)
        if len(x) == 1 and not torch.is_grad_enabled():
            return self._one_token(x, expert_ids.tolist(), weights, gate_on)
        weights = weights.unsqueeze(-1).to(x.dtype)  # (A, 1)
        rows = x.index_select(0, token_ids)  # (A, D) several times faster than x[token_ids]
        if gate_on == "input":
            rows = rows * weights
        sizes = torch.bincount(expert_ids, minlength=len(self.gate_up)).tolist()  # E integers
        matrices = rows, self.gate_up, self.down
        if torch.is_autocast_enabled(x.device.type):  # as autocast does for the loop's `linear`
            matrices = (t.to(torch.get_autocast_dtype(x.device.type)) for t in matrices)
        out = _EachOnItsOwn.apply(*matrices, sizes)  # (A, D)
        if gate_on == "output":
            out = out * weights.to(out.dtype)
        return out.new_zeros(x.shape).index_add(0, token_ids, out)  # in out's dtype: autocast changes it

    def _one_token(self, x: Tensor, expert_ids: list[int], weights: Tensor, gate_on: str) -> Tensor:
        """Decoding: A small products, nothing to sort or to send. x (1, D), weights (A,) -> (1, D)."""
        weights = weights.unsqueeze(-1).to(x.dtype)  # (A, 1)
        rows = (x * weights).split(1) if gate_on == "input" else [x] * len(expert_ids)  # A of (1, D)
        gate_up = [F.linear(row, self.gate_up[e]) for row, e in zip(rows, expert_ids, strict=True)]
        gate, up = torch.cat(gate_up).chunk(2, dim=-1)  # (A, F), (A, F)
        h = F.silu(gate) * up  # (A, F)
        if gate_on == "output":
            h = h * weights  # here already: what follows is linear
        first, *others = (F.linear(row, self.down[e]) for row, e in zip(h.split(1), expert_ids, strict=True))
        return sum(others, start=first)
