"""How an exercise's mistakes are written down, and those that several exercises of routing share.

    wrong("The weights are not renormalised", best, "Yours sum to {weights.rows}: divide by the sum of the kept ones.")

is both the recogniser of a slip and a wrong answer: tests run `best` as a learner's function and ask for this title.
Sentences are filled by `say.said`; one that needs more than numbers of the attempt is a function of it.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from moe_lite.checks.engine.compare import close, listed
from moe_lite.checks.engine.exercise import Attempt, Mistake, Note
from moe_lite.checks.engine.say import Sentence, words


def wrong(title: str, rule: Callable[..., Any] | None = None, say: Sentence = "", **outputs: Callable) -> Mistake:
    """An answer as `rule` gives it for the same arguments: one value for each output, None for the right one.

    With names of outputs in place of `rule`: those as their rules give them, and everything else right.
    """

    def answer(names: tuple[str, ...], args: tuple) -> tuple:
        if rule is None:
            made = tuple(outputs[name](*args) if name in outputs else None for name in names)
        else:
            made = rule(*args)
        return tuple(map(as_tensor, made if isinstance(made, tuple) else (made,)))

    def fits(attempt: Attempt) -> bool:
        return attempt.equals(*answer(tuple(attempt.expected), attempt.args))

    return sign(title, fits, say, fits=fits, answer=answer)


def sign(
    title: str, shows: Callable[[Attempt], bool], say: Sentence, *, show: str = "",
    fits: Callable[[Attempt], bool] = lambda attempt: True, answer: Callable | None = None,
) -> Mistake:  # fmt: skip
    """A mistake recognised by a sign of a wrong answer, which has been read but may have any shape.

    show names the output to draw, where the sentence speaks of a cell of it.
    """

    def recognise(attempt: Attempt) -> Note | None:
        if not attempt.got or attempt.all_right or not shows(attempt):
            return None
        return Note(title, words(say, attempt), show=show)

    return Mistake(recognise, fits, title, answer)


def one_wrong(
    output: str, title: str, rule: Callable[..., Tensor | float], say: Sentence, other_shape: bool = False
) -> Mistake:
    """A mistake recognised by the numbers of one output, whatever the others are: `rule` gives the same for it.

    other_shape: what the rule gives may have another shape than the right answer.
    """

    def fits(attempt: Attempt) -> bool:
        got = attempt.got.get(output)
        if got is None or not other_shape and got.shape != attempt.expected[output].shape:
            return False
        return close(got, as_tensor(rule(*attempt.args)), attempt.within.get(output))

    def answer(names: tuple[str, ...], args: tuple) -> tuple:
        return tuple(as_tensor(rule(*args)) if name == output else None for name in names)

    return sign(title, lambda a: not a.right(output) and fits(a), say, show=output, fits=fits, answer=answer)


def off(output: str, title: str, rule: Callable[..., Tensor | float], say: str) -> Mistake:
    """A number off by a rule: "`loss` is 0.124, expected 1.000, for seed 2: the factor is missing"."""
    return one_wrong(output, title, rule, f"`{output}` is {{{output}.beside:3}}, for {{note}}: {say}")


def as_tensor(value: Tensor | float | None) -> Tensor | None:
    """What a rule gives; a plain number in float32, for a learner may have computed in that."""
    return value if value is None or isinstance(value, Tensor) else torch.tensor(value)


def row_sums(attempt: Attempt, name: str) -> str:
    """The sums of the first rows of an output, `0.73, 0.73 and 0.66`; a fourth digit where two would show 1."""
    sums = attempt.got[name].sum(dim=-1).tolist()[:3]
    nearly = any(f"{s:.2f}" == "1.00" and abs(s - 1) > 1e-6 for s in sums)
    return listed(sums, 4 if nearly else 2)


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
    lowest = values.sort(dim=-1, stable=True).indices[:, :k]  # (N, k)
    return torch.equal(attempt.got["expert_ids"].long().sort(dim=-1).values, lowest.sort(dim=-1).values)


def turned(output: str) -> Callable[[Attempt], bool]:
    """Whether a matrix has its rows for columns: (D, N) where (N, D) is expected."""
    return lambda a: a.got[output].shape == a.expected[output].T.shape != a.expected[output].shape


def not_finite(attempt: Attempt) -> bool:
    """Some result is nan or infinite."""
    return any(got.is_floating_point() and not torch.isfinite(got).all() for got in attempt.got.values())


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


def tie_sentence(attempt: Attempt) -> str:
    """Names the first place where the wrong one of two equals stands."""
    got, expected = attempt.got["expert_ids"], attempt.expected["expert_ids"]
    token, place = (got != expected).nonzero()[0].tolist()
    right, mine = int(expected[token, place]), int(got[token, place])
    return (
        f"Right except among equal scores: experts {right} and {mine} have the same score for token {token}, and you "
        f"put {mine} first. The lower number comes first. `topk` and a plain sort promise nothing about equals; a "
        "stable sort does."
    )


def twice_the_same(attempt: Attempt) -> bool:
    """Some token has one expert in two places."""
    return ids_wrong(attempt) and bool((attempt.got["expert_ids"].sort(dim=-1).values.diff(dim=-1) == 0).any())
