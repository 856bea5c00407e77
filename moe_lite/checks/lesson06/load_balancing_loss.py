"""Exercises 6.2, load_balancing_loss, 6.4, router_z_loss, and 6.5, mixtral_loss."""

import torch
import torch.nn.functional as F
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.compare import decimals_that_differ, number
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


def _beside(attempt: Attempt) -> str:
    got, expected = attempt.got["loss"].item(), attempt.expected["loss"].item()
    decimals = decimals_that_differ([(got, expected)], 3)
    return f"`loss` is {number(got, decimals)}, expected {number(expected, decimals)}, for {attempt.trial.note}"


def _named(title: str, rule, sentence: str) -> Mistake:
    return ruled(title, rule, lambda attempt: f"{_beside(attempt)}: {sentence}")


def f_of(expert_ids: Tensor, n_experts: int, dtype: torch.dtype) -> Tensor:
    """The share of all assignments that each expert gets, (E,)."""
    return F.one_hot(expert_ids.flatten(), n_experts).to(dtype).mean(dim=0)


# ---- 6.2 -------------------------------------------------------------------------------------------------------------


def switch(scores: Tensor, expert_ids: Tensor) -> Tensor:
    """scores (N, E), expert_ids (N, K) -> E · sum f · P, ()."""
    return scores.shape[1] * (f_of(expert_ids, scores.shape[1], scores.dtype) * scores.mean(dim=0)).sum()


def switch_cases() -> tuple[Case, ...]:
    one = (_tokens(1, 9, 6, 1), _tokens(2, 13, 4, 1), _tokens(3, 7, 5, 1, F32))
    more = (_tokens(4, 11, 6, 2), _tokens(5, 8, 7, 3), _tokens(6, 10, 5, 4, F32))
    silent = (_tokens(7, 9, 8, 2, first=4), _tokens(8, 6, 9, 1, first=3))
    uniform = Trial((torch.full((6, 8), 1 / 8, dtype=F64), inputs.choices(9, 6, 8, 2)), "equal scores")
    gradient = tuple(Trial(t.args, t.note, gradient=(0,)) for t in (one[0], more[0]))
    return (
        Case("a scalar", (one[0], more[0]), (FORM,)),
        Case("input unchanged, no memory", more[:1], (INPUT, REPEAT)),
        Case("one expert a token", one, ("loss",)),
        Case("several experts a token", more, ("loss",)),
        Case("experts that nobody chose", silent, ("loss",)),
        Case("equal scores give 1", (uniform,), ("loss",)),
        Case("gradient through P", gradient, (GRADIENT,)),
    )


def _tokens(
    seed: int, n_tokens: int, n_experts: int, k: int, dtype: torch.dtype = F64, first: int | None = None
) -> Trial:
    """Experts need not be those with the best scores; with `first`, only that many of them are ever chosen."""
    expert_ids = inputs.choices(seed, n_tokens, first or n_experts, k)
    scores = inputs.scores(seed, n_tokens, n_experts, F64)
    scores = (scores / scores.sum(dim=1, keepdim=True)).to(dtype)
    return Trial((scores, expert_ids), f"{inputs.note(seed, dtype)}, {n_tokens} tokens, {k} of {n_experts} experts")


def _argmax(scores: Tensor, expert_ids: Tensor) -> Tensor:
    return switch(scores, scores.argmax(dim=1))


def _column_means(scores: Tensor, expert_ids: Tensor) -> Tensor:
    """One f for each of the K choices; all K losses added."""
    return sum(switch(scores, column) for column in expert_ids.t())


def _seen(scores: Tensor, expert_ids: Tensor) -> Tensor:
    """With as many experts as the highest number in expert_ids says."""
    return switch(scores[:, : int(expert_ids.max()) + 1], expert_ids)


