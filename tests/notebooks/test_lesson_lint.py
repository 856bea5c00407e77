"""The lint of lessons: the course's own have no fault, three bad ones have exactly those that were put into them."""

import copy
import json
import re
from dataclasses import replace
from pathlib import Path

import lesson_lint
import lesson_texts
import lint_claims
import lint_lesson
import nbformat
import pytest
from lesson_source import solved_notebook

from moe_lite.checks.lesson_cells import learner_notebook, read_cells
from moe_lite.checks.registry import exercises

BAD = lesson_texts.ROOT / "tests" / "notebooks" / "bad_lessons"
RECORD = {"val_loss": {"mean": 2.4766, "sixteen": 2.4721}, "words": ["word"] * 2048, "runs": [[1, 2], [3, 4]]}
CURVE = '<svg viewBox="0 0 9 9"><text>0.91</text></svg><svg role="img" aria-label="A curve"></svg>'
TABLES = "<table><tr><td>7</td></tr></table><table><caption>loads</caption></table><img src='data:,'>"
SCRIPT = '<script src="https://cdn.example.com/plot.js"></script>'


def stream(text: str, name: str = "stdout") -> nbformat.NotebookNode:
    return nbformat.v4.new_output("stream", name=name, text=text)


def shown(**data: str) -> nbformat.NotebookNode:
    return nbformat.v4.new_output("display_data", {kind.replace("_", "/"): text for kind, text in data.items()})


OUTPUTS = {  # of the code cells of 99 that contain these words
    "print(shares": [stream("tensor([0.7500, 0.2500]) 1968 1512576\n"), stream("UserWarning: shares\n", "stderr")],
    "plots.load(checkpoint": [
        shown(text_html=CURVE, text_plain="<Figure>"),
        shown(image_png="iVBOR", text_plain="a picture"),
        stream("kept in /home/someone/plot.svg\n"),
    ],
    "plots.load(None)": [shown(text_html=SCRIPT + TABLES, text_plain="loads"), stream("7" * 100_001)],
}

