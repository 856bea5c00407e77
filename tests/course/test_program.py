"""The learner's own program, `my_moe.py`: what stands in it, that it runs without moe_lite, that no change is lost."""

import os
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest
import torch

from moe_lite import ModelConfig, MoELanguageModel, TrainConfig
from moe_lite.checks import lesson01, lesson03, lesson04, lesson07, lesson09, progress, recall
from moe_lite.checks.engine.grade import grade
from moe_lite.checks.lesson_cells import read_cells, solved
from moe_lite.checks.program import assemble, keep, my_program, trial
from moe_lite.checks.registry import exercises
from moe_lite.course import outline
from moe_lite.data import Corpus, load_corpora
from moe_lite.train import train

TEMPLATE = assemble.TEMPLATE.read_text(encoding="utf-8")
TOP_K = """
def top_k_route(scores, k):
    weights, expert_ids = scores.sort(dim=-1, descending=True, stable=True)
    weights, expert_ids = weights[:, :k], expert_ids[:, :k]
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids
"""
# Runs a file as `python FILE` does, where nothing of the package can be found.
ALONE = """
import runpy, sys
class NoPackage:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "moe_lite":
            raise ModuleNotFoundError(f"{name} is not there")
sys.meta_path.insert(0, NoPackage())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(autouse=True)
def in_a_notebook(monkeypatch, tmp_path):
    """As a learner has it: checks do not raise, progress and program go to a folder of their own."""
    monkeypatch.setenv("MOE_LITE_CHECKS", "show")
    monkeypatch.setenv("MOE_LITE_PROGRESS", str(tmp_path / "kept" / "progress.json"))


def cell(text: str, tmp_path, name: str = "top_k_route"):
    """What a notebook's cell with `text` defines as `name`; the source can be looked up, as in IPython."""
    path = tmp_path / f"cell{len(list(tmp_path.glob('cell*.py')))}.py"
    path.write_text(text, encoding="utf-8")
    module = types.ModuleType("__main__")
    exec(compile(text, str(path), "exec"), vars(module))
    return vars(module)[name]


def passes(text: str, tmp_path, name: str = "top_k_route", check=lesson03.top_k_route) -> str:
    """Pass an exercise with this text; the sentence on the card."""
    result = check(cell(text, tmp_path, name))
    assert result.status == "pass"
    return result.program


def program_text() -> str:
    return keep.path().read_text(encoding="utf-8")


def slot(id: str, text: str | None = None) -> str:
    """What stands in the program for an exercise, from its comment to the next blank lines."""
    return re.search(rf"(?ms)^# {re.escape(id)} .+?(?=\n\n\n(?=# |@|class |if |def \w))", text or program_text())[0]


def run(file: Path, *options: str) -> str:
    command = [sys.executable, "-I", "-c", ALONE, str(file), "--domains", "dialogue", "--tokens", "5", *options]
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MOE_LITE", "PYTHON"))}
    ended = subprocess.run(command, capture_output=True, text=True, env=env, cwd=file.parent, timeout=600)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def solutions() -> dict[str, dict]:
    """Progress with the course's own solution of every exercise."""
    cells = [c for lesson in outline.lessons() if lesson.written for c in read_cells(lesson.source)]
    return {
        c.exercise: {"name": exercises()[c.exercise].name, "status": "pass", "source": f"import torch\n{solved(c)}\n"}
        for c in cells if c.exercise and "stub" in c.tags
    }  # fmt: skip


# ---- the template ----------------------------------------------------------------------------------------------------


def test_every_slot_is_an_exercise_with_the_arguments_of_its_check():
    """So that what the check tried is what the program does."""
    assert len(assemble.slots()) == 18 == TEMPLATE.count(": the package's\n")
    for id, match in assemble.slots().items():
        definition = compile(match["code"].replace("Config", "object"), "slot", "exec", flags=0x100000)  # annotations
        names = next(c for c in definition.co_consts if isinstance(c, types.CodeType)).co_varnames
        exercise = exercises()[id]
        assert match["name"] == exercise.name and names[: len(exercise.parameters)] == exercise.parameters


