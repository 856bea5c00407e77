"""Ways on when stuck: reset, skip, start_again; nothing that a learner wrote is lost (moe_lite/checks/unstuck.py)."""

import os
import re
import types

import nbformat
import pytest
from lesson_source import learner_notebook
from lesson_texts import stub_cells

import moe_lite
from moe_lite.checks import unstuck
from moe_lite.checks.lesson_cells import cover_figure, keeps_pictures, pictures
from moe_lite.checks.registry import exercises
from moe_lite.course import outline, progress

WRITTEN = [lesson for lesson in outline.lessons() if lesson.written]


@pytest.fixture(autouse=True)
def in_a_notebook(monkeypatch, tmp_path):
    monkeypatch.setenv("MOE_LITE_PROGRESS", str(tmp_path / "kept" / "progress.json"))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))  # where signatures are kept
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)


@pytest.fixture
def shell(monkeypatch):
    """Stands in for IPython: remembers what the next input shall be."""

    class Shell:
        def run(self, cell: str, work):
            self.history_manager.input_hist_raw.append(cell)
            return work()

        def set_next_input(self, text, replace=False):
            self.next = (text, replace)

    made = Shell()
    made.history_manager = types.SimpleNamespace(input_hist_raw=["", "import moe_lite"])
    monkeypatch.setattr(unstuck, "_shell", lambda: made)
    return made


# ---- reset -----------------------------------------------------------------------------------------------------------


def test_outside_a_notebook_reset_prints_the_stub(capsys, monkeypatch):
    monkeypatch.setattr(unstuck, "_shell", lambda: None)
    moe_lite.reset("3.1")
    assert capsys.readouterr().out == (
        "def router_scores(x: torch.Tensor, w_router: torch.Tensor) -> torch.Tensor:\n"
        '    """How much each token would like each expert.\n\n'
        "    x (N, D), w_router (E, D) -> scores (N, E) float32, rows summing to 1\n"
        '    """\n'
        '    raise NotImplementedError("exercise 3.1: write your code here")\n'
    )


def test_every_stub_is_the_text_of_the_notebook():
    built = stub_cells(learner_notebook)
    assert len(built) == len([e for e in exercises().values() if e.lesson in {le.number for le in WRITTEN}]) >= 6
    assert {id: unstuck.stub_text(id) for id in built} == built
    assert unstuck.stub_text("0.1").endswith("    return expert_ids.unique(return_counts=True)[1]"), (
        "a draft is the stub"
    )


def test_in_a_notebook_the_cell_becomes_the_stub(shell, capsys):
    shell.run('import moe_lite\nmoe_lite.reset("3.2")  # again', lambda: moe_lite.reset("3.2"))
    assert shell.next == (unstuck.stub_text("3.2"), True)
    said, shown = capsys.readouterr().out.split("put this in:\n\n")  # for programs that do not change the cell
    assert said.startswith("3.2 top_k_route is as it was at first. Run the cell, then its check.\n")
    assert shown == unstuck.stub_text("3.2") + "\n"


def test_what_else_stood_in_the_cell_is_shown(shell, capsys):
    shell.run('def mine():\n    return 1\nreset("3.2")', lambda: moe_lite.reset("3.2"))
    assert capsys.readouterr().out.endswith("What else stood in this cell:\n\ndef mine():\n    return 1\n")


def test_reset_takes_back_a_skip_and_keeps_a_pass(capsys):
    progress.skip("3.2", "top_k_route")
    progress.record("3.1", "router_scores", passed=True, source="def router_scores(x, w): ...")
    moe_lite.reset("3.2")
    moe_lite.reset(" 3.1 ")
    assert progress.exercises() == {
        "3.1": {"name": "router_scores", "status": "pass", "source": "def router_scores(x, w): ..."}
    }


@pytest.mark.parametrize("call", [unstuck.reset, unstuck.skip])
@pytest.mark.parametrize(
    "wrong, said",
    [
        ("3.9", r"there is no exercise '3.9'; near it are (3.\d \w+(, )?)+\.$"),
        ("3", r"near it are 3.1 router_scores, 3.2 top_k_route, "),
        ("top_k_rout", r"near it are 3.2 top_k_route, 8.4 top_k_without\.$"),
        ("zzz", r"there is no exercise 'zzz'; there are 0.1 expert_load, "),
        ("", r"there is no exercise ''; there are 0.1 expert_load, "),
        (3.2, r'an exercise is named by text in quotes, such as "3.2"; got 3.2\.$'),
        (None, r"in quotes, such as \"3.2\"; got None"),
    ],
)
def test_an_exercise_that_does_not_exist_is_refused_and_the_nearest_are_named(call, wrong, said):
    with pytest.raises(ValueError, match=said) as caught:
        call(wrong)
    assert caught.value._render_traceback_() == [str(caught.value)], "no traceback in a notebook"
    assert not progress.path().exists()


