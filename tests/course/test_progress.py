"""What a learner has passed is kept, found again, and never lost to two notebooks or a damaged file."""

import errno
import json
import multiprocessing
import os
import signal
import sys
import tempfile
import types
from pathlib import Path

import pytest
import torch
from waiting import LONG

from moe_lite.checks import lesson00, lesson03, mine, recall
from moe_lite.checks.own_functions import kept_source
from moe_lite.checks.registry import exercises
from moe_lite.course import progress

RIGHT = """
def top_k_route(scores, k):
    weights, expert_ids = scores.sort(dim=-1, descending=True, stable=True)
    weights, expert_ids = weights[:, :k], expert_ids[:, :k]
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids
"""


def default(scores, k):
    return exercises()["3.2"].reference(scores, k)


@pytest.fixture(autouse=True)
def in_a_notebook(monkeypatch, tmp_path):
    """As a learner has it: checks do not raise, progress goes to a file of its own."""
    monkeypatch.setenv("MOE_LITE_CHECKS", "show")
    monkeypatch.setenv("MOE_LITE_PROGRESS", str(tmp_path / "kept" / "progress.json"))


def notebook(text: str, tmp_path) -> types.ModuleType:
    """A notebook's namespace after a cell with `text` was run; the source can be looked up, as in IPython."""
    path = tmp_path / "cell.py"
    path.write_text(text, encoding="utf-8")
    module = types.ModuleType("__main__")
    sys.modules.pop("cell", None)
    exec(compile(text, str(path), "exec"), module.__dict__)
    return module


def content():
    return json.loads(progress.path().read_text(encoding="utf-8"))


def test_a_pass_is_kept_with_its_source_and_nothing_that_varies(tmp_path):
    lesson03.top_k_route(notebook(RIGHT, tmp_path).top_k_route)
    entry = content()["exercises"]["3.2"]
    assert content()["format"] == 1
    assert set(entry) == {"name", "status", "source"}
    assert (entry["name"], entry["status"]) == ("top_k_route", "pass")
    assert RIGHT.strip() in entry["source"]
    before = progress.path().read_bytes()
    lesson03.top_k_route(notebook(RIGHT, tmp_path).top_k_route)
    assert progress.path().read_bytes() == before


def test_an_attempt_is_kept_as_tried_and_a_stub_is_not_kept():
    def stub(scores, k): ...

    lesson03.top_k_route(stub)
    assert not progress.path().exists()
    lesson03.top_k_route(lambda scores, k: k)
    assert content()["exercises"]["3.2"] == {"name": "top_k_route", "status": "tried"}


def test_what_passed_once_stays_passed(tmp_path):
    lesson03.top_k_route(notebook(RIGHT, tmp_path).top_k_route)
    lesson03.top_k_route(lambda scores, k: k)
    assert content()["exercises"]["3.2"]["status"] == "pass"
    assert RIGHT.strip() in content()["exercises"]["3.2"]["source"]


def test_other_exercises_are_left_alone():
    lesson00.expert_load(exercises()["0.1"].reference)
    lesson03.top_k_route(lambda scores, k: k)
    assert {id: e["status"] for id, e in content()["exercises"].items()} == {"0.1": "pass", "3.2": "tried"}


def _write_many(path, which):
    os.environ["MOE_LITE_PROGRESS"] = path
    for i in range(40):
        progress.record(f"{which}.{i}", "name", passed=True, source=None)
        progress.record("9.9", f"last written by {which}", passed=False, source=None)
        if i % 10 == 0:
            progress.skip("9.8", "everybody's")


@pytest.mark.slow
def test_three_notebooks_at_once_lose_nothing():
    context = multiprocessing.get_context("spawn")
    path = str(progress.path())
    workers = [context.Process(target=_write_many, args=(path, which)) for which in (1, 2, 3)]
    for worker in workers:
        worker.start()
    seen = set()
    while any(worker.is_alive() for worker in workers):  # a reader in between never meets a half-written file
        kept = progress.load()
        assert kept.problem == "" and seen <= set(kept.entries)
        seen |= set(kept.entries)
    for worker in workers:
        worker.join(LONG)
        assert worker.exitcode == 0
    assert len(progress.exercises()) == 3 * 40 + 2
    names = {p.name for p in progress.path().parent.iterdir()}
    assert names == {"progress.json", "progress.json.lock"}, "no part is left"


