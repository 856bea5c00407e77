"""The lessons themselves: built from their sources, open without an error, graded right, read solved.

The builder's own tests are in test_build_notebooks.py; they need no lesson.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from lesson_source import KEEP_PICTURES, read_lesson, solved_notebook
from lesson_texts import ROOT, lesson_files
from nbval_runs import grade_notebook

from moe_lite.checks.registry import exercises

LESSONS = [path.stem for path in lesson_files()]
UNTOUCHED = {"00": "0.1 expert_load: 3 of 5 pass", "01": "1.1 cross_entropy: not attempted yet"}  # what nbval says


def read(folder: str, lesson: str) -> nbformat.NotebookNode:
    return nbformat.read(ROOT / folder / f"{lesson}.ipynb", as_version=4)


def cells_tagged(notebook: nbformat.NotebookNode, tag: str) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", ())]


@pytest.fixture
def copy(tmp_path):
    """A notebook in a folder of its own, with the conftest.py of the course; `change` may edit it first."""

    def make(folder: str, lesson: str, change=lambda notebook: None) -> Path:
        notebook = read(folder, lesson)
        change(notebook)
        path = tmp_path / f"{lesson}.ipynb"
        nbformat.write(notebook, path)
        shutil.copy(ROOT / "conftest.py", tmp_path)
        return path

    return make


def test_there_are_lessons():
    assert {"00", "01", "03"} <= {name[:2] for name in LESSONS}
    names = {path.stem for folder in ("notebooks", "solutions") for path in (ROOT / folder).glob("*.ipynb")}
    assert names == set(LESSONS), "a notebook without a source, or a source that was not built"


def test_a_rebuild_finds_no_difference():
    """Also runs every learner's notebook unsolved and every solved one, and refuses both if a cell ends in an error."""
    done = subprocess.run(
        [sys.executable, "tools/build_notebooks.py", "--check"], cwd=ROOT, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("lesson", LESSONS)
def test_the_learners_notebook_is_small_and_keeps_pictures_only(lesson):
    notebook = read("notebooks", lesson)
    nbformat.validate(notebook)
    assert (ROOT / "notebooks" / f"{lesson}.ipynb").stat().st_size <= 300_000
    assert (ROOT / "solutions" / f"{lesson}.ipynb").stat().st_size <= 1_000_000
    pictures = [cell for tag in KEEP_PICTURES for cell in cells_tagged(notebook, tag)]
    assert pictures and all(cell.outputs for cell in pictures)
    others = [c for c in notebook.cells if c.cell_type == "code" and c not in pictures]
    assert not [cell.id for cell in others if cell.outputs or cell.execution_count is not None]
    for cell in pictures:
        for output in cell.outputs:
            assert "application/vnd.jupyter.widget-view+json" not in output.data
            assert {"text/html", "image/svg+xml", "image/png"} & set(output.data)


@pytest.mark.parametrize("lesson", LESSONS)
def test_the_learners_stubs_have_no_line_of_the_solution(lesson):
    text = (ROOT / "solutions" / f"{lesson}.py").read_text(encoding="utf-8")
    solutions = re.findall(r"### BEGIN SOLUTION\n(.*?)### END SOLUTION", text, flags=re.DOTALL)
    stubs = cells_tagged(read("notebooks", lesson), "stub")
    assert len(stubs) == len(solutions) >= 1
    for stub, solution in zip(stubs, solutions, strict=True):
        shown = {line.strip() for line in stub.source.splitlines()}
        assert not shown & {line.strip() for line in solution.splitlines() if line.strip()}
        assert "raise NotImplementedError" in stub.source or lesson.startswith("00")
    whole = (ROOT / "notebooks" / f"{lesson}.ipynb").read_text(encoding="utf-8")
    assert "### BEGIN" not in whole and "### END" not in whole


@pytest.mark.parametrize("lesson", LESSONS)
def test_every_check_passes_in_the_solved_notebook_and_is_compared(lesson):
    checks = cells_tagged(read("solutions", lesson), "check")
    assert checks
    for cell in checks:
        text = cell.outputs[0].data["text/plain"]
        passed, total = text.split(": ")[1].removesuffix(" pass").split(" of ")
        assert passed == total
        assert "nbval-check-output" in cell.metadata.tags and cell.execution_count


def test_every_exercise_that_has_a_check_is_in_a_lesson():
    found = [cell.exercise for path in lesson_files() for cell in read_lesson(path) if "check" in cell.tags]
    assert found == [*exercises()] and len(found) >= 11


@pytest.mark.parametrize("lesson", LESSONS)
def test_nbval_passes_the_solved_notebook(lesson, copy, tmp_path):
    graded = grade_notebook(copy("solutions", lesson), tmp_path)
    assert graded.failed == [], graded.output


@pytest.mark.parametrize("lesson", LESSONS)
def test_nbval_fails_exactly_at_the_open_exercises(lesson, copy, tmp_path):
    graded = grade_notebook(copy("notebooks", lesson), tmp_path)
    assert graded.failed == [cell.id for cell in cells_tagged(read("notebooks", lesson), "check")]
    assert UNTOUCHED.get(lesson[:2], "not attempted yet") in graded.output


@pytest.mark.parametrize("lesson", LESSONS)
def test_nbval_passes_the_learners_notebook_with_the_solutions_filled_in(lesson, copy, tmp_path):
    solved = {cell.id: cell.source for cell in solved_notebook(read_lesson(ROOT / "solutions" / f"{lesson}.py")).cells}

    def fill_in(notebook):
        for cell in cells_tagged(notebook, "stub"):
            cell.source = solved[cell.id]

    graded = grade_notebook(copy("notebooks", lesson, fill_in), tmp_path)
    assert graded.failed == [], graded.output


def test_nbval_fails_only_the_exercise_that_is_still_open(copy, tmp_path):
    """All of lesson 03 solved but 3.2: later cells go on with the package's function."""
    lesson = next(name for name in LESSONS if name.startswith("03"))
    solved = {cell.id: cell.source for cell in solved_notebook(read_lesson(ROOT / "solutions" / f"{lesson}.py")).cells}

    def fill_in(notebook):
        for cell in cells_tagged(notebook, "stub"):
            if cell.id != "stub-3-2":
                cell.source = solved[cell.id]

    assert grade_notebook(copy("notebooks", lesson, fill_in), tmp_path).failed == ["check-3-2"]