def test_the_template_holds_what_the_checks_accept():
    """Each of the package's stand-ins passes the check of its exercise."""
    names = _names(TEMPLATE)
    for id in assemble.slots():
        exercise = exercises()[id]
        result = grade(exercise, names[exercise.name])
        assert result.status == "pass", result.line


@pytest.mark.parametrize("domains", [("shakespeare", "dialogue"), ("dialogue",)])
@pytest.mark.slow
def test_the_recorded_losses_are_those_of_the_package(domains, corpus_folder):
    """What the program prints beside its own loss; at most 1e-5 from what this machine computes."""
    recorded = _names(TEMPLATE)["PACKAGE_LOSS"][domains]
    logs = train(MoELanguageModel(ModelConfig(), seed=0), load_corpora(domains), TrainConfig(steps=max(recorded)))
    for log in logs:
        if log.step in recorded:
            assert log.cross_entropy == pytest.approx(recorded[log.step], abs=1e-5)


@pytest.mark.parametrize(
    ("config", "options", "training"),
    [
        ({"capacity_factor": 1.0, "n_shared_experts": 1}, {"capacity_factor": 1.0, "n_shared_experts": 1}, {}),
        ({"selection_bias": True}, {"bias_step": 0.01}, {"bias_step": 0.01}),
    ],
    ids=["capacity and a shared expert", "selection bias"],
)  # fmt: skip
def test_other_settings_train_like_the_package_too(config, options, training):
    small = {"vocab_size": 50, "n_layers": 2, "d_model": 16, "n_heads": 2, "n_kv_heads": 1, "n_experts": 4}
    ids = torch.randint(50, (400,), generator=torch.Generator().manual_seed(0))
    names = _names(TEMPLATE)
    mine = names["Config"](**small, **options)
    theirs = MoELanguageModel(ModelConfig(**small, d_expert=mine.d_expert, **config))
    corpora = {"text": Corpus("text", ids.int(), ids.int(), 400, 400)}
    logs = train(theirs, corpora, TrainConfig(steps=6, batch_size=4, length=20, **training))
    expected = [log.cross_entropy for log in logs]
    steps = names["train"](names["Model"](mine), {"text": ids}, 6, size=4, length=20)
    assert [loss for _, loss, _ in steps] == pytest.approx(expected, abs=1e-5)


def _names(text: str) -> dict:
    module = types.ModuleType("a program")
    module.__file__ = str(assemble.TEMPLATE)
    sys.modules[module.__name__] = module
    exec(compile(text, "program", "exec"), vars(module))
    return vars(module)


# ---- run as a learner runs it ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_without_any_exercise_it_trains_and_writes_without_the_package(corpus_folder):
    shown = repr(my_program())
    assert "Yours, 0 of the model's 18 exercises: none yet" in shown
    out = run(keep.path(), "--steps", "5")
    assert out.count("equal to 1e-4") == 2 and "NOT" not in out and "Customer:" in out


@pytest.mark.slow
def test_a_solved_course_is_a_program_of_the_learners_functions(corpus_folder, solutions):
    for id, entry in solutions.items():
        progress.record(id, entry["name"], passed=True, source=entry["source"])
    shown = repr(my_program())
    assert "Yours, 18 of the model's 18 exercises: 5.2 expert_width" in shown and "The package's" not in shown
    assert "Yours as well, not part of this model: 2.1 soft_gate" in shown and "Left out" not in shown
    text = program_text()
    for id, entry in solutions.items():
        body = entry["source"].partition("def ")[2].strip()
        assert (f": mine\ndef {body}" in text) == exercises()[id].in_program
    out = run(keep.path(), "--steps", "5")
    assert out.count("equal to 1e-4") == 2 and "NOT" not in out


@pytest.mark.slow
def test_the_command_that_is_shown_runs_it(corpus_folder):
    command = my_program().command
    assert str(keep.path().parent) in command and "!{moe_lite.my_program().command}" in repr(my_program())
    ended = subprocess.run(f"{command} --help", shell=True, capture_output=True, text=True, timeout=600)
    assert ended.returncode == 0 and "--steps" in ended.stdout, ended.stderr


