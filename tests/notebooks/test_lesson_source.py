"""From a lesson's source to the cells of both notebooks; nothing is run here (lesson_cells.py, lesson_source.py)."""

import re
from pathlib import Path

import jupytext
import lesson_texts
import pytest
from lesson_source import LessonError, learner_notebook, read_lesson, solved_notebook, with_holds, without_holds

from moe_lite.checks.lesson_cells import ANSWERED, COVER, badged, covered, next_words, read_cells
from moe_lite.checks.registry import exercises
from moe_lite.course import outline
from moe_lite.look import palette

TINY = '''# %% [markdown]
# # 00 · Tiny
#
# A line with `### BEGIN SOLUTION` inside it stays.

# %% tags=["setup"]
from moe_lite.checks import lesson00 as check

# %% [markdown] tags=["exercise"]
# ### Exercise 0.1 — count
# *5 minutes · core · about 1 line*
#
# <!-- hints 0.1 -->

# %% tags=["stub"]
def expert_load(expert_ids, n_experts):
    """Count."""
    if n_experts:
        ### BEGIN SOLUTION
        total = 3
        return total
        ### END SOLUTION
    return 0

# %% tags=["check"]
check.expert_load(expert_load)

# %%
1 + 1

# %%
1 + 1
'''
DRAFT = """        ### BEGIN DRAFT
        # a = 1  # one
        #     b = 2
        # return a
        ### END DRAFT
"""


@pytest.fixture
def lesson(tmp_path):
    def write(text: str, name: str = "00_tiny.py") -> Path:
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path / name

    return write


def sources(notebook):
    return [cell.source for cell in notebook.cells]


def test_a_solution_becomes_a_stub_with_its_indentation(lesson):
    stub = learner_notebook(read_lesson(lesson(TINY))).cells[3].source
    assert stub.splitlines() == [
        "def expert_load(expert_ids, n_experts):",
        '    """Count."""',
        "    if n_experts:",
        '        raise NotImplementedError("exercise 0.1: write your code here")',
        "    return 0",
    ]


def test_a_solved_notebook_has_the_solution_without_its_marks(lesson):
    solved = solved_notebook(read_lesson(lesson(TINY))).cells[3].source
    assert "        total = 3\n        return total\n    return 0" in solved
    assert "###" not in solved


def test_a_draft_takes_the_place_of_the_stub_and_leaves_the_solved_notebook(lesson):
    cells = read_lesson(lesson(TINY.replace("        ### BEGIN SOLUTION", DRAFT + "        ### BEGIN SOLUTION")))
    stub, solved = learner_notebook(cells).cells[3].source, solved_notebook(cells).cells[3].source
    assert "        a = 1  # one\n            b = 2\n        return a\n    return 0" in stub
    assert "NotImplementedError" not in stub and "total" not in stub
    assert "b = 2" not in solved and "total = 3" in solved


def test_hints_come_from_the_check(lesson):
    for notebook in (learner_notebook, solved_notebook):
        task = notebook(read_lesson(lesson(TINY))).cells[2].source
        assert task.count("<details><summary>Hint") == 2 and "<!--" not in task
        assert "Start from E zeros" in task and "Start from E zeros" in exercises()["0.1"].hints[0]
        assert "<code>minlength=</code>" in task


def test_what_is_next_comes_from_the_outline(lesson, monkeypatch):
    text = "# %% [markdown]\n# The end.\n#\n# <!-- next -->\n"
    cells = read_lesson(lesson(TINY + "\n" + text))
    for notebook in (learner_notebook, solved_notebook):
        assert notebook(cells).cells[-1].source == (
            "The end.\n\n**Next question:** What does it cost when every parameter works on every token? "
            "That is [lesson 01, *A dense baseline*](01_dense_baseline.ipynb). "
            "(On the short path, go on with [lesson 03, *The router*](03_router.ipynb).)"
        )
    monkeypatch.setattr(outline.Lesson, "written", False)
    assert next_words(5).endswith(
        "That is lesson 06, *Collapse and the balancing loss*, which is planned and not written yet."
    )
    assert next_words(16) == "That was the last lesson."
    with pytest.raises(outline.CourseError):
        next_words(99)


