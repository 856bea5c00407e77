"""The learner's own functions in later cells and lessons: `mine` from this notebook, `recall` from what was kept."""

import linecache
import math
from collections.abc import Callable
from typing import Any

import torch

from moe_lite.checks import progress
from moe_lite.checks.exercise import Exercise
from moe_lite.checks.grade import grade
from moe_lite.checks.registry import exercise_or_none
from moe_lite.checks.result import CheckResult
from moe_lite.checks.source import missing_names

USUAL = {"torch": torch, "F": torch.nn.functional, "nn": torch.nn, "Tensor": torch.Tensor, "math": math}


def mine(id: str, fn: Any, default: Callable) -> Callable:
    """`fn` if it passes the check of exercise `id`, else `default`; prints which. Never raises."""
    exercise = exercise_or_none(id)
    if exercise is None:
        return _take(default, f"{id}: there is no such exercise; the package's function is used here.")
    result = grade(exercise, fn)
    if result.status == "pass":
        return _take(fn, f"{id} {exercise.name}: your function is used here.")
    skipped = result.status != "pass" and progress.load().entries.get(id, {}).get("status") == "skipped"
    why = "you skipped this exercise" if skipped else _why(result)
    return _take(default, f"{id} {exercise.name}: the package's function is used here; {why}.")


def recall(id: str, default: Callable) -> Callable:
    """The learner's function that passed exercise `id` before, else `default`; prints which. Never raises.

    Its kept source is run again and checked again before it is used.
    """
    exercise = exercise_or_none(id)
    if exercise is None:
        return _take(default, f"{id}: there is no such exercise; the package's function is used here.")
    label, instead = f"{id} {exercise.name}", "the package's function is used here"
    entry = progress.exercises().get(id, {})
    if entry.get("status") != "pass":
        why = "you skipped this exercise" if entry.get("status") == "skipped" else "yours has not passed yet"
        return _take(default, f"{label}: {instead}; {why}.")
    source = entry.get("source")
    fn = _run_again(exercise, source)
    if fn is None or grade(exercise, fn).status != "pass":
        return _take(default, f"{label}: {instead}; yours passed, but {_obstacle(source)}.")
    return _take(fn, f"{label}: your function is used here, as it passed in lesson {exercise.lesson:02d}.")


def _obstacle(source: str | None) -> str:
    """Why a function that passed cannot be used outside its notebook."""
    if not source:
        return "its source could not be kept: define it with `def` in a cell and run its check again"
    if missing := missing_names(source, USUAL):
        names = ", ".join(f"`{name}`" for name in missing)
        return f"it uses {names}, which only its notebook has: put that inside the function and run its check again"
    return "as it was kept it does not pass any more: run its check again"


def _take(fn: Callable, message: str) -> Callable:
    print(message)
    return fn


def _why(result: CheckResult) -> str:
    if result.status == "open":
        return "yours is not attempted yet"
    if result.status == "stopped":
        return f"in yours, {result.failure.what.replace('your code', 'the code')}"
    return f"yours passes {result.passed} of {result.total}"


def _run_again(exercise: Exercise, source: str | None) -> Callable | None:
    """The function that the kept source defines, or None."""
    if not source:
        return None
    filename = f"<your {exercise.name}, as kept>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    namespace: dict[str, Any] = USUAL | {"__name__": "kept"}
    try:
        exec(compile(source, filename, "exec"), namespace)
    except Exception as error:  # kept text may be from another version or edited by hand; the caller says so
        print(f"{exercise.id} {exercise.name}: the kept source does not run ({type(error).__name__}).")
        return None
    return namespace.get(exercise.name)
