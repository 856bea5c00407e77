"""Exercise 8.4, top_k_without: the k best experts among those that are not muted."""

import re

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.causes import Line
from moe_lite.checks.engine.exercise import Attempt, Case, Drawn, Exercise, Note, Output, Trial
from moe_lite.checks.engine.inputs import F32, F64
from moe_lite.checks.engine.mistakes import sign, wrong
from moe_lite.checks.lesson03.top_k_route import best


def reference(scores: Tensor, k: int, muted: list[int]) -> tuple[Tensor, Tensor]:
    """scores (N, E), numbers of muted experts -> weights (N, k), rows sum to 1, best first, and expert_ids (N, k)."""
    values, expert_ids = open_best(scores, k, muted)
    return values / values.sum(dim=1, keepdim=True), expert_ids


def open_best(scores: Tensor, k: int, muted: list[int]) -> tuple[Tensor, Tensor]:
    """The k best scores among the experts that are not muted, as they are, and their experts."""
    left = torch.tensor([e for e in range(scores.shape[1]) if e not in muted], dtype=torch.int64)
    kept, places = best(scores[:, left], k)
    return kept, left[places]


# ---- inputs ----------------------------------------------------------------------------------------------------------


def cases() -> tuple[Case, ...]:
    one = (random(1, 9, 6, 2, 1), random(2, 7, 8, 3, 1), random(3, 11, 5, 2, 1))
    several = (random(4, 8, 7, 2, 3), random(5, 6, 9, 3, 4))
    nobody = Trial((inputs.scores(6, 7, 5), 2, []), "seed 6, nobody is muted")
    all_left = (random(7, 6, 6, 3, 3), random(8, 9, 4, 3, 1))
    first, last = inputs.usual((random(9, 8, 6, 2, 1, F32), *one[:2]), one, gradient=(0,))
    return (
        *first,
        Case("the muted expert is never chosen", one, ("expert_ids",)),
        Case("weights that sum to 1", one, ("weights",)),
        Case("several muted, or nobody", (*several, nobody), ("expert_ids", "weights")),
        Case("just k experts are left", (*all_left, zero_left()), ("expert_ids", "weights")),
        *last,
    )


def random(seed: int, n_tokens: int, n_experts: int, k: int, n_muted: int, dtype: torch.dtype = F64) -> Trial:
    args = (inputs.scores(seed, n_tokens, n_experts, dtype), k, muted_of(seed, n_experts, n_muted))
    return Trial(args, f"{inputs.note(seed, dtype)}, expert{'s' if n_muted > 1 else ''} {args[2]} muted")


def muted_of(seed: int, n_experts: int, n_muted: int) -> list[int]:
    """Never the last one alone: there a table that was cut would keep its numbers."""
    order = torch.randperm(n_experts - 1, generator=inputs.generator(seed + 9)).tolist()
    return order[:n_muted]


def zero_left() -> Trial:
    scores = torch.tensor([[0.7, 0.2, 0.1, 0.0], [0.6, 0.3, 0.0, 0.1], [0.9, 0.0, 0.1, 0.0]], dtype=F64)
    return Trial((scores[:2], 3, [0]), "a score of 0 among the experts that are left")


def drawn(seed: int, N: int, E: int, k: int) -> tuple:
    return inputs.distinct(seed, N, E, low=0.1, high=1.0), k, muted_of(seed, E, min(2, E - k))


def extremes(seed: int) -> tuple[Trial, ...]:
    scores, k, muted = drawn(seed, 7, 6, 3)
    return (
        Trial((scores * 1e6, k, muted), "scores of up to a million"),
        Trial((scores * 1e-10, k, muted), "scores near a ten-billionth"),
    )


DRAWN = Drawn(drawn, {"N": 7, "E": 6, "k": 3}, at_most=(("k", "E"),), gradient=(0,), extremes=extremes)


# ---- mistakes --------------------------------------------------------------------------------------------------------


Chosen = tuple[Tensor, Tensor]  # scores (N, k) and expert_ids (N, k)


def divided(chosen: Chosen) -> Chosen:
    return chosen[0] / chosen[0].sum(dim=1, keepdim=True), chosen[1]


def without_columns(scores: Tensor, k: int, muted: list[int]) -> Chosen:
    """The columns are cut out, and the experts numbered anew."""
    left = [e for e in range(scores.shape[1]) if e not in muted]
    return divided(best(scores[:, left], k))


def only_muted(scores: Tensor, k: int, muted: list[int]) -> Chosen:
    left = [e for e in range(scores.shape[1]) if e not in muted]
    return reference(scores, min(k, len(muted)), left) if muted else divided(best(scores, k))


def as_zero(scores: Tensor, k: int, muted: list[int]) -> Chosen:
    scores = scores.clone()
    scores[:, muted] = 0
    return divided(best(scores, k))


