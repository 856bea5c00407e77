"""Run a notebook through nbval as a class does, and report which of its cells failed."""

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

import nbformat


@dataclass(frozen=True)
class Graded:
    """What nbval said of a notebook's code cells."""

    failed: list[str]  # ids of cells
    passed: list[str]
    output: str


def grade_notebook(path: Path, root: Path, timeout: float = 600) -> Graded:
    """`pytest --nbval-lax --nbval-current-env <path>` from the folder `root`."""
    report = path.with_suffix(".xml")
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=300"]
    command += ["-p", "no:cacheprovider", "--color=no", f"--rootdir={root}", f"--junitxml={report}", str(path)]
    env = {name: value for name, value in os.environ.items() if not name.startswith("MOE_LITE_CHECK")}
    done = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, timeout=timeout)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    ids = [cell.id for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    cases = list(ElementTree.parse(report).getroot().iter("testcase"))
    report.unlink()
    assert len(cases) == len(ids), done.stdout
    went = {ids[int(case.get("name").removeprefix("Cell "))]: case.find("failure") is None for case in cases}
    failed, passed = ([id for id, ok in went.items() if ok is wanted] for wanted in (False, True))
    assert bool(failed) == bool(done.returncode), done.stdout
    return Graded(failed, passed, done.stdout)
