"""The committed answers to the exercises: right ones, and wrong ones with the message that they must get.

Each exercise has one file, lesson03/top_k_route.py and the like, and each answer in it is a function after one of

    @right
    @wrong("An expert is chosen twice")            # the title of the mistake that must be named; any of several
    @blind("Ties are broken the wrong way", ANY)   # the same, written by a reader of the exercise's text alone

An answer that is another one with something changed is written as the change:

    blind("gelu", "Another function than silu", of=sorted_slices, put={"F.silu(gate)": "F.gelu(gate)"})
"""

import ast
import inspect
import linecache
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from unittest.mock import patch

from moe_lite.checks.engine.exercise import Exercise
from moe_lite.checks.engine.grade import grade
from moe_lite.checks.engine.result import CheckResult
from moe_lite.checks.registry import exercises

FOLDER = Path(__file__).parent
ANY = "*"  # any truthful message: every title if alone, only general ones beside named titles
NEVER_ENDS = "A loop does not end"


@dataclass(frozen=True)
class Answer:
    """What a learner could hand in for an exercise. It must be told one of `titles`; a right one has none."""

    file: Path
    name: str
    titles: tuple[str, ...]
    blind: bool = False
    changed: bool = False  # another answer with a word or two put otherwise

    @property
    def exercise(self) -> Exercise:
        return _by_file()[self.file]

    @property
    def id(self) -> str:
        """For a test: 3.2-argmax_repeated."""
        return f"{self.exercise.id}-{self.name}"

    @property
    def right(self) -> bool:
        return not self.titles

    def function(self) -> Callable:
        """The answer itself, anew: what it keeps from call to call begins empty."""
        return _run(self.file)[self]

    def graded(self) -> CheckResult:
        """What its check says; several tests ask, and it is graded once."""
        return _graded(self)

    def graded_anew(self) -> CheckResult:
        """Only one that is meant never to end is waited for briefly: the machine may be busy."""
        with patch.dict(os.environ, MOE_LITE_CHECK_SECONDS="1" if NEVER_ENDS in self.titles else "100"):
            return grade(with_cases_kept(self.exercise.id), self.function())


_graded = cache(Answer.graded_anew)


@cache
def with_cases_kept(id: str) -> Exercise:
    """An exercise tried on the same trials each time, so that what mistakes work out for a trial is done once."""
    exercise = exercises()[id]
    cases = exercise.cases()
    return replace(exercise, cases=lambda: cases)


@cache
def answers(*ids: str) -> tuple[Answer, ...]:
    """All answers, or those to some exercises, in the order of the course."""
    wanted = ids or tuple(exercises())
    return tuple(answer for file, e in _by_file().items() if e.id in wanted for answer in _run(file))


def file_of(exercise: Exercise) -> Path:
    return FOLDER / f"lesson{exercise.lesson:02}" / f"{exercise.name}.py"


@cache
def _by_file() -> dict[Path, Exercise]:
    return {file_of(exercise): exercise for exercise in exercises().values()}


# What stands in the file that is being run: its answers, by their names.
_found: dict[str, tuple[Callable, tuple[str, ...], bool, bool]] = {}


def right(function: Callable) -> Callable:
    """A right answer; as a decorator only."""
    return _keep(function.__name__, function, ())


def wrong(*said: str, of: Callable | None = None, put: dict[str, str] | None = None, blind: bool = False) -> Callable:
    """`@wrong(titles)` before a function; or `wrong(name, titles, of=another, put={old: new})` in place of one."""
    if of is None:
        titles = _titles(said)
        return lambda function: _keep(function.__name__, function, titles, blind)
    name, *titles = said
    return _keep(name, _changed(of, name, put or {}), _titles(titles), blind, changed=True)


def blind(*said: str, of: Callable | None = None, put: dict[str, str] | None = None) -> Callable:
    return wrong(*said, of=of, put=put, blind=True)


def _titles(said) -> tuple[str, ...]:
    if not said or not all(isinstance(title, str) for title in said):
        raise TypeError(f"A wrong answer needs the titles that it may be told, as in @wrong('…'); got {said}.")
    return tuple(said)


def _keep(
    name: str, function: Callable, titles: tuple[str, ...], blind: bool = False, changed: bool = False
) -> Callable:
    if name in _found:
        raise ValueError(f"Two answers are called {name}.")
    _found[name] = function, titles, blind, changed
    return function


def _run(file: Path) -> dict[Answer, Callable]:
    """All answers of a file with their functions, every one of them new."""
    _found.clear()
    namespace = {"__name__": f"answers.{file.parent.name}.{file.stem}"}
    exec(_compiled(_text(str(file)), str(file)), namespace)
    return {Answer(file, name, *what): function for name, (function, *what) in _found.items()}


@cache
def _text(file: str) -> str:
    return Path(file).read_text(encoding="utf-8")


@cache
def _compiled(text: str, filename: str):
    return compile(text, filename, "exec")


def _changed(of: Callable, name: str, put: dict[str, str]) -> Callable:
    """The function `of` under another name, each old text of `put` replaced by its new one."""
    file = of.__code__.co_filename if inspect.isfunction(of) else ""
    text = _sources(_text(file)).get(of.__name__) if file else None
    if text is None:
        raise ValueError(
            f"{name}: {of.__name__} is no function with @right, @wrong or @blind alone, so none to change."
        )
    for old, new in {f"def {of.__name__}(": f"def {name}(", **put}.items():
        if text.count(old) != 1:
            raise ValueError(f"{name}: {old!r} stands {text.count(old)} times in {of.__name__}, not once.")
        text = text.replace(old, new)
    filename = f"{file} {name}"
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)  # errors quote its lines
    exec(_compiled(text, filename), of.__globals__)
    return of.__globals__[name]


@cache
def _sources(text: str) -> dict[str, str]:
    """{name: text} of a file's answers, each without its decorator; a function with another one is left out."""
    lines = text.splitlines()
    plain = [n for n in ast.parse(text).body if isinstance(n, ast.FunctionDef) and len(n.decorator_list) == 1]
    return {n.name: "\n".join(lines[n.lineno - 1 : n.end_lineno]) + "\n" for n in plain}
