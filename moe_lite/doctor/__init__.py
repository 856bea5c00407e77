"""Is everything there? `python -m moe_lite.doctor` prints the findings; status 1 if something is wrong.

    finding       what an examination finds, and the guard around each
    places        files and commands, as messages name them
    environment   Python, packages, device, threads, memory, disk
    files         corpora, tokenizer, shipped models, progress
    notebooks     JupyterLab, its kernel, widgets
    speed         how long a training takes here
    page          the findings as text and as a picture

Nothing is imported here that may be missing or broken: each examination imports what it looks at.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from moe_lite.doctor import environment, files, notebooks, speed
from moe_lite.doctor.finding import Finding, look
from moe_lite.doctor.page import picture, report, summary

if TYPE_CHECKING:
    from moe_lite.look.picture import Picture

__all__ = ["Finding", "checkup", "examinations", "examine", "report", "summary"]

# name, what does it, packages that it needs to import. First what works without torch: should torch bring the process
# down, that much has been said.
EXAMINATIONS: tuple[tuple[str, Callable[[], object], tuple[str, ...]], ...] = (
    ("python", environment.python, ()),
    ("memory", environment.memory, ()),
    ("disk", environment.disk, ()),
    ("data", files.data, ()),
    ("corpora", files.corpora, ()),
    ("tokenizer", files.tokenizer, ("tokenizers",)),
    ("jupyterlab", notebooks.jupyterlab, ()),
    ("extensions", notebooks.extensions, ()),
    ("kernel", notebooks.kernel, ("jupyter_client",)),
    ("packages", environment.packages, ("packaging",)),
    ("device", environment.device_found, ("torch",)),
    ("threads", environment.threads, ("torch",)),
    ("models", files.models, ("torch", "safetensors", "tokenizers")),
    ("widgets", notebooks.widgets, ("torch", "safetensors", "tokenizers", "anywidget", "ipywidgets")),
    ("progress", files.progress, ("torch", "safetensors", "tokenizers")),
    ("speed", speed.speed, ("torch", "safetensors", "tokenizers")),
)


def examine() -> list[Finding]:
    """Look at everything the course needs. Raises nothing: an examination that fails becomes a finding."""
    return [finding for findings in examinations() for finding in findings]


def examinations() -> Iterator[list[Finding]]:
    """The findings of one examination after the other, as they are made."""
    for name, examination, needs in EXAMINATIONS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is wrong is said by a finding
            findings = look(name, examination, needs)
        yield findings


def checkup() -> Picture:
    """Examine everything; in a notebook a table, as text the report."""
    return picture(examine())
