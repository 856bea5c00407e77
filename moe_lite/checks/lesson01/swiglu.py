"""Exercise 1.2, swiglu: the feed-forward network of a block."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.compare import close, number, shape_text
from moe_lite.checks.engine.exercise import (
    FORM,
    GRADIENT,
    INPUT,
    REPEAT,
    Attempt,
    Case,
    Exercise,
    Mistake,
    Output,
    Trial,
)
from moe_lite.checks.engine.mistakes import not_finite, ruled, seen

F32, F64 = torch.float32, torch.float64


def reference(x: Tensor, w_gate: Tensor, w_up: Tensor, w_down: Tensor) -> Tensor:
    """x (N, D), w_gate (F, D), w_up (F, D), w_down (D, F) -> y (N, D)."""
    return times(silu(times(x, w_gate)) * times(x, w_up), w_down)


def times(x: Tensor, w: Tensor) -> Tensor:
    """One dot product for each row of x (N, i) and of w (o, i) -> (N, o)."""
    return (x[:, None, :] * w[None, :, :]).sum(dim=-1)


def silu(z: Tensor) -> Tensor:
    return z / (1 + (-z).exp())


def cases() -> tuple[Case, ...]:
    plain = (_random(1, 6, 4, 9), _random(2, 5, 8, 3), _random(3, 7, 3, 10))
    single = _random(4, 1, 5, 7)
    other_type = _random(5, 4, 6, 5, F32)
    strong = (_random(6, 5, 6, 8, scale=6.0), _random(7, 5, 4, 6, F32, scale=200.0))  # gates far from 0, on both sides
    gradient = tuple(Trial(t.args, t.note, gradient=(0, 1, 2, 3)) for t in plain[:2])
    return (
        Case("shapes and types", (*plain, other_type), (FORM,)),
        Case("input unchanged, no memory", plain[:1], (INPUT, REPEAT)),
        Case("silu(gate) · up", plain, ("y",)),
        Case("one token", (single,), ("y",)),
        Case("strong gates", strong, ("y",)),
        Case("gradient", gradient, (GRADIENT,)),
    )


def _random(seed: int, n_tokens: int, width: int, hidden: int, dtype: torch.dtype = F64, scale: float = 1.5) -> Trial:
    g = inputs.generator(seed)
    shapes = ((n_tokens, width), (hidden, width), (hidden, width), (width, hidden))
    drawn = [torch.randn(shape, dtype=F64, generator=g).round(decimals=3) for shape in shapes]
    drawn[0] = drawn[0] * scale
    return Trial(tuple(tensor.to(dtype) for tensor in drawn), inputs.note(seed, dtype))


def _gated(rule: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """A rule on gate (N, F) and up (N, F) that gives the hidden numbers (N, F)."""
    return lambda x, w_gate, w_up, w_down: times(rule(times(x, w_gate), times(x, w_up)), w_down)


def _hidden(attempt: Attempt) -> bool:
    """The (N, F) numbers between the two steps."""
    x, w_gate, w_up, _ = attempt.args
    return close(attempt.got["y"], silu(times(x, w_gate)) * times(x, w_up))


def _parts(attempt: Attempt) -> tuple[float, float]:
    """Gate and up of token 0 at hidden place 0."""
    x, w_gate, w_up, _ = attempt.args
    return float(times(x, w_gate)[0, 0]), float(times(x, w_up)[0, 0])


def _at_zero(attempt: Attempt, what: str, value: Callable[[float, float], float]) -> str:
    """The learner's hidden number of token 0 beside the right one; what they return is a mixture of these."""
    gate, up = _parts(attempt)
    right = gate / (1 + math.exp(-gate)) * up
    return (
        f"Token 0's first gate is {number(gate)}, its first up {number(up)}; you make {number(value(gate, up))} of "
        f"them, expected {number(right)}: {what}"
    )


def _named(title: str, what: str, rule: Callable[[Tensor, Tensor], Tensor]) -> Mistake:
    """A mistake in what becomes of gate and up, told with the numbers of the first hidden place."""

    def value(gate: float, up: float) -> float:
        return float(rule(torch.tensor([[gate]], dtype=F64), torch.tensor([[up]], dtype=F64)))

    return ruled(title, _gated(rule), lambda a: _at_zero(a, what, value))


def _sigmoid(z: Tensor) -> Tensor:
    return 1 / (1 + (-z).exp())


def _transposed_weights(x: Tensor, w_gate: Tensor, w_up: Tensor, w_down: Tensor) -> Tensor:
    """Weights of shape (F, D) read as (D, F), row after row."""
    return times(silu(times(x, _reread(w_gate))) * times(x, _reread(w_up)), _reread(w_down))


def _reread(w: Tensor) -> Tensor:
    return w.reshape(w.shape[::-1]).T


def _y(attempt: Attempt) -> str:
    got, expected = attempt.got["y"], attempt.expected["y"]
    return f"`y[0, 0]` is {number(float(got[0, 0]))}, expected {number(float(expected[0, 0]))}"


