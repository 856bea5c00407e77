"""Read a lesson's one source and make from it the notebook that learners open, without outputs.

A source is a jupytext percent file, `solutions/NN_slug.py`. Its cells carry tags:

    exercise  a task, in Markdown, with `### Exercise 3.2 — name`, `*10 minutes · core · about 3 lines*` and the line
              `<!-- hints 3.2 -->`, which is replaced by the hints that the check shows
    stub      the function to write. Lines between `### BEGIN SOLUTION` and `### END SOLUTION` become a
              `raise NotImplementedError`; or, if there are commented lines between `### BEGIN DRAFT` and
              `### END DRAFT`, those, without their comment signs
    check     `check.name(name)`
    widget, figure, diagram   keep their pictures in the learner's notebook
    opening   the picture under the title
    setup     imports
    guess     takes a prediction with a number, `guess("6.0", dead=None)`; a cell behind the result shows it `beside`
    broken    breaks something on purpose
    holds     `holds("what the prose claims", condition)`, with the variables of the cells above: holds.py. In neither
              notebook. Runs behind the cell that it stands behind whenever the solved notebook is built or tested; a
              sentence that does not hold fails there. It leaves the lesson as it is: names that it gives begin with
              `_`, and it shows nothing, draws no random number and puts no value into anything that the lesson has
    cloud     makes Colab ready; not in the source, but put in where the course has an address: course/cloud.py
    full      beside holds: about trainings in full length, so it is left out under MOE_LITE_BUDGET=ci

Marks in Markdown, each a comment that readers do not see:

    <!-- hints 3.2 -->      becomes the hints of the exercise
    <!-- next -->           the lesson's last line: becomes the next lesson's question, title and link, from course.toml
    <!-- evidence: … -->    where the numbers of the paragraph come from: tools/lint_claims.py
    <!-- reasoned: … -->    why what the paragraph compares needs no run: tools/lint_holds.py

Learners have no jupytext; the few lines that read its format here are held equal to it by a test.
"""

import ast
import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat

from moe_lite.checks.card.card import hints_html
from moe_lite.checks.registry import exercises
from moe_lite.course import cloud, outline
from moe_lite.look import palette

