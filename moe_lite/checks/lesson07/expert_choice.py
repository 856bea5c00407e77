"""Exercise 7.4, expert_choice: experts choose tokens."""

from collections.abc import Callable

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.exercise import Attempt, Case, Drawn, Exercise, Mistake, Output, Trial
from moe_lite.checks.engine.inputs import F32, F64
from moe_lite.checks.engine.mistakes import one_wrong, sign
from moe_lite.checks.lesson03.top_k_route import best


def taken(scores: Tensor, capacity: int) -> tuple[Tensor, Tensor]:
    """scores (N, E) -> weights (E, C), token_ids (E, C) int64 (Zhou et al. 2022, arXiv 2202.09368)."""
    return best(scores.t(), capacity)


CLOSE = "scores that differ in the seventh decimal, float64"

# ---- inputs ----------------------------------------------------------------------------------------------------------


def cases() -> tuple[Case, ...]:
    plain = (scored(1, 11, 4, 5), scored(2, 9, 5, 3), scored(3, 13, 6, 4))
    levels = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=F64)
    ties = tuple(
        Trial((levels[torch.randint(0, 4, (20, 3), generator=inputs.generator(seed))], 7), f"seed {seed}, equal scores")
        for seed in (4, 5)
    )
    wide = (scored(6, 5, 8, 2), scored(7, 7, 3, 7), scored(8, 6, 4, 1))
    types = (plain[0], scored(2, 9, 5, 3, F32), plain[2])
    first, last = inputs.usual(types, plain, gradient=(0,), through=plain[:1])
    return (
        *first,
        Case("each expert's best tokens", plain, ("token_ids",)),
        Case("weights", plain, ("weights",)),
        Case("ties, nearly equal scores", (*ties, Trial((inputs.nearly_equal(9, 9, 4), 3), CLOSE)), ("token_ids",)),
        Case("more experts than tokens, C = N and C = 1", wide, ("weights", "token_ids")),
        *last,
    )


def scored(seed: int, n_tokens: int, n_experts: int, capacity: int, dtype: torch.dtype = F64) -> Trial:
    """Scores whose columns are no more alike than their rows."""
    logits = inputs.logits(seed, n_experts, n_tokens).t()  # no near-ties in a column
    scores = logits.softmax(dim=1).round(decimals=4).to(dtype).contiguous()
    note = f"{inputs.note(seed, dtype)}, {n_tokens} tokens, {n_experts} experts, C={capacity}"
    return Trial((scores, capacity), note)


def drawn(seed: int, N: int, E: int, C: int) -> tuple:
    return inputs.distinct(seed, N, E, low=0.0, high=1.0), C


def extremes(seed: int) -> tuple[Trial, ...]:
    scores, capacity = drawn(seed, 7, 5, 3)
    return (
        Trial((torch.ones_like(scores), capacity), "all scores equal"),
        Trial((scores * 1e-20, capacity), "scores near 0"),
        Trial((1 + scores * 1e-9, capacity), "scores that differ in the ninth decimal"),
        Trial((torch.linspace(0.1, 0.9, 33_001, dtype=F64)[:, None], 3), "33,001 tokens, the last ones best"),
        Trial((torch.where(scores > 0.6, scores, 0.0), capacity), "many scores of 0"),
    )


DRAWN = Drawn(drawn, {"N": 7, "E": 5, "C": 3}, at_most=(("C", "N"),), gradient=(0,), extremes=extremes)


# ---- mistakes --------------------------------------------------------------------------------------------------------


def takes(title: str, rule: Callable[[Tensor, int], Tensor], say: str, other_shape: bool = False) -> Mistake:
    text = "Expert 0 takes the tokens {token_ids[0]}, expected {right.token_ids[0]}: "
    return one_wrong("token_ids", title, rule, text + say, other_shape)


def weighs(title: str, rule: Callable[[Tensor, int], Tensor], say: str, other_shape: bool = False) -> Mistake:
    text = "The first weight of expert 0 is {weights[0][0]:4}, expected {right.weights[0][0]:4}: "
    return one_wrong("weights", title, rule, text + say, other_shape)


def one_expert_each(scores: Tensor, capacity: int) -> Tensor:
    """A token that was taken is gone: experts in turn, from what is left."""
    free, rows = scores.t().double().clone(), []
    for e in range(len(free)):
        rows.append(best(free[e : e + 1], capacity)[1][0])
        free[:, rows[-1]] = -1
    return torch.stack(rows)


def greedy_tokens(scores: Tensor, capacity: int) -> Tensor:
    """Tokens choose their best expert; an expert keeps the best of those."""
    mine = torch.where(scores == scores.amax(dim=1, keepdim=True), scores, -1.0)
    return best(mine.t(), capacity)[1]


def ties_only(a: Attempt) -> bool:
    """Another token stands in some place, but one with the same score."""
    scores, got, expected = a.args[0].t(), a.got["token_ids"], a.expected["token_ids"]
    if got.shape != expected.shape or got.dtype != torch.int64 or a.right("token_ids"):
        return False
    if not ((got >= 0) & (got < scores.shape[1])).all():
        return False
    return torch.equal(scores.gather(1, got), scores.gather(1, expected))


