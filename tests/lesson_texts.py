"""The lessons' sources in solutions/, and the stub cells in them."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

from lesson_source import in_notebooks, read_lesson, solved_notebook

ROOT = Path(__file__).resolve().parents[1]


def lesson_files() -> list[Path]:
    return sorted((ROOT / "solutions").glob("[0-9][0-9]_*.py"))


@cache
def stub_cells(build: Callable = solved_notebook) -> dict[str, str]:
    """{exercise id: source of its stub cell} of all lessons that have a source: solved, or as `build` makes it."""
    texts = {}
    for path in lesson_files():
        cells = in_notebooks(read_lesson(path))
        for cell, made in zip(cells, build(cells).cells, strict=True):
            if "stub" in cell.tags:
                texts[cell.exercise] = made.source
    return texts
