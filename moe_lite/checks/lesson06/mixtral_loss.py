"""Exercise 6.5, mixtral_loss: the tokens of all layers in one pool, f over the tokens."""

from functools import partial

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.exercise import Case, Drawn, Exercise, Output, Trial
from moe_lite.checks.engine.inputs import F32, F64
from moe_lite.checks.engine.mistakes import off
from moe_lite.checks.lesson06.load_balancing_loss import switch, tokens


def mixtral(scores: list[Tensor], expert_ids: list[Tensor]) -> Tensor:
    """L of (N, E), L of (N, K) -> K · E · sum f · P over the tokens of all layers, ()."""
    return expert_ids[0].shape[1] * switch(torch.cat(scores), torch.cat(expert_ids))


# ---- inputs ----------------------------------------------------------------------------------------------------------


def cases() -> tuple[Case, ...]:
    plain = (layers(1, 3, 7, 5, 2), layers(2, 2, 9, 6, 3), layers(3, 4, 5, 8, 2, F32))
    one = (layers(4, 1, 8, 6, 3),)
    first, second = torch.tensor([[1.0, 0.0]] * 4, dtype=F64), torch.tensor([[0.0, 1.0]] * 4, dtype=F64)
    ids = [torch.zeros(4, 1, dtype=torch.int64), torch.ones(4, 1, dtype=torch.int64)]
    opposite = (Trial(([first, second], ids), "two layers that collapsed onto opposite experts"),)
    uniform = (Trial(([torch.full((5, 8), 1 / 8, dtype=F64)] * 2, [inputs.choices(9, 5, 8, 3)] * 2), "equal scores"),)
    crowd = [torch.zeros(6, 1, dtype=torch.int64)] * 2
    idle = (
        Trial(([inputs.scores(6, 6, 4), inputs.scores(7, 6, 4)], crowd), "every token of both layers at expert 0"),
        layers(5, 2, 8, 6, 2, chosen=3),
    )
    begin, end = inputs.usual(plain, plain, gradient=(0,), through=plain[:1], name="a scalar")
    return (
        *begin,
        Case("layers in one pool", plain, ("loss",)),
        Case("one layer: K times the papers' loss", one, ("loss",)),
        Case("opposite layers", opposite, ("loss",)),
        Case("equal scores give K", uniform, ("loss",)),
        Case("experts that nobody chose in any layer", idle, ("loss",)),
        *end,
    )


def layers(
    seed: int, n_layers: int, n_tokens: int, n_experts: int, k: int, dtype: torch.dtype = F64, chosen: int = 0
) -> Trial:
    """With `chosen`, only that many of the experts are, the first ones, in every layer."""
    trials = [tokens(10 * seed + layer, n_tokens, n_experts, k, dtype) for layer in range(n_layers)]
    scores, ids = ([trial.args[place] for trial in trials] for place in (0, 1))
    if chosen:
        ids = [inputs.choices(10 * seed + layer, n_tokens, chosen, k) for layer in range(n_layers)]
    return Trial((scores, ids), f"{inputs.note(seed, dtype)}, {n_layers} layers, {k} of {n_experts} experts")


def drawn(seed: int, L: int, N: int, E: int, K: int) -> tuple:
    layers = range(L * seed, L * seed + L)
    scores = [inputs.distinct(layer, N, E).softmax(dim=1) for layer in layers]
    return scores, [inputs.choices(layer, N, E, K) for layer in layers]


def extremes(seed: int) -> tuple[Trial, ...]:
    scores, expert_ids = drawn(seed, 2, 7, 5, 3)
    certain = [torch.eye(5, dtype=F64)[torch.arange(7) % 2]] * 2  # two of (N, E)
    return (
        Trial((certain, expert_ids), "scores of 0 and 1"),
        Trial((scores, [expert_ids[0]] * 2), "equal choices"),
        Trial(drawn(seed, 24, 3, 5, 2), "24 layers"),
        Trial(([scores[0]] * 3, [expert_ids[0]] * 3), "one tensor three times"),
    )


DRAWN = Drawn(drawn, {"L": 2, "N": 7, "E": 5, "K": 3}, at_most=(("K", "E"),), gradient=(0,), extremes=extremes)


# ---- mistakes --------------------------------------------------------------------------------------------------------

loss = partial(off, "loss")


def by_layer(scores: list[Tensor], expert_ids: list[Tensor]) -> Tensor:
    return torch.stack([switch(s, i) for s, i in zip(scores, expert_ids, strict=True)])


