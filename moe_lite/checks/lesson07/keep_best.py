"""Exercise 7.2, keep_best: at a full expert the choices with the largest weights find room."""

from collections.abc import Callable

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.exercise import Attempt, Case, Drawn, Exercise, Mistake, Output, Trial
from moe_lite.checks.engine.inputs import F32, F64
from moe_lite.checks.engine.mistakes import one_wrong, sign
from moe_lite.checks.lesson07.keep_within_capacity import by_choice, room, skewed, whole_tokens

Rule = Callable[[Tensor, Tensor, int], Tensor]  # weights (N, K), expert_ids (N, K), capacity
CLOSE = "weights that differ in the seventh decimal, float64"


def best(weights: Tensor, expert_ids: Tensor, capacity: int) -> Tensor:
    """weights (N, K), expert_ids (N, K) -> weights of those that find room, 0 for the others (N, K)."""
    return weights * by_weight(weights, expert_ids, capacity).to(weights.dtype)


def by_weight(weights: Tensor, expert_ids: Tensor, capacity: int) -> Tensor:
    """kept (N, K) bool: every expert takes the `capacity` choices with the largest weights."""
    return room(expert_ids, capacity, best_first(weights))


def best_first(weights: Tensor) -> list[int]:
    """All places, largest weight first, the earlier one among equals."""
    flat = weights.detach().double().flatten().tolist()
    return sorted(range(len(flat)), key=lambda place: (-flat[place], place))


# ---- inputs ----------------------------------------------------------------------------------------------------------


def cases() -> tuple[Case, ...]:
    plain = (weighed(1, 13, 5, 2, 4), weighed(2, 17, 6, 3, 6), weighed(3, 11, 4, 2, 3, F32))
    one = (weighed(4, 15, 5, 1, 3),)
    ties = (weighed(5, 16, 4, 2, 3, levels=True), weighed(6, 21, 3, 2, 5, levels=True))
    ends = (weighed(7, 9, 6, 2, 9), weighed(8, 12, 4, 3, 1))
    begin, end = inputs.usual(plain, plain, gradient=(0,), through=plain[:2], name="shape and type")
    return (
        *begin,
        Case("largest weights find room", plain, ("weights",)),
        Case("one expert per token", one, ("weights",)),
        Case("equal weights, nearly equal weights", (*ties, close(9)), ("weights",)),
        Case("room for all, room for one", ends, ("weights",)),
        *end,
    )


def weighed(
    seed: int, n_tokens: int, n_experts: int, k: int, capacity: int, dtype: torch.dtype = F64, levels: bool = False
) -> Trial:
    expert_ids = skewed(seed, n_tokens, n_experts, k, 1.0).args[0]
    weights = inputs.scores(seed + 30, n_tokens, max(k, 2), F64)[:, :k]
    if levels:
        first = torch.tensor([0.5, 0.7, 0.8])[torch.randint(0, 3, (n_tokens,), generator=inputs.generator(seed))]
        weights = torch.stack([first, 1 - first], dim=1).double().round(decimals=1)
    note = f"{inputs.note(seed, dtype)}, {k} of {n_experts} experts, capacity {capacity}"
    return Trial((weights.to(dtype), expert_ids, capacity), note)


def close(seed: int) -> Trial:
    """Everybody wants expert 1, with weights that differ in the seventh decimal."""
    return Trial((inputs.nearly_equal(seed, 9, 1), torch.ones(9, 1, dtype=torch.int64), 4), CLOSE)


def drawn(seed: int, N: int, K: int, E: int, C: int) -> tuple:
    """Low expert numbers are liked more, but not where there are many."""
    expert_ids = skewed(seed, N, E, K, 1.0).args[0] if E < 20 else inputs.choices(seed, N, E, K)
    return inputs.distinct(seed, N, K, low=0.0, high=1.0), expert_ids, C


