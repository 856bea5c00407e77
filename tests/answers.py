"""The committed wrong and right answers, and the lessons' own solutions, as functions."""

import sys
from collections.abc import Callable
from pathlib import Path

from moe_lite.checks.engine.exercise import Exercise
from moe_lite.checks.registry import exercises

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))  # programs, not a package

from lesson_source import read_lesson, solved_notebook  # noqa: E402


def answer_files(kind: str) -> list[Path]:
    """tests/wrong_answers/3.2/*.py and the like, of all exercises."""
    return sorted((ROOT / "tests" / kind).glob("*/*.py"))


def name_of(file: Path) -> str:
    """For a test's id: 3.2-unstable_ties."""
    return f"{file.parent.name}-{file.stem}"


def exercise_of(file: Path) -> Exercise:
    return exercises()[file.parent.name]


def function_in(file: Path) -> Callable:
    """The function that an answer's file defines."""
    namespace = {"__name__": file.stem}
    exec(compile(file.read_text(encoding="utf-8"), str(file), "exec"), namespace)
    return namespace[exercise_of(file).name]


def expected_titles(file: Path) -> list[str]:
    """The titles of the mistakes that a wrong answer may be told, from its first line."""
    first = file.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# expects: "), f"{file}: the first line has to say which mistake is expected"
    return [title.strip() for title in first.removeprefix("# expects: ").split("|")]


def lesson_files() -> list[Path]:
    return sorted((ROOT / "solutions").glob("[0-9][0-9]_*.py"))


def stub_cells(build: Callable = solved_notebook) -> dict[str, str]:
    """{exercise id: source of its stub cell} of all lessons that have a source: solved, or as `build` makes it."""
    texts = {}
    for path in lesson_files():
        cells = read_lesson(path)
        for cell, made in zip(cells, build(cells).cells, strict=True):
            if "stub" in cell.tags:
                texts[cell.exercise] = made.source
    return texts