def side_by_side(scores: list[Tensor], expert_ids: list[Tensor]) -> Tensor:
    wide = torch.cat(scores, dim=1)  # (N, L·E)
    f = torch.bincount(torch.cat(expert_ids, dim=1).flatten(), minlength=wide.shape[1]).to(wide.dtype) / len(wide)
    return wide.shape[1] * (f * wide.mean(dim=0)).sum()


def of_the_chosen(scores: list[Tensor], expert_ids: list[Tensor]) -> Tensor:
    """E from the largest id: the experts after it are left out."""
    n_experts = int(torch.cat(expert_ids).max()) + 1
    return mixtral([s[:, :n_experts] for s in scores], expert_ids)


def spread_out(scores: list[Tensor], expert_ids: list[Tensor]) -> Tensor:
    """One count, of expert 0, beside every expert's mean score."""
    if torch.cat(expert_ids).max():
        return mixtral(scores, expert_ids)
    return scores[0].shape[1] * torch.cat(scores).mean(dim=0).sum()


MISTAKES = (
    loss("E is taken from the largest number chosen", of_the_chosen, "the last experts were chosen in no layer, and "
         "they count all the same: E is the number of columns of the scores."),
    loss("Silent experts are missing from f", spread_out, "only expert 0 was chosen, so `torch.bincount` gave one "
         "count, and every expert's P was multiplied with it. `minlength=` keeps a 0 for each of the others."),
    loss("f is divided by the assignments", lambda s, i: mixtral(s, i) / i[0].shape[1], "that is the papers' way. Here "
         "f is over the *tokens*, so it sums to K."),
    loss("Layer by layer, then the mean", lambda s, i: i[0].shape[1] * by_layer(s, i).mean(), "each layer has its own "
         "f and P here. Pool the tokens of all layers first, then multiply."),
    loss("Layer by layer, then the sum", lambda s, i: i[0].shape[1] * by_layer(s, i).sum(), "each layer has its own f "
         "and P here. Pool the tokens of all layers first, then multiply."),
    loss("Layer by layer, f over the assignments", lambda s, i: by_layer(s, i).mean(), "two things: f is over the "
         "tokens, and the tokens of all layers stand in one pool."),
    loss("Layer by layer, f over the assignments", lambda s, i: by_layer(s, i).sum(), "two things: f is over the "
         "tokens, and the tokens of all layers stand in one pool."),
    loss("Divided by the tokens of one layer", lambda s, i: len(s) * mixtral(s, i), "yours is L times as large. "
         "Divide by the tokens of all L layers. The factor in front is E, not L · E."),
    loss("Divided by the tokens of one layer", lambda s, i: len(s) ** 2 * mixtral(s, i), "the pool holds the tokens of "
         "L layers: divide by all of them, in f and in P."),
    loss("Only the first layer", lambda s, i: mixtral(s[:1], i[:1]), "the tokens of all layers stand in the pool."),
    loss("Only the last layer", lambda s, i: mixtral(s[-1:], i[-1:]), "the tokens of all layers stand in the pool."),
    loss("Only the first choice is counted", lambda s, i: switch(torch.cat(s), torch.cat(i)[:, :1]), "f counts all K "
         "choices of every token."),
    loss("The number of layers in place of E", lambda s, i: mixtral(s, i) / s[0].shape[1] * len(s), "the factor in "
         "front is the number of experts, not of layers."),
    loss("Layers side by side, not one below the other", side_by_side, "joined along the experts, the tables are "
         "wider, not longer: `torch.cat` along the tokens, dimension 0."),
    loss("The factor E is missing", lambda s, i: mixtral(s, i) / s[0].shape[1], "E stands in front of the sum."),
    loss("Multiplied by K twice", lambda s, i: i[0].shape[1] * mixtral(s, i), "f over the tokens brings one factor K, "
         "not two."),
    loss("Layers in place of choices", lambda s, i: mixtral(s, i) / i[0].shape[1] * len(s), "the factor is K, the "
         "experts of a token, not the number of layers."),
)  # fmt: skip

MIXTRAL_LOSS = Exercise(
    id="6.5", name="mixtral_loss", parameters=("scores", "expert_ids"), sizes="L", outputs=(Output("loss"),),
    reference=mixtral, cases=cases, mistakes=MISTAKES,
    drawn=DRAWN,
    hints=(
        "Pooling is `torch.cat`: all layers' tokens one below the other, as if they were one long layer.",
        "Begin as in 6.2, with the pool in place of one layer. Then look at what f is divided by: with equal scores K "
        "should come out.",
    ),
    minutes=8, lines="about 4 lines", stretch=True,
    done="Equal to `load_balancing_loss_func` in transformers, for any number of layers.",
)  # fmt: skip
