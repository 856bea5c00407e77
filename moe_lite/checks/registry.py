"""All graded exercises of the course, found in the lessons' folders when first asked for."""

import importlib
import pkgutil
import re
from functools import cache

from moe_lite.checks.engine.exercise import Exercise


@cache
def exercises() -> dict[str, Exercise]:
    """Every exercise by its id, in the order of the course."""
    lessons = [name for name in _modules("moe_lite.checks") if re.fullmatch(r"lesson\d\d", name.split(".")[-1])]
    found = [e for name in sorted(lessons) for e in importlib.import_module(name).EXERCISES]
    return {exercise.id: exercise for exercise in found}


def exercise_or_none(id: str) -> Exercise | None:
    return exercises().get(id)


def exercises_in(package: str) -> tuple[Exercise, ...]:
    """The exercises that the files of a lesson's folder define, in the order of their numbers."""
    modules = map(importlib.import_module, _modules(package))
    found = {e.id: e for module in modules for e in vars(module).values() if isinstance(e, Exercise)}
    return tuple(found[id] for id in sorted(found))


def _modules(package: str) -> list[str]:
    return [m.name for m in pkgutil.iter_modules(importlib.import_module(package).__path__, f"{package}.")]
