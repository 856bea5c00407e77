"""The doctor finds what is wrong and says what to do about it: in real environments, whole and broken."""

import ast
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from waiting import LONG

from moe_lite import data, doctor
from moe_lite.doctor import environment, files, finding, notebooks, page, places, speed
from moe_lite.doctor.finding import Finding, look

ROOT = Path(__file__).resolve().parents[1]
SITE = "lib/python{}.{}/site-packages".format(*sys.version_info)
OURS = ("_editable_impl_moe_lite.pth", *(path.name for path in Path(sys.prefix, SITE).glob("moe_lite-*.dist-info")))
HEADS = ("python", "memory", "disk", "corpora", "tokenizer", "jupyterlab", "extensions", "kernel", "packages", "device")
HEADS += ("threads", "models", "widgets", "progress", "speed")


# ---- courses to break: a copy of the package with an environment of its own, made of links ---------------------------


@dataclass(frozen=True)
class Course:
    """A folder with all that the doctor looks at, as after `make lab`."""

    root: Path

    @property
    def site(self) -> Path:
        return self.root / ".venv" / SITE

    @property
    def jupyter(self) -> Path:
        return self.root / ".venv/share/jupyter"

    def remove(self, *patterns: str) -> None:
        for pattern in patterns:
            found = list(self.root.glob(pattern))
            assert found, f"nothing to remove: {pattern}"
            for path in found:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    def cut(self, path: str, keep: int) -> None:
        (self.root / path).write_bytes((self.root / path).read_bytes()[:keep])

    def set_version(self, package: str, version: str) -> None:
        """As if another version were installed."""
        (info,) = self.site.glob(f"{package}-*.dist-info")
        text = (info / "METADATA").read_text(encoding="utf-8")
        info.unlink()
        info.mkdir()
        lines = [f"Version: {version}" if line.startswith("Version: ") else line for line in text.splitlines()]
        (info / "METADATA").write_text("\n".join(lines), encoding="utf-8")

    def start(self, *, python: str = ".venv/bin/python", **variables: str) -> subprocess.Popen:
        keep = {name: value for name, value in os.environ.items() if not name.startswith(("MOE_LITE", "PYTHON"))}
        settings = keep | {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"} | variables
        command = [str(self.root / python), "-m", "moe_lite.doctor"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, cwd=self.root, env=settings, text=True, **pipes)


def link_all(source: Path, target: Path, leave_out: tuple[str, ...] = ()) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for path in source.iterdir():
        if path.name not in leave_out:
            (target / path.name).symlink_to(path)


def make_course(root: Path, corpus: Path) -> Course:
    course = Course(root)
    shutil.copytree(ROOT / "moe_lite", root / "moe_lite")
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, root / name)
    link_all(ROOT / "data", root / "data", leave_out=("corpus", "checkpoints", "tokenizer.json"))
    shutil.copy(ROOT / "data/tokenizer.json", root / "data/tokenizer.json")
    shutil.copytree(ROOT / "data/checkpoints", root / "data/checkpoints")
    shutil.copytree(corpus, root / "data/corpus", ignore=shutil.ignore_patterns("*.safetensors"))
    venv.create(root / ".venv", symlinks=True)
    link_all(Path(sys.prefix, SITE), course.site, leave_out=OURS)
    mine = Path(sys.prefix, "share/jupyter")
    link_all(mine, course.jupyter, leave_out=("labextensions",))
    link_all(mine / "labextensions", course.jupyter / "labextensions", leave_out=("@jupyter-widgets", "anywidget"))
    for name in ("@jupyter-widgets", "anywidget"):
        shutil.copytree(mine / "labextensions" / name, course.jupyter / "labextensions" / name)
    return course


