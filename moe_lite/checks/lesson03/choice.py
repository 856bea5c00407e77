"""What any exercise that chooses experts can get wrong: lesson 03's 3.2 and 3.5, lesson 07's 7.3."""

from collections.abc import Callable

import torch
from torch import Tensor

from moe_lite.checks.engine.exercise import Attempt, Mistake
from moe_lite.checks.engine.mistakes import (
    ids_wrong,
    lowest_kept,
    only_ties_differ,
    runs_backwards,
    same_experts,
    sign,
    tie_sentence,
    twice_the_same,
)
from moe_lite.checks.engine.say import Sentence, said


def wrong_choices(values: Callable[[Attempt], Tensor], say: dict[str, Sentence]) -> tuple[Mistake, ...]:
    """Mistakes by their titles, with the exercise's own sentences; a choice made twice and ties also without one.

    values: the table (N, E) that the choice is made from.
    """

    def smallest(attempt: Attempt) -> bool:
        return lowest_kept(attempt, values(attempt))

    shows = {
        "An expert is chosen twice": twice_the_same,
        "The smallest scores are kept": smallest,
        "The smallest are kept": smallest,  # of sums, not of scores
        "The order is worst first": runs_backwards,
        "The order is by expert number": runs_by_number,
        "Places, not experts": ids_are_places,
        "Every token gets the same experts": same_for_all,
    }
    twice = "A token has the same expert in two places. Each of its k experts is another one."
    told = {"An expert is chosen twice": twice} | say
    return (
        *(sign(title, shows[title], sentence) for title, sentence in told.items()),
        sign("Ties are broken the wrong way", lambda a: only_ties_differ(a, values(a)), tie_sentence,
             show="expert_ids"),
    )  # fmt: skip


def with_choice(sentence: str) -> Sentence:
    """`{choice}` in a sentence is the first that is wrong: "choice 1 of token 0 is expert 3, expected 2"."""

    def about(attempt: Attempt) -> str:
        got, expected = attempt.got["expert_ids"], attempt.expected["expert_ids"]
        token, place = (got != expected).nonzero()[0].tolist()
        mine, right = int(got[token, place]), int(expected[token, place])
        return said(sentence, attempt, choice=f"choice {place} of token {token} is expert {mine}, expected {right}")

    return about


# ---- signs -----------------------------------------------------------------------------------------------------------


def too_wide(attempt: Attempt) -> bool:
    """Some output still has E columns, where k < E are expected; the first arguments are (N, E) and k."""
    table, k = attempt.args[:2]
    return k < table.shape[1] and any(got.shape == table.shape for got in attempt.got.values())


def runs_by_number(attempt: Attempt) -> bool:
    """The right experts, each row in ascending order of their numbers."""
    got = attempt.got["expert_ids"]
    return same_experts(attempt) and bool((got.diff(dim=-1) > 0).all())


def ids_are_places(attempt: Attempt) -> bool:
    """expert_ids that only count 0, 1, …, k−1 in every row."""
    got = attempt.got["expert_ids"]
    return ids_wrong(attempt) and got.shape[1] > 1 and bool((got == torch.arange(got.shape[1])).all())


def same_for_all(attempt: Attempt) -> bool:
    """One row of experts for every token, whatever its scores."""
    got, expected = attempt.got["expert_ids"], attempt.expected["expert_ids"]
    if got.shape != expected.shape or not len(got):
        return False
    return bool((got == got[:1]).all()) and not bool((expected == expected[:1]).all())


def spread(attempt: Attempt, outputs: dict[str, Tensor]) -> Tensor | None:
    """weights and expert_ids as one (N, E) matrix, for drawing; None if they do not fit into one."""
    weights, expert_ids = outputs["weights"], outputs["expert_ids"]
    n_tokens, n_experts = attempt.args[0].shape
    fits = weights.shape == expert_ids.shape and weights.dim() == 2 and len(weights) == n_tokens
    if not fits or not weights.is_floating_point() or expert_ids.dtype != torch.int64:
        return None
    known = ((expert_ids >= 0) & (expert_ids < n_experts)).all()
    distinct = (expert_ids.sort(dim=-1).values.diff(dim=-1) > 0).all()
    return weights.new_zeros(n_tokens, n_experts).scatter(1, expert_ids, weights) if known and distinct else None
