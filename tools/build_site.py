"""Build the course's page, `make site`: one folder that any web server can serve, and that opens from a file address.

`site/` holds the sources. What the page shares with the notebooks comes from the package when the page is built: the
token viewer's script and style, its sentences, the colours, the samples, the recorded trainings, the models.
"""

import argparse
import base64
import gzip
import html
import json
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from statistics import mean

import pdoc
from node import node
from site_lessons import write_lessons, written

from moe_lite import data
from moe_lite.checkpoint import pretrained_record, shipped
from moe_lite.course import cloud, outline
from moe_lite.course.outline import Lesson
from moe_lite.look import palette
from moe_lite.widgets import BalanceLab
from moe_lite.widgets.balance_lab.drawing import LabDrawing
from moe_lite.widgets.balance_lab.words import rows
from moe_lite.widgets.kit.widget import scoped
from moe_lite.widgets.token_viewer.widget import TokenViewer
from moe_lite.widgets.token_viewer.words import EMPTY, ORDINALS, SENTENCES

ROOT = Path(__file__).resolve().parents[1]
SITE, WIDGETS = ROOT / "site", ROOT / "moe_lite" / "widgets"
WIDTH = 860  # px of the balance lab's figures
COUNTS = (4, 8, 16)  # experts of the models that the page offers
DENSE = 1  # their dense twin, for comparison
OPENING = """The king said nothing.
Le roi ne dit rien.
Der König sagte nichts.
def add(a, b):
    return a + b
17 + 25 = 42"""
# classes of the roots inside which the widgets' sheets hold
ROOTS = ("site", "token_viewer", "balance_lab", "router_stepper")
ENGINE = ("config", "safetensors", "tokenizer", "model", "losses", "generate", "text", "worker")
KERNEL = ("faces", "sentences", "viewer", "byhand", "main")
SHARED = ("kit/kit.js", "token_viewer/parts.js", "token_viewer/script.js")  # of the notebooks' widgets
DOCUMENTED = [
    f"moe_lite.{name}"
    for name in ("model", "train", "data", "metrics", "evaluate", "checkpoint", "lessons", "families", "lab", "hf")
]
TWO_FACTS = "0.2-A-model-that-uses-a-part-of-itself"  # a heading of lesson 00
PAGE = (
    "kernel", "state", "address", "losses", "layers", "write", "stepper", "route", "balance", "tour", "picture", "main",
)  # fmt: skip


def kernel_script() -> str:
    """The worker: engine and kernel as one script, in which the modules' imports and exports have no place."""
    paths = [SITE / "engine" / f"{name}.js" for name in ENGINE] + [SITE / "kernel" / f"{name}.js" for name in KERNEL]
    return joined(paths)


def page_script() -> str:
    """The page's own scripts, in one scope with the widgets' that they share."""
    paths = [WIDGETS / name for name in SHARED] + [SITE / "engine" / "client.js"]
    return joined([*paths, *(SITE / "page" / f"{name}.js" for name in PAGE)])


def joined(paths: Iterable[Path]) -> str:
    """Scripts as one, in a scope of their own and short.

    Raises ValueError for a name that two of them give to different things: in modules that is allowed, here not.
    """
    owners: dict[str, Path] = {}
    parts = ['"use strict";\nconst FOLDER = "token_viewer";\n']
    for path in paths:
        text = path.read_text(encoding="utf-8")
        text = re.sub(r'^import [^;]*? from "[^"]+";\n', "", text, flags=re.MULTILINE)
        text = re.sub(r"^export (?=(?:async )?(?:function|const|class|let))", "", text, flags=re.MULTILINE)
        if left := re.search(r"^(?:import|export)\b.*", text, flags=re.MULTILINE):
            raise ValueError(f"{path}: {left[0]!r} cannot be joined; expected a plain import or export.")
        for name in top_level_names(text):
            if name in owners:
                raise ValueError(f"{path} and {owners[name]} both declare {name}; joined, one would be lost.")
            owners[name] = path
        parts.append(text)
    return minified("".join(parts))


def minified(script: str) -> str:
    """A script without what nothing calls, without comments, with short names (site/minify.js)."""
    program = node()
    if program is None or not (SITE / "node_modules" / "esbuild").is_dir():
        raise FileNotFoundError(f"esbuild, which makes the page's scripts small, is missing. Run: npm ci, in {SITE}.")
    done = subprocess.run([program, "minify.js"], cwd=SITE, input=script, capture_output=True, encoding="utf-8")
    if done.returncode:
        raise ValueError(f"esbuild could not read the page's scripts:\n{done.stderr}")
    return done.stdout