@pytest.fixture(scope="module")
def runs(tmp_path_factory, corpus_folder) -> Iterator[dict[str, subprocess.CompletedProcess]]:
    """`python -m moe_lite.doctor` in seven environments at once: one whole, six broken."""
    folder = tmp_path_factory.mktemp("courses")
    made = {name: make_course(folder / name, corpus_folder) for name in BROKEN}
    running = {}
    try:
        for name, damage in BROKEN.items():
            running[name] = made[name].start(**damage(made[name]))
        done = {name: process.communicate(timeout=10 * LONG) for name, process in running.items()}
        yield {
            name: subprocess.CompletedProcess(name, running[name].returncode, *outputs)
            for name, outputs in done.items()
        }
    finally:
        for process in running.values():
            process.kill()


def whole(course: Course) -> dict[str, str]:
    return {}


def damaged_files(course: Course) -> dict[str, str]:
    course.remove("data/corpus/french.*", "data/checkpoints/moe-e16.safetensors")
    text = course.root / "data/corpus/json.val.txt"
    text.write_bytes(text.read_bytes().replace(b"9", b"8", 1))
    course.cut("data/checkpoints/moe-e4.safetensors", keep=100_000)
    course.cut("data/checkpoints/moe-e8.json", keep=200)
    course.cut("data/tokenizer.json", keep=5_000)
    return {}


def no_torch(course: Course) -> dict[str, str]:
    course.remove(f".venv/{SITE}/torch", f".venv/{SITE}/torch-*.dist-info")
    return {}


def torch_in_ruins_and_no_data(course: Course) -> dict[str, str]:
    torch = course.site / "torch"
    source = torch.resolve()
    torch.unlink()
    link_all(source, torch, leave_out=("lib",))
    shutil.rmtree(course.root / "data")
    return {}


def other_packages_and_jupyter(course: Course) -> dict[str, str]:
    course.remove(f".venv/{SITE}/anywidget", f".venv/{SITE}/anywidget-*.dist-info")
    course.remove(".venv/share/jupyter/labextensions/@jupyter-widgets", ".venv/share/jupyter/lab")
    course.set_version("plotly", "5.9.0")
    course.set_version("matplotlib", "3.10.1")
    spec = {"argv": ["/opt/other/bin/python", "-m", "ipykernel_launcher", "-f", "{connection_file}"]}
    folder = course.root / "elsewhere/kernels/python3"
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(json.dumps(spec | {"display_name": "Python 3", "language": "python"}))
    return {"JUPYTER_PATH": str(course.root / "elsewhere")}


def crowded_and_locked(course: Course) -> dict[str, str]:
    course.remove("moe_lite/widgets/token_viewer/script.js")
    (course.root / "kept").touch()  # a file where a folder is expected
    return {"OMP_NUM_THREADS": "64", "MOE_LITE_PROGRESS": str(course.root / "kept/progress.json")}


def another_python(course: Course) -> dict[str, str]:
    return {"python": getattr(sys, "_base_executable", sys.executable)}


BROKEN = {
    damage.__name__: damage
    for damage in (
        whole,
        damaged_files,
        no_torch,
        torch_in_ruins_and_no_data,
        other_packages_and_jupyter,
        crowded_and_locked,
        another_python,
    )
}


def paragraphs(output: str) -> dict[str, list[tuple[str, str]]]:
    """name -> (mark, all its text in one line) for each finding of a report."""
    found: dict[str, list[tuple[str, str]]] = {}
    for line in output.splitlines():
        if line[:2] in ("ok", "--", "!!"):
            name = line[4:].split()[0]
            found.setdefault(name, []).append((line[:2], line[4:].removeprefix(name).strip()))
        elif line.startswith(" " * page.INDENT):
            mark, text = found[name][-1]
            found[name][-1] = mark, f"{text} {line.strip()}"
    return found


def wrong(run: subprocess.CompletedProcess) -> dict[str, list[str]]:
    """The problems of a run: name -> texts. The doctor has not crashed, and its status says that something is wrong."""
    assert run.stderr == ""
    assert run.returncode == 1, run.stdout
    problems = {name: [text for mark, text in texts if mark == "!!"] for name, texts in paragraphs(run.stdout).items()}
    problems = {name: texts for name, texts in problems.items() if texts}
    count = sum(map(len, problems.values()))
    assert f"{count} of " in run.stdout.splitlines()[-1] and "attention" in run.stdout.splitlines()[-1]
    return problems