# the rule, the line (0: the whole file), and words of the message, in the order of the rules
BROKEN_CONTRACT = [
    ("source", 24, "should be *5 minutes · core · about 1 line*"),
    ("words", 0, "127 words of prose; expected 1,500 to 5,700"),
    ("task", 24, "Given has no shape for `expert_ids`"),
    ("task", 24, "Return does not name the shape (E,)"),
    ("task", 28, "Q in (Q,) is not in the dimension key"),
    ("stub", 37, "no type hint for n_experts"),
    ("stub", 37, "the docstring has no shape for expert_ids"),
    ("stub", 37, "the docstring does not name the shape (E,)"),
    ("three cells", 24, "should follow the task directly"),
    ("use", 52, '`expert_load` is used as it is; expected mine("0.1", expert_load, default=…)'),
    ("use", 0, "no cell uses a learner's function through `mine`"),
    ("prediction", 21, "a widget that nothing was asked about"),
    ("prediction", 51, "a figure that nothing was asked about"),
    ("answer", 21, "a widget without an answer"),
    ("answer", 51, "a figure without an answer"),
    ("built", 0, "there is no notebook; expected solutions/00_broken_contract.ipynb"),
    ("built", 0, "there is no notebook; expected notebooks/00_broken_contract.ipynb"),
]
PACE_AND_PROSE = [
    ("cells", 0, "14 cells; expected 45 to 87"),
    ("words", 0, "98 words of prose; expected 1,500 to 5,700"),
    ("code length", 44, "19 lines of code; at most 16"),
    ("code length", 0, "half of the code cells have 8 lines or more; expected 6 or fewer"),
    ("prose between", 24, "the third code cell in a row"),
    ("title", 2, "'# 97 · Experts in a hurry'; expected `# 98 · Title`"),
    ("facts", 3, "it says two core exercises; the checks have no"),
    ("minutes", 3, "about 20 minutes; expected 45 to 150"),
    ("question", 1, "0 lines `**…?**`; expected one"),
    ("builds on", 1, "`**Builds on** …` is missing"),
    ("set-up", 10, "`torch.manual_seed(0)` is no import"),
    ("imports", 17, "`import math` belongs into the set-up cell"),
    ("broken", 0, "no cell is tagged broken"),
    ("fillers", 39, "'simply'"),
    ("fillers", 39, "'just'"),
    ("fillers", 39, "'of course'"),
    ("fillers", 39, "'is clearly the'"),
    ("prices", 41, "'$2'"),
    ("exclamations", 39, "expected a full stop"),
    ("headings", 37, "🎉 in a heading"),
    ("summary", 0, "Now you know has 2 lines"),
    ("next question", 0, "the last paragraph should be `<!-- next -->`"),
    ("own affairs", 40, "'/home/someone/notes/plan.txt' is a path of one machine"),
    ("own affairs", 40, "'issue #12' is about how the course is made"),
    ("own affairs", 0, "'TODO' is about how the course is made"),
]
NUMBERS_AND_PAGES = [
    ("cells", 0, "9 cells"),
    ("words", 0, "words of prose"),
    ("seen", 52, "nobody sees `plots.table(shares)`"),
    ("comparing", 59, "'Hardly' compares, and nothing holds it: '- Hardly an expert has no share.'"),
    ("answers", 20, "no answer to '**By hand:** three quarters"),
    ("answers", 42, "no answer to '**Predict:** what comes next?'"),
    ("next question", 0, "the last paragraph should be `<!-- next -->`"),
    ("next question", 63, "'**Next question' is typed, and will be false one day"),
    ("next question", 63, "'lesson 16; it is still being written' is typed"),
    ("addresses", 24, "code names https://example.com/shares"),
    ("addresses", 8, "a link to https://blog.example.com/moe"),
    ("addresses", 7, "a link to map.png, which is not in notebooks/"),
    ("addresses", 7, "a link to 98_pace.ipynb, which is not in notebooks/"),
    ("alt text", 7, "expected ![what it shows](file)"),
    ("alt text", 44, "<svg> without role=img and an aria-label"),
    ("alt text", 44, "the text form of its output is '<Figure>'"),
    ("alt text", 44, "a bitmap without words"),
    ("alt text", 51, "<img> without alt"),
    ("alt text", 51, "<table> without a caption"),
    ("loads nothing", 51, "its output loads something (<script src=)"),
    ("sizes", 51, "one of its outputs has 100,"),
    ("clean outputs", 22, "'UserWarning: shares'"),
    ("clean outputs", 44, "'/home/someone/plot.svg', a path of one machine"),
    ("numbers", 18, "the number 1,234"),
    ("numbers", 18, "the number 2.48"),
    ("numbers", 27, "the number 75.3 %"),
    ("numbers", 28, "the number 3.3 million"),
    ("numbers", 28, "the number 2,000"),
    ("numbers", 28, "the number 777"),
    ("numbers", 29, "the number 1571 billion"),
    ("numbers", 48, "the number 0.91"),
    ("evidence", 40, "`log(4096)` leads nowhere: nothing shows 4096."),
    ("evidence", 40, "gives 7, no number of its paragraph"),
    ("evidence", 49, "there is no file data/missing.json"),
    ("evidence", 49, "data/record.json has no 7 for runs.7; there is [[1, 2], [3, 4]]"),
    ("evidence", 49, "it is a list, not a number"),
    ("evidence", 49, "`5 - 3` gives 2, no number of its paragraph"),
    ("evidence", 49, "it cannot be worked out (division by zero)"),
    ("evidence", 49, "is no number, no entry of a file and no arithmetic"),
]
EXPECTED = {
    "00_broken_contract": BROKEN_CONTRACT,
    "98_pace_and_prose": PACE_AND_PROSE,
    "99_numbers_and_pages": NUMBERS_AND_PAGES,
}