def _die_with_the_lock(path):
    os.environ["MOE_LITE_PROGRESS"] = path
    with progress.locked(progress.path()):
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_the_lock_of_a_killed_kernel_is_free_at_once(monkeypatch, capsys):
    progress.record("0.1", "expert_load", passed=True, source=None)
    killed = multiprocessing.get_context("spawn").Process(target=_die_with_the_lock, args=(str(progress.path()),))
    killed.start()
    killed.join(LONG)
    assert killed.exitcode == -signal.SIGKILL
    monkeypatch.setattr(progress, "LOCK_SECONDS", 0)  # nothing is waited for
    progress.record("3.2", "top_k_route", passed=True, source=None)
    assert capsys.readouterr().out == ""
    assert set(progress.exercises()) == {"0.1", "3.2"}


def test_a_lock_that_is_held_for_long_is_said_and_nothing_is_lost(monkeypatch, capsys):
    monkeypatch.setattr(progress, "LOCK_SECONDS", 0.05)
    progress.record("0.1", "expert_load", passed=True, source=None)
    with progress.locked(progress.path()):
        progress.record("3.2", "top_k_route", passed=True, source=None)
    assert "progress.json cannot be written (another notebook is writing to it)" in capsys.readouterr().out
    assert set(progress.exercises()) == {"0.1"}


def test_a_file_system_without_locks_is_written_to_all_the_same(monkeypatch):
    def unsupported(handle):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(progress, "lock", unsupported)
    progress.record("3.2", "top_k_route", passed=True, source=None)
    assert content()["exercises"]["3.2"]["status"] == "pass"


# ---- skipped ---------------------------------------------------------------------------------------------------------


def status(id):
    return progress.exercises().get(id, {}).get("status")


def test_skipped_gives_way_to_a_pass_and_never_the_other_way_round(tmp_path):
    assert progress.skip("3.2", "top_k_route") == "skipped" == status("3.2")
    lesson03.top_k_route(lambda scores, k: k)
    assert status("3.2") == "skipped", "a try does not undo it: running all cells again would"
    lesson03.top_k_route(notebook(RIGHT, tmp_path).top_k_route)
    assert status("3.2") == "pass"
    assert progress.skip("3.2", "top_k_route") == "pass" == status("3.2")
    assert RIGHT.strip() in content()["exercises"]["3.2"]["source"]


def test_a_try_can_be_skipped_and_a_skip_taken_back():
    progress.record("3.2", "top_k_route", passed=False, source=None)
    assert progress.skip("3.2", "top_k_route") == "skipped"
    progress.take_back_skip("3.2")
    assert status("3.2") is None
    progress.record("3.2", "top_k_route", passed=True, source=None)
    progress.take_back_skip("3.2")
    assert status("3.2") == "pass"


def test_mine_and_recall_say_that_an_exercise_is_skipped(capsys):
    def stub(scores, k): ...

    progress.skip("3.2", "top_k_route")
    assert mine("3.2", stub, default=default) is default and recall("3.2", default) is default
    said = "3.2 top_k_route: the package's function is used here; you skipped this exercise.\n"
    assert capsys.readouterr().out == 2 * said
    assert mine("3.2", lambda scores, k: default(scores, k), default) is not default, "what passes is used all the same"


# ---- files that are not as they should be ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "damage", ["{", "[]", '{"format": 0, "exercises": {}}', '{"format": 1}', "\x00\xff", "null", "[" * 9999]
)
def test_a_damaged_file_is_set_aside_and_begun_anew(damage, capsys):
    file = progress.path()
    file.parent.mkdir(parents=True)
    file.write_text(damage, encoding="latin-1")
    lesson03.top_k_route(default)
    assert content()["exercises"]["3.2"]["status"] == "pass"
    assert (file.parent / "progress.json.damaged").read_text(encoding="latin-1") == damage
    assert (
        "was damaged. 0 exercises could be read and kept; the old file is now progress.json.damaged"
        in capsys.readouterr().out
    )