# ---- whole and broken environments -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_whole_environment_has_nothing_to_mend(runs):
    run = runs["whole"]
    assert (run.returncode, run.stderr) == (0, ""), run.stdout
    found = paragraphs(run.stdout)
    assert tuple(found) == HEADS
    assert all(mark != "!!" for texts in found.values() for mark, _ in texts)
    assert run.stdout.splitlines()[-1].startswith("Everything is there.")
    assert "torch 2." in found["packages"][0][1] and "GiB free of" in found["memory"][0][1]
    assert found["kernel"] == [("ok", "notebooks run in .venv/bin/python, as this does")]
    assert found["models"] == [("ok", "4 of 4 load: dense, 4 experts, 8 experts, 16 experts")]
    assert "9 of 9 kinds of text" in found["corpora"][0][1]


@pytest.mark.slow
def test_missing_and_damaged_files_are_named_with_what_brings_them_back(runs):
    problems = wrong(runs["damaged_files"])
    assert set(problems) == {"corpora", "models", "tokenizer"}
    (corpora,) = problems["corpora"]
    assert "7 of 9 kinds of text" in corpora and "missing: french; damaged: json" in corpora
    assert "make data, or .venv/bin/python -m moe_lite.corpora" in corpora
    (tokenizer,) = problems["tokenizer"]
    assert "data/tokenizer.json cannot be read" in tokenizer and "git checkout data/tokenizer.json" in tokenizer
    cut, record, missing = problems["models"]
    assert "moe-e4.safetensors cannot be read: CheckpointError: not a whole safetensors file (100,000 bytes)" in cut
    assert cut.endswith("git checkout data/checkpoints/moe-e4.safetensors")
    assert "moe-e8.json cannot be read: JSONDecodeError" in record
    assert record.endswith("git checkout data/checkpoints/moe-e8.json")
    assert missing.startswith("no data/checkpoints/moe-e16.safetensors")
    assert missing.endswith("git checkout data/checkpoints/moe-e16.safetensors")


@pytest.mark.slow
def test_missing_torch_is_named_and_the_rest_is_still_looked_at(runs):
    run = runs["no_torch"]
    (torch,) = wrong(run).pop("torch")
    assert torch.startswith("not installed; the course needs torch>=2.6")
    assert ".venv/bin/python -m pip install -c constraints.txt torch" in torch
    found = paragraphs(run.stdout)
    assert [found[name][0][0] for name in ("corpora", "tokenizer", "kernel", "extensions")] == ["ok"] * 4
    assert found["speed"] == [("--", "not looked at it needs torch: ModuleNotFoundError: No module named 'torch'")]


@pytest.mark.slow
def test_torch_that_does_not_load_and_a_lost_data_folder_are_told_apart(runs):
    problems = wrong(runs["torch_in_ruins_and_no_data"])
    assert set(problems) == {"data", "corpora", "tokenizer", "torch"}
    (torch,) = problems["torch"]
    assert "is installed but cannot be imported: " in torch and "libtorch" in torch
    assert "-m pip install --force-reinstall --no-deps -c constraints.txt torch" in torch
    assert problems["data"][0].startswith("no SHA256SUMS in data")
    assert problems["data"][0].endswith("git checkout data")
    assert "0 of 9 kinds of text" in problems["corpora"][0] and "make data" in problems["corpora"][0]


@pytest.mark.slow
def test_missing_old_and_merely_different_packages_are_told_apart(runs):
    run = runs["other_packages_and_jupyter"]
    problems = wrong(run)
    assert set(problems) == {"anywidget", "plotly", "jupyterlab", "extensions", "kernel"}
    assert "not installed; the course needs anywidget>=0.9.13" in problems["anywidget"][0]
    assert "pip install -c constraints.txt anywidget" in problems["anywidget"][0]
    assert problems["plotly"][0].startswith("5.9.0; the course needs >=6.0")
    ((mark, versions),) = paragraphs(run.stdout)["packages"]
    assert mark == "--" and "10 of 11" in versions and "matplotlib 3.10.1" in versions
    pins = environment.read_pins(ROOT / "constraints.txt")
    assert f"the course was proven with matplotlib {pins['matplotlib']}, plotly {pins['plotly']}" in versions
    assert paragraphs(run.stdout)["widgets"][0][0] == "--"


