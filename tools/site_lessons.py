"""The lessons as pages of `make site`: every lesson with its figures, its exercises unsolved, and a search over all."""

import html
import json
import re
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlencode

import nbformat
from latex2mathml.converter import convert
from nbconvert import HTMLExporter

from moe_lite.course import cloud
from moe_lite.course.guesses import NONE_MADE
from moe_lite.course.outline import ROOT, Lesson, lessons
from moe_lite.look import palette
from moe_lite.widgets.kit.widget import KERNEL_GONE

TEMPLATES = ROOT / "site"
# code of these cells is folded, under these words
FIGURE = "Code of this figure"
FOLDED = {
    "opening": FIGURE, "diagram": FIGURE, "widget": FIGURE, "setup": "Imports", "guess": "Your guess, in the notebook",
}  # fmt: skip
THREE_LINES = """Are we all met?
def area(r):
    return r * r
Il y avait en Westphalie, dans le château, un jeune garçon."""
# In these lessons the token viewer is alive: the page itself stands in the picture's place, with this state, in order.
LIVE = {
    0: (
        {"text": "My order has not arrived. Il pleut sur la ville. Thou art a king.", "layer": "1"},
        {"text": THREE_LINES, "layer": "1"},
    ),
    3: ({"samples": "shakespeare,german,python", "layer": "4"},),
}  # fmt: skip
TWIN = re.compile(r'<div class="mx token_viewer twin\b')
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
IN_A_PAGE = "In the notebook this figure moves."


def written() -> list[Lesson]:
    return [lesson for lesson in lessons() if lesson.written]


def lesson_pages() -> Iterator[tuple[str, str]]:
    """Name of a file under lessons/ and its content: a page for each lesson, their style, the search."""
    exporter = HTMLExporter(
        template_name="lessons", extra_template_basedirs=[str(TEMPLATES)], anchor_link_text="#",
        exclude_input_prompt=True, exclude_output_prompt=True,
    )  # fmt: skip
    found = written()
    bodies = {lesson: body_of(lesson, exporter) for lesson in found}
    for place, lesson in enumerate(found):
        before = found[place - 1] if place else None
        after = found[place + 1] if place + 1 < len(found) else None
        yield f"{lesson.file}.html", page(lesson, bodies[lesson], before, after)
    yield "index.html", contents(found)
    yield "style.css", styles()
    entries = [entry for lesson in found for entry in sections(lesson, bodies[lesson])]
    yield "search.js", f"window.moeLiteSearch = {json.dumps(entries, ensure_ascii=False)};\n"
    yield "lessons.js", (TEMPLATES / "lessons" / "lessons.js").read_text(encoding="utf-8")


def body_of(lesson: Lesson, exporter: HTMLExporter) -> str:
    """The solved lesson's cells and figures as HTML, with the learner's own cells where something is to be written."""
    solved = nbformat.read(ROOT / "solutions" / f"{lesson.file}.ipynb", as_version=4)
    learners = nbformat.read(ROOT / "notebooks" / f"{lesson.file}.ipynb", as_version=4)
    unsolved, live = {cell.id: cell for cell in learners.cells}, list(LIVE.get(lesson.number, ()))
    solved.cells = [cell for cell in solved.cells if cloud.TAG not in cell.metadata.get("tags", [])]
    for cell in solved.cells:
        tags = cell.metadata.get("tags", [])
        if cell.cell_type == "markdown":
            cell.source = with_mathml(cell.source)
            continue
        cell.metadata["fold"] = next((FOLDED[tag] for tag in tags if tag in FOLDED), "")
        if cell.metadata.get("jupyter", {}).get("source_hidden"):
            cell.metadata["fold"] = cell.source.splitlines()[0].lstrip("# ") or "Code"
        if "stub" in tags:
            cell.source, cell.outputs = unsolved[cell.id].source, []
        if "check" in tags:
            cell.outputs = []
        for output in cell.outputs:
            output.get("data", {}).pop(WIDGET_VIEW, None)
        cell.outputs = [output for output in cell.outputs if output.get("data", {"": ""})]
        for output in cell.outputs:
            if live and TWIN.search(output.get("data", {}).get("text/html", "")):
                output.data["text/html"] = viewer(live.pop(0), output.data["text/html"])
    body, _ = exporter.from_notebook_node(solved)
    for wide in ("<pre", '<div class="pic"', '<div class="out"'):  # they scroll to the side, by keyboard, too
        body = body.replace(wide, f'{wide} tabindex="0"')
    body = (
        re.sub(r"<details ([^>]*)open(=\"\")?>", r"<details \1>", body)
        .replace(KERNEL_GONE, IN_A_PAGE)
        .replace(html.escape(NONE_MADE), "")
    )
    return linked(body)