def test_an_exercise_of_a_lesson_without_a_source_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(outline, "ROOT", tmp_path)
    with pytest.raises(ValueError, match="lesson 03, The router, is not written yet; there are: none"):
        moe_lite.reset("3.2")
    (tmp_path / "solutions").mkdir()
    (tmp_path / "solutions" / "03_router.py").write_text("# %%\n1\n")
    with pytest.raises(ValueError, match="exercise 3.2 has a check, but no cell in its lesson yet"):
        moe_lite.reset("3.2")
    (tmp_path / "solutions" / "03_router.py").write_text("1\n")
    with pytest.raises(ValueError, match="the source of lesson 03 cannot be read: 03_router.py, line 1"):
        moe_lite.reset("3.2")


# ---- skip ------------------------------------------------------------------------------------------------------------


def test_skip_is_noted_and_says_what_it_means(capsys):
    moe_lite.skip("3.2")
    assert progress.exercises()["3.2"] == {"name": "top_k_route", "status": "skipped"}
    assert capsys.readouterr().out == (
        "3.2 top_k_route is skipped; cells that need it use the package's function. Passing its check undoes this.\n"
    )


def test_what_has_passed_cannot_be_skipped(capsys):
    progress.record("3.2", "top_k_route", passed=True, source=None)
    moe_lite.skip("3.2")
    assert progress.exercises()["3.2"]["status"] == "pass"
    assert capsys.readouterr().out == "3.2 top_k_route has passed already; there is nothing to skip.\n"


def test_a_skip_that_cannot_be_noted_says_so(capsys):
    progress.path().mkdir(parents=True)
    moe_lite.skip("3.2")
    assert (
        "the skip could not be noted. Later cells use the package's function all the same." in capsys.readouterr().out
    )


# ---- start_again -----------------------------------------------------------------------------------------------------

WORK = "def top_k_route(scores, k):\n    return 'hours of work'"


@pytest.fixture
def folder(tmp_path):
    """A folder with a learner's notebook of lesson 03: one solved stub, one cell of their own."""
    (tmp_path / "notebooks").mkdir()
    notebook = learner_notebook(unstuck._cells(outline.lesson(3)))
    next(cell for cell in notebook.cells if cell.id == "stub-3-2").source = WORK
    notebook.cells.append(nbformat.v4.new_code_cell("moe_lite.start_again(3)"))
    nbformat.write(notebook, tmp_path / "notebooks" / "03_router.ipynb")
    return tmp_path / "notebooks"


def read(path):
    return nbformat.read(path, as_version=4)


def old_ones(folder):
    return sorted(path for path in folder.iterdir() if re.fullmatch(r"03_router-[\d-]+\.ipynb", path.name))


def test_a_fresh_copy_takes_the_place_and_the_old_one_lies_beside_it(folder, capsys):
    before = (folder / "03_router.ipynb").read_bytes()
    progress.record("3.2", "top_k_route", passed=True, source=WORK)
    moe_lite.start_again(3, folder=str(folder))
    (old,) = old_ones(folder)
    assert old.read_bytes() == before
    assert re.fullmatch(r"03_router-\d{4}-\d\d-\d\d-\d{6}\.ipynb", old.name)
    fresh = read(folder / "03_router.ipynb")
    expected = learner_notebook(unstuck._cells(outline.lesson(3)))
    assert [(c.id, c.source, c.metadata) for c in fresh.cells] == [(c.id, c.source, c.metadata) for c in expected.cells]
    assert progress.exercises()["3.2"] == {"name": "top_k_route", "status": "pass", "source": WORK}
    assert capsys.readouterr().out == (
        f"03_router.ipynb is a fresh copy. In JupyterLab: {unstuck.RELOAD}, then run its cells from the top.\n"
        f"Your old one is {old.name}, in the same folder; delete it when you do not need it any more.\n"
        "Exercises that passed stay passed.\n"
    )
    assert len(list(folder.iterdir())) == 2, "nothing else is left behind"