def test_what_is_shown_names_no_place_of_this_machine():
    shown = repr(my_program())
    assert str(keep.path().parent) not in shown and sys.executable not in shown and keep.NAME in shown


@pytest.mark.slow
def test_what_is_wrong_in_the_program_shows_in_its_loss(corpus_folder):
    my_program()
    text = program_text().replace("F.silu(F.linear(x, w_gate))", "F.relu(F.linear(x, w_gate))")
    keep.path().write_text(text, encoding="utf-8")
    assert "NOT equal to 1e-4" in run(keep.path(), "--steps", "5")


@pytest.mark.slow
def test_a_domain_that_is_not_built_is_named(corpus_folder):
    my_program()
    with pytest.raises(AssertionError, match=r"asked for: \['klingon'\]"):
        run(keep.path(), "--domains", "klingon")


# ---- passing -----------------------------------------------------------------------------------------------------


def test_a_pass_puts_the_function_in_and_the_card_says_so(tmp_path):
    said = passes(TOP_K, tmp_path)
    assert said == "Your function is in `my_moe.py` now; `moe_lite.my_program()` says how to run it."
    assert slot("3.2") == f"# 3.2 top_k_route: mine{TOP_K.rstrip()}"
    assert slot("3.1").startswith("# 3.1 router_scores: the package's; yours has not passed yet\ndef router_scores(")
    assert "# 1 of the model's 18 exercises are mine here" in program_text()
    assert trial.trial(program_text()) == ""
    card = lesson03.top_k_route(cell(TOP_K, tmp_path))._repr_html_()
    assert "Your function is in <code>my_moe.py</code> now" in card and "<a " not in card


def test_a_pass_with_settings_of_the_package_says_nothing_of_the_program(tmp_path, capsys):
    answer = """
def from_words(n_experts, top_k):
    import moe_lite
    return moe_lite.ModelConfig(n_experts=n_experts, top_k=top_k, router_bias=True, routed_scale=1 / top_k)
"""
    assert passes(answer, tmp_path, "from_words", lesson09.from_words) == "" and capsys.readouterr().out == ""
    assert "from_words" not in repr(my_program()) and "from_words" not in program_text()


def test_in_the_courses_folder_the_card_leads_to_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(keep, "path", lambda: tmp_path / "my_moe.py")
    monkeypatch.setattr(outline, "ROOT", tmp_path)
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    card = lesson03.top_k_route(cell(TOP_K, tmp_path))._repr_html_()
    assert '<a href="../my_moe.py"><code>my_moe.py</code></a>' in card
    assert 'Path(__file__).resolve().parent / "data"' in (tmp_path / "my_moe.py").read_text(encoding="utf-8")


def test_a_wrong_answer_changes_nothing():
    assert lesson03.top_k_route(lambda scores, k: (scores[:, :k], torch.zeros(len(scores), k).long())).program == ""
    assert not keep.path().exists()


def test_without_the_setting_the_file_lies_in_the_courses_folder(monkeypatch):
    monkeypatch.delenv("MOE_LITE_PROGRESS")
    assert keep.path() == outline.ROOT / "my_moe.py"


# ---- functions that cannot do without something -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            "from moe_lite import routing\ndef top_k_route(scores, k):\n    return routing.top_k_route(scores, k)\n",
            "yours uses `routing` of moe_lite, which this file does without",
        ),
        (
            "def top_k_route(scores, k):\n    from moe_lite.model.routing import top_k_route as theirs\n"
            "    return theirs(scores, k)\n",
            "yours uses `theirs` of moe_lite, which this file does without",
        ),
        (
            "import torch\nones = torch.ones(1)\n" + TOP_K.replace("return", "weights = ones * weights\n    return"),
            "yours passed, but it uses `ones`, which only its notebook has",
        ),
        (
            "import pytest\n" + TOP_K.replace("return", "pytest\n    return"),
            "yours uses `pytest` of pytest; this file imports only torch, numpy and Python's own",
        ),
        (
            "import functools\n" + TOP_K + "top_k_route = functools.partial(top_k_route)\n",
            "yours passed, but its source could not be kept",
        ),
        (
            "from functools import wraps\ndef loud(fn):\n    def louder(*args):\n        return fn(*args)\n"
            "    return louder\n@loud" + TOP_K,
            "yours passed, but it uses `fn`, which only its notebook has",
        ),
    ],
    ids=["a module of ours", "an import inside", "a tensor", "another library", "no source", "a decorator's inside"],
)  # fmt: skip
def test_where_the_learners_function_cannot_stand_the_packages_does_and_it_is_said_why(text, why, tmp_path):
    said = passes(text, tmp_path)
    assert said.startswith(f"`my_moe.py` has the package's function here: {why}")
    assert slot("3.2").startswith(f"# 3.2 top_k_route: the package's; {why}")
    assert "moe_lite" not in "".join(re.findall(r"^\s*(?:import|from) .+", program_text(), re.MULTILINE))
    assert f"The package's, 3.2 top_k_route: {why}" in repr(my_program()) and trial.trial(program_text()) == ""