@pytest.fixture
def root(tmp_path) -> Path:
    """A course with 98 and 99 built, 99 with outputs, and a recorded result."""
    for folder in ("solutions", "notebooks", "data"):
        (tmp_path / folder).mkdir()
    (tmp_path / "data" / "record.json").write_text(json.dumps(RECORD), encoding="utf-8")
    for name in ("98_pace_and_prose", "99_numbers_and_pages"):
        cells = read_cells(BAD / f"{name}.py")
        solved = solved_notebook(cells)
        for cell in solved.cells:
            for words, outputs in OUTPUTS.items():
                if words in cell.source and cell.cell_type == "code":
                    cell.outputs = copy.deepcopy(outputs)
        nbformat.write(solved, tmp_path / "solutions" / f"{name}.ipynb")
        nbformat.write(learner_notebook(cells), tmp_path / "notebooks" / f"{name}.ipynb")
    return tmp_path


@pytest.mark.parametrize("path", lesson_texts.lesson_files(), ids=lambda path: path.stem)
def test_the_lessons_of_the_course_have_no_fault(path):
    assert [str(fault) for fault in lesson_lint.lint(path)] == []


def test_the_widgets_of_the_course_load_nothing():
    assert lesson_lint.lint_widgets() == []


@pytest.mark.parametrize("name", EXPECTED)
def test_a_bad_lesson_has_exactly_its_faults(name, root):
    faults = lesson_lint.lint(BAD / f"{name}.py", root)
    assert [fault.rule for fault in faults] == [rule for rule, _, _ in EXPECTED[name]], "\n".join(map(str, faults))
    for fault, (_, line, words) in zip(faults, EXPECTED[name], strict=True):
        assert words in fault.message
        assert re.fullmatch(rf"{name}\.py" + (rf", line {line} \(cell [\w-]+\)" if line else ".*"), fault.where)


def test_every_rule_is_broken_by_a_bad_lesson():
    broken = {rule for faults in EXPECTED.values() for rule, _, _ in faults}
    assert broken == {rule.name for rule in lesson_lint.RULES}
    assert len(broken) == len(lesson_lint.RULES), "two rules of one name"
    assert set.union(*lesson_lint.EXEMPT.values()) <= broken


def test_an_old_notebook_is_one_fault_for_each_and_what_needs_it_waits(root):
    text = (BAD / "99_numbers_and_pages.py").read_text(encoding="utf-8")
    changed = root / "99_numbers_and_pages.py"
    changed.write_text(text.replace("plots.load(None)", "plots.load(0)"), encoding="utf-8")
    faults = lesson_lint.lint(changed, root)
    rules = ["cells", "words", "seen", "comparing", *["answers"] * 2, *["next question"] * 3, *["addresses"] * 4]
    rules += ["built", "built"]
    assert [fault.rule for fault in faults] == rules
    assert "line 51 (cell " in faults[-1].where and "other code cells from here on" in faults[-1].message


def test_prose_may_change_without_a_rebuild(root):
    text = (BAD / "99_numbers_and_pages.py").read_text(encoding="utf-8")
    changed = root / "99_numbers_and_pages.py"
    changed.write_text(text.replace("A comment said 777.", "A comment said so."), encoding="utf-8")
    said = [fault.message for fault in lesson_lint.lint(changed, root) if fault.rule == "numbers"]
    assert len(said) == 7 and not any("777" in message for message in said)


def test_only_the_first_page_may_be_short(monkeypatch):
    path = next(path for path in lesson_texts.lesson_files() if path.stem.startswith("00"))
    monkeypatch.setattr(lesson_lint, "EXEMPT", {})
    assert {"cells", "minutes", "broken"} <= {fault.rule for fault in lesson_lint.lint(path)}


def test_two_hints_are_expected(monkeypatch):
    one_hint = replace(exercises()["0.1"], hints=("The idea.",))
    monkeypatch.setattr(lint_lesson, "exercises", lambda: {"0.1": one_hint})
    lesson = lint_lesson.read(BAD / "00_broken_contract.py", lesson_texts.ROOT)
    assert "the check of 0.1 has 1 hints; expected 2" in [*lesson_lint.lint_exercises.task(lesson)][-1][1]