def extremes(seed: int) -> tuple[Trial, ...]:
    weights, expert_ids, _ = drawn(seed, 11, 2, 6, 3)
    return (
        Trial((torch.ones_like(weights), expert_ids, 3), "all weights equal"),
        Trial((weights * 1e-20, expert_ids, 3), "weights near 0"),
        Trial((weights * 1e20, expert_ids, 3), "very large weights"),
        Trial((torch.where(weights > 0.5, weights, 0.0), expert_ids, 3), "weights that are 0"),
        Trial((weights, expert_ids, 22), "room for everything"),
        Trial((weights[:4, :1], torch.tensor([[0], [256], [0], [256]]), 1), "experts 0 and 256"),
        Trial((0.5 + weights * 1e-9, expert_ids, 3), "weights that differ in the ninth decimal"),
    )


DRAWN = Drawn(drawn, {"N": 11, "K": 2, "E": 6, "C": 3}, at_most=(("K", "E"),), gradient=(0,), extremes=extremes)


# ---- mistakes --------------------------------------------------------------------------------------------------------


def weight(title: str, rule: Rule, say: str) -> Mistake:
    text = "Weight {weights.at[1]} of token {weights.at[0]} is {weights.wrong.beside:4}: "
    return one_wrong("weights", title, rule, text + say)


def masked(kept: Rule) -> Rule:
    return lambda w, ids, c: w * kept(w, ids, c).to(w.dtype)


def divided(kept: Tensor) -> Tensor:
    """By the sum of the row, where anything was kept."""
    return kept / kept.sum(dim=1, keepdim=True).clamp(min=1e-12)


def scaled(w: Tensor, ids: Tensor, c: int) -> Tensor:
    kept = best(w, ids, c)
    return kept * (kept.numel() / (kept != 0).sum())


def largest_of_all(w: Tensor, ids: Tensor, c: int) -> Tensor:
    """The c largest weights of all, whoever they belong to."""
    kept = torch.zeros(w.numel(), dtype=torch.bool)
    kept[best_first(w)[:c]] = True
    return kept.view_as(w)


def by_column(w: Tensor, ids: Tensor, c: int) -> Tensor:
    columns = zip(w.split(1, dim=1), ids.split(1, dim=1), strict=True)  # K pairs of (N, 1)
    return torch.cat([by_weight(*column, c) for column in columns], dim=1)


def left_sorted(w: Tensor, ids: Tensor, c: int) -> Tensor:
    """The right mask (N, K), in the order of the sorted weights."""
    return by_weight(w, ids, c).flatten()[best_first(w)].view_as(ids)


def at_the_limit(w: Tensor, ids: Tensor, c: int) -> Tensor:
    """kept (N, K) bool: all that reach the smallest weight that an expert has room for, also those equal to it."""
    kept = torch.zeros_like(ids, dtype=torch.bool)
    for e in ids.unique():
        own = w[ids == e]
        kept |= (ids == e) & (w >= own.topk(min(c, len(own))).values[-1])
    return kept


def ties_only(a: Attempt) -> bool:
    """Among equal weights another one of the same expert is kept; how many are kept is right."""
    weights, expert_ids, _ = a.args
    got, expected = a.got["weights"], a.expected["weights"]
    if got.shape != weights.shape or not torch.equal(got, weights * (got != 0)):
        return False
    of_each = [expert_ids == e for e in expert_ids.unique()]
    return all(torch.equal(got[own].sort().values, expected[own].sort().values) for own in of_each)


