"""Every lesson on the two domains that are generated: where nothing could be downloaded, it runs all the same."""

import os
import subprocess
import sys

import pytest
from lesson_texts import ROOT, lesson_files

from moe_lite.data import data_dir

# Runs the code cells of notebooks one after the other as IPython does, without a kernel each, and tells what raised.
RUNNER = """
import contextlib, io, sys, nbformat
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
for path in sys.argv[1:]:
    shell.reset()
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                run = shell.run_cell(cell.source)
            if not run.success:
                print(f"{path} {cell.id}: {run.error_in_exec!r}\\n{cell.source}\\n{printed.getvalue()[-2000:]}")
"""


@pytest.mark.notebook
@pytest.mark.parametrize("half", [0, 1])
def test_the_lessons_run_on_the_texts_that_need_no_download(half, corpus_folder, tmp_path):
    for entry in data_dir().iterdir():
        if entry.name != "corpus":
            (tmp_path / entry.name).symlink_to(entry)
    (tmp_path / "corpus").mkdir()
    for name in ("math", "dialogue"):
        for part in ("train", "val"):
            text = (corpus_folder / f"{name}.{part}.txt").read_bytes()
            (tmp_path / "corpus" / f"{name}.{part}.txt").write_bytes(text)
    lessons = [ROOT / "notebooks" / f"{path.stem}.ipynb" for path in lesson_files()]
    program = [sys.executable, "-W", "ignore", "-c", RUNNER, *map(str, lessons[half::2])]
    environment = os.environ | {"MOE_LITE_DATA": str(tmp_path), "MOE_LITE_CHECKS": "show", "PYTHONPATH": str(ROOT)}
    environment["MOE_LITE_PROGRESS"] = str(tmp_path / "progress.json")
    ran = subprocess.run(program, cwd=ROOT / "notebooks", env=environment, capture_output=True, text=True)
    assert ran.returncode == 0 and ran.stdout == "", ran.stdout + ran.stderr[-3000:]
