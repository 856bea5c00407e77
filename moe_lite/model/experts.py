"""The experts: E small feed-forward networks, and two ways to send tokens through them.

`loop` is the obvious way and the reference; `sorted` gives the same values and gradients and costs what it activates.
A function of your own can take their place: `dispatch_fn`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from moe_lite.model import fast
from moe_lite.model.config import GATES, IMPLEMENTATIONS
from moe_lite.model.routing import Routing

# x (N, D), weights (N, K), expert_ids (N, K), gate_up (E, 2F, D), down (E, D, F) -> (N, D); lessons.dispatch has some
Dispatch = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]


def swiglu(x: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
    """down · (silu(gate · x) ⊙ (up · x)), Shazeer 2020 (arXiv 2002.05202).

    x (N, D), gate_up (2F, D) with the gate in its first half, down (D, F) -> (N, D).
    """
    gate, up = F.linear(x, gate_up).chunk(2, dim=-1)  # (N, F), (N, F)
    return F.linear(F.silu(gate) * up, down)  # (N, D)


@dataclass(frozen=True)
class Form:
    """What a feed-forward network computes between its two products, SwiGLU's unless said otherwise.

    swiglu       silu(gate) ⊙ up
    geglu        gelu(gate) ⊙ up, GELU by its approximation with tanh (Grok-1, Gemma 4)
    quick_geglu  gate ⊙ sigmoid(1.702 · gate) ⊙ (up + 1), the first two factors being nearly GELU (gpt-oss)
    relu2        relu(up)², with no gate (Nemotron-H)
    clamp        gate becomes min(gate, clamp) before, up is held within ±clamp (gpt-oss, DeepSeek-V4)
    """

    kind: str = "swiglu"
    clamp: float | None = None

    def rows(self, d_ff: int) -> int:
        """How many rows the first matrix, `gate_up`, has for a hidden width of d_ff."""
        return d_ff if self.kind == "relu2" else 2 * d_ff

    def __call__(self, h: Tensor) -> Tensor:
        """(..., 2F) with the gate in its first half -> (..., F); relu2 (..., F) -> (..., F)."""
        if self.kind == "relu2":
            return F.relu(h).square()  # (..., F)
        gate, up = h.chunk(2, dim=-1)  # (..., F), (..., F)
        if self.clamp is not None:
            gate, up = gate.clamp(max=self.clamp), up.clamp(-self.clamp, self.clamp)  # (..., F), (..., F)
        if self.kind == "geglu":
            return F.gelu(gate, approximate="tanh") * up  # (..., F)
        if self.kind == "quick_geglu":
            return gate * torch.sigmoid(1.702 * gate) * (up + 1)  # (..., F)
        return F.silu(gate) * up  # (..., F)


PLAIN = Form()


class SwiGLU(nn.Module):
    """One feed-forward network: the dense model's, or a shared expert. (..., D) -> (..., D)."""

    def __init__(self, d_model: int, d_ff: int, gated: bool = False, form: Form = PLAIN):
        """gated: the answer is multiplied with sigmoid(gate · x), one number per token (the shared expert of Qwen2).
        form: something else than SwiGLU between the products."""
        super().__init__()
        self.form = form
        self.gate_up = nn.Parameter(torch.empty(form.rows(d_ff), d_model))
        self.down = nn.Parameter(torch.empty(d_model, d_ff))
        self.gate = nn.Parameter(torch.empty(1, d_model)) if gated else None

    def forward(self, x: Tensor, weights: Tensor | None = None) -> Tensor:
        """weights (N, S): the network is S experts side by side, each as wide; the weight of each for each token."""
        h = self.form(F.linear(x, self.gate_up))  # (..., F), with weights (N, S·F)
        if weights is not None:
            h = h.unflatten(-1, (weights.shape[1], -1))  # (N, S, F)
            h = (h * weights.unsqueeze(-1).to(h.dtype)).flatten(1)  # (N, S·F)
        y = F.linear(h, self.down)  # (..., D)
        return y if self.gate is None else torch.sigmoid(F.linear(x, self.gate)) * y


def _without_zero(routing: Routing, n_experts: int) -> Routing:
    return replace(routing, kept=routing.kept & (routing.expert_ids < n_experts))


