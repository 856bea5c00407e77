"""What a learner has passed is kept, found again, and never lost to two notebooks or a damaged file."""

import json
import multiprocessing
import os
import sys
import types

import pytest
import torch

from moe_lite.checks import lesson00, lesson03, mine, progress, recall
from moe_lite.checks.registry import exercises
from moe_lite.checks.source import kept_source

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
    monkeypatch.setenv("MOE_LITE_CHECK_SECONDS", "1")
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
    for i in range(25):
        progress.record(f"{which}.{i}", "name", passed=True, source=None)


def test_two_notebooks_at_once_lose_nothing(tmp_path):
    context = multiprocessing.get_context("spawn")
    path = str(progress.path())
    workers = [context.Process(target=_write_many, args=(path, which)) for which in (1, 2, 3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    assert len(progress.exercises()) == 75
    assert [p.name for p in progress.path().parent.iterdir()] == ["progress.json"], "no lock or part is left"


def test_a_lock_left_behind_is_taken_over(monkeypatch):
    monkeypatch.setattr(progress, "LOCK_SECONDS", 0.1)
    progress.path().parent.mkdir(parents=True)
    (progress.path().parent / "progress.json.lock").touch()
    progress.record("3.2", "top_k_route", passed=True, source=None)
    assert progress.exercises()["3.2"]["status"] == "pass"
    assert not (progress.path().parent / "progress.json.lock").exists()


@pytest.mark.parametrize("damage", ["{", "[]", '{"format": 99, "exercises": {}}', '{"format": 1}', "\x00\xff", "null"])
def test_a_damaged_file_is_set_aside_and_begun_anew(damage, capsys):
    file = progress.path()
    file.parent.mkdir(parents=True)
    file.write_text(damage, encoding="latin-1")
    lesson03.top_k_route(default)
    assert content()["exercises"]["3.2"]["status"] == "pass"
    assert (file.parent / "progress.json.damaged").read_text(encoding="latin-1") == damage
    assert "was damaged and is now progress.json.damaged" in capsys.readouterr().out


def test_a_place_that_cannot_be_written_is_said_and_the_check_goes_on(monkeypatch, tmp_path, capsys):
    (tmp_path / "file").touch()
    monkeypatch.setenv("MOE_LITE_PROGRESS", str(tmp_path / "file" / "progress.json"))
    assert lesson03.top_k_route(default).status == "pass"
    assert "cannot be written" in capsys.readouterr().out


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
        (lambda scores, k: k, "yours passes 0 of 8"),
        (lambda scores, k: 1 / 0, "in yours, the code raised ZeroDivisionError"),
        (None, "yours passes 0 of 8"),
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

EPS = 1e-12

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
    "text",
    [
        "import torch\ntable = torch.ones(3)\n" + RIGHT.replace("return", "table.sum()\n    return"),
        "def make():\n    factor = 1.0\n" + RIGHT.replace("\n", "\n    ").replace("weights /", "factor * weights /")
        + "\n    return top_k_route\ntop_k_route = make()\n",
    ],
    ids=["uses a tensor of the notebook", "closes over a variable"],
)  # fmt: skip
def test_a_function_that_needs_its_notebook_passes_but_is_not_recalled(text, tmp_path, capsys):
    fn = notebook(text, tmp_path).top_k_route
    assert lesson03.top_k_route(fn).status == "pass"
    assert content()["exercises"]["3.2"] == {"name": "top_k_route", "status": "pass"}
    assert recall("3.2", default) is default
    assert "yours passed, but needs its notebook to run" in capsys.readouterr().out


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
