"""Exercise 7.1, keep_within_capacity: who finds room at an expert that is full, first come, first served."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.compare import first_difference
from moe_lite.checks.engine.exercise import Attempt, Case, Drawn, Exercise, Mistake, Output, Trial
from moe_lite.checks.engine.mistakes import one_wrong, sign


def places(expert_ids: Tensor, n_experts: int, factor: float) -> int:
    """factor · N · K / E rounded up; what floating point adds in the last digits is taken off first."""
    return up(factor * expert_ids.numel() / n_experts)


def up(value: float) -> int:
    return math.ceil(round(value, 6))


def within(expert_ids: Tensor, n_experts: int, factor: float) -> tuple[int, Tensor]:
    """expert_ids (N, K) -> capacity, kept (N, K) bool (Switch Transformers, arXiv 2101.03961, section 2.2)."""
    capacity = places(expert_ids, n_experts, factor)
    return capacity, room(expert_ids, capacity)


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


# ---- inputs ----------------------------------------------------------------------------------------------------------


def cases() -> tuple[Case, ...]:
    plain = (skewed(1, 13, 5, 2, 1.25), skewed(2, 17, 6, 3, 1.1), skewed(3, 11, 4, 2, 0.7))
    one = (skewed(4, 19, 5, 1, 1.25), skewed(5, 9, 4, 1, 1.0))
    exact = (skewed(6, 50, 10, 2, 1.1), skewed(7, 25, 10, 4, 1.1), skewed(8, 12, 4, 2, 1.5),
             skewed(11, 100, 4, 2, 1.1))  # fmt: skip
    barely = (skewed(12, 107, 32, 3, 1.0), skewed(13, 46, 10, 2, 1.2), skewed(14, 50, 10, 2, 1.00004))
    silent = (skewed(9, 14, 9, 2, 1.25, first=5), skewed(10, 8, 12, 3, 1.5, first=6))
    crowd = torch.tensor([[2, 0]] * 9)
    ends = (
        Trial((crowd, 6, 1.0), "all tokens with the same two experts"),
        Trial((crowd, 6, 6.0), "room for everybody"),
        Trial((torch.tensor([[1], [0], [1], [1]]), 8, 0.25), "a capacity of 1"),
    )
    both = ("capacity", "kept")
    begin, _ = inputs.usual(plain, plain, name="a whole number and booleans")
    return (
        *begin,
        Case("capacity", (*plain, *one), ("capacity",)),
        Case("capacity without rounding errors", exact, ("capacity",)),
        Case("capacity a little above a whole number", barely, ("capacity",)),
        Case("kept by place", plain, ("kept",)),
        Case("one expert per token", one, both),
        Case("experts that nobody chose", silent, both),
        Case("very full and very roomy", ends, both),
    )


def skewed(seed: int, n_tokens: int, n_experts: int, k: int, factor: float, first: int | None = None) -> Trial:
    """Low expert numbers are chosen more often, so that some are full; with `first`, only that many are chosen."""
    liked = torch.linspace(2.0, 0.0, first or n_experts)
    noise = -(-torch.rand(n_tokens, first or n_experts, generator=inputs.generator(seed)).log()).log()
    expert_ids = (liked + noise).argsort(dim=1, descending=True)[:, :k]
    note = f"seed {seed}, {n_tokens} tokens, {k} of {n_experts} experts, factor {factor}"
    return Trial((expert_ids, n_experts, factor), note)


def drawn(seed: int, N: int, E: int, K: int) -> tuple:
    """Low expert numbers are liked more, but not where there are many; the factor takes turns."""
    factor = 0.6 if seed % 2 else 1.25
    return skewed(seed, N, E, K, factor).args if E < 20 else (inputs.choices(seed, N, E, K), E, factor)


def extremes(seed: int) -> tuple[Trial, ...]:
    expert_ids = drawn(seed, 11, 6, 2)[0]
    return (
        Trial((expert_ids, 6, 1e-3), "a factor near 0"),
        Trial((expert_ids, 6, 1e6), "a factor of a million"),
        Trial((torch.zeros(2665, 1, dtype=torch.int64), 1, 1.2), "2,665 tokens for one expert, factor 1.2"),
        Trial((torch.tensor([[0], [256], [0], [256]]), 300, 1.0), "experts 0 and 256 of 300"),
        Trial((torch.zeros(4, 1, dtype=torch.int64), 1, 0.5), "4 tokens for one expert, factor 0.5"),
        Trial((torch.zeros_like(expert_ids[:, :1]), 6, 1.0), "every token at expert 0"),
    )


DRAWN = Drawn(drawn, {"N": 11, "E": 6, "K": 2}, at_most=(("K", "E"),), extremes=extremes)


# ---- mistakes --------------------------------------------------------------------------------------------------------


def room_for(title: str, rule: Callable[[Tensor, int, float], int], say: str) -> Mistake:
    text = (
        "`capacity` is {capacity.beside:0}, which is {factor} · {expert_ids.size[0]} · {expert_ids.size[1]} / "
        "{n_experts} rounded up: "
    )
    return one_wrong("capacity", title, rule, text + say)


def wrong_kept(title: str, rule: Callable[[Tensor, int], Tensor], say: str) -> Mistake:
    """`rule` gives kept (N, K) for expert_ids and the right capacity."""

    def text(a: Attempt) -> str:
        at = first_difference(a.got["kept"], a.expected["kept"])
        verb = "is kept" if a.got["kept"][at] else "is not kept"
        who = f"Choice {at[1]} of token {at[0]}, expert {int(a.args[0][at])}, {verb}"
        return f"{who}; capacity {int(a.expected['capacity'])}: {say}"

    return one_wrong("kept", title, lambda ids, e, factor: rule(ids, places(ids, e, factor)), text)


def column_by_column(expert_ids: Tensor, capacity: int) -> Tensor:
    return torch.cat([room(column[:, None], capacity) for column in expert_ids.t()], dim=1)


def by_expert(expert_ids: Tensor, capacity: int) -> Tensor:
    """The right answers, left in the order of the experts."""
    order = expert_ids.flatten().argsort(stable=True)
    return room(expert_ids, capacity).flatten()[order].view_as(expert_ids)


def others_of_the_same(a: Attempt) -> bool:
    """Each expert keeps as many as it should, but others."""
    ids, got, expected = a.args[0], a.got["kept"], a.expected["kept"]
    if got.dtype != torch.bool or got.shape != ids.shape or a.right("kept"):
        return False
    return torch.equal(ids[got].sort().values, ids[expected].sort().values)


MISTAKES = (
    room_for("A rounding error adds a place", lambda i, e, f: math.ceil(f * i.numel() / e), "1.1 · 100 / 10 is a "
             "little more than 11 in floating point, and `ceil` takes it for more. Round to a few digits first."),
    room_for("A rounding error adds a place", lambda i, e, f: math.ceil(f * (i.numel() / e)), "1.1 · 50 is a little "
             "more than 55 in floating point, and `ceil` takes it for more. Round to a few digits first, in whichever "
             "order you multiply."),
    *(room_for("Rounded too coarsely before `ceil`", lambda i, e, f, d=digits: math.ceil(round(f * i.numel() / e, d)),
               "a number that truly is a little above a whole one needs a place more. Round away the last digits only: "
               "six decimals will do.") for digits in (1, 2, 3)),
    room_for("Rounded too coarsely before `ceil`", lambda i, e, f: math.ceil(f * i.numel() / e - 0.1), "taking "
             "something off first loses a place where the number truly is a little above a whole one. "
             "`round(value, 6)` takes off the error alone."),
    room_for("Rounded down", lambda i, e, f: int(round(f * i.numel() / e, 6)), "rounded down, even a perfectly fair "
             "choice may not find room. `math.ceil` rounds up."),
    room_for("Rounded to the nearest", lambda i, e, f: round(f * i.numel() / e), "half of the time that is down. "
             "`math.ceil` rounds up."),
    room_for("The fair share is rounded first", lambda i, e, f: up(f * math.ceil(i.numel() / e)), "multiply "
             "first, round once, at the end."),
    room_for("The fair share is rounded first", lambda i, e, f: up(f * (i.numel() // e)), "`//` rounds the fair share "
             "down before the factor comes. Round once, at the end."),
    room_for("K is forgotten", lambda i, e, f: up(f * len(i) / e), "there are N · K choices to be placed, not N."),
    room_for("The factor is forgotten", lambda i, e, f: math.ceil(i.numel() / e), "this is the fair share; `factor` "
             "makes room beyond it."),
    room_for("Not divided among the experts", lambda i, e, f: up(f * i.numel()), "this is room for all choices at "
             "*each* expert: divide by E."),
    room_for("Divided by the experts that were chosen", lambda i, e, f: up(f * i.numel() / len(i.unique())), "E counts "
             "all experts, also those that nobody chose."),
    room_for("Divided by the experts that were chosen", lambda i, e, f: up(f * i.numel() / (int(i.max()) + 1)), "E is "
             "`n_experts`, also where the last ones were not chosen."),
    room_for("Of the fullest expert, not of the fair share",
             lambda i, e, f: up(f * int(torch.bincount(i.flatten()).max())), "capacity is fixed *before* anyone "
             "chooses: it comes from N · K / E alone."),
    room_for("Rounded down, and one more", lambda i, e, f: int(round(f * i.numel() / e, 6)) + 1, "a whole number needs "
             "no rounding, and no place more."),
    wrong_kept("One too many finds room", lambda i, c: room(i, c + 1), "an expert takes `capacity` choices. If you "
               "count from 0, the last to find room has number capacity − 1."),
    wrong_kept("One too few finds room", lambda i, c: room(i, c - 1), "an expert takes `capacity` choices. A running "
               "count that includes the choice itself begins at 1."),
    wrong_kept("First choices came first", lambda i, c: room(i, c, by_choice(i)), "you placed all first choices before "
               "any second one, as GShard does. Asked is place n · K + j: token by token."),
    wrong_kept("Each column has a count of its own", column_by_column, "the K columns share the experts' places. Count "
               "over `expert_ids.flatten()`, not down each column."),
    wrong_kept("In the order of the experts, not of the places", by_expert, "sorted by expert the counting is right, "
               "but True and False have to go back to the places where the choices came from."),
    wrong_kept("A token loses all its choices at once", lambda i, c: whole_tokens(room(i, c)), "one of its choices "
               "found no room, and the others are dropped with it. Each choice stands for itself."),
    wrong_kept("A token with one place keeps all", lambda i, c: room(i, c).any(dim=1, keepdim=True).expand_as(i), "one "
               "of its choices found room, and the others are kept with it. Each choice stands for itself."),
    wrong_kept("True where dropped", lambda i, c: ~room(i, c), "`kept` is True where a choice finds room."),
    wrong_kept("The last come first", lambda i, c: room(i, c, list(reversed(range(i.numel())))), "earlier places come "
               "first: yours fills the experts from the end of the text."),
    wrong_kept("The first tokens, whatever they chose", lambda i, c: (torch.arange(i.numel()) < c).view_as(i), "each "
               "expert has places of its own. Count a choice's number *among the choices of its expert*."),
    wrong_kept("The first tokens, whatever they chose", lambda i, c: (torch.arange(len(i)) < c)[:, None].expand_as(i),
               "each expert has places of its own. Count a choice's number *among the choices of its expert*."),
    wrong_kept("A full expert loses everybody", lambda i, c: torch.bincount(i.flatten())[i] <= c, "an expert with too "
               "many choices keeps the first `capacity` of them."),
    sign("Equal experts out of order", others_of_the_same, "Every expert keeps as many choices as it should, but not "
         "its first ones. Were the places sorted by expert? A plain `argsort` promises nothing about equals; "
         "`stable=True` keeps them in the order of the places."),
)  # fmt: skip

KEEP_WITHIN_CAPACITY = Exercise(
    id="7.1", name="keep_within_capacity", parameters=("expert_ids", "n_experts", "factor"), sizes="NKE",
    outputs=(Output("capacity", whole=True), Output("kept", "N, K")), reference=within, cases=cases, mistakes=MISTAKES,
    drawn=DRAWN,
    hints=(
        "Lay the choices out as one row, place by place. For each of them you need one number: how many earlier "
        "places chose the same expert.",
        "Compared with `torch.arange(n_experts)`, every place has a row with one True; `cumsum` down the rows counts "
        "along. `math.ceil(round(value, 6))` rounds up what is meant.",
    ),
    minutes=12, lines="about 7 lines",
    done="The rule of Switch Transformers: a fixed number of places, first come, first served.",
)  # fmt: skip