def test_check_cells_are_compared_by_nbval_in_the_solved_notebook_only(lesson):
    cells = read_lesson(lesson(TINY))
    assert learner_notebook(cells).cells[4].metadata == {"tags": ["check"]}
    assert solved_notebook(cells).cells[4].metadata == {"tags": ["check", "nbval-check-output"]}
    assert learner_notebook(cells).cells[5].metadata == {}


def test_both_notebooks_have_the_same_ids_each_once(lesson):
    cells = read_lesson(lesson(TINY))
    ids = [cell.id for cell in learner_notebook(cells).cells]
    assert ids == [cell.id for cell in solved_notebook(cells).cells]
    assert len(set(ids)) == len(ids) == 7
    assert ids[2:5] == ["exercise-0-1", "stub-0-1", "check-0-1"]


def test_a_cell_keeps_its_id_when_another_comes_before_it(lesson):
    before = {c.text: c.id for c in read_lesson(lesson(TINY))}
    after = {c.text: c.id for c in read_lesson(lesson("# %%\n2 + 2\n\n" + TINY))}
    assert {text: after[text] for text in before} == before


def test_notebooks_carry_the_least_metadata(lesson):
    for build in (learner_notebook, solved_notebook):
        notebook = build(read_lesson(lesson(TINY)))
        assert notebook.metadata == {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
        assert notebook.nbformat == 4 and notebook.nbformat_minor >= 5


@pytest.mark.parametrize(
    "old, new, line, said",
    [
        ("### END SOLUTION", "", 15, "`### END SOLUTION` is missing"),
        ("### BEGIN SOLUTION\n        total", "total", 15, "does not fit; open so far: nothing"),
        ("        total = 3", "        ### BEGIN DRAFT", 15, "open so far: SOLUTION"),
        ('tags=["stub"]', 'tags=["stubb"]', 15, "unknown tag stubb"),
        ('# %% tags=["stub"]', "# %%", 15, "if, and only if, it is tagged stub"),
        ("check.expert_load(expert_load)", "check.expert_load(1)", 25, "should be `check.expert_load(expert_load)`"),
        ("def expert_load(", "def load(", 15, "should define `expert_load`"),
        (
            "# <!-- hints 0.1 -->",
            "# <details><summary>Hint 1</summary>Mine.</details>",
            9,
            "hints come from the check",
        ),
        ("# <!-- hints 0.1 -->", "# <!-- hints 3.2 -->", 9, "hints come from the check"),
        ("*5 minutes", "*7 minutes", 9, "*5 minutes · core · about 1 line*"),
        ("Exercise 0.1 —", "Exercise 0.9 —", 9, "no `### Exercise N.N — title`"),
    ],
)
def test_a_slip_in_the_source_is_named_with_file_and_line(lesson, old, new, line, said):
    assert old in TINY
    with pytest.raises(LessonError) as caught:
        read_lesson(lesson(TINY.replace(old, new, 1)))
    assert str(caught.value).startswith(f"00_tiny.py, line {line} (cell ")
    assert said in str(caught.value)


def test_an_exercise_that_has_a_check_and_no_cells_is_missed(lesson):
    text = TINY.split("# %% [markdown] tags")[0]
    with pytest.raises(LessonError, match="expected exercise, stub and check of 0.1"):
        read_lesson(lesson(text))
    with pytest.raises(LessonError, match=r"of 3.1, 3.2, 3.3, 3.4, 3.5"):
        read_lesson(lesson(TINY, "03_tiny.py"))


def test_a_source_that_does_not_begin_with_a_cell_is_refused(lesson):
    with pytest.raises(LessonError, match="begin with `# %%`"):
        read_lesson(lesson("import torch\n" + TINY))


HOLDS = '# %% tags=["holds"]\n_twice = 2 * total\nholds("twice the total is 6", _twice == 6)\n'


def test_a_holds_cell_is_in_neither_notebook_and_changes_no_id(lesson):
    without = read_lesson(lesson(TINY))
    cells = read_lesson(lesson(TINY + "\n" + HOLDS))
    assert (cells[-1].id, cells[-1].tags) == ("holds-twice-the-total-is-6", ("holds",))
    for build in (learner_notebook, solved_notebook):
        assert [cell.id for cell in build(cells).cells] == [cell.id for cell in without]
    assert with_holds(solved_notebook(cells), cells).cells[-1].id == cells[-1].id
    assert without_holds(with_holds(solved_notebook(cells), cells)).cells == solved_notebook(cells).cells


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('["holds"]', '["holds", "figure"]', 'tags=["holds"] or tags=["holds", "full"]'),
        ('["holds"]', '["full"]', 'tags=["holds"] or tags=["holds", "full"]'),
        ("holds(", "print(", "calls holds("),
        ("_twice ==", "_twice = (", "this is no Python"),
        ("_twice = ", "total = _twice = ", "gives the name total; its own names begin with _"),
        ("_twice = ", "import math; _twice = ", "gives the name math"),
        ("_twice = ", "def f(): pass\n_twice = ", "gives the name f"),
        ("_twice = ", "[last := n for n in range(3)]; _twice = ", "gives the name last"),
        ("_twice = ", "total[0] = 1; _twice = ", "changes something of the lesson (`total[0]`)"),
        ("_twice = ", "model.width += 1; _twice = ", "changes something of the lesson (`model.width`)"),
        ("2 * total", "total.mul_(2)", "changes something of the lesson (`total.mul_`)"),
        ("_twice = ", "def _f():\n    global total\n_twice = ", "changes something of the lesson (`global`)"),
    ],
)
def test_a_holds_cell_that_could_change_the_lesson_is_refused(old, new, said, lesson):
    assert old in HOLDS
    with pytest.raises(LessonError) as caught:
        read_lesson(lesson(TINY + "\n" + HOLDS.replace(old, new, 1)))
    assert str(caught.value).startswith("00_tiny.py, line 34 (cell ") and said in str(caught.value)


