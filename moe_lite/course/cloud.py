"""The course in a cloud machine: links under a lesson's title, and the cell that makes Colab ready for it.

Both need the address that the course is published at, `repository` in course.toml. While that is empty, lessons have
neither. A codespace needs no cell: .devcontainer sets it up.
"""

import os
import re
import subprocess
import sys
import tomllib

from moe_lite.course import outline

TAG = "cloud"  # of the cell
COLAB = "COLAB_RELEASE_TAG"  # a variable of the environment that Colab sets
FOLDED = {"cellView": "form", "jupyter": {"source_hidden": True}}  # in Colab and in JupyterLab
READY = "The course is here: go on with the next cell."
BROUGHT = ("ipykernel", "jupyterlab")  # what a notebook that runs has
CELL = """#@title Only in Colab: fetch the course and what it needs (about a minute). Elsewhere this cell does nothing.
import os, subprocess, sys

if "{colab}" in os.environ:
    if not os.path.isdir("moe-lite"):
        subprocess.run(["git", "clone", "--quiet", "--depth=1", "{repository}", "moe-lite"], check=True)
    sys.path.insert(0, os.path.abspath("moe-lite"))
    from moe_lite.course import cloud

    cloud.set_up()"""


def cell_text(repository: str) -> str:
    """The cell that makes Colab ready and elsewhere does nothing."""
    return CELL.format(colab=COLAB, repository=repository)


def places(repository: str, file: str) -> dict[str, str]:
    """Where the lesson with this file name opens without an installation: what to call the place -> its address."""
    name = repository.removeprefix("https://github.com/")
    return {
        "Colab": f"https://colab.research.google.com/github/{name}/blob/main/notebooks/{file}.ipynb",
        "a codespace": f"https://codespaces.new/{name}",
    }


def links(repository: str, file: str) -> str:
    """The same in Markdown, for the top of the notebook."""
    return "Open in " + " or ".join(f"[{place}]({address})" for place, address in places(repository, file).items())


def set_up() -> None:
    """Install what the lessons import, fetch the corpora, and let the widgets in. Does no harm when run again.

    Raises subprocess.CalledProcessError if pip fails, whose words stand above it; without a network the corpora that
    can be generated are there.
    """
    folder = str(outline.ROOT)
    known = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and path != folder]
    os.environ["PYTHONPATH"] = os.pathsep.join([folder, *known])  # for processes that a lesson starts
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *needed()], check=True)
    subprocess.run([sys.executable, "-m", "moe_lite.corpora"], check=True)
    if "google.colab" in sys.modules:
        sys.modules["google.colab"].output.enable_custom_widget_manager()
    print(READY)


def needed() -> list[str]:
    """What the lessons import, from pyproject.toml, without what runs the notebook."""
    table = tomllib.loads((outline.ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    named = {re.match(r"[\w-]+", line)[0]: line for line in table["project"]["dependencies"]}
    return [line for name, line in named.items() if name not in BROUGHT]