@pytest.mark.slow
def test_jupyter_of_another_environment_is_found_out(runs):
    problems = wrong(runs["other_packages_and_jupyter"])
    assert "no index.html in .venv/share/jupyter/lab/static" in problems["jupyterlab"][0]
    (extension,) = problems["extensions"]
    assert "@jupyter-widgets/jupyterlab-manager is not in .venv/share/jupyter/labextensions" in extension
    assert "--force-reinstall --no-deps -c constraints.txt jupyterlab_widgets" in extension
    (kernel,) = problems["kernel"]
    assert kernel.startswith("notebooks run in /opt/other/bin/python; this is .venv/bin/python")
    assert "-m ipykernel install --sys-prefix, or remove the kernel in elsewhere/kernels/python3" in kernel


@pytest.mark.slow
def test_too_many_threads_a_locked_progress_file_and_a_lost_script_are_named(runs):
    problems = wrong(runs["crowded_and_locked"])
    assert set(problems) == {"threads", "progress", "widgets"}
    assert ", OMP_NUM_THREADS=64 " in problems["threads"][0]
    assert f"OMP_NUM_THREADS={environment.processors()} make lab" in problems["threads"][0]
    assert problems["progress"][0].startswith("kept/progress.json cannot be written: ")
    assert "export MOE_LITE_PROGRESS=" in problems["progress"][0]
    assert "FileNotFoundError" in problems["widgets"][0] and "token_viewer/script.js" in problems["widgets"][0]


@pytest.mark.slow
def test_python_without_the_packages_is_sent_to_the_courses_own(runs):
    run = runs["another_python"]
    problems = wrong(run)
    assert "packages" in problems or "torch" in problems
    assert ".venv/bin/python -m moe_lite.doctor" in run.stdout
    ((mark, python),) = paragraphs(run.stdout)["python"]
    assert mark == "--" and "the course has an environment of its own, .venv" in python


# ---- single examinations ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def locked_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="moe-lite-locked-"))
    folder.chmod(0o555)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def as_ordinary_user(work):
    """The result of `work`, in a process that is not root: root may write everywhere."""
    if os.geteuid() != 0:
        return work()
    with multiprocessing.get_context("fork").Pool(1, initializer=os.setuid, initargs=(65534,)) as pool:
        return pool.apply(work)


def test_read_only_progress_folder_is_named(locked_folder, monkeypatch):
    monkeypatch.setenv("MOE_LITE_PROGRESS", str(locked_folder / "progress.json"))
    files.progress()  # everything is imported before the process is another user's
    found = as_ordinary_user(files.progress)
    assert found.value == f"{locked_folder / 'progress.json'} cannot be written: Permission denied"
    assert "make it writable" in found.remedy


def test_damaged_progress_is_a_remark_and_looking_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setenv("MOE_LITE_PROGRESS", str(tmp_path / "progress.json"))
    assert files.progress() == Finding("progress", "the file that $MOE_LITE_PROGRESS names, 0 exercises passed")
    (tmp_path / "progress.json").write_text('{"format": 1, "exercises": {"0.1": {"name": "expert_load", "status": "p')
    found = files.progress()
    assert found.remedy is None and "progress.json is damaged" in found.remark
    assert [path.name for path in tmp_path.iterdir()] == ["progress.json"]


