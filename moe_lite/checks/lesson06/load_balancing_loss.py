"""Exercise 6.2, load_balancing_loss: E · sum f · P for one layer."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.exercise import GRADIENT, Case, Drawn, Exercise, Output, Trial
from moe_lite.checks.engine.inputs import F32, F64, with_gradient
from moe_lite.checks.engine.mistakes import off


def switch(scores: Tensor, expert_ids: Tensor) -> Tensor:
    """scores (N, E), expert_ids (N, K) -> E · sum f · P, ()."""
    return scores.shape[1] * (share(scores, expert_ids) * scores.mean(dim=0)).sum()


def share(scores: Tensor, expert_ids: Tensor) -> Tensor:
    """f, the share of all assignments that each expert gets, (E,)."""
    return F.one_hot(expert_ids.flatten(), scores.shape[1]).to(scores.dtype).mean(dim=0)


# ---- inputs ----------------------------------------------------------------------------------------------------------


def cases() -> tuple[Case, ...]:
    one = (tokens(1, 9, 6, 1), tokens(2, 13, 4, 1), tokens(3, 7, 5, 1, F32))
    more = (tokens(4, 11, 6, 2), tokens(5, 8, 7, 3), tokens(6, 10, 5, 4, F32))
    silent = (tokens(7, 9, 8, 2, first=4), tokens(8, 6, 9, 1, first=3))
    uniform = Trial((torch.full((6, 8), 1 / 8, dtype=F64), inputs.choices(9, 6, 8, 2)), "equal scores")
    first, _ = inputs.usual((one[0], more[0]), more, name="a scalar")
    return (
        *first,
        Case("one expert per token", one, ("loss",)),
        Case("several experts per token", more, ("loss",)),
        Case("experts that nobody chose", silent, ("loss",)),
        Case("equal scores give 1", (uniform,), ("loss",)),
        Case("gradient through P", with_gradient((one[0], more[0]), 0), (GRADIENT,)),
    )


def tokens(
    seed: int, n_tokens: int, n_experts: int, k: int, dtype: torch.dtype = F64, first: int | None = None
) -> Trial:
    """Experts need not be those with the best scores; with `first`, only that many of them are ever chosen."""
    expert_ids = inputs.choices(seed, n_tokens, first or n_experts, k)
    scores = inputs.scores(seed, n_tokens, n_experts, F64)
    scores = (scores / scores.sum(dim=1, keepdim=True)).to(dtype)
    return Trial((scores, expert_ids), f"{inputs.note(seed, dtype)}, {n_tokens} tokens, {k} of {n_experts} experts")


def drawn(seed: int, N: int, E: int, K: int) -> tuple:
    return inputs.distinct(seed, N, E).softmax(dim=1), inputs.choices(seed, N, E, K)


def extremes(seed: int) -> tuple[Trial, ...]:
    scores, expert_ids = drawn(seed, 7, 5, 3)
    certain = torch.eye(5, dtype=F64)[torch.arange(7) % 2]  # (N, E)
    return (
        Trial((certain, expert_ids), "scores of 0 and 1"),
        Trial((certain, torch.zeros(7, 1, dtype=torch.int64)), "scores of 0 and 1, every token at expert 0"),
    )


DRAWN = Drawn(drawn, {"N": 7, "E": 5, "K": 3}, at_most=(("K", "E"),), gradient=(0,), extremes=extremes)


# ---- mistakes --------------------------------------------------------------------------------------------------------

loss = partial(off, "loss")


def best_only(scores: Tensor, expert_ids: Tensor) -> Tensor:
    return switch(scores, scores.argmax(dim=1))


def highest_seen(scores: Tensor, expert_ids: Tensor) -> Tensor:
    """With as many experts as the highest number in expert_ids says."""
    return switch(scores[:, : int(expert_ids.max()) + 1], expert_ids)


def chosen_alone(scores: Tensor, expert_ids: Tensor) -> Tensor:
    """P of what was chosen: the other scores are 0."""
    kept = torch.zeros_like(scores).scatter(1, expert_ids, scores.gather(1, expert_ids))  # (N, E)
    return switch(kept, expert_ids)


def renormalised(scores: Tensor, expert_ids: Tensor) -> Tensor:
    """P of the weights: the chosen scores over their sum, 0 for the others."""
    chosen = scores.gather(1, expert_ids)  # (N, K)
    weights = torch.zeros_like(scores).scatter(1, expert_ids, chosen / chosen.sum(dim=1, keepdim=True))  # (N, E)
    return switch(weights, expert_ids)


def token_by_token(scores: Tensor, expert_ids: Tensor) -> Tensor:
    """The mean over tokens of their own f · P. With P over an expert's own choosers the same number comes out."""
    f = F.one_hot(expert_ids, scores.shape[1]).to(scores.dtype).mean(dim=1)  # (N, E)
    return scores.shape[1] * (f * scores).sum(dim=1).mean()


