"""Exercise 4.3, combine: sorted answers back to their tokens, weighted and summed."""

from collections.abc import Callable

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.exercise import Case, Drawn, Exercise, Output, Trial
from moe_lite.checks.engine.inputs import F32, F64, note
from moe_lite.checks.lesson04.slips import of_form, of_y, wrong_weights
from moe_lite.checks.lesson04.tokens import all_to, busy_choices, normal, typed, weights_like


def reference(out: Tensor, order: Tensor, weights: Tensor) -> Tensor:
    """out (N·K, D), order (N·K,), weights (N, K) -> y (N, D)."""
    return folded(out[order.argsort()], weights)


def folded(out: Tensor, weights: Tensor) -> Tensor:
    """out (N·K, D) token by token, weights (N, K) -> y (N, D)."""
    return (out.unflatten(0, weights.shape) * weights[:, :, None]).sum(dim=1)


# ---- inputs ----------------------------------------------------------------------------------------------------------


def cases() -> tuple[Case, ...]:
    plain = (random(1, 7, 5, 4, 2), random(2, 11, 6, 5, 3), random(3, 9, 3, 6, 4))
    ends = (random(6, 9, 4, 5, 1), sorted_out(7, all_to((2,), 6), 5), sorted_out(8, all_to((3, 0), 7), 5))
    other = random(11, 7, 5, 4, 2)  # the shape of the first, other values: nothing may be left over
    form = (plain[0], typed(plain[1], F32), plain[2])
    first, last = inputs.usual(form, plain, gradient=(0, 2), through=plain[:2])
    return (
        *first,
        Case("weighted sums", (*plain, other), ("y",)),
        Case("any order at all", (shuffled(4, 8, 5, 3), shuffled(5, 10, 3, 2)), ("y",)),
        Case("K = 1; all tokens alike", ends, ("y",)),
        *last,
    )


def random(seed: int, n_tokens: int, width: int, n_experts: int, k: int) -> Trial:
    return sorted_out(seed, busy_choices(seed, n_tokens, n_experts, k), width)


def sorted_out(seed: int, expert_ids: Tensor, width: int) -> Trial:
    out, order = normal(seed, expert_ids.numel(), width), expert_ids.flatten().argsort(stable=True)
    return Trial((out, order, weights_like(seed, expert_ids)), note(seed, F64))


def shuffled(seed: int, n_tokens: int, width: int, k: int) -> Trial:
    order = torch.randperm(n_tokens * k, generator=inputs.generator(seed))  # (N·K,)
    weights = weights_like(seed, torch.zeros(n_tokens, k))
    return Trial((normal(seed, n_tokens * k, width), order, weights), f"{note(seed, F64)}, shuffled")


def drawn(seed: int, N: int, D: int, K: int) -> tuple:
    order = torch.randperm(N * K, generator=inputs.generator(seed))  # (N·K,)
    return inputs.distinct(2 * seed, N * K, D), order, inputs.distinct(2 * seed + 1, N, K)


def extremes(seed: int) -> tuple[Trial, ...]:
    out, order, weights = drawn(seed, 7, 5, 2)
    uneven = 1e12 ** (torch.arange(14) % 2).double()  # (N·K,)
    return (
        Trial((torch.zeros_like(out), order, weights), "out all 0"),
        Trial((out, order, torch.zeros_like(weights)), "weights all 0"),
        Trial((out, order, weights * 1e9), "very large weights"),
        Trial((out * uneven[:, None], order, weights), "every second row very large"),
        Trial(drawn(seed, 4, 8, 2), "N·K = D = 8"),
        Trial(drawn(seed, 17_001, 1, 2), "34,002 places"),
        *(Trial(drawn(seed, 3, 2, k), f"K = {k}") for k in (41, 47, 55, 61)),
    )


DRAWN = Drawn(drawn, {"N": 7, "D": 5, "K": 2}, wide="K", gradient=(0, 2), not_expanded=(1,), extremes=extremes)


# ---- mistakes --------------------------------------------------------------------------------------------------------


