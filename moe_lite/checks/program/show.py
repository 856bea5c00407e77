"""What checks and learners call: put a function into `my_moe.py`, and show what is in it."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from moe_lite.checks.program import keep
from moe_lite.checks.program.assemble import Part, Program, assemble
from moe_lite.course import outline, progress
from moe_lite.look.terminal import printable


class Added(NamedTuple):
    """What became of a function that passed: a sentence with `code` in backticks, and where the file is, if it lies
    in the folder of the course."""

    sentence: str
    link: str = ""  # from the notebook's folder


@dataclass(frozen=True)
class MyProgram:
    """What `my_program()` returns: a table as text, the same on every machine."""

    written: keep.Written
    parts: tuple[Part, ...]

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self.written.path

    @property
    def command(self) -> str:
        """The line that runs it in a terminal: into its folder, and with this notebook's Python."""
        folder, python = self.path.parent, Path(sys.executable)
        short = python.relative_to(folder) if python.is_relative_to(folder) else python
        return f'cd "{folder}" && "{short}" {keep.NAME}'

    def __repr__(self) -> str:
        return printable("\n".join([*_file_lines(self.written), "", *_part_lines(self.parts)]))


def my_program() -> MyProgram:
    """Write `my_moe.py`, the whole model as one program made of your functions, and show what in it is yours.

    A file that you changed is kept beside it under another name, if there is something new to write.
    """
    program, written = _write(progress.exercises())
    return MyProgram(written, program.parts)


def add(id: str, name: str, source: str | None) -> Added:
    """Write the program with a function that has just passed. Never raises; a problem is printed."""
    try:
        entries = progress.load().entries | {id: {"name": name, "status": "pass", "source": source}}
        program, written = _write(entries)
        return _added(next(part for part in program.parts if part.id == id), written)
    except Exception as error:  # a check must not stop because of this file
        print(f"{keep.NAME} could not be made ({type(error).__name__}: {error}). The check counts all the same.")
        return Added("")


def _added(part: Part, written: keep.Written) -> Added:
    if written.problem:
        return Added(f"`{keep.NAME}` cannot be written ({written.problem}), so your function is not in it.")
    link = _from_here(written.path) if written.path.parent == outline.ROOT.resolve() else ""
    if not part.mine:
        what = "has the package's function here" if part.in_model else "leaves your function out"
        return Added(f"`{keep.NAME}` {what}: {part.instead}.", link)
    return Added(f"Your function is in `{keep.NAME}` now; `moe_lite.my_program()` says how to run it.", link)


def _from_here(path: Path) -> str:
    """The way from the notebook's folder, where there is one (on Windows there is none to another drive)."""
    try:
        return Path(os.path.relpath(path)).as_posix()
    except (OSError, ValueError):
        return path.as_posix()


def _write(entries: dict[str, dict]) -> tuple[Program, keep.Written]:
    program = assemble(entries, keep.data_code())
    written = keep.write(program.text)
    if written.problem:
        print(
            f"{keep.NAME} cannot be written in {written.path.parent} ({written.problem}). Your functions are kept all"
        )
        print(f"the same. To have the file elsewhere, set ${progress.FILE_VARIABLE} to a file in another folder.")
    if written.kept_as:
        print(f"You had changed {keep.NAME}: your file is {written.kept_as} now, in the same folder, and {keep.NAME}")
        print("is a new one.")
    return program, written


def _file_lines(written: keep.Written) -> list[str]:
    if written.problem:
        return [f"{written.path}: cannot be written ({written.problem})."]
    return [
        f"{keep.NAME}: the whole model as one program, without moe_lite.",
        "Run it in a cell:      !{moe_lite.my_program().command}",
        "or in a terminal:      print(moe_lite.my_program().command) shows the line to type there",
    ]


def _part_lines(parts: tuple[Part, ...]) -> list[str]:
    in_model = [part for part in parts if part.in_model]
    mine = [part for part in in_model if part.mine]
    lines = [f"Yours, {len(mine)} of the model's {len(in_model)} exercises: {_listed(mine)}"]
    lines += [f"The package's, {part.id} {part.name}: {part.instead}." for part in in_model if not part.mine]
    beside = [part for part in parts if not part.in_model]
    if own := [part for part in beside if part.mine]:
        lines.append(f"Yours as well, not part of this model: {_listed(own)}")
    return lines + [f"Left out, {part.id} {part.name}: {part.instead}." for part in beside if not part.mine]


def _listed(parts: list[Part]) -> str:
    return ", ".join(f"{part.id} {part.name}" for part in parts) or "none yet"
