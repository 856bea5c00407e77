"""Exercise 3.2, top_k_route: the k best experts and their renormalised weights."""

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.compare import close, number
from moe_lite.checks.engine.exercise import Attempt, Case, Drawn, Exercise, Mistake, Note, Output, Trial
from moe_lite.checks.engine.inputs import F32, F64
from moe_lite.checks.engine.mistakes import sign, wrong
from moe_lite.checks.lesson03.choice import same_experts, small_number, spread, wrong_choices


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


def kept(scores: Tensor, k: int) -> Tensor:
    return best(scores, k)[0]  # (N, k)


# ---- inputs ----------------------------------------------------------------------------------------------------------

CLOSE = [[0.30010, 0.10000, 0.30013, 0.29977], [0.20002, 0.20001, 0.20003, 0.39994], [0.1, 0.4, 0.09999, 0.40001]]
CLOSER = [[0.25, 0.25 + 1e-7, 0.25 + 5e-8, 0.1], [0.3, 0.1, 0.3 + 4e-8, 0.3 + 2e-8]]


def cases() -> tuple[Case, ...]:
    plain, ties = tuple(map(random, (1, 2, 3))), (tied(1), tied(2))
    raw = (random(4, total=2.5), random(6, F32, total=0.8))  # rows need not sum to 1
    n_tokens, n_experts, _ = inputs.sizes(5)
    ends = tuple(Trial((inputs.scores(5, n_tokens, n_experts), k), f"seed 5, float64, k={k}") for k in (1, n_experts))
    close_ones = tuple(Trial((torch.tensor(s, dtype=F64), 2), "close scores, float64") for s in (CLOSE, CLOSER))
    first, last = inputs.usual((random(1, F32), *plain[1:]), plain, gradient=(0,))
    return (
        *first,
        Case("chosen experts", plain + close_ones, ("expert_ids",)),
        Case("weights", plain + raw, ("weights",)),
        Case("ties", ties, ("expert_ids", "weights")),
        Case("k = 1 and k = E", ends, ("weights", "expert_ids")),
        Case("zeros, large scores", (certain(7), random(8, total=3e6)), ("weights", "expert_ids")),
        *last,
    )


def random(seed: int, dtype: torch.dtype = F64, total: float = 1.0) -> Trial:
    n_tokens, n_experts, k = inputs.sizes(seed)
    return Trial((inputs.scores(seed, n_tokens, n_experts, dtype, total), k), inputs.note(seed, dtype))


def tied(seed: int) -> Trial:
    """Many experts, few different scores."""
    drawn = torch.randint(0, 4, (6, 20), generator=inputs.generator(seed))
    return Trial((torch.tensor([0.02, 0.06, 0.1, 0.14], dtype=F64)[drawn], 5), inputs.note(seed, F64))


def certain(seed: int) -> Trial:
    """Every token is certain of one expert: a 1 and zeros."""
    winners = torch.randint(0, 6, (4,), generator=inputs.generator(seed))
    return Trial((torch.nn.functional.one_hot(winners, 6).to(F64), 3), inputs.note(seed, F64))


def drawn(seed: int, N: int, E: int, k: int) -> tuple:
    return inputs.distinct(seed, N, E, low=0.1, high=1.0), k


def extremes(seed: int) -> tuple[Trial, ...]:
    scores, k = drawn(seed, 7, 5, 3)
    return (
        Trial((scores * 1e20, k), "very large scores"),
        Trial((scores * 1e-10, k), "scores near a ten-billionth"),
        Trial((torch.ones_like(scores), k), "all scores equal"),
        Trial((1 + scores * 1e-9, k), "scores that differ in the ninth decimal"),
        Trial(
            (torch.cat([scores[:, :2], torch.zeros(7, 3, dtype=F64)], dim=1), k), "zeros among the scores", kinks=True
        ),
    )


DRAWN = Drawn(drawn, {"N": 7, "E": 5, "k": 3}, at_most=(("k", "E"),), gradient=(0,), extremes=extremes)


# ---- mistakes --------------------------------------------------------------------------------------------------------


def all_columns(a: Attempt) -> bool:
    """One output or both still have E columns, best first."""
    (scores, k), weights = a.args, a.got["weights"]
    values, everyone = best(scores, scores.shape[1])
    same = weights.shape == values.shape and close(weights / weights.sum(1, True), values / values.sum(1, True))
    return k < scores.shape[1] and (close(a.got["expert_ids"], everyone) or same)


def pairs_broken(a: Attempt) -> bool:
    """The right experts and the right weights, but not beside each other."""
    weights, expected = a.got["weights"], a.expected["weights"]
    if not (same_experts(a) or a.right("expert_ids")) or weights.shape != expected.shape:
        return False
    drawn = spread(a, a.got)
    right_values = close(weights.sort(dim=-1).values, expected.sort(dim=-1).values)
    return right_values and drawn is not None and not close(drawn, spread(a, a.expected))


def smallest_kept(a: Attempt) -> str:
    worst, right = int(a.got["expert_ids"][0, 0]), int(a.expected["expert_ids"][0, 0])
    low, high = (number(float(a.args[0][0, expert])) for expert in (worst, right))
    return f"Token 0 keeps expert {worst} with score {low}; its best is expert {right} with {high}. Sorted ascending?"


def ids(rule) -> object:
    """Whether the answer's expert_ids are those that a rule (scores, k) gives."""
    return lambda a: a.args[1] < min(a.args[0].shape) and close(a.got["expert_ids"], rule(*a.args))


