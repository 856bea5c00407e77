"""What a lesson's source must keep to, and the solved notebook. moe_lite/checks/lesson_cells.py says how it is read."""

import re
from pathlib import Path

import nbformat

from moe_lite.checks.lesson_cells import (
    HINTS,
    KEEP_PICTURES,
    ROLES,
    Cell,
    LessonError,
    learner_notebook,
    notebook,
    read_cells,
    regions,
    solved,
)
from moe_lite.checks.registry import exercises

__all__ = ["Cell", "LessonError", "learner_notebook", "read_lesson", "solved_notebook"]
TAGS = {*ROLES, *KEEP_PICTURES, "setup", "broken"}


def read_lesson(path: Path) -> list[Cell]:
    """The cells of a source, after everything that can be checked without running has been."""
    cells = read_cells(path)
    _look_over(path, cells)
    return cells


def solved_notebook(cells: list[Cell]) -> nbformat.NotebookNode:
    """The lesson with solutions; the output of its check cells is compared by nbval."""
    extra = {cell.id: ("nbval-check-output",) if "check" in cell.tags else () for cell in cells}
    return notebook([(cell, solved(cell), (*cell.tags, *extra[cell.id])) for cell in cells])


def _look_over(path: Path, cells: list[Cell]) -> None:
    """Raise LessonError for a source that does not keep its own rules."""
    for cell in cells:
        if unknown := set(cell.tags) - TAGS:
            raise cell.fail(f"unknown tag {', '.join(sorted(unknown))}; known are {', '.join(sorted(TAGS))}.")
        if cell.kind == "code" and re.search(r"^(# )?[%!]\w", cell.text, flags=re.MULTILINE):
            raise cell.fail("magic commands do not work in every place where lessons run; write Python.")
        has_solution = any(kind == "SOLUTION" for kind, _, _ in regions(cell))
        if has_solution != ("stub" in cell.tags):
            raise cell.fail("a cell has a solution if, and only if, it is tagged stub.")
        if "exercise" in cell.tags:
            _look_over_task(cell)
    found = [tuple(tag for tag in ROLES if tag in c.tags) for c in cells if c.exercise]
    roles = [(cell.exercise, *role) for cell, role in zip([c for c in cells if c.exercise], found, strict=True)]
    expected = [e.id for e in exercises().values() if e.lesson == int(path.stem[:2])]
    wanted = [(id, role) for id in expected for role in ROLES]
    if roles != wanted:
        raise LessonError(f"{path.name}: found {roles}; expected exercise, stub and check of {', '.join(expected)}.")
    for cell in cells:
        if cell.exercise:
            _look_over_code(cell)


def _look_over_task(cell: Cell) -> None:
    exercise = exercises().get(cell.exercise)
    if exercise is None:
        raise cell.fail("no `### Exercise N.N — title` of an exercise that has a check.")
    facts = f"*{exercise.minutes} minutes · {exercise.kind} · {exercise.lines}*"
    if facts not in cell.text.splitlines():
        raise cell.fail(f"the line under the title should be {facts}, as in the check.")
    if HINTS.findall(cell.text) != [cell.exercise]:
        raise cell.fail(f"hints come from the check: put `<!-- hints {cell.exercise} -->` in a line of its own.")


def _look_over_code(cell: Cell) -> None:
    name = exercises()[cell.exercise].name
    if "stub" in cell.tags and not re.search(rf"^def {name}\(", cell.text, flags=re.MULTILINE):
        raise cell.fail(f"the stub should define `{name}`.")
    if "check" in cell.tags and cell.text.strip() != f"check.{name}({name})":
        raise cell.fail(f"the check cell should be `check.{name}({name})`.")