def top_level_names(text: str) -> list[str]:
    functions = re.findall(r"^(?:async )?(?:function\*? |class )(\w+)", text, flags=re.MULTILINE)
    values = re.findall(r"^(?:const|let) ([^=;]+?)(?: =|;)", text, flags=re.MULTILINE)
    return functions + [name for value in values for name in re.findall(r"\w+", value.split(":")[0])]


def styles() -> str:
    """Colours, the page's own sheet, and those of the widgets, each inside the root of its widget."""
    kit = (WIDGETS / "kit" / "kit.css").read_text(encoding="utf-8")
    widgets = [(name, (WIDGETS / name / "style.css").read_text(encoding="utf-8")) for name in ROOTS if name != "site"]
    page, panels = ((SITE / "page" / name).read_text(encoding="utf-8") for name in ("style.css", "panels.css"))
    shared = [scoped(sheet, root) for sheet in (kit, palette.css_variables("&")) for root in ROOTS]
    own = [*(scoped(sheet, name) for name, sheet in widgets), scoped(panels, "site")]
    return "\n".join([palette.css_variables(".page"), page, *shared, *own])


def words() -> dict:
    """What the page says as the notebooks do, and how it opens."""
    return {
        "question": TokenViewer.question.default_value, "say": SENTENCES, "empty": EMPTY, "ordinals": ORDINALS,
        "samples": data.SAMPLES, "opening": {"text": OPENING, "layer": 3}, "records": records(),
        "dense": {"file": shipped(DENSE).stem},
    }  # fmt: skip


def records(counts: Iterable[int] = COUNTS) -> dict[int, dict]:
    kept = ("step", "tokens", "val_loss_by_top_k", "parameters")
    return {n: {"file": shipped(n).stem} | {k: pretrained_record(n)[k] for k in kept} for n in counts}


def model_script(n_experts: int) -> str:
    path = shipped(n_experts)
    text = base64.b64encode(path.read_bytes()).decode()
    return f'(window.moeLiteModels ??= {{}})["{path.stem}"] = "{text}";\n'


def balance_script() -> str:
    """The balance lab's strips for every recorded coefficient and layer, drawn as in the notebook, and their words."""
    lab = BalanceLab(top_k=2)
    figures = {}
    for layer in range(lab.grid.model.n_layers):
        lab.layer = layer
        for coefficient in lab.grid.coefficients:
            lab.coefficient = coefficient
            drawing = LabDrawing(lab.columns, layer, 0, 0, WIDTH)
            figures[f"{coefficient:g}/{layer}"] = {
                "figure": strips_alone(drawing, lab.reading), "heads": drawing.heads(),
                "says": balance_sentence(lab, coefficient, layer),
            }  # fmt: skip
    found = {"coefficients": lab.grid.coefficients, "layers": lab.grid.model.n_layers, "figures": figures}
    return f"window.moeLiteBalance = {json.dumps(found, ensure_ascii=False)};\n"


def strips_alone(drawing: LabDrawing, text: str) -> str:
    """The figure down to the axis of its strips, without the measures that are drawn below."""
    figure = drawing.svg(text)
    return figure.replace(f'viewBox="0 0 {WIDTH} {drawing.height}"', f'viewBox="0 0 {WIDTH} {drawing.table}"').replace(
        f'height="{drawing.height}"', f'height="{drawing.table}"'
    )


def balance_sentence(lab: BalanceLab, coefficient: float, layer: int) -> str:
    """What a recorded training did to experts and loss, beside the one without balancing; three seeds each."""
    measured = [{name: values[-1] for name, *values in rows([column], layer, 0)} for column in lab.columns]
    n, (none, *with_loss) = lab.grid.model.n_experts, [int(each["dead experts"]) for each in measured]
    before = lab.grid.losses(0.0, 2)
    alone = f"Without a balancing loss, {none} of {n} experts of this layer end with less than 1 % of a fair share"
    if not with_loss:
        return f"{alone}. Loss on unseen text: {mean(before):.2f}. Move the slider to see what a balancing loss does."
    after, count = lab.grid.losses(coefficient, 2), with_loss[0] or "none"
    verdict = (
        "worse with each of three random starts" if min(after) > max(before)
        else "better with each of three random starts" if max(after) < min(before)
        else "a difference that another random start makes as well"
    )  # fmt: skip
    losses = f"Loss on unseen text: {mean(after):.2f}, and {mean(before):.2f} without: {verdict}."
    return f"{alone}; with coefficient {coefficient:g}, {count} of them. {losses}"