def test_three_times_in_one_second_every_old_one_is_kept(folder):
    texts = set()
    for number in range(3):
        notebook = read(folder / "03_router.ipynb")
        notebook.cells[0].source = f"my version {number}"
        nbformat.write(notebook, folder / "03_router.ipynb")
        texts.add((folder / "03_router.ipynb").read_bytes())
        moe_lite.start_again(3, folder=folder)
    assert {path.read_bytes() for path in old_ones(folder)} == texts and len(texts) == 3


def test_pictures_stay_and_checks_have_no_output(folder):
    solved = read(outline.ROOT / "solutions" / "03_router.ipynb")
    moe_lite.start_again(3, folder=folder)
    fresh = {cell.id: cell for cell in read(folder / "03_router.ipynb").cells if cell.cell_type == "code"}
    drawn = [cell for cell in solved.cells if keeps_pictures(cell) and fresh[cell.id].source == cell.source]
    assert drawn or all(cell.id not in fresh for cell in solved.cells if keeps_pictures(cell))
    for cell in drawn:
        folded = "figure" in cell.metadata.tags
        cover_figure(cell)
        assert fresh[cell.id].outputs == pictures(cell) != []
        assert fresh[cell.id].outputs[0].data["text/html"].startswith("<details><summary>") == folded
        assert fresh[cell.id].execution_count == cell.execution_count
    others = [cell for id, cell in fresh.items() if id not in {cell.id for cell in drawn}]
    assert len(others) > 10 and not any(cell.outputs or cell.execution_count for cell in others)


def test_a_picture_of_a_cell_that_has_changed_is_left_out(monkeypatch, tmp_path):
    source = '# %% tags=["diagram"]\nplot(1)\n\n# %% tags=["diagram"]\nplot(2)\n'
    (tmp_path / "solutions").mkdir()
    (tmp_path / "solutions" / "03_router.py").write_text(source)
    monkeypatch.setattr(outline, "ROOT", tmp_path)
    lesson = outline.lesson(3)
    solved = learner_notebook(unstuck._cells(lesson))
    picture = nbformat.v4.new_output("display_data", data={"text/html": "<b>1</b>"})
    for cell in solved.cells:
        cell.outputs = [nbformat.v4.new_output("stream", text="said"), picture]
        cell.execution_count = 7
    solved.cells[1].source = "plot(3)"
    nbformat.write(solved, tmp_path / "solutions" / "03_router.ipynb")
    first, second = unstuck.fresh_notebook(lesson).cells
    assert (first.outputs, first.execution_count) == ([picture], 7)
    assert (second.outputs, second.execution_count) == ([], None)
    (tmp_path / "solutions" / "03_router.ipynb").write_text("{")
    assert [cell.outputs for cell in unstuck.fresh_notebook(lesson).cells] == [[], []]


def test_the_copy_is_trusted_so_that_its_pictures_show(folder):
    moe_lite.start_again(3, folder=folder)
    assert nbformat.sign.NotebookNotary().check_signature(read(folder / "03_router.ipynb"))


def test_a_copy_that_cannot_be_signed_is_there_all_the_same(folder, monkeypatch, capsys):
    def fail(self, notebook):
        raise OSError("no database")

    monkeypatch.setattr("nbformat.sign.NotebookNotary.sign", fail)
    moe_lite.start_again(3, folder=folder)
    assert WORK not in (folder / "03_router.ipynb").read_text() and len(old_ones(folder)) == 1
    assert "could not be signed (OSError): its pictures show once their cells have run" in capsys.readouterr().out


def test_a_damaged_or_missing_notebook_is_no_obstacle(folder, capsys):
    (folder / "03_router.ipynb").write_text("{ half a file")
    moe_lite.start_again(3, folder=folder)
    assert [path.read_text() for path in old_ones(folder)] == ["{ half a file"]
    (folder / "03_router.ipynb").unlink()
    capsys.readouterr()
    moe_lite.start_again(3, folder=folder)
    assert len(read(folder / "03_router.ipynb").cells) > 40 and len(old_ones(folder)) == 1
    assert "old one" not in capsys.readouterr().out


