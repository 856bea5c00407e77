"""The set-up: pins in one place, the Makefile's commands and its messages, CI's entry point."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

TARGETS = "help lab check test lint format notebooks site bench budget runs balance experts data clean".split()


@pytest.fixture(scope="module")
def project(root) -> dict:
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def constraints(root) -> dict[str, str]:
    """canonical name -> pinned version."""
    lines = (root / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [re.fullmatch(r"([\w.-]+)==([\w.!]+)", line) for line in lines if not line.startswith("#")]
    assert all(pins), "constraints.txt holds name==version only, with no local suffix such as +cpu"
    return {canonicalize_name(pin[1]): pin[2] for pin in pins}


def requirements(project: dict) -> list[Requirement]:
    extras = project["optional-dependencies"].values()
    everything = [Requirement(line) for lines in (project["dependencies"], *extras) for line in lines]
    return [requirement for requirement in everything if requirement.name != project["name"]]


def test_every_requirement_is_pinned_to_a_version_in_its_range(project, constraints):
    assert len(requirements(project)) > 10
    for requirement in requirements(project):
        pin = constraints[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(pin), f"{requirement} does not allow the pinned {pin}"


def test_pyproject_pins_nothing(project):
    for requirement in requirements(project):
        assert {part.operator for part in requirement.specifier} <= {">=", "<", "!="}, str(requirement)


def test_torch_and_python_have_the_stated_floors(project, constraints):
    assert constraints["torch"] == "2.13.0"
    assert "torch>=2.6" in project["dependencies"]
    assert project["requires-python"] == ">=3.11"


def test_conda_environment_takes_its_pins_from_the_constraints(root):
    environment = yaml.safe_load((root / "environment.yml").read_text(encoding="utf-8"))
    *conda, pip = environment["dependencies"]
    assert conda == ["python=3.11", "pip"]
    assert pip == {"pip": ["--constraint constraints.txt", "--editable .[test]"]}


def test_learners_install_what_the_lessons_import_and_no_test_tools(project):
    names = {Requirement(line).name for line in project["dependencies"]}
    assert {"torch", "tokenizers", "safetensors", "jupyterlab", "ipywidgets", "anywidget", "matplotlib"} <= names
    assert not names & {"pytest", "nbval", "transformers", "playwright", "ruff"}


# ---- make ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def checkout(root, tmp_path) -> Path:
    """What the Makefile reads, with nothing installed or built."""
    for name in ("data", "site"):
        (tmp_path / name).mkdir()
    read = ("Makefile", "pyproject.toml", "constraints.txt", "data/sources.toml", "data/SHA256SUMS")
    for name in (*read, "site/package.json", "site/package-lock.json"):
        shutil.copy(root / name, tmp_path / name)
    return tmp_path


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """As from a fresh terminal: what the make around this test was told, `ARGS=…`, is in its environment."""
    told = ("MAKE", "MFLAGS", "ARGS", "JOBS", "PORT", "PIP_FLAGS", "NO_BROWSER")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(told)}
    return subprocess.run(["make", *arguments], cwd=folder, env=environment, capture_output=True, text=True)


def program(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_make_alone_lists_the_targets(checkout):
    shown = make(checkout)
    assert shown.returncode == 0
    assert re.findall(r"make (\w+) +\w", shown.stdout) == TARGETS


def test_targets_can_be_made_with_nothing_installed(checkout):
    planned = make(checkout, "--dry-run", *TARGETS)
    assert planned.returncode == 0, planned.stderr


def test_set_up_passes_the_constraints_to_every_install(checkout):
    installs = [line for line in make(checkout, "--dry-run", "test").stdout.splitlines() if "pip install" in line]
    assert len(installs) == 2
    assert all("-c constraints.txt" in line for line in installs)


def test_tests_run_on_one_thread_with_the_small_budget(checkout):
    assert pytest_line(checkout, "test").startswith("PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 MOE_LITE_BUDGET=ci ")


def pytest_line(checkout, target: str, *settings: str) -> str:
    (line,) = [
        line for line in make(checkout, "--dry-run", target, *settings).stdout.splitlines() if "-m pytest" in line
    ]
    return line.rstrip()


def test_check_is_test_without_notebooks_pages_and_what_is_slow(checkout):
    """And in two processes: nothing waits for a page there."""
    quick, test = ' -m "not notebook and not browser and not slow"', pytest_line(checkout, "test")
    assert pytest_line(checkout, "check").split() == (test.replace(" -n 3 ", " -n 2 ") + quick).split()
    assert pytest_line(checkout, "check", "JOBS=1").split() == (test.replace(" -n 3 ", " -n 1 ") + quick).split()


def test_an_environment_made_in_another_folder_is_said_and_can_be_cleaned_away(checkout):
    (checkout / ".venv").mkdir()
    made_in = checkout / ".venv" / "made_in"
    made_in.write_text(f"{checkout.resolve()}\n")
    assert make(checkout, "--dry-run", "lab").returncode == 0
    made_in.write_text("/somewhere else/moe-lite\n")
    for target in ("lab", "test", "data"):
        refused = make(checkout, "--dry-run", target)
        assert refused.returncode == 2 and "this folder was /somewhere else/moe-lite when its" in refused.stderr
    assert make(checkout).returncode == 0
    make(checkout, "clean")
    assert not made_in.exists()


def test_second_lab_does_nothing_but_open_jupyter(checkout):
    for stamp in (".venv/venv.stamp", ".venv/lab.stamp", "data/corpus/.complete"):
        (checkout / stamp).parent.mkdir(parents=True, exist_ok=True)
        (checkout / stamp).touch()
    commands = [line for line in make(checkout, "--dry-run", "lab").stdout.splitlines() if not line.startswith("echo")]
    assert [command.split()[:2] for command in commands] == [
        [".venv/bin/jupyter", "trust"],
        [".venv/bin/python", "-m"],  # the page style
        [".venv/bin/jupyter", "lab"],
    ]


def test_lab_listens_on_this_machine_only_and_keeps_its_token(checkout):
    command = make(checkout, "--dry-run", "lab", "PORT=9123", "NO_BROWSER=1").stdout.splitlines()[-1]
    assert "--ServerApp.ip=localhost" in command and "--port=9123" in command and "--no-browser" in command
    assert "/lab/tree/notebooks/00_start_here.ipynb" in command
    assert "token" not in command and "password" not in command
    assert ("--allow-root" in command) == (os.geteuid() == 0)


def test_changed_pins_are_installed_again(checkout):
    for stamp in (".venv/venv.stamp", ".venv/lab.stamp", "data/corpus/.complete"):
        (checkout / stamp).parent.mkdir(parents=True, exist_ok=True)
        (checkout / stamp).touch()
    later = (checkout / ".venv/lab.stamp").stat().st_mtime + 10
    os.utime(checkout / "constraints.txt", (later, later))
    plan = make(checkout, "--dry-run", "lab").stdout
    assert "pip install" in plan and "-m venv" not in plan


def test_another_typescript_is_installed_where_tests_need_it(checkout):
    for stamp in (".venv/venv.stamp", ".venv/lab.stamp", ".venv/test.stamp", "data/corpus/.complete"):
        (checkout / stamp).parent.mkdir(parents=True, exist_ok=True)
        (checkout / stamp).touch()
    assert "npm ci" not in make(checkout, "--dry-run", "test").stdout
    later = (checkout / ".venv/test.stamp").stat().st_mtime + 10
    os.utime(checkout / "site/package-lock.json", (later, later))
    assert "npm ci" in make(checkout, "--dry-run", "test").stdout
    assert "npm ci" not in make(checkout, "--dry-run", "lab").stdout


def test_old_python_is_refused_with_its_version(checkout, tmp_path):
    old = program(tmp_path / "old", 'case "$1" in --version) echo Python 3.9.2;; *) exit 1;; esac')
    refused = make(checkout, "lab", f"PYTHON={old}")
    assert refused.returncode != 0
    assert f"moe-lite needs Python 3.11 or newer; {old} is Python 3.9.2." in refused.stderr
    assert not (checkout / ".venv").exists()


def test_no_python_is_said_with_the_way_out(checkout):
    refused = make(checkout, "lab", "PYTHON=")
    assert refused.returncode != 0
    assert "moe-lite needs Python 3.11 or newer" in refused.stderr
    assert "make lab PYTHON=/path/to/python3.12" in refused.stderr


def test_missing_venv_module_is_named_with_its_package(checkout, tmp_path):
    script = f'case "$2" in *ensurepip*) exit 1;; *) exec {sys.executable} "$@";; esac'
    refused = make(checkout, "lab", f"PYTHON={program(tmp_path / 'bare', script)}")
    assert refused.returncode != 0
    assert "venv module is missing" in refused.stderr and "python3-venv" in refused.stderr


def test_clean_keeps_progress_and_notebooks(checkout):
    kept = [checkout / ".moe_lite/progress.json", checkout / "notebooks/00_start_here.ipynb"]
    gone = [checkout / ".venv/venv.stamp", checkout / "data/corpus/.complete", checkout / "data/wheels/x.whl"]
    gone.append(checkout / "site/node_modules/typescript/bin/tsc")
    for path in kept + gone:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    make(checkout, "clean")
    assert all(path.exists() for path in kept)
    assert not any(path.exists() for path in gone)


# ---- CI --------------------------------------------------------------------------------------------------------------


def test_ci_ends_with_make_test_and_says_that_it_is_ci(root):
    script = (root / ".ci" / "run").read_text(encoding="utf-8")
    assert os.access(root / ".ci" / "run", os.X_OK)
    assert script.splitlines()[-1].endswith("make test")
    assert "export CI=true" in script and "set -euo pipefail" in script
    assert subprocess.run(["bash", "-n", root / ".ci" / "run"]).returncode == 0


def test_ci_installs_only_what_is_absent(tmp_path, root):
    """Without browsers, apt-get installs these alone; with everything on the path, it is not called."""
    log = tmp_path / "log"
    for name in ("make", "apt-get", "sudo"):
        program(tmp_path / name, f'echo {name} "$@" >> {log}\n[ {name} = sudo ] && exec "$@" || true')
    for name in ("bash", "dirname", "env", "sh"):
        (tmp_path / name).symlink_to(shutil.which(name))
    program(tmp_path / "python3", "exit 0")
    folder = tmp_path / "repository" / ".ci"
    folder.mkdir(parents=True)
    shutil.copy(root / ".ci" / "run", folder / "run")
    run = [str(folder / "run")]

    subprocess.run(run, env={"PATH": str(tmp_path)}, check=True, capture_output=True)
    installs = [line for line in log.read_text().splitlines() if line.startswith("apt-get install")]
    assert [line.split()[-1] for line in installs] == ["chromium", "firefox-esr"]

    log.unlink()
    for name in ("chromium", "firefox"):
        program(tmp_path / name, "exit 0")
    subprocess.run(run, env={"PATH": str(tmp_path)}, check=True, capture_output=True)
    assert log.read_text() == "make test\n"

    log.unlink()  # a system without Firefox's package: the suite runs all the same, and the reason is said
    (tmp_path / "firefox").unlink()
    program(tmp_path / "apt-get", "exit 100")
    done = subprocess.run(run, env={"PATH": str(tmp_path)}, check=True, capture_output=True, text=True)
    assert "No Firefox could be installed" in done.stdout and log.read_text().endswith("make test\n")


def test_committed_set_up_names_no_index_and_no_machine(root):
    pattern = re.compile(r"https?://|index-url|find-links|/home/|/root/|/tmp/|\bpypi\b", re.IGNORECASE)
    pages = ("site/package.json", "site/package-lock.json", "site/.npmrc", ".github/workflows/pages.yml")
    names = ("Makefile", ".ci/run", "pyproject.toml", "constraints.txt", "environment.yml", "data/sources.toml", *pages)
    for name in names:
        assert not pattern.search((root / name).read_text(encoding="utf-8")), name
