"""What popular articles claim about mixtures of experts, each with a verdict and what decides it.

`claims()` shows the whole ledger, `claims(3)` the rows of one lesson: there each verdict is covered until the reader
has picked one.
"""

from collections import Counter
from html import escape
from pathlib import Path

from moe_lite.course import outline
from moe_lite.course.ledger import VERDICTS, Cell, Claim, Computed, Evidence, Result, Source, ToCome, read_ledger
from moe_lite.look import palette
from moe_lite.look.picture import Picture
from moe_lite.look.svg import NO_MATH

QUESTION = "What do popular articles say, and what holds?"
HOW_TO_PICK = (
    "Choose a verdict, and the ledger's opens. Misleading: what readers take from it is wrong. Unknown: the evidence "
    "is not enough."
)
# verdict -> sign, role of the palette
SIGNS = {
    "true": ("✓", "ok"),
    "true with conditions": ("✓", "warn"),
    "misleading": ("!", "warn"),
    "false": ("✗", "bad"),
    "unknown": ("?", "fg2"),
}

_CSS = """
.mx-claims{container-type:inline-size;font:13px/18px var(--jp-ui-font-family,system-ui,-apple-system,"Segoe UI",Helvetica,Arial,sans-serif);
color:var(--fg);max-width:860px;margin:4px 0 8px}
.mx-claims.mx-claims .q{font-size:14px;line-height:20px;font-weight:600;margin-bottom:4px}
.mx-claims.mx-claims table{border-collapse:collapse;border:0;margin:0;width:100%;table-layout:fixed;
font-size:13px;line-height:18px;color:inherit}
.mx-claims.mx-claims.mx-claims tr{background:none}
.mx-claims.mx-claims th,.mx-claims.mx-claims td{border:0;border-top:1px solid var(--line);padding:8px 14px 8px 0;
text-align:left;vertical-align:top;font-weight:400;line-height:18px;background:none;white-space:normal;overflow-wrap:anywhere}
.mx-claims.mx-claims thead th{border-top:0;padding:4px 14px 4px 0;font-size:11px;color:var(--fg2)}
.mx-claims.mx-claims tbody th{font-weight:600}
.mx-claims.mx-claims .v{width:18%}.mx-claims.mx-claims td.v{color:var(--c);font-weight:600}
.mx-claims.mx-claims :is(th,td).e{width:40%;padding-right:0}.mx-claims.mx-claims td.e{font-size:12px;line-height:17px}
.mx-claims.mx-claims p{margin:0 0 4px;font-weight:400}.mx-claims.mx-claims .dim{color:var(--fg2)}
.mx-claims.mx-claims a{color:var(--brandInk);text-decoration:underline;text-underline-offset:2px}.mx-claims.mx-claims.mx-claims code{font-size:11px;background:none;padding:0;
font-family:var(--jp-code-font-family,Menlo,Consolas,"DejaVu Sans Mono",monospace);color:inherit}
.mx-claims.mx-claims .read{margin:0;padding-top:8px;border-top:1px solid var(--line)}
.mx-claims.mx-claims td.p{width:56%;padding-right:0}.mx-claims.mx-claims th:has(+.p){padding-top:11px}
.mx-claims .pick{display:flex;flex-wrap:wrap;gap:4px 12px;border:0;margin:0 0 4px;padding:0}
@container (max-width:800px){.mx-claims.mx-claims td.p{width:67%}}
.mx-claims label{display:inline-flex;align-items:center;gap:5px;min-height:24px;cursor:pointer}
.mx-claims input{width:14px;height:14px;margin:0;accent-color:var(--brand)}
.mx-claims tr:not(:has(input:checked)):not(.mx-claims:has(.all:checked) tr) .told{display:none}
.mx-claims .told>b{color:var(--c)}.mx-claims .told .you{display:none;color:var(--fg2)}
.mx-claims caption{caption-side:top;text-align:left;color:var(--fg2);padding:0 0 4px}
.mx-claims .all-of-them{margin-top:4px;color:var(--fg2)}
"""  # noqa: E501 - CSS
_CSS += "".join(f".mx-claims tr:has(input.v{i}:checked) .you.v{i}{{display:inline}}" for i in range(len(VERDICTS)))


def claims(lesson: int | None = None) -> Picture:
    """The ledger as a table, or as text; with `lesson`, only the claims of that lesson.

    Raises CourseError, a ValueError, if there is no such lesson.
    """
    about = None if lesson is None else outline.lesson(lesson)
    rows = [claim for claim in read_ledger() if about is None or about.number in claim.lessons]
    words = summary(rows) if rows else f"No claim of the ledger is about lesson {about.label}, {about.title}."
    if about is None:
        table, read = f"{_HEAD}<tbody>{''.join(map(_row_html, rows))}</tbody>", f'<p class="read">{escape(words)}</p>'
    else:
        table = f"<caption>{HOW_TO_PICK}</caption><tbody>{''.join(map(_pick_html, rows))}</tbody>"
        shows = '<label class="all-of-them"><input type="checkbox" class="all">show all verdicts</label>'
        read = f'<div class="told-all">{shows}</div>' if rows else f'<p class="read">{escape(words)}</p>'
    table = f"<table>{table}</table>" if rows else ""
    body = f'<div class="q">{QUESTION}</div>{table}{read}'
    root = f'<div class="mx-claims {NO_MATH}" role="group" aria-label="{QUESTION}">{body}</div>'
    text = "\n\n".join([QUESTION, *map(_row_text, rows), words])
    return Picture(f"<style>{palette.css_variables('.mx-claims')}{_CSS}</style>{root}", text)