def entry(id, status):
    return f'"{id}": {{"name": "f", "status": "{status}"}}'


CUT_OFF = '{"format": 1, "exercises": {' + entry("0.1", "pass") + ", " + entry("3.1", "tried")[:-9]
FOREIGN = '{"format": 1, "exercises": {"0.1": 5, ' + entry("3.1", "well") + ", " + entry("3.2", "pass") + "}}"
CONFLICT = f"<<<<<<<\n{entry('3.2', 'pass')}\n=======\n{entry('3.2', 'tried')}\n>>>>>>>"
NO_FORMAT = '{"exercises": {' + entry("3.2", "skipped") + "}}"


@pytest.mark.parametrize(
    "text, saved",
    [
        (CUT_OFF, {"0.1": "pass"}),
        (FOREIGN, {"3.2": "pass"}),
        (CONFLICT, {"3.2": "pass"}),
        (NO_FORMAT, {"3.2": "skipped"}),
    ],
    ids=["cut off", "two foreign entries", "merge conflict", "no format"],
)
def test_what_can_be_read_of_a_damaged_file_is_kept(text, saved, capsys):
    file = progress.path()
    file.parent.mkdir(parents=True)
    file.write_text(text)
    assert progress.load().damaged and file.read_text() == text, "looking changes nothing"
    assert {id: kept["status"] for id, kept in progress.exercises().items()} == saved
    assert f"{len(saved)} exercise could be read and kept" in capsys.readouterr().out
    assert {id: kept["status"] for id, kept in content()["exercises"].items()} == saved
    file.write_text("{")
    progress.exercises()
    assert (file.parent / "progress.json.damaged").read_text() == text, "an earlier one stays"
    assert (file.parent / "progress.json.damaged-2").read_text() == "{"


def test_a_file_of_a_newer_format_is_read_and_never_written_to(capsys):
    file = progress.path()
    file.parent.mkdir(parents=True)
    newer = '{"format": 2, "exercises": {' + entry("0.1", "pass") + ', "3.1": ["new"]}, "more": 1}'
    file.write_text(newer)
    assert lesson03.top_k_route(default).status == "pass"
    assert progress.skip("3.3", "two_orders") == ""
    assert file.read_text() == newer
    assert [p.name for p in file.parent.iterdir() if "progress" in p.name and "lock" not in p.name] == ["progress.json"]
    assert capsys.readouterr().out.count("was written by a newer version of the course, so nothing is added to it") == 2
    assert status("0.1") == "pass" and set(progress.exercises()) == {"0.1"}