def test_what_stops_or_differs_in_the_program_is_left_out_and_the_others_stay(tmp_path):
    """Kept text that does not do what the check saw: from an older version, or changed in the progress file."""
    stops = "def router_scores(x, w_router):\n    return x.softmaxx(w_router)\n"
    differs = "def swiglu(x, w_gate, w_up, w_down):\n    return (x @ w_up.T) @ w_down.T\n"
    progress.record("3.1", "router_scores", passed=True, source=stops)
    progress.record("1.2", "swiglu", passed=True, source=differs)
    passes(TOP_K, tmp_path)
    assert "the package's; in this file it stops with AttributeError: 'Tensor' object has no" in slot("3.1")
    assert "the package's; in this file it gives other numbers than the package's" in slot("1.2")
    assert ": mine" in slot("3.2")


@pytest.mark.parametrize("source", ["def top_k_route(:", "x = 1", "1 / 0\ndef top_k_route(scores, k): pass", "", None])
def test_damaged_source_is_left_out(source):
    progress.record("3.2", "top_k_route", passed=True, source=source)
    assert "The package's, 3.2 top_k_route: yours passed, but" in repr(my_program())


# ---- odd sources -----------------------------------------------------------------------------------------------------


ODD = {
    "decorators and helpers": '''
import functools
import torch
import numpy as np
DTYPE = torch.float64
eps = 1e-12

def plain(fn):
    @functools.wraps(fn)
    def inner(*args):
        return fn(*args)
    return inner

def total(kept):
    return kept.sum(dim=-1, keepdim=True) + eps * np.float64(0).item() + 0 * torch.zeros((), dtype=DTYPE).float().item()

@plain
def top_k_route(scores, k):
    """Mine."""
    def best(values):  # a helper inside

        # and a gap
        return values.sort(dim=-1, descending=True, stable=True)
    weights, expert_ids = (t[:, :k] for t in best(scores))
    return weights / total(weights), expert_ids
''',
    "a lambda": """
best = lambda scores, k: tuple(t[:, :k] for t in scores.sort(dim=-1, descending=True, stable=True))
normal = lambda w, i: (w / w.sum(dim=-1, keepdim=True), i)
top_k_route = lambda scores, k: normal(*best(scores, k))
""",
    "another name": TOP_K.replace("top_k_route", "my_route") + "top_k_route = my_route\n",
    "names of the program": TOP_K.replace("scores.sort(", "batch(").replace("batch(dim", "batch(scores, dim")
    + "def batch(scores, **how):\n    return scores.sort(**how)\nlosses = main = 3\n",
    "a text of several lines": TOP_K.replace("    weights, expert_ids = scores", "    assert main('''\na''') == 2\n    weights, expert_ids = scores", 1)  # noqa: E501
    + "def main(text):\n    return len(text)\n",
    "tabs": TOP_K.replace("    ", "\t"),
    "prints": TOP_K.replace("    return", "    print('called')\n    return"),
}  # fmt: skip


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_odd_sources_are_put_in_and_run(text, tmp_path):
    assert passes(text, tmp_path).startswith("Your function is in")
    assert ": mine" in slot("3.2") and trial.trial(program_text()) == ""
    names = _names(program_text())
    weights, expert_ids = names["top_k_route"](torch.tensor([[0.1, 0.6, 0.3]]), 2)
    torch.testing.assert_close((weights, expert_ids), (torch.tensor([[2 / 3, 1 / 3]]), torch.tensor([[1, 2]])))