def by_number(scores: Tensor, k: int, muted: list[int]) -> Chosen:
    weights, expert_ids = reference(scores, k, muted)
    expert_ids, places = expert_ids.sort(dim=1)
    return weights.gather(1, places), expert_ids


def first_only(scores: Tensor, k: int, muted: list[int]) -> Chosen:
    return reference(scores, k, muted[:1])


def last_only(scores: Tensor, k: int, muted: list[int]) -> Chosen:
    return reference(scores, k, muted[-1:])


def worst(scores: Tensor, k: int, muted: list[int]) -> Chosen:
    negative, expert_ids = open_best(-scores, k, muted)
    return divided((-negative, expert_ids))


def kept(*args) -> Tensor:
    return open_best(*args)[0]


def of_all(scores: Tensor, k: int, muted: list[int]) -> Tensor:
    """Divided by the sum of the k best of all experts, muted ones among them."""
    return kept(scores, k, muted) / best(scores, k)[0].sum(1, True)


def of_open(scores: Tensor, k: int, muted: list[int]) -> Tensor:
    """Divided by the sum of all that are not muted, chosen or not."""
    return kept(scores, k, muted) / open_best(scores, scores.shape[1] - len(muted), muted)[0].sum(1, True)


def fewer_columns(a: Attempt) -> bool:
    """Chosen among all, and the muted ones left out of the rows."""
    shape, expected = a.got["expert_ids"].shape, a.expected["expert_ids"].shape
    return len(shape) != 2 or shape[-1] < expected[-1]


def readable(a: Attempt) -> bool:
    ids = a.got["expert_ids"]
    return ids.shape == a.expected["expert_ids"].shape and ids.dtype == torch.int64


def are_muted(a: Attempt) -> Tensor:
    """bool (N, k): the places of muted experts."""
    return torch.isin(a.got["expert_ids"], torch.tensor(a.args[2], dtype=torch.int64))


def muted_chosen(a: Attempt) -> bool:
    return readable(a) and bool(are_muted(a).any())


def muted_for_a_zero(a: Attempt) -> bool:
    """A muted expert in place of one whose score is 0."""
    return muted_chosen(a) and bool((a.args[0][are_muted(a).any(1)] == 0).any())


def muted_in_large(a: Attempt) -> bool:
    return muted_chosen(a) and bool(a.args[0].max() > 100)


def muted_after(a: Attempt) -> bool:
    """The choice among all experts, with muted ones that weigh nothing."""
    if not muted_chosen(a) or not torch.equal(a.got["expert_ids"], best(*a.args[:2])[1]):
        return False
    return not bool(a.got["weights"].nan_to_num()[are_muted(a)].any())


def tokens_muted(a: Attempt) -> bool:
    """Rows instead of columns: these tokens have nothing to choose from, the others choose among all experts."""
    if not readable(a):
        return False
    is_row = torch.isin(torch.arange(len(a.args[0])), torch.tensor(a.args[2], dtype=torch.int64))
    same = torch.equal(a.got["expert_ids"][~is_row], best(*a.args[:2])[1][~is_row])
    return same and not bool(a.got["weights"][is_row].isfinite().all())


def token(a: Attempt, rows: Tensor) -> str:
    """The first token of `rows`, bool (N,): "Token 3 lists [1, 4]"."""
    n = int(rows.nonzero()[0])
    return f"Token {n} lists {a.got['expert_ids'][n].tolist()}"


def with_muted(a: Attempt) -> str:
    """The first token for which that is so: "Token 3 lists [1, 4], and expert 4 is muted"."""
    found = are_muted(a)
    n = int(found.any(1).nonzero()[0])
    return f"{token(a, found.any(1))}, and expert {int(a.got['expert_ids'][n][found[n]][0])} is muted"


def too_small(a: Attempt) -> str:
    return (
        f"{with_muted(a)}. If the score of a muted expert is set to 0 or to a very small number, it is as good as that "
        "of an expert whose score is 0, and here it was taken. −inf is lower than every score."
    )


def beside(a: Attempt) -> str:
    """The first token for which they differ: "Token 3 lists [1, 4], expected [2, 4]"."""
    rows = (a.got["expert_ids"] != a.expected["expert_ids"]).any(1)
    return f"{token(a, rows)}, expected {a.expected['expert_ids'][int(rows.nonzero()[0])].tolist()}"


def of_no_type(match: re.Match, line: Line, exercise: Exercise) -> Note:
    return Note(
        "An index must be int64",
        "`muted` may be empty, and `torch.tensor([])` is float32, which cannot be an index. The list itself can: "
        "`scores[:, muted]`. So can `torch.tensor(muted, dtype=torch.int64)`.",
    )


def infinite(a: Attempt) -> bool:
    return not bool(a.got["weights"].isfinite().all())