@pytest.fixture
def readable_only(monkeypatch):
    """A folder with a progress file that this process may read and not write."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        (Path(folder) / "progress.json").write_text('{"format": 1, "exercises": {' + entry("0.1", "pass") + "}}")
        os.chmod(folder, 0o555)
        monkeypatch.setenv("MOE_LITE_PROGRESS", str(Path(folder) / "progress.json"))
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)  # root may write anywhere
        try:
            yield Path(folder) / "progress.json"
        finally:
            if root:
                os.seteuid(0)
            os.chmod(folder, 0o755)


def test_a_folder_that_is_read_only_is_said_and_the_check_goes_on(readable_only, capsys):
    assert lesson03.top_k_route(default).status == "pass"
    assert progress.skip("3.3", "two_orders") == ""
    assert capsys.readouterr().out.count("progress.json cannot be written (Permission denied)") == 2
    assert set(progress.exercises()) == {"0.1"} and capsys.readouterr().out == ""


def test_a_file_that_cannot_be_read_is_said(capsys):
    progress.path().mkdir(parents=True)
    assert progress.exercises() == {}
    assert "progress.json cannot be read (Is a directory)" in capsys.readouterr().out


def test_a_place_that_cannot_be_written_is_said_and_the_check_goes_on(monkeypatch, tmp_path, capsys):
    (tmp_path / "file").touch()
    monkeypatch.setenv("MOE_LITE_PROGRESS", str(tmp_path / "file" / "progress.json"))
    assert lesson03.top_k_route(default).status == "pass"
    assert "cannot be written" in capsys.readouterr().out


def test_a_file_behind_a_link_is_written_and_the_link_stays(monkeypatch, tmp_path):
    kept, link = tmp_path / "synchronised" / "kept.json", tmp_path / "progress.json"
    kept.parent.mkdir()
    link.symlink_to(kept)
    monkeypatch.setenv("MOE_LITE_PROGRESS", str(link))
    assert lesson03.top_k_route(default).status == "pass"
    assert link.is_symlink() and kept.is_file() and progress.exercises()["3.2"]["status"] == "pass"


def test_without_the_setting_progress_lies_in_the_courses_folder(monkeypatch):
    monkeypatch.delenv("MOE_LITE_PROGRESS")
    assert progress.path().parts[-2:] == (".moe_lite", "progress.json")
    assert (progress.path().parents[1] / "moe_lite" / "checks").is_dir()


def test_mine_gives_your_function_if_it_passes(capsys):
    def fn(scores, k):
        return default(scores, k)

    assert mine("3.2", fn, default=default) is fn
    assert capsys.readouterr().out == "3.2 top_k_route: your function is used here.\n"


@pytest.mark.parametrize(
    "fn, why",
    [
        (lambda scores, k: k, "yours passes 0 of 9"),
        (lambda scores, k: 1 / 0, "in yours, the code raised ZeroDivisionError"),
        (None, "yours passes 0 of 9"),
    ],
)
def test_mine_gives_the_package_function_otherwise_and_says_why(fn, why, capsys, monkeypatch):
    monkeypatch.setenv("MOE_LITE_CHECKS", "raise")  # never raises, not even under pytest
    assert mine("3.2", fn, default=default) is default
    assert capsys.readouterr().out == f"3.2 top_k_route: the package's function is used here; {why}.\n"


def test_mine_knows_a_stub_and_an_exercise_that_does_not_exist(capsys):
    def stub(scores, k): ...

    assert mine("3.2", stub, default=default) is default
    assert "yours is not attempted yet" in capsys.readouterr().out
    assert mine("9.9", stub, default=default) is default
    assert "there is no such exercise" in capsys.readouterr().out


def test_recall_finds_a_function_that_passed_in_another_notebook(tmp_path, capsys):
    lesson03.top_k_route(notebook("import torch\n" + RIGHT, tmp_path).top_k_route)
    fn = recall("3.2", default)
    assert fn is not default
    assert capsys.readouterr().out == "3.2 top_k_route: your function is used here, as it passed in lesson 03.\n"
    scores = torch.tensor([[0.6, 0.3, 0.1]])
    torch.testing.assert_close(fn(scores, 2), default(scores, 2))


def test_recall_brings_imports_constants_and_helpers_along(tmp_path):
    text = """
import torch
import torch.nn.functional as F
from torch import Tensor, softmax

EPS = 1e-20

def total(kept):
    return kept.sum(dim=-1, keepdim=True) + EPS

def divide(kept):
    return kept / total(kept)

def top_k_route(scores: Tensor, k: int) -> "tuple[Tensor, Unknown]":
    weights, expert_ids = torch.sort(scores, dim=-1, descending=True, stable=True)
    assert F and softmax
    return divide(weights[:, :k]), expert_ids[:, :k]