SWITCH_MISTAKES = (
    _named("f is divided by the tokens, not by the assignments", lambda s, i: i.shape[1] * switch(s, i), "yours is K "
           "times as large. With K experts a token there are N · K assignments; f over them sums to 1."),
    _named("f is counted, not divided", lambda s, i: i.numel() * switch(s, i), "f is a *share*: the counts over the "
           "number of assignments."),
    _named("P is a sum, not a mean", lambda s, i: len(s) * switch(s, i), "P is the *mean* score of an expert over the "
           "tokens."),
    _named("Neither f nor P is divided", lambda s, i: len(s) * i.numel() * switch(s, i), "f is the counts over the "
           "number of assignments, P the mean over the tokens."),
    _named("The factor E is missing", lambda s, i: switch(s, i) / s.shape[1], "yours is 1/E of it. With the factor, "
           "equal scores give 1 for any number of experts."),
    _named("The mean over experts, not the sum", lambda s, i: switch(s, i) / s.shape[1] ** 2, "the products f · P are "
           "summed, and the sum multiplied by E."),
    _named("E twice", lambda s, i: switch(s, i) * s.shape[1], "E stands in front once. With a *mean* of f · P it would "
           "be E², with the sum it is E."),
    _named("K in place of E", lambda s, i: i.shape[1] * switch(s, i) / s.shape[1], "the factor in front is the number "
           "of experts, E."),
    _named("Only the best expert of each token is counted", _argmax, "f counts the experts in `expert_ids`, all K of "
           "each token, and these need not be the ones with the best scores."),
    _named("Only the first choice is counted", lambda s, i: switch(s, i[:, :1]), "f counts all K choices of a token. "
           "GShard counts first choices only; here all of them."),
    _named("Only the last choice is counted", lambda s, i: switch(s, i[:, -1:]), "f counts all K choices of a token."),
    _named("E is the highest number seen", _seen, "you took E from the highest expert number in `expert_ids`. The last "
           "experts may not be chosen at all; E is the number of columns of `scores`."),
    _named("Softmax twice", lambda s, i: switch(s.softmax(dim=1), i), "`scores` are probabilities already: their rows "
           "sum to 1. Another softmax makes them nearly equal."),
    _named("P of the chosen scores alone", lambda s, i: s.shape[1] * (f_of(i, s.shape[1], s.dtype) * torch.zeros_like(s)
           .scatter(1, i, s.gather(1, i)).mean(dim=0)).sum(), "P is the mean over *all* tokens, also those that did "
           "not choose the expert."),
    _named("P with itself", lambda s, i: s.shape[1] * s.mean(dim=0).square().sum(), "both factors are mean scores. One "
           "of them is f, counted from `expert_ids`."),
    _named("f with itself", lambda s, i: s.shape[1] * f_of(i, s.shape[1], s.dtype).square().sum(), "both factors are "
           "counts. One of them is P, the mean score: without it there is no gradient."),
    _named("A mean over tokens of their own f · P", lambda s, i: s.shape[1] * (F.one_hot(i, s.shape[1]).to(s.dtype)
           .mean(dim=1) * s).sum(dim=1).mean(), "f and P are each taken over all tokens *before* they are multiplied: "
           "a product token by token rewards confidence, and asks nothing about balance."),
    _named("The wrong sign", lambda s, i: -switch(s, i), "the loss is to become smaller as the load becomes even."),
    _named("1 is taken off", lambda s, i: switch(s, i) - 1, "an even router scores 1, not 0."),
)  # fmt: skip

LOAD_BALANCING_LOSS = Exercise(
    id="6.2",
    name="load_balancing_loss",
    parameters=("scores", "expert_ids"),
    sizes="NEK",
    outputs=(Output("loss"),),
    reference=switch,
    cases=switch_cases,
    mistakes=SWITCH_MISTAKES,
    hints=(
        "Two tensors (E,): f from `expert_ids` alone, P from `scores` alone. Both sum to 1. An expert that nobody "
        "chose has a place in f too.",
        "`torch.bincount(expert_ids.flatten(), minlength=E)` counts all choices; divide by their number, "
        "`expert_ids.numel()`, in the dtype of the scores. P is a mean over dimension 0.",
    ),
    minutes=10,
    lines="about 4 lines",
    done="Equal scores give 1 and collapse onto K experts E/K: the loss that Switch, Mixtral and OLMoE trained with.",
)


# ---- 6.4 -------------------------------------------------------------------------------------------------------------


def z_loss(logits: Tensor) -> Tensor:
    """logits (N, E) -> mean squared logsumexp, ()."""
    most = logits.detach().amax(dim=1, keepdim=True)  # (N, 1)
    return ((logits - most).exp().sum(dim=1).log() + most[:, 0]).square().mean()


def z_cases() -> tuple[Case, ...]:
    plain = tuple(
        Trial((inputs.logits(seed, n, e, dtype),), f"{inputs.note(seed, dtype)}, {n} tokens, {e} experts")
        for seed, n, e, dtype in ((1, 7, 5, F64), (2, 4, 9, F64), (3, 11, 6, F32))
    )
    large = (Trial((torch.tensor([[1000.0, 3.0, 999.0], [-800.0, -801.0, -900.0]], dtype=F64),), "logits of 1,000"),)
    zero = (Trial((torch.zeros(3, 8, dtype=F64),), "all logits 0"),)
    gradient = (Trial(plain[0].args, plain[0].note, gradient=(0,)),)
    return (
        Case("a scalar", plain, (FORM,)),
        Case("input unchanged, no memory", plain[:1], (INPUT, REPEAT)),
        Case("mean squared log of the sum", plain, ("loss",)),
        Case("no opinion", zero, ("loss",)),
        Case("large logits", large, ("loss",)),
        Case("gradient", gradient, (GRADIENT,)),
    )