def test_a_lambda_inside_the_call_of_the_check_is_not_kept_and_it_is_said(tmp_path):
    text = """
from moe_lite.checks import lesson03
RESULT = lesson03.top_k_route(lambda s, k: (s.sort(dim=-1, descending=True, stable=True)[0][:, :k] / s.sort(dim=-1, descending=True, stable=True)[0][:, :k].sum(-1, keepdim=True), s.sort(dim=-1, descending=True, stable=True)[1][:, :k]))
"""  # noqa: E501
    result = cell(text, tmp_path, "RESULT")
    assert result.status == "pass" and "its source could not be kept" in result.program


def test_helpers_that_share_a_name_stay_apart_and_equal_ones_stand_once(tmp_path):
    helper = "def kept(values, k):\n    return values[:, :k]\n"
    other = helper.replace(":k", ":k + 0")
    top_k = TOP_K.replace("weights[:, :k], expert_ids[:, :k]", "kept(weights, k), kept(expert_ids, k)")
    choice = (
        "def expert_choice(scores, capacity):\n    values, ids = scores.t().sort(dim=1, descending=True, stable=True)\n"
        "    return kept(values, capacity), kept(ids, capacity)\n"
    )
    passes(helper + top_k, tmp_path)
    passes(helper + choice, tmp_path, "expert_choice", lesson07.expert_choice)
    assert program_text().count("def kept(") == 1 and "# ---- also mine: not part of this model" in program_text()
    passes(other + choice, tmp_path, "expert_choice", lesson07.expert_choice)
    assert "its `kept` is not the one that stands elsewhere in this file" in slot("7.4")
    assert program_text().count("def kept(") == 2 and "\n    def kept(" in program_text()
    names = _names(program_text())
    assert names["expert_choice"](torch.tensor([[0.2, 0.8], [0.5, 0.5]]), 1)[1].tolist() == [[1], [0]]


def test_a_function_that_uses_another_exercises_is_put_in(tmp_path):
    loop = """
import torch
def combine(out, order, weights):
    y = out.new_zeros(len(weights), out.shape[1])
    return y.index_add(0, order // weights.shape[1], out * weights.flatten()[order, None])
"""
    passes(loop, tmp_path, "combine", lesson04.combine)
    sparse = """
import torch
def sparse_forward(x, weights, expert_ids, gate_up, down):
    order = expert_ids.flatten().argsort(stable=True)
    sizes = torch.bincount(expert_ids.flatten(), minlength=len(down)).tolist()
    out = []
    for rows, g, d in zip(x[order // expert_ids.shape[1]].split(sizes), gate_up, down):
        gate, up = (rows @ g.T).chunk(2, dim=-1)
        out.append((gate * gate.sigmoid() * up) @ d.T)
    return combine(torch.cat(out), order, weights)
"""
    passes(loop + sparse, tmp_path, "sparse_forward", lesson04.sparse_forward)
    assert (
        program_text().count("def combine(") == 1 and "# 4.4 sparse_forward: mine\ndef sparse_forward" in program_text()
    )


def test_what_recall_gives_can_pass_again(tmp_path):
    passes(TOP_K, tmp_path)
    before = program_text()
    fn = recall("3.2", lambda scores, k: None)
    assert lesson03.top_k_route(fn).program.startswith("Your function is in")
    assert program_text() == before


def test_settings_of_the_notebook_do_not_matter_and_stay():
    progress.record("3.2", "top_k_route", passed=True, source=TOP_K)
    torch.set_default_dtype(torch.float64)
    try:
        state = torch.get_rng_state()
        with torch.no_grad():
            my_program()
        assert torch.get_default_dtype() == torch.float64 and torch.equal(torch.get_rng_state(), state)
    finally:
        torch.set_default_dtype(torch.float32)
    assert ": mine" in slot("3.2")


# ---- changed by hand -------------------------------------------------------------------------------------------------