def test_a_holds_cell_may_count_over_what_it_does_not_keep(lesson):
    assert read_lesson(lesson(TINY + "\n" + HOLDS.replace("2 * total", "sum(n for n in (1, 2, 3))")))


SHAPES = """# %% [markdown]
#
# # Title
#
#     indented
#no space
#

# after a gap


# %%


x = "# %% no mark, it does not begin the line"

# a comment stays
def f():

    return 1


# %% tags=["setup", "widget"]
# %% [markdown] tags=["exercise"]
# ### Exercise 0.1 — count
# %%
last = 1
"""


@pytest.mark.parametrize("name", ["shapes", "tiny", *(path.name for path in lesson_texts.lesson_files())])
def test_the_format_is_read_as_jupytext_reads_it(name, lesson):
    texts = {"shapes": SHAPES, "tiny": TINY}
    path = lesson(texts[name]) if name in texts else lesson_texts.ROOT / "solutions" / name
    theirs = jupytext.reads(path.read_text(encoding="utf-8"), fmt="py:percent").cells
    ours = read_cells(path)
    assert len(ours) == len(theirs) >= 5
    for cell, other in zip(ours, theirs, strict=True):
        assert (cell.kind, cell.text, list(cell.tags)) == (
            other.cell_type, other.source, other.metadata.get("tags", [])
        )  # fmt: skip


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "line 1: a lesson is made of cells; begin with `# %%`."),
        ("# %%\n1\n# %% [raw]\nx\n", "line 3: expected `# %%` or `# %% [markdown]`"),
        ("# %%\n1\n#%%\n2\n", "line 3: expected `# %%`"),
        ("# %% A title\n1\n", 'line 1: expected `# %%` or `# %% [markdown]`, then nothing or tags=["…"].'),
        ("# %% tags=[setup]\n1\n", "line 1: tags=[setup] is no list of words in quotes."),
        ("# %% [markdown]\n# a\nb\n", "line 3: a line of Markdown begins with `# `."),
    ],
)
def test_text_that_cannot_be_cut_into_cells_is_named_with_its_line(text, said, lesson):
    with pytest.raises(LessonError) as caught:
        read_cells(lesson(text))
    assert str(caught.value).startswith("00_tiny.py, ") and said in str(caught.value)


