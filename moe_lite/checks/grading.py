"""A plugin of pytest, loaded wherever this package is installed: `pytest --nbval-lax …` grades a lesson's notebook.

In the kernels that nbval starts a check that does not pass raises, so that its cell fails; each notebook has a progress
file of its own, so that nothing of one learner reaches another's, or yours. An exercise of the lesson that the
notebook does not check fails as well. Without nbval's option nothing of this happens.
"""

import os
import re
import tempfile
from pathlib import Path

import pytest

LESSON = re.compile(r"^\s*from moe_lite\.checks import .*\blesson(\d\d) as check\b", re.MULTILINE)
CHECKED = re.compile(r"^[^#\n]*\bcheck\.(\w+)\(", re.MULTILINE)
FOLDER = pytest.StashKey[tempfile.TemporaryDirectory]()


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("nbval", False) or config.getoption("nbval_lax", False):
        config.stash[FOLDER] = tempfile.TemporaryDirectory(prefix="moe-lite-grading-")
        os.environ["MOE_LITE_CHECKS"] = "raise"


def pytest_unconfigure(config: pytest.Config) -> None:
    if FOLDER in config.stash:
        config.stash[FOLDER].cleanup()


@pytest.hookimpl(tryfirst=True)  # before nbval starts the notebook's kernel, which takes the environment over
def pytest_runtest_setup(item: pytest.Item) -> None:
    if FOLDER in item.config.stash and item.path.suffix == ".ipynb":
        name = re.sub(r"\W", "-", str(item.path))
        os.environ["MOE_LITE_PROGRESS"] = str(Path(item.config.stash[FOLDER].name, name, "progress.json"))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """After the cells of a lesson's notebook, an item for each exercise that none of them checks."""
    if FOLDER not in config.stash:
        return
    for file in dict.fromkeys(item.parent for item in items if item.path.suffix == ".ipynb"):
        last = max(place for place, item in enumerate(items) if item.parent is file)
        items[last + 1 : last + 1] = [NotChecked.from_parent(file, name=name) for name in _not_checked(file.nb)]


def _not_checked(notebook) -> list[str]:
    """Exercises of the notebook's lesson that it does not check, as "3.2 top_k_route"; none of any other notebook."""
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    lesson = LESSON.search(text)
    if not lesson:
        return []
    from moe_lite.checks.registry import exercises  # loads PyTorch

    checked = set(CHECKED.findall(text))
    asked = [exercise for exercise in exercises().values() if exercise.lesson == int(lesson[1])]
    return [f"{exercise.id} {exercise.name}" for exercise in asked if exercise.name not in checked]


class NotChecked(pytest.Item):
    """An exercise whose check cell was taken out of the notebook."""

    def runtest(self) -> None:
        raise AssertionError

    def repr_failure(self, excinfo, style=None) -> str:
        call = f"check.{self.name.split()[1]}(…)"
        return f"{self.name}: not checked. The notebook has no cell with {call}; a fresh copy of the lesson has it."

    def reportinfo(self):
        return self.path, None, f"exercise {self.name}"
