"""The map of the course: every lesson, what has passed in it, where you are, and what is next."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path

from moe_lite.checks.engine.exercise import Exercise
from moe_lite.checks.registry import exercises
from moe_lite.course import outline, progress as kept_progress
from moe_lite.look import palette
from moe_lite.look.picture import Picture
from moe_lite.look.terminal import printable

QUESTION = "Where am I in the course?"
STATES = {"pass": "passes", "tried": "tried, not yet right", "skipped": "skipped", "open": "open"}
SIGNS = {"pass": "■", "tried": "◧", "skipped": "▨", "open": "□"}
COLUMNS = ((1, 2), (3, 4, 5))  # parts beside each other
CANNOT_READ = "The progress file cannot be read."
WORKS = "Lessons work; squares stay open."


@dataclass(frozen=True)
class Square:
    """One exercise on the map."""

    exercise: Exercise
    status: str  # a key of STATES

    @property
    def label(self) -> str:
        """ "3.2 top_k_route" """
        return f"{self.exercise.id} {self.exercise.name}"

    @property
    def sentence(self) -> str:
        """ "3.5 sigmoid_route (stretch): open" """
        return f"{self.label}{' (stretch)' if self.exercise.stretch else ''}: {STATES[self.status]}"

    @property
    def waits(self) -> bool:
        """Whether it is still to be done: neither passed nor skipped."""
        return self.status in ("open", "tried")


@dataclass(frozen=True)
class Row:
    """One lesson on the map; one that is not written yet has no squares."""

    lesson: outline.Lesson
    squares: tuple[Square, ...]

    @property
    def finished(self) -> bool:
        """Whether none of its core exercises waits."""
        return bool(self.squares) and not any(s.waits and not s.exercise.stretch for s in self.squares)

    @property
    def minutes_left(self) -> int:
        """Without stretch exercises and without what has passed or is skipped; 0 when finished."""
        done = sum(s.exercise.minutes for s in self.squares if s.exercise.stretch or not s.waits)
        return 0 if self.finished else self.lesson.minutes - done


@dataclass(frozen=True)
class CourseMap:
    """What `progress()` returns: a picture in a notebook, the same as text elsewhere."""

    rows: tuple[Row, ...]
    here: int | None  # the lesson where the learner is; None if nothing is left to do
    problem: str = ""  # about the progress file
    unreadable: bool = False  # nothing is known of what has passed

    @property
    def squares(self) -> list[Square]:
        return [square for row in self.rows for square in row.squares]

    @property
    def next(self) -> Square | None:
        """The first exercise that waits: core before stretch, this lesson and later ones before earlier ones."""
        start = self.here or 0
        around = [square for row in (*self.rows[start:], *self.rows[:start]) for square in row.squares if square.waits]
        return min(around, key=lambda square: square.exercise.stretch, default=None)

    @property
    def reading(self) -> str:
        """The line at the foot: `9 of 57 exercises pass. Next: 3.2 top_k_route, about 10 minutes.`"""
        return self._reading(str)

    @property
    def minutes_left(self) -> int:
        """Of the short path."""
        return sum(self.rows[number].minutes_left for number in outline.course().short_path)

    @property
    def path_line(self) -> str:
        numbers = " · ".join(outline.lesson(number).label for number in outline.course().short_path)
        left = f"about {self.minutes_left} minutes to go" if self.minutes_left else "done"
        return f"The short path, {numbers} without stretch exercises: {left}."

    def _reading(self, linked: Callable[[str], str]) -> str:
        squares, upcoming = self.squares, self.next
        n_pass, n_skipped = (sum(s.status == status for s in squares) for status in ("pass", "skipped"))
        skipped = f", {n_skipped} {'is' if n_skipped == 1 else 'are'} skipped" if n_skipped else ""
        counted = f"{n_pass} of {len(squares)} exercises pass{skipped}."
        if upcoming is None:
            to_come = sum(not row.squares for row in self.rows)
            return f"{counted} Nothing is open." + (f" Lessons to come: {to_come}." if to_come else "")
        stretch = " (stretch)" if upcoming.exercise.stretch else ""
        what = f"{linked(upcoming.label)}{stretch}, about {upcoming.exercise.minutes} minutes."
        begun = n_pass or any(s.status != "open" for s in squares)
        lead = "Next:" if begun or self.here else "Start with lesson 00:"
        return f"{counted} {lead} {what}"

    def __repr__(self) -> str:
        return printable("\n".join([QUESTION, *_part_lines(self), "", _key_line(), *_foot_lines(self)]))

    def _repr_html_(self) -> str:
        columns = "".join(f"<div>{''.join(_part_html(self, part) for part in parts)}</div>" for parts in COLUMNS)
        head = f'<div class="q">{QUESTION}</div><div class="parts">{columns}</div>{_key_html()}'
        body = head + _foot_html(self)
        return f'<style>{style_text()}</style><div class="mx-map" role="group" aria-label="{QUESTION}">{body}</div>'


def progress(today: int | None = None) -> CourseMap:
    """The map of the course with what the learner has passed; `today` is the lesson that one is in.

    Without `today`, "you are here" stands at the last lesson with a recorded exercise, or behind it when that is
    finished. Raises CourseError, a ValueError, if there is no lesson `today`.
    """
    if today is not None:
        outline.lesson(today)
    kept = kept_progress.load()
    rows = tuple(_row(lesson, kept.entries) for lesson in outline.lessons())
    here = _here(rows) if today is None else today
    unreadable = bool(kept.problem) and not kept.damaged and not kept.newer
    return CourseMap(rows, here, f"{kept.problem}." if kept.problem else "", unreadable)


def exercise_squares(number: int) -> Picture:
    """One lesson's line: a square for each of its exercises, and how many pass. "" for a lesson without exercises."""
    lesson = outline.lesson(number)
    row = _row(lesson, kept_progress.load().entries)
    if not row.squares:
        return Picture("", "")
    n_pass = sum(square.status == "pass" for square in row.squares)
    told = f"{n_pass} of {len(row.squares)} exercise{'s' * (len(row.squares) > 1)} pass{'es' * (n_pass == 1)}"
    line = f'<div class="row one">{_squares_html(row)}<span>{told}</span></div>'
    style = f"<style>{style_text()}</style>"
    return Picture(f'{style}<div class="mx-map" role="group" aria-label="exercises">{line}</div>', f"{told}.")