class Experts(nn.Module):
    """E feed-forward networks of equal width and form, their weights stacked."""

    def __init__(
        self, n_experts: int, d_model: int, d_expert: int, implementation: str = "sorted",
        dispatch_fn: Dispatch | None = None, form: Form = PLAIN, bias: bool = False, d_latent: int | None = None,
    ):  # fmt: skip
        """dispatch_fn (x, weights, expert_ids, gate_up, down) -> y computes in place of `implementation`.

        d_latent: the experts work at this width in place of D, between two matrices that all tokens pass.
        """
        super().__init__()
        if implementation not in IMPLEMENTATIONS:
            raise ValueError(f"implementation is {implementation!r}, expected one of {IMPLEMENTATIONS}.")
        if dispatch_fn is not None and not callable(dispatch_fn):
            raise TypeError(
                f"dispatch_fn is a {type(dispatch_fn).__name__}, expected a function of (x, weights, expert_ids, "
                "gate_up, down); pass the function itself, not what it returns."
            )
        self.implementation, self.dispatch_fn, self.form = implementation, dispatch_fn, form
        rows, width = form.rows(d_expert), d_latent or d_model
        self.gate_up = nn.Parameter(torch.empty(n_experts, rows, width))
        self.down = nn.Parameter(torch.empty(n_experts, width, d_expert))
        self.gate_up_bias = nn.Parameter(torch.zeros(n_experts, rows)) if bias else None
        self.down_bias = nn.Parameter(torch.zeros(n_experts, width)) if bias else None
        self.narrow = nn.Parameter(torch.empty(d_latent, d_model)) if d_latent else None
        self.widen = nn.Parameter(torch.empty(d_model, d_latent)) if d_latent else None

    def forward(self, x: Tensor, routing: Routing, *, gate_on: str = "output") -> Tensor:
        """x (N, D) -> (N, D): for each token the weighted sum over its kept experts, 0 where it has none.

        gate_on: the weight multiplies the expert's "output" (most models) or its "input" (Llama 4).
        """
        if gate_on not in GATES:
            raise ValueError(f"gate_on is {gate_on!r}, expected one of {GATES}.")
        if self.narrow is None:
            return self._answer(x, routing, gate_on)
        return F.linear(self._answer(F.linear(x, self.narrow), routing, gate_on), self.widen)  # (N, D)

    def _answer(self, x: Tensor, routing: Routing, gate_on: str) -> Tensor:
        """`forward` at the width of the experts."""
        if self.dispatch_fn is not None:
            return self._by_function(x, routing, gate_on)
        compute, zero = self._loop if self.implementation == "loop" else self._sorted, None
        if routing.n_experts > len(self.gate_up):  # zero experts stand behind the others, and return their input
            zero, routing = self._zero(x, routing), _without_zero(routing, len(self.gate_up))
        y = compute(x, routing, gate_on)
        return y if zero is None else y + zero.to(y.dtype)

    def _zero(self, x: Tensor, routing: Routing) -> Tensor:
        """(N, D): what the zero experts give, their weights times the token itself."""
        mine = routing.kept & (routing.expert_ids >= len(self.gate_up))  # (A,)
        weights = routing.weights[mine].to(x.dtype)  # (a,)
        return x * x.new_zeros(len(x)).index_add(0, routing.token_ids[mine], weights).unsqueeze(-1)

    def _by_function(self, x: Tensor, routing: Routing, gate_on: str) -> Tensor:
        dropped = int((~routing.kept).sum())
        if gate_on != "output" or dropped:
            raise ValueError(
                f"dispatch_fn weighs outputs and drops nothing; here gate_on={gate_on!r}, {dropped} dropped."
            )
        weights, expert_ids = routing.top_k  # (N, K), (N, K)
        y = self.dispatch_fn(x, weights.to(x.dtype), expert_ids, self.gate_up, self.down)  # (N, D)
        if not isinstance(y, Tensor) or y.shape != x.shape:
            came = tuple(y.shape) if isinstance(y, Tensor) else type(y).__name__
            raise ValueError(f"dispatch_fn returned {came}, expected y (N, D) = {tuple(x.shape)}, one row per token.")
        return y

    def _each(self) -> list[Callable[[Tensor], Tensor]]:
        """The experts as E functions (n, D) -> (n, D)."""
        stacks = (self.gate_up, self.gate_up_bias, self.down, self.down_bias)
        parts = zip(*([None] * len(self.down) if t is None else t.unbind(0) for t in stacks), strict=True)
        return [lambda x, w=w, b=b, v=v, c=c: F.linear(self.form(F.linear(x, w, b)), v, c) for w, b, v, c in parts]

    def _loop(self, x: Tensor, routing: Routing, gate_on: str) -> Tensor:
        y = x.new_zeros(x.shape)  # (N, D)
        for e, expert in enumerate(self._each()):
            mine = (routing.expert_ids == e) & routing.kept  # (A,)
            tokens = routing.token_ids[mine]  # (n,)
            weights = routing.weights[mine, None].to(x.dtype)  # (n, 1)
            if gate_on == "input":
                out = expert(x[tokens] * weights)  # (n, D)
            else:
                out = expert(x[tokens]) * weights  # (n, D)
            y = y.index_add(0, tokens, out.to(y.dtype))
        return y

    def _sorted(self, x: Tensor, routing: Routing, gate_on: str) -> Tensor:
        token_ids, expert_ids, weights = routing.token_ids, routing.expert_ids, routing.weights
        if not routing.kept.all():
            token_ids, expert_ids, weights = (t[routing.kept] for t in (token_ids, expert_ids, weights))
        if len(token_ids) == 0:
            return torch.zeros_like(x)
        usual = self.form == PLAIN and self.down_bias is None  # what `fast` knows
        if usual and len(x) == 1 and not torch.is_grad_enabled():
            return fast.one_token(x, self.gate_up, self.down, expert_ids.tolist(), weights, gate_on)
        # assignments already stand expert by expert, so each expert's rows are one contiguous slice
        weights = weights.unsqueeze(-1).to(x.dtype)  # (A, 1)
        rows = x.index_select(0, token_ids)  # (A, D) several times faster than x[token_ids]
        if gate_on == "input":
            rows = rows * weights
        load = torch.bincount(expert_ids, minlength=len(self.gate_up))  # (E,)
        if usual:
            out = fast.each_expert(rows, self.gate_up, self.down, load)  # (A, D) `swiglu` of each slice
        else:
            slices = zip(self._each(), rows.split(load.tolist()), strict=True)
            out = torch.cat([expert(part) for expert, part in slices])  # (A, D)
        if gate_on == "output":
            out = out * weights.to(out.dtype)
        return out.new_zeros(x.shape).index_add(0, token_ids, out)  # in out's dtype: autocast changes it