MISTAKES = (
    wrong("Nobody was muted", lambda s, k, muted: divided(best(s, k)), "This is the choice among all experts. "
          "Those in {muted} must not be chosen."),
    wrong("The experts were numbered anew", without_columns, lambda a: f"{beside(a)}. With columns cut out of "
          "`scores`, the experts behind them get smaller numbers, and the layer would call the wrong ones. Keep all E "
          "columns and make the muted ones impossible to choose."),
    wrong("Only the muted ones are left", only_muted, "Token 0 lists {expert_ids[0]}, and these are the muted ones. "
          "They are the ones that must not be chosen."),
    sign("Muted after the choice", muted_after, lambda a: f"{with_muted(a)}: it was chosen, and got a weight of 0 "
         "afterwards. So the token has fewer experts than k. Mute before the choice; then the next best expert takes "
         "its place."),
    wrong("A score of 0 can be chosen", as_zero, too_small),
    sign("A score of 0 can be chosen", muted_for_a_zero, too_small, all_or_none=True),
    sign("The muted ones are not low enough", muted_in_large, lambda a: "All that was tried before is right; this came "
         f"with {a.trial.note}. {with_muted(a)}. A fixed number that is taken off is too small for such scores; −inf "
         "is lower than every score.", all_or_none=True),
    wrong("Only one of them is muted", first_only, "Experts {muted} are to be muted, all of them. Yours only mutes the "
          "first."),
    wrong("Only one of them is muted", last_only, "Experts {muted} are to be muted, all of them. Yours only mutes the "
          "last."),
    wrong("The smallest scores are kept", worst, lambda a: f"{beside(a)}: the largest scores are wanted, best first."),
    wrong("Sorted by number, not best first", by_number, lambda a: f"{beside(a)}: the right experts, in the order of "
          "their numbers. The one with the largest score comes first."),
    wrong("The weights are not renormalised", weights=kept, say="Your rows sum to {weights.rows}: these are the scores "
          "of the chosen experts. Divide each row by its sum, as in exercise 3.2."),
    wrong("Divided by the sum before muting", weights=of_all, say="Your rows sum to {weights.rows}. The sum to divide "
          "by is that of the experts that were chosen, without the muted ones."),
    wrong("Divided by the sum over all experts", weights=lambda s, k, m: kept(s, k, m) / s.sum(1, True), say="Your "
          "rows sum to {weights.rows}. The sum to divide by is that of the k kept scores."),
    wrong("Divided by the sum of all that are not muted", weights=of_open, say="Your rows sum to {weights.rows}. The "
          "sum to divide by is that of the k experts that were chosen, without those that are neither muted nor "
          "chosen."),
    wrong("Divided down the columns", weights=lambda *a: kept(*a) / kept(*a).sum(0, True), say="Your columns sum to 1, "
          "your rows to {weights.rows}. Each token's weights sum to 1: `sum(dim=1, keepdim=True)`."),
    wrong("Softmax over the kept scores", weights=lambda *a: kept(*a).softmax(dim=1), say="Weight 0 of token 0 is "
          "{weights[0][0]}, expected {right.weights[0][0]}. A softmax is for logits. These are scores already: divide "
          "them by their sum."),
    sign("Rows were muted, not columns", tokens_muted, "The tokens whose numbers are in {muted} have weights that are "
         "no numbers, and the others choose as if nobody were muted: `scores[muted]` takes rows, and these are tokens. "
         "The experts are columns, `scores[:, muted]`."),
    sign("Weights that are no numbers", infinite, "Some weights are nan or infinite. Is there an expert with a score "
         "of −inf among the chosen ones, or is −inf in the sum that you divide by?"),
    sign("A muted expert is chosen", muted_chosen, lambda a: f"{with_muted(a)}."),
    sign("Fewer than k experts", fewer_columns, "`expert_ids` is {expert_ids.shape}, expected "
         "{right.expert_ids.shape}. Was the muted expert chosen first and taken out afterwards? Every token keeps k."),
)  # fmt: skip

TOP_K_WITHOUT = Exercise(
    id="8.4", name="top_k_without", parameters=("scores", "k", "muted"), sizes="NEkM",
    outputs=(Output("weights", "N, k", strict_dtype=False), Output("expert_ids", "N, k", expert_values=True)),
    reference=reference, cases=cases, mistakes=MISTAKES, drawn=DRAWN,
    causes=((IndexError, r"tensors used as indices must be", of_no_type),),
    hints=(
        "Make the muted experts impossible to choose, and then choose as always. The numbers of the other experts "
        "must stay what they are, and so must `scores`.",
        'A `clone` of the scores with `float("-inf")` in the columns `[:, muted]`, then `topk(k, dim=-1)`, which gives '
        "values and expert_ids, best first. Divide the values by their sum, row by row.",
    ),
    minutes=6, lines="about 3 lines",
    done="A `top_k_fn` that you can plug into any model of the package.",
)  # fmt: skip