def _row(lesson: outline.Lesson, entries: dict[str, dict]) -> Row:
    found = [e for e in exercises().values() if e.lesson == lesson.number] if lesson.written else []
    return Row(lesson, tuple(Square(e, entries.get(e.id, {}).get("status", "open")) for e in found))


def _here(rows: tuple[Row, ...]) -> int | None:
    touched = [row.lesson.number for row in rows if any(square.status != "open" for square in row.squares)]
    start = max(touched, default=0)
    around = [*rows[start:], *rows[:start]]
    return next((row.lesson.number for row in around if row.squares and not row.finished), None)


# ---- as text ---------------------------------------------------------------------------------------------------------


def _part_lines(map: CourseMap) -> list[str]:
    lines = []
    for part, title in outline.PARTS.items():
        lines += ["", f"Part {part} · {title}", *(_line(map, row) for row in map.rows if row.lesson.part == part)]
    return lines


def _line(map: CourseMap, row: Row) -> str:
    now = row.lesson.number == map.here
    signs = "".join(SIGNS[square.status] for square in row.squares) or "to come"
    text = f"{'>' if now else ' '} {row.lesson.label}  {row.lesson.title:45} {signs:8} {row.lesson.minutes:2} min"
    return text + ("  you are here" if now else "")


def _key_line() -> str:
    return "   ".join(f"{SIGNS[status]} {words}" for status, words in STATES.items())


def _foot_lines(map: CourseMap) -> list[str]:
    if map.unreadable:
        return [f"{CANNOT_READ} {WORKS} ({map.problem})"]
    return [*([map.problem] if map.problem else []), map.reading, map.path_line]


# ---- as a picture ----------------------------------------------------------------------------------------------------


def _part_html(map: CourseMap, part: int) -> str:
    rows = "".join(_row_html(row, row.lesson.number == map.here) for row in map.rows if row.lesson.part == part)
    return f'<div class="h">Part {part} · {escape(outline.PARTS[part])}</div>{rows}'


def _row_html(row: Row, now: bool) -> str:
    lesson = row.lesson
    title = _link(lesson, lesson.title) if lesson.written else escape(lesson.title)
    here = '<span class="here">you are here</span>' if now else ""
    state = "now" if now else "done" if row.finished else "" if lesson.written else "later"
    squares = "" if lesson.written else '<span class="m">to come</span>'
    if row.squares:
        squares = _squares_html(row) + _names_html(row)
    return (
        f'<div class="row {state}"><span class="k">{lesson.label}</span><span class="t">{title}{here}</span>'
        f'<span>{squares}</span><span class="m">{lesson.minutes} min</span></div>'
    )


def _squares_html(row: Row) -> str:
    n_pass = sum(square.status == "pass" for square in row.squares)
    label = f"{n_pass} of {len(row.squares)} exercises pass. " + "; ".join(s.sentence for s in row.squares) + "."
    squares = "".join(f'<i class="sq {s.status}" title="{escape(s.sentence)}"></i>' for s in row.squares)
    return f'<span class="sqs" tabindex="0" role="img" aria-label="{escape(label)}">{squares}</span>'


def _names_html(row: Row) -> str:
    """What pops up at the squares; on pages without the style sheet it stands there."""
    names = "".join(f"<div>{escape(s.sentence)}</div>" for s in row.squares)
    return f'<span class="names" aria-hidden="true">{names}</span>'


def _link(lesson: outline.Lesson, text: str) -> str:
    return f'<a href="{lesson.file}.ipynb">{escape(text)}</a>'


def _key_html() -> str:
    items = "".join(f'<span><i class="sq {status}"></i> {words}</span>' for status, words in STATES.items())
    return f'<div class="key">{items}</div>'


def _foot_html(map: CourseMap) -> str:
    if map.unreadable:
        return f'<div class="read"><b>{CANNOT_READ}</b> {WORKS}<div class="dim">{escape(map.problem)}</div></div>'
    lesson = outline.lesson(map.next.exercise.lesson) if map.next else None
    reading = map._reading(lambda text: _link(lesson, text) if lesson else text)
    problem = f'<div class="dim">{escape(map.problem)}</div>' if map.problem else ""
    return f'<div class="read">{reading}<div class="dim">{escape(map.path_line)}</div>{problem}</div>'


@cache
def style_text() -> str:
    """Colours from the palette, then the map's own rules."""
    return palette.css_variables(".mx-map") + Path(__file__).with_suffix(".css").read_text(encoding="utf-8")
