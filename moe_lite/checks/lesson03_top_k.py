"""Exercise 3.2, top_k_route: the k best experts and their renormalised weights."""

import torch
from torch import Tensor

from moe_lite.checks import inputs
from moe_lite.checks.compare import close, listed, number, shape_text
from moe_lite.checks.exercise import FORM, GRADIENT, INPUT, REPEAT, Attempt, Case, Exercise, Output, Trial
from moe_lite.checks.mistakes import (
    ids_are_places,
    lowest_kept,
    only_ties_differ,
    row_sums,
    ruled,
    runs_backwards,
    runs_by_number,
    same_experts,
    same_for_all,
    seen,
    spread,
    tie_sentence,
    twice_the_same,
)

F32, F64 = torch.float32, torch.float64


def reference(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """scores (N, E) -> weights (N, k), expert_ids (N, k) int64."""
    kept, expert_ids = best(scores, k)
    return kept / kept.sum(dim=1, keepdim=True), expert_ids


def best(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k best scores of each row as they are, and their experts, by plain sorting of (score, number) pairs."""
    rows = scores.detach().double().tolist()
    order = [sorted(range(len(row)), key=lambda e, row=row: (-row[e], e))[:k] for row in rows]
    expert_ids = torch.tensor(order)  # (N, k)
    return scores.gather(1, expert_ids), expert_ids


def cases() -> tuple[Case, ...]:
    plain = tuple(_random(seed, F64) for seed in (1, 2, 3))
    raw = (_random(4, F64, total=2.5), _random(6, F32, total=0.8))  # rows need not sum to 1
    ties = tuple(_tied(seed) for seed in (1, 2))
    n_tokens, n_experts, _ = inputs.sizes(5)
    edges = tuple(
        Trial((inputs.scores(5, n_tokens, n_experts), k), f"seed 5, float64, k={k}") for k in (1, n_experts)
    )  # fmt: skip
    gradient = Trial((*plain[1].args,), plain[1].note, gradient=(0,))
    return (
        Case("shapes and types", (_random(1, F32), *plain[1:]), (FORM,)),
        Case("input unchanged, no memory", plain[:1], (INPUT, REPEAT)),
        Case("chosen experts", (*plain, _close()), ("expert_ids",)),
        Case("weights", plain + raw, ("weights",)),
        Case("ties", ties, ("expert_ids", "weights")),
        Case("k = 1 and k = E", edges, ("weights", "expert_ids")),
        Case("zeros, large scores", (_one_each(7), _random(8, F64, total=3e6)), ("weights", "expert_ids")),
        Case("gradient", (gradient,), (GRADIENT,)),
    )


def _random(seed: int, dtype: torch.dtype, total: float = 1.0) -> Trial:
    n_tokens, n_experts, k = inputs.sizes(seed)
    return Trial((inputs.scores(seed, n_tokens, n_experts, dtype, total), k), inputs.note(seed, dtype))


def _close() -> Trial:
    """Scores that are close and not equal: rounding or nudging them changes who is first."""
    rows = [[0.30010, 0.10000, 0.30013, 0.29977], [0.20002, 0.20001, 0.20003, 0.39994], [0.1, 0.4, 0.09999, 0.40001]]
    return Trial((torch.tensor(rows, dtype=F64), 2), "close scores, float64")


def _tied(seed: int) -> Trial:
    """Many experts, few different scores."""
    levels = torch.tensor([0.02, 0.06, 0.1, 0.14], dtype=F64)
    drawn = torch.randint(0, 4, (6, 20), generator=inputs.generator(seed))
    return Trial((levels[drawn], 5), inputs.note(seed, F64))


def _one_each(seed: int) -> Trial:
    """Every token is certain of one expert: a 1 and zeros."""
    winners = torch.randint(0, 6, (4,), generator=inputs.generator(seed))
    return Trial((torch.nn.functional.one_hot(winners, 6).to(F64), 3), inputs.note(seed, F64))


def _scores(attempt: Attempt) -> Tensor:
    return attempt.args[0]


def _all_columns(attempt: Attempt) -> bool:
    """One output or both still have E columns, best first."""
    scores, k = attempt.args
    values, everyone = best(scores, scores.shape[1])
    weights, expert_ids = attempt.got["weights"], attempt.got["expert_ids"]
    full_ids = close(expert_ids, everyone)
    full_weights = weights.shape == values.shape and close(weights / weights.sum(1, True), values / values.sum(1, True))
    return k < scores.shape[1] and (full_ids or full_weights)


def _full_row(attempt: Attempt) -> bool:
    return attempt.got["weights"].shape == _scores(attempt).shape != attempt.expected["weights"].shape


def _best_tokens(attempt: Attempt) -> bool:
    """The k best of every column."""
    scores, k = attempt.args
    return k < len(scores) and close(attempt.got["expert_ids"], best(scores.T, k)[1].T)


def _rows_cut(attempt: Attempt) -> bool:
    scores, k = attempt.args
    return k < len(scores) and close(attempt.got["expert_ids"], best(scores, scores.shape[1])[1][:k])


def _best_skipped(attempt: Attempt) -> bool:
    scores, k = attempt.args
    return k < scores.shape[1] and close(attempt.got["expert_ids"], best(scores, k + 1)[1][:, 1:])


def _pairs_broken(attempt: Attempt) -> bool:
    """The right experts and the right weights, but not beside each other."""
    weights, expected = attempt.got["weights"], attempt.expected["weights"]
    if not (same_experts(attempt) or attempt.right("expert_ids")) or weights.shape != expected.shape:
        return False
    drawn = spread(attempt, attempt.got)
    right_values = close(weights.sort(dim=-1).values, expected.sort(dim=-1).values)
    return right_values and drawn is not None and not close(drawn, spread(attempt, attempt.expected))


def _first_weight(attempt: Attempt) -> str:
    mine, right = attempt.got["weights"][0, 0].item(), attempt.expected["weights"][0, 0].item()
    return f"weight 0 of token 0 is {number(mine)}, expected {number(right)}"


def _column_sums(attempt: Attempt) -> str:
    return listed(attempt.got["weights"].sum(dim=0).tolist())


MISTAKES = (
    seen("All E columns come back", _all_columns, lambda a:
         f"`weights` {shape_text(a.got['weights'])} and `expert_ids` {shape_text(a.got['expert_ids'])}: sorted, but "
         f"not cut. Only the first k = {a.args[1]} columns are kept."),
    seen("A full row of weights comes back", _full_row, lambda a:
         f"`weights` is {shape_text(a.got['weights'])}, a column for every expert. Here only the k = {a.args[1]} kept "
         "weights are wanted, beside their expert_ids."),
    seen("The best tokens of each expert", _best_tokens, lambda a:
         f"`expert_ids` is {shape_text(a.got['expert_ids'])}: chosen down the columns. Tokens choose experts, so look "
         "along each row, `dim=-1`."),
    seen("Rows were cut, not columns", _rows_cut, lambda a:
         f"`expert_ids` is {shape_text(a.got['expert_ids'])}: the first k rows, so k tokens. Every token keeps k "
         "experts: `[:, :k]`."),
    seen("The best expert is skipped", _best_skipped, lambda a:
         f"Token 0 lists {a.got['expert_ids'][0].tolist()}; its best expert is {int(a.expected['expert_ids'][0, 0])}. "
         "Counting begins at 0."),
    seen("An expert is chosen twice", twice_the_same, lambda a:
         "A token has the same expert in two places. Each of its k experts is another one."),
    seen("The smallest scores are kept", lambda a: lowest_kept(a, _scores(a)), lambda a:
         f"Token 0 keeps expert {int(a.got['expert_ids'][0, 0])} with score "
         f"{number(float(_scores(a)[0, int(a.got['expert_ids'][0, 0])]))}; its best is expert "
         f"{int(a.expected['expert_ids'][0, 0])} with {number(float(_scores(a)[0].max()))}. Sorted ascending?"),
    seen("The order is worst first", runs_backwards, lambda a:
         f"Right experts, but token 0 lists {a.got['expert_ids'][0].tolist()}, its best expert last. Best first: sort "
         "descending."),
    seen("Places, not experts", ids_are_places, lambda a:
         f"`expert_ids` counts 0 to {a.args[1] - 1} for every token: places in the sorted row. The numbers of the "
         "experts are the indices that sorting the scores gives."),
    seen("Every token gets the same experts", same_for_all, lambda a:
         f"All tokens list {a.got['expert_ids'][0].tolist()}, whatever their scores. Each token keeps its own best."),
    seen("Weights and experts do not belong together", _pairs_broken, lambda a:
         "The right experts and the right weights, but not side by side: both need the same order, best first."),
    seen("The order is by expert number", runs_by_number, lambda a:
         f"Right experts, but token 0 lists {a.got['expert_ids'][0].tolist()}. Best first means by weight: "
         f"{a.expected['expert_ids'][0].tolist()}."),
    seen("Ties are broken the wrong way", lambda a: only_ties_differ(a, _scores(a)), tie_sentence, show="expert_ids"),
    ruled("The weights are not renormalised", best, lambda a:
          f"Each row of weights should sum to 1. Yours sum to {row_sums(a, 'weights')}: these are the scores before "
          "you divide by the sum of the kept ones."),
    ruled("Divided by the sum over all experts", lambda s, k: (best(s, k)[0] / s.sum(1, True), None), lambda a:
          f"Your rows sum to {row_sums(a, 'weights')}. The sum to divide by is that of the kept scores: what was "
          "dropped must not count."),
    ruled("Softmax over the kept scores", lambda s, k: (best(s, k)[0].softmax(dim=-1), None), lambda a:
          f"Rows sum to 1, but {_first_weight(a)}: was softmax applied to scores that already are probabilities? "
          "Divide by their sum instead."),
    ruled("Softmax over all scores again", lambda s, k: (best(s.softmax(dim=-1), k)[0], None), lambda a:
          f"{_first_weight(a).capitalize()}, and rows sum to {row_sums(a, 'weights')}: softmax was applied to scores "
          "that already are probabilities."),
    ruled("The sum runs over the tokens", lambda s, k: (best(s, k)[0] / best(s, k)[0].sum(0, True), None), lambda a:
          f"Your columns sum to {_column_sums(a)}, your rows do not: over which dimension did you sum?"),
    ruled("One sum for all tokens", lambda s, k: (best(s, k)[0] / best(s, k)[0].sum(), None), lambda a:
          f"All your weights together sum to 1; each row should. Rows sum to {row_sums(a, 'weights')}: give the sum a "
          "dimension, and keep it."),
    ruled("Divided by the length, not the sum", lambda s, k: (best(s, k)[0] / best(s, k)[0].norm(dim=1, keepdim=True),
          None), lambda a: f"Your rows sum to {row_sums(a, 'weights')}; their squares sum to 1. Divide by the sum."),
    ruled("Divided by the largest, not the sum", lambda s, k: (best(s, k)[0] / best(s, k)[0][:, :1], None), lambda a:
          f"Your rows sum to {row_sums(a, 'weights')} and begin with 1. Divide by the sum of the kept scores."),
    ruled("All weights are equal", lambda s, k: (torch.full_like(best(s, k)[0], 1 / k), None), lambda a:
          f"Every weight is 1/k = {number(1 / a.args[1])}, whatever the scores. A better score should weigh more."),
)  # fmt: skip

TOP_K_ROUTE = Exercise(
    id="3.2",
    name="top_k_route",
    parameters=("scores", "k"),
    outputs=(Output("weights", "N, k", strict_dtype=False), Output("expert_ids", "N, k", expert_values=True)),
    reference=reference,
    cases=cases,
    mistakes=MISTAKES,
    hints=(
        "Sorting can be told to keep equals in their order. After that, what you want are the first k columns of what "
        "it returns.",
        "`values, expert_ids = scores.sort(…)`: the dots say along which dimension, in which direction, and what "
        "becomes of equals. Cut both to k columns. Then one division, by a sum that keeps its dimension.",
    ),
    minutes=10,
    lines="about 3 lines",
    done="Your function can route every token of a real model now.",
    picture=("weights by expert (N, E)", spread),
)
