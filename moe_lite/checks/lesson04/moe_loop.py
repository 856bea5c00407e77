"""Exercise 4.1, moe_loop: each expert in turn, on the tokens that chose it."""

from collections.abc import Callable, Sequence

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
from moe_lite.checks.engine.inputs import note
from moe_lite.checks.engine.mistakes import one_of, seen
from moe_lite.checks.lesson04.tokens import (
    CALLS,
    all_to,
    busy_choices,
    expert_list,
    first_off,
    normal,
    row_a_choice,
    spread,
    turned,
    weights_like,
)

F32, F64 = torch.float32, torch.float64
Experts = Sequence[Callable[[Tensor], Tensor]]


def reference(x: Tensor, weights: Tensor, expert_ids: Tensor, experts: Experts) -> Tensor:
    """x (N, D), weights and expert_ids (N, K) -> y (N, D)."""
    y = torch.zeros_like(x)  # (N, D)
    for e, expert in enumerate(experts):
        token, choice = (expert_ids == e).nonzero(as_tuple=True)  # (n,), (n,)
        y = y.index_add(0, token, expert(x[token]) * weights[token, choice, None])
    return y


def cases() -> tuple[Case, ...]:
    plain = (_random(1, 7, 5, 4, 2), _random(2, 11, 6, 5, 3), _random(3, 9, 3, 6, 4))
    types = (plain[0], _typed(plain[1], F32), plain[2])
    silent = (_random(4, 8, 5, 7, 2, (0, 4)), _random(5, 7, 4, 6, 3, (5,)))
    single = (_random(6, 9, 4, 5, 1), _made(7, all_to((2,), 6), 5, 4), _made(8, all_to((3, 0), 7), 4, 5))
    other = _random(11, 7, 5, 4, 2)  # the shape of the first, other values: nothing may be left over
    gradient = tuple(Trial(t.args, t.note, gradient=(0, 1)) for t in (*plain[:2], silent[0]))
    return (
        Case("shapes and types", types, (FORM,)),
        Case("input unchanged, no memory", plain[:1], (INPUT, REPEAT)),
        Case("weighted sums", (*plain, other), ("y",)),
        Case("experts without tokens", silent, ("y",)),
        Case("K = 1; all tokens alike", single, ("y",)),
        Case("own rows only, in one call", (*plain, *silent, *single), ("rows", "calls")),
        Case("gradient", gradient, (GRADIENT,)),
    )


def _random(seed: int, n_tokens: int, width: int, n_experts: int, k: int, silent: tuple[int, ...] = ()) -> Trial:
    return _made(seed, busy_choices(seed, n_tokens, n_experts, k, silent), width, n_experts)


def _made(seed: int, expert_ids: Tensor, width: int, n_experts: int) -> Trial:
    x = normal(seed, len(expert_ids), width)
    return Trial((x, weights_like(seed, expert_ids), expert_ids, expert_list(n_experts)), note(seed, F64))


def _typed(trial: Trial, dtype: torch.dtype) -> Trial:
    x, weights, *rest = trial.args
    return Trial((x.to(dtype), weights.to(dtype), *rest), trial.note.replace("float64", str(dtype)[6:]))


def _answers(x: Tensor, experts: Experts) -> Tensor:
    """What every expert says to every token, (E, N, D)."""
    return torch.stack([expert(x) for expert in experts])