Z_MISTAKES = (
    seen("`exp` overflows", not_finite, "Your loss is not finite for logits of 1,000: e to that power is past any "
         "number format. `torch.logsumexp` takes the largest logit out first."),
    _named("The square is missing", lambda z: z.logsumexp(dim=1).mean(), "log Σ exp is squared for each token: the "
           "term pulls to 0 from both sides."),
    _named("Squared after the mean", lambda z: z.logsumexp(dim=1).mean().square(), "square for each token, then take "
           "the mean. A token above and one below 0 must not cancel."),
    _named("The sum over tokens", lambda z: z.logsumexp(dim=1).square().sum(), "take the *mean* over tokens: twice as "
           "many must not double it."),
    _named("Over the tokens, not over the experts", lambda z: z.logsumexp(dim=0).square().mean(), "logsumexp goes over "
           "the experts of one token, dimension 1."),
    _named("Over everything at once", lambda z: z.logsumexp(dim=(0, 1)).square(), "one log Σ exp *for each token*, "
           "over its experts."),
    _named("The log of a mean", lambda z: (z.logsumexp(dim=1) - torch.tensor(z.shape[1]).log()).square().mean(), "the "
           "exponentials are summed, not averaged. All logits 0 give (log E)²."),
    _named("The log is missing", lambda z: z.exp().sum(dim=1).square().mean(), "take the log of each sum before "
          "squaring."),
    _named("The logits' own squares", lambda z: z.square().mean(), "this keeps logits small too, but it is another "
           "loss: squared is log Σ exp of each token."),
    _named("The logits' own squares", lambda z: z.square().sum(dim=1).mean(), "squared is log Σ exp of each token, not "
           "the logits."),
    _named("The largest logit alone", lambda z: z.amax(dim=1).square().mean(), "log Σ exp is near the largest logit, "
           "but the others count as well."),
    _named("The largest logit is not put back", lambda z: (z - z.amax(dim=1, keepdim=True)).logsumexp(dim=1).square()
           .mean(), "taking the largest logit out before `exp` is right; after the log it has to be added again."),
    _named("Squared too early", lambda z: z.square().logsumexp(dim=1).mean(), "the logits were squared. Squared "
           "is log Σ exp of the logits as they are."),
    _named("Softmax first", lambda z: z.softmax(dim=1).logsumexp(dim=1).square().mean(), "the loss is of the logits. "
           "After a softmax their size is gone."),
    _named("Softmax first", lambda z: z.log_softmax(dim=1).logsumexp(dim=1).square().mean(), "after `log_softmax` "
           "log Σ exp is 0 for every token."),
    _named("A root too many", lambda z: z.logsumexp(dim=1).square().mean().sqrt(), "no root: the mean of the squares."),
    _named("Half of it", lambda z: z.logsumexp(dim=1).square().mean() / 2, "there is no factor ½ in front."),
)  # fmt: skip

ROUTER_Z_LOSS = Exercise(
    id="6.4",
    name="router_z_loss",
    parameters=("logits",),
    sizes="NE",
    outputs=(Output("loss"),),
    reference=z_loss,
    cases=z_cases,
    mistakes=Z_MISTAKES,
    hints=(
        "Three things in a row, in this order: for each token one number, its square, the mean.",
        "`torch.logsumexp(logits, dim=-1)` is log Σ exp over the experts of each token, and does not overflow.",
    ),
    minutes=5,
    lines="about 1 line",
    done="Large logits cost something now; softmax alone would never have told.",
)


# ---- 6.5 -------------------------------------------------------------------------------------------------------------


def mixtral(scores: list[Tensor], expert_ids: list[Tensor]) -> Tensor:
    """L of (N, E), L of (N, K) -> K · E · sum f · P over the tokens of all layers, ()."""
    return expert_ids[0].shape[1] * switch(torch.cat(scores), torch.cat(expert_ids))


def mixtral_cases() -> tuple[Case, ...]:
    plain = (_layers(1, 3, 7, 5, 2), _layers(2, 2, 9, 6, 3), _layers(3, 4, 5, 8, 2, F32))
    one = (_layers(4, 1, 8, 6, 3),)
    first, second = torch.tensor([[1.0, 0.0]] * 4, dtype=F64), torch.tensor([[0.0, 1.0]] * 4, dtype=F64)
    ids = [torch.zeros(4, 1, dtype=torch.int64), torch.ones(4, 1, dtype=torch.int64)]
    opposite = (Trial(([first, second], ids), "two layers that collapsed onto opposite experts"),)
    uniform = (Trial(([torch.full((5, 8), 1 / 8, dtype=F64)] * 2, [inputs.choices(9, 5, 8, 3)] * 2), "equal scores"),)
    return (
        Case("a scalar", plain, (FORM,)),
        Case("input unchanged, no memory", plain[:1], (INPUT, REPEAT)),
        Case("layers in one pool", plain, ("loss",)),
        Case("one layer: K times the papers' loss", one, ("loss",)),
        Case("opposite layers", opposite, ("loss",)),
        Case("equal scores give K", uniform, ("loss",)),
        Case("gradient", tuple(Trial(t.args, t.note, gradient=(0,)) for t in plain[:1]), (GRADIENT,)),
    )


