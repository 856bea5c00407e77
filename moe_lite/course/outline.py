"""The course as data: its parts and lessons, read from course.toml."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

N_LESSONS = 17
ROOT = Path(__file__).resolve().parents[2]  # the folder of the course: notebooks, solutions, this package
KINDS = {dict: "table", list: "list", str: "text"}  # of TOML
_FILE = Path(__file__).with_name("course.toml")


class CourseError(ValueError):
    """Something is wrong with course.toml, or there is no such lesson. In a notebook only the message is shown."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


@dataclass(frozen=True)
class Lesson:
    """One lesson, written or to come."""

    number: int
    slug: str
    part: int
    title: str
    question: str
    minutes: int  # for a learner; planned where the lesson is not written yet
    see: str  # what the reader will see, one phrase
    builds_on: tuple[int, ...]
    today: tuple[str, ...]  # parts of the model that it is about: keys of `Course.model`, or "model"

    @property
    def label(self) -> str:
        """ "03" """
        return f"{self.number:02d}"

    @property
    def file(self) -> str:
        """The name of its files without their endings: "03_router"."""
        return f"{self.label}_{self.slug}"

    @property
    def source(self) -> Path:
        """The one file that the lesson is made from."""
        return ROOT / "solutions" / f"{self.file}.py"

    @property
    def written(self) -> bool:
        return self.source.is_file()


@dataclass(frozen=True)
class Course:
    """All of course.toml."""

    parts: dict[int, str]
    lessons: tuple[Lesson, ...]
    model: dict[str, int]  # part of the model -> the lesson that builds it
    short_path: tuple[int, ...]  # numbers of lessons, of written ones only
    repository: str  # the address that the course is published at, or ""


def lessons() -> tuple[Lesson, ...]:
    """All lessons, in their order."""
    return course().lessons


def lesson(number: int) -> Lesson:
    """Lesson `number`; raises CourseError if there is none."""
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < N_LESSONS:
        raise CourseError(f"lesson is {number!r}; lessons are whole numbers from 0 to {N_LESSONS - 1}, such as 3.")
    return lessons()[number]


@cache
def course() -> Course:
    """The course as course.toml has it; raises CourseError if that is damaged."""
    return read_course(_FILE)


def read_course(file: Path) -> Course:
    """Read and check a file like course.toml; raises CourseError that names the lesson and the field."""
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CourseError(f"{file.name} cannot be read: {error}") from error
    wanted = {"parts": dict, "model": dict, "lessons": list, "short_path": list, "repository": str}
    for key, kind in wanted.items():
        if not isinstance(table.get(key), kind):
            raise CourseError(f"{file.name}: `{key}` is missing or no {KINDS[kind]}.")
    if unknown := table.keys() - wanted.keys():
        raise CourseError(f"{file.name}: unknown `{min(unknown)}`; known are {', '.join(wanted)}.")
    if table["repository"] and not re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+", table["repository"]):
        raise CourseError(
            f'{file.name}: repository is {table["repository"]!r}; expected "" or https://github.com/owner/name.'
        )
    parts, model = _parts(table["parts"], file.name), table["model"]
    found = tuple(_lesson(entry, place, parts, model, file.name) for place, entry in enumerate(table["lessons"]))
    if len(found) != N_LESSONS:
        raise CourseError(f"{file.name} has {len(found)} lessons; expected {N_LESSONS}, numbers 0 to {N_LESSONS - 1}.")
    _numbers("short_path", table["short_path"], N_LESSONS, file.name)
    _numbers("model", [*model.values()], N_LESSONS, file.name)
    short_path = tuple(number for number in table["short_path"] if found[number].written)
    return Course(parts, found, model, short_path, table["repository"])


def _parts(table: Mapping[str, Any], name: str) -> dict[int, str]:
    if [*table] != [str(n) for n in range(1, len(table) + 1)] or not all(isinstance(v, str) for v in table.values()):
        raise CourseError(f"{name}, parts: expected a title for each of 1, 2, 3, … in that order; got {dict(table)}.")
    return {int(number): title for number, title in table.items()}


def _lesson(entry: Any, place: int, parts: Mapping, model: Mapping, name: str) -> Lesson:
    where = f"{name}, lesson {place}"
    if not isinstance(entry, dict):
        raise CourseError(f"{where}: expected a table [[lessons]]; got {entry!r}.")
    kinds = {f.name: list if f.name in ("builds_on", "today") else f.type for f in fields(Lesson)}
    check_fields(entry, kinds, kinds.keys(), where, CourseError)
    if entry["number"] != place:
        raise CourseError(f"{where}: number is {entry['number']}; lessons stand in order, so {place} is expected.")
    if entry["part"] not in parts:
        raise CourseError(f"{where}: part is {entry['part']}; parts are {', '.join(map(str, parts))}.")
    if not 0 < entry["minutes"] <= 150:
        raise CourseError(f"{where}: minutes is {entry['minutes']}; expected 1 to 150.")
    if strange := [part for part in entry["today"] if part not in (*model, "model")]:
        raise CourseError(f"{where}: today names {strange[0]!r}; parts of the model are {', '.join(model)}, and model.")
    _numbers("builds_on", entry["builds_on"], place, where)
    return Lesson(**entry | {key: tuple(entry[key]) for key in ("builds_on", "today")})


def check_fields(
    entry: Mapping[str, Any], kinds: Mapping[str, type], needed: Iterable[str], where: str, error: type[Exception]
) -> None:
    """Raise `error`, which names the place and the field, unless `entry` has all that is needed and only known fields.

    kinds: the type of each field; a yes or no is no whole number here.
    """
    if missing := sorted(set(needed) - entry.keys()):
        raise error(f"{where}: {', '.join(missing)} is missing.")
    for name, value in entry.items():
        if name not in kinds:
            raise error(f"{where}: unknown field {name}; known are {', '.join(kinds)}.")
        if not isinstance(value, kinds[name]) or isinstance(value, bool) and kinds[name] is not bool:
            expected = getattr(kinds[name], "__name__", kinds[name])
            raise error(f"{where}: {name} is {value!r}; expected {expected}.")


def _numbers(field: str, values: list, end: int, where: str) -> None:
    for value in values:
        if type(value) is not int or not 0 <= value < end:
            raise CourseError(f"{where}: {field} has {value!r}; expected numbers of lessons from 0 to {end - 1}.")


PARTS: dict[int, str] = course().parts
