"""Build the notebooks of the course from their sources, solutions/NN_slug.py.

    python tools/build_notebooks.py                # all lessons: notebooks/NN_slug.ipynb and solutions/NN_slug.ipynb
    python tools/build_notebooks.py --only 03      # one of them
    python tools/build_notebooks.py --check        # build, compare with the files that are there, write nothing

Both notebooks of a lesson are run from top to bottom. The learner's must do so unsolved without an error; it keeps
pictures of cells tagged opening, diagram, widget or figure (figures folded: they are answers), and no other output. The
solved one keeps all outputs; its checks must pass, and what its holds cells say must hold.
"""

import argparse
import asyncio
import difflib
import os
import re
import sys
import tempfile
from collections.abc import Awaitable
from pathlib import Path
from typing import TypeVar

import ipykernel.kernelspec
import nbformat
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from lesson_source import (
    Cell,
    LessonError,
    in_notebooks,
    learner_notebook,
    read_lesson,
    solved_notebook,
    with_holds,
    without_holds,
)
from nbclient import NotebookClient

from moe_lite.checks.holds import HoldsError
from moe_lite.checks.lesson_cells import KEEP_PICTURES, cover_figure, keeps_pictures, pictures
from moe_lite.widgets.kit.widget import WIDGET_VIEW, without_mark

ROOT = Path(__file__).resolve().parents[1]
# so that a file opens at once and its changes can be read; three widgets' twins are half of the largest learner's one
LEARNER_BYTES, SOLVED_BYTES = 400_000, 1_000_000
CELL_SECONDS = 900
AT_ONCE = 2  # kernels
T = TypeVar("T")


class AsFirstShown(NotebookClient):
    """Keeps every output as its cell showed it, so that no later cell of the learner's gives an answer away."""

    def _update_display_id(self, display_id: str, msg: dict) -> None:
        if msg["header"]["msg_type"] != "update_display_data":
            super()._update_display_id(display_id, msg)


class ThisPython(AsyncKernelManager):
    """Starts kernels with the Python that runs this program, whatever kernels are installed."""

    @property
    def kernel_spec(self) -> KernelSpec:
        return KernelSpec(resource_dir=ipykernel.kernelspec.RESOURCES, **ipykernel.kernelspec.get_kernel_dict())


async def build(source: Path, root: Path, kernels: asyncio.Semaphore) -> dict[Path, nbformat.NotebookNode]:
    """Both notebooks of one lesson, run and trimmed, by the path that they belong to."""
    cells = read_lesson(source)
    learner, solved = await _all(
        _run(learner_notebook(cells), root / "notebooks", cells, "unsolved", kernels),
        _run(with_holds(solved_notebook(cells), cells), root / "solutions", cells, "solved", kernels),
    )
    name = f"{source.stem}.ipynb"
    return {
        root / "notebooks" / name: kept(learner, cells, "unsolved"),
        root / "solutions" / name: kept(solved, cells, "solved"),
    }


def kept(notebook: nbformat.NotebookNode, cells: list[Cell], which: str) -> nbformat.NotebookNode:
    """What is saved of a notebook that has been run; LessonError if it does not show what it should."""
    for made, cell in zip(notebook.cells, in_notebooks(cells), strict=True):
        _trim_outputs(made)
        if "widget" in cell.tags and not pictures(made):
            raise cell.fail("a widget without a static picture (text/html): the saved notebook would show nothing.")
        if which == "solved" and "check" in cell.tags and not re.search(r": (\d+) of \1 pass$", _text(made)):
            raise cell.fail(f"the solution does not pass its check: {_text(made)}")
        if which == "unsolved" and made.cell_type == "code":
            made.outputs = pictures(made) if keeps_pictures(made) else []
            cover_figure(made)
            if not made.outputs:
                made.execution_count = None  # nbval fails a cell that has one of the two without the other
    return notebook


