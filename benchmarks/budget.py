"""python -m benchmarks.budget: wall time and peak memory of every lesson, solved and unsolved, each in a fresh kernel.

$MOE_LITE_BUDGET says how long lessons train (normal if it is not set).
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from benchmarks.apart import ROOT

sys.path.insert(0, str(ROOT / "tools"))  # programs, not a package

from build_notebooks import ThisPython  # noqa: E402

FOLDERS = {"notebooks": "unsolved", "solutions": "solved"}
SECONDS, LONGER, GIGABYTES = 180, {"05": 300}, 3.0  # what a lesson may take on two quiet processors
PEAK = "from benchmarks.apart import peak_bytes; print(peak_bytes())"


@dataclass(frozen=True)
class Cost:
    """What running a notebook from top to bottom took, the start of its kernel included."""

    lesson: str
    which: str
    seconds: float
    gigabytes: float  # the most that the kernel's process held
    errors: int  # cells that ended in one

    @property
    def verdict(self) -> str:
        allowed = LONGER.get(self.lesson[:2], SECONDS)
        slow = f"over {allowed} s" if self.seconds > allowed else ""
        large = f"over {GIGABYTES:g} GB" if self.gigabytes > GIGABYTES else ""
        return ", ".join(filter(None, (slow, large)))


def cost(path: Path, env: dict[str, str]) -> Cost:
    """Run a copy of the notebook where it stands; the file does not change."""
    notebook = nbformat.read(path, as_version=4)
    last = nbformat.v4.new_code_cell(PEAK)
    notebook.cells.append(last)
    client = NotebookClient(
        notebook, timeout=None, kernel_manager_class=ThisPython, allow_errors=True,
        resources={"metadata": {"path": str(path.parent)}}, extra_arguments=["--log-level=ERROR"],
    )  # fmt: skip
    began = time.perf_counter()
    client.execute(env=env)
    seconds = time.perf_counter() - began
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    errors = sum(output.output_type == "error" for output in outputs)
    return Cost(path.stem, FOLDERS[path.parent.name], seconds, int(last.outputs[0].text) / 1e9, errors)


def environment(progress: Path) -> dict[str, str]:
    """Of the kernels: checks do not raise, progress goes elsewhere, and the last cell finds this package."""
    paths = filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))
    own = {"MOE_LITE_PROGRESS": str(progress), "PYTHONPATH": os.pathsep.join(paths)}
    return {name: value for name, value in os.environ.items() if name != "MOE_LITE_CHECKS"} | own


def table(costs: Iterable[Cost]) -> str:
    rows = [("lesson", "", "seconds", "peak GB", "errors", "")]
    rows += [(c.lesson, c.which, f"{c.seconds:.1f}", f"{c.gigabytes:.2f}", str(c.errors), c.verdict) for c in costs]
    return "\n".join(f"  {a:28} {b:10} {c:>8} {d:>8} {e:>7}  {f}".rstrip() for a, b, c, d, e, f in rows)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.budget", description=__doc__)
    parser.add_argument("--only", metavar="NN", default="[0-9][0-9]", help="the number of one lesson")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the table there, too")
    options = parser.parse_args(arguments)
    notebooks = sorted(path for folder in FOLDERS for path in (ROOT / folder).glob(f"{options.only}_*.ipynb"))
    if not notebooks:
        raise SystemExit(f"no notebook of lesson {options.only} in {' or '.join(FOLDERS)}/")
    costs = []
    for path in sorted(notebooks, key=lambda path: path.stem):
        with tempfile.TemporaryDirectory() as folder:
            costs.append(cost(path, environment(Path(folder) / "progress.json")))
        print(f"{path.stem}, {costs[-1].which}: {costs[-1].seconds:.0f} s", file=sys.stderr, flush=True)
    setting = os.environ.get("MOE_LITE_BUDGET") or "normal"
    print(f"MOE_LITE_BUDGET={setting}, {os.cpu_count()} processors\n{table(costs)}")
    if options.json:
        options.json.write_text(json.dumps([asdict(c) for c in costs], indent=1) + "\n", encoding="utf-8")
        print(f"written {options.json}")


if __name__ == "__main__":
    main()
