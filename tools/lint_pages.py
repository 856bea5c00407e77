"""Rules about built notebooks and widgets: pictures have words, nothing is loaded, outputs are small and clean."""

import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import nbformat
from build_notebooks import LEARNER_BYTES, SOLVED_BYTES
from lint_form import ABSOLUTE_PATH
from lint_lesson import Found, Lesson, lines_with, prose_of

OUTPUT_BYTES = 100_000  # three such pictures still fit into a learner's notebook
CITATION_HOSTS = (
    "arxiv.org", "doi.org", "github.com", "huggingface.co", "openreview.net", "aclanthology.org",
    "proceedings.mlr.press", "proceedings.neurips.cc", "jmlr.org", "pytorch.org", "docs.pytorch.org",
    # what a machine can do and what sellers charge stands nowhere else
    "nvidia.com", "waredb.com", "fireworks.ai", "mistral.ai", "mercatus-ai.com", "gputracker.dev",
)  # fmt: skip
CITED = re.compile(rf"https://(?:www\.)?(?:{'|'.join(map(re.escape, CITATION_HOSTS))})/")
ADDRESS = re.compile(r"(?:https?:)?//(?!www\.w3\.org/)[\w-]+(?:\.[\w-]+)+[^\s)\"'`>]*")
WEB_ADDRESS = re.compile(r"https?://(?!www\.w3\.org/)[^\s)\"'`>]*")
LOADING = re.compile(
    r"\bfetch\(|\bXMLHttpRequest\b|\bWebSocket\b|\bEventSource\b|\bsendBeacon\b|\bimport\(|@import\b|\bimportScripts\b|<script\b[^>]*\bsrc="
)
NOISE = re.compile(r"Traceback \(most recent call last\)|\b\w*Warning: ")
A_REPR = re.compile(r"\s*<|\s*[A-Z]\w*\(")  # what Python prints for an object without words


def alt_text(lesson: Lesson) -> Found:
    for cell in lesson.prose:
        for where, _ in lines_with(cell, prose_of(cell), re.compile(r"!\[\s*\]")):
            yield where, "a picture without words; expected ![what it shows](file)."
    for cell in lesson.code:
        for output in lesson.outputs[cell.id]:
            for fault in _wordless(output.get("data", {})):
                yield cell.where, fault


def addresses(lesson: Lesson) -> Found:
    for cell in lesson.code:
        for where, match in lines_with(cell, cell.text, WEB_ADDRESS):
            yield where, f"code names {match[0]}; expected a lesson that runs without a network."
    for cell in lesson.prose:
        for where, match in lines_with(cell, prose_of(cell), WEB_ADDRESS):
            if not CITED.match(match[0]):
                yield (
                    where,
                    f"a link to {match[0]}; expected a paper or a repository ({', '.join(CITATION_HOSTS[:4])}, …).",
                )
        for where, match in lines_with(cell, prose_of(cell), re.compile(r"\]\((?!https?:)([^)#]+)")):
            if not (lesson.root / "notebooks" / match[1]).is_file():
                yield where, f"a link to {match[1]}, which is not in notebooks/."


def loads_nothing(lesson: Lesson) -> Found:
    for cell in lesson.code:
        for output in lesson.outputs[cell.id]:
            text = _texts(output.get("data", {}))
            if match := LOADING.search(text) or re.search(r"\bsrc=[\"']?(?:https?:)?//\S{0,40}|<link\b.{0,40}", text):
                yield cell.where, f"its output loads something ({match[0]}); expected a page that needs no network."
            for match in re.finditer(r"\bhref=[\"']?((?:https?:)?//[^\s\"'>]*)", text):
                if not CITED.match(match[1]):
                    yield cell.where, f"its output links to {match[1]}; expected a paper or a repository."


def widget_files(folder: Path) -> Found:
    """The same for the sources of the widgets in `folder`."""
    for path in sorted(p for p in folder.iterdir() if p.suffix in (".js", ".css", ".py")):
        for n, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if match := WEB_ADDRESS.search(line) or LOADING.search(line):
                yield f"{path.name}, line {n}", f"{match[0]}; expected a widget that loads nothing."


def sizes(lesson: Lesson) -> Found:
    for folder, limit in (("notebooks", LEARNER_BYTES), ("solutions", SOLVED_BYTES)):
        if (size := lesson.notebook_path(folder).stat().st_size) > limit:
            yield lesson.name, f"{folder}/{lesson.path.stem}.ipynb has {size:,} bytes; expected at most {limit:,}."
    for cell in lesson.code:
        for output in lesson.outputs[cell.id]:
            if (size := len(json.dumps(output))) > OUTPUT_BYTES:
                yield cell.where, f"one of its outputs has {size:,} bytes; expected at most {OUTPUT_BYTES:,}."


def clean_outputs(lesson: Lesson) -> Found:
    for cell in lesson.code:
        for output in lesson.outputs[cell.id]:
            text = visible_text(output)
            if output.get("name") == "stderr" or output.output_type == "error" or NOISE.search(text):
                yield cell.where, f"a warning or an error in its output: {' '.join(text.split())[:80]!r}."
            elif match := ABSOLUTE_PATH.search(text):
                yield cell.where, f"its output shows {match[0]!r}, a path of one machine."


def visible_text(output: nbformat.NotebookNode, words_only: bool = False) -> str:
    """What can be read in an output: streams, plain text, and (unless `words_only`) the text of its HTML."""
    data = output.get("data", {})
    found = [output.get("text", ""), data.get("text/plain", ""), *output.get("traceback", ())]
    if not words_only:
        marked = re.sub(r"<style.*?</style>", " ", _texts(data), flags=re.DOTALL)
        found.append(html.unescape(re.sub(r"<[^>]*>", " ", marked)))
    return "\n".join(found)


def _texts(data: dict) -> str:
    return "".join(data.get(kind, "") for kind in ("text/html", "image/svg+xml"))


def _wordless(data: dict) -> list[str]:
    """What an output shows without saying it in words."""
    found = []
    if not {"text/html", "image/svg+xml", "image/png", "image/jpeg"} & set(data):
        return found
    if not _texts(data):
        found.append(
            "a bitmap without words; expected an SVG with role=img and an aria-label, as moe_lite.plots makes."
        )
    pictures = _Pictures()
    pictures.feed(_texts(data))
    pictures.close()
    found += [f"<{tag}> without {wanted} in its output." for tag, wanted in pictures.wordless()]
    plain = data.get("text/plain", "")
    if not plain.strip() or A_REPR.match(plain):
        found.append(f"the text form of its output is {plain[:40]!r}; expected words that say what is to be seen.")
    return found


class _Pictures(HTMLParser):
    """Collects pictures and tables, and what they say of themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.bare: list[tuple[str, str]] = []
        self.captions = self.tables = 0
        self.named = False  # what holds everything has a name of its own

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        self.named |= said.get("role") == "group" and bool(said.get("aria-label"))
        if said.get("aria-hidden") == "true":
            return
        if tag == "svg" and not (said.get("role") == "img" and said.get("aria-label")):
            self.bare.append((tag, "role=img and an aria-label"))
        elif tag == "img" and not said.get("alt"):
            self.bare.append((tag, "alt"))
        self.tables += tag == "table" and not said.get("aria-label") and said.get("role") != "presentation"
        self.captions += tag == "caption"

    def wordless(self) -> list[tuple[str, str]]:
        tables = 0 if self.named else max(0, self.tables - self.captions)
        return self.bare + [("table", "a caption")] * tables
