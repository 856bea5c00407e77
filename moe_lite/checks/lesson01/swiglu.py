"""Exercise 1.2, swiglu: the feed-forward network of a block."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.compare import number
from moe_lite.checks.engine.exercise import Attempt, Case, Drawn, Exercise, Mistake, Output, Trial
from moe_lite.checks.engine.inputs import F32, F64
from moe_lite.checks.engine.mistakes import not_finite, sign, wrong


def reference(x: Tensor, w_gate: Tensor, w_up: Tensor, w_down: Tensor) -> Tensor:
    """x (N, D), w_gate (F, D), w_up (F, D), w_down (D, F) -> y (N, D)."""
    return times(hidden(x, w_gate, w_up), w_down)


def hidden(x: Tensor, w_gate: Tensor, w_up: Tensor) -> Tensor:
    """The numbers between the two steps. (N, F)"""
    return silu(times(x, w_gate)) * times(x, w_up)


def times(x: Tensor, w: Tensor) -> Tensor:
    """One dot product for each row of x (N, i) and of w (o, i) -> (N, o)."""
    return (x[:, None, :] * w[None, :, :]).sum(dim=-1)


def silu(z: Tensor) -> Tensor:
    return z * sigmoid(z)


def sigmoid(z: Tensor) -> Tensor:
    return z.sigmoid()  # 1 / (1 + exp(−z)) has a gradient of nan where exp overflows


# ---- inputs ----------------------------------------------------------------------------------------------------------


def cases() -> tuple[Case, ...]:
    plain = (random(1, 6, 4, 9), random(2, 5, 8, 3), random(3, 7, 3, 10))
    single, other_type = random(4, 1, 5, 7), random(5, 4, 6, 5, F32)
    strong = (random(6, 5, 6, 8, scale=6.0), random(7, 5, 4, 6, F32, scale=200.0))  # gates far from 0, on both sides
    first, last = inputs.usual((*plain, other_type), plain, gradient=(0, 1, 2, 3), through=(*plain[:2], *strong))
    return (
        *first,
        Case("silu(gate) · up", plain, ("y",)),
        Case("one token", (single,), ("y",)),
        Case("strong gates", strong, ("y",)),
        *last,
    )


def random(seed: int, n_tokens: int, width: int, inner: int, dtype: torch.dtype = F64, scale: float = 1.5) -> Trial:
    g = inputs.generator(seed)
    shapes = ((n_tokens, width), (inner, width), (inner, width), (width, inner))
    drawn = [torch.randn(shape, dtype=F64, generator=g).round(decimals=3) for shape in shapes]
    drawn[0] = drawn[0] * scale
    return Trial(tuple(tensor.to(dtype) for tensor in drawn), inputs.note(seed, dtype))


def drawn(seed: int, N: int, D: int, F: int) -> tuple:
    shapes = (N, D), (F, D), (F, D), (D, F)
    return tuple(inputs.distinct(4 * seed + place, *shape) for place, shape in enumerate(shapes))


def extremes(seed: int) -> tuple[Trial, ...]:
    x, w_gate, w_up, w_down = drawn(seed, 6, 4, 9)
    return (
        Trial((torch.zeros_like(x), w_gate, w_up, w_down), "x all 0"),
        Trial((x, torch.zeros_like(w_gate), w_up, w_down), "gates all 0"),
        Trial((x * 1e4, w_gate, w_up, w_down), "x in the ten thousands"),
        Trial((x * 1e-6, w_gate, w_up, w_down), "x in the millionths"),
    )


DRAWN = Drawn(drawn, {"N": 6, "D": 4, "F": 9}, wide="F", gradient=(0, 1, 2, 3), extremes=extremes)


# ---- mistakes --------------------------------------------------------------------------------------------------------

Gating = Callable[[Tensor, Tensor], Tensor]  # of gate (N, F) and up (N, F); gives the hidden numbers (N, F)


def gated(rule: Gating) -> Callable[..., Tensor]:
    return lambda x, w_gate, w_up, w_down: times(rule(times(x, w_gate), times(x, w_up)), w_down)


def other_gating(title: str, what: str, rule: Gating) -> Mistake:
    """A mistake in what becomes of gate and up, told with the first hidden number of token 0 beside the right one.

    The rule looks at each number by itself; what the learner returns is a mixture of these.
    """

    def say(a: Attempt) -> str:
        x, w_gate, w_up, _ = a.args
        gate, up = (times(x[:1], w[:1]).double() for w in (w_gate, w_up))  # (1, 1) each
        shown = (gate, up, rule(gate, up), silu(gate) * up)
        first_gate, first_up, made, right = (number(value.item()) for value in shown)
        return (
            f"Token 0's first gate is {first_gate}, its first value {first_up}; yours makes {made} of them, expected "
            f"{right}: {what}"
        )

    return wrong(title, gated(rule), say)


def reread(w: Tensor) -> Tensor:
    """Weights of shape (F, D) read as (D, F), row after row."""
    return w.reshape(w.shape[::-1]).T


MISTAKES = (
    other_gating("Gates and values have changed places", "silu belongs to the gate; the value stays as it is.",
                 lambda gate, up: gate * silu(up)),
    other_gating("ReLU, not silu", "ReLU cuts off below 0, silu lets a little through.",
                 lambda gate, up: gate.clamp(min=0) * up),
    other_gating("GELU, not silu", "the two look alike, but silu is z · sigmoid(z).",
                 lambda gate, up: F.gelu(gate) * up),
    other_gating("GELU, not silu", "the two look alike, but silu is z · sigmoid(z).",
                 lambda gate, up: F.gelu(gate, approximate="tanh") * up),
    other_gating("GELU, not silu", "z · sigmoid(1.702 z) is a short form of GELU; silu is z · sigmoid(z).",
                 lambda gate, up: gate * sigmoid(1.702 * gate) * up),
    other_gating("Sigmoid, not silu", "silu(z) is z · sigmoid(z), and the factor z is missing.",
                 lambda gate, up: sigmoid(gate) * up),
    other_gating("tanh, not silu", "silu(z) is z · sigmoid(z).", lambda gate, up: gate.tanh() * up),
    other_gating("Softplus, not silu", "log(1 + exp(z)) is another function; silu(z) is z · sigmoid(z).",
                 lambda gate, up: F.softplus(gate) * up),
    other_gating("The sign in the sigmoid is turned", "sigmoid(z) is 1 / (1 + exp(−z)), with a minus.",
                 lambda gate, up: gate * sigmoid(-gate) * up),
    other_gating("No silu at all", "yours is gate times value; the gate goes through silu first.",
                 lambda gate, up: gate * up),
    other_gating("silu on both sides", "only the gate goes through silu.", lambda gate, up: silu(gate) * silu(up)),
    other_gating("silu after the product", "silu comes first, on the gate alone; then the product.",
                 lambda gate, up: silu(gate * up)),
    other_gating("The gate was multiplied in twice", "silu(z) already holds the factor z.",
                 lambda gate, up: gate * silu(gate) * up),
    other_gating("A sum, not a product", "the gate decides how much of the value passes, so the two are multiplied.",
                 lambda gate, up: silu(gate) + up),
    other_gating("The values are missing", "that is silu(gate) alone. It has to be multiplied by the values, x · w_up.",
                 lambda gate, up: silu(gate)),
    other_gating("The gates are missing", "that is the value alone, and no gate decides how much of it passes.",
                 lambda gate, up: up),
    other_gating("silu of the values alone", "the gate is missing.", lambda gate, up: silu(up)),
    wrong("Softmax, not silu", gated(lambda gate, up: gate.softmax(dim=-1) * up), "{y.first}: softmax makes the F "
          "gates of a token sum to 1. silu looks at each gate by itself: z · sigmoid(z)."),
    wrong("silu on the result", lambda *args: silu(reference(*args)), "{y.first}: silu belongs to the gates. The "
          "result of `w_down` stays as it is."),
    wrong("silu on the result", lambda x, g, u, d: silu(times(times(x, g) * times(x, u), d)), "{y.first}: silu belongs "
          "to the gate, before the product, and not to the result."),
    wrong("silu on the input", lambda x, g, u, d: times(times(silu(x), g) * times(x, u), d), "{y.first}: silu was "
          "taken of `x`. Take it of the gate, after `w_gate`."),
    wrong("silu on the input", lambda x, g, u, d: times(times(silu(x), g) * times(silu(x), u), d), "{y.first}: silu "
          "was taken of `x`. Take it of the gate, after `w_gate`."),
    wrong("The same matrix twice", lambda x, g, u, d: reference(x, g, g, d), "{y.first}: gates and values were both "
          "made with `w_gate`."),
    wrong("The same matrix twice", lambda x, g, u, d: reference(x, u, u, d), "{y.first}: gates and values were both "
          "made with `w_up`."),
    wrong("The input is added", lambda x, *ws: x + reference(x, *ws), "`y[0, 0]` is {y[0][0].beside}: {x[0][0]} too "
          "much, which is `x[0, 0]`. The block adds the input later; this network only gives what is to be added."),
    wrong("The matrices were reshaped, not transposed", lambda x, *ws: reference(x, *map(reread, ws)), "{y.first}: "
          "`view` and `reshape` keep the numbers in their order and cut them into other rows. `.T` turns rows into "
          "columns."),
    wrong("`w_down` is missing", lambda x, g, u, d: hidden(x, g, u), "`y` is {y.shape}, the {w_gate.size[0]} "
          "products of each token. `w_down` turns them back into {x.size[1]} numbers."),
    sign("Not a number for strong gates", not_finite, "{y.not_finite} of {y.numel} values are nan or inf: `exp` of a "
         "large gate is inf, and inf / inf is nan. `torch.sigmoid` does not overflow."),
)  # fmt: skip

SWIGLU = Exercise(
    id="1.2", name="swiglu", parameters=("x", "w_gate", "w_up", "w_down"), sizes="NDF", outputs=(Output("y", "N, D"),),
    reference=reference, cases=cases, mistakes=MISTAKES,
    drawn=DRAWN,
    hints=(
        "Two matrices turn each token's D numbers into F gates and F values. silu of a gate decides how much of its "
        "value passes. The third matrix turns the F products back into D numbers.",
        "To apply a matrix stored as (out, in) to rows, multiply by its transpose: `x @ w.T`. Do this for the gates "
        "and for the values, multiply silu(gates) elementwise by the values, then apply `w_down` in the same way.",
    ),
    minutes=8, lines="about 2 lines",
    done="In this course every expert is one of these. Here all tokens share it.",
)  # fmt: skip