@pytest.mark.parametrize("magic", ["%matplotlib inline", "# %timeit f()", "!pip install x"])
def test_magic_commands_are_refused(magic, lesson):
    with pytest.raises(LessonError, match="magic commands do not work in every place"):
        read_lesson(lesson(TINY + f"\n# %%\n{magic}\n"))


OPEN, CLOSED = f"<details>{COVER}", "</details>"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (["**Answer.** Two.", "Because."], [OPEN, "Two.", "Because.", CLOSED]),
        (["A.", "**Answer.** Two.", "## 1.2 Next", "B."], ["A.", OPEN, "Two.", CLOSED, "## 1.2 Next", "B."]),
        (["**Answers.** Two.", "**Predict:** how many?"], [OPEN, "Two.", CLOSED, "**Predict:** how many?"]),
        (["**Answer.** Two.", "So. **By hand:** why?"], [OPEN, "Two.", CLOSED, "So. **By hand:** why?"]),
        (["**Answer.** Two.", "Why.", f"{ANSWERED}\nNow three."], [OPEN, "Two.", "Why.", CLOSED, "Now three."]),
        (["**Takeaway: two.**", "**Answer.** Two."], [OPEN, "Two.", "**Takeaway: two.**", CLOSED]),
        (["**Answer.** Two.", "**Answer.** Three."], [OPEN, "Two.", CLOSED, OPEN, "Three.", CLOSED]),
        (["**Answer.** Two.", "<details><summary>A hint"], [OPEN, "Two.", CLOSED, "<details><summary>A hint"]),
        (["The **Answer.** is two."], ["The **Answer.** is two."]),
    ],
)  # fmt: skip
def test_an_answer_is_covered_up_to_what_is_none(text, expected):
    assert covered("\n\n".join(text), "<details>").split("\n\n") == expected


def test_answers_are_covered_for_learners_and_open_in_the_solved_notebook(lesson):
    source = lesson(TINY + "\n# %% [markdown]\n# **Answer.** Two.\n")
    learners, solved = (make(read_lesson(source)).cells[-1].source for make in (learner_notebook, solved_notebook))
    assert learners == f"<details>{COVER}\n\nTwo.\n\n</details>"
    assert solved == learners.replace("<details>", "<details open>")


def test_an_end_without_an_answer_is_refused(lesson):
    with pytest.raises(LessonError, match="ends an answer, and there is none before it"):
        read_lesson(lesson(TINY + f"\n# %% [markdown]\n# Two.\n#\n# {ANSWERED}\n# Three.\n"))


@pytest.mark.parametrize(
    ("text", "badges"),
    [
        ("Expert 1 takes it, experts 0, 2 and 5 do not; expert 3's answer counts.", "10253"),
        ("Half goes to expert 2.", "2"),
        ("5/11 for expert 1 and 6/11 for expert 0", "10"),
        ("## Expert 3", ""),
        ("`expert 3` and\n```\nexpert 3\n```\n", ""),
        ("expert 12, expert 8, 3 experts, expert 1.5, each expert 3 rows, the experts 5, 3 and 1 assignments", ""),
    ],
)
def test_numbers_of_experts_become_badges_in_their_colours(text, badges):
    made = badged(text)
    found = re.findall(r'<span style="background-color:(#\w{6});[^"]+">(\d)</span>', made)
    assert "".join(number for _, number in found) == badges
    assert all(colour == palette.tint(int(number)) for colour, number in found)
    assert re.sub(r"<[^>]+>", "", made) == text, "nothing else has changed"
