"""Rules about what the prose says of outputs: what it compares is held by a cell, and every question is answered.

A sentence that compares, ranks, counts or generalises (COMPARES) needs one of these:

- a holds cell near: between this Markdown cell and the Markdown cell before it, or directly behind this one;
- a source in its paragraph: a link to a paper or a repository, or <!-- evidence: … -->;
- <!-- reasoned: why it needs no run --> in its paragraph: a definition, or arithmetic that the paragraph shows.

Task cells, headings, code, tables and questions (**Predict** …) claim nothing. A question's paragraph is answered by a
paragraph that begins with **Answer.**, in a later cell, with the code between them whose output is asked for.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lesson_source import Cell
from lint_claims import MARKER
from lint_lesson import Found, Lesson, place
from lint_numbers import SENTENCE, split
from lint_pages import CITED

from moe_lite.checks.lesson_cells import ANSWER, QUESTION

MORE = "better|closer|earlier|farther|faster|fewer|further|higher|larger|later|less|longer|lower|more|rarer|shorter"
MORE += "|slower|smaller|steeper|stronger|surer|weaker|wider|worse"
MOST = "best|fastest|fewest|fullest|highest|largest|least|longest|lowest|most|rarest|slowest|smallest|steepest|worst"
NUMBER = r"(?:two|three|four|five|six|eight|ten)(?: to \w+)?|(?<![\d.])\d+"
PRICE = r"\d(?!\S*·)|a (?:few|hundredth|tenth|third)|less|little|more|most|much|nothing"
COMPARISONS = (
    # more than
    rf"(?:{MORE})(?:\W+\w+){{0,5}} than",
    rf"(?:are|ends?|is|stays?|was|were) (?:\w+ )?(?:{MORE})",
    # by how much
    rf"(?:twice|(?:{NUMBER}) times) as (?:fast|high|large|long|many|much|often)",
    rf"(?:twice|(?:{NUMBER}) times) (?:its|the) (?:error|fair share|FLOPs|loss|share|time|work)",
    r"(?:half|a third|a quarter|a fifth|a tenth) of (?:all|the|its|them)",
    r"(?-i:Most) of|tenfold|a (?:third|quarter) of a nat",
    # how it goes
    r"(?:halves|halved) (?:the|its|it)|doubles|doubled|triples|tripled",
    r"falls|fell|grows|rises|rose|shrinks|(?:curves|losses|loads|panels|shares) (?:fall|grow|rise|shrink)",
    # nearly none
    r"hardly|barely|next to (?:no|nobody|none|nothing)",
    r"(?:almost|nearly) (?:all|always|any|every|everyone|never|no|nobody|none|nothing)",
    r"none (?:die|dies|are|is|was|were)|nobody (?:dies|is|was)|for nobody|nothing to do",
    r"no difference|none of the|at [\d.]+ none",
    # ranks
    rf"(?:{MOST}) (?:at|for|from|in|when|where)",
    r"the (?:least|most)\b(?! (?:likely|probable))|most often",
    # in all of them
    r"in (?:all|any|each|every|none|no) (?:of (?:its|the|them) )?(?:\w+ )?"
    r"(?:domains?|rows?|runs?|seeds?|texts?|trainings?)",
    r"in every layer|(?:dies?|dead|alive|separates?|survives?) in",
    # the same, and what it costs
    r"the same (?:digits|error|loads?|loss|losses|numbers)|equal (?:at|in|up to)",
    r"exactly (?:the same|where|as)|costs? alike",
    rf"(?:beats?|costs?|cost it|gains?|loses?|saves?|wins?) (?:about |nearly |only |up to )?(?:{PRICE})",
)
COMPARES = re.compile(rf"\b(?:{'|'.join(COMPARISONS)})(?!\w)", re.IGNORECASE)
ANNOUNCES = re.compile(r"(?:Here|Below|Let|Now|To see|So here)\b|.*\?[*_]*$")  # what comes, or a question
REASONED = re.compile(r"<!-- reasoned: (.*?)-->", re.DOTALL)
SOURCE = re.compile(f"{MARKER.pattern}|{CITED.pattern}", re.DOTALL)


@dataclass(frozen=True)
class Paragraph:
    """What stands between blank lines of the prose, and between which code cells."""

    cell: Cell
    line: int  # its first in the cell
    text: str
    prose: str  # the same without comments, code, formulas and links
    after: int  # how many code cells stand above it

    @property
    def asks(self) -> bool:
        return bool(QUESTION.search(self.text))

    @property
    def claims_nothing(self) -> bool:
        return self.text.startswith(("#", "|")) or (self.asks and not ANSWER.match(self.text))


def comparing(lesson: Lesson) -> Found:
    held = _held(lesson)
    for paragraph in _paragraphs(lesson):
        text = paragraph.text
        if (reason := REASONED.search(text)) and not reason[1].strip():
            yield place(paragraph.cell, paragraph.line), "expected a reason in <!-- reasoned: why it needs no run -->."
        if paragraph.claims_nothing or reason or SOURCE.search(text) or paragraph.cell.id in held:
            continue
        for line, sentence, raw in _sentences(paragraph):
            if (match := COMPARES.search(sentence)) and not ANNOUNCES.match(sentence):
                told = (
                    "hold it in a cell tagged holds behind the output, cite its source, or say <!-- reasoned: why -->"
                )
                yield (
                    place(paragraph.cell, line),
                    f"{match[0]!r} compares, and nothing holds it: {_short(raw)!r}; {told}.",
                )


def answers(lesson: Lesson) -> Found:
    """In order: questions, the code that shows, an answer; then the next questions."""
    waiting: list[Paragraph] = []
    for paragraph in [*_paragraphs(lesson), None]:
        later = paragraph is not None and waiting and paragraph.after > waiting[-1].after
        if paragraph is None or (later and paragraph.asks and not ANSWER.match(paragraph.text)):
            for asked in waiting:
                told = "expected a paragraph **Answer.** … behind the code that shows it, before the next question"
                yield place(asked.cell, asked.line), f"no answer to {_short(asked.text)!r}; {told}."
            waiting = []
        if paragraph is not None and ANSWER.match(paragraph.text):
            if waiting and paragraph.after == waiting[-1].after:
                yield (
                    place(paragraph.cell, paragraph.line),
                    "an answer before anything was run; move it below the code.",
                )
            waiting = []
        if paragraph is not None and paragraph.asks:
            waiting.append(paragraph)


def _paragraphs(lesson: Lesson) -> Iterator[Paragraph]:
    """All but those of task cells."""
    after = 0
    for cell in lesson.cells:
        after += cell.kind == "code"
        if cell.kind == "markdown" and "exercise" not in cell.tags:
            for line, text, prose in split(cell):
                yield Paragraph(cell, line, text, prose, after)


def _sentences(paragraph: Paragraph) -> Iterator[tuple[int, str, str]]:
    """(line in the cell, prose, text) of each sentence."""
    ends = [0, *(match.end() for match in SENTENCE.finditer(paragraph.text)), len(paragraph.text)]
    for start, end in zip(ends, ends[1:], strict=False):
        line = paragraph.line + paragraph.text.count("\n", 0, start)
        yield line, " ".join(paragraph.prose[start:end].split()), paragraph.text[start:end]


def _held(lesson: Lesson) -> set[str]:
    """The ids of the Markdown cells that have a holds cell near."""
    found, waiting = set(), False  # waiting: a holds cell stood above, and no Markdown since
    cells = lesson.source
    for i, cell in enumerate(cells):
        if "holds" in cell.tags:
            waiting = True
            if i and cells[i - 1].kind == "markdown":
                found.add(cells[i - 1].id)
        elif cell.kind == "markdown":
            if waiting:
                found.add(cell.id)
            waiting = False
    return found


def _short(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= 100 else f"{words[:99]}…"
