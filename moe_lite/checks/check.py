"""What a check cell calls: grade, keep the result for the learner, and show it or raise it."""

import os
from collections.abc import Callable, Iterable
from typing import Any

from moe_lite.checks.card.card import Card
from moe_lite.checks.engine.exercise import Exercise
from moe_lite.checks.engine.grade import grade
from moe_lite.checks.engine.result import CheckFailed, CheckResult
from moe_lite.checks.own_functions import kept_source
from moe_lite.checks.program import add
from moe_lite.checks.registry import exercises
from moe_lite.course import progress


def run_check(exercise: Exercise, fn: Any) -> CheckResult:
    """Grade `fn`, keep the result for the learner, and return it; where checks raise, raise it if it is no pass.

    What passes goes into the learner's program, `my_moe.py`, where it can stand there; the card says so.

    Raises CheckFailed with MOE_LITE_CHECKS=raise in the environment, as under pytest.
    """
    result = Card.of(grade(exercise, fn))
    if result.status != "open":
        passed = result.status == "pass"
        source = kept_source(fn, exercise.name) if passed else None
        progress.record(exercise.id, exercise.name, passed=passed, source=source)
        if passed and exercise.in_program:
            result = result.with_program(*add(exercise.id, exercise.name, source))
    if os.environ.get("MOE_LITE_CHECKS") == "raise" and result.status != "pass":
        raise CheckFailed(result) from None
    return result


def functions(exercises: Iterable[Exercise]) -> dict[str, Callable[[Any], CheckResult]]:
    """What a lesson's check cells call, by name: `check.top_k_route(top_k_route)` checks exercise 3.2."""
    return {exercise.name: _function(exercise) for exercise in exercises}


def _function(exercise: Exercise) -> Callable[[Any], CheckResult]:
    def check(fn: Any) -> CheckResult:
        return run_check(exercise, fn)

    check.__name__ = check.__qualname__ = exercise.name
    check.__doc__ = f"Check exercise {exercise.id}, {exercise.call}: {exercise.reference.__doc__}"
    return check


def verdict(id: str, fn: Any) -> CheckResult:
    """What the check of exercise `id` says to `fn`, to be looked at: not kept, and not raised under pytest either."""
    return Card.of(grade(exercises()[id], fn))
