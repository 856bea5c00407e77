"""A published course: its lessons link to places that need no installation, and their first cell makes Colab ready."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from dataclasses import replace
from pathlib import Path

import pytest

from moe_lite.checks.lesson_cells import learner_notebook, read_cells
from moe_lite.course import cloud, outline

ADDRESS = "https://github.com/someone/moe-lite"


@pytest.fixture
def published(monkeypatch) -> None:
    there = replace(outline.course(), repository=ADDRESS)
    monkeypatch.setattr(outline, "course", lambda: there)


def test_without_an_address_a_lesson_has_neither_links_nor_the_cell():
    cells = read_cells(outline.lesson(0).source)
    assert outline.course().repository == "" and not [cell for cell in cells if cloud.TAG in cell.tags]
    assert "Open in" not in learner_notebook(cells).cells[0].source


def test_with_an_address_it_has_both(published):
    lesson = outline.lesson(3)
    made = learner_notebook(read_cells(lesson.source)).cells
    colab = f"https://colab.research.google.com/github/someone/moe-lite/blob/main/notebooks/{lesson.file}.ipynb"
    wanted = f"Open in [Colab]({colab}) or [a codespace](https://codespaces.new/someone/moe-lite)"
    assert made[0].source.splitlines()[-1] == wanted
    assert made[1].metadata.jupyter.source_hidden and made[1].metadata.cellView == "form"
    assert made[1].source == cloud.cell_text(ADDRESS) and f'"{ADDRESS}"' in made[1].source


def test_elsewhere_the_cell_does_nothing(monkeypatch, tmp_path, capfd):
    monkeypatch.delenv(cloud.COLAB, raising=False)
    monkeypatch.chdir(tmp_path)
    before = [*sys.path], dict(os.environ)
    exec(cloud.cell_text("https://github.com/no/such"), {})
    assert ([*sys.path], dict(os.environ)) == before and not [*tmp_path.iterdir()]
    assert capfd.readouterr() == ("", "")


def test_what_runs_the_notebook_is_not_installed_again():
    names = {line.partition(">")[0] for line in cloud.needed()}
    assert {"anywidget", "safetensors", "tokenizers", "torch"} <= names and not names & {"jupyterlab", "ipykernel"}


@pytest.mark.slow
def test_in_a_bare_environment_the_cell_brings_the_course(tmp_path):
    """An environment of its own that has the course's dependencies, as Colab has most of them, and not the course."""
    bare = tmp_path / "bare"
    venv.create(bare, with_pip=True)
    library = Path(sysconfig.get_path("purelib", vars={"base": str(bare), "platbase": str(bare)}))
    # a path in a .pth brings packages, but none of the .pth files that stand beside them: so not the course
    (library / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    python = bare / "bin" / "python"
    absent = subprocess.run([python, "-c", "import moe_lite"], capture_output=True, text=True, cwd=tmp_path)
    assert "No module named 'moe_lite'" in absent.stderr
    repository = _repository(tmp_path / "published")
    script = f"""
import os
{cloud.cell_text(str(repository))}
{cloud.cell_text(str(repository))}
import subprocess, sys
import moe_lite
from moe_lite.checkpoint import pretrained
from moe_lite.data import encode, load_corpora
import torch
print(moe_lite.__file__, pretrained(8)(torch.tensor([encode("Thou art")])).logits.shape, len(load_corpora()))
print(subprocess.run([sys.executable, "-c", "import moe_lite; print('child', moe_lite.__file__)"],
                     cwd="/", capture_output=True, text=True).stdout)
"""
    corpora = outline.ROOT / "data"  # fetched once, and not by each test
    done = subprocess.run(
        [python, "-W", "error::DeprecationWarning:moe_lite", "-c", script], cwd=tmp_path, capture_output=True,
        text=True, env=_without_python() | {cloud.COLAB: "1", "MOE_LITE_DATA": str(corpora)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    there = tmp_path / "moe-lite" / "moe_lite" / "__init__.py"
    assert f"{there} torch.Size([1, " in done.stdout and f"child {there}" in done.stdout
    assert done.stdout.count(cloud.READY) == 2


def _repository(folder: Path) -> Path:
    """This course as something that can be cloned, with what lies here and is not ignored."""
    git = shutil.which("git")
    if git is None:
        pytest.skip("git is not installed.")
    listed = subprocess.run(
        [git, "ls-files", "-co", "--exclude-standard", "-z"], cwd=outline.ROOT, capture_output=True, text=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        source = outline.ROOT / name
        if source.is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, folder / name)
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "--quiet"], ["add", "--all"], [*who, "commit", "--quiet", "-m", "the course"]):
        subprocess.run([git, *command], cwd=folder, check=True)
    return folder


def _without_python() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MOE_LITE"))}
