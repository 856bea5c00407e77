"""Look over the lessons as a careful editor would, and name every fault with its file, line and cell.

    python tools/lesson_lint.py                # all lessons
    python tools/lesson_lint.py --only 03      # one of them

Reads sources, built notebooks and the widgets' files; runs nothing. The rules stand in RULES below, each in a function
of its own: lint_form.py (pace, header, words, end), lint_exercises.py (tasks, stubs, questions), lint_pages.py (what
was built), lint_numbers.py (evidence for numbers), lint_holds.py (evidence for comparisons, answers to questions). The
last two tell their marks.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import lint_exercises
import lint_form
import lint_holds
import lint_numbers
import lint_pages
from lesson_source import LessonError
from lint_lesson import Fault, Found, Lesson, read

ROOT = Path(__file__).resolve().parents[1]
WIDGETS = "loads nothing"  # the rule that the widgets' own files have to keep too
EXEMPT = {0: {"cells", "minutes", "builds on", "broken"}}  # the first page is a short welcome, not a full lesson


@dataclass(frozen=True)
class Rule:
    """What the lint looks for, and where."""

    name: str
    find: Callable[[Lesson], Found]
    built: bool = False  # needs the notebooks; left out where they are missing or older than the source


RULES = (
    Rule("source", Lesson.refused),
    Rule("cells", lint_form.cells),
    Rule("words", lint_form.words),
    Rule("code length", lint_form.code_length),
    Rule("prose between", lint_form.prose_between),
    Rule("seen", lint_form.seen),
    Rule("title", lint_form.title),
    Rule("facts", lint_form.facts),
    Rule("minutes", lint_form.minutes),
    Rule("question", lint_form.question),
    Rule("builds on", lint_form.builds_on),
    Rule("set-up", lint_form.setup),
    Rule("imports", lint_form.imports),
    Rule("task", lint_exercises.task),
    Rule("stub", lint_exercises.stub),
    Rule("three cells", lint_exercises.three_cells),
    Rule("use", lint_exercises.use),
    Rule("prediction", lint_exercises.prediction),
    Rule("answer", lint_exercises.answer),
    Rule("comparing", lint_holds.comparing),
    Rule("answers", lint_holds.answers),
    Rule("broken", lint_form.broken),
    Rule("fillers", lint_form.fillers),
    Rule("prices", lint_form.prices),
    Rule("exclamations", lint_form.exclamations),
    Rule("headings", lint_form.headings),
    Rule("summary", lint_form.summary),
    Rule("next question", lint_form.next_question),
    Rule("own affairs", lint_form.own_affairs),
    Rule("addresses", lint_pages.addresses),
    Rule("built", Lesson.not_built),
    Rule("alt text", lint_pages.alt_text, built=True),
    Rule(WIDGETS, lint_pages.loads_nothing, built=True),
    Rule("sizes", lint_pages.sizes, built=True),
    Rule("clean outputs", lint_pages.clean_outputs, built=True),
    Rule("numbers", lint_numbers.numbers, built=True),
    Rule("evidence", lint_numbers.evidence, built=True),
)


def lint(path: Path, root: Path = ROOT) -> list[Fault]:
    """The faults of one lesson; raises LessonError if it cannot be cut into cells."""
    lesson = read(path, root)
    has_pages = not any(lesson.not_built())
    exempt = EXEMPT.get(lesson.number, set())
    asked = [rule for rule in RULES if rule.name not in exempt and (has_pages or not rule.built)]
    return [Fault(where, rule.name, message) for rule in asked for where, message in rule.find(lesson)]


def lint_widgets(folder: Path = ROOT / "moe_lite" / "widgets") -> list[Fault]:
    """The faults of the widgets' own files."""
    return [Fault(where, WIDGETS, message) for where, message in lint_pages.widget_files(folder)]


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """0 if there is no fault; 1 otherwise, with the faults on stdout."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="NN", help="the number of one lesson")
    options = parser.parse_args(arguments)
    sources = sorted((root / "solutions").glob(f"{options.only or '[0-9][0-9]'}_*.py"))
    if not sources:
        print(f"no source solutions/{options.only or 'NN'}_*.py", file=sys.stderr)
        return 1
    faults: list[Fault | LessonError] = [*lint_widgets()]
    for source in sources:
        try:
            faults += lint(source, root)
        except LessonError as error:
            faults.append(error)
    print(*faults, f"{len(sources)} lessons, {len(RULES)} rules, {len(faults) or 'no'} faults", sep="\n")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