def _layers(seed: int, n_layers: int, n_tokens: int, n_experts: int, k: int, dtype: torch.dtype = F64) -> Trial:
    trials = [_tokens(10 * seed + layer, n_tokens, n_experts, k, dtype) for layer in range(n_layers)]
    scores, ids = ([trial.args[place] for trial in trials] for place in (0, 1))
    return Trial((scores, ids), f"{inputs.note(seed, dtype)}, {n_layers} layers, {k} of {n_experts} experts")


def _by_layer(scores: list[Tensor], expert_ids: list[Tensor]) -> Tensor:
    return torch.stack([switch(s, i) for s, i in zip(scores, expert_ids, strict=True)])


def _side_by_side(scores: list[Tensor], expert_ids: list[Tensor]) -> Tensor:
    wide = torch.cat(scores, dim=1)  # (N, L·E)
    f = torch.bincount(torch.cat(expert_ids, dim=1).flatten(), minlength=wide.shape[1]).to(wide.dtype) / len(wide)
    return wide.shape[1] * (f * wide.mean(dim=0)).sum()


MIXTRAL_MISTAKES = (
    _named("f is divided by the assignments", lambda s, i: mixtral(s, i) / i[0].shape[1], "that is the papers' way. "
           "Here f is over the *tokens*, so it sums to K."),
    _named("Layer by layer, then the mean", lambda s, i: i[0].shape[1] * _by_layer(s, i).mean(), "each layer has its "
           "own f and P here. Pool the tokens of all layers first, then multiply."),
    _named("Layer by layer, then the sum", lambda s, i: i[0].shape[1] * _by_layer(s, i).sum(), "each layer has its own "
           "f and P here. Pool the tokens of all layers first, then multiply."),
    _named("Layer by layer, f over the assignments", lambda s, i: _by_layer(s, i).mean(), "two things: f is over the "
           "tokens, and the tokens of all layers stand in one pool."),
    _named("Layer by layer, f over the assignments", lambda s, i: _by_layer(s, i).sum(), "two things: f is over the "
           "tokens, and the tokens of all layers stand in one pool."),
    _named("Divided by the tokens of one layer", lambda s, i: len(s) * mixtral(s, i), "the pool holds the tokens of L "
           "layers: divide by all of them."),
    _named("Divided by the tokens of one layer", lambda s, i: len(s) ** 2 * mixtral(s, i), "the pool holds the tokens "
           "of L layers: divide by all of them, in f and in P."),
    _named("Only the first layer", lambda s, i: mixtral(s[:1], i[:1]), "the tokens of all layers stand in the pool."),
    _named("Only the last layer", lambda s, i: mixtral(s[-1:], i[-1:]), "the tokens of all layers stand in the pool."),
    _named("Only the first choice is counted", lambda s, i: switch(torch.cat(s), torch.cat(i)[:, :1]), "f counts all K "
           "choices of every token."),
    _named("The number of layers in place of E", lambda s, i: mixtral(s, i) / s[0].shape[1] * len(s), "the factor in "
           "front is the number of experts, not of layers."),
    _named("Layers side by side, not one below the other", _side_by_side, "joined along the experts, the tables "
           "are wider, not longer: `torch.cat` along the tokens, dimension 0."),
    _named("The factor E is missing", lambda s, i: mixtral(s, i) / s[0].shape[1], "E stands in front of the sum."),
    _named("Multiplied by K twice", lambda s, i: i[0].shape[1] * mixtral(s, i), "f over the tokens brings one factor "
           "K, not two."),
    _named("Layers in place of choices", lambda s, i: mixtral(s, i) / i[0].shape[1] * len(s), "the factor is K, the "
           "experts of a token, not the number of layers."),
)  # fmt: skip

MIXTRAL_LOSS = Exercise(
    id="6.5",
    name="mixtral_loss",
    parameters=("scores", "expert_ids"),
    sizes="L",
    outputs=(Output("loss"),),
    reference=mixtral,
    cases=mixtral_cases,
    mistakes=MIXTRAL_MISTAKES,
    hints=(
        "Pooling is `torch.cat`: all layers' tokens one below the other, as if they were one long layer.",
        "Begin as in 6.2, with the pool in place of one layer. Then look at what f is divided by: with equal scores K "
        "should come out.",
    ),
    minutes=8,
    lines="about 4 lines",
    done="Equal to `load_balancing_loss_func` in transformers, for any number of layers.",
    stretch=True,
)