MISTAKES = (
    loss("f is divided by the tokens, not by the assignments", lambda s, i: i.shape[1] * switch(s, i), "yours is K "
         "times as large. With K experts per token there are N · K assignments; f over them sums to 1."),
    loss("f is counted, not divided", lambda s, i: i.numel() * switch(s, i), "f is a *share*: the counts over the "
         "number of assignments."),
    loss("P is a sum, not a mean", lambda s, i: len(s) * switch(s, i), "P is the *mean* score of an expert over the "
         "tokens."),
    loss("Neither f nor P is divided", lambda s, i: len(s) * i.numel() * switch(s, i), "f is the counts over the "
         "number of assignments, P the mean over the tokens."),
    loss("The factor E is missing", lambda s, i: switch(s, i) / s.shape[1], "yours is 1/E of it: E does not stand "
         "in front, or a mean stands where the sum should. Equal scores give 1 for any number of experts."),
    loss("The mean over experts, not the sum", lambda s, i: switch(s, i) / s.shape[1] ** 2, "the products f · P are "
         "summed, and the sum multiplied by E."),
    loss("E twice", lambda s, i: switch(s, i) * s.shape[1], "E stands in front once. With a *mean* of f · P it would "
         "be E², with the sum it is E."),
    loss("K in place of E", lambda s, i: i.shape[1] * switch(s, i) / s.shape[1], "the factor in front is the number of "
         "experts, E."),
    loss("Only the best expert of each token is counted", best_only, "f counts the experts in `expert_ids`, all K of "
         "each token, and these need not be the ones with the best scores."),
    loss("Only the first choice is counted", lambda s, i: switch(s, i[:, :1]), "f counts all K choices of a token. "
         "GShard counts first choices only; here all of them."),
    loss("Only the last choice is counted", lambda s, i: switch(s, i[:, -1:]), "f counts all K choices of a token."),
    loss("E is the highest number seen", highest_seen, "you took E from the highest expert number in `expert_ids`. The "
         "last experts may not be chosen at all; E is the number of columns of `scores`."),
    loss("Softmax twice", lambda s, i: switch(s.softmax(dim=1), i), "`scores` are probabilities already: their rows "
         "sum to 1. Another softmax makes them nearly equal."),
    loss("P of the chosen scores alone", chosen_alone, "P is the mean over *all* tokens, also those that did not "
         "choose the expert."),
    loss("P of the renormalised weights", renormalised, "P is the mean of the scores as they are given, of all "
         "experts. Keeping the best K and dividing by their sum comes later, for the weights."),
    loss("P with itself", lambda s, i: s.shape[1] * s.mean(dim=0).square().sum(), "both factors are mean scores. One "
         "of them is f, counted from `expert_ids`."),
    loss("f with itself", lambda s, i: s.shape[1] * share(s, i).square().sum(), "both factors are counts. One of them "
         "is P, the mean score: without it there is no gradient."),
    loss("f and P are not each over all tokens", token_by_token, "yours is a mean of chosen scores, as from a product "
         "token by token, or from a P over the tokens that chose the expert. That measures how sure the tokens are. "
         "Take f and P over all N tokens first, then multiply."),
    loss("The wrong sign", lambda s, i: -switch(s, i), "the loss is to become smaller as the load becomes even."),
    loss("1 is taken off", lambda s, i: switch(s, i) - 1, "an even router scores 1, not 0."),
)  # fmt: skip

LOAD_BALANCING_LOSS = Exercise(
    id="6.2", name="load_balancing_loss", parameters=("scores", "expert_ids"), sizes="NEK", outputs=(Output("loss"),),
    reference=switch, cases=cases, mistakes=MISTAKES,
    drawn=DRAWN,
    hints=(
        "Two tensors (E,): f from `expert_ids` alone, P from `scores` alone. Both sum to 1. An expert that nobody "
        "chose has a place in f too.",
        "`torch.bincount(expert_ids.flatten(), minlength=E)` counts all choices; divide by their number, "
        "`expert_ids.numel()`, in the dtype of the scores. P is a mean over dimension 0.",
    ),
    minutes=10, lines="about 4 lines",
    done="Equal scores give 1, and all tokens on the same K experts give E/K: the loss of Switch Transformers.",
)  # fmt: skip
