"""A lesson as the lint sees it: its cells, its built notebooks, and the places that faults are reported at."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import nbformat
from lesson_source import Cell, LessonError, read_lesson, solved_notebook

from moe_lite.checks.engine.exercise import Exercise
from moe_lite.checks.lesson_cells import in_notebooks, line_in, read_cells
from moe_lite.checks.registry import exercises

Found = Iterator[tuple[str, str]]  # what a rule gives: where, and what is wrong
SECTION = re.compile(r"^## (.*)$", re.MULTILINE)
_NOT_PROSE = (
    re.compile(r"<!--.*?-->", re.DOTALL),
    re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL),
    re.compile(r"`[^`]*`"),
    re.compile(r"\$[^$\n]+\$"),
)
LINK = re.compile(r"!?\[[^\]]*\]\([^)]*\)")


@dataclass(frozen=True)
class Fault:
    """One thing that an author should mend."""

    where: str  # "03_router.py, line 132 (cell stub-3-2)"
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message} [{self.rule}]"


@dataclass(frozen=True)
class Lesson:
    """A source that can be cut into cells, and what was built from it."""

    path: Path
    root: Path  # the folder of the course
    source: list[Cell]  # with the holds cells

    @cached_property
    def cells(self) -> list[Cell]:
        """Those that the notebooks have."""
        return in_notebooks(self.source)

    @cached_property
    def without_guesses(self) -> "Lesson":
        """Cells that take a guess and show it again belong to the question and to the result beside them."""
        return replace(self, source=[cell for cell in self.source if "guess" not in cell.tags])

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def number(self) -> int:
        return int(self.path.stem[:2])

    @property
    def code(self) -> list[Cell]:
        return [cell for cell in self.cells if cell.kind == "code"]

    @property
    def prose(self) -> list[Cell]:
        return [cell for cell in self.cells if cell.kind == "markdown"]

    @property
    def exercises(self) -> list[Exercise]:
        return [exercise for exercise in exercises().values() if exercise.lesson == self.number]

    @cached_property
    def sources(self) -> dict[str, str]:
        """{cell id: text as the solved notebook has it}."""
        return {cell.id: made.source for cell, made in zip(self.cells, solved_notebook(self.cells).cells, strict=True)}

    def notebook_path(self, folder: str) -> Path:
        return self.root / folder / f"{self.path.stem}.ipynb"

    @cached_property
    def outputs(self) -> dict[str, list[nbformat.NotebookNode]]:
        """{cell id: outputs} of the solved notebook."""
        solved = nbformat.read(self.notebook_path("solutions"), as_version=4)
        return {cell.id: cell.outputs for cell in solved.cells if cell.cell_type == "code"}

    def tree(self, cell: Cell) -> ast.Module:
        """The syntax tree of a code cell; raises LessonError if it is no Python."""
        try:
            flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
            return compile(self.sources[cell.id], self.name, "exec", flags)
        except SyntaxError as error:
            raise cell.fail(f"this is no Python: {error.msg} in its line {error.lineno}.") from error

    def refused(self) -> Found:
        """What `lesson_source` says against it."""
        try:
            read_lesson(self.path)
        except LessonError as error:
            where, _, message = str(error).partition(": ")
            yield where, message

    def answered_by(self, position: int) -> bool:
        """Whether the cell after `position` is prose and no task."""
        after = self.cells[position + 1 : position + 2]
        return bool(after) and after[0].kind == "markdown" and "exercise" not in after[0].tags

    def not_built(self) -> Found:
        """Notebooks that are missing, or whose code cells are not those of the source."""
        ids = [cell.id for cell in self.code]
        for folder in ("solutions", "notebooks"):
            path = self.notebook_path(folder)
            told = f"expected {folder}/{path.name} as built from this source. Run tools/build_notebooks.py."
            if not path.is_file():
                yield self.name, f"there is no notebook; {told}"
                continue
            built = [cell.id for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
            changed = [cell for cell, id in zip(self.code, [*built, *ids], strict=False) if cell.id != id]
            if changed or len(built) != len(ids):
                yield (changed or self.code)[0].where, f"the notebook has other code cells from here on; {told}"


def read(path: Path, root: Path) -> Lesson:
    """Raises LessonError for a source that cannot be cut into cells."""
    return Lesson(path, root, read_cells(path))


def blank(text: str, *patterns: re.Pattern) -> str:
    """`text` with every match replaced by spaces, so that lines stay where they are."""
    for pattern in patterns:
        text = pattern.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)
    return text


def prose_of(cell: Cell) -> str:
    """A cell's Markdown without comments, code and formulas, line by line in its place."""
    return blank(cell.text, *_NOT_PROSE)


def place(cell: Cell, line: int) -> str:
    """Where line `line` of a cell, counted from 0, stands in the source."""
    return line_in(cell.where, 1 + line)


def lines_with(cell: Cell, text: str, pattern: re.Pattern) -> Iterator[tuple[str, re.Match]]:
    """Every match in `text`, a form of the cell's text with the same lines, and where it stands."""
    for match in pattern.finditer(text):
        yield place(cell, text.count("\n", 0, match.start())), match
