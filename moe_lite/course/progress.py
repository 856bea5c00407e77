"""What a learner has passed, tried or skipped, in one small JSON file, with the source that passed; and their guesses.

Several notebooks may write at once: each change is made to the file as it then is, under a lock of the system's, and
put in place by one rename. Nothing here raises. From a damaged file all that can be read is kept, and the damaged one
is laid beside it. A file that a newer version of the course wrote is read as far as it goes and never written to.
"""

import contextlib
import errno
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt


def lock(handle: BinaryIO) -> None:
    """Lock the file or raise OSError at once."""
    if fcntl:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    else:
        handle.seek(0)
        msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)


def unlock(handle: BinaryIO) -> None:
    if fcntl:
        fcntl.flock(handle, fcntl.LOCK_UN)
    else:
        handle.seek(0)
        msvcrt.locking(handle.fileno(), msvcrt.LK_UNLCK, 1)


def held_by_another(error: OSError) -> bool:
    """Whether `lock` failed because somebody holds it; else this file system has no locks."""
    return error.errno in (errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK, errno.EDEADLK)


FORMAT = 1
STATUSES = ("pass", "tried", "skipped")
LOCK_SECONDS = 5.0  # how long to wait for other notebooks; each holds the lock for a few milliseconds
FILE_VARIABLE = "MOE_LITE_PROGRESS"


@dataclass(frozen=True)
class Kept:
    """What could be read. `problem` says what could not, "" if nothing is wrong."""

    entries: dict[str, dict] = field(default_factory=dict)
    guesses: dict[str, dict[str, float]] = field(default_factory=dict)  # {"6.0": {"busiest": 12.0}}
    problem: str = ""
    damaged: bool = False  # the text makes no sense; `entries` is what could be saved
    newer: bool = False  # of a later format: not ours to write to


def path() -> Path:
    """$MOE_LITE_PROGRESS, or .moe_lite/progress.json in the folder of the course; links are followed."""
    if chosen := os.environ.get(FILE_VARIABLE):
        return Path(chosen).expanduser().resolve()
    return (Path(__file__).resolve().parents[2] / ".moe_lite" / "progress.json").resolve()


def exercises() -> dict[str, dict]:
    """{"3.2": {"name": "top_k_route", "status": "pass" | "tried" | "skipped", "source": "def …"}}, or what is left.

    A problem is said, and a damaged file is mended.
    """
    kept = load()
    if kept.damaged:
        _change(lambda kept: None)
    elif kept.problem:
        _say(kept.problem)
    return kept.entries


def record(id: str, name: str, *, passed: bool, source: str | None) -> None:
    """Keep the result of one check. What has passed once stays passed, with the source that passed last."""

    def edit(kept: Kept) -> None:
        before = kept.entries.get(id, {})
        status = "pass" if passed else before.get("status", "tried")
        source_now = source if passed else before.get("source")
        kept.entries[id] = {"name": name, "status": status} | ({"source": source_now} if source_now else {})

    _change(edit)


def skip(id: str, name: str) -> str:
    """Note that the learner goes on without an exercise, unless it has passed; the status that is now kept, or ""."""

    def edit(kept: Kept) -> None:
        if kept.entries.get(id, {}).get("status") != "pass":
            kept.entries[id] = {"name": name, "status": "skipped"}

    return _change(edit).get(id, {}).get("status", "")


def take_back_skip(id: str) -> None:
    """Open a skipped exercise again."""

    def edit(kept: Kept) -> None:
        if kept.entries.get(id, {}).get("status") == "skipped":
            del kept.entries[id]

    if load().entries.get(id, {}).get("status") == "skipped":
        _change(edit)


def keep_guesses(place: str, numbers: Mapping[str, float]) -> None:
    """Keep what the learner guessed at one place of a lesson, such as "6.0", in place of earlier guesses there."""

    def edit(kept: Kept) -> None:
        kept.guesses[place] = kept.guesses.get(place, {}) | dict(numbers)

    _change(edit)


# ---- reading ---------------------------------------------------------------------------------------------------------


