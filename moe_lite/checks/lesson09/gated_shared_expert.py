"""Exercise 9.2, gated_shared_expert: how much of the shared expert a token takes is up to a gate (Qwen2-MoE)."""

from collections.abc import Callable

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.compare import first_difference, number
from moe_lite.checks.engine.exercise import Attempt, Case, Drawn, Exercise, Mistake, Output, Trial
from moe_lite.checks.engine.inputs import F32, F64
from moe_lite.checks.engine.mistakes import not_finite, one_wrong, sign, turned
from moe_lite.checks.engine.say import said


def reference(x: Tensor, routed: Tensor, shared: Tensor, w_gate: Tensor) -> Tensor:
    """x, routed, shared (N, D), w_gate (D,) -> y (N, D) (Qwen2-MoE, arXiv 2407.10671)."""
    return routed + gate(x, w_gate) * shared


def gate(x: Tensor, w_gate: Tensor) -> Tensor:
    return products(x, w_gate).sigmoid()  # (N, 1)


def products(x: Tensor, w_gate: Tensor) -> Tensor:
    return (x * w_gate).sum(dim=1, keepdim=True)  # (N, 1)


# ---- inputs ----------------------------------------------------------------------------------------------------------


def cases() -> tuple[Case, ...]:
    plain = (random(1, 5, 3), random(2, 4, 6), random(3, 7, 5))
    edges = (random(4, 1, 6), random(5, 6, 1), random(6, 1, 1))
    steep = (random(7, 6, 4, scale=8.0), random(8, 4, 7, scale=8.0))
    first, last = inputs.usual((plain[0], random(2, 4, 6, F32), plain[2]), plain, gradient=(0, 1, 2, 3))
    return (
        *first,
        Case("the routed answers, and a gated one", plain, ("y",)),
        Case("gates near 0 and near 1", steep, ("y",)),
        Case("one token, one feature", edges, ("y",)),
        *last,
    )


def random(seed: int, n_tokens: int, d_model: int, dtype: torch.dtype = F64, scale: float = 1.0) -> Trial:
    g = inputs.generator(seed)
    x, routed, shared = (torch.randn(n_tokens, d_model, dtype=F64, generator=g).round(decimals=3) for _ in range(3))
    w_gate = (torch.randn(d_model, dtype=F64, generator=g) * scale).round(decimals=3)
    return Trial(tuple(t.to(dtype) for t in (x, routed, shared, w_gate)), inputs.note(seed, dtype))


def drawn(seed: int, N: int, D: int) -> tuple:
    tables = (inputs.distinct(4 * seed + place, N, D) for place in range(3))
    return *tables, inputs.distinct(4 * seed + 3, D, low=-1.0, high=1.0)


def extremes(seed: int) -> tuple[Trial, ...]:
    x, routed, shared, w_gate = drawn(seed, 7, 5)
    nothing = torch.zeros_like(x)
    return (
        Trial((nothing, routed, shared, w_gate), "x all 0"),
        Trial((x, routed, shared, torch.zeros_like(w_gate)), "w_gate all 0"),
        Trial((torch.cat([x, -x]) * 1e5, *(torch.cat([t, t]) for t in (routed, shared)), w_gate), "very large x"),
        Trial((x * 1e-8, routed, shared, w_gate), "x near a hundred-millionth"),
        Trial((x, nothing, shared, w_gate), "routed all 0"),
        Trial((x, routed, nothing, w_gate), "shared all 0"),
        Trial((x, routed * 1e-9, shared * 1e6, w_gate), "a shared expert that is a million times larger"),
    )


DRAWN = Drawn(
    drawn, {"N": 7, "D": 5}, wide="D", gradient=(0, 1, 2, 3), extremes=extremes
)  # fmt: skip


# ---- mistakes --------------------------------------------------------------------------------------------------------

Rule = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]  # x, routed, shared, w_gate


def wrong_y(title: str, rule: Rule, say: str) -> Mistake:
    return one_wrong("y", title, rule, lambda a: f"{start(a)} {said(say, a)}")


def gated(title: str, rule: Rule, say: str) -> Mistake:
    """`rule` gives another gate: (N, 1), (N, D) or one number."""
    return wrong_y(title, lambda x, routed, shared, w: routed + rule(x, routed, shared, w) * shared, say)


def start(a: Attempt) -> str:
    """The first number that is wrong, and the gate that belongs to it."""
    x, _, _, w_gate = a.args
    n, _ = first_difference(a.got["y"], a.expected["y"])
    z, g = (float(value[n]) for value in (products(x, w_gate), gate(x, w_gate)))
    return (
        f"{said('{y.first:4}', a)}. Token {n} has the dot product {number(z, 3)} with `w_gate`, so its gate is "
        f"{number(g, 3)}."
    )


