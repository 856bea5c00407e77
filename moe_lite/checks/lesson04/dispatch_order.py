"""Exercise 4.2, dispatch_order: the places expert by expert, and how many each expert has."""

import torch
from torch import Tensor

from moe_lite.checks.engine.compare import listed, shape_text
from moe_lite.checks.engine.exercise import FORM, INPUT, REPEAT, Attempt, Case, Exercise, Output, Trial
from moe_lite.checks.engine.inputs import note
from moe_lite.checks.engine.mistakes import one_of, seen
from moe_lite.checks.lesson04.tokens import all_to, busy_choices

SHARE = torch.float64


def reference(expert_ids: Tensor, n_experts: int) -> tuple[Tensor, Tensor]:
    """expert_ids (N, K) -> order (N·K,) int64, counts (E,) int64."""
    flat = expert_ids.flatten()  # (N·K,)
    places = [(flat == e).nonzero()[:, 0] for e in range(n_experts)]  # E of (n,)
    return torch.cat(places), torch.tensor([len(part) for part in places])


def cases() -> tuple[Case, ...]:
    plain = (_random(1, 7, 4, 2), _random(2, 11, 5, 3), _random(3, 9, 6, 4))
    silent = (_random(4, 8, 7, 2, (0, 3)), _random(5, 6, 8, 3, (6, 7)))
    edges = (_random(6, 9, 5, 1), _made(7, all_to((2,), 6), 4), _made(8, all_to((3, 1), 7), 5))
    many = (_random(9, 60, 6, 2),)  # so many equals that a sort which may exchange them does
    both = ("order", "counts")
    return (
        Case("shapes and types", plain, (FORM,)),
        Case("input unchanged, no memory", plain[:1], (INPUT, REPEAT)),
        Case("order", (*plain, *many), ("order",)),
        Case("counts", (*plain, *many), ("counts",)),
        Case("experts without tokens", silent, both),
        Case("K = 1; all tokens alike", edges, both),
    )


def _random(seed: int, n_tokens: int, n_experts: int, k: int, silent: tuple[int, ...] = ()) -> Trial:
    return _made(seed, busy_choices(seed, n_tokens, n_experts, k, silent), n_experts)


def _made(seed: int, expert_ids: Tensor, n_experts: int) -> Trial:
    return Trial((expert_ids, n_experts), note(seed, torch.int64))


def _order(expert_ids: Tensor, n_experts: int) -> Tensor:
    return reference(expert_ids, n_experts)[0]


def _counts(expert_ids: Tensor, n_experts: int) -> Tensor:
    return reference(expert_ids, n_experts)[1]


def _is_permutation(attempt: Attempt) -> bool:
    """`order` has every place once."""
    got = attempt.got["order"]
    whole = got.dim() == 1 and not got.is_floating_point() and got.numel() == attempt.args[0].numel()
    return whole and torch.equal(got.sort().values.long(), torch.arange(len(got)))


def _experts_met(attempt: Attempt) -> Tensor:
    """The experts in the order in which `order` comes to them. (N·K,)"""
    return attempt.args[0].flatten()[attempt.got["order"].long()]


def _unstable(attempt: Attempt) -> bool:
    """Expert by expert, but within an expert not rising."""
    wrong = not attempt.right("order") and _is_permutation(attempt)
    return wrong and bool((_experts_met(attempt).diff() >= 0).all())


def _unstable_sentence(attempt: Attempt) -> str:
    met, got = _experts_met(attempt), attempt.got["order"]
    expert = next(e for e in met.unique().tolist() if (got[met == e].diff() < 0).any())
    mine = got[met == expert].tolist()
    return (
        f"Expert by expert, but expert {expert} has the places {_few(mine)}; rising they are {_few(sorted(mine))}. A "
        "plain sort promises nothing about equals; a stable one keeps them in order."
    )


def _few(places: list[int]) -> str:
    return ", ".join(map(str, places[:5])) + (", …" if len(places) > 5 else "")


def _descending(attempt: Attempt) -> bool:
    wrong = not attempt.right("order") and _is_permutation(attempt)
    return wrong and bool((_experts_met(attempt).diff() <= 0).all())


def _each_token_alone(attempt: Attempt) -> bool:
    return attempt.got["order"].shape == attempt.args[0].shape and attempt.args[0].shape[1] > 1


def _by_choice(expert_ids: Tensor, n_experts: int) -> Tensor:
    """Places counted choice by choice: all first choices, then all second ones."""
    return expert_ids.T.flatten().argsort(stable=True)


def _begin(name: str) -> object:
    """`order` begins 3, 6 and 8, expected 0, 3 and 5."""

    def text(attempt: Attempt) -> str:
        got, expected = attempt.got[name].flatten()[:3].tolist(), attempt.expected[name][:3].tolist()
        return f"`{name}` begins with {listed(got)}, expected {listed(expected)}"

    return text


def _told(name: str, sentence: str) -> object:
    begin = _begin(name)
    return lambda attempt: f"{begin(attempt)}: {sentence}"