def _weighed(rule: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """A rule that takes other weights (N, K) than those given; the rest is right."""
    return lambda x, w, ids, experts: _summed(x, rule(w, ids), ids, experts)


def _summed(x: Tensor, weights: Tensor, expert_ids: Tensor, experts: Experts) -> Tensor:
    matrix = spread(weights, expert_ids, len(experts))  # (N, E)
    return (matrix.T[:, :, None] * _answers(x, experts)).sum(dim=0)


def _from(experts_kept: slice) -> Callable[..., Tensor]:
    """A rule that leaves some experts out."""

    def rule(x: Tensor, weights: Tensor, expert_ids: Tensor, experts: Experts) -> Tensor:
        kept = torch.zeros(len(experts), dtype=torch.bool)
        kept[experts_kept] = True
        return _summed(x, weights * kept[expert_ids], expert_ids, experts)

    return rule


def _last_expert_wins(weights: Tensor, expert_ids: Tensor) -> Tensor:
    """A loop over experts that writes where it should add."""
    return weights * (expert_ids == expert_ids.amax(dim=1, keepdim=True))


def _last_choice_wins(weights: Tensor, expert_ids: Tensor) -> Tensor:
    """A loop over choices that writes where it should add, or one that looks at the last choice alone."""
    return weights * (torch.arange(weights.shape[1]) == weights.shape[1] - 1)


def _first_choice_only(weights: Tensor, expert_ids: Tensor) -> Tensor:
    return weights * (torch.arange(weights.shape[1]) == 0)


def _numbered_by_token(weights: Tensor, expert_ids: Tensor) -> Tensor:
    """Token n weighed by place n of all weights laid out in a row."""
    return weights.flatten()[: len(weights), None].expand_as(weights)


def _before_experts(x: Tensor, weights: Tensor, expert_ids: Tensor, experts: Experts) -> Tensor:
    y = torch.zeros_like(x)
    for e, expert in enumerate(experts):
        token, choice = (expert_ids == e).nonzero(as_tuple=True)
        y = y.index_add(0, token, expert(x[token] * weights[token, choice, None]))
    return y


def _by_place(x: Tensor, weights: Tensor, expert_ids: Tensor, experts: Experts) -> Tensor:
    places = torch.arange(weights.shape[1]).expand_as(expert_ids)
    return _summed(x, weights, places, experts)


def _y(title: str, rule: Callable[..., Tensor], sentence: str) -> Mistake:
    """A mistake recognised by y's numbers, whatever was computed on the way; told with the first row that differs."""
    return one_of("y", title, rule, lambda a: f"{first_off(a)}: {sentence}")


def _k_rows(attempt: Attempt) -> bool:
    return row_a_choice(attempt, attempt.args[1].shape[1])


def _work(attempt: Attempt) -> tuple[Tensor, Tensor, Tensor]:
    """Rows computed, calls, and rows needed, of each expert (E,)."""
    return attempt.got["rows"], attempt.got["calls"], attempt.expected["rows"]


def _all_on_all(attempt: Attempt) -> bool:
    rows, _, needed = _work(attempt)
    return bool((rows >= len(attempt.args[0])).all()) and not torch.equal(rows, needed)


def _all_on_all_sentence(attempt: Attempt) -> str:
    rows, _, needed = _work(attempt)
    return (
        f"{int(rows.sum())} rows went through experts, needed are {int(needed.sum())}: {len(rows)} experts times "
        f"{len(attempt.args[0])} tokens, most of them for nothing. Pick an expert's tokens before you call it."
    )


def _too_many_rows(attempt: Attempt) -> bool:
    rows, _, needed = _work(attempt)
    return bool((rows > needed).any())


def _busiest(attempt: Attempt) -> int:
    """The expert that was called most."""
    return int(attempt.got["calls"].argmax())


def _call_by_call(attempt: Attempt) -> bool:
    rows, calls, needed = _work(attempt)
    return torch.equal(rows, needed) and torch.equal(calls, rows) and bool((calls > 1).any())


def _several_calls(attempt: Attempt) -> bool:
    rows, calls, needed = _work(attempt)
    return torch.equal(rows, needed) and bool((calls > 1).any())


def _calls_sentence(rest: str) -> Callable[[Attempt], str]:
    def sentence(attempt: Attempt) -> str:
        e = _busiest(attempt)
        calls, rows = int(attempt.got["calls"][e]), int(attempt.got["rows"][e])
        return f"Expert {e} was called {calls} times for {rows} rows. {rest}"

    return sentence


MISTAKES = (
    seen("Rows and columns have changed places", turned, lambda a:
         f"`y` is {shape_text(a.got['y'])}; one row a token is expected, {shape_text(a.expected['y'])}."),
    seen("A row for each choice", _k_rows, lambda a:
         f"`y` is {shape_text(a.got['y'])}: the K answers of a token still stand apart. They are added into its one "
         f"row, {shape_text(a.expected['y'])}."),
    _y("Nothing was written", lambda x, *_: torch.zeros_like(x), "all of `y` is 0. `index_add` without an underscore "
       "gives a new tensor, and `y[rows].add_(…)` writes to a copy: keep what you get."),
    _y("The second expert overwrites the first", _weighed(_last_expert_wins), "a token has one expert's answer only, "
       "the one with the highest number, that came last. Add to its row instead: `index_add`, or `+=`."),
    _y("Only the last choice is left", _weighed(_last_choice_wins), "a token has the answer of its last choice only. "
       "The answers of all K choices are added."),
    _y("Only the first choice counts", _weighed(_first_choice_only), "a token has the answer of its first choice only. "
       "Look for the expert in all K columns of `expert_ids`."),
    _y("The weights are missing", _weighed(lambda w, ids: torch.ones_like(w)), "answers are added as they are. Each is "
       "multiplied by the weight of its choice first."),
    _y("The weights are applied twice", _weighed(lambda w, ids: w * w), "each answer is multiplied by its weight "
       "squared."),
    _y("The weight of the first choice for all", _weighed(lambda w, ids: w[:, :1].expand_as(w)), "every answer of a "
       "token is multiplied by `weights[n, 0]`. Keep the column in which the expert was found: it names the weight."),
    _y("The weight of the last choice for all", _weighed(lambda w, ids: w[:, -1:].expand_as(w)), "every answer of a "
       "token is multiplied by its last weight. Keep the column in which the expert was found: it names the weight."),
    _y("All weights of the token at once", _weighed(lambda w, ids: w.sum(dim=1, keepdim=True).expand_as(w)), "an "
       "answer is multiplied by the sum of the token's K weights. Only the weight of the column in which the expert "
       "was found belongs to it."),
    _y("The mean of the token's weights", _weighed(lambda w, ids: w.mean(dim=1, keepdim=True).expand_as(w)), "every "
       "answer of a token has the same weight. Keep the column in which the expert was found: it names the weight."),
    _y("The weights are in the opposite order", _weighed(lambda w, ids: w.flip(1)), "choice j has the weight of "
       "another choice of the same token."),
    _y("A weight of another token", _weighed(_numbered_by_token), "the weights laid out in a row were looked up by the "
       "token's number. Token n's choice j stands at place n·K + j."),
    _y("The weights were normalised", _weighed(lambda w, ids: w / w.sum(dim=1, keepdim=True)), "a token's weights were "
       "divided by their sum. Take them as they come: whether they sum to 1 is the router's affair."),
    _y("Divided by the number of choices", _weighed(lambda w, ids: w / w.shape[1]), "a mean over the choices, where a "
       "sum is due: the weights say how much each counts."),
    _y("Weighted before the expert", _before_experts, "the weight multiplies what goes in. It belongs to what comes "
       "out: an expert is no straight line."),
    _y("Place j instead of expert `expert_ids[:, j]`", _by_place, "choice j went to expert j. `expert_ids` names the "
       "expert."),
    _y("The token itself is added", lambda x, *rest: x + reference(x, *rest), "`x` is in the sum as well. Keeping it "
       "is the affair of the block around the layer."),
    _y("The last expert is left out", _from(slice(0, -1)), "tokens lack the answer of the last expert: does the loop "
       "end one too early?"),
    _y("The first expert is left out", _from(slice(1, None)), "tokens lack the answer of expert 0: does the loop begin "
       "one too late, or is 0 taken for nothing?"),
    _y("All experts are added up", lambda x, w, ids, experts: _answers(x, experts).sum(dim=0), "each token has the "
       "answers of all experts, chosen or not, without weights."),
    seen("Every expert computes every token", _all_on_all, _all_on_all_sentence, show="rows"),
    seen("More rows than chose the expert", _too_many_rows, lambda a:
         f"{int(a.got['rows'].sum())} rows went through experts, needed are {int(a.expected['rows'].sum())}, N times "
         "K.",
         show="rows"),
    seen("One call for each row", _call_by_call,
         _calls_sentence("One call with all of them does the same work in one product: loop over experts, not tokens."),
         show="calls"),
    seen("Several calls of one expert", _several_calls,
         _calls_sentence("One call can take all its tokens: look for it in all K columns at once."), show="calls"),
)  # fmt: skip

MOE_LOOP = Exercise(
    id="4.1",
    name="moe_loop",
    parameters=("x", "weights", "expert_ids", "experts"),
    sizes="NDKE",
    outputs=(Output("y", "N, D"),),
    reference=reference,
    cases=cases,
    mistakes=MISTAKES,
    hints=(
        "Turn the question around: not which experts a token has, but which tokens an expert has, and in which of "
        "the K columns it stands for each. The column is what tells you the weight.",
        "For each expert: compare `expert_ids` with its number, `nonzero(as_tuple=True)` gives rows and columns of the "
        "hits; call it with those rows of `x`; multiply by the weights at (row, column), kept as (n, 1); add at those "
        "rows of `y`.",
    ),
    minutes=12,
    lines="about 6 lines",
    done="N · K rows of work, however many experts there are. This loop is the reference for all that follows.",
    watch=CALLS,
)
