"""Exercise 4.2, dispatch_order: the places expert by expert, and how many each expert has."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.compare import listed
from moe_lite.checks.engine.exercise import Attempt, Case, Drawn, Exercise, Mistake, Output, Trial
from moe_lite.checks.engine.inputs import F64, note
from moe_lite.checks.engine.mistakes import one_wrong, sign
from moe_lite.checks.lesson04.tokens import all_to, busy_choices


def reference(expert_ids: Tensor, n_experts: int) -> tuple[Tensor, Tensor]:
    """expert_ids (N, K) -> order (N·K,) int64, counts (E,) int64."""
    flat = expert_ids.flatten()  # (N·K,)
    places = [(flat == e).nonzero()[:, 0] for e in range(n_experts)]  # E of (n,)
    return torch.cat(places), torch.tensor([len(part) for part in places])


def order_of(expert_ids: Tensor, n_experts: int) -> Tensor:
    return reference(expert_ids, n_experts)[0]


def counts_of(expert_ids: Tensor, n_experts: int) -> Tensor:
    return reference(expert_ids, n_experts)[1]


# ---- inputs ----------------------------------------------------------------------------------------------------------


def cases() -> tuple[Case, ...]:
    plain = (random(1, 7, 4, 2), random(2, 11, 5, 3), random(3, 9, 6, 4))
    silent = (random(4, 8, 7, 2, (0, 3)), random(5, 6, 8, 3, (6, 7)))
    ends = (random(6, 9, 5, 1), trial(7, all_to((2,), 6), 4), trial(8, all_to((3, 1), 7), 5))
    many = random(9, 60, 6, 2)  # so many equals that a sort which may exchange them does
    first, _ = inputs.usual(plain, plain)
    return (
        *first,
        Case("order", (*plain, many), ("order",)),
        Case("counts", (*plain, many), ("counts",)),
        Case("experts without tokens", silent, ("order", "counts")),
        Case("K = 1; all tokens alike", ends, ("order", "counts")),
    )


def random(seed: int, n_tokens: int, n_experts: int, k: int, silent: tuple[int, ...] = ()) -> Trial:
    return trial(seed, busy_choices(seed, n_tokens, n_experts, k, silent), n_experts)


def trial(seed: int, expert_ids: Tensor, n_experts: int) -> Trial:
    return Trial((expert_ids, n_experts), note(seed, torch.int64))


def drawn(seed: int, N: int, K: int, E: int) -> tuple:
    return inputs.choices(seed, N, E, K), E


DRAWN = Drawn(drawn, {"N": 9, "K": 3, "E": 6}, at_most=(("K", "E"),), thousands=40_001)


# ---- mistakes --------------------------------------------------------------------------------------------------------


def off(output: str, title: str, rule: Callable[[Tensor, int], Tensor], say: str) -> Mistake:
    """Told with how the output begins: "`order` begins with 3, 6 and 8, expected 0, 3 and 5"."""

    def sentence(a: Attempt) -> str:
        return f"{begins(output, a)}: {say}"

    return one_wrong(output, title, rule, sentence, other_shape=True)


def begins(output: str, a: Attempt) -> str:
    got, expected = a.got[output].flatten()[:3].tolist(), a.expected[output][:3].tolist()
    return f"`{output}` begins with {listed(got)}, expected {listed(expected)}"


of_order, of_counts = partial(off, "order"), partial(off, "counts")


def each_token_alone(a: Attempt) -> bool:
    return a.got["order"].shape == a.args[0].shape and a.args[0].shape[1] > 1


def steps(a: Attempt) -> Tensor | None:
    """From expert to expert as a wrong `order` comes to them (N·K − 1,); None if it has not every place once."""
    got = a.got["order"]
    if a.right("order") or got.dim() != 1 or got.is_floating_point() or got.numel() != a.args[0].numel():
        return None
    whole = torch.equal(got.sort().values.long(), torch.arange(len(got)))
    return experts_met(a).diff() if whole else None


def experts_met(a: Attempt) -> Tensor:
    """The experts in the order in which `order` comes to them. (N·K,)"""
    return a.args[0].flatten()[a.got["order"].long()]


def descending(a: Attempt) -> bool:
    found = steps(a)
    return found is not None and bool((found <= 0).all())


def unstable(a: Attempt) -> bool:
    """Expert by expert, but within an expert not rising."""
    found = steps(a)
    return found is not None and bool((found >= 0).all())


def places_of_one(a: Attempt) -> str:
    met, got = experts_met(a), a.got["order"]
    expert = next(e for e in met.unique().tolist() if (got[met == e].diff() < 0).any())
    mine = got[met == expert].tolist()
    return (
        f"Expert by expert, but expert {expert} has the places {few(mine)}; rising they are {few(sorted(mine))}. A "
        "plain sort promises nothing about equals; a stable one keeps them in order."
    )


def few(places: list[int]) -> str:
    return ", ".join(map(str, places[:5])) + (", …" if len(places) > 5 else "")


SHORT = "`counts` has {counts.size[0]} entries, there are {n_experts} experts: "

MISTAKES = (
    sign("Each token was sorted by itself", each_token_alone, "`order` is {order.shape}: sorted within each row. Lay "
         "all N·K choices out in one row first: `flatten`.", show="order"),
    of_order("Places are counted choice by choice", lambda ids, n: ids.T.flatten().argsort(stable=True), "all first "
             "choices were laid out, then all second ones. Token n's choice j is place n·K + j: flatten row by row, "
             "without transposing."),
    of_order("Tokens, not places", lambda ids, n: order_of(ids, n) // ids.shape[1], "these are the tokens, `order // "
             "K`. Keep the places: they also say which of the token's weights is meant."),
    of_order("The number of the choice, not the place", lambda ids, n: order_of(ids, n) % ids.shape[1], "these are the "
             "columns, `order % K`. Keep the places: they say token and column."),
    of_order("The permutation the wrong way round", lambda ids, n: order_of(ids, n).argsort(), "yours says for each "
             "place where it goes. `order` says for each sorted row where it comes from: sort once, not twice."),
    of_order("Experts, not places", lambda ids, n: ids.flatten().sort().values, "these are the sorted expert numbers. "
             "Return where each of them stood before: the indices that sorting gives."),
    of_order("Nothing is sorted", lambda ids, n: torch.arange(ids.numel()), "the places are in their "
             "original order."),
    of_order("Only the first choices are sorted", lambda ids, n: order_of(ids[:, :1], n), "there is one place per "
             "token. Each of a token's K choices is a place of its own."),
    sign("The last expert comes first", descending, lambda a: f"{begins('order', a)}: it starts with expert "
         f"{experts_met(a)[0]}. Expert 0 comes first: sort ascending.", show="order"),
    sign("Within an expert, places do not rise", unstable, places_of_one, show="order"),
    one_wrong("counts", "The last experts are cut off", lambda ids, n: counts_of(ids, int(ids.max()) + 1), SHORT +
              "counting stopped at the highest number that was chosen. `minlength` says how many there are.",
              other_shape=True),
    one_wrong("counts", "Silent experts are missing", lambda ids, n: ids.unique(return_counts=True)[1], SHORT +
              "those that nobody chose are left out. They count 0, and have a slice of 0 rows.", other_shape=True),
    of_counts("Running sums, not counts", lambda ids, n: counts_of(ids, n).cumsum(0), "each entry holds all before it "
              "as well: these are the ends of the slices."),
    of_counts("Starts, not counts", lambda ids, n: counts_of(ids, n).cumsum(0) - counts_of(ids, n), "these are the "
              "places at which the slices start. Return how many rows each expert has."),
    of_counts("Only the first choices are counted", lambda ids, n: counts_of(ids[:, :1], n), "the counts sum to N. "
              "Every one of the N·K choices is a row for some expert."),
    of_counts("Each expert counts at most once", lambda ids, n: counts_of(ids, n).clamp(max=1), "an assignment such as "
              "`counts[ids] = …` or `counts[ids] += 1` writes once for equal indices."),
    of_counts("Choices of a token, not of an expert", lambda ids, n: torch.full((len(ids),), ids.shape[1]), "these are "
              "counts for each token. Return how often each expert was chosen."),
    of_counts("Shares, not counts", lambda ids, n: counts_of(ids, n).to(F64) / ids.numel(), "yours sum to 1. A count "
              "is a whole number of rows."),
    of_counts("Sorted by size", lambda ids, n: counts_of(ids, n).sort(descending=True).values, "entry e belongs to "
              "expert e, whatever its size."),
)  # fmt: skip

DISPATCH_ORDER = Exercise(
    id="4.2", name="dispatch_order", parameters=("expert_ids", "n_experts"), sizes="NKE",
    outputs=(Output("order", "N·K,"), Output("counts", "E,", expert_columns=True)), reference=reference, cases=cases,
    mistakes=MISTAKES,
    drawn=DRAWN,
    hints=(
        "Lay the choices out in one row, token by token. Sorting this row brings equal experts together; what you keep "
        "is not the sorted numbers, but where each came from.",
        "Two lines after `flatten`: one `argsort`, told to be stable; one `bincount`, told with `minlength` how many "
        "experts there are.",
    ),
    minutes=10, lines="about 4 lines",
    done="One permutation and E numbers: all that is needed to send every token to its experts.",
)  # fmt: skip