MISTAKES = (
    _named("Gate and up have changed places", "silu belongs to the gate; the up side stays as it is.",
           lambda gate, up: gate * silu(up)),
    _named("ReLU, not silu", "ReLU cuts off below 0, silu lets a little through.",
           lambda gate, up: gate.clamp(min=0) * up),
    _named("GELU, not silu", "the two look alike, but silu is z · sigmoid(z).",
           lambda gate, up: torch.nn.functional.gelu(gate) * up),
    _named("GELU, not silu", "the two look alike, but silu is z · sigmoid(z).",
           lambda gate, up: torch.nn.functional.gelu(gate, approximate="tanh") * up),
    _named("GELU, not silu", "z · sigmoid(1.702 z) is a short form of GELU; silu is z · sigmoid(z).",
           lambda gate, up: gate * _sigmoid(1.702 * gate) * up),
    _named("Sigmoid, not silu", "silu(z) is z · sigmoid(z), and the factor z is missing.",
           lambda gate, up: _sigmoid(gate) * up),
    _named("tanh, not silu", "silu(z) is z · sigmoid(z).", lambda gate, up: gate.tanh() * up),
    _named("Softplus, not silu", "log(1 + exp(z)) is another function; silu(z) is z · sigmoid(z).",
           lambda gate, up: torch.nn.functional.softplus(gate) * up),
    _named("The sign in the sigmoid is turned", "sigmoid(z) is 1 / (1 + exp(−z)), with a minus.",
           lambda gate, up: gate * _sigmoid(-gate) * up),
    _named("No silu at all", "gate times up, without silu, is no gate yet.", lambda gate, up: gate * up),
    _named("silu on both sides", "only the gate goes through silu.", lambda gate, up: silu(gate) * silu(up)),
    _named("silu after the product", "silu comes first, on the gate alone; then the product.",
           lambda gate, up: silu(gate * up)),
    _named("The gate was multiplied in twice", "silu(z) already holds the factor z.",
           lambda gate, up: gate * silu(gate) * up),
    _named("A sum, not a product", "the gate says how much of the up side passes, so the two are multiplied.",
           lambda gate, up: silu(gate) + up),
    _named("The up side is missing", "that is silu(gate) alone. It has to be multiplied with x · w_up.",
           lambda gate, up: silu(gate)),
    _named("The gate is missing", "that is the up side alone, and nothing holds it back.", lambda gate, up: up),
    _named("silu of the up side alone", "the gate is missing.", lambda gate, up: silu(up)),
    ruled("Softmax, not silu", _gated(lambda gate, up: gate.softmax(dim=-1) * up), lambda a:
          f"{_y(a)}: softmax lets the hidden numbers share 1. silu looks at each by itself: z · sigmoid(z)."),
    ruled("silu on the result", lambda *args: silu(reference(*args)), lambda a:
          f"{_y(a)}: after `w_down` nothing more happens."),
    ruled("silu on the result", lambda x, g, u, d: silu(times(times(x, g) * times(x, u), d)), lambda a:
          f"{_y(a)}: silu belongs to the gate, before the product, and not to the result."),
    ruled("silu on the input", lambda x, g, u, d: times(times(silu(x), g) * times(x, u), d), lambda a:
          f"{_y(a)}: silu was taken of `x`. Take it of the gate, after `w_gate`."),
    ruled("silu on the input", lambda x, g, u, d: times(times(silu(x), g) * times(silu(x), u), d), lambda a:
          f"{_y(a)}: silu was taken of `x`. Take it of the gate, after `w_gate`."),
    ruled("The same matrix twice", lambda x, g, u, d: reference(x, g, g, d), lambda a:
          f"{_y(a)}: gate and up were both made with `w_gate`."),
    ruled("The same matrix twice", lambda x, g, u, d: reference(x, u, u, d), lambda a:
          f"{_y(a)}: gate and up were both made with `w_up`."),
    ruled("The input is added", lambda x, *ws: x + reference(x, *ws), lambda a:
          f"{_y(a)}: {number(float(a.args[0][0, 0]))} too much, which is `x[0, 0]`. The block adds the input later; "
          "this network only gives what is to be added."),
    ruled("The matrices were reshaped, not transposed", _transposed_weights, lambda a:
          f"{_y(a)}: `view` and `reshape` only count the numbers anew, row after row. `.T` turns rows into columns."),
    seen("The way back is missing", _hidden, lambda a:
         f"`y` is {shape_text(a.got['y'])}, the {a.args[1].shape[0]} hidden numbers of each token. `w_down` leads back "
         f"to width {a.args[0].shape[1]}."),
    seen("Not a number for strong gates", not_finite, lambda a:
         f"{int((~a.got['y'].isfinite()).sum())} of {a.got['y'].numel()} values are nan or inf: `exp` of a large gate "
         "is inf, and inf / inf is nan. `torch.sigmoid` does not overflow."),
)  # fmt: skip

SWIGLU = Exercise(
    id="1.2",
    name="swiglu",
    parameters=("x", "w_gate", "w_up", "w_down"),
    sizes="NDF",
    outputs=(Output("y", "N, D"),),
    reference=reference,
    cases=cases,
    mistakes=MISTAKES,
    hints=(
        "Two matrices take each token from width D to width F. One result goes through silu and says how much of the "
        "other passes. A third matrix leads back to width D.",
        "A matrix stored (out, in) meets rows with its transpose, `x @ w.T`. So: one such product for the gate; then "
        "a product of silu(gate) and the other one, number by number, and one matrix product around it all.",
    ),
    minutes=8,
    lines="about 2 lines",
    done="In this course every expert is one of these. Here all tokens share it.",
)
