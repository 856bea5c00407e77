"""The file `my_moe.py`: where it lies, and how it is written without losing what the learner changed by hand.

Its last line has a sum over the text above. If the sum does not fit, somebody changed the file: it then gets another
name before a new one is put in its place.
"""

import errno
import hashlib
import json
import os
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from moe_lite.course import outline, progress

NAME = "my_moe.py"
SUM = re.compile(r"\n# Written by moe_lite\.my_program\(\); sum (?P<sum>[0-9a-f]{16})\s*\Z")


@dataclass(frozen=True)
class Written:
    """What `write` did. `problem` says why the file could not be written."""

    path: Path
    kept_as: str = ""  # the name that a file changed by hand has now
    problem: str = ""


def path() -> Path:
    """In the folder of the course, or beside the file that $MOE_LITE_PROGRESS names; links are followed."""
    if os.environ.get(progress.FILE_VARIABLE):
        return progress.path().with_name(NAME).resolve()
    return (outline.ROOT / NAME).resolve()


def data_code() -> str:
    """Python code that finds the course's texts from where the program lies."""
    beside = 'Path(__file__).resolve().parent / "data"'
    folder = (
        beside
        if path().parent == outline.ROOT.resolve()
        else json.dumps(str(outline.ROOT / "data"), ensure_ascii=False)
    )
    return f'Path(os.environ.get("MOE_LITE_DATA") or {folder})'


def write(text: str) -> Written:
    """Put `text` in place of the file, at once or not at all. Never raises.

    A file that was changed by hand is kept beside under a name with the date; it stays where it is if there is nothing
    new to write.
    """
    file = path()
    try:
        progress.path().parent.mkdir(parents=True, exist_ok=True)
        with progress.locked(progress.path().with_name(NAME)):
            return Written(file, _replace(file, text))
    except OSError as error:
        return Written(file, problem=error.strerror or str(error))


def _replace(file: Path, text: str) -> str:
    """The name under which a changed file is kept, or ""."""
    body = _body(text)
    if file.is_dir():
        raise IsADirectoryError(errno.EISDIR, "there is a folder of that name")
    if file.is_file() and _written_sum(_read(file)) == _sum(body):
        return ""  # made from this very text, whether or not it was changed since
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8") as out:
            out.write(f"{body}\n# Written by moe_lite.my_program(); sum {_sum(body)}\n")
            out.flush()
            os.fsync(out.fileno())
        if not file.exists():
            os.replace(temporary, file)
            return ""
        return _swap(file, temporary)
    finally:
        temporary.unlink(missing_ok=True)


def _swap(file: Path, temporary: Path) -> str:
    """Moves the old file away before looking at it: what an editor saves meanwhile is in it, not under the new one."""
    old = _free_name(file)
    os.replace(file, old)
    try:
        os.replace(temporary, file)
    except OSError:
        os.replace(old, file)
        raise
    text = _read(old)
    if _written_sum(text) == _sum(_body(text)):
        old.unlink()
        return ""
    return old.name


def _free_name(file: Path) -> Path:
    stem, number = f"{file.stem}-{datetime.now():%Y-%m-%d-%H%M%S}", 1
    free = file.with_name(f"{stem}.py")
    while free.exists():
        number += 1
        free = file.with_name(f"{stem}-{number}.py")
    return free


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace")


def _body(text: str) -> str:
    """The text without the line of the sum; how lines and the file end does not count."""
    return SUM.sub("", text).rstrip()


def _written_sum(text: str) -> str:
    found = SUM.search(text)
    return found["sum"] if found else ""


def _sum(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()[:16]
