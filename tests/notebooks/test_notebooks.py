"""The lessons themselves: what their sources give, open without an error, graded right, read solved.

Each notebook is run once: the solved one through nbval, as a class does it, where every cell must pass; the learner's
from top to bottom in JupyterLab, where nothing may end in an error, on the two texts that need no download, as on a
machine without network. What a rebuild would save is taken from the same runs. That nbval fails an open exercise and
nothing else is shown once, by lesson 06 with one of its exercises open. The builder's own tests, in
test_build_notebooks.py, need no lesson.
"""

import functools
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest
from build_notebooks import LEARNER_BYTES, SOLVED_BYTES, differences, kept, written
from lab import open_lab
from lesson_source import KEEP_PICTURES, learner_notebook, read_lesson, solved_notebook, with_holds
from lesson_texts import ROOT, lesson_files
from nbval_runs import Graded, grade_notebook

from moe_lite.checks.registry import exercises
from moe_lite.data import data_dir

LESSONS = [path.stem for path in lesson_files()]
Shown = Mapping[str, list[nbformat.NotebookNode]]  # the outputs of each code cell, by its id


def runs(folder: str) -> list:
    """The lessons, for tests that need the run of their notebook in `folder`: they share a process, and so the run."""
    return [pytest.param(lesson, id=f"{folder}-{lesson}", marks=pytest.mark.notebook) for lesson in LESSONS]


def read(folder: str, lesson: str) -> nbformat.NotebookNode:
    return nbformat.read(ROOT / folder / f"{lesson}.ipynb", as_version=4)


def code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def cells_tagged(notebook: nbformat.NotebookNode, tag: str) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", ())]


def source_of(lesson: str) -> list:
    return read_lesson(ROOT / "solutions" / f"{lesson}.py")


def filled_in(lesson: str, leave_open: str = "") -> nbformat.NotebookNode:
    """The learner's notebook with the lesson's solutions typed into its stubs, but for one."""
    notebook = read("notebooks", lesson)
    solved = {cell.id: cell.source for cell in solved_notebook(source_of(lesson)).cells}
    for cell in cells_tagged(notebook, "stub"):
        if cell.id != leave_open:
            cell.source = solved[cell.id]
    return notebook


def rebuilt(folder: str, lesson: str, shown: Shown) -> nbformat.NotebookNode:
    """What `make notebooks` would save, if the cells showed this."""
    cells = source_of(lesson)
    notebook = (learner_notebook if folder == "notebooks" else solved_notebook)(cells)
    for cell in code_cells(notebook):
        cell.outputs = list(shown.get(cell.id, ()))
    notebook = kept(notebook, cells, "unsolved" if folder == "notebooks" else "solved")
    return nbformat.reads(written(notebook, ROOT / folder / f"{lesson}.ipynb"), as_version=4)


def grade(notebook: nbformat.NotebookNode, folder: Path, python: list[str]) -> Graded:
    """A notebook through nbval, in a folder of its own."""
    nbformat.write(notebook, folder / "lesson.ipynb")
    return grade_notebook(folder / "lesson.ipynb", folder, python)


@dataclass(frozen=True)
class Opened:
    """What a notebook showed in JupyterLab."""

    shown: Shown
    complaints: list[str]  # of the page


@pytest.fixture(scope="session")
def solved(python, tmp_path_factory) -> Callable[[str], Graded]:
    """solved(lesson): what nbval says of the solved notebook with its holds cells; it is run once."""

    def graded(lesson: str) -> Graded:
        held = with_holds(read("solutions", lesson), source_of(lesson))
        return grade(held, tmp_path_factory.mktemp("solved"), python)

    return functools.cache(graded)


@pytest.fixture(scope="session")
def without_downloads(corpus_folder, tmp_path_factory) -> Path:
    """A data folder as a set-up without network leaves it: of the texts only those that are generated."""
    folder = tmp_path_factory.mktemp("data")
    for entry in data_dir().iterdir():
        if entry.name != "corpus":
            (folder / entry.name).symlink_to(entry)
    (folder / "corpus").mkdir()
    for name in (f"{domain}.{part}.txt" for domain in ("math", "dialogue") for part in ("train", "val")):
        shutil.copy(corpus_folder / name, folder / "corpus" / name)
    return folder


@pytest.fixture(scope="session")
def unsolved(server, browser, without_downloads) -> Callable[[str], Opened]:
    """unsolved(lesson): what the learner's notebook shows when all cells are run in JupyterLab; it is run once."""

    def opened(lesson: str) -> Opened:
        notebook = read("notebooks", lesson)
        elsewhere = f'import os\nos.environ["MOE_LITE_DATA"] = {str(without_downloads)!r}'
        notebook.cells.insert(0, nbformat.v4.new_code_cell(elsewhere))
        with open_lab(server, browser) as lab:
            nbformat.write(notebook, lab.folder / f"{lesson}.ipynb")
            lab.open(f"{lesson}.ipynb")
            lab.run_all()
            return Opened(lab.outputs(), lab.errors)

    return functools.cache(opened)