def weighed(rule: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    """The answer with other weights (N, K) than those given."""
    return lambda out, order, w: reference(out, order, rule(w))


def row_weights(rule: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """The answer with another weight for each sorted row, made of order and the weights in a row."""
    return lambda out, order, w: added(out, order // w.shape[1], rule(order, w.flatten()), len(w))


def row_tokens(rule: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """The answer with another token for each sorted row, made of order and the weights (N, K)."""
    return lambda out, order, w: added(out, rule(order, w), w.flatten()[order], len(w))


def added(out: Tensor, token: Tensor, weights: Tensor, n_tokens: int) -> Tensor:
    """out (N·K, D) times weights (N·K,), added at token (N·K,)."""
    return out.new_zeros(n_tokens, out.shape[1]).index_add(0, token, out * weights[:, None])


def overwritten(out: Tensor, order: Tensor, weights: Tensor) -> Tensor:
    """Of a token's rows only the last in the sorted order is left."""
    row = torch.arange(len(order))  # (N·K,)
    last = order.new_zeros(len(weights)).scatter_reduce(0, order // weights.shape[1], row, "amax")  # (N,)
    return (out * weights.flatten()[order, None])[last]


MISTAKES = (
    *of_form("; place p belongs to token `p // K`"),
    of_y("Nothing was written", lambda out, order, w: out.new_zeros(len(w), out.shape[1]), "all of `y` is 0. "
         "`index_add` without an underscore gives a new tensor, and leaves the old one as it was."),
    of_y("One answer overwrites the other", overwritten, "of a token's K answers only the one that stands last in the "
         "sorted order is left. `y[token] = …` and `+=` write once for equal indices; `index_add` adds."),
    of_y("The rows were not put back", lambda out, order, w: folded(out, w), "the rows were taken K at a time as they "
         "came. They stand expert by expert: row i belongs to place `order[i]`."),
    of_y("The permutation the wrong way round", lambda out, order, w: folded(out[order], w), "`out[order]` sorts once "
         "more. To undo `order`, write row i to place `order[i]`, or index with `order.argsort()`."),
    of_y("The weights were not sorted with the rows", row_weights(lambda order, w: w), "row i has the weight of place "
         "i. It answers place `order[i]`, and needs the weight from there."),
    of_y("The weights were sorted the wrong way round", row_weights(lambda order, w: w[order.argsort()]), "row i needs "
         "the weight of place `order[i]`: index with `order` itself."),
    *wrong_weights(weighed, {
        "The weights are missing": "answers are added as they are. Each is multiplied by its weight first.",
        "A mean instead of weights": "this is the plain mean of the token's K answers. Their weights say how much each "
            "counts.",
        "Divided by the number of choices": "a mean over the choices, where a sum is due: the weights say how much "
            "each counts.",
        "The weights are applied twice": "each answer is multiplied by its weight squared.",
        "The weights were normalised": "a token's weights were divided by their sum. Take them as they come: whether "
            "they sum to 1 is the router's job.",
        "The weight of the first choice for all": "every answer of a token has the weight `weights[n, 0]`. Place n·K + "
            "j has the weight `weights[n, j]`.",
        "All weights of the token at once": "an answer is multiplied by the sum of the token's K weights.",
        "Only the first choice counts": "a token has the answer of its first choice only.",
    }),
    of_y("The remainder, not the token", row_tokens(lambda order, w: order % w.shape[1]), "`order % K` is the number "
         "of the choice. The token is `order // K`."),
    of_y("Divided by N, not by K", row_tokens(lambda order, w: order // len(w)), "`order // N` is no token. Every "
         "token has K places, so place p belongs to `p // K`."),
    of_y("Places were counted choice by choice", row_tokens(lambda order, w: order % len(w)), "place p was taken for "
         "token `p % N`. Places run token by token: the token is `p // K`."),
)  # fmt: skip

COMBINE = Exercise(
    id="4.3", name="combine", parameters=("out", "order", "weights"), sizes="ADNK", outputs=(Output("y", "N, D"),),
    reference=reference, cases=cases, mistakes=MISTAKES,
    drawn=DRAWN,
    hints=(
        "Row i answers place `order[i]`. That number tells you two things: the token it belongs to, and, in the "
        "weights laid out in a row, its weight.",
        "Multiply `out` by a column of weights (N·K, 1), picked by `order`. Then add each row to its token's row: "
        "`index_add` on zeros (N, D), with one token number for each row of `out`.",
    ),
    minutes=10, lines="about 4 lines",
    done="Every answer is back with its token, weighted and added up.",
)  # fmt: skip
