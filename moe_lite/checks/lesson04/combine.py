"""Exercise 4.3, combine: sorted answers back to their tokens, weighted and summed."""

from collections.abc import Callable

import torch
from torch import Tensor

from moe_lite.checks.engine.compare import shape_text
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
from moe_lite.checks.engine.inputs import generator, note
from moe_lite.checks.engine.mistakes import one_of, seen
from moe_lite.checks.lesson04.tokens import all_to, busy_choices, first_off, normal, row_a_choice, turned, weights_like

F32, F64 = torch.float32, torch.float64


def reference(out: Tensor, order: Tensor, weights: Tensor) -> Tensor:
    """out (N·K, D), order (N·K,), weights (N, K) -> y (N, D)."""
    by_place = out[order.argsort()].unflatten(0, weights.shape)  # (N, K, D)
    return (by_place * weights[:, :, None]).sum(dim=1)


def cases() -> tuple[Case, ...]:
    plain = (_random(1, 7, 5, 4, 2), _random(2, 11, 6, 5, 3), _random(3, 9, 3, 6, 4))
    types = (plain[0], _typed(plain[1], F32), plain[2])
    edges = (_random(6, 9, 4, 5, 1), _made(7, all_to((2,), 6), 5), _made(8, all_to((3, 0), 7), 5))
    other = _random(11, 7, 5, 4, 2)  # the shape of the first, other values: nothing may be left over
    gradient = tuple(Trial(t.args, t.note, gradient=(0, 2)) for t in plain[:2])
    return (
        Case("shapes and types", types, (FORM,)),
        Case("input unchanged, no memory", plain[:1], (INPUT, REPEAT)),
        Case("weighted sums", (*plain, other), ("y",)),
        Case("any order at all", (_shuffled(4, 8, 5, 3), _shuffled(5, 10, 3, 2)), ("y",)),
        Case("K = 1; all tokens alike", edges, ("y",)),
        Case("gradient", gradient, (GRADIENT,)),
    )


def _random(seed: int, n_tokens: int, width: int, n_experts: int, k: int) -> Trial:
    return _made(seed, busy_choices(seed, n_tokens, n_experts, k), width)


def _made(seed: int, expert_ids: Tensor, width: int) -> Trial:
    out, order = normal(seed, expert_ids.numel(), width), expert_ids.flatten().argsort(stable=True)
    return Trial((out, order, weights_like(seed, expert_ids)), note(seed, F64))


def _shuffled(seed: int, n_tokens: int, width: int, k: int) -> Trial:
    order = torch.randperm(n_tokens * k, generator=generator(seed))  # (N·K,)
    weights = weights_like(seed, torch.zeros(n_tokens, k))
    return Trial((normal(seed, n_tokens * k, width), order, weights), f"{note(seed, F64)}, shuffled")


def _typed(trial: Trial, dtype: torch.dtype) -> Trial:
    out, order, weights = trial.args
    return Trial((out.to(dtype), order, weights.to(dtype)), trial.note.replace("float64", str(dtype)[6:]))


def _added(out: Tensor, token: Tensor, weights: Tensor, n_tokens: int) -> Tensor:
    """out (N·K, D) times weights (N·K,), added at token (N·K,)."""
    return out.new_zeros(n_tokens, out.shape[1]).index_add(0, token, out * weights[:, None])