ALONG = "The tokens chose"

MISTAKES = (
    sign("Nearly equal scores are taken for equal", lambda a: a.trial.note == CLOSE, "Right elsewhere, but of scores "
         "that differ in the seventh decimal experts take others than the largest. Compare them in the type in which "
         "they come, and round nothing.", all_or_none=True),
    takes(ALONG, lambda s, c: best(s, c)[1], "you took the best experts of every token. Here an expert looks down its "
          "column, over all tokens: `scores.t()` lays its scores in a row.", True),
    takes(ALONG, lambda s, c: best(s, c)[1].t(), "you took the best experts of every token. Here an expert looks down "
          "its column, over all tokens.", True),
    takes("Reshaped, not transposed", lambda s, c: best(s.reshape(s.shape[1], len(s)), c)[1], "`reshape` and `view` "
          "cut the same values into other rows, and mix tokens and experts. `.t()` turns the table over."),
    takes("Rows are places, not experts", lambda s, c: taken(s, c)[1].t(), "the first dimension is the expert, the "
          "second its places: (E, C). Yours is turned over.", True),
    takes("All N tokens come back", lambda s, c: best(s.t(), len(s))[1], "only the C best of each expert are taken.",
          True),
    takes("The smallest scores are taken", lambda s, c: best(-s.t(), c)[1], "an expert takes the tokens that score "
          "*highest* for it. Sorted ascending?"),
    takes("The smallest scores are taken", lambda s, c: best(-s.t(), c)[1].flip(1), "an expert takes the tokens that "
          "score *highest* for it."),
    takes("Worst first", lambda s, c: taken(s, c)[1].flip(1), "the right tokens, in reverse: best first."),
    takes("In the order of the text", lambda s, c: taken(s, c)[1].sort(dim=1).values, "the right tokens, but best "
          "first is asked."),
    takes("Every token is taken once", one_expert_each, "you took away what another expert had. Each expert chooses "
          "for itself: a token can be taken by several, or by none."),
    takes("Only tokens whose favourite it is", greedy_tokens, "you let tokens choose first. The expert takes its best "
          "tokens, whatever else these would prefer."),
    takes("The same tokens for all experts", lambda s, c: best(s.sum(1)[None], c)[1].expand(s.shape[1], -1), "each "
          "expert looks at its own column of scores."),
    takes("The same tokens for all experts", lambda s, c: best(s.amax(1)[None], c)[1].expand(s.shape[1], -1), "each "
          "expert looks at its own column of scores."),
    takes("The first tokens, whatever they score", lambda s, c: torch.arange(c).expand(s.shape[1], -1), "these are "
          "places, not the tokens with the highest scores."),
    weighs("Softmax over what was taken", lambda s, c: taken(s, c)[0].softmax(1), "the scores are taken as they are."),
    weighs("Divided by its sum", lambda s, c: taken(s, c)[0] / taken(s, c)[0].sum(1, True), "an expert's weights need "
           "not sum to 1; the scores are taken as they are."),
    weighs("Divided by the sum over the token", lambda s, c: (s / s.sum(1, True)).t().gather(1, taken(s, c)[1]), "the "
           "scores are taken as they are."),
    weighs("Softmax again", lambda s, c: s.softmax(1).t().gather(1, taken(s, c)[1]), "`scores` are scores already: "
           "take them as they are."),
    weighs("Softmax over the tokens", lambda s, c: s.softmax(0).t().gather(1, taken(s, c)[1]), "the scores are taken "
           "as they are, not compared among tokens."),
    weighs("All weights are 1", lambda s, c: torch.ones_like(taken(s, c)[0]), "an expert's weight for a token is its "
           "score."),
    weighs("All weights are equal", lambda s, c: torch.full_like(taken(s, c)[0], 1 / c), "an expert's weight for a "
           "token is its score."),
    weighs("Rows are places, not experts", lambda s, c: taken(s, c)[0].t(), "the first dimension is the expert, the "
           "second its places: (E, C).", True),
    weighs("Weights and tokens do not belong together", lambda s, c: taken(s, c)[0].flip(1), "the right weights in "
           "reverse: weight i belongs to token i of the same row."),
    sign("Ties are broken the wrong way", ties_only, "Right except among equal scores: the earlier token comes first. "
         "`topk` promises nothing about equals; a stable sort does.", show="token_ids"),
)  # fmt: skip

EXPERT_CHOICE = Exercise(
    id="7.4", name="expert_choice", parameters=("scores", "capacity"), sizes="NEC",
    outputs=(Output("weights", "E, C"), Output("token_ids", "E, C")), reference=taken, cases=cases, mistakes=MISTAKES,
    drawn=DRAWN,
    hints=(
        "Exercise 3.2 with rows and columns exchanged: what was a token is an expert now. And the weights stay as they "
        "are.",
        "With one row per expert (the table turned over) it is a single sort: values and indices come together, and "
        "the first columns of both are what is asked. Mind the order among equals.",
    ),
    minutes=6, lines="about 2 lines",
    done="Loads are even by construction, with no loss, no bias and nothing dropped. What it knows comes next.",
)  # fmt: skip
