"""All graded exercises of the course, collected from the lessons' modules when first asked for."""

import importlib
import pkgutil
import re
from functools import cache
from pathlib import Path

from moe_lite.checks.exercise import Exercise


@cache
def exercises() -> dict[str, Exercise]:
    """Every exercise by its id, in the order of the course."""
    modules = [
        m.name for m in pkgutil.iter_modules([str(Path(__file__).parent)]) if re.fullmatch(r"lesson\d\d", m.name)
    ]
    found = [e for name in sorted(modules) for e in importlib.import_module(f"moe_lite.checks.{name}").EXERCISES]
    return {exercise.id: exercise for exercise in found}


def exercise_or_none(id: str) -> Exercise | None:
    return exercises().get(id)