def _weighed(rule: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    """A rule that takes other weights (N, K) than those given; the rest is right."""
    return lambda out, order, w: reference(out, order, rule(w))


def _row_weights(rule: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """A rule for the weight of each sorted row, of order and the weights in a row; the rest is right."""
    return lambda out, order, w: _added(out, order // w.shape[1], rule(order, w.flatten()), len(w))


def _row_tokens(rule: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """A rule for the token of each sorted row, of order and the weights (N, K); the rest is right."""
    return lambda out, order, w: _added(out, rule(order, w), w.flatten()[order], len(w))


def _overwritten(out: Tensor, order: Tensor, weights: Tensor) -> Tensor:
    """Of a token's rows only the last in the sorted order is left."""
    last = torch.zeros(len(weights), dtype=torch.int64).scatter_reduce(
        0, order // weights.shape[1], torch.arange(len(order)), "amax"
    )  # (N,)
    return (out * weights.flatten()[order, None])[last]


def _y(title: str, rule: Callable[..., Tensor], sentence: str) -> Mistake:
    return one_of("y", title, rule, lambda a: f"{first_off(a)}: {sentence}")


def _k_rows(attempt: Attempt) -> bool:
    return row_a_choice(attempt, attempt.args[2].shape[1])


MISTAKES = (
    seen("Rows and columns have changed places", turned, lambda a:
         f"`y` is {shape_text(a.got['y'])}; one row a token is expected, {shape_text(a.expected['y'])}."),
    seen("A row for each choice", _k_rows, lambda a:
         f"`y` is {shape_text(a.got['y'])}: the K answers of a token still stand apart. They are added into its one "
         f"row, {shape_text(a.expected['y'])}; place p belongs to token `p // K`."),
    _y("Nothing was written", lambda out, order, w: out.new_zeros(len(w), out.shape[1]), "all of `y` is 0. `index_add` "
       "without an underscore gives a new tensor, and leaves the old one as it was."),
    _y("One answer overwrites the other", _overwritten, "of a token's K answers only the one that stands last in the "
       "sorted order is left. `y[token] = …` and `+=` write once for equal indices; `index_add` adds."),
    _y("The rows were not put back", lambda out, order, w: (out.unflatten(0, w.shape) * w[:, :, None]).sum(dim=1),
       "the rows were taken K at a time as they came. They stand expert by expert: row i belongs to place `order[i]`."),
    _y("The permutation the wrong way round", lambda out, order, w: (out[order].unflatten(0, w.shape) * w[:, :, None])
       .sum(dim=1), "`out[order]` sorts once more. To undo `order`, write row i to place `order[i]`, or index with "
       "`order.argsort()`."),
    _y("The weights were not sorted along", _row_weights(lambda order, w: w), "row i has the weight of place i. It "
       "answers place `order[i]`, and needs the weight from there."),
    _y("The weights were sorted the wrong way round", _row_weights(lambda order, w: w[order.argsort()]), "row i needs "
       "the weight of place `order[i]`: index with `order` itself."),
    _y("The weights are missing", _weighed(torch.ones_like), "answers are added as they are. Each is multiplied by its "
       "weight first."),
    _y("A mean instead of weights", _weighed(lambda w: torch.ones_like(w) / w.shape[1]), "this is the plain mean of "
       "the token's K answers. Their weights say how much each counts."),
    _y("Divided by the number of choices", _weighed(lambda w: w / w.shape[1]), "a mean over the choices, where a sum "
       "is due: the weights say how much each counts."),
    _y("The weights are applied twice", _weighed(lambda w: w * w), "each answer is multiplied by its weight squared."),
    _y("The weights were normalised", _weighed(lambda w: w / w.sum(dim=1, keepdim=True)), "a token's weights were "
       "divided by their sum. Take them as they come: whether they sum to 1 is the router's affair."),
    _y("The weight of the first choice for all", _weighed(lambda w: w[:, :1].expand_as(w)), "every answer of a token "
       "has the weight `weights[n, 0]`. Place n·K + j has the weight `weights[n, j]`."),
    _y("All weights of the token at once", _weighed(lambda w: w.sum(dim=1, keepdim=True).expand_as(w)), "an answer is "
       "multiplied by the sum of the token's K weights."),
    _y("Only the first choice counts", _weighed(lambda w: w * (torch.arange(w.shape[1]) == 0)), "a token has the "
       "answer of its first choice only."),
    _y("The remainder, not the token", _row_tokens(lambda order, w: order % w.shape[1]), "`order % K` is the number of "
       "the choice. The token is `order // K`."),
    _y("Divided by N, not by K", _row_tokens(lambda order, w: order // len(w)), "`order // N` is no token. Every token "
       "has K places, so place p belongs to `p // K`."),
    _y("Places were counted choice by choice", _row_tokens(lambda order, w: order % len(w)), "place p was taken for "
       "token `p % N`. Places run token by token: the token is `p // K`."),
)  # fmt: skip

COMBINE = Exercise(
    id="4.3",
    name="combine",
    parameters=("out", "order", "weights"),
    sizes="ADNK",  # A = N·K
    outputs=(Output("y", "N, D"),),
    reference=reference,
    cases=cases,
    mistakes=MISTAKES,
    hints=(
        "Row i answers place `order[i]`. That number tells you two things: the token it belongs to, and, in the "
        "weights laid out in a row, its weight.",
        "Multiply `out` by a column of weights (N·K, 1), picked by `order`. Then add each row to its token's row: "
        "`index_add` on zeros (N, D), with one token number for each row of `out`.",
    ),
    minutes=10,
    lines="about 4 lines",
    done="Every answer is back with its token. What was sorted apart is one matrix again.",
)