def viewer(state: Mapping[str, str], picture: str) -> str:
    """The page's token viewer in this state; its picture where there are no scripts."""
    address = html.escape(f"../index.html#{urlencode({'only': 'viewer', **state})}")
    frame = f'<iframe class="live" src="{address}" loading="lazy" title="token viewer, alive"></iframe>'
    return f"{frame}<noscript>{picture}</noscript>"


def with_mathml(source: str) -> str:
    """Markdown with its formulas as MathML, which browsers set without a script."""
    source = re.sub(r"\$\$(.+?)\$\$", lambda found: convert(found[1], display="block"), source, flags=re.DOTALL)
    return re.sub(r"(?<![\\$\w])\$([^$\n]+?)\$(?![\w$])", lambda found: convert(found[1]), source)


def linked(body: str) -> str:
    """Links between notebooks as links between pages."""
    return re.sub(r'href="(?:\.\./notebooks/|\.\./solutions/)?(\d\d_\w+)\.ipynb(#[^"]*)?"', r'href="\1.html\2"', body)


def page(lesson: Lesson, body: str, before: Lesson | None, after: Lesson | None) -> str:
    way = "".join(
        f'<a rel="{rel}" href="{other.file}.html"><span>{word}</span> {other.label} {html.escape(other.title)}</a>'
        for rel, word, other in (("prev", "Before", before), ("next", "Next", after))
        if other
    )
    here = (
        '<p class="here">This is the lesson to read. In Jupyter (<code>make lab</code>) every cell runs, the figures '
        "move, and a check answers what you write.</p>"
    )
    content = (
        f'<main class="lesson">{here}{body}</main><nav class="way" aria-label="lessons before and after">{way}</nav>'
    )
    return frame(f"{lesson.label} · {lesson.title}", content, lesson)


def contents(found: list[Lesson]) -> str:
    rows = "".join(
        f'<li><a href="{lesson.file}.html"><b>{lesson.label} {html.escape(lesson.title)}</b> '
        f"<span>{html.escape(lesson.question)}</span></a></li>"
        for lesson in found
    )
    return frame("Lessons", f'<main class="contents"><h1>Lessons</h1><ol>{rows}</ol></main>')


def frame(title: str, content: str, here: Lesson | None = None) -> str:
    options = "".join(
        f'<li><a href="{lesson.file}.html"{" aria-current=page" if lesson == here else ""}>{lesson.label} '
        f"{html.escape(lesson.title)}</a></li>"
        for lesson in written()
    )
    text = (TEMPLATES / "lessons" / "page.html").read_text(encoding="utf-8")
    parts = {"title": html.escape(title), "lessons": options, "content": content}
    return re.sub(r"<!-- build: (\w+) -->", lambda place: parts[place[1]], text)


def styles() -> str:
    own = (TEMPLATES / "lessons" / "style.css").read_text(encoding="utf-8")
    return f"{palette.css_variables('.page')}\n{own}"


class _Sections(HTMLParser):
    """The texts of a page by the heading they stand under."""

    def __init__(self):
        super().__init__()
        self.found: list[dict] = [{"anchor": "", "heading": "", "text": ""}]
        self._skipped = 0
        self._heading = self._link = False

    def handle_starttag(self, tag, attributes):
        if tag == "a" and "anchor-link" in dict(attributes).get("class", ""):  # a heading's own
            self._skipped += 1
            self._heading, self._link = False, True
        elif tag in ("h2", "h3"):
            self.found.append({"anchor": dict(attributes).get("id", ""), "heading": "", "text": ""})
            self._heading = True
        elif tag in ("style", "script", "svg", "pre", "table", "details"):
            self._skipped += 1

    def handle_endtag(self, tag):
        if tag == "a" and self._link:
            self._skipped -= 1
            self._link = False
        elif tag in ("h2", "h3"):
            self._heading = False
        elif tag in ("style", "script", "svg", "pre", "table", "details"):
            self._skipped -= 1

    def handle_data(self, text):
        if self._heading:
            self.found[-1]["heading"] += text
        elif not self._skipped:
            self.found[-1]["text"] += text


def sections(lesson: Lesson, body: str) -> list[dict]:
    """What the search finds: of each section its page, anchor, heading and text."""
    parser = _Sections()
    parser.feed(re.sub(r'<div class="out"[^>]*>.*?(?=<div class="cell )', "", body, flags=re.DOTALL))
    entries = []
    for section in parser.found:
        text, heading = (re.sub(r"\s+", " ", section[part]).strip() for part in ("text", "heading"))
        if text or heading:
            where = f"{lesson.file}.html" + (f"#{section['anchor']}" if section["anchor"] else "")
            place = f"{lesson.label} {lesson.title}"
            entries.append({"where": where, "lesson": place, "heading": heading, "text": text})
    return entries


def write_lessons(folder: Path) -> dict[str, int]:
    sizes = {}
    for name, text in lesson_pages():
        path = folder / "lessons" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        sizes[f"lessons/{name}"] = path.stat().st_size
    return sizes