# ---- as they lie there -----------------------------------------------------------------------------------------------


def test_there_are_lessons():
    assert {"00", "01", "03"} <= {name[:2] for name in LESSONS}
    names = {path.stem for folder in ("notebooks", "solutions") for path in (ROOT / folder).glob("*.ipynb")}
    assert names == set(LESSONS), "a notebook without a source, or a source that was not built"


@pytest.mark.parametrize("lesson", LESSONS)
@pytest.mark.parametrize("folder", ["notebooks", "solutions"])
def test_a_notebook_has_the_cells_that_its_source_gives(folder, lesson):
    saved = read(folder, lesson)
    made = rebuilt(folder, lesson, {cell.id: cell.outputs for cell in code_cells(saved)})
    found = differences(saved, made, f"{folder}/{lesson}.ipynb")
    assert not found, "\n".join([*found, "Run: make notebooks"])


@pytest.mark.parametrize("lesson", LESSONS)
def test_the_learners_notebook_is_small_and_keeps_pictures_only(lesson):
    notebook = read("notebooks", lesson)
    nbformat.validate(notebook)
    assert (ROOT / "notebooks" / f"{lesson}.ipynb").stat().st_size <= LEARNER_BYTES
    assert (ROOT / "solutions" / f"{lesson}.ipynb").stat().st_size <= SOLVED_BYTES
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
def test_the_learners_notebook_filled_in_is_the_solved_one(lesson):
    """Cell by cell, tags included; so the run of the solved one shows that the solutions work in the learner's."""
    filled, solved = code_cells(filled_in(lesson)), code_cells(read("solutions", lesson))
    compared = {"nbval-check-output"}  # the one tag that the solved notebook has beside
    for mine, its in zip(filled, solved, strict=True):
        assert (mine.id, mine.source) == (its.id, its.source)
        assert set(mine.metadata.get("tags", ())) == set(its.metadata.get("tags", ())) - compared


# ---- as they run -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lesson", runs("solutions"))
def test_nbval_passes_the_solved_notebook(lesson, solved):
    graded = solved(lesson)
    assert graded.failed == [], graded.output


@pytest.mark.parametrize("lesson", runs("notebooks"))
def test_the_learners_notebook_runs_from_top_to_bottom_without_an_error(lesson, unsolved):
    """In JupyterLab, with nothing written: the cells, and the page that shows them."""
    outputs = [(id, output) for id, outputs in unsolved(lesson).shown.items() for output in outputs]
    assert [(id, output.ename) for id, output in outputs if output.output_type == "error"] == []
    assert unsolved(lesson).complaints == []


@pytest.mark.parametrize("lesson", runs("notebooks"))
def test_the_check_of_each_open_exercise_says_so(lesson, unsolved):
    checks = cells_tagged(read("notebooks", lesson), "check")
    said = ["".join(output.data["text/plain"] for output in unsolved(lesson).shown[cell.id]) for cell in checks]
    expected = ["3 of 6 pass" if lesson.startswith("00") else "not attempted yet"] * len(checks)  # 00 has a draft
    assert all(text.split(": ")[1].startswith(words) for text, words in zip(said, expected, strict=True)), said


@pytest.mark.parametrize("lesson", runs("solutions"))
def test_a_rebuild_of_the_solved_notebook_finds_no_difference(lesson, solved):
    assert_rebuilt("solutions", lesson, solved(lesson).shown)


@pytest.mark.parametrize("lesson", runs("notebooks"))
def test_a_rebuild_of_the_learners_notebook_finds_no_difference(lesson, unsolved):
    assert_rebuilt("notebooks", lesson, unsolved(lesson).shown)


def assert_rebuilt(folder: str, lesson: str, shown: Shown) -> None:
    found = differences(read(folder, lesson), rebuilt(folder, lesson, shown), lesson)
    assert not found, "\n".join([*found, "Run: make notebooks"])


@pytest.mark.notebook
def test_nbval_fails_only_the_exercise_that_is_still_open(python, tmp_path):
    """Lesson 06 solved but for 6.1, whose check raises under pytest; later cells go on with the package's function."""
    lesson = next(name for name in LESSONS if name.startswith("06"))
    graded = grade(filled_in(lesson, leave_open="stub-6-1"), tmp_path, python)
    assert graded.failed == ["check-6-1"], graded.output
    errors = [output.ename for outputs in graded.shown.values() for output in outputs if output.output_type == "error"]
    assert errors == ["CheckFailed"] and "6.1 load_statistics: not attempted yet" in graded.output
