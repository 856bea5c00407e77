"""The builder on a tiny lesson: what it runs, keeps, writes, compares and refuses (tools/build_notebooks.py)."""

import json
import re
import shutil

import build_notebooks
import nbformat
import pytest
from forked import kernels_of
from lesson_source import LessonError, read_lesson, with_holds
from nbclient import NotebookClient
from nbval_runs import grade_notebook

TINY = """# %% [markdown]
# # 00 · Tiny

# %% tags=["setup"]
import torch
from moe_lite.checks import lesson00 as check, mine

# %% [markdown] tags=["exercise"]
# ### Exercise 0.1 — count
# *5 minutes · core · about 1 line*
#
# <!-- hints 0.1 -->

# %% tags=["stub"]
def expert_load(expert_ids, n_experts):
    ### BEGIN SOLUTION
    return torch.bincount(expert_ids.flatten(), minlength=n_experts)
    ### END SOLUTION

# %% tags=["check"]
check.expert_load(expert_load)

# %% tags=["widget"]
class Widget:
    def _repr_mimebundle_(self, **kwargs):
        return {"application/vnd.jupyter.widget-view+json": {"model_id": "x"}, "text/html": "<b>twin</b>",
                "text/plain": "twin"}

print("not kept")
mine("0.1", expert_load, default=lambda expert_ids, n_experts: None)
Widget()

# %% tags=["holds"]
holds("a widget that says what it is", Widget()._repr_mimebundle_()["text/plain"] == "twin")

# %% tags=["holds", "full"]
holds("trained in full, nobody dies", torch.tensor(True))

# %% tags=["figure"]
from IPython.display import HTML
HTML("<b>drawn</b>")

# %%
import os
print("progress is kept apart:", os.environ["MOE_LITE_PROGRESS"].startswith(os.environ.get("TMPDIR", "/")))
"""
pytestmark = pytest.mark.notebook
STUB, CHECK, WIDGET, FIGURE, PLAIN = 3, 4, 5, 6, 7