def test_the_old_one_is_written_before_anything_is_replaced(folder, monkeypatch):
    before = (folder / "03_router.ipynb").read_bytes()

    def fail(*paths):
        assert [path.read_bytes() for path in old_ones(folder)] == [before]
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(
        ValueError, match=r"cannot be written to \(No space left on device\); 03_router.ipynb is as it was"
    ):
        moe_lite.start_again(3, folder=folder)
    assert (folder / "03_router.ipynb").read_bytes() == before


def test_what_is_not_saved_yet_is_not_replaced(folder, shell, monkeypatch, capsys):
    before = (folder / "03_router.ipynb").read_bytes()
    monkeypatch.setenv("JPY_SESSION_NAME", str(folder / "03_router.ipynb"))
    shell.run("moe_lite.start_again(3)  # just typed", lambda: moe_lite.start_again(3, folder=folder))
    assert (folder / "03_router.ipynb").read_bytes() == before and old_ones(folder) == []
    assert capsys.readouterr().out == (
        "What you see is newer than 03_router.ipynb on disk, so nothing was changed.\n"
        "Save it (Ctrl+S, on a Mac ⌘S), then run this cell again.\n"
    )
    shell.run("moe_lite.start_again(3)", lambda: moe_lite.start_again(3, folder=folder))
    assert len(old_ones(folder)) == 1, "the cell that runs is in the file, so the file is what is seen"


def test_another_lessons_notebook_may_start_this_one_again(folder, shell, monkeypatch):
    monkeypatch.setenv("JPY_SESSION_NAME", str(folder / "05_moe_language_model.ipynb"))
    shell.run("moe_lite.start_again(3)  # just typed", lambda: moe_lite.start_again(3, folder=folder))
    assert len(old_ones(folder)) == 1


@pytest.mark.parametrize(
    "number, said",
    [
        (17, "lessons are whole numbers from 0 to 16"),
        ("3", "lesson is '3'; lessons are whole numbers"),
        ("3.2", "whole numbers"),
        (3.0, "whole numbers"),
        (
            next((le.number for le in outline.lessons() if not le.written), 99),
            "is not written yet; there are: 00, |whole",
        ),
    ],
)
def test_a_lesson_that_does_not_exist_is_refused(number, said, folder):
    with pytest.raises(ValueError, match=said):
        moe_lite.start_again(number, folder=folder)
    assert [path.name for path in folder.iterdir()] == ["03_router.ipynb"]


def test_a_folder_that_does_not_exist_is_said(tmp_path):
    with pytest.raises(ValueError, match="there is no folder .*nowhere; `folder` is where 03_router.ipynb lies"):
        moe_lite.start_again(3, folder=tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


# ---- in a real JupyterLab --------------------------------------------------------------------------------------------

SOURCES = """() => [...document.querySelectorAll('.jp-NotebookPanel:not(.lm-mod-hidden) .jp-CodeCell')]
  .map(cell => [...cell.querySelectorAll('.cm-line')].map(line => line.textContent).join('\\n'))"""


def test_in_jupyterlab_a_cell_becomes_its_stub_a_link_opens_a_lesson_and_a_fresh_copy_is_reloaded(lab):
    typed = [
        "import moe_lite",
        "x = 1\nmoe_lite.reset('3.2')",
        "moe_lite.progress(3)",
        "moe_lite.start_again(3, folder='.')",
        WORK,
    ]
    lab.write("03_router.ipynb", *typed)
    lab.write("00_start_here.ipynb", "1")
    lab.open("03_router.ipynb")
    lab.run_all()
    assert lab.page.evaluate(SOURCES)[1] == unstuck.stub_text("3.2")
    assert [cell.source for cell in read(*old_ones(lab.folder)).cells] == typed

    lab.page.locator(".mx-map a", has_text="Start here").click()
    lab.page.wait_for_selector(".lm-TabBar-tabLabel:has-text('00_start_here.ipynb')")
    lab.page.locator(".lm-TabBar-tabLabel", has_text="03_router.ipynb").click()
    lab.page.locator(".lm-MenuBar-itemLabel", has_text="File").first.click()
    lab.page.locator(".lm-Menu-itemLabel", has_text="Reload Notebook from Disk").first.click()
    lab.page.locator(".jp-Dialog button.jp-mod-accept, .jp-Dialog button.jp-mod-warn").last.click()
    lab.page.wait_for_function(f"() => ({SOURCES})()[0]?.startsWith('from moe_lite.checkpoint')")
    assert WORK not in lab.page.evaluate(SOURCES)
    assert lab.errors == []
