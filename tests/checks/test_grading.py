"""The plugin moe_lite/checks/grading.py: notebooks that lie anywhere, of several learners, in one call of pytest."""

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import nbformat
import pytest
from waiting import LONG

pytestmark = pytest.mark.notebook
SETUP = "import torch\nfrom moe_lite.checks import lesson00 as check, mine, recall"
SOLVED = "def expert_load(expert_ids, n_experts):\n    return torch.bincount(expert_ids.flatten(), minlength=n_experts)"
OPEN = "def expert_load(expert_ids, n_experts):\n    raise NotImplementedError"
CHECK = "check.expert_load(expert_load)"
OTHERS_STAY_OUT = "default = lambda expert_ids, n_experts: None\nassert recall('0.1', default) is default"
NOTEBOOKS = {
    "solved": (SETUP, SOLVED, CHECK),
    "open": (SETUP, OTHERS_STAY_OUT, OPEN, CHECK),
    "without its check": (SETUP, SOLVED, "# check.expert_load(expert_load)"),
    "of another course": ("1 + 1",),
}


@pytest.fixture(scope="module")
def graded(tmp_path_factory) -> tuple[dict[tuple[str, str], bool], str, Path]:
    """Which test of which notebook passed; what pytest said; the progress file of whoever grades."""
    folder = tmp_path_factory.mktemp("submissions")
    for name, cells in NOTEBOOKS.items():
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        nbformat.write(notebook, folder / f"{name}.ipynb")
    own = folder / "own" / "progress.json"
    env = {name: value for name, value in os.environ.items() if not name.startswith("MOE_LITE")}
    env |= {"MOE_LITE_PROGRESS": str(own)}
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "--nbval-current-env", f"--nbval-cell-timeout={LONG}"]
    command += ["-p", "no:cacheprovider", "--color=no", f"--junitxml={folder / 'report.xml'}", str(folder)]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=10 * LONG)
    assert done.returncode == 1, done.stdout + done.stderr
    cases = ElementTree.parse(folder / "report.xml").getroot().iter("testcase")
    went = {(Path(c.get("classname")).name, c.get("name")): c.find("failure") is None for c in cases}
    return went, done.stdout, own


def test_only_what_is_open_or_not_checked_fails(graded):
    went, said, _ = graded
    failed = {name for name, passed in went.items() if not passed}
    assert {name for _, name in failed} == {"Cell 3", "0.1 expert_load"} and len(failed) == 2
    assert len(went) == sum(map(len, NOTEBOOKS.values())) + 1
    assert "0.1 expert_load: not attempted yet" in said
    assert "0.1 expert_load: not checked. The notebook has no cell with check.expert_load(…)" in said


def test_a_learners_function_stays_in_its_notebook_and_out_of_the_graders_progress(graded):
    went, _, own = graded
    assert [passed for (_, name), passed in went.items() if name == "Cell 1"].count(False) == 0
    assert not own.exists()


def test_without_nbval_nothing_is_set_and_torch_is_not_loaded(tmp_path):
    """Every pytest of an environment with this package loads the plugin."""
    (tmp_path / "test_env.py").write_text(
        "import os, sys\ndef test_env():\n    assert not [name for name in os.environ if name.startswith('MOE_LITE')]\n"
        "    assert 'moe_lite.checks.grading' in sys.modules and 'torch' not in sys.modules\n"
    )
    env = {name: value for name, value in os.environ.items() if not name.startswith("MOE_LITE")}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=LONG)
    assert done.returncode == 0, done.stdout
