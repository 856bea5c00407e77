"""Ways on when stuck: an exercise as it was at first, going on without one, a fresh copy of a lesson."""

import difflib
import os
import re
import shutil
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import nbformat

from moe_lite.checks.engine.exercise import Exercise
from moe_lite.checks.lesson_cells import (
    LessonError,
    cover_figure,
    keeps_pictures,
    learner_notebook,
    pictures,
    read_cells,
    stubbed,
)
from moe_lite.checks.registry import exercises
from moe_lite.course import outline, progress
from moe_lite.look.terminal import printable

RELOAD = "File → Reload Notebook from Disk"


def reset(id: str) -> None:
    """Make the cell in which this is run the stub of exercise `id` again; outside a notebook, print the stub.

    A pass stays recorded; a skip is taken back. Raises CourseError, a ValueError, for an exercise that does not exist.
    """
    exercise = _exercise(id)
    stub = stub_text(exercise.id)
    progress.take_back_skip(exercise.id)
    shell = _shell()
    if shell is None:
        print(printable(stub))
        return
    shell.set_next_input(stub, replace=True)
    print(f"{exercise.id} {exercise.name} is as it was at first. Run the cell, then its check.")
    print(f"Where the cell still looks as before (not every notebook program changes it), put this in:\n\n{stub}")
    if others := _besides_call(shell):
        print(f"What else stood in this cell:\n\n{others}")


def skip(id: str) -> None:
    """Go on without exercise `id`: it is noted, and later cells use the package's function.

    Raises CourseError, a ValueError, for an exercise that does not exist.
    """
    exercise = _exercise(id)
    label = f"{exercise.id} {exercise.name}"
    status = progress.skip(exercise.id, exercise.name)
    if status == "pass":
        print(f"{label} has passed already; there is nothing to skip.")
    elif status == "skipped":
        print(f"{label} is skipped; cells that need it use the package's function. Passing its check undoes this.")
    else:
        print(f"{label}: the skip could not be noted. Later cells use the package's function all the same.")


def start_again(number: int, folder: Path | str | None = None) -> None:
    """Put a fresh copy of lesson `number` in place of its notebook; the old one is kept beside it.

    `folder` is where the notebook lies, by default the course's notebooks/. What has passed stays passed and kept.
    Raises CourseError, a ValueError, if there is no such lesson, or none yet.
    """
    lesson = outline.lesson(number)
    folder = Path(folder) if folder is not None else outline.ROOT / "notebooks"
    if not folder.is_dir():
        raise outline.CourseError(f"there is no folder {folder}; `folder` is where {lesson.file}.ipynb lies.")
    path = folder / f"{lesson.file}.ipynb"
    fresh = fresh_notebook(lesson)
    if path.is_file() and _is_unsaved(path):
        print(f"What you see is newer than {path.name} on disk, so nothing was changed.")
        print("Save it (Ctrl+S, on a Mac ⌘S), then run this cell again.")
        return
    try:
        old = _set_aside(path)
        temporary = path.with_suffix(".partial")
        temporary.write_text(nbformat.writes(fresh, version=4) + "\n", encoding="utf-8")
        os.replace(temporary, path)
    except OSError as error:
        raise outline.CourseError(
            f"{folder} cannot be written to ({error.strerror}); {path.name} is as it was."
        ) from error
    _trust(path)
    print(f"{path.name} is a fresh copy. In JupyterLab: {RELOAD}, then run its cells from the top.")
    if old:
        print(f"Your old one is {old.name}, in the same folder; delete it when you do not need it any more.")
    print("Exercises that passed stay passed.")


def stub_text(id: str) -> str:
    """The stub of an exercise, from the lesson's one source; raises CourseError where that cannot be had."""
    for cell in _cells(outline.lesson(int(id.split(".")[0]))):
        if cell.exercise == id and "stub" in cell.tags:
            return stubbed(cell)
    raise outline.CourseError(f"exercise {id} has a check, but no cell in its lesson yet.")


