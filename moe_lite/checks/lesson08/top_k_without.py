"""Exercise 8.4, top_k_without: the k best experts among those that are not muted."""

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.exercise import Attempt, Case, Drawn, Exercise, Output, Trial
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
        Trial((scores * 1e20, k, muted), "very large scores"),
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


def silenced_after(scores: Tensor, k: int, muted: list[int]) -> Chosen:
    """Chosen with all, then the muted ones get a weight of 0."""
    weights, expert_ids = divided(best(scores, k))
    return weights * ~torch.isin(expert_ids, torch.tensor(muted)), expert_ids


def divided_after(scores: Tensor, k: int, muted: list[int]) -> Chosen:
    """Chosen with all, the muted ones set to 0, and the rest divided by its sum."""
    values, expert_ids = best(scores, k)
    values = values * ~torch.isin(expert_ids, torch.tensor(muted))
    return values / values.sum(dim=1, keepdim=True).clamp(min=1e-30), expert_ids


def as_zero(scores: Tensor, k: int, muted: list[int]) -> Chosen:
    scores = scores.clone()
    scores[:, muted] = 0
    return divided(best(scores, k))


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


def fewer_columns(a: Attempt) -> bool:
    """Chosen among all, and the muted ones left out of the rows."""
    shape, expected = a.got["expert_ids"].shape, a.expected["expert_ids"].shape
    return len(shape) != 2 or shape[-1] < expected[-1]


def muted_chosen(a: Attempt) -> bool:
    ids, muted = a.got["expert_ids"], torch.tensor(a.args[2])
    readable = ids.shape == a.expected["expert_ids"].shape and ids.dtype == torch.int64
    return readable and bool(torch.isin(ids, muted).any())


def infinite(a: Attempt) -> bool:
    return not bool(a.got["weights"].isfinite().all())


MISTAKES = (
    wrong("Nobody was muted", lambda s, k, muted: divided(best(s, k)), "Experts {muted} are still "
          "chosen: the answer is the one for all experts."),
    wrong("The experts were numbered anew", without_columns, "Token 0 lists {expert_ids[0]}, expected "
          "{right.expert_ids[0]}. With columns cut out of `scores`, the experts behind them get smaller numbers, and "
          "the layer would call the wrong ones. Keep all E columns and make the muted ones impossible to choose."),
    wrong("Only the muted ones are left", only_muted, "Token 0 lists {expert_ids[0]}, and these are the muted ones. "
          "They are the ones that must not be chosen."),
    wrong("Muted after the choice", silenced_after, "Token 0 lists {expert_ids[0]}: the muted expert is chosen and "
          "gets a weight of 0, so the token has fewer experts than k. Mute before the choice; then the next best one "
          "takes over."),
    wrong("Muted after the choice", divided_after, "Token 0 lists {expert_ids[0]}: the muted expert is chosen and gets "
          "a weight of 0, and the others share what it had. Mute before the choice; then the next best one takes "
          "over."),
    wrong("A score of 0 can be chosen", as_zero, "Token 0 lists {expert_ids[0]}. A muted expert with a score of 0 is "
          "as good as any other whose score is 0, and here it was taken. −inf is lower than every score."),
    wrong("Only one of them is muted", first_only, "Experts {muted} are to be muted, all of them. Yours only mutes the "
          "first."),
    wrong("Only one of them is muted", last_only, "Experts {muted} are to be muted, all of them. Yours only mutes the "
          "last."),
    wrong("The smallest scores are kept", worst, "Token 0 lists {expert_ids[0]}, expected {right.expert_ids[0]}: the "
          "largest scores are wanted, best first."),
    wrong("The weights are not renormalised", weights=kept, say="Your rows sum to {weights.rows}: these are the scores "
          "of the chosen experts. Divide each row by its sum, as in exercise 3.2."),
    wrong("Divided by the sum before muting", weights=of_all, say="Your rows sum to {weights.rows}. The sum to divide "
          "by is that of the experts that were chosen, without the muted ones."),
    wrong("Divided by the sum over all experts", weights=lambda s, k, m: kept(s, k, m) / s.sum(1, True), say="Your "
          "rows sum to {weights.rows}. The sum to divide by is that of the k kept scores."),
    wrong("Softmax over the kept scores", weights=lambda *a: kept(*a).softmax(dim=1), say="Weight 0 of token 0 is "
          "{weights[0][0]}, expected {right.weights[0][0]}. The scores are probabilities already: divide them by their "
          "sum."),
    sign("Weights that are no numbers", infinite, "Some weights are nan or infinite. Is there an expert with a score "
         "of −inf among the chosen ones, or is −inf in the sum that you divide by?"),
    sign("A muted expert is chosen", muted_chosen, "Token 0 lists {expert_ids[0]}, and experts {muted} are muted."),
    sign("Fewer than k experts", fewer_columns, "`expert_ids` is {expert_ids.shape}, expected "
         "{right.expert_ids.shape}. Was the muted expert chosen first and taken out afterwards? Every token keeps k."),
)  # fmt: skip

TOP_K_WITHOUT = Exercise(
    id="8.4", name="top_k_without", parameters=("scores", "k", "muted"), sizes="NEkM",
    outputs=(Output("weights", "N, k", strict_dtype=False), Output("expert_ids", "N, k", expert_values=True)),
    reference=reference, cases=cases, mistakes=MISTAKES, drawn=DRAWN,
    hints=(
        "Make the muted experts impossible to choose, and then choose as always. The numbers of the other experts "
        "must stay what they are, and so must `scores`.",
        '`allowed = scores.clone(); allowed[:, muted] = float("-inf")`, then `allowed.topk(k, dim=-1)`, which returns '
        "values and expert_ids, best first. Divide the values by their sum, row by row.",
    ),
    minutes=6, lines="about 3 lines",
    done="A `top_k_fn` that you can plug into any model of the package.",
)  # fmt: skip