def _about_order(title: str, rule: object, sentence: str) -> object:
    return one_of("order", title, rule, _told("order", sentence), other_shape=True)


def _about_counts(title: str, rule: object, sentence: str) -> object:
    return one_of("counts", title, rule, _told("counts", sentence), other_shape=True)


def _last_cut_off(expert_ids: Tensor, n_experts: int) -> Tensor:
    return _counts(expert_ids, n_experts)[: int(expert_ids.max()) + 1]


def _seen_only(expert_ids: Tensor, n_experts: int) -> Tensor:
    counts = _counts(expert_ids, n_experts)
    return counts[counts > 0]


def _counts_long(attempt: Attempt) -> str:
    return f"`counts` has {attempt.got['counts'].numel()} entries, there are {attempt.args[1]} experts"


MISTAKES = (
    seen("Each token was sorted by itself", _each_token_alone, lambda a:
         f"`order` is {shape_text(a.got['order'])}: sorted within each row. Lay all N·K choices out in one row first: "
         "`flatten`.", show="order"),
    _about_order("Places are counted choice by choice", _by_choice, "all first choices were laid out, then all second "
                 "ones. Token n's choice j is place n·K + j: flatten row by row, without transposing."),
    _about_order("Tokens, not places", lambda ids, n: _order(ids, n) // ids.shape[1], "these are the tokens, `order // "
                 "K`. Keep the places: they also say which of the token's weights is meant."),
    _about_order("The number of the choice, not the place", lambda ids, n: _order(ids, n) % ids.shape[1], "these are "
                 "the columns, `order % K`. Keep the places: they say token and column."),
    _about_order("The permutation the wrong way round", lambda ids, n: _order(ids, n).argsort(), "yours says for each "
                 "place where it goes. `order` says for each sorted row where it comes from: sort once, not twice."),
    _about_order("Experts, not places", lambda ids, n: ids.flatten().sort().values, "these are the sorted expert "
                 "numbers. Asked is where each stood before: the indices that sorting gives."),
    _about_order("Nothing is sorted", lambda ids, n: torch.arange(ids.numel()), "the places stand as they came."),
    _about_order("Only the first choices are sorted", lambda ids, n: _order(ids[:, :1], n), "there is one place a "
                 "token. Each of a token's K choices is a place of its own."),
    seen("The last expert comes first", _descending, lambda a:
         f"{_begin('order')(a)}: it starts with expert {int(_experts_met(a)[0])}. Expert 0 comes first: sort "
         "ascending.",
         show="order"),
    seen("Within an expert, places do not rise", _unstable, _unstable_sentence, show="order"),
    one_of("counts", "The last experts are cut off", _last_cut_off, lambda a:
           f"{_counts_long(a)}: counting stopped at the highest number that was chosen. `minlength` says how many "
           "there are.", other_shape=True),
    one_of("counts", "Silent experts are missing", _seen_only, lambda a:
           f"{_counts_long(a)}: those that nobody chose are left out. They count 0, and have a slice of 0 rows.",
           other_shape=True),
    _about_counts("Running sums, not counts", lambda ids, n: _counts(ids, n).cumsum(0), "each entry holds all before "
                  "it as well: these are the ends of the slices."),
    _about_counts("Starts, not counts", lambda ids, n: _counts(ids, n).cumsum(0) - _counts(ids, n), "these are the "
                  "places at which the slices start. Asked is how many rows each has."),
    _about_counts("Only the first choices are counted", lambda ids, n: _counts(ids[:, :1], n), "the counts sum to N. "
                  "Every one of the N·K choices is a row for some expert."),
    _about_counts("Each expert counts at most once", lambda ids, n: _counts(ids, n).clamp(max=1), "an assignment such "
                  "as `counts[ids] = …` or `counts[ids] += 1` writes once for equal indices."),
    _about_counts("Choices of a token, not of an expert", lambda ids, n: torch.full((len(ids),), ids.shape[1]),
                  "these are counts for each token. Asked is how often each expert was chosen."),
    _about_counts("Shares, not counts", lambda ids, n: _counts(ids, n).to(SHARE) / ids.numel(), "yours sum to 1. A "
                  "count is a whole number of rows."),
    _about_counts("Sorted by size", lambda ids, n: _counts(ids, n).sort(descending=True).values, "entry e belongs to "
                  "expert e, whatever its size."),
)  # fmt: skip

DISPATCH_ORDER = Exercise(
    id="4.2",
    name="dispatch_order",
    parameters=("expert_ids", "n_experts"),
    sizes="NKE",
    outputs=(Output("order", "N·K,"), Output("counts", "E,", expert_columns=True)),
    reference=reference,
    cases=cases,
    mistakes=MISTAKES,
    hints=(
        "Lay the choices out in one row, token by token. Sorting this row brings equal experts together; what you keep "
        "is not the sorted numbers, but where each came from.",
        "Two lines after `flatten`: one `argsort`, told to be stable; one `bincount`, told with `minlength` how many "
        "experts there are.",
    ),
    minutes=10,
    lines="about 4 lines",
    done="One permutation and E numbers: all that is needed to send every token to its experts.",
)
