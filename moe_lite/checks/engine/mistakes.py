"""How an exercise's mistakes are written down, and those that several exercises of routing share.

    wrong("The weights are not renormalised", best, "Yours sum to {weights.rows}: divide by the sum of the kept ones.")

is both the recogniser of a slip and a wrong answer: tests run `best` as a learner's function and ask for this title.
Sentences are filled by `say.said`; one that needs more than numbers of the attempt is a function of it.
"""

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from moe_lite.checks.engine.compare import close
from moe_lite.checks.engine.exercise import Attempt, Mistake, Note, Trial
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

    made_of = once_per_trial(lambda attempt: answer(tuple(attempt.expected), attempt.args))

    def fits(attempt: Attempt) -> bool:
        return attempt.equals(*made_of(attempt))

    return sign(title, fits, say, fits=fits, answer=answer)


def sign(
    title: str, shows: Callable[[Attempt], bool], say: Sentence, *, show: str = "",
    fits: Callable[[Attempt], bool] = lambda attempt: True, answer: Callable | None = None, all_or_none: bool = False,
) -> Mistake:  # fmt: skip
    """A mistake recognised by a sign of a wrong answer, which has been read but may have any shape.

    show names the output to draw, where the sentence speaks of a cell of it. all_or_none: it is told only if it
    explains all that went wrong.
    """

    def recognise(attempt: Attempt) -> Note | None:
        if not attempt.got or attempt.all_right or not shows(attempt):
            return None
        return Note(title, words(say, attempt), show=show)

    return Mistake(recognise, fits, title, answer, all_or_none)


def one_wrong(
    output: str, title: str, rule: Callable[..., Tensor | float], say: Sentence, other_shape: bool = False
) -> Mistake:
    """A mistake recognised by the numbers of one output, whatever the others are: `rule` gives the same for it.

    other_shape: what the rule gives may have another shape than the right answer.
    """

    made_of = once_per_trial(lambda attempt: as_tensor(rule(*attempt.args)))

    def fits(attempt: Attempt) -> bool:
        got = attempt.got.get(output)
        if got is None or not other_shape and got.shape != attempt.expected[output].shape:
            return False
        return close(got, made_of(attempt), attempt.within.get(output))

    def answer(names: tuple[str, ...], args: tuple) -> tuple:
        return tuple(as_tensor(rule(*args)) if name == output else None for name in names)

    return sign(title, lambda a: not a.right(output) and fits(a), say, show=output, fits=fits, answer=answer)


def once_per_trial(work: Callable[[Attempt], Any]) -> Callable[[Attempt], Any]:
    """`work` looks at nothing but an attempt's trial; many attempts share one, and it is done once for each."""
    done: WeakKeyDictionary[Trial, Any] = WeakKeyDictionary()

    def ask(attempt: Attempt) -> Any:
        if attempt.trial not in done:
            done[attempt.trial] = work(attempt)
        return done[attempt.trial]

    return ask


def off(output: str, title: str, rule: Callable[..., Tensor | float], say: str) -> Mistake:
    """A number off by a rule: "`loss` is 0.124, expected 1.000, for seed 2: the factor is missing"."""
    return one_wrong(output, title, rule, f"`{output}` is {{{output}.beside:3}}, for {{note}}: {say}")


def as_tensor(value: Tensor | float | None) -> Tensor | None:
    """What a rule gives; a plain number in float32, for a learner may have computed in that."""
    return value if value is None or isinstance(value, Tensor) else torch.tensor(value)


def turned(output: str) -> Callable[[Attempt], bool]:
    """Whether a matrix has its rows for columns: (D, N) where (N, D) is expected."""
    return lambda a: a.got[output].shape == a.expected[output].T.shape != a.expected[output].shape


def not_finite(attempt: Attempt) -> bool:
    """Some result is nan or infinite."""
    return any(got.is_floating_point() and not torch.isfinite(got).all() for got in attempt.got.values())