MISTAKES = (
    sign("Rows and columns have changed places", turned("y"), "`y` is {y.shape}. A row stands for a token, as in "
         "`routed`: {right.y.shape}."),
    sign("`exp` overflows", not_finite, "{y.not_finite} of {y.numel} numbers in `y` are nan or infinite: some dot "
         "product is past what exp can hold. `torch.sigmoid` has no such limit."),
    gated("The sigmoid is missing", lambda x, r, s, w: products(x, w), "You multiply the shared answer by the dot "
          "product itself. The gate is its sigmoid, between 0 and 1."),
    gated("There is no gate", lambda x, r, s, w: 1.0, "The shared answer is added as it is, with a weight of 1 for "
          "every token. Multiply it by the gate. (A softmax over a single number is 1, too.)"),
    gated("A gate per feature", lambda x, r, s, w: (x * w).sigmoid(), "You have a gate for each feature. The gate is "
          "one number per token: sum the products over the features before the sigmoid."),
    gated("The sigmoid comes before the sum", lambda x, r, s, w: (x * w).sigmoid().sum(1, True), "You sum the sigmoids "
          "of the products. Sum the products first, then take one sigmoid."),
    gated("The sigmoid comes before the product", lambda x, r, s, w: products(x.sigmoid(), w), "You take the sigmoid "
          "of `x`, and the product with `w_gate` after it. The product comes first."),
    gated("Two sigmoids", lambda x, r, s, w: gate(x, w).sigmoid(), "Your gate is the sigmoid of a sigmoid. One is "
          "enough."),
    gated("A mean instead of a sum", lambda x, r, s, w: (x * w).mean(1, True).sigmoid(), "You divide the dot product "
          "by the number of features. The gate is the sigmoid of the sum."),
    gated("The dot product is scaled", lambda x, r, s, w: (products(x, w) / x.shape[1] ** 0.5).sigmoid(), "You divide "
          "the dot product by √D, as attention does. Here it is used as it is."),
    gated("Softmax over the tokens", lambda x, r, s, w: products(x, w).softmax(0), "Your gates sum to 1 over all "
          "tokens, so each depends on the others. A sigmoid looks at its own token only."),
    gated("Softmax over the features", lambda x, r, s, w: (x * w).softmax(1), "Your gates sum to 1 over the features "
          "of a token. The gate is one number per token, the sigmoid of a sum."),
    gated("One gate for all tokens", lambda x, r, s, w: products(x, w).mean().sigmoid(), "All your tokens have one "
          "gate, made of their mean. Each token has its own."),
    gated("One gate for all tokens", lambda x, r, s, w: gate(x, w).mean(), "All your tokens have one gate, the mean of "
          "their gates. Each token has its own."),
    gated("One gate for all tokens", lambda x, r, s, w: products(x, w).sum().sigmoid(), "All your tokens have one "
          "gate, made of a sum over all of them. Sum over the features only, dimension 1."),
    gated("tanh, not sigmoid", lambda x, r, s, w: products(x, w).tanh(), "Your gate is the hyperbolic tangent of the "
          "dot product, between −1 and 1. The sigmoid lies between 0 and 1."),
    gated("The gate opens the wrong way", lambda x, r, s, w: 1 - gate(x, w), "You multiply the shared answer by 1 − "
          "gate, which is the sigmoid of minus the dot product."),
    gated("The gate is open or shut", lambda x, r, s, w: (gate(x, w) > 0.5).to(x.dtype), "Your gate is 0 or 1. The "
          "sigmoid itself is the gate, whatever lies between."),
    gated("The gate looks at the shared answer", lambda x, r, s, w: gate(s, w), "You made the gate of `shared`. It is "
          "made of the token, `x`."),
    gated("The gate looks at the routed answer", lambda x, r, s, w: gate(r, w), "You made the gate of `routed`. It is "
          "made of the token, `x`."),
    wrong_y("The gate is on both", lambda x, r, s, w: gate(x, w) * (r + s), "You multiply both answers by the gate. "
            "The routed answers come as they are: they have their weights already."),
    wrong_y("The gate shares out between both", lambda x, r, s, w: (1 - gate(x, w)) * r + gate(x, w) * s, "You "
            "multiply the routed answers by 1 − gate. They come as they are, whatever the gate is."),
    wrong_y("The gate is on the wrong answer", lambda x, r, s, w: gate(x, w) * r + s, "You multiply the routed answers "
            "by the gate and add the shared one as it is. It is the other way round."),
    wrong_y("The routed answers are missing", lambda x, r, s, w: gate(x, w) * s, "Your `y` is the gated shared answer "
            "alone. The routed answers are added to it."),
    wrong_y("The shared answer is missing", lambda x, r, s, w: r, "Your `y` is `routed`. The gated shared answer is "
            "added to it."),
    wrong_y("The token in place of the shared answer", lambda x, r, s, w: r + gate(x, w) * x, "You multiply `x` by the "
            "gate. The gate is made of `x`; what it multiplies is `shared`."),
    wrong_y("The token itself is added", lambda x, r, s, w: x + reference(x, r, s, w), "`x` is in the sum as well. The "
            "block around the layer adds it; here it would count twice."),
    wrong_y("A mean instead of a sum", lambda x, r, s, w: reference(x, r, s, w) / 2, "You divide the sum of both "
            "answers by 2. They are added."),
    wrong_y("Divided by the sum of the weights", lambda x, r, s, w: reference(x, r, s, w) / (1 + gate(x, w)), "You "
            "divide by 1 + gate. The answers are added, and their weights need not sum to 1."),
    wrong_y("The shared expert is gated by `x`", lambda x, r, s, w: r + x * s * w, "You multiply feature by feature "
            "and sum nothing. The gate is one number per token, the sigmoid of a sum."),
)  # fmt: skip

GATED_SHARED_EXPERT = Exercise(
    id="9.2", name="gated_shared_expert", parameters=("x", "routed", "shared", "w_gate"), sizes="ND",
    outputs=(Output("y", "N, D"),), reference=reference, cases=cases, mistakes=MISTAKES,
    drawn=DRAWN,
    hints=(
        "Write down the shapes. The dot product of every token with `w_gate` gives N numbers, and the shared answers "
        "are a table of N rows: how does each number meet its row?",
        "`x @ w_gate` has the shape (N,). Its sigmoid needs a second dimension, of size 1, before it is multiplied "
        "with `shared`; the sum with `routed` makes a new tensor.",
    ),
    minutes=6, lines="about 2 lines",
    done="A token can turn the shared expert down now, and the gate learns when. Qwen1.5-MoE and Qwen2-MoE have it.",
)  # fmt: skip