def test_data_elsewhere_is_a_remark_and_no_data_there_a_problem(tmp_path, monkeypatch):
    monkeypatch.setenv("MOE_LITE_DATA", str(tmp_path))
    (found,) = files.data()
    assert found.value == f"no SHA256SUMS in {tmp_path}" and "unset MOE_LITE_DATA" in found.remedy
    shutil.copy(ROOT / "data/SHA256SUMS", tmp_path)
    (found,) = files.data()
    assert (found.remedy, found.remark) == (None, "MOE_LITE_DATA is set")
    (found,) = files.corpora()
    assert f"-m moe_lite.corpora --data-dir {tmp_path}" in found.remedy  # `make data` would build them elsewhere


def test_data_folder_is_the_one_that_lessons_read(tmp_path, monkeypatch):
    monkeypatch.delenv("MOE_LITE_DATA", raising=False)
    assert places.data_folder() == data.data_dir()
    monkeypatch.setenv("MOE_LITE_DATA", str(tmp_path))
    assert places.data_folder() == data.data_dir() == tmp_path


def test_weights_that_are_no_numbers_are_found(tmp_path, monkeypatch):
    from moe_lite import checkpoint

    model = checkpoint.pretrained(4)
    model.head.weight.data[3, 5] = float("nan")
    monkeypatch.setenv("MOE_LITE_DATA", str(tmp_path))
    checkpoint.save(tmp_path / "checkpoints/moe-e4.safetensors", model)
    (found,) = files._model(4)
    assert "holds values that are no numbers" in found.value


def flipped(folder: Path) -> None:
    content = bytearray((folder / "moe-e8.safetensors").read_bytes())
    content[2_000_001] ^= 0x40
    (folder / "moe-e8.safetensors").write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (flipped, "is not the file that moe-e8.json beside it describes"),
        (lambda f: shutil.copy(f / "moe-e4.safetensors", f / "moe-e8.safetensors"), "4 experts, expected 8"),
        (lambda f: (f / "moe-e8.json").write_text("null"), "expected the fields of a record, found NoneType"),
        (lambda f: (f / "moe-e8.json").write_text("{}"), "is not the file that moe-e8.json beside it describes"),
    ],
    ids=["one bit", "another model", "no record", "an empty record"],
)
def test_a_shipped_model_that_is_not_the_recorded_one_is_found(damage, said, tmp_path, monkeypatch):
    monkeypatch.setenv("MOE_LITE_DATA", str(tmp_path))
    shutil.copytree(ROOT / "data/checkpoints", tmp_path / "checkpoints")
    assert files._model(8) == []
    damage(tmp_path / "checkpoints")
    (found,) = files._model(8)
    assert said in found.value and "git checkout" in found.remedy


def test_an_environment_of_another_folder_is_found(tmp_path, monkeypatch):
    assert environment._of_another_folder() == []
    monkeypatch.setattr(environment, "ROOT", tmp_path / "moved ü")
    (found,) = environment._of_another_folder()
    assert found.value.startswith(f"notebooks would use that of {ROOT}, ") and "`make clean`" in found.remedy