ROLES = ("exercise", "stub", "check")
KEEP_PICTURES = {"opening", "widget", "figure", "diagram"}  # tags of cells whose pictures the learner's notebook keeps
PICTURES = ("text/html", "image/svg+xml", "image/png")
TASK = re.compile(r"^### Exercise (\d+\.\d+) — ", re.MULTILINE)
HINTS = re.compile(r"^<!-- hints (\d+\.\d+) -->$", re.MULTILINE)
NEXT = re.compile(r"^<!-- next -->$", re.MULTILINE)
ANSWER = re.compile(r"\*\*Answers?[.:]\*\* ?")
QUESTION = re.compile(r"\*\*(?:Predict|Before you|By hand)|^By hand", re.MULTILINE)
UNTOUCHED = re.compile(r"(^```.*?^```|^#+ [^\n]*|<!--.*?-->|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
NAMED_EXPERTS = re.compile(
    r"(?<!the )(?<!each )(\b[Ee]xperts? )([0-7](?:(?:, | and | or |, and )[0-7])*)(?![\d.,]*\d)(?!/)\b"
)
ANSWERED = "<!-- answered -->"  # what follows is no answer and stays in sight
COVER = "<summary><strong>Answer.</strong> Open it to compare with yours.</summary>"
FIGURE_COVER = "<summary><strong>The figure.</strong> Run the cell to draw it, or open it here.</summary>"
MARK = re.compile(r"# %%(?P<markdown> \[markdown\])?(?: tags=(?P<tags>\[.*\]))?\s*")
REGION = re.compile(r"^\s*### (BEGIN|END) (SOLUTION|DRAFT)\s*$")
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


class LessonError(Exception):
    """Something is wrong with a lesson's source; names the file, the line and the cell."""


@dataclass(frozen=True)
class Cell:
    """One cell of the source."""

    id: str
    kind: str  # "markdown" | "code"
    tags: tuple[str, ...]
    text: str
    where: str  # "03_router.py, line 132 (cell ex-3-2-stub)"
    exercise: str = ""  # the id of the exercise that it belongs to

    def fail(self, what: str) -> LessonError:
        return LessonError(f"{self.where}: {what}")


# ---- reading ---------------------------------------------------------------------------------------------------------


def read_cells(path: Path) -> list[Cell]:
    """The cells of a source, with stable ids; raises LessonError if the text cannot be cut into cells."""
    cells, exercise, seen = [], "", Counter()
    for line, kind, tags, text in _cut(path):
        if "exercise" in tags:
            exercise = (TASK.search(text) or re.match("()", "")).group(1)
        belongs = exercise if set(ROLES) & set(tags) else ""
        id = _cell_id(path.stem, kind, tags, belongs, text)
        seen[id] += 1
        id += f"-{seen[id]}" if seen[id] > 1 else ""
        cells.append(Cell(id, kind, tags, text, f"{path.name}, line {line} (cell {id})", belongs))
    if repository := outline.course().repository:
        where = f"{path.name}, line 1 (cell {cloud.TAG})"
        cells.insert(1, Cell(cloud.TAG, "code", (cloud.TAG,), cloud.cell_text(repository), where))
    return cells


def _cut(path: Path) -> Iterator[tuple[int, str, tuple[str, ...], str]]:
    """Line, kind, tags and text of each cell."""
    lines = path.read_text(encoding="utf-8").splitlines()
    starts = [number for number, line in enumerate(lines) if re.match(r"#\s*%%(\s|$)", line)]
    if not starts or any(lines[: starts[0]]):
        raise LessonError(f"{path.name}, line 1: a lesson is made of cells; begin with `# %%`.")
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        mark, where = MARK.fullmatch(lines[start]), f"{path.name}, line {start + 1}"
        if mark is None:
            raise LessonError(f'{where}: expected `# %%` or `# %% [markdown]`, then nothing or tags=["…"].')
        body = lines[start + 1 : end]
        while body and not body[-1]:
            body.pop()
        if mark["markdown"]:
            body = [_uncommented(line, f"{path.name}, line {start + 2 + n}") for n, line in enumerate(body)]
        kind = "markdown" if mark["markdown"] else "code"
        yield start + 1, kind, _tags(mark["tags"], where), "\n".join(body)


def _uncommented(line: str, where: str) -> str:
    if line and not line.startswith("#"):
        raise LessonError(f"{where}: a line of Markdown begins with `# `.")
    return re.sub(r"^# ?", "", line)


def _tags(text: str | None, where: str) -> tuple[str, ...]:
    try:
        tags = ast.literal_eval(text or "[]")
    except (ValueError, SyntaxError):
        raise LessonError(f"{where}: tags={text} is no list of words in quotes.") from None
    return tuple(tags)


def _cell_id(slug: str, kind: str, tags: tuple[str, ...], exercise: str, text: str) -> str:
    """Made from the content alone, so that a cell keeps its id when others come and go."""
    if "holds" in tags:  # not saved anywhere: named by what it says
        said = re.search(r"holds\(\s*f?[\"'](.+?)[\"']", text) or re.match("()", "")
        return f"holds-{re.sub(r'[^a-z0-9]+', '-', said[1].lower())[:50].strip('-')}".strip("-")
    if exercise:
        role = next(tag for tag in ROLES if tag in tags)
        return f"{role}-{exercise.replace('.', '-')}"
    return hashlib.sha256(f"{slug}\n{kind}\n{text}".encode()).hexdigest()[:10]


def line_in(where: str, line: int) -> str:
    """Line `line` of the cell that stands at `where`; line 0 is its mark `# %%`."""
    return re.sub(r"line (\d+)", lambda match: f"line {int(match[1]) + line}", where)


# ---- stubs and solutions ---------------------------------------------------------------------------------------------


def stubbed(cell: Cell) -> str:
    """The cell as learners get it: its draft, or a `raise NotImplementedError`, in place of the solution."""
    lines, found = [], regions(cell)
    has_draft = any(kind == "DRAFT" for kind, _, _ in found)
    for kind, line, begins in found:
        if kind == "DRAFT" and not begins:
            lines.append(re.sub(r"# ?", "", line, count=1))
        elif kind == "SOLUTION" and begins and not has_draft:
            indent = line[: len(line) - len(line.lstrip())]
            lines.append(f'{indent}raise NotImplementedError("exercise {cell.exercise}: write your code here")')
        elif not kind:
            lines.append(line)
    return "\n".join(lines)


def solved(cell: Cell) -> str:
    """The cell with its solution, without marks and draft."""
    return "\n".join(line for kind, line, begins in regions(cell) if kind != "DRAFT" and not begins)


def regions(cell: Cell) -> list[tuple[str, str, bool]]:
    """Each line with its region ("", SOLUTION or DRAFT), and whether it begins that; end marks are left out."""
    found, inside = [], ""
    for line in cell.text.splitlines():
        if mark := REGION.match(line):
            begins, kind = mark[1] == "BEGIN", mark[2]
            if begins == bool(inside) or (not begins and kind != inside):
                raise cell.fail(f"`{line.strip()}` does not fit; open so far: {inside or 'nothing'}.")
            inside = kind if begins else ""
            found += [(kind, line, True)] if begins else []
        else:
            found.append((inside, line, False))
    if inside:
        raise cell.fail(f"`### END {inside}` is missing.")
    return found


# ---- the notebook ----------------------------------------------------------------------------------------------------


def in_notebooks(cells: list[Cell]) -> list[Cell]:
    """The cells that the notebooks have: all but those tagged holds."""
    return [cell for cell in cells if "holds" not in cell.tags]


def learner_notebook(cells: list[Cell]) -> nbformat.NotebookNode:
    """What learners open: stubs in place of solutions, and answers covered until they are asked for."""
    return notebook([(cell, stubbed(cell), cell.tags) for cell in in_notebooks(cells)], covers="<details>")


def notebook(parts: list[tuple[Cell, str, tuple[str, ...]]], covers: str = "<details open>") -> nbformat.NotebookNode:
    """A notebook of cells, each with the text and the tags that it gets; hints come from the checks, what is next from
    the course's outline. `covers` begins each answer's cover, which needs no kernel."""
    made = []
    for cell, text, tags in parts:
        new = nbformat.v4.new_code_cell if cell.kind == "code" else nbformat.v4.new_markdown_cell
        if NEXT.search(text):
            text = NEXT.sub(lambda _, cell=cell: next_words(int(cell.where[:2])), text)
        if cell.kind == "markdown":
            text = badged(covered(text, covers))
        metadata = ({"tags": list(tags)} if tags else {}) | (cloud.FOLDED if cloud.TAG in tags else {})
        made.append(new(HINTS.sub(_hints, text), id=cell.id, metadata=metadata))
    if repository := outline.course().repository:
        made[0].source += f"\n\n{cloud.links(repository, parts[0][0].where.partition('.py')[0])}"
    return nbformat.v4.new_notebook(cells=made, metadata=nbformat.from_dict(METADATA))


def covered(text: str, covers: str) -> str:
    """Markdown in which each answer stands under a cover: from its paragraph, or the takeaway before that, to the next
    heading, question, folded part or mark ANSWERED."""
    paragraphs = re.split(r"\n{2,}", text)
    begins = [i for i, paragraph in enumerate(paragraphs) if ANSWER.match(paragraph)]
    for start in reversed(begins):
        end = next((i for i in range(start + 1, len(paragraphs)) if _ends_an_answer(paragraphs[i])), len(paragraphs))
        rest = [re.sub(f"^{ANSWERED}\n?", "", paragraph) for paragraph in paragraphs[end:]]
        first = start - 1 if start and paragraphs[start - 1].startswith("**Takeaway") else start
        told = [ANSWER.sub("", paragraphs[start], count=1), *paragraphs[start + 1 : end], *paragraphs[first:start]]
        paragraphs = [*paragraphs[:first], f"{covers}{COVER}", *told, "</details>", *rest]
    return "\n\n".join(paragraphs)


def badged(text: str) -> str:
    """Markdown in which an expert's number, behind the word "expert", is a badge in that expert's colour.

    Up to eight experts an expert has one colour in all models. Code and headings stay as they are.
    """
    parts = UNTOUCHED.split(text)  # prose and what stays, in turn
    return "".join(NAMED_EXPERTS.sub(_with_badges, part) if i % 2 == 0 else part for i, part in enumerate(parts))


def _with_badges(match: re.Match) -> str:
    return match[1] + re.sub(r"[0-7]", lambda number: _badge(int(number[0])), match[2])


def _badge(expert: int) -> str:
    colours = f"background-color:{palette.tint(expert)};color:{palette.ROLES['light']['onTint']}"
    return f'<span style="{colours};border-radius:3px;padding:0 4px;font-weight:700;font-size:85%">{expert}</span>'


def _ends_an_answer(paragraph: str) -> bool:
    return paragraph.startswith(("#", "<details", "</details", ANSWERED)) or bool(
        QUESTION.search(paragraph) or ANSWER.match(paragraph)
    )


def pictures(cell: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """The outputs of a code cell that can be looked at without a kernel."""
    return [output for output in cell.outputs if any(kind in output.get("data", ()) for kind in PICTURES)]


def keeps_pictures(cell: nbformat.NotebookNode) -> bool:
    """Whether the pictures of a cell stay in the learner's notebook."""
    return cell.cell_type == "code" and bool(KEEP_PICTURES & set(cell.metadata.get("tags", ())))


def cover_figure(cell: nbformat.NotebookNode) -> None:
    """Fold the pictures of a cell tagged figure: they answer what the prose above asks, and nothing has run yet."""
    for output in pictures(cell) if "figure" in cell.metadata.get("tags", ()) else ():
        if "text/html" in output.data:
            output.data["text/html"] = f"<details>{FIGURE_COVER}{output.data['text/html']}</details>"


def _hints(match: re.Match) -> str:
    return hints_html(exercises()[match[1]].hints)


def next_words(number: int) -> str:
    """What comes after lesson `number`, in Markdown; raises CourseError if there is no such lesson."""
    this = outline.lesson(number)
    if number + 1 == outline.N_LESSONS:
        return "That was the last lesson."
    following = outline.lesson(number + 1)
    came = "" if following.written else ", which is planned and not written yet"
    words = f"**Next question:** {following.question} That is {_named(following)}{came}."
    short = [n for n in outline.course().short_path if n > number]
    if this.number in outline.course().short_path and short and short[0] != following.number:
        words += f" (On the short path, go on with {_named(outline.lesson(short[0]))}.)"
    return words


def _named(lesson: outline.Lesson) -> str:
    """A lesson's number and title, with a link once it is written; the notebooks lie side by side."""
    words = f"lesson {lesson.label}, *{lesson.title}*"
    return f"[{words}]({lesson.file}.ipynb)" if lesson.written else words