def test_a_notebook_that_is_too_large_is_named(root, monkeypatch):
    monkeypatch.setattr(lesson_lint.lint_pages, "LEARNER_BYTES", 1000)
    said = [str(fault) for fault in lesson_lint.lint(BAD / "99_numbers_and_pages.py", root) if fault.rule == "sizes"]
    assert len(said) == 2 and "notebooks/99_numbers_and_pages.ipynb has" in said[0]


@pytest.mark.parametrize(
    "line",
    [
        'fetch("data.json")',
        'import("./other.js")',
        'const css = "@import url(x)";',
        'new WebSocket("ws:")',
        'img.src = "https://example.com/a.png"',
    ],
)
def test_a_widget_that_loads_something_is_named_with_its_line(line, tmp_path):
    fine = 'document.createElementNS("http://www.w3.org/2000/svg", tag)'
    (tmp_path / "viewer.js").write_text(f"{fine}\n{line}\n", encoding="utf-8")
    assert [fault.where for fault in lesson_lint.lint_widgets(tmp_path)] == ["viewer.js, line 2"]


@pytest.mark.parametrize(
    ("prose", "expected"),
    [
        (
            "It has 2,048 entries, 12.5 % of 16,384, and 4.72 − 2.61 nats.",
            ["2,048", "12.5 %", "16,384", "4.72", "2.61"],
        ),
        ("Two of 64, 8 of 99, and 5 % of 100.", ["5 %", "100"]),
        ("See 3.2, in 1991, (Jacobs 1991), Python 3.11, exp(1000) and 0.90/2.", []),
        ("3.2 nats, 3.2 % and 3.4.", ["3.2", "3.2 %", "3.4"]),
        ("A 7B model in bfloat16, 46.7B in all, 1.5 million, 8x7B.", ["46.7B", "1.5 million"]),
        ("version 2.13.0 of 24.4.1", []),
    ],
)
def test_which_numbers_claim_something(prose, expected):
    assert [claim.text for _, claim in lint_claims.claims(prose, references={"3.2"})] == expected


@pytest.mark.parametrize(
    ("prose", "value", "supported"),
    [
        ("2.1 nats", 2.11, True),
        ("2.1 nats", 2.16, False),
        ("2.60", 2.6053, False),
        ("0.45", -0.45, True),
        ("12.5 %", 0.125, True),
        ("12.5 %", 12.5, True),
        ("12.5 %", 0.1256, False),
        ("0.125", 12.5, False),
        ("652 tokens", 652.0, True),
        ("652 tokens", 653.0, False),
        ("about 3,000", 2987.0, True),
        ("about 3,000", 2400.0, False),
        ("3,000", 2987.0, False),
        ("1.5 million", 1512576.0, True),
        ("46.7B", 46702792704.0, True),
        ("46.8B", 46702792704.0, False),
    ],
)
def test_a_claim_is_supported_at_the_rounding_that_it_prints(prose, value, supported):
    ((_, claim),) = lint_claims.claims(prose, references=set())
    assert claim.supported_by([0.0, value]) is supported


SECTIONS = """# %% [markdown]
# ## 99.1 One
#
# {before}

# %%
print("said", 640)

# %% [markdown]
# {after}
#
# ## 99.2 Two
#
# {later}
#
# ## Now you know
#
# - {end}
"""
SHOWS = "It is 0.71."
CITES = "It is 0.71 ([their paper](https://arxiv.org/abs/1701.06538))."
MARKS = "It is 0.71.\n# <!-- evidence: data/record.json runs.0.0 * 5 / 7 -->"