def test_a_file_changed_by_hand_is_kept_under_another_name_when_another_exercise_passes(tmp_path, capsys):
    passes(TOP_K, tmp_path)
    changed = program_text().replace("n_layers: int = 4", "n_layers: int = 2  # faster")
    keep.path().write_text(changed, encoding="utf-8")
    passes(TOP_K, tmp_path)  # nothing new: it stays where it is
    assert program_text() == changed and "You had changed" not in capsys.readouterr().out
    swiglu = "import torch.nn.functional as F\ndef swiglu(x, w_gate, w_up, w_down):\n" \
        "    return (F.silu(x @ w_gate.T) * (x @ w_up.T)) @ w_down.T\n"  # fmt: skip
    passes(swiglu, tmp_path, "swiglu", lesson01.swiglu)
    (aside,) = keep.path().parent.glob("my_moe-*.py")
    assert aside.read_text(encoding="utf-8") == changed and "# faster" not in program_text()
    assert ": mine" in slot("1.2") and f"your file is {aside.name} now" in capsys.readouterr().out
    passes(swiglu.replace("silu", "silu  "), tmp_path, "swiglu", lesson01.swiglu)
    assert len([*keep.path().parent.glob("my_moe*.py")]) == 2  # untouched since: written over


@pytest.mark.parametrize("text", ["", "my own\n", "no sum\n# Written by moe_lite.my_program(); sum 123\n", "\udcff"])
def test_any_other_file_of_that_name_is_kept(text, capsys):
    keep.path().parent.mkdir(parents=True)
    content = text.encode("utf-8", "surrogateescape")
    keep.path().write_bytes(content)
    my_program()
    (aside,) = keep.path().parent.glob("my_moe-*.py")
    assert aside.read_bytes() == content and f"your file is {aside.name} now" in capsys.readouterr().out


def test_what_an_editor_does_to_ends_of_lines_is_no_change(tmp_path):
    my_program()
    keep.path().write_bytes(keep.path().read_bytes().replace(b"\n", b"\r\n").rstrip())
    passes(TOP_K, tmp_path)
    assert [p.name for p in keep.path().parent.glob("*moe*.py")] == ["my_moe.py"] and ": mine" in slot("3.2")


def test_two_changes_in_one_second_have_two_names():
    for text in ("one", "two"):
        my_program()
        keep.path().write_text(text, encoding="utf-8")
    my_program()
    assert {p.read_text(encoding="utf-8") for p in keep.path().parent.glob("my_moe-*.py")} == {"one", "two"}


def test_a_change_that_cannot_be_replaced_stays(monkeypatch, tmp_path, capsys):
    my_program()
    keep.path().write_text("mine", encoding="utf-8")
    replace, calls = os.replace, []

    def fails_once(source, target):
        calls.append(target)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(keep.os, "replace", fails_once)
    my_program()
    assert program_text() == "mine" and "cannot be written" in capsys.readouterr().out
    assert not [p for p in keep.path().parent.iterdir() if p.name not in ("my_moe.py", "my_moe.py.lock")]


# ---- where nothing can be written ------------------------------------------------------------------------------------


def test_a_folder_that_cannot_be_written_is_said_and_the_check_passes(monkeypatch, tmp_path, capsys):
    (tmp_path / "file").touch()
    monkeypatch.setenv("MOE_LITE_PROGRESS", str(tmp_path / "file" / "progress.json"))
    assert "`my_moe.py` cannot be written" in passes(TOP_K, tmp_path)
    assert "my_moe.py cannot be written in" in capsys.readouterr().out
    assert "cannot be written" in repr(my_program())


def test_a_folder_of_that_name_is_said(tmp_path, capsys):
    keep.path().mkdir(parents=True)
    (keep.path() / "inside").touch()
    assert passes(TOP_K, tmp_path)
    assert (keep.path() / "inside").exists() and "Traceback" not in capsys.readouterr().out


def test_whatever_goes_wrong_the_check_goes_on(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(keep, "write", lambda text: 1 / 0)
    assert lesson03.top_k_route(cell(TOP_K, tmp_path)).status == "pass"
    assert "my_moe.py could not be made (ZeroDivisionError" in capsys.readouterr().out