MISTAKES = (
    sign("Nearly equal weights are taken for equal", lambda a: a.trial.note == CLOSE, "Right elsewhere, but of weights "
         "that differ in the seventh decimal yours keeps others than the largest. Compare them in the type in which "
         "they come, and round nothing.", all_or_none=True),
    weight("By place, not by weight", masked(lambda w, i, c: room(i, c)), "the experts were filled in the order of the "
           "text. Asked is the largest weight first."),
    weight("By place, not by weight, and divided again", lambda w, i, c: divided(w * room(i, c)), "two things: the "
           "largest weights come first, and weights stay as they are."),
    weight("First choices came first", masked(lambda w, i, c: room(i, c, by_choice(i))), "all first choices were "
           "placed before any second one. Asked is the largest weight first, whichever choice it is."),
    weight("What was kept is divided by its sum", lambda w, i, c: divided(best(w, i, c)), "a choice that finds room "
           "keeps its weight *as it is*. Scaled up, the experts that are left would speak for the one that is full."),
    weight("What was kept is scaled up", scaled, "dropped choices are skipped, not made up for by the others."),
    weight("The smallest weights are kept", masked(lambda w, i, c: by_weight(-w, i, c)), "the choices with the "
           "*largest* weights find room. Sorted ascending?"),
    weight("One too many finds room", masked(lambda w, i, c: by_weight(w, i, c + 1)), "an expert takes `capacity` "
           "choices: the one with number `capacity`, counted from 0, is dropped."),
    weight("One too few finds room", masked(lambda w, i, c: by_weight(w, i, c - 1)), "an expert takes `capacity` "
           "choices."),
    weight("Divided by their sum before they are compared", masked(lambda w, i, c: by_weight(w / w.sum(1, True), i, c)),
           "yours compared weights divided by the sum of their token's. They are compared as they come."),
    weight("A softmax before they are compared", masked(lambda w, i, c: by_weight(w.softmax(dim=1), i, c)), "yours "
           "compared a softmax of the weights. They are compared as they come."),
    weight("The largest of all experts together", masked(largest_of_all), "every expert has `capacity` places of its "
           "own."),
    weight("Each column has a count of its own", masked(by_column), "first and second choices share the experts' "
           "places."),
    weight("A token loses all its choices at once", masked(lambda w, i, c: whole_tokens(by_weight(w, i, c))), "one of "
           "its choices found no room, and the others went with it."),
    weight("A token with one place keeps all", masked(lambda w, i, c: by_weight(w, i, c).any(1, True).expand_as(i)),
           "one of its choices found room, and the others were kept with it."),
    weight("Kept and dropped have changed places", masked(lambda w, i, c: ~by_weight(w, i, c)), "0 stands where a "
           "choice finds *no* room."),
    weight("The mask stays in sorted order", masked(left_sorted), "True and False were counted along in sorted "
           "order, and have to go back to their places. `kept[order] = ...` does that."),
    weight("A mask, not weights", lambda w, i, c: by_weight(w, i, c).to(w.dtype), "asked are the weights: 0 where "
           "dropped, and as they came elsewhere."),
    weight("Nothing is dropped", lambda w, i, c: w, "its expert is full with larger weights."),
    weight("Only the first choice can find room",
           masked(lambda w, i, c: by_weight(w, i, c) & (torch.arange(i.shape[1]) == 0)), "a token may be kept at "
           "several experts."),
    weight("Equals at the limit all stay", masked(at_the_limit), "yours keeps all weights that reach the smallest one "
           "with a place, and with them its equals. No more than `capacity` may stay; among equals the earlier one "
           "comes first."),
    sign("Equal weights: the earlier one comes first", ties_only, "Right, except that among equal weights "
         "another choice is kept. `topk` and a plain sort promise nothing about equals; a stable sort keeps the order "
         "of the places."),
)  # fmt: skip

KEEP_BEST = Exercise(
    id="7.2", name="keep_best", parameters=("weights", "expert_ids", "capacity"), sizes="NKC",
    outputs=(Output("weights", "N, K", new=True),), reference=best, cases=cases, mistakes=MISTAKES,
    drawn=DRAWN,
    hints=(
        "The counting is that of 7.1; only the counting order differs. Sort, count along, and bring each answer back "
        "to its place.",
        "`argsort(descending=True, stable=True)` of the flattened weights gives the order; count along in "
        "`expert_ids.flatten()[order]` as before. `kept[order] = ...` puts True and False back to their places.",
    ),
    minutes=10, lines="about 6 lines",
    done="V-MoE and Megatron drop this way: the smallest weights go first. What it costs a language model comes next.",
)  # fmt: skip
