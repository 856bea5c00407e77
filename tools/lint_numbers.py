"""The rule that no number stands in prose without evidence. lint_claims.py says which numbers count. Evidence is

- an output or the source of a code cell above in the same section (in "Now you know", of any cell), equal at the
  rounding that the prose prints; or the source of the code cells directly below, whose settings the prose may tell;
  and their outputs too, where the prose asks a question;
- a link to a paper or a repository in the same sentence;
- a marker at the end of the paragraph, <!-- evidence: FILE KEY -->, which also holds for the rest of the lesson.

Task cells and headings are left out.
"""

import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from lesson_source import Cell
from lint_claims import Claim, EvidenceError, claims, markers, worked_out
from lint_lesson import LINK, Found, Lesson, blank, place, prose_of
from lint_pages import CITED, visible_text

from moe_lite.checks.lesson_cells import QUESTION

SENTENCE = re.compile(r"(?<=[.?!])[*_)\"]*\s+(?=[\"*_(\[]*[A-Z0-9])|\n(?=- |\d+\. |\|)")
PRINTED = re.compile(r"(?<![\w.])(\d[\d,]*(?:\.\d+)?(?:[eE][+-]?\d+)?)(\s?%)?")


@dataclass(frozen=True)
class Paragraph:
    """What stands between blank lines, with the numbers that it may use."""

    cell: Cell
    line: int  # its first in the cell
    claims: list[tuple[int, Claim]]  # with their lines in the paragraph; none of sentences that cite a source
    known: list[float]
    markers: list[tuple[int, str, float | EvidenceError]]

    def where(self, line: int) -> str:
        return place(self.cell, self.line + line)


def numbers(lesson: Lesson) -> Found:
    for paragraph in _paragraphs(lesson):
        for line, claim in paragraph.claims:
            if not claim.supported_by(paragraph.known):
                told = "print it in a cell above, cite its source in this sentence, or end the paragraph with"
                yield paragraph.where(line), f"nothing shows the number {claim.text}; {told} <!-- evidence: … -->."


def evidence(lesson: Lesson) -> Found:
    for paragraph in _paragraphs(lesson):
        for line, text, value in paragraph.markers:
            if isinstance(value, EvidenceError):
                yield paragraph.where(line), f"the evidence `{text}` leads nowhere: {value}"
            elif not any(claim.supported_by([value]) for _, claim in paragraph.claims):
                yield paragraph.where(line), f"the evidence `{text}` gives {value:.6g}, no number of its paragraph."


def _paragraphs(lesson: Lesson) -> Iterator[Paragraph]:
    """Every paragraph in order, with its evidence."""
    written = {cell.id: _written(lesson, cell) for cell in lesson.code}
    given = {cell.id: written[cell.id] + _printed(lesson, cell) for cell in lesson.code}
    references = _references(lesson)
    section: list[float] = []
    marked: list[float] = []
    for i, cell in enumerate(lesson.cells):
        if cell.kind == "code":
            section = section + given[cell.id]
            continue
        below = _below(lesson, i, given if QUESTION.search(cell.text) else written)
        for line, text, prose in split(cell):
            if text.startswith("## "):
                section = sum(given.values(), []) if "Now you know" in text else []
            found: list[tuple[int, str, float | EvidenceError]] = []
            for at, part in markers(text):
                try:
                    value = worked_out(part, section + below + marked, lesson.root)
                    marked = [*marked, value]
                    found.append((at, part, value))
                except EvidenceError as error:
                    found.append((at, part, error))
            silent = "exercise" in cell.tags or text.startswith("#")
            claimed = [] if silent else [*claims(_without_citations(text, prose), references)]
            yield Paragraph(cell, line, claimed, section + below + marked, found)


def split(cell: Cell) -> Iterator[tuple[int, str, str]]:
    """(first line, text, the same as prose only) of what stands between blank lines."""
    lines, prose = cell.text.splitlines(), blank(prose_of(cell), LINK).splitlines()
    start = 0
    for end in range(len(lines) + 1):
        if end == len(lines) or not lines[end].strip():
            if end > start:
                yield start, "\n".join(lines[start:end]), "\n".join(prose[start:end])
            start = end + 1


def _without_citations(text: str, prose: str) -> str:
    """The paragraph's prose with its sentences blanked that link to a source."""
    ends = [0, *(match.start() for match in SENTENCE.finditer(text)), len(text)]
    for start, end in pairwise(ends):
        if CITED.search(text, start, end):
            prose = prose[:start] + blank(prose[start:end], re.compile(r".")) + prose[end:]
    return prose


def _references(lesson: Lesson) -> set[str]:
    """Numbers of sections and exercises."""
    heads = {m[1] for cell in lesson.prose for m in re.finditer(r"^##+ (\d+\.\d+)", cell.text, flags=re.MULTILINE)}
    return heads | {exercise.id for exercise in lesson.exercises}


def _below(lesson: Lesson, i: int, given: dict[str, list[float]]) -> list[float]:
    """What is `given` by the code cells directly below cell `i`."""
    found: list[float] = []
    for cell in lesson.cells[i + 1 :]:
        if cell.kind != "code":
            break
        found += given[cell.id]
    return found


def _written(lesson: Lesson, cell: Cell) -> list[float]:
    """The numbers in a cell's code, not in its comments."""
    tokens = tokenize.generate_tokens(io.StringIO(lesson.sources[cell.id]).readline)
    decimal = re.compile(r"[\d_.]+(?:[eE][+-]?\d+)?")
    return [float(t.string) for t in tokens if t.type == tokenize.NUMBER and decimal.fullmatch(t.string)]


def _printed(lesson: Lesson, cell: Cell) -> list[float]:
    """The numbers in the text of a cell's outputs. A figure gives its words only: ticks are no evidence."""
    found = []
    for output in lesson.outputs[cell.id]:
        for number, percent in PRINTED.findall(visible_text(output, words_only="figure" in cell.tags)):
            value = float(number.replace(",", ""))
            found += [value, value / 100] if percent else [value]
    return found
