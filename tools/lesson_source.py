"""Read a lesson's one source and make from it what learners open and what is read solved, as notebooks without outputs.

A source is a jupytext percent file, `solutions/NN_slug.py`. Its cells carry tags:

    exercise  a task, in Markdown, with `### Exercise 3.2 — name`, `*10 minutes · core · about 3 lines*` and the line
              `<!-- hints 3.2 -->`, which is replaced by the hints that the check shows
    stub      the function to write. Lines between `### BEGIN SOLUTION` and `### END SOLUTION` become a
              `raise NotImplementedError`; or, if there are commented lines between `### BEGIN DRAFT` and
              `### END DRAFT`, those, without their comment signs
    check     `check.name(name)`
    widget, figure   keep their pictures in the learner's notebook
    setup     imports
"""

import hashlib
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import jupytext
import nbformat

from moe_lite.checks.card import hints_html
from moe_lite.checks.registry import exercises

TAGS = {"exercise", "stub", "check", "widget", "figure", "setup"}
TASK = re.compile(r"^### Exercise (\d+\.\d+) — ", re.MULTILINE)
HINTS = re.compile(r"^<!-- hints (\d+\.\d+) -->$", re.MULTILINE)
REGION = re.compile(r"^\s*### (BEGIN|END) (SOLUTION|DRAFT)\s*$")
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


class LessonError(Exception):
    """Something is wrong with a lesson's source; names the file, the line and the cell."""


@dataclass(frozen=True)
class Cell:
    """One cell of the source."""

    id: str
    kind: str  # "markdown" | "code"
    tags: tuple[str, ...]
    text: str
    where: str  # "03_router.py, line 132 (cell ex-3-2-stub)"
    exercise: str = ""  # the id of the exercise that it belongs to

    def fail(self, what: str) -> LessonError:
        return LessonError(f"{self.where}: {what}")


def read_lesson(path: Path) -> list[Cell]:
    """The cells of a source, with stable ids, after everything that can be checked without running has been."""
    text = path.read_text(encoding="utf-8")
    notebook = jupytext.reads(text, fmt="py:percent")
    lines = [n for n, line in enumerate(text.splitlines(), start=1) if re.match(r"# %%(\s|$)", line)]
    if len(lines) != len(notebook.cells):
        raise LessonError(f"{path.name}: {len(lines)} cell marks, {len(notebook.cells)} cells; begin with `# %%`.")
    cells, exercise, seen = [], "", Counter()
    for line, raw in zip(lines, notebook.cells, strict=True):
        tags = tuple(raw.metadata.get("tags", ()))
        if "exercise" in tags:
            exercise = (TASK.search(raw.source) or re.match("()", "")).group(1)
        belongs = exercise if {"exercise", "stub", "check"} & set(tags) else ""
        id = _cell_id(path.stem, raw.cell_type, tags, belongs, raw.source)
        seen[id] += 1
        id += f"-{seen[id]}" if seen[id] > 1 else ""
        where = f"{path.name}, line {line} (cell {id})"
        cells.append(Cell(id, raw.cell_type, tags, raw.source, where, belongs))
    _look_over(path, cells)
    return cells


def _cell_id(slug: str, kind: str, tags: tuple[str, ...], exercise: str, text: str) -> str:
    """Made from the content alone, so that a cell keeps its id when others come and go."""
    if exercise:
        role = next(tag for tag in ("exercise", "stub", "check") if tag in tags)
        return f"{role}-{exercise.replace('.', '-')}"
    return hashlib.sha256(f"{slug}\n{kind}\n{text}".encode()).hexdigest()[:10]


def learner_notebook(cells: list[Cell]) -> nbformat.NotebookNode:
    """What learners open: stubs in place of solutions."""
    return _notebook([(cell, _stubbed(cell), cell.tags) for cell in cells])


def solved_notebook(cells: list[Cell]) -> nbformat.NotebookNode:
    """The same with solutions; the output of its check cells is compared by nbval."""
    extra = {cell.id: ("nbval-check-output",) if "check" in cell.tags else () for cell in cells}
    return _notebook([(cell, _solved(cell), (*cell.tags, *extra[cell.id])) for cell in cells])


def _notebook(parts: list[tuple[Cell, str, tuple[str, ...]]]) -> nbformat.NotebookNode:
    made = []
    for cell, text, tags in parts:
        new = nbformat.v4.new_code_cell if cell.kind == "code" else nbformat.v4.new_markdown_cell
        made.append(new(HINTS.sub(_hints, text), id=cell.id, metadata={"tags": list(tags)} if tags else {}))
    return nbformat.v4.new_notebook(cells=made, metadata=nbformat.from_dict(METADATA))


def _hints(match: re.Match) -> str:
    return hints_html(exercises()[match[1]].hints)


def _stubbed(cell: Cell) -> str:
    lines, regions = [], _regions(cell)
    has_draft = any(kind == "DRAFT" for kind, _, _ in regions)
    for kind, line, begins in regions:
        if kind == "DRAFT" and not begins:
            lines.append(re.sub(r"# ?", "", line, count=1))
        elif kind == "SOLUTION" and begins and not has_draft:
            indent = line[: len(line) - len(line.lstrip())]
            lines.append(f'{indent}raise NotImplementedError("exercise {cell.exercise}: write your code here")')
        elif not kind:
            lines.append(line)
    return "\n".join(lines)


def _solved(cell: Cell) -> str:
    return "\n".join(line for kind, line, begins in _regions(cell) if kind != "DRAFT" and not begins)


def _regions(cell: Cell) -> list[tuple[str, str, bool]]:
    """Each line with its region ("", SOLUTION or DRAFT), and whether it begins that; end marks are left out."""
    found, inside = [], ""
    for line in cell.text.splitlines():
        if mark := REGION.match(line):
            begins, kind = mark[1] == "BEGIN", mark[2]
            if begins == bool(inside) or (not begins and kind != inside):
                raise cell.fail(f"`{line.strip()}` does not fit; open so far: {inside or 'nothing'}.")
            inside = kind if begins else ""
            found += [(kind, line, True)] if begins else []
        else:
            found.append((inside, line, False))
    if inside:
        raise cell.fail(f"`### END {inside}` is missing.")
    return found


def _look_over(path: Path, cells: list[Cell]) -> None:
    """Raise LessonError for a source that does not keep its own rules."""
    for cell in cells:
        if unknown := set(cell.tags) - TAGS:
            raise cell.fail(f"unknown tag {', '.join(sorted(unknown))}; known are {', '.join(sorted(TAGS))}.")
        has_solution = any(kind == "SOLUTION" for kind, _, _ in _regions(cell))
        if has_solution != ("stub" in cell.tags):
            raise cell.fail("a cell has a solution if, and only if, it is tagged stub.")
        if "exercise" in cell.tags:
            _look_over_task(cell)
    found = [tuple(t for t in ("exercise", "stub", "check") if t in c.tags) for c in cells if c.exercise]
    roles = [(cell.exercise, *role) for cell, role in zip([c for c in cells if c.exercise], found, strict=True)]
    expected = [e.id for e in exercises().values() if e.lesson == int(path.stem[:2])]
    wanted = [(id, role) for id in expected for role in ("exercise", "stub", "check")]
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