async def _all(*work: Awaitable[T]) -> list[T]:
    """All results; if something fails, only after everything else has ended and put its kernel away."""
    results = await asyncio.gather(*work, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


async def _run(
    notebook: nbformat.NotebookNode, folder: Path, cells: list[Cell], which: str, kernels: asyncio.Semaphore
) -> nbformat.NotebookNode:
    """Run in `folder`, with a progress file of its own; the first cell that ends in an error is named. What comes back
    has no holds cells."""
    folder.mkdir(exist_ok=True)
    async with kernels:
        with tempfile.TemporaryDirectory() as temporary:
            env = {k: v for k, v in os.environ.items() if k != "MOE_LITE_CHECKS"}
            env |= {"MOE_LITE_PROGRESS": str(Path(temporary) / "progress.json"), "PYTHONHASHSEED": "0"}
            client = (AsFirstShown if which == "unsolved" else NotebookClient)(
                notebook, timeout=CELL_SECONDS, kernel_manager_class=ThisPython, allow_errors=True,
                record_timing=False, coalesce_streams=True, resources={"metadata": {"path": str(folder)}},
                extra_arguments=["--log-level=ERROR"],
            )  # fmt: skip
            await client.async_execute(env=env)
    named = {cell.id: cell for cell in cells}
    for made in notebook.cells:
        for output in made.get("outputs", ()):
            if output.output_type == "error" and output.ename == HoldsError.__name__:
                raise LessonError(output.evalue)
            if output.output_type == "error":
                raise named[made.id].fail(f"{which}, it raises {output.ename}: {output.evalue}")
    notebook = without_holds(notebook)
    notebook.metadata.pop("widgets", None)
    notebook.metadata.language_info = {"name": "python"}  # the kernel adds its version
    return notebook


def _trim_outputs(cell: nbformat.NotebookNode) -> None:
    """Drop what only a living kernel can show."""
    for output in cell.get("outputs", ()):
        if "data" in output:
            output.data.pop(WIDGET_VIEW, None)
            output.metadata.pop(WIDGET_VIEW, None)
            if "text/html" in output.data:
                output.data["text/html"] = without_mark(output.data["text/html"])
    if cell.cell_type == "code":
        cell.outputs = [output for output in cell.outputs if output.get("data", True)]


def _text(cell: nbformat.NotebookNode) -> str:
    """The plain text of a cell's outputs."""
    return "".join(o.get("text") or o.get("data", {}).get("text/plain", "") for o in cell.get("outputs", ())).strip()


def written(notebook: nbformat.NotebookNode, path: Path) -> str:
    """The file's text; LessonError if it is too large to be opened and reviewed in comfort."""
    nbformat.validate(notebook)
    text = nbformat.writes(notebook, version=4).rstrip("\n") + "\n"
    limit = LEARNER_BYTES if path.parent.name == "notebooks" else SOLVED_BYTES
    if (size := len(text.encode())) > limit:
        raise LessonError(f"{path.parent.name}/{path.name} has {size:,} bytes; at most {limit:,} are allowed.")
    return text


def differences(old: nbformat.NotebookNode, new: nbformat.NotebookNode, name: str) -> list[str]:
    """A readable diff of what must not change in a rebuild; timings and pictures may."""
    return list(difflib.unified_diff(_fixed(old), _fixed(new), f"{name} as it is", f"{name} rebuilt", lineterm="", n=2))


def _fixed(notebook: nbformat.NotebookNode) -> list[str]:
    """Metadata, ids, tags and sources; which cells have outputs; and the text of the check cells."""
    lines = [f"metadata {notebook.metadata}"]
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        lines += [f"--- {cell.cell_type} {cell.id} {dict(cell.metadata)}", *cell.source.splitlines()]
        if cell.cell_type == "code" and {"check", *KEEP_PICTURES} & set(tags):
            lines.append(f"[{len(cell.outputs)} outputs] {_text(cell) if 'check' in tags else ''}".rstrip())
    return lines


async def _build_all(sources: list[Path], root: Path) -> dict[Path, nbformat.NotebookNode]:
    kernels = asyncio.Semaphore(AT_ONCE)
    built: dict[Path, nbformat.NotebookNode] = {}
    for made in await _all(*(build(source, root, kernels) for source in sources)):
        built |= made
    return built


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """0 if everything was built, or nothing differs; 1 otherwise, with the reason on stderr."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="NN", help="the number of one lesson")
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    options = parser.parse_args(arguments)
    sources = sorted((root / "solutions").glob(f"{options.only or '[0-9][0-9]'}_*.py"))
    if not sources:
        print(f"no source solutions/{options.only or 'NN'}_*.py", file=sys.stderr)
        return 1
    try:
        texts = {path: written(made, path) for path, made in asyncio.run(_build_all(sources, root)).items()}
    except LessonError as error:
        print(error, file=sys.stderr)
        return 1
    return compare(texts, root) if options.check else write(texts, root)


def write(texts: dict[Path, str], root: Path) -> int:
    """Put every text into its file, each by one rename."""
    for path, text in texts.items():
        temporary = path.with_suffix(".partial")
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
        print(f"{path.relative_to(root)}  {len(text.encode()):,} bytes")
    return 0


def compare(texts: dict[Path, str], root: Path) -> int:
    """0 if the files are what `texts` say, in all that must not change; else 1, with a diff on stderr."""
    found = 0
    for path, text in texts.items():
        name = str(path.relative_to(root))
        if not path.exists():
            print(f"{name} is missing", file=sys.stderr)
            found += 1
            continue
        lines = differences(nbformat.read(path, as_version=4), nbformat.reads(text, as_version=4), name)
        print("\n".join(lines), file=sys.stderr, end="\n" if lines else "")
        found += bool(lines)
    print("nothing differs" if not found else "run `make notebooks` to rebuild", file=sys.stderr)
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