def test_another_tokenizer_is_found(tmp_path, monkeypatch):
    content = json.loads((ROOT / "data/tokenizer.json").read_text(encoding="utf-8"))
    content["model"]["merges"].pop()
    last = max(content["model"]["vocab"], key=content["model"]["vocab"].get)
    del content["model"]["vocab"][last]
    (tmp_path / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    monkeypatch.setenv("MOE_LITE_DATA", str(tmp_path))
    assert "is another tokenizer: 2,047 entries, expected 2,048" in files.tokenizer().value


def test_containers_limits_count(monkeypatch):
    limits = {"cpu.max": "150000 100000", "memory.max": str(4 * 2**30), "memory.current": str(3 * 2**30)}
    monkeypatch.setattr(environment, "_cgroup", lambda name: limits[name])
    monkeypatch.setattr(environment, "_memory_bytes", lambda: (64 * 2**30, 60 * 2**30))
    assert environment.processors() == 1
    found = environment.memory()
    assert found.value == "1.0 GiB free of 4.0" and "a lesson takes up to 3 GB" in found.remedy
    limits |= {"cpu.max": "max 100000", "memory.max": "max"}
    assert environment.processors() >= 1
    assert environment.memory() == Finding("memory", "60.0 GiB free of 64.0")


def test_full_disk_is_named(monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(2**40, 2**40, 2**28))
    found = environment.disk()
    assert found.value == "0.2 GiB free" and "make room" in found.remedy


def test_busy_processors_and_odd_settings_are_remarks(monkeypatch):
    import torch

    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(environment, "processors", lambda: 2)
    monkeypatch.setattr(os, "getloadavg", lambda: (2.4, 1.0, 1.0))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert environment.threads().remark.startswith("programs keep about 2.4 processors busy")
    monkeypatch.setattr(os, "getloadavg", lambda: (0.3, 1.0, 1.0))
    assert environment.threads() == Finding("threads", "torch uses 2, processors: 2")
    monkeypatch.setenv("OMP_NUM_THREADS", "two")
    assert environment.threads().remark == "OMP_NUM_THREADS is not a number, so it is ignored"


@pytest.mark.parametrize(
    ("measured", "value"),
    [
        ((2.0, [0.3, 0.9, 0.3]), "0.30 s a training step of 2,048 tokens: 400 steps take about 2.0 minutes"),
        ((1.5, [0.05]), "0.05 s a training step of 2,048 tokens: 400 steps take about 20 seconds"),
        ((3.0, []), "at most 3.00 s a training step of 2,048 tokens: 400 steps take about 20.0 minutes"),
    ],
)
def test_speed_says_what_the_default_training_takes(measured, value, monkeypatch):
    monkeypatch.setattr(speed, "measured", lambda config: measured)
    found = speed.speed()
    assert (found.value, found.remedy) == (value, None)
    assert ("OMP_NUM_THREADS=1 make lab" in (found.remark or "")) == ("20.0 minutes" in value)


def test_speed_is_measured_on_whole_training_steps_and_not_for_long(monkeypatch):
    from moe_lite.train import TrainConfig

    monkeypatch.setattr(speed, "SECONDS", 0.0)
    monkeypatch.setattr(speed, "PATIENCE", 60.0)
    first, later = speed.measured(TrainConfig(batch_size=2, length=16))
    assert len(later) == 1 and 0 < later[0] < 60
    monkeypatch.setattr(speed, "PATIENCE", 0.0)
    assert speed.measured(TrainConfig(batch_size=2, length=16))[1] == []


def test_packages_that_do_not_fit_each_other_are_named(monkeypatch):
    there = environment.installed_version
    versions = {"jupyterlab_widgets": "1.1.0", "psygnal": None}
    monkeypatch.setattr(notebooks, "installed_version", lambda name: versions.get(name, there(name)))
    (found,) = notebooks.widgets()
    jupyter, psygnal = found.value.split("; ")
    assert jupyter.startswith("ipywidgets needs jupyterlab_widgets~=3.0") and jupyter.endswith("here is 1.1.0")
    assert psygnal.startswith("anywidget needs psygnal>=") and psygnal.endswith("here is none")
    assert "-m pip install -c constraints.txt ipywidgets anywidget" in found.remedy


def test_damaged_extension_and_one_of_another_version_are_found(tmp_path, monkeypatch):
    source = Path(sys.prefix, "share/jupyter/labextensions/anywidget")
    monkeypatch.setattr(notebooks, "_extension_folders", lambda: [tmp_path])
    shutil.copytree(source, tmp_path / "anywidget")
    assert notebooks._extension("anywidget") == []
    about = json.loads((tmp_path / "anywidget/package.json").read_text())
    (tmp_path / "anywidget/package.json").write_text(json.dumps(about | {"version": "0.9.0"}))
    (found,) = notebooks._extension("anywidget")
    assert found.value == f"anywidget 0.9.0 in JupyterLab, {environment.installed_version('anywidget')} in Python"
    (tmp_path / "anywidget" / about["jupyterlab"]["_build"]["load"]).unlink()
    (found,) = notebooks._extension("anywidget")
    assert found.value.startswith("anywidget is damaged: no ")


# ---- the guard -------------------------------------------------------------------------------------------------------


class Panic(BaseException):
    """As Rust's panics come through."""


@pytest.mark.parametrize("error", [ValueError("three\nlines\nlong"), Panic("three lines long"), SystemExit(3)])
def test_examination_that_fails_becomes_a_finding(error):
    def fails():
        raise error

    (found,) = look("corpora", fails)
    assert found.name == "corpora" and found.remedy
    assert found.value == f"could not be looked at: {finding.described(error)}"
    assert "\n" not in found.value


def test_interrupt_is_not_swallowed():
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        look("corpora", interrupted)


def test_what_needs_a_missing_package_is_not_begun():
    (found,) = look("speed", lambda: pytest.fail("was begun"), ("no_such_package",))
    assert found.remedy is None
    assert found.remark == "it needs no_such_package: ModuleNotFoundError: No module named 'no_such_package'"


def test_doctor_itself_imports_only_the_standard_library_and_older_pythons_can_read_it():
    """So that it can say which package is missing, or that Python is too old."""
    for path in [*(ROOT / "moe_lite/doctor").glob("*.py"), ROOT / "moe_lite/__init__.py"]:
        tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 8))
        for node in tree.body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert name.split(".")[0] in sys.stdlib_module_names or name.startswith("moe_lite.doctor"), path
        assert "tomllib" not in {n.name for node in tree.body if isinstance(node, ast.Import) for n in node.names}


