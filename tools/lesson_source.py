"""What a lesson's source must keep to, and the solved notebook. moe_lite/checks/lesson_cells.py says how it is read."""

import ast
import os
import re
from pathlib import Path

import nbformat

from moe_lite.checks.lesson_cells import (
    ANSWERED,
    HINTS,
    KEEP_PICTURES,
    ROLES,
    Cell,
    LessonError,
    covered,
    in_notebooks,
    learner_notebook,
    notebook,
    read_cells,
    regions,
    solved,
)
from moe_lite.checks.registry import exercises
from moe_lite.course import cloud

__all__ = ["Cell", "LessonError", "in_notebooks", "learner_notebook", "read_lesson", "solved_notebook"]
TAGS = {*ROLES, *KEEP_PICTURES, cloud.TAG, "setup", "guess", "broken", "holds", "full"}
HOLDS_TAGS = [("holds",), ("holds", "full")]
RUN_HOLDS = '__import__("moe_lite.checks.holds", fromlist=["run_holds"]).run_holds(globals(), {where!r}, {text!r})'


def read_lesson(path: Path) -> list[Cell]:
    """The cells of a source, after everything that can be checked without running has been."""
    cells = read_cells(path)
    _look_over(path, cells)
    return cells


def solved_notebook(cells: list[Cell]) -> nbformat.NotebookNode:
    """The lesson with solutions; the output of its check cells is compared by nbval."""
    extra = {cell.id: ("nbval-check-output",) if "check" in cell.tags else () for cell in cells}
    return notebook([(cell, solved(cell), (*cell.tags, *extra[cell.id])) for cell in in_notebooks(cells)])


def with_holds(notebook: nbformat.NotebookNode, cells: list[Cell]) -> nbformat.NotebookNode:
    """A solved notebook with the holds cells of its source put in, as they run; without those tagged full if trainings
    are cut short. Raises LessonError where the cell before one is missing."""
    found = list(notebook.cells)
    cut_short = os.environ.get("MOE_LITE_BUDGET") == "ci"
    before = ""  # the id of the cell that the next one stands behind
    for cell in cells:
        if "holds" in cell.tags and not ("full" in cell.tags and cut_short):
            text = RUN_HOLDS.format(where=cell.where, text=cell.text)
            places = [i for i, other in enumerate(found) if other.id == before]
            if not places:
                raise cell.fail(f"the notebook has no cell {before} for it to stand behind; run `make notebooks`.")
            made = nbformat.v4.new_code_cell(text, id=cell.id, metadata={"tags": list(cell.tags)})
            found.insert(places[0] + 1, made)
            before = cell.id
        elif "holds" not in cell.tags:
            before = cell.id
    return nbformat.from_dict(notebook | {"cells": found})


def without_holds(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """A notebook that has been run, as if it had no holds cells: its code cells are counted without them."""
    found, taken = [], 0
    for cell in notebook.cells:
        if "holds" in cell.metadata.get("tags", ()):
            taken += 1
            continue
        for counted in (cell, *cell.get("outputs", ())):
            if counted.get("execution_count"):
                counted.execution_count -= taken
        found.append(cell)
    return nbformat.from_dict(notebook | {"cells": found})


def _look_over(path: Path, cells: list[Cell]) -> None:
    """Raise LessonError for a source that does not keep its own rules."""
    for cell in cells:
        if unknown := set(cell.tags) - TAGS:
            raise cell.fail(f"unknown tag {', '.join(sorted(unknown))}; known are {', '.join(sorted(TAGS))}.")
        if cell.kind == "code" and re.search(r"^(# )?[%!]\w", cell.text, flags=re.MULTILINE):
            raise cell.fail("magic commands do not work in every place where lessons run; write Python.")
        if cell.kind == "markdown" and ANSWERED in covered(cell.text, ""):
            raise cell.fail(f"{ANSWERED} ends an answer, and there is none before it.")
        has_solution = any(kind == "SOLUTION" for kind, _, _ in regions(cell))
        if has_solution != ("stub" in cell.tags):
            raise cell.fail("a cell has a solution if, and only if, it is tagged stub.")
        if "exercise" in cell.tags:
            _look_over_task(cell)
        if {"holds", "full"} & set(cell.tags):
            _look_over_holds(cell)
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


def _look_over_holds(cell: Cell) -> None:
    """It may read everything and change nothing; what cannot be seen here, `run_holds` watches."""
    if cell.kind != "code" or cell.tags not in HOLDS_TAGS:
        raise cell.fail('a holds cell is code, with tags=["holds"] or tags=["holds", "full"].')
    try:
        nodes = [*ast.walk(ast.parse(cell.text))]
    except SyntaxError as error:
        raise cell.fail(f"this is no Python: {error.msg} in its line {error.lineno}.") from error
    calls = [node.func for node in nodes if isinstance(node, ast.Call)]
    if not any(isinstance(called, ast.Name) and called.id == "holds" for called in calls):
        raise cell.fail('a holds cell calls holds("what the prose claims", condition) at least once.')
    if taken := [name for name in _given(nodes) if not name.startswith("_")]:
        raise cell.fail(
            f"a holds cell gives the name {taken[0]}; its own names begin with _, so that no other is lost."
        )
    put = [n for n in nodes if isinstance(n, ast.Attribute | ast.Subscript) and not isinstance(n.ctx, ast.Load)]
    put += [
        called for called in calls if isinstance(called, ast.Attribute) and re.fullmatch(r"[a-z]\w*[^_]_", called.attr)
    ]
    if put or any(isinstance(node, ast.Global) for node in nodes):
        changed = ast.unparse(put[0]) if put else "global"
        raise cell.fail(f"a holds cell changes something of the lesson (`{changed}`); compute a new value.")


def _given(nodes: list[ast.AST]) -> list[str]:
    """The names that code gives, but for those that last as long as a comprehension."""
    passing = {id(n) for node in nodes if isinstance(node, ast.comprehension) for n in ast.walk(node.target)}
    names = [n for n in nodes if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load) and id(n) not in passing]
    defined = [n.name for n in nodes if isinstance(n, ast.FunctionDef | ast.ClassDef)]
    imported = [n.asname or n.name.split(".")[0] for n in nodes if isinstance(n, ast.alias)]
    return [name.id for name in names] + defined + imported


def _look_over_code(cell: Cell) -> None:
    name = exercises()[cell.exercise].name
    if "stub" in cell.tags and not re.search(rf"^def {name}\(", cell.text, flags=re.MULTILINE):
        raise cell.fail(f"the stub should define `{name}`.")
    if "check" in cell.tags and cell.text.strip() != f"check.{name}({name})":
        raise cell.fail(f"the check cell should be `check.{name}({name})`.")