@pytest.mark.parametrize(
    ("filled", "lines"),
    [
        ({"before": SHOWS}, [4]),
        ({"before": "Now with 640."}, []),
        ({"before": f"**Predict:** {SHOWS}"}, []),
        ({"after": SHOWS}, []),
        ({"later": SHOWS}, [14]),
        ({"later": CITES}, []),
        ({"later": f"{CITES} It is 0.72."}, [14]),
        ({"end": SHOWS}, []),
        ({"before": MARKS, "later": SHOWS}, []),
        ({"later": MARKS, "before": SHOWS}, [4]),
    ],
    ids=str,
)
def test_evidence_stands_in_its_section_above(filled, lines, root):
    texts = dict.fromkeys(("before", "after", "later", "end"), "Nothing.") | filled
    path = root / "99_sections.py"
    path.write_text(SECTIONS.format(**texts), encoding="utf-8")
    cells = read_cells(path)
    solved = solved_notebook(cells)
    solved.cells[1].outputs = [stream("the answer is 0.7143\n")]
    nbformat.write(solved, root / "solutions" / "99_sections.ipynb")
    found = lesson_lint.lint_numbers.numbers(lint_lesson.read(path, root))
    assert [int(re.search(r"line (\d+)", where)[1]) for where, _ in found] == lines


COMPARED = """# %%
print(1)
{behind}
# %% [markdown]
# {prose}
{below}
# %%
print(2)

# %% [markdown]
# {later}
"""
HOLDS = '\n# %% tags=["holds"]\nholds("it is so", True)\n'
RISES = "The loss rises."


def lesson_of(text, root):
    path = root / "99_compared.py"
    path.write_text(text, encoding="utf-8")
    return lint_lesson.read(path, root)


def lines_of(found):
    return [int(re.search(r"line (\d+)", where)[1]) for where, _ in found]


@pytest.mark.parametrize(
    ("filled", "lines"),
    [
        ({"prose": RISES}, [5]),
        ({"prose": f"It ran.\n# {RISES}"}, [6]),
        ({"prose": RISES, "behind": HOLDS}, []),
        ({"prose": RISES, "below": HOLDS}, []),
        ({"prose": RISES, "later": RISES, "below": HOLDS}, []),
        ({"prose": RISES, "later": RISES, "behind": HOLDS}, [11 + 3]),
        ({"prose": f"{RISES} ([their paper](https://arxiv.org/abs/1701.06538))"}, []),
        ({"prose": f"{RISES}\n# <!-- evidence: data/record.json runs.0.0 -->"}, []),
        ({"prose": f"{RISES}\n# <!-- reasoned: log is monotonic -->"}, []),
        ({"prose": f"{RISES}\n# <!-- reasoned: -->"}, [5]),
        ({"prose": f"{RISES}\n# <!-- reasoned: so -->\n#\n# {RISES}"}, [8]),
        ({"prose": f"**Predict:** where is it? {RISES}"}, []),
        ({"prose": f"**Answer.** {RISES} **Predict** the next."}, [5]),
        ({"prose": "Does the loss rise, and is it higher than before?"}, []),
        ({"prose": "## The loss rises"}, []),
        ({"prose": "`the loss rises`"}, []),
        ({"prose": "A router is a matrix with one row for each expert."}, []),
    ],
    ids=str,
)
def test_what_compares_is_held_near(filled, lines, root):
    texts = {"behind": "", "below": "", "prose": "Nothing.", "later": "Nothing."} | filled
    assert lines_of(lesson_lint.lint_holds.comparing(lesson_of(COMPARED.format(**texts), root))) == lines


@pytest.mark.parametrize(
    "sentence",
    [
        "The error is more than ten times what it was.",
        "With 8 experts none dies, in any seed.",
        "Both rules keep nearly everyone at work.",
        "More experts are dead with it than without.",
        "A coefficient of 0.01 halves the CV.",
        "At 0.001 a few are dead, at 0.01 none.",
        "The cure costs next to nothing.",
        "Most of the eight have nothing to do.",
        "They part in every layer, and most in the first.",
        "The same loss: what you wrote is a sparse layer.",
    ],
)
def test_which_sentences_compare(sentence):
    assert lesson_lint.lint_holds.COMPARES.search(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "A block has two halves: attention and a feed-forward network.",
        "Row n of C says how much of each answer token n gets.",
        "Take the most probable token.",
        "Put yours into the trained model, in all four layers.",
        "It costs 4·H·S FLOPs a token.",
    ],
)
def test_which_sentences_do_not(sentence):
    assert not lesson_lint.lint_holds.COMPARES.search(sentence)


