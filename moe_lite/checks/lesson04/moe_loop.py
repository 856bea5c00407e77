"""Exercise 4.1, moe_loop: each expert in turn, on the tokens that chose it."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.exercise import Attempt, Case, Drawn, Exercise, Output, Trial
from moe_lite.checks.engine.inputs import F32, F64, note
from moe_lite.checks.engine.mistakes import sign
from moe_lite.checks.engine.say import Sentence
from moe_lite.checks.lesson04.slips import last_expert_wins, of_form, of_y, wrong_weights
from moe_lite.checks.lesson04.tokens import (
    CALLS,
    all_to,
    busy_choices,
    expert_list,
    normal,
    typed,
    weights_like,
    with_a_zero,
)

Experts = Sequence[Callable[[Tensor], Tensor]]


def reference(x: Tensor, weights: Tensor, expert_ids: Tensor, experts: Experts) -> Tensor:
    """x (N, D), weights and expert_ids (N, K) -> y (N, D)."""
    y = torch.zeros_like(x)  # (N, D)
    for e, expert in enumerate(experts):
        token, choice = (expert_ids == e).nonzero(as_tuple=True)  # (n,), (n,)
        y = y.index_add(0, token, expert(x[token]) * weights[token, choice, None])
    return y


# ---- inputs ----------------------------------------------------------------------------------------------------------


def cases() -> tuple[Case, ...]:
    plain = (random(1, 7, 5, 4, 2), random(2, 11, 6, 5, 3), random(3, 9, 3, 6, 4))
    silent = (random(4, 8, 5, 7, 2, (0, 4)), random(5, 7, 4, 6, 3, (5,)))
    ends = (random(6, 9, 4, 5, 1), trial(7, all_to((2,), 6), 5, 4), trial(8, all_to((3, 0), 7), 4, 5))
    other = random(11, 7, 5, 4, 2)  # the shape of the first, other values: nothing may be left over
    form, through = (plain[0], typed(plain[1], F32), plain[2]), (*plain[:2], silent[0], with_a_zero(plain[2]))
    first, last = inputs.usual(form, plain, gradient=(0, 1), through=through)
    return (
        *first,
        Case("weighted sums", (*plain, other), ("y",)),
        Case("experts without tokens", silent, ("y",)),
        Case("K = 1; all tokens alike", ends, ("y",)),
        Case("own rows only, in one call", (*plain, *silent, *ends), ("rows", "calls")),
        *last,
    )


def random(seed: int, n_tokens: int, width: int, n_experts: int, k: int, silent: tuple[int, ...] = ()) -> Trial:
    return trial(seed, busy_choices(seed, n_tokens, n_experts, k, silent), width, n_experts)


def trial(seed: int, expert_ids: Tensor, width: int, n_experts: int) -> Trial:
    x = normal(seed, len(expert_ids), width)
    return Trial((x, weights_like(seed, expert_ids), expert_ids, expert_list(n_experts)), note(seed, F64))


def drawn(seed: int, N: int, D: int, K: int, E: int) -> tuple:
    x, expert_ids = inputs.distinct(2 * seed, N, D), inputs.choices(seed, N, E, K)
    return x, inputs.distinct(2 * seed + 1, N, K), expert_ids, expert_list(E, rows_only=True)


def extremes(seed: int) -> tuple[Trial, ...]:
    x, weights, expert_ids, experts = drawn(seed, 7, 5, 2, 4)
    return (
        Trial((torch.zeros_like(x), weights, expert_ids, experts), "x all 0"),
        Trial((x, torch.zeros_like(weights), expert_ids, experts), "weights all 0"),
        Trial((x, weights * 1e9, expert_ids, experts), "very large weights"),
    )


DRAWN = Drawn(drawn, {"N": 7, "D": 5, "K": 2, "E": 4}, at_most=(("K", "E"),), gradient=(0, 1), extremes=extremes)


# ---- mistakes --------------------------------------------------------------------------------------------------------


def weighed(rule: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    """The answer with other weights (N, K) than those given."""
    return lambda x, w, ids, experts: reference(x, rule(w), ids, experts)


def only(kept: slice) -> Callable[..., Tensor]:
    """The answer of some experts alone."""

    def rule(x: Tensor, weights: Tensor, expert_ids: Tensor, experts: Experts) -> Tensor:
        counts = torch.isin(expert_ids, torch.arange(len(experts))[kept])  # (N, K)
        return reference(x, weights * counts, expert_ids, experts)

    return rule


def weighed_before(x: Tensor, weights: Tensor, expert_ids: Tensor, experts: Experts) -> Tensor:
    y = torch.zeros_like(x)
    for e, expert in enumerate(experts):
        token, choice = (expert_ids == e).nonzero(as_tuple=True)
        y = y.index_add(0, token, expert(x[token] * weights[token, choice, None]))
    return y


def by_place(x: Tensor, weights: Tensor, expert_ids: Tensor, experts: Experts) -> Tensor:
    return reference(x, weights, torch.arange(weights.shape[1]).expand_as(expert_ids), experts)


def work(a: Attempt) -> tuple[Tensor, Tensor, Tensor]:
    """Rows computed, calls, and rows needed, of each expert (E,)."""
    return a.got["rows"], a.got["calls"], a.expected["rows"]


def all_on_all(a: Attempt) -> bool:
    rows, _, needed = work(a)
    return bool((rows >= len(a.args[0])).all()) and not torch.equal(rows, needed)


def too_many_rows(a: Attempt) -> bool:
    rows, _, needed = work(a)
    return bool((rows > needed).any())


def call_by_call(a: Attempt) -> bool:
    rows, calls, _ = work(a)
    return several_calls(a) and torch.equal(calls, rows)


def several_calls(a: Attempt) -> bool:
    rows, calls, needed = work(a)
    return torch.equal(rows, needed) and bool((calls > 1).any())


def of_busiest(advice: str) -> Sentence:
    """What the expert that was called most was called for."""

    def sentence(a: Attempt) -> str:
        rows, calls, _ = work(a)
        e = int(calls.argmax())
        return f"Expert {e} was called {calls[e]} times for {rows[e]} rows. {advice}"

    return sentence


ROWS = "{rows.sum} rows went through experts, but only {right.rows.sum} are needed"

MISTAKES = (
    *of_form(),
    of_y("Nothing was written", lambda x, *_: torch.zeros_like(x), "all of `y` is 0. `index_add` without an underscore "
         "gives a new tensor, and `y[rows].add_(…)` writes to a copy: keep what you get."),
    of_y("The second expert overwrites the first", lambda x, w, ids, experts: reference(x, last_expert_wins(w, ids),
         ids, experts), "a token has one expert's answer only, the one with the highest number, that came last. Add to "
         "its row instead: `index_add`, or `+=`."),
    *wrong_weights(weighed, {
        "Only the last choice is left": "a token has the answer of its last choice only. The answers of all K choices "
            "are added.",
        "Only the first choice counts": "a token has the answer of its first choice only. Look for the expert in all K "
            "columns of `expert_ids`.",
        "The weights are missing": "answers are added as they are. Each is multiplied by the weight of its choice "
            "first.",
        "The weights are applied twice": "each answer is multiplied by its weight squared.",
        "The weight of the first choice for all": "every answer of a token is multiplied by `weights[n, 0]`. Keep the "
            "column in which the expert was found: it names the weight.",
        "The weight of the last choice for all": "every answer of a token is multiplied by its last weight. Keep the "
            "column in which the expert was found: it names the weight.",
        "All weights of the token at once": "an answer is multiplied by the sum of the token's K weights. Only the "
            "weight of the column in which the expert was found belongs to it.",
        "The mean of the token's weights": "every answer of a token has the same weight. Keep the column in which the "
            "expert was found: it names the weight.",
        "The weights are in the opposite order": "choice j has the weight of another choice of the same token.",
        "A weight of another token": "the weights laid out in a row were looked up by the token's number. Token n's "
            "choice j stands at place n·K + j.",
        "The weights were normalised": "a token's weights were divided by their sum. Take them as they come: whether "
            "they sum to 1 is the router's job.",
        "Divided by the number of choices": "a mean over the choices, where a sum is due: the weights say how much "
            "each counts.",
    }),
    of_y("Weighted before the expert", weighed_before, "the weight multiplies what goes in. It belongs to what comes "
         "out: an expert is not linear, so it makes a difference."),
    of_y("Place j instead of expert `expert_ids[:, j]`", by_place, "choice j went to expert j. `expert_ids` names the "
         "expert."),
    of_y("The token itself is added", lambda x, *rest: x + reference(x, *rest), "`x` is in the sum as well. Keeping it "
         "is the job of the block around the layer."),
    of_y("The last expert is left out", only(slice(0, -1)), "tokens lack the answer of the last expert: does the loop "
         "end one too early?"),
    of_y("The first expert is left out", only(slice(1, None)), "tokens lack the answer of expert 0: does the loop "
         "begin one too late, or is 0 taken for nothing?"),
    of_y("All experts are added up", lambda x, w, ids, experts: sum(expert(x) for expert in experts), "each token has "
         "the answers of all experts, chosen or not, without weights."),
    sign("Every expert computes every token", all_on_all, ROWS + ": {rows.size[0]} experts times {x.size[0]} tokens, "
         "most of them for nothing. Pick an expert's tokens before you call it.", show="rows"),
    sign("More rows than chose the expert", too_many_rows, ROWS + ", N times K.", show="rows"),
    sign("One call for each row", call_by_call, of_busiest("One call with all of them does the same work in one "
         "product: loop over experts, not tokens."), show="calls"),
    sign("Several calls of one expert", several_calls, of_busiest("One call can take all its tokens: look for it in "
         "all K columns at once."), show="calls"),
)  # fmt: skip

MOE_LOOP = Exercise(
    id="4.1", name="moe_loop", parameters=("x", "weights", "expert_ids", "experts"), sizes="NDKE",
    outputs=(Output("y", "N, D"),), reference=reference, cases=cases, mistakes=MISTAKES, watch=CALLS,
    drawn=DRAWN,
    hints=(
        "Turn the question around: not which experts a token has, but which tokens an expert has, and in which of "
        "the K columns it stands for each. The column is what tells you the weight.",
        "For each expert: compare `expert_ids` with its number, `nonzero(as_tuple=True)` gives rows and columns of the "
        "hits; call it with those rows of `x`; multiply by the weights at (row, column), kept as (n, 1); add at those "
        "rows of `y`.",
    ),
    minutes=12, lines="about 6 lines",
    done="N · K rows of work, however many experts there are. This loop is the reference for all that follows.",
)  # fmt: skip