def test_oldest_python_is_the_packages():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == ">=" + ".".join(map(str, environment.OLDEST))


# ---- the page --------------------------------------------------------------------------------------------------------

FOUND = [
    Finding("python", "3.12.1"),
    Finding("packages", "torch 2.12.0", remark="the course was proven with torch 2.13.0"),
    Finding("models", "no <moe-e4> & more", remedy="restore it: `git checkout data`"),
]


def test_report_sets_remarks_apart_from_problems():
    lines = doctor.report(FOUND).splitlines()
    assert lines[:5] == [
        "ok  python      3.12.1",
        "--  packages    torch 2.12.0",
        "                the course was proven with torch 2.13.0",
        "!!  models      no <moe-e4> & more",
        "                restore it: git checkout data",
    ]
    assert lines[5] == f"1 of 3 needs attention. 1 remark. Commands are for the folder {ROOT}."
    assert doctor.summary(FOUND[:2]) == "Everything is there. 1 remark."
    assert doctor.summary(FOUND[:1]) == "Everything is there."


def test_long_findings_are_folded_below_their_own_column():
    lines = doctor.report([Finding("packages", "word " * 60)]).splitlines()
    assert max(map(len, lines)) <= page.WIDTH
    assert lines[1].startswith(" " * page.INDENT + "word")


def test_checkup_is_the_report_as_text_and_a_table_in_a_notebook(monkeypatch):
    monkeypatch.setattr(doctor, "examine", lambda: FOUND)
    shown = doctor.checkup()
    assert repr(shown) == doctor.report(FOUND)
    html = shown._repr_html_()
    assert '<td class="s" style="--c:var(--ok)">✓ ok</td><th scope="row">python</th><td>3.12.1</td>' in html
    assert '<td class="s" style="--c:var(--bad)">! problem</td><th scope="row">models</th>' in html
    assert "<td>no &lt;moe-e4&gt; &amp; more<p>restore it: <code>git checkout data</code></p></td>" in html
    assert '<p class="dim">the course was proven with torch 2.13.0</p>' in html
    assert html.count("<tr>") == 3 and "1 of 3 needs attention." in html


def test_page_takes_every_colour_from_the_palette():
    import re

    assert not re.search(r"#[0-9a-fA-F]{3,8}\b|rgba?\(", page._CSS)
    roles = set(re.findall(r"var\(--([a-z]\w*)\)", page._CSS)) | {role for _, _, role in page.STATES.values()}
    html = page.picture(FOUND).html
    assert all(f"--{role}:" in html for role in roles - {"c"})
