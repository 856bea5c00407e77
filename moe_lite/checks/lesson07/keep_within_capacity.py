"""Exercises 7.1, keep_within_capacity, and 7.2, keep_best: who finds room at an expert that is full."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.compare import number
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
from moe_lite.checks.engine.mistakes import one_of, row_sums, seen

F32, F64 = torch.float32, torch.float64


def room(expert_ids: Tensor, capacity: int, order: list[int] | None = None) -> Tensor:
    """kept (N, K) bool: every expert takes its first `capacity` choices, by place n · K + j or in another order."""
    chosen, taken = expert_ids.flatten().tolist(), {}
    kept = torch.zeros(len(chosen), dtype=torch.bool)
    for place in order or range(len(chosen)):
        taken[chosen[place]] = taken.get(chosen[place], 0) + 1
        kept[place] = taken[chosen[place]] <= capacity
    return kept.view(expert_ids.shape)


def by_choice(expert_ids: Tensor) -> list[int]:
    """All places, first choices first."""
    return torch.arange(expert_ids.numel()).view(expert_ids.shape).t().flatten().tolist()


def whole_tokens(kept: Tensor) -> Tensor:
    """A token that lost one choice loses all."""
    return kept.all(dim=1, keepdim=True).expand_as(kept)


# ---- 7.1 -------------------------------------------------------------------------------------------------------------


def fair_share(expert_ids: Tensor, n_experts: int) -> float:
    return expert_ids.numel() / n_experts


def places(expert_ids: Tensor, n_experts: int, factor: float) -> int:
    """factor · N · K / E rounded up; what floating point adds in the last digits is taken off first."""
    return math.ceil(round(factor * fair_share(expert_ids, n_experts), 6))


def within(expert_ids: Tensor, n_experts: int, factor: float) -> tuple[int, Tensor]:
    """expert_ids (N, K) -> capacity, kept (N, K) bool (Switch Transformers, arXiv 2101.03961, section 2.2)."""
    capacity = places(expert_ids, n_experts, factor)
    return capacity, room(expert_ids, capacity)


def capacity_cases() -> tuple[Case, ...]:
    plain = (_skewed(1, 13, 5, 2, 1.25), _skewed(2, 17, 6, 3, 1.1), _skewed(3, 11, 4, 2, 0.7))
    one = (_skewed(4, 19, 5, 1, 1.25), _skewed(5, 9, 4, 1, 1.0))
    exact = (_skewed(6, 50, 10, 2, 1.1), _skewed(7, 25, 10, 4, 1.1), _skewed(8, 12, 4, 2, 1.5))
    silent = (_skewed(9, 14, 9, 2, 1.25, first=5), _skewed(10, 8, 12, 3, 1.5, first=6))
    crowd = torch.tensor([[2, 0]] * 9)
    ends = (
        Trial((crowd, 6, 1.0), "all tokens with the same two experts"),
        Trial((crowd, 6, 6.0), "room for everybody"),
        Trial((torch.tensor([[1], [0], [1], [1]]), 8, 0.25), "a capacity of 1"),
    )
    both = ("capacity", "kept")
    return (
        Case("a whole number and booleans", plain, (FORM,)),
        Case("input unchanged, no memory", plain[:1], (INPUT, REPEAT)),
        Case("capacity", (*plain, *one), ("capacity",)),
        Case("capacity without rounding errors", exact, ("capacity",)),
        Case("kept by place", plain, ("kept",)),
        Case("one expert a token", one, both),
        Case("experts that nobody chose", silent, both),
        Case("very full and very roomy", ends, both),
    )


def _skewed(seed: int, n_tokens: int, n_experts: int, k: int, factor: float, first: int | None = None) -> Trial:
    """Low expert numbers are chosen more often, so that some are full; with `first`, only that many are chosen."""
    liked = torch.linspace(2.0, 0.0, first or n_experts)
    noise = -(-torch.rand(n_tokens, first or n_experts, generator=inputs.generator(seed)).log()).log()
    expert_ids = (liked + noise).argsort(dim=1, descending=True)[:, :k]
    note = f"seed {seed}, {n_tokens} tokens, {k} of {n_experts} experts, factor {factor}"
    return Trial((expert_ids, n_experts, factor), note)


def _capacity(title: str, rule: Callable[[Tensor, int, float], float], sentence: str) -> Mistake:
    def text(attempt: Attempt) -> str:
        got, expected = int(attempt.got["capacity"]), int(attempt.expected["capacity"])
        expert_ids, n_experts, factor = attempt.args
        share = f"{factor} · {len(expert_ids)} · {expert_ids.shape[1]} / {n_experts}"
        return f"`capacity` is {got}, expected {expected}, which is {share} rounded up: {sentence}"

    return one_of("capacity", title, lambda *args: torch.tensor(rule(*args)), text)


def _kept(title: str, rule: Callable[[Tensor, int], Tensor], sentence: str) -> Mistake:
    """`rule` gives kept (N, K) for expert_ids and the right capacity."""

    def text(attempt: Attempt) -> str:
        wrong = (attempt.got["kept"] != attempt.expected["kept"]).nonzero()[0].tolist()
        expert = int(attempt.args[0][tuple(wrong)])
        capacity, verb = int(attempt.expected["capacity"]), "is kept" if attempt.got["kept"][tuple(wrong)] else "is not"
        return f"Choice {wrong[1]} of token {wrong[0]}, expert {expert}, {verb}; capacity {capacity}: {sentence}"

    return one_of("kept", title, lambda ids, e, factor: rule(ids, places(ids, e, factor)), text)


def _column_by_column(expert_ids: Tensor, capacity: int) -> Tensor:
    return torch.cat([room(column[:, None], capacity) for column in expert_ids.t()], dim=1)


CAPACITY_MISTAKES = (
    _capacity("A rounding error adds a place", lambda i, e, f: math.ceil(f * i.numel() / e), "1.1 · 100 / 10 is a "
              "little more than 11 in floating point, and `ceil` takes it for more. Round to a few digits first."),
    _capacity("Rounded down", lambda i, e, f: int(round(f * i.numel() / e, 6)), "rounded down, even a perfectly fair "
              "choice may not find room. `math.ceil` rounds up."),
    _capacity("Rounded to the nearest", lambda i, e, f: round(f * i.numel() / e), "half of the time that is down. "
              "`math.ceil` rounds up."),
    _capacity("The fair share is rounded first", lambda i, e, f: math.ceil(f * math.ceil(i.numel() / e)), "multiply "
              "first, round once, at the end."),
    _capacity("The fair share is rounded first", lambda i, e, f: math.ceil(round(f * (i.numel() // e), 6)), "`//` "
              "rounds the fair share down before the factor comes. Round once, at the end."),
    _capacity("K is forgotten", lambda i, e, f: math.ceil(round(f * len(i) / e, 6)), "there are N · K choices to be "
              "placed, not N."),
    _capacity("The factor is forgotten", lambda i, e, f: math.ceil(i.numel() / e), "this is the fair share; `factor` "
              "makes room beyond it."),
    _capacity("Not divided among the experts", lambda i, e, f: math.ceil(round(f * i.numel(), 6)), "this is room for "
              "all choices at *each* expert: divide by E."),
    _capacity("Divided by the experts that were chosen", lambda i, e, f: math.ceil(round(f * i.numel() / len(i.unique())
              , 6)), "E counts all experts, also those that nobody chose."),
    _capacity("Divided by the experts that were chosen", lambda i, e, f: math.ceil(round(f * i.numel() /
              (int(i.max()) + 1), 6)), "E is `n_experts`, also where the last ones were not chosen."),
    _capacity("Of the fullest expert, not of the fair share", lambda i, e, f: math.ceil(round(f * int(torch.bincount(i
              .flatten()).max()), 6)), "capacity is fixed *before* anyone chooses: it comes from N · K / E alone."),
    _capacity("Rounded down, and one more", lambda i, e, f: int(round(f * i.numel() / e, 6)) + 1, "a whole number "
              "needs no rounding, and no place more."),
    _kept("One too many finds room", lambda i, c: room(i, c + 1), "an expert takes `capacity` choices. If you count "
          "from 0, the last to find room has number capacity − 1."),
    _kept("One too few finds room", lambda i, c: room(i, c - 1), "an expert takes `capacity` choices. A running count "
          "that includes the choice itself begins at 1."),
    _kept("First choices came first", lambda i, c: room(i, c, by_choice(i)), "you placed all first choices before any "
          "second one, as GShard does. Asked is place n · K + j: token by token."),
    _kept("Each column has a count of its own", _column_by_column, "the K columns share the experts' places. Count "
          "over `expert_ids.flatten()`, not down each column."),
    _kept("In the order of the experts, not of the places", lambda i, c: room(i, c).flatten()[i.flatten().argsort(
          stable=True)].view_as(i), "sorted by expert the counting is right, but True and False have to go back to the "
          "places where the choices came from."),
    _kept("A token loses all its choices at once", lambda i, c: whole_tokens(room(i, c)), "one of its choices found no "
          "room, and the others are dropped with it. Each choice stands for itself."),
    _kept("A token with one place keeps all", lambda i, c: room(i, c).any(dim=1, keepdim=True).expand_as(i), "one of "
          "its choices found room, and the others are kept with it. Each choice stands for itself."),
    _kept("True where dropped", lambda i, c: ~room(i, c), "`kept` is True where a choice finds room."),
    _kept("The last come first", lambda i, c: room(i, c, list(reversed(range(i.numel())))), "earlier places come "
          "first: yours fills the experts from the end of the text."),
    _kept("The first tokens, whatever they chose", lambda i, c: (torch.arange(i.numel()) < c).view_as(i), "each expert "
          "has places of its own. Count a choice's number *among the choices of its expert*."),
    _kept("The first tokens, whatever they chose", lambda i, c: (torch.arange(len(i)) < c)[:, None].expand_as(i),
          "each expert has places of its own. Count a choice's number *among the choices of its expert*."),
    _kept("A full expert loses everybody", lambda i, c: torch.bincount(i.flatten())[i] <= c, "an expert with too many "
          "choices keeps the first `capacity` of them."),
)  # fmt: skip

KEEP_WITHIN_CAPACITY = Exercise(
    id="7.1",
    name="keep_within_capacity",
    parameters=("expert_ids", "n_experts", "factor"),
    sizes="NKE",
    outputs=(Output("capacity", whole=True), Output("kept", "N, K")),
    reference=within,
    cases=capacity_cases,
    mistakes=CAPACITY_MISTAKES,
    hints=(
        "Lay the choices out as one row, place by place. For each of them you need one number: how many earlier "
        "places chose the same expert.",
        "Compared with `torch.arange(n_experts)`, every place has a row with one True; `cumsum` down the rows counts "
        "along. `math.ceil(round(value, 6))` rounds up what is meant.",
    ),
    minutes=12,
    lines="about 7 lines",
    done="The rule of Switch Transformers: a fixed number of places, first come, first served.",
)


# ---- 7.2 -------------------------------------------------------------------------------------------------------------


def best_first(weights: Tensor) -> list[int]:
    """All places, largest weight first, the earlier one among equals."""
    flat = weights.detach().double().flatten().tolist()
    return sorted(range(len(flat)), key=lambda place: (-flat[place], place))


def best(weights: Tensor, expert_ids: Tensor, capacity: int) -> Tensor:
    """weights (N, K), expert_ids (N, K) -> weights of those that find room, 0 for the others (N, K)."""
    return weights * room(expert_ids, capacity, best_first(weights)).to(weights.dtype)


def best_cases() -> tuple[Case, ...]:
    plain = (_weighed(1, 13, 5, 2, 4), _weighed(2, 17, 6, 3, 6), _weighed(3, 11, 4, 2, 3, F32))
    one = (_weighed(4, 15, 5, 1, 3),)
    ties = (_weighed(5, 16, 4, 2, 3, levels=True), _weighed(6, 21, 3, 2, 5, levels=True))
    ends = (_weighed(7, 9, 6, 2, 9), _weighed(8, 12, 4, 3, 1))
    gradient = tuple(Trial(t.args, t.note, gradient=(0,)) for t in plain[:2])
    return (
        Case("shape and type", plain, (FORM,)),
        Case("input unchanged, no memory", plain[:1], (INPUT, REPEAT)),
        Case("largest weights find room", plain, ("weights",)),
        Case("one expert a token", one, ("weights",)),
        Case("equal weights", ties, ("weights",)),
        Case("room for all, room for one", ends, ("weights",)),
        Case("gradient", gradient, (GRADIENT,)),
    )


def _weighed(
    seed: int, n_tokens: int, n_experts: int, k: int, capacity: int, dtype: torch.dtype = F64, levels: bool = False
) -> Trial:
    expert_ids = _skewed(seed, n_tokens, n_experts, k, 1.0).args[0]
    weights = inputs.scores(seed + 30, n_tokens, max(k, 2), F64)[:, :k]
    if levels:
        first = torch.tensor([0.5, 0.7, 0.8])[torch.randint(0, 3, (n_tokens,), generator=inputs.generator(seed))]
        weights = torch.stack([first, 1 - first], dim=1).double().round(decimals=1)
    note = f"{inputs.note(seed, dtype)}, {k} of {n_experts} experts, capacity {capacity}"
    return Trial((weights.to(dtype), expert_ids, capacity), note)


def _rule(title: str, rule: Callable[[Tensor, Tensor, int], Tensor], sentence: str) -> Mistake:
    def text(attempt: Attempt) -> str:
        got, expected = attempt.got["weights"], attempt.expected["weights"]
        token, place = (~torch.isclose(got.double(), expected.double(), rtol=1e-5)).nonzero()[0].tolist()
        values = f"{number(float(got[token, place]), 4)}, expected {number(float(expected[token, place]), 4)}"
        return f"Weight {place} of token {token} is {values}: {sentence}"

    return one_of("weights", title, rule, text)


def _masked(kept: Callable[[Tensor, Tensor, int], Tensor]) -> Callable[[Tensor, Tensor, int], Tensor]:
    return lambda w, ids, c: w * kept(w, ids, c).to(w.dtype)


def _share_again(w: Tensor, ids: Tensor, c: int) -> Tensor:
    kept = best(w, ids, c)
    return kept / kept.sum(dim=1, keepdim=True).clamp(min=1e-12)


def _scaled(w: Tensor, ids: Tensor, c: int) -> Tensor:
    kept = best(w, ids, c)
    return kept * (kept.numel() / (kept != 0).sum())


def _largest_of_all(w: Tensor, ids: Tensor, c: int) -> Tensor:
    """The c largest weights of all, whoever they belong to."""
    kept = torch.zeros(w.numel(), dtype=torch.bool)
    kept[best_first(w)[:c]] = True
    return kept.view_as(w)


def _by_column(w: Tensor, ids: Tensor, c: int) -> Tensor:
    columns = zip(w.t(), ids.t(), strict=True)
    return torch.cat([room(i[:, None], c, best_first(v)) for v, i in columns], dim=1)


def _ties_only(attempt: Attempt) -> bool:
    """Among equal weights another one of the same expert is kept; how many are kept is right."""
    weights, expert_ids, capacity = attempt.args
    got = attempt.got["weights"]
    if got.shape != weights.shape or not torch.equal(got, weights * (got != 0)):
        return False
    return all(
        torch.equal(got[expert_ids == e].sort().values, attempt.expected["weights"][expert_ids == e].sort().values)
        for e in expert_ids.unique()
    )


BEST_MISTAKES = (
    _rule("By place, not by weight", _masked(lambda w, i, c: room(i, c)), "the experts were filled in the order of the "
          "text. Asked is the largest weight first."),
    _rule("By place, not by weight, and divided again", lambda w, i, c: (w * room(i, c)) / (w * room(i, c)).sum(1, True)
          .clamp(min=1e-12), "two things: the largest weights come first, and weights stay as they are."),
    _rule("First choices came first", _masked(lambda w, i, c: room(i, c, by_choice(i))), "all first choices were "
          "placed before any second one. Asked is the largest weight first, whichever choice it is."),
    _rule("What was kept is divided by its sum", _share_again, "a choice that finds room keeps its weight *as it is*. "
          "Scaled up, the experts that are left would speak for the one that is full."),
    _rule("What was kept is scaled up", _scaled, "dropped choices are skipped, not made up for by the others."),
    _rule("The smallest weights are kept", _masked(lambda w, i, c: room(i, c, best_first(-w))), "the choices with the "
          "*largest* weights find room. Sorted ascending?"),
    _rule("One too many finds room", _masked(lambda w, i, c: room(i, c + 1, best_first(w))), "an expert takes "
          "`capacity` choices: the one with number `capacity`, counted from 0, is dropped."),
    _rule("One too few finds room", _masked(lambda w, i, c: room(i, c - 1, best_first(w))), "an expert takes "
          "`capacity` choices."),
    _rule("The largest of all experts together", _masked(_largest_of_all), "every expert has `capacity` places of its "
          "own."),
    _rule("Each column has a count of its own", _masked(_by_column), "first and second choices share the experts' "
          "places."),
    _rule("A token loses all its choices at once", _masked(lambda w, i, c: whole_tokens(room(i, c, best_first(w)))),
          "one of its choices found no room, and the others went with it."),
    _rule("A token with one place keeps all", _masked(lambda w, i, c: room(i, c, best_first(w)).any(1, True)
          .expand_as(i)), "one of its choices found room, and the others were kept with it."),
    _rule("Kept and dropped have changed places", _masked(lambda w, i, c: ~room(i, c, best_first(w))), "0 stands "
          "where a choice finds *no* room."),
    _rule("A mask, not weights", lambda w, i, c: room(i, c, best_first(w)).to(w.dtype), "asked are the weights: 0 "
          "where dropped, and as they came elsewhere."),
    _rule("Nothing is dropped", lambda w, i, c: w, "its expert is full with larger weights."),
    _rule("Only the first choice can find room", _masked(lambda w, i, c: room(i, c, best_first(w)) & (torch.arange(i
          .shape[1]) == 0)), "a token may be kept at several experts."),
    seen("Equal weights: the earlier one comes first", _ties_only, lambda a:
         f"Right but for equals. Sums row by row: {row_sums(a, 'weights')}. `topk` and a plain sort promise nothing "
         "about equals; a stable sort keeps the order of the places."),
)  # fmt: skip

KEEP_BEST = Exercise(
    id="7.2",
    name="keep_best",
    parameters=("weights", "expert_ids", "capacity"),
    sizes="NKC",
    outputs=(Output("weights", "N, K"),),
    reference=best,
    cases=best_cases,
    mistakes=BEST_MISTAKES,
    hints=(
        "The counting is that of 7.1; only the order in which the choices are counted is another. Sort, count along, "
        "and bring the answer back to its place.",
        "`argsort(descending=True, stable=True)` of the flattened weights gives the order; count along in "
        "`expert_ids.flatten()[order]` as before. `kept[order] = ...` puts True and False back to their places.",
    ),
    minutes=10,
    lines="about 6 lines",
    done="So do V-MoE and Megatron: the least wanted are dropped. What it costs a language model comes next.",
)