@pytest.fixture(scope="module", autouse=True)
def kernels(python):
    with kernels_of(python):
        yield


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder with one built lesson."""
    root = tmp_path_factory.mktemp("course")
    (root / "solutions").mkdir()
    (root / "solutions" / "00_tiny.py").write_text(TINY, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MOE_LITE_CHECKS")
        assert build_notebooks.main([], root) == 0
    return root


@pytest.fixture
def root(built, tmp_path):
    """A copy of that folder, to be changed."""
    return shutil.copytree(built, tmp_path / "course")


def cells(root, folder):
    return nbformat.read(root / folder / "00_tiny.ipynb", as_version=4).cells


def change(root, old, new):
    source = root / "solutions" / "00_tiny.py"
    text = source.read_text(encoding="utf-8")
    assert old in text
    source.write_text(text.replace(old, new), encoding="utf-8")


def test_the_learners_notebook_keeps_pictures_and_nothing_else(built):
    found = cells(built, "notebooks")
    assert [len(cell.get("outputs", [])) for cell in found] == [0, 0, 0, 0, 0, 1, 1, 0]
    assert found[WIDGET].outputs[0].data == {"text/html": "<b>twin</b>", "text/plain": "twin"}
    shown = found[FIGURE].outputs[0].data["text/html"]
    assert re.fullmatch(r"<details><summary>.*</summary><b>drawn</b></details>", shown), "it answers a question: folded"
    counts = [cell.get("execution_count") for cell in found]
    assert counts[WIDGET] and counts[FIGURE], "nbval fails a cell that has outputs and no count"
    assert counts[:WIDGET] == [None] * 5 and counts[PLAIN] is None


def test_the_learners_notebook_shows_no_line_of_the_solution(built):
    text = (built / "notebooks" / "00_tiny.ipynb").read_text(encoding="utf-8")
    assert "bincount(expert_ids.flatten(), minlength=n_experts)" not in text
    assert "SOLUTION" not in text and " pass" not in text


def test_the_solved_notebook_keeps_every_output(built):
    found = cells(built, "solutions")
    assert found[CHECK].outputs[0].data["text/plain"] == "0.1 expert_load: 6 of 6 pass"
    assert "mx-check" in found[CHECK].outputs[0].data["text/html"]
    assert found[CHECK].execution_count == 3
    counts = [cell.execution_count for cell in found if cell.cell_type == "code"]
    assert counts == [1, 2, 3, 4, 5, 6], "counted as if the holds cells were not there"
    assert found[FIGURE].outputs[0].data["text/html"] == "<b>drawn</b>"
    assert found[WIDGET].outputs[1].execution_count == 4 and found[FIGURE].outputs[0].execution_count == 5
    assert [output.output_type for output in found[WIDGET].outputs] == ["stream", "execute_result"]
    assert found[WIDGET].outputs[0].text.splitlines()[1] == "0.1 expert_load: your function is used here."
    assert "application/vnd.jupyter.widget-view+json" not in found[WIDGET].outputs[1].data
    assert found[PLAIN].outputs[0].text == "progress is kept apart: True\n"


def test_nothing_depends_on_the_machine_or_the_time(built):
    for folder in ("notebooks", "solutions"):
        notebook = json.loads((built / folder / "00_tiny.ipynb").read_text(encoding="utf-8"))
        assert notebook["metadata"]["language_info"] == {"name": "python"}
        assert "widgets" not in notebook["metadata"]
        assert all("execution" not in cell["metadata"] for cell in notebook["cells"])
        assert str(built) not in json.dumps(notebook)


def test_a_rebuild_changes_no_byte_and_check_finds_nothing(root, monkeypatch, capsys):
    monkeypatch.delenv("MOE_LITE_CHECKS")
    before, rebuilt, compare = texts(root), {}, build_notebooks.compare
    monkeypatch.setattr(build_notebooks, "compare", lambda found, root: rebuilt.update(found) or compare(found, root))
    assert build_notebooks.main(["--check", "--only", "00"], root) == 0
    assert "nothing differs" in capsys.readouterr().err
    assert rebuilt == before and len(before) == 2
    assert texts(root) == before


def texts(root):
    """What a build would write, if nothing but the files has changed since."""
    return {path: path.read_text(encoding="utf-8") for path in root.glob("*/*.ipynb")}


@pytest.mark.parametrize("folder", ["notebooks", "solutions"])
def test_a_change_by_hand_is_shown_as_a_diff(root, folder, capsys):
    rebuilt, path = texts(root), root / folder / "00_tiny.ipynb"
    path.write_text(rebuilt[path].replace("# 00 · Tiny", "# 00 · Edited"), encoding="utf-8")
    assert build_notebooks.compare(rebuilt, root) == 1
    said = capsys.readouterr().err
    assert f"--- {folder}/00_tiny.ipynb as it is" in said
    assert "-# 00 · Edited" in said and "+# 00 · Tiny" in said
    assert "00 · Edited" in path.read_text(encoding="utf-8"), "comparing wrote something"


@pytest.mark.parametrize(
    "old, new, said",
    [
        ("6 of 6 pass", "5 of 5 pass", "-[1 outputs] 0.1 expert_load: 5 of 5 pass"),
        ('"id": "stub-0-1"', '"id": "other"', "---- code other {'tags': ['stub']}"),
        ('"name": "python3"', '"name": "python2"', "python2"),
        ('"nbval-check-output"', '"x"', "['check', 'x']"),
    ],
)
def test_other_check_texts_ids_tags_and_metadata_are_differences(root, old, new, said, capsys):
    rebuilt, path = texts(root), root / "solutions" / "00_tiny.ipynb"
    assert old in rebuilt[path]
    path.write_text(rebuilt[path].replace(old, new), encoding="utf-8")
    assert build_notebooks.compare(rebuilt, root) == 1
    assert said in capsys.readouterr().err


def test_other_timings_and_pictures_are_no_difference(root, capsys):
    rebuilt, path = texts(root), root / "solutions" / "00_tiny.ipynb"
    path.write_text(rebuilt[path].replace("progress is kept apart: True", "0.3 seconds"), encoding="utf-8")
    assert build_notebooks.compare(rebuilt, root) == 0
    assert "nothing differs" in capsys.readouterr().err


def test_a_missing_notebook_is_a_difference(root, capsys):
    rebuilt = texts(root)
    (root / "notebooks" / "00_tiny.ipynb").unlink()
    assert build_notebooks.compare(rebuilt, root) == 1
    assert "notebooks/00_tiny.ipynb is missing" in capsys.readouterr().err


def test_a_notebook_that_is_too_large_is_refused(root):
    notebook = nbformat.read(root / "notebooks" / "00_tiny.ipynb", as_version=4)
    notebook.cells[0].source = "x" * 400_000
    with pytest.raises(LessonError, match=r"notebooks/00_tiny.ipynb has 40\d,\d{3} bytes; at most 400,000"):
        build_notebooks.written(notebook, root / "notebooks" / "00_tiny.ipynb")
    assert build_notebooks.written(notebook, root / "solutions" / "00_tiny.ipynb")


@pytest.mark.parametrize(
    "old, new, said",
    [
        ('print("not kept")', "expert_load(torch.zeros(1, 1).long(), 1)", "unsolved, it raises NotImplementedError"),
        (
            '["text/plain"] == "twin")',
            '["text/plain"] == "lone")',
            "00_tiny.py, line 34 (cell holds-a-widget-that-says-what-it-is): it does not hold: a widget that says what",
        ),
        (
            'Widget()._repr_mimebundle_()["text/plain"]',
            "gone",
            "00_tiny.py, line 34 (cell holds-a-widget-that-says-what-it-is): "
            "`holds('a widget that says what it is', gone == 'twin')` raises NameError: name 'gone' is not defined",
        ),
    ],
    ids=["error", "claims too much", "raises"],
)
def test_a_lesson_that_does_not_hold_is_refused_and_nothing_is_written(root, old, new, said, capsys):
    before = texts(root)
    change(root, old, new)
    assert build_notebooks.main([], root) == 1
    assert said in capsys.readouterr().err
    assert texts(root) == before


@pytest.mark.parametrize(
    "cell, old, new, said",
    [
        (CHECK, "6 of 6 pass", "3 of 6 pass", r"\(cell check-0-1\): the solution does not pass its check: 0.1 "),
        (WIDGET, "text/html", "text/x", r"line 23 \(cell \w+\): a widget without a static picture"),
    ],
    ids=["wrong solution", "no twin"],
)
def test_a_run_that_does_not_show_what_it_should_is_refused(built, cell, old, new, said):
    notebook = nbformat.from_dict(json.loads(json.dumps({"cells": cells(built, "solutions")}).replace(old, new)))
    assert notebook.cells[cell] != cells(built, "solutions")[cell]
    with pytest.raises(LessonError, match=said):
        build_notebooks.kept(notebook, read_lesson(built / "solutions" / "00_tiny.py"), "solved")


def test_a_number_without_a_lesson_is_said(root, capsys):
    assert build_notebooks.main(["--only", "42"], root) == 1
    assert "no source solutions/42_*.py" in capsys.readouterr().err


def test_nbval_fails_the_open_exercise_with_its_short_message_and_nothing_else(root, python):
    graded = grade_notebook(root / "notebooks" / "00_tiny.ipynb", root, python)
    assert graded.failed == ["check-0-1"]
    assert len(graded.passed) == 5
    assert "0.1 expert_load: not attempted yet" in graded.output
    assert "moe_lite/checks" not in graded.output, "a traceback of ours"


HOLDS = "holds-a-widget-that-says-what-it-is"


def test_no_reader_gets_the_holds_cells(built):
    for folder in ("notebooks", "solutions"):
        assert "holds" not in (built / folder / "00_tiny.ipynb").read_text(encoding="utf-8")
        assert len(cells(built, folder)) == 8


def test_nbval_fails_a_check_that_says_something_else_and_a_sentence_that_does_not_hold_and_nothing_else(root, python):
    """Of two sentences in a row the one; the one about trainings is left out where they are cut short."""
    change(root, 'holds("a widget', 'holds("always", True)\nholds("a widget')
    change(root, '["text/plain"] == "twin")', '["text/plain"] == "lone")')
    path = root / "solutions" / "00_tiny.ipynb"
    path.write_text(path.read_text(encoding="utf-8").replace("6 of 6 pass", "5 of 5 pass"), encoding="utf-8")
    held = with_holds(nbformat.read(path, as_version=4), read_lesson(root / "solutions" / "00_tiny.py"))
    nbformat.write(held, path)
    graded = grade_notebook(path, root, python)
    assert graded.failed == ["check-0-1", "holds-always"] and len(graded.passed) == 5
    assert "00_tiny.py, line 35 (cell holds-always): it does not hold: a widget that says what it is" in graded.output
    assert "does not hold: always" not in graded.output and "moe_lite/checks" not in graded.output


@pytest.mark.parametrize(
    ("budget", "expected"), [("ci", [HOLDS]), ("normal", [HOLDS, "holds-trained-in-full-nobody-dies"])]
)
def test_what_is_held_of_trainings_is_left_out_where_they_are_cut_short(budget, expected, root, monkeypatch):
    monkeypatch.setenv("MOE_LITE_BUDGET", budget)
    solved = nbformat.read(root / "solutions" / "00_tiny.ipynb", as_version=4)
    held = with_holds(solved, read_lesson(root / "solutions" / "00_tiny.py"))
    ids = [cell.id for cell in held.cells]
    assert ids[WIDGET + 1 : WIDGET + 1 + len(expected)] == expected
    assert [id for id in ids if id not in expected] == [cell.id for cell in solved.cells]


def test_a_holds_cell_behind_a_cell_that_the_notebook_does_not_have_is_named(root):
    change(root, 'print("not kept")', 'print("kept?")')
    solved = nbformat.read(root / "solutions" / "00_tiny.ipynb", as_version=4)
    with pytest.raises(LessonError, match=rf"\(cell {HOLDS}\): the notebook has no cell \w+ for it to stand behind"):
        with_holds(solved, read_lesson(root / "solutions" / "00_tiny.py"))


@pytest.mark.parametrize(("client", "kept"), [(build_notebooks.AsFirstShown, "first"), (NotebookClient, "last")])
def test_a_learners_output_stays_as_its_cell_showed_it(client, kept):
    """What a later cell makes of it would give the answer away; in the solved notebook it is wanted."""
    texts = (
        "shown = display({'text/plain': 'first'}, raw=True, display_id=True)",
        "shown.update({'text/plain': 'last'}, raw=True)",
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in texts])
    client(notebook, kernel_manager_class=build_notebooks.ThisPython).execute()
    assert notebook.cells[0].outputs[0].data["text/plain"] == kept
