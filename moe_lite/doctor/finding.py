"""What an examination finds, and the guard that turns whatever goes wrong into a finding."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `remedy` says what to do about a problem, `remark` what is worth knowing about no problem.

    Commands in `remedy` and `remark` stand in backticks.
    """

    name: str
    value: str
    remedy: str | None = None
    remark: str | None = None


def look(name: str, examination: Callable[[], object], needs: tuple[str, ...] = ()) -> list[Finding]:
    """The findings of `examination`, which gives one, several or none. Raises nothing but KeyboardInterrupt.

    Where a package of `needs` cannot be imported, it is not begun; the package has a finding of its own.
    """
    if absent := [package for package in needs if import_failure(package)]:
        return [Finding(name, "not looked at", remark=f"it needs {absent[0]}: {import_failure(absent[0])}")]
    try:
        found = examination()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a package in ruins may raise anything: Rust's panics are no Exception
        advice = "something of the course is damaged or missing: `git status` shows what differs from the repository"
        return [Finding(name, f"could not be looked at: {described(error)}", remedy=advice)]
    return [found] if isinstance(found, Finding) else list(found)


@cache
def import_failure(package: str) -> str:
    """ "" if `package` can be imported, else why not. Tried once: after a failure a second try fails differently."""
    try:
        importlib.import_module(package)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return described(error)
    return ""


def described(error: BaseException) -> str:
    """ "ImportError: libtorch.so: cannot open …", in one line, not endless."""
    text = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(": ")
    return text if len(text) <= 300 else f"{text[:297]}…"
