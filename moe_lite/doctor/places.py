"""Files and commands, as messages name them: relative to the folder of the course where they are inside it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DATA_VARIABLE = "MOE_LITE_DATA"


def data_folder() -> Path:
    """As `moe_lite.data.data_dir`, which needs torch."""
    return Path(os.environ.get(DATA_VARIABLE) or ROOT / "data")


def shown(path: str | Path) -> str:
    """`.venv/bin/python`, not the whole path, for what lies in the folder of the course."""
    path = Path(os.path.abspath(path))  # not resolved: an environment's python is a link to another
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def same_folder(one: str | Path, other: str | Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


def own_environment() -> Path | None:
    """The environment that `make lab` has made, if it is there."""
    folder = ROOT / ".venv"
    return folder if (folder / "pyvenv.cfg").is_file() else None


def in_an_environment() -> bool:
    """Whether this Python is a virtual environment's or conda's, so that packages may be installed into it."""
    return sys.prefix != sys.base_prefix or os.path.isdir(os.path.join(sys.prefix, "conda-meta"))


def python() -> str:
    """This Python, as one types it."""
    return shown(sys.executable)


def install(*packages: str, again: bool = False) -> str:
    """How to get `packages` into the course's environment; `again` if they are there and damaged."""
    home = own_environment()
    if home and not same_folder(sys.prefix, home):
        other = shown(home / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
        return f"this is {python()}; the course's own Python has the packages: `{other} -m moe_lite.doctor`"
    if not in_an_environment():
        return "this Python is no environment of the course: `make lab` makes one in .venv"
    force = "--force-reinstall --no-deps " if again else ""
    return f"`{python()} -m pip install {force}-c constraints.txt {' '.join(packages)}`"


def restore(path: str) -> str:
    """How to get back a file that is part of the repository."""
    return f"restore it from the repository: `git checkout {path}`"