def log_of_0(a: Attempt) -> Note | None:
    """Right weights, made by way of a logarithm, which has no gradient where a kept score is 0."""
    got = a.gradients.get("scores")
    if not a.all_right or got is None or not got.isnan().any() or not bool((kept(*a.args) == 0).any()):
        return None
    return Note(
        "The logarithm of a score of 0",
        f"The weights are right, but {int(got.isnan().sum())} of {got.numel()} gradients for `scores` are nan, in rows "
        "where a score of 0 is kept: its logarithm is −∞. Softmax of logarithms is a division by the sum: divide, and "
        "there is no logarithm.",
    )


MISTAKES = (
    sign("All E columns come back", all_columns, "`weights` {weights.shape} and `expert_ids` {expert_ids.shape}: "
         "sorted, but not cut. Only the first k = {k} columns are kept."),
    sign("A full row of weights comes back", lambda a: a.got["weights"].shape == a.args[0].shape !=
         a.expected["weights"].shape, "`weights` is {weights.shape}, a column for every expert. Here only the k = {k} "
         "kept weights are wanted, beside their expert_ids."),
    sign("The best tokens of each expert", ids(lambda s, k: best(s.T, k)[1].T), "`expert_ids` is {expert_ids.shape}: "
         "chosen down the columns. Tokens choose experts, so look along each row, `dim=-1`."),
    sign("Rows were cut, not columns", ids(lambda s, k: best(s, s.shape[1])[1][:k]), "`expert_ids` is "
         "{expert_ids.shape}: the first k rows, so k tokens. Every token keeps k experts: `[:, :k]`."),
    sign("The best expert is skipped", ids(lambda s, k: best(s, k + 1)[1][:, 1:]), "Token 0 lists {expert_ids[0]}; its "
         "best expert is {right.expert_ids[0][0]}. Counting begins at 0."),
    sign("Weights and experts do not belong together", pairs_broken, "The right experts and the right weights, but not "
         "side by side: both need the same order, best first."),
    *wrong_choices(lambda a: a.args[0], {
        "The smallest scores are kept": smallest_kept,
        "The order is worst first": "Right experts, but token 0 lists {expert_ids[0]}, its best expert last. Best "
            "first: sort descending.",
        "Places, not experts": lambda a: f"`expert_ids` counts 0 to {a.args[1] - 1} for every token: places in the "
            "sorted row. The numbers of the experts are the indices that sorting the scores gives.",
        "Every token gets the same experts": "All tokens list {expert_ids[0]}, whatever their scores. Each token keeps "
            "its own best.",
        "The order is by expert number": "Right experts, but token 0 lists {expert_ids[0]}. Best first means by "
            "weight: {right.expert_ids[0]}.",
    }),
    wrong("The weights are not renormalised", best, "Each row of weights should sum to 1. Yours sum to {weights.rows}: "
          "these are the scores before you divide by the sum of the kept ones."),
    wrong("Divided by the sum over all experts", weights=lambda s, k: kept(s, k) / s.sum(1, True), say="Your rows sum "
          "to {weights.rows}. The sum to divide by is that of the kept scores: what was dropped must not count."),
    wrong("Softmax over the kept scores", weights=lambda s, k: kept(s, k).softmax(dim=-1), say="Rows sum to 1, but "
          "weight 0 of token 0 is {weights[0][0]}, expected {right.weights[0][0]}: was softmax applied to scores that "
          "already are probabilities? Divide by their sum instead."),
    wrong("Softmax over all scores again", weights=lambda s, k: kept(s.softmax(dim=-1), k), say="Weight 0 of token 0 "
          "is {weights[0][0]}, expected {right.weights[0][0]}, and rows sum to {weights.rows}: softmax was applied to "
          "scores that already are probabilities."),
    wrong("The sum runs over the tokens", weights=lambda s, k: kept(s, k) / kept(s, k).sum(0, True), say="Your columns "
          "sum to {weights.columns}, your rows do not: over which dimension did you sum?"),
    wrong("One sum for all tokens", weights=lambda s, k: kept(s, k) / kept(s, k).sum(), say="All your weights together "
          "sum to 1; each row should. Rows sum to {weights.rows}: give the sum a dimension, and keep it."),
    wrong("Divided by the length, not the sum", weights=lambda s, k: kept(s, k) / kept(s, k).norm(dim=1, keepdim=True),
          say="Your rows sum to {weights.rows}; their squares sum to 1. Divide by the sum."),
    wrong("Divided by the largest, not the sum", weights=lambda s, k: kept(s, k) / kept(s, k)[:, :1], say="Your rows "
          "sum to {weights.rows} and begin with 1. Divide by the sum of the kept scores."),
    wrong("All weights are equal", weights=lambda s, k: torch.full_like(kept(s, k), 1 / k), say="Every weight is 1/k = "
          "{weights[0][0]}, whatever the scores. A better score should weigh more."),
    small_number(lambda a: a.args[0]),
    Mistake(log_of_0, title="The logarithm of a score of 0"),
)  # fmt: skip

OUTPUTS = (Output("weights", "N, k", strict_dtype=False), Output("expert_ids", "N, k", expert_values=True))
TOP_K_ROUTE = Exercise(
    id="3.2", name="top_k_route", parameters=("scores", "k"), sizes="NEk", outputs=OUTPUTS, reference=reference,
    cases=cases, mistakes=MISTAKES,
    drawn=DRAWN,
    hints=(
        "Sorting can be told to keep equals in their order. After that, what you want are the first k columns of what "
        "it returns.",
        "`values, expert_ids = scores.sort(…)`: the dots say along which dimension, in which direction, and what "
        "becomes of equals. With `stable=` PyTorch wants the dimension by name, `dim=-1`. Cut both to k columns. Then "
        "one division, by a sum that keeps its dimension.",
    ),
    minutes=10, lines="about 3 lines", done="Your function can route every token of a real model now.",
    picture=("weights by expert (N, E)", spread),
)  # fmt: skip
