"""What any exercise that chooses experts can get wrong: lesson 03's 3.2 and 3.5, lesson 07's 7.3."""

from collections.abc import Callable

import torch
from torch import Tensor

from moe_lite.checks.engine.compare import close, number
from moe_lite.checks.engine.exercise import Attempt, Mistake
from moe_lite.checks.engine.mistakes import sign
from moe_lite.checks.engine.say import Sentence, said


def wrong_choices(
    values: Callable[[Attempt], Tensor], say: dict[str, Sentence], noun: str = "score"
) -> tuple[Mistake, ...]:
    """Mistakes by their titles, with the exercise's own sentences; a choice made twice and ties also without one.

    values: the table (N, E) that the choice is made from; noun: what one of them is called.
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
        sign("Ties are broken the wrong way", lambda a: only_ties_differ(a, values(a)),
             lambda a: tie_sentence(a, noun), show="expert_ids"),
        sign(f"Nearly equal {noun}s are taken for equal", lambda a: only_close_ones_differ(a, values(a)),
             lambda a: close_sentence(a, values(a), noun), show="expert_ids"),
        *(sign(title, shows[title], sentence) for title, sentence in told.items()),
    )  # fmt: skip


def small_number(scores: Callable[[Attempt], Tensor]) -> Mistake:
    """Weights in the right proportion, divided by a little more than their sum. scores: the table (N, E) of them."""

    def kept(attempt: Attempt) -> Tensor:
        return scores(attempt).gather(1, attempt.expected["expert_ids"]).sum(dim=1)  # (N,)

    def shows(attempt: Attempt) -> bool:
        got, expected = attempt.got["weights"], attempt.expected["weights"]
        if attempt.right("weights") or not attempt.right("expert_ids") or got.shape != expected.shape:
            return False
        sums = got.sum(dim=1)  # (N,)
        more = kept(attempt) / sums - kept(attempt)  # (N,) what the sum was made larger by
        return bool((more > 0).any() and (more < 1e-3).all()) and close(got / sums[:, None], expected)

    def sentence(attempt: Attempt) -> str:
        return (
            f"The scores of token 0 that are kept sum to {number(float(kept(attempt)[0]))}. Its weights should sum to "
            f"1, and yours sum to {number(float(attempt.got['weights'][0].sum()), 9)}: something is added to the "
            "divisor, or keeps it from being smaller. The sum of the kept scores is above 0, so divide by it alone."
        )

    return sign("A small number is added to the sum", shows, sentence)


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


def ids_wrong(attempt: Attempt) -> bool:
    """Whether the answer's expert_ids are wrong, but can be compared with the expected ones token by token."""
    same_shape = attempt.got["expert_ids"].shape == attempt.expected["expert_ids"].shape
    return same_shape and not attempt.right("expert_ids")


def same_experts(attempt: Attempt) -> bool:
    """The right experts for every token, but in another order."""
    if not ids_wrong(attempt):
        return False
    got, expected = attempt.got["expert_ids"], attempt.expected["expert_ids"]
    return torch.equal(got.sort(dim=-1).values.long(), expected.sort(dim=-1).values)


def lowest_kept(attempt: Attempt, values: Tensor) -> bool:
    """The experts kept are those with the smallest of `values` (N, E)."""
    if not ids_wrong(attempt):
        return False
    k = attempt.expected["expert_ids"].shape[1]
    if k == values.shape[1]:  # all of them are kept
        return False
    lowest = values.sort(dim=-1, stable=True).indices[:, :k]  # (N, k)
    return torch.equal(attempt.got["expert_ids"].long().sort(dim=-1).values, lowest.sort(dim=-1).values)


def runs_backwards(attempt: Attempt) -> bool:
    return same_experts(attempt) and torch.equal(
        attempt.got["expert_ids"].flip(-1).long(), attempt.expected["expert_ids"]
    )


def only_ties_differ(attempt: Attempt, values: Tensor) -> bool:
    """Another expert stands in some place, but one with the same value."""
    if not ids_wrong(attempt):
        return False
    got, expected = attempt.got["expert_ids"].long(), attempt.expected["expert_ids"]
    if torch.equal(got, expected) or not ((got >= 0) & (got < values.shape[1])).all():
        return False
    distinct = (got.sort(dim=-1).values.diff(dim=-1) > 0).all()
    return bool(distinct) and torch.equal(values.gather(1, got), values.gather(1, expected))


def only_close_ones_differ(attempt: Attempt, values: Tensor) -> bool:
    """Where another expert stands, its value is smaller by less than a hundred-thousandth."""
    if not ids_wrong(attempt) or attempt.got["expert_ids"].is_floating_point():
        return False
    got, expected = attempt.got["expert_ids"].long(), attempt.expected["expert_ids"]
    if torch.equal(got, expected) or not ((got >= 0) & (got < values.shape[1])).all():
        return False
    distinct = (got.sort(dim=-1).values.diff(dim=-1) > 0).all()
    return bool(distinct) and bool((values.gather(1, got) - values.gather(1, expected)).abs().max() < 1e-5)


def close_sentence(attempt: Attempt, values: Tensor, noun: str = "score") -> str:
    """Names the first place where the smaller of two nearly equal values stands."""
    got, expected = attempt.got["expert_ids"], attempt.expected["expert_ids"]
    token, place = (got != expected).nonzero()[0].tolist()
    right, mine = int(expected[token, place]), int(got[token, place])
    gap = float(values[token, right] - values[token, mine])
    return (
        f"For token {token} you put expert {mine} before expert {right}, whose {noun} is larger by {gap:.0e}. Compare "
        f"the {noun}s as they are: nothing added to settle ties, and nothing rounded, as `.float()` rounds float64. A "
        "stable sort settles ties by itself."
    )


def tie_sentence(attempt: Attempt, noun: str = "score") -> str:
    """Names the first place where the wrong one of two equals stands."""
    got, expected = attempt.got["expert_ids"], attempt.expected["expert_ids"]
    token, place = (got != expected).nonzero()[0].tolist()
    right, mine = int(expected[token, place]), int(got[token, place])
    return (
        f"Right except among equal {noun}s: experts {right} and {mine} have the same {noun} for token {token}, and you "
        f"put {mine} first. The lower number comes first. `topk` and a plain sort promise nothing about equals; a "
        "stable sort does."
    )


def twice_the_same(attempt: Attempt) -> bool:
    """Some token has one expert in two places."""
    return ids_wrong(attempt) and bool((attempt.got["expert_ids"].sort(dim=-1).values.diff(dim=-1) == 0).any())
