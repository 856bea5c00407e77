"""What a learner has passed, in one small JSON file: exercise, name, status and the source that passed.

Two notebooks may write at once: each change is merged into the file under a lock and put in place by one rename.
Nothing here raises. A file that cannot be read is set aside and begun anew, with a message.
"""

import contextlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

FORMAT = 1
LOCK_SECONDS = 2.0  # a lock older than this was left behind by a kernel that died
FILE_VARIABLE = "MOE_LITE_PROGRESS"


def path() -> Path:
    """$MOE_LITE_PROGRESS, or .moe_lite/progress.json in the folder of the course."""
    if chosen := os.environ.get(FILE_VARIABLE):
        return Path(chosen)
    return Path(__file__).resolve().parents[2] / ".moe_lite" / "progress.json"


def exercises() -> dict[str, dict]:
    """{"3.2": {"name": "top_k_route", "status": "pass" | "tried", "source": "def …"}}; empty if nothing is kept."""
    file = path()
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        if kept["format"] != FORMAT:
            raise ValueError(f"format {kept['format']!r}, expected {FORMAT}")
        return {id: dict(entry) for id, entry in kept["exercises"].items()}
    except FileNotFoundError:
        return {}
    except OSError as error:
        _say(f"{file.name} cannot be read ({error.strerror})")
    except (ValueError, TypeError, KeyError, AttributeError):
        _set_aside(file)
    return {}


def record(id: str, name: str, *, passed: bool, source: str | None) -> None:
    """Keep the result of one check. What has passed once stays passed, with the source that passed last."""
    file = path()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with _locked(file):
            kept = exercises()
            entry = {"name": name, "status": "pass" if passed or _has_passed(kept, id) else "tried"}
            source = source if passed else kept.get(id, {}).get("source")
            kept[id] = entry | ({"source": source} if source else {})
            _write(file, {"format": FORMAT, "exercises": dict(sorted(kept.items()))})
    except OSError as error:
        _say(f"{file.name} cannot be written ({error.strerror})")


def _has_passed(kept: dict[str, dict], id: str) -> bool:
    return kept.get(id, {}).get("status") == "pass"


def _write(file: Path, content: dict) -> None:
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(temporary, file)


@contextlib.contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Hold `<file>.lock`, a file that only one process can create; one left behind is taken over."""
    lock = file.with_name(file.name + ".lock")
    end = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            break
        except FileExistsError:
            if time.monotonic() > end:
                break
            time.sleep(0.01)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


def _set_aside(file: Path) -> None:
    aside = file.with_name(file.name + ".damaged")
    try:
        os.replace(file, aside)
        _say(f"{file.name} was damaged and is now {aside.name}; a new one is begun")
    except OSError as error:
        _say(f"{file.name} is damaged and cannot be set aside ({error.strerror})")


def _say(what: str) -> None:
    print(f"Progress: {what}. Lessons and checks work all the same.")