"""
    lesson03.top_k_route(notebook(text, tmp_path).top_k_route)
    fn = recall("3.2", default)
    assert fn is not default
    torch.testing.assert_close(fn(torch.tensor([[0.2, 0.8]]), 1)[1], torch.tensor([[1]]))


@pytest.mark.parametrize(
    "text, missing",
    [
        ("import torch\ntable = torch.ones(3)\n" + RIGHT.replace("return", "table.sum()\n    return"), "`table`"),
        (
            "import torch\ntable, scale = torch.ones(1), [2.0]\n"
            + RIGHT.replace("return", "weights = table * scale[0] * weights\n    return"),
            "`scale`, `table`",
        ),
        (
            "def make():\n    factor = 1.0\n" + RIGHT.replace("\n", "\n    ").replace("weights /", "factor * weights /")
            + "\n    return top_k_route\ntop_k_route = make()\n",
            "`factor`",
        ),
    ],
    ids=["a tensor of the notebook", "two things", "a variable around it"],
)  # fmt: skip
def test_a_function_that_needs_its_notebook_passes_and_recall_names_what_is_missing(text, missing, tmp_path, capsys):
    fn = notebook(text, tmp_path).top_k_route
    assert lesson03.top_k_route(fn).status == "pass"
    assert recall("3.2", default) is default
    said = f"yours passed, but it uses {missing}, which only its notebook has: put that inside the function"
    assert said in capsys.readouterr().out


def test_a_function_that_has_no_source_passes_and_recall_says_so(capsys):
    namespace = {}
    exec(RIGHT, namespace)
    assert lesson03.top_k_route(namespace["top_k_route"]).status == "pass"
    assert content()["exercises"]["3.2"] == {"name": "top_k_route", "status": "pass"}
    assert recall("3.2", default) is default
    assert "yours passed, but its source could not be kept: define it with `def` in a cell" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["torch", "F", "math", "nn", "Tensor"])
def test_the_usual_names_are_there_for_kept_source(name):
    source = RIGHT.replace("weights, expert_ids = scores", f"assert {name}\n    weights, expert_ids = scores", 1)
    assert name in source
    progress.record("3.2", "top_k_route", passed=True, source=source)
    assert recall("3.2", default) is not default


def test_recall_keeps_a_function_that_leans_on_the_imports_of_its_notebook(tmp_path):
    text = """
import math
import torch
import torch.nn.functional as F
from torch import Tensor, nn

DTYPE = torch.float64
EPS = math.pi * 0

def total(kept: Tensor) -> Tensor:
    return kept.to(DTYPE).sum(dim=-1, keepdim=True).to(kept.dtype) + EPS

halve = total

@torch.no_grad()
def looked_at(x):
    return nn.Identity()(x)

def top_k_route(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    looked_at(F.relu(scores))
    weights, expert_ids = torch.sort(scores, dim=-1, descending=True, stable=True)
    weights, expert_ids = weights[:, :k], expert_ids[:, :k]
    return weights / halve(weights) * math.sqrt(1), expert_ids
"""
    assert lesson03.top_k_route(notebook(text, tmp_path).top_k_route).status == "pass"
    fn = recall("3.2", default)
    assert fn is not default
    torch.testing.assert_close(fn(torch.tensor([[0.2, 0.8]]), 1)[1], torch.tensor([[1]]))


@pytest.mark.parametrize("source", ["def top_k_route(:", "1 / 0", "x = 1", "def top_k_route(scores, k): return 3"])
def test_a_kept_source_that_does_not_pass_any_more_is_not_used(source):
    progress.record("3.2", "top_k_route", passed=True, source=source)
    assert recall("3.2", default) is default


def test_recall_before_anything_passed(capsys):
    assert recall("3.2", default) is default
    assert "yours has not passed yet" in capsys.readouterr().out
    assert recall("9.9", default) is default


def test_no_source_is_kept_of_what_has_none():
    assert kept_source(torch.topk, "topk") is None
    namespace = {}
    exec("def f(x): return x", namespace)
    assert kept_source(namespace["f"], "f") is None


def test_a_function_under_a_cell_magic_is_kept_as_it_stands_in_the_cell():
    """As IPython runs it: from a text that it does not keep under the file's name, and notes as a call of the magic."""
    cell = "# mine\ndef top_k_route(scores, k):\n    # best first\n    return scores[:, :k]\n\nother = 1\n"
    earlier = cell.replace("[:, :k]", "[:k]")
    place = {"_ih": ["", f"get_ipython().run_cell_magic('time', '', {earlier!r})\n",
                     f"get_ipython().run_cell_magic('time', '', {cell!r})\n", "top_k_route"]}  # fmt: skip
    exec(compile(cell, "<timed exec>", "exec"), place)
    source = kept_source(place["top_k_route"], "top_k_route")
    assert source.endswith("def top_k_route(scores, k):\n    # best first\n    return scores[:, :k]\n")
    place["_ih"] = place["_ih"][:2]
    assert not kept_source(place["top_k_route"], "top_k_route"), "another function of that name is not it"