def course(repository: str) -> str:
    """The lessons with their questions."""
    download, machine = "download the course", ""
    if repository:
        download = f'<a href="{html.escape(repository)}">{download}</a>'
        links = (
            f'<a href="{html.escape(address)}">{place}</a>'
            for place, address in cloud.places(repository, written()[0].file).items()
        )
        machine = f" Or open it in {' or '.join(links)}."
    rows = "".join(
        f'<li><span class="no">{lesson.label}</span><span>{linked_title(lesson)} '
        f'<span class="asks">{html.escape(lesson.question)}</span></span></li>'
        for lesson in written()
    )
    first = written()[0]
    return (
        f'<p><a class="go" href="lessons/{first.file}.html">Read lesson {first.label}</a> here, or {download} and '
        f"run <code>make lab</code>: then every figure moves.{machine} The lessons need Python and a "
        f"first neural network in PyTorch. Without either you can read what experts know and do not know, in "
        f'<a href="lessons/{first.file}.html#{TWO_FACTS}">section 0.2</a>.</p>\n<ol class="lessons">{rows}</ol>\n'
        '<p>For those who build on it: the <a href="reference/index.html">reference</a> of the package.</p>'
    )


def linked_title(lesson: Lesson) -> str:
    return f'<a href="lessons/{lesson.file}.html">{html.escape(lesson.title)}</a>'


def embedded(kind: str, name: str, text: str) -> str:
    """Text inside a script element, where only its own end tag could end it."""
    closed = text.replace("</", r"<\/")
    return f'<script type="{kind}" id="{name}">{closed}</script>'


def page(repository: str = "") -> str:
    parts = {
        "styles": f"<style>{styles()}</style>",
        "course": course(repository),
        "data": "\n".join(
            embedded("application/json", name, json.dumps(value, ensure_ascii=False, separators=(",", ":")))
            for name, value in (
                ("words", words()),
                ("tokenizer", json.loads((data.data_dir() / "tokenizer.json").read_text(encoding="utf-8"))),
            )
        ),
        "scripts": embedded("text/plain", "kernel", kernel_script()) + f"\n<script>{page_script()}</script>",
    }  # fmt: skip
    text = (SITE / "index.html").read_text(encoding="utf-8")
    for name, part in parts.items():
        mark = f"<!-- build: {name} -->"
        if text.count(mark) != 1:
            raise ValueError(f"site/index.html has {text.count(mark)} places {mark}; expected one.")
        text = text.replace(mark, part)
    return text


def write_reference(folder: Path) -> dict[str, int]:
    """The reference of what the lessons use, made from its docstrings by pdoc, with a search that needs no server."""
    pdoc.render.configure(show_source=False, footer_text="moe-lite", search=True)
    pdoc.pdoc(*DOCUMENTED, output_directory=folder / "reference")
    sizes = {}
    for path in (folder / "reference").rglob("*.*"):
        text = path.read_text(encoding="utf-8").replace(str(ROOT), "")  # constants that are paths
        path.write_text(text, encoding="utf-8")
        sizes[str(path.relative_to(folder))] = path.stat().st_size
    return sizes


def build(folder: Path, repository: str = "") -> dict[str, int]:
    """Write the whole page into `folder`, which is made anew; file -> bytes. repository: where the course is."""
    files = {"index.html": page(repository), "balance.js": balance_script()}
    files |= {f"models/{shipped(n).stem}.js": model_script(n) for n in (*COUNTS, DENSE)}
    if folder.exists():
        shutil.rmtree(folder)
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return {name: (folder / name).stat().st_size for name in files} | write_lessons(folder) | write_reference(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "_site", help="the folder to write (default: _site)")
    parser.add_argument(
        "--repository",
        default=outline.course().repository,
        help="address where the course can be had, such as https://github.com/… (default: as in course.toml)",
    )
    arguments = parser.parse_args()
    folder = arguments.out
    if folder.exists() and not (folder / "index.html").is_file():
        raise SystemExit(f"{folder} is there and holds no page: it would be replaced. Name another folder.")
    sizes = build(folder, arguments.repository)
    scripts = page_script() + kernel_script()
    first = sizes["index.html"] + sizes[f"models/{shipped(8).stem}.js"]
    print(f"{folder}: {len(sizes)} files, {sum(sizes.values()) / 1e6:.1f} MB")
    print(
        f"the page with its first model: {first / 1e6:.2f} MB; its scripts: {len(scripts.encode()) / 1e3:.0f} kB, ",
        end="",
    )
    print(f"{len(gzip.compress(scripts.encode())) / 1e3:.0f} kB as a server sends them")


if __name__ == "__main__":
    main()
