"""Run a notebook through nbval as a class does; which of its cells failed, and what they showed."""

import json
import os
import subprocess
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

import nbformat
from waiting import LONG

TESTS = Path(__file__).parent


@dataclass(frozen=True)
class Graded:
    """What nbval said of a notebook's code cells."""

    failed: list[str]  # ids of cells
    passed: list[str]
    output: str
    shown: dict[str, list[nbformat.NotebookNode]]  # the outputs of each cell, by its id


def grade_notebook(path: Path, root: Path, python: list[str]) -> Graded:
    """`pytest --nbval-lax --nbval-current-env <path>` from the folder `root`, started as tests/forked.py says; so is
    the notebook's kernel."""
    report, outputs = path.with_suffix(".xml"), path.with_suffix(".outputs.json")
    command = [*python, "-m", "pytest", "--nbval-lax", "--nbval-current-env", f"--nbval-cell-timeout={LONG}"]
    command += [f"--nbval-kernel-startup-timeout={LONG}", "-p", "nbval_outputs", f"--outputs={outputs}"]
    command += [f"--python={json.dumps(python)}"]
    command += ["-p", "no:cacheprovider", "--color=no", f"--rootdir={root}", f"--junitxml={report}", str(path)]
    env = {name: value for name, value in os.environ.items() if not name.startswith("MOE_LITE_CHECK")}
    env |= {"PYTHONPATH": os.pathsep.join([str(TESTS), *filter(None, [env.get("PYTHONPATH")])])}
    env |= {"MOE_LITE_CHECK_SECONDS": "100"}  # a check on a busy machine is slow, and not wrong
    done = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, timeout=10 * LONG)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    ids = [cell.id for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    cases = list(ElementTree.parse(report).getroot().iter("testcase"))
    assert len(cases) == len(ids), done.stdout
    went = {ids[int(case.get("name").removeprefix("Cell "))]: case.find("failure") is None for case in cases}
    failed, passed = ([id for id, ok in went.items() if ok is wanted] for wanted in (False, True))
    assert bool(failed) == bool(done.returncode), done.stdout
    found = json.loads(outputs.read_text(encoding="utf-8"))
    shown = {id: [nbformat.from_dict(output) for output in found[id]] for id in ids}
    report.unlink()
    outputs.unlink()
    return Graded(failed, passed, done.stdout, shown)