def load() -> Kept:
    """What the file holds; changes nothing and says nothing."""
    file = path()
    try:
        text = file.read_bytes().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return Kept()
    except OSError as error:
        return Kept(problem=f"{file.name} cannot be read ({error.strerror})")
    try:
        content = json.loads(text)
        version, entries = content["format"], content["exercises"]
        guesses = _numbers(content.get("guesses"))
        if type(version) is int and version > FORMAT:
            problem = f"{file.name} was written by a newer version of the course, so nothing is added to it"
            return Kept(_readable(entries), guesses, problem, newer=True)
        if version == FORMAT and entries == _readable(entries):
            return Kept(entries, guesses)
    except (ValueError, TypeError, KeyError, RecursionError):
        entries = {}
    saved = _readable(entries) or _salvage(text)
    return Kept(saved, problem=f"{file.name} is damaged; {_count(saved)} could be read", damaged=True)


def _readable(entries: object) -> dict[str, dict]:
    """The entries that make sense."""
    if not isinstance(entries, dict):
        return {}
    return {id: entry for id, entry in entries.items() if re.fullmatch(r"\d+\.\d+", id) and _makes_sense(entry)}


def _numbers(guesses: object) -> dict[str, dict[str, float]]:
    """The guesses that make sense. Others are forgotten: none of them is work."""
    places = guesses.items() if isinstance(guesses, dict) else ()
    return {
        place: {name: value for name, value in numbers.items() if type(value) in (int, float)}
        for place, numbers in places
        if isinstance(numbers, dict)
    }


def _makes_sense(entry: object) -> bool:
    if not isinstance(entry, dict) or entry.get("status") not in STATUSES:
        return False
    return isinstance(entry.get("name"), str) and isinstance(entry.get("source", ""), str)


def _salvage(text: str) -> dict[str, dict]:
    """Entries found in text that is no JSON as a whole: cut off, or with something foreign in between."""
    found, decoder = {}, json.JSONDecoder()
    for match in re.finditer(r'"(\d+\.\d+)"\s*:\s*(?=\{)', text):
        with contextlib.suppress(ValueError, RecursionError):
            entry = decoder.raw_decode(text, match.end())[0]
            if _makes_sense(entry) and found.get(match[1], {}).get("status") != "pass":
                found[match[1]] = entry
    return found


def _count(entries: dict) -> str:
    return f"{len(entries)} exercise{'' if len(entries) == 1 else 's'}"


# ---- writing ---------------------------------------------------------------------------------------------------------


def _change(edit: Callable[[Kept], None]) -> dict[str, dict]:
    """Read, edit and write the file while no other notebook can; the entries as they are then. Says what failed."""
    file = path()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with locked(file):
            kept = load()
            if kept.damaged:
                _set_aside(file, kept)
            elif kept.problem:
                _say(kept.problem)
                return kept.entries
            new = Kept(dict(kept.entries), dict(kept.guesses))
            edit(new)
            if (new.entries, new.guesses) != (kept.entries, kept.guesses) or kept.damaged:
                guesses = {"guesses": dict(sorted(new.guesses.items()))} if new.guesses else {}
                _write(file, {"format": FORMAT, "exercises": dict(sorted(new.entries.items()))} | guesses)
            return new.entries
    except OSError as error:
        _say(f"{file.name} cannot be written ({error.strerror})")
        return load().entries


def _write(file: Path, content: dict) -> None:
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    with temporary.open("w", encoding="utf-8") as out:
        out.write(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
        out.flush()
        os.fsync(out.fileno())  # else a computer that loses power may keep the new name and no content
    os.replace(temporary, file)


def _set_aside(file: Path, kept: Kept) -> None:
    """Keep the damaged file under another name, never in place of an earlier one."""
    aside, number = file.with_name(f"{file.name}.damaged"), 1
    while aside.exists():
        number += 1
        aside = file.with_name(f"{file.name}.damaged-{number}")
    aside.write_bytes(file.read_bytes())
    _say(f"{file.name} was damaged. {_count(kept.entries)} could be read and kept; the old file is now {aside.name}")


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold `<file>.lock`. The system lets go of it when a kernel dies. Raises OSError if others hold it for long.

    Where a file system knows no locks, there is none: one notebook at a time works there as everywhere.
    """
    with open(file.with_name(file.name + ".lock"), "a+b") as handle:
        locked = _wait_for_lock(handle)
        try:
            yield
        finally:
            if locked:
                unlock(handle)


def _wait_for_lock(handle: BinaryIO) -> bool:
    end = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            lock(handle)
            return True
        except OSError as error:
            if not held_by_another(error):
                return False
            if time.monotonic() > end:
                raise OSError(error.errno, "another notebook is writing to it") from None
        time.sleep(0.005)


def _say(what: str) -> None:
    print(f"Progress: {what}. Lessons and checks work all the same.")