def summary(rows: list[Claim]) -> str:
    """`3 claims: 1 true, 2 false. 1 waits for a lesson that is not written yet.`"""
    counts = Counter(claim.verdict for claim in rows)
    verdicts = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])
    waiting = sum(any(isinstance(pointer, ToCome) for pointer in claim.evidence) for claim in rows)
    wait = f"{waiting} wait{'s' if waiting == 1 else ''} for more evidence from lessons that are not written yet."
    return f"{len(rows)} claim{'' if len(rows) == 1 else 's'}: {verdicts}." + (f" {wait}" if waiting else "")


def _row_text(claim: Claim) -> str:
    evidence = [f"  - {_lead(pointer)}{pointer.text}" for pointer in claim.evidence]
    lessons = ", ".join(_label(number) for number in claim.lessons)
    lines = [f"[{claim.verdict}] {claim.claim}", f"  {claim.condition}", *evidence, f"  Lessons: {lessons}."]
    return "\n".join(lines)


def _lead(pointer: Evidence) -> str:
    return f"lesson {_label(pointer.lesson)}: " if isinstance(pointer, Cell) else ""


def _label(number: int) -> str:
    """ "03", or "10 (to come)" """
    lesson = outline.lesson(number)
    return lesson.label if lesson.written else f"{lesson.label} (to come)"


_HEAD = (
    '<thead><tr><th class="v" scope="col">verdict</th><th scope="col">claim, and when it holds</th>'
    '<th class="e" scope="col">what decides</th></tr></thead>'
)


def _row_html(claim: Claim) -> str:
    sign, role = SIGNS[claim.verdict]
    verdict = f'<td class="v" style="--c:var(--{role})">{sign} {escape(claim.verdict)}</td>'
    lessons = ", ".join(_linked(number, _label(number)) for number in claim.lessons)
    about = f'<p>{escape(claim.condition)}</p><p class="dim">Lessons: {lessons}</p>'
    evidence = "".join(f"<p>{_evidence_html(pointer)}</p>" for pointer in claim.evidence)
    return f'<tr>{verdict}<th scope="row">{escape(claim.claim)}{about}</th><td class="e">{evidence}</td></tr>'


def _pick_html(claim: Claim) -> str:
    """A row in which the reader picks a verdict first; then the ledger's opens, and beside it what was picked."""
    name = f"claim-{escape(claim.id)}"
    choices, said = "", ""
    for i, verdict in enumerate(VERDICTS):
        choices += f'<label><input type="radio" name="{name}" class="v{i}">{escape(verdict)}</label>'
        you = "as you said" if verdict == claim.verdict else f"you said {verdict}"
        said += f'<span class="you v{i}">{escape(you)}</span>'
    sign, role = SIGNS[claim.verdict]
    evidence = " · ".join(_evidence_html(pointer) for pointer in claim.evidence)
    lessons = ", ".join(_linked(number, _label(number)) for number in claim.lessons)
    told = f'<p class="told" style="--c:var(--{role})"><b>{sign} {escape(claim.verdict)}</b> {said}</p>'
    told += f'<p class="told">{escape(claim.condition)}</p><p class="told e">{evidence}</p>'
    told += f'<p class="told dim">Lessons: {lessons}</p>'
    legend = f'<fieldset class="pick" aria-label="your verdict">{choices}</fieldset>'
    return f'<tr><th scope="row">{escape(claim.claim)}</th><td class="p">{legend}{told}</td></tr>'


def _evidence_html(pointer: Evidence) -> str:
    match pointer:
        case Cell():
            return f"{_linked(pointer.lesson, f'Lesson {_label(pointer.lesson)}')}: {escape(pointer.text)}"
        case Result():
            return f"{escape(pointer.says)} <code>{escape(Path(pointer.file).name)}</code>"
        case Computed():
            return f'{escape(pointer.says)} <span class="dim" title="{escape(pointer.expression)}">computed</span>'
        case Source(url=""):
            return escape(pointer.text)
        case Source():
            return f'{escape(pointer.says)}: <a href="{escape(pointer.url)}">{escape(pointer.ref)}</a>'
        case ToCome():
            return f'<span class="dim">{escape(pointer.text.capitalize())}.</span>'


def _linked(number: int, text: str) -> str:
    """A link beside the other notebooks, if the lesson is there."""
    lesson = outline.lesson(number)
    return f'<a href="{lesson.file}.ipynb">{escape(text)}</a>' if lesson.written else escape(text)