ASKS, ANSWERS = "**Predict:** how many?", "**Answer.** Two."
CODE = "# %%\nprint(2)\n"


def markdown(*paragraphs):
    return "# %% [markdown]\n" + "\n#\n".join(f"# {text}" for text in paragraphs) + "\n"


@pytest.mark.parametrize(
    ("parts", "lines"),
    [
        ([markdown(ASKS), CODE, markdown(ANSWERS)], []),
        ([markdown("Text.", ASKS), CODE, markdown("Text.")], [4]),
        ([markdown(ASKS), CODE], [2]),
        ([markdown(ASKS, ANSWERS), CODE, markdown("Text.")], [4]),
        ([markdown(ASKS, "**Before you run it:** why?"), CODE, markdown("So.", "**Answers.** Two.")], []),
        ([markdown(ASKS), CODE, markdown(ASKS), CODE, markdown(ANSWERS)], [2]),
        ([markdown(ASKS), CODE, markdown(ANSWERS, ASKS), CODE, markdown(ANSWERS)], []),
        ([markdown(ASKS), CODE, markdown("Text."), CODE, markdown(ANSWERS)], []),
        ([markdown(ASKS), CODE, markdown("The **Answer.** is two.")], [2]),
        ([markdown("Text.").replace("]", '] tags=["exercise"]').replace("Text", ASKS), CODE], []),
    ],
    ids=str,
)
def test_every_question_is_answered_behind_its_code(parts, lines, root):
    assert lines_of(lesson_lint.lint_holds.answers(lesson_of("".join(parts), root))) == lines


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("plots.table(x)\nprint(1)", 2),
        ("for _ in range(2):\n    plots.table(x)", 3),
        ("RouterStepper(x)\nx = 1", 2),
        ("moe_lite.claims(lesson=3)\nprint(1)", 2),
        ("x\nprint(1)", 2),
        ("print(1)\nplots.table(x)", 0),
        ('def f():\n    "words"\n    print(1)\n\n\nf()', 0),
        ("picture = plots.table(x)\ndisplay(plots.table(x))\npicture", 0),
    ],
)
def test_what_nobody_sees_is_refused(code, line, root):
    lesson = lesson_of(f"# %%\n{code}\n", root)
    assert lines_of(lesson_lint.lint_form.seen(lesson)) == ([line] if line else [])


def test_the_program_prints_every_fault_and_fails(root, capsys):
    source = root / "solutions" / "98_pace_and_prose.py"
    source.write_bytes((BAD / source.name).read_bytes())
    assert lesson_lint.main(["--only", "98"], root) == 1
    printed = capsys.readouterr().out.splitlines()
    assert (
        printed[0] == "98_pace_and_prose.py: 14 cells; expected 45 to 87. Split the lesson, or the long cells. [cells]"
    )
    assert printed[-1] == f"1 lessons, {len(lesson_lint.RULES)} rules, {len(PACE_AND_PROSE)} faults"


def test_a_source_that_cannot_be_read_is_a_fault_too(root, capsys):
    (root / "solutions" / "97_torn.py").write_text("import torch\n# %%\n", encoding="utf-8")
    assert lesson_lint.main(["--only", "97"], root) == 1
    assert "97_torn.py" in capsys.readouterr().out


def test_a_number_without_a_lesson_is_said(root, capsys):
    assert lesson_lint.main(["--only", "42"], root) == 1
    assert "no source solutions/42_*.py" in capsys.readouterr().err


def test_no_line_in_mid_sentence_begins_a_list():
    """A line that begins with "1. " is a list to Markdown, wherever the text was wrapped."""
    found = []
    for path in lesson_texts.lesson_files():
        lines = path.read_text(encoding="utf-8").splitlines()
        for before, line in zip(lines, lines[1:], strict=False):
            in_prose = re.match(r"# [^\W\d_]", before) or re.match(r"# [`*(“]\S", before)
            if in_prose and re.match(r"# (\d+\.|[-+*]) ", line) and not before.rstrip().endswith((":", ".", "**")):
                found.append(f"{path.name}: {line}")
    assert found == []
