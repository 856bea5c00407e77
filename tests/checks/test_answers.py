"""How the committed answers are written and found (tests/answers/__init__.py)."""

import builtins
import dis
import inspect
import linecache

import answers
import pytest

from moe_lite.checks.registry import exercises

HEAD = """from answers import ANY, blind, right, wrong

seen = []


@right
def doubled(x):
    seen.append(x)
    y = 2 * x
    return y, len(seen)


@wrong("Not doubled", ANY)
def same(x):
    return x, 1


"""


@pytest.fixture
def run(tmp_path):
    """Runs a file of answers: {name: (answer, function)}."""

    def run(text: str):
        file = tmp_path / "doubled.py"
        file.write_text(HEAD + text, encoding="utf-8")
        return {answer.name: (answer, function) for answer, function in answers._run(file).items()}

    return run


def test_a_decorated_function_stays_what_it_was_and_is_kept_with_its_titles(run):
    found = run("")
    assert list(found) == ["doubled", "same"]
    assert found["doubled"][0].right and found["doubled"][1](3) == (6, 1)
    assert found["same"][0].titles == ("Not doubled", answers.ANY) and not found["same"][0].blind


def test_a_change_of_another_answer_is_an_answer_of_its_own(run):
    found = run('blind("tripled", "Not doubled", of=doubled, put={"2 * x": "3 * x", "len(seen)": "0"})\n')
    answer, tripled = found["tripled"]
    assert answer.blind and answer.titles == ("Not doubled",)
    assert tripled(3) == (9, 0) and tripled.__name__ == "tripled"
    assert found["doubled"][1](3) == (6, 2), "the answer that was changed is still itself"
    assert linecache.getline(tripled.__code__.co_filename, 3) == "    y = 3 * x\n", "an error in it quotes its own line"


@pytest.mark.parametrize(
    "text, message",
    [
        ('wrong("odd", "T", of=doubled, put={"5 * x": "3 * x"})', "odd: '5 \\* x' stands 0 times in doubled, not once"),
        ('wrong("odd", "T", of=doubled, put={"x": "z"})', "odd: 'x' stands 3 times in doubled, not once"),
        ('wrong("same", "T", of=doubled, put={"2 * x": "x"})', "Two answers are called same"),
        ("@right\ndef same(x):\n    return x", "Two answers are called same"),
        ('wrong("odd", "T", of=len, put={})', "odd: len is no function with @right, @wrong or @blind alone"),
    ],
)
def test_what_is_written_wrongly_is_told(run, text, message):
    with pytest.raises(ValueError, match=message):
        run(text)


@pytest.mark.parametrize("text", ["@wrong()\ndef odd(x):\n    return x", "@wrong\ndef odd(x):\n    return x"])
def test_a_wrong_answer_without_titles_is_refused(run, text):
    with pytest.raises(TypeError, match="needs the titles"):
        run(text)


def test_an_answer_is_given_out_anew_each_time():
    (answer,) = [answer for answer in answers.answers("0.1") if answer.name == "global_accumulates"]
    assert answer.function() is not answer.function()
    assert answer.graded_anew().cases == answer.graded_anew().cases, (
        "what it kept from the first check reached the second"
    )


@pytest.mark.parametrize("id", exercises())
def test_answers_find_every_name_that_they_use(id):
    """What stands in a changed line alone is used by no line that a linter sees."""
    for answer in answers.answers(id):
        function = inspect.unwrap(answer.function())
        used = {step.argval for step in dis.get_instructions(function) if step.opname == "LOAD_GLOBAL"}
        assert [name for name in used if name not in function.__globals__ and not hasattr(builtins, name)] == [], answer