def fresh_notebook(lesson: outline.Lesson) -> nbformat.NotebookNode:
    """What a learner opens first: stubs, no output but pictures of widgets and figures, as far as they are there.

    The pictures are those of the solved notebook, from cells with the same id, tag and text.
    """
    made = learner_notebook(_cells(lesson))
    try:
        solved = nbformat.read(outline.ROOT / "solutions" / f"{lesson.file}.ipynb", as_version=4)
    except (OSError, ValueError, nbformat.reader.NotJSONError):
        return made
    drawn = {cell.id: cell for cell in solved.cells if keeps_pictures(cell)}
    for cell in filter(keeps_pictures, made.cells):
        if cell.id in drawn and drawn[cell.id].source == cell.source:
            cell.outputs = pictures(drawn[cell.id])
            cover_figure(cell)
            cell.execution_count = drawn[cell.id].execution_count if cell.outputs else None
    return made


def _cells(lesson: outline.Lesson) -> list:
    if not lesson.written:
        written = ", ".join(other.label for other in outline.lessons() if other.written) or "none"
        raise outline.CourseError(f"lesson {lesson.label}, {lesson.title}, is not written yet; there are: {written}.")
    try:
        return read_cells(lesson.source)
    except (LessonError, OSError, UnicodeDecodeError) as error:
        raise outline.CourseError(f"the source of lesson {lesson.label} cannot be read: {error}") from error


def _exercise(id: Any) -> Exercise:
    """The exercise with this id; raises CourseError that names the nearest ones."""
    known = exercises()
    if not isinstance(id, str):
        raise outline.CourseError(f'an exercise is named by text in quotes, such as "3.2"; got {id!r}.')
    wanted = id.strip()
    if wanted in known:
        return known[wanted]
    by_name = {exercise.name: number for number, exercise in known.items()}
    near = [by_name.get(text, text) for text in difflib.get_close_matches(wanted, [*known, *by_name], n=3, cutoff=0.6)]
    near += [number for number in known if number.split(".")[0] == wanted.split(".")[0]]
    named = [f"{number} {known[number].name}" for number in list(dict.fromkeys(near))[:5] or known]
    lead = "near it are" if near else "there are"
    raise outline.CourseError(f"there is no exercise {id!r}; {lead} {', '.join(named)}.")


def _set_aside(path: Path) -> Path | None:
    """Copy the notebook to a dated name beside it that nobody has; None if there is no notebook."""
    if not path.is_file():
        return None
    stem, number = f"{path.stem}-{datetime.now():%Y-%m-%d-%H%M%S}", 1
    old = path.with_name(f"{stem}.ipynb")
    while True:
        try:
            with open(old, "xb") as copy, open(path, "rb") as original:
                shutil.copyfileobj(original, copy)
            return old
        except FileExistsError:
            number += 1
            old = path.with_name(f"{stem}-{number}.ipynb")


def _trust(path: Path) -> None:
    """Sign the copy, as `jupyter trust` does: JupyterLab hides the pictures of a notebook that it does not trust."""
    try:
        from nbformat.sign import NotebookNotary

        NotebookNotary().sign(nbformat.read(path, as_version=4))
    except Exception as error:  # signing writes a database in the learner's home; without it the pictures are hidden
        print(f"The copy could not be signed ({type(error).__name__}): its pictures show once their cells have run.")


def _shell() -> Any:
    """IPython's shell if this runs in one, else None."""
    return sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None


def _cell_being_run(shell: Any) -> str:
    return [*shell.history_manager.input_hist_raw, ""][-2]


def _besides_call(shell: Any) -> str:
    """What the cell holds apart from the call of `reset`, which is about to be replaced."""
    lines = [line for line in _cell_being_run(shell).splitlines() if not re.match(r"\s*(\w+\.)?reset\(", line)]
    return "\n".join(lines).strip() if any(not re.match(r"\s*(#|import |from |$)", line) for line in lines) else ""


def _is_unsaved(path: Path) -> bool:
    """Whether this runs in that very notebook, and the file does not hold the cell that is being run."""
    shell, session = _shell(), os.environ.get("JPY_SESSION_NAME", "")
    if shell is None or Path(session).name != path.name:
        return False
    running = _cell_being_run(shell).strip()
    try:
        cells = nbformat.read(path, as_version=4).cells
    except (OSError, ValueError, nbformat.reader.NotJSONError):
        return False
    return running not in (cell.source.strip() for cell in cells)
