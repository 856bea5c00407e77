"""The claims ledger, data/claims.toml, read and checked. `moe_lite.claims()` shows it."""

import tomllib
from collections import Counter
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

from moe_lite.course import outline
from moe_lite.course.outline import check_fields

FILE = outline.ROOT / "data" / "claims.toml"
VERDICTS = ("true", "true with conditions", "misleading", "false", "unknown")


class LedgerError(ValueError):
    """An entry of the ledger is malformed; names it. In a notebook only the message is shown."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


# ---- evidence: one class a kind of pointer; `text` is what a reader sees ---------------------------------------------


@dataclass(frozen=True)
class Cell:
    """Words that stand in a written lesson."""

    lesson: int
    anchor: str

    @property
    def text(self) -> str:
        return f"“{self.anchor.replace('*', '')}”"


@dataclass(frozen=True)
class Result:
    """A committed measurement: `key` is a path into a JSON file, its parts joined by dots."""

    says: str
    file: str
    key: str
    value: int | float

    @property
    def text(self) -> str:
        return f"{self.says} ({self.file})"


@dataclass(frozen=True)
class Computed:
    """Arithmetic; `given` names the configuration whose letters the expression uses."""

    says: str
    expression: str
    value: int | float
    given: str = ""

    @property
    def text(self) -> str:
        return f"{self.says} (computed)"


@dataclass(frozen=True)
class Source:
    """Somebody else's words or numbers."""

    says: str
    ref: str
    url: str = ""

    @property
    def text(self) -> str:
        return f"{self.says}: {self.ref}"


@dataclass(frozen=True)
class ToCome:
    """A lesson that is not written yet."""

    lesson: int

    @property
    def text(self) -> str:
        return f"lesson {outline.lesson(self.lesson).label} will measure it; it is not written yet"


Evidence = Cell | Result | Computed | Source | ToCome
KINDS: dict[str, type] = {"cell": Cell, "result": Result, "computed": Computed, "source": Source, "to come": ToCome}


@dataclass(frozen=True)
class Claim:
    """One row of the ledger."""

    id: str
    claim: str
    verdict: str  # a key of VERDICTS
    condition: str  # when it holds, what is wrong with it, or what is missing to decide
    lessons: tuple[int, ...]
    evidence: tuple[Evidence, ...]


# ---- reading ---------------------------------------------------------------------------------------------------------


def read_ledger(file: Path = FILE) -> tuple[Claim, ...]:
    """All claims, in the file's order. Raises LedgerError that names the entry and the field."""
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise LedgerError(f"{file.name} cannot be read: {error}") from error
    entries, configurations = table.get("claims"), table.get("configurations", {})
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise LedgerError(f"{file.name}: expected tables [[claims]]; got {entries!r}.")
    found = tuple(_claim(entry, f"{file.name}, claim {place}", configurations) for place, entry in enumerate(entries))
    if twice := [id for id, count in Counter(claim.id for claim in found).items() if count > 1]:
        raise LedgerError(f"{file.name}: two claims have the id {twice[0]!r}.")
    return found


def _claim(entry: dict[str, Any], where: str, configurations: dict) -> Claim:
    where = f"{where} ({entry.get('id', 'without an id')})"
    kinds = {"id": str, "claim": str, "verdict": str, "condition": str, "lessons": list, "evidence": list}
    check_fields(entry, kinds, kinds.keys(), where, LedgerError)
    if entry["verdict"] not in VERDICTS:
        raise LedgerError(f"{where}: verdict is {entry['verdict']!r}; there are {', '.join(VERDICTS)}.")
    for name in ("id", "claim", "condition", "lessons", "evidence"):
        if not entry[name]:
            raise LedgerError(f"{where}: {name} is empty; every row says when it holds, or why not, and what decides.")
    evidence = tuple(_evidence(pointer, where, configurations) for pointer in entry["evidence"])
    if entry["verdict"] != "unknown" and all(isinstance(pointer, ToCome) for pointer in evidence):
        raise LedgerError(f"{where}: verdict is {entry['verdict']!r}, and only lessons to come are to decide it.")
    for number in entry["lessons"]:
        _check_lesson(number, where)
    return Claim(**entry | {"lessons": tuple(entry["lessons"]), "evidence": evidence})


def _evidence(pointer: Any, where: str, configurations: dict) -> Evidence:
    if not isinstance(pointer, dict) or pointer.get("kind") not in KINDS:
        raise LedgerError(f"{where}: evidence {pointer!r} has no kind of {', '.join(KINDS)}.")
    kind, values = KINDS[pointer["kind"]], {name: value for name, value in pointer.items() if name != "kind"}
    where = f"{where}, evidence {pointer['kind']!r}"
    needed = [field.name for field in fields(kind) if field.default is MISSING]
    check_fields(values, {field.name: field.type for field in fields(kind)}, needed, where, LedgerError)
    if "lesson" in values:
        _check_lesson(values["lesson"], where)
    if values.get("given") and values["given"] not in configurations:
        raise LedgerError(f"{where}: given is {values['given']!r}; there are {', '.join(configurations)}.")
    if not values.get("url", "https://").startswith("https://"):
        raise LedgerError(f"{where}: url is {values['url']!r}; expected an address with https://.")
    return kind(**values)


def _check_lesson(number: Any, where: str) -> None:
    try:
        outline.lesson(number)
    except outline.CourseError as error:
        raise LedgerError(f"{where}: {error}") from None
