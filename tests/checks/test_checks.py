"""Every check against answers that are known to be right, wrong or not there yet.

`-k 3.2-` runs one exercise, `-k plain_topk` one answer. Tests of one exercise stay with one worker. `make check` leaves
out blind answers, those that change a word of another, mistakes made by their rules, odd answers and two long loops.
"""

import copy
import dataclasses
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch
from answers import ANY, FOLDER, Answer, answers, file_of, with_cases_kept
from lesson_source import learner_notebook
from lesson_texts import stub_cells

import moe_lite
from moe_lite.checks import verdict
from moe_lite.checks.card.card import card_html
from moe_lite.checks.engine.as_code import input_code
from moe_lite.checks.engine.attempt import try_once
from moe_lite.checks.engine.exercise import GRADIENT, Attempt, Exercise, Mistake, Output, Trial
from moe_lite.checks.engine.grade import grade
from moe_lite.checks.engine.rows import lists
from moe_lite.checks.own_functions import USUAL
from moe_lite.checks.registry import exercises, exercises_in
from moe_lite.course import outline
from moe_lite.model.config import ModelConfig

LONG_LOOPS = ("1.4-row_by_row", "4.3-row_by_row")  # over thousands of rows: four seconds each


def params_of(exercise: Exercise, name: str, *values) -> pytest.param:
    """The parameters of one test of an exercise, called 3.2-name."""
    return pytest.param(*values, id=f"{exercise.id}-{name}")


def each(found: tuple[Answer, ...]) -> list[pytest.param]:
    slow = {True: pytest.mark.slow, False: ()}
    return [
        pytest.param(answer, id=answer.id, marks=slow[answer.blind or answer.changed or answer.id in LONG_LOOPS])
        for answer in found
    ]


each_exercise = pytest.mark.parametrize("exercise", [params_of(e, e.name, e) for e in exercises().values()])


def compiled(text: str, name: str):
    namespace = USUAL | {"ml": moe_lite, "ModelConfig": ModelConfig, "replace": replace}
    exec(compile(text, name, "exec"), namespace)
    return namespace[name]


def test_the_registry_has_the_exercises_of_each_lesson_in_order_and_numbered_without_a_gap():
    numbers: dict[int, list[int]] = {}
    for id, exercise in exercises().items():
        assert exercise.id == id and exercise in exercises_in(f"moe_lite.checks.lesson{exercise.lesson:02}")
        numbers.setdefault(exercise.lesson, []).append(int(id.split(".")[1]))
    assert list(numbers) == [lesson.number for lesson in outline.course().lessons if lesson.written]
    for lesson, found in numbers.items():
        assert found == list(range(1, len(found) + 1)), f"lesson {lesson}"


def test_every_exercise_has_its_file_of_answers_and_every_file_its_exercise():
    assert set(FOLDER.glob("*/*.py")) == {file_of(exercise) for exercise in exercises().values()}


@each_exercise
def test_every_exercise_has_enough_answers_on_file(exercise):
    found = answers(exercise.id)
    assert sum(answer.right for answer in found) >= 1
    assert sum(not answer.right for answer in found) >= 4


@pytest.mark.parametrize("answer", each(tuple(a for a in answers() if a.right)))
def test_a_right_answer_passes(answer):
    result = answer.graded()
    assert result.status == "pass", f"{result}: {result.mistake}"
    assert result.passed == result.total


@pytest.mark.parametrize("answer", each(tuple(a for a in answers() if not a.right)))
def test_a_wrong_answer_gets_its_message(answer):
    result = answer.graded()
    assert result.status in ("not yet", "stopped"), result
    assert result.passed < result.total
    general = ANY in answer.titles and (answer.titles == (ANY,) or result.mistake.general)
    assert general or result.mistake.title in answer.titles, f"{result}: {result.mistake}"
    assert result.mistake.title in repr(result) or result.status == "stopped"


def ruled(exercise: Exercise) -> list[Mistake]:
    """The mistakes that can be made on purpose."""
    return [mistake for mistake in exercise.mistakes if mistake.answer]


def made_on_purpose(exercise: Exercise, mistake: Mistake) -> Callable:
    """A learner's function that makes a mistake by its rule. What is watched, it does as the reference does it."""
    names = tuple(output.name for output in exercise.outputs)

    def learner(*args):
        right = exercise.reference(*args)
        with ThreadPoolExecutor(1) as aside:  # unseen by what counts the work in the learner's thread, and on copies
            made = aside.submit(mistake.answer, names, tuple(map(unwatched, args))).result()
        both = zip(exercise.outputs, right if isinstance(right, tuple) else (right,), made, strict=True)
        answer = tuple(returned(output, as_asked if value is None else value) for output, as_asked, value in both)
        return answer if len(answer) > 1 else answer[0]

    return learner


def unwatched(argument):
    """A copy that nothing listens to."""
    copied = argument.detach().clone() if isinstance(argument, torch.Tensor) else copy.deepcopy(argument)
    if isinstance(copied, torch.nn.Module):
        copied._forward_pre_hooks.clear()
    return copied


def returned(output: Output, value):
    """A rule's tensor as a learner returns it: a plain number, a bool or lists where these are asked."""
    if output.rows and isinstance(value, torch.Tensor):
        return lists(value)
    numbers = output.whole or output.real or output.kind is bool
    return value.item() if numbers and isinstance(value, torch.Tensor) else value


@pytest.mark.slow  # in sum
@pytest.mark.parametrize(
    "exercise, mistake", [params_of(e, m.title, e, m) for e in exercises().values() for m in ruled(e)]
)
def test_a_mistake_made_by_its_own_rule_is_told_its_own_title(exercise, mistake):
    result = grade(with_cases_kept(exercise.id), made_on_purpose(exercise, mistake))
    assert result.status == "not yet", result
    assert result.mistake.title == mistake.title


@each_exercise
def test_every_named_message_is_expected_by_an_answer_or_proved_by_its_rule(exercise):
    expected = {title for answer in answers(exercise.id) for title in answer.titles}
    proved = {mistake.title for mistake in ruled(exercise)}
    assert {mistake.title for mistake in exercise.mistakes if mistake.title} - expected - proved == set()


@each_exercise
def test_every_mistake_whose_title_varies_is_told_to_an_answer_that_expects_it(exercise):
    fixed = {mistake.title for mistake in exercise.mistakes}
    varies = [mistake for mistake in exercise.mistakes if not mistake.title]
    for answer in answers(exercise.id):
        if varies and (set(answer.titles) - fixed - {ANY} or answer.titles == (ANY,)):
            tried = attempts(answer)
            varies = [mistake for mistake in varies if not any(expects(answer, mistake, one) for one in tried)]
    assert varies == []


def expects(answer: Answer, mistake: Mistake, attempt: Attempt) -> bool:
    note = mistake.recognise(attempt)
    return note is not None and (note.title in answer.titles or note.general and ANY in answer.titles)


def attempts(answer: Answer) -> list[Attempt]:
    """What an answer returned in each trial, where it could be read."""
    exercise, learner = answer.exercise, answer.function()
    tried = [try_once(exercise, learner, trial, case)[0] for case in exercise.cases() for trial in case.trials]
    return [attempt for attempt in tried if attempt.got]


@each_exercise
def test_the_solution_of_the_lesson_passes(exercise):
    solved = stub_cells()
    if exercise.id not in solved:
        pytest.skip(f"no source in solutions/ has exercise {exercise.id} yet")
    earlier = [
        text for id, text in solved.items() if id.split(".")[0] == exercise.id.split(".")[0]
    ]  # as in the notebook
    result = grade(exercise, compiled("\n\n".join([*earlier, solved[exercise.id]]), exercise.name))
    assert result.status == "pass", f"{result}: {result.mistake}"


@each_exercise
def test_the_stub_of_the_lesson_is_open_and_the_draft_is_not_right(exercise):
    stubs = stub_cells(learner_notebook)
    if exercise.id not in stubs:
        pytest.skip(f"no source in solutions/ has exercise {exercise.id} yet")
    result = grade(exercise, compiled(stubs[exercise.id], exercise.name))
    if exercise.id == "0.1":  # comes with a draft that is wrong on purpose
        assert (result.status, result.mistake.title) == ("not yet", "Silent experts are missing")
    else:
        assert result.status == "open"
        assert repr(result) == f"{exercise.id} {exercise.name}: not attempted yet"


CONFIG = ("vocab_size", "d_model", "n_layers", "n_heads", "n_kv_heads", "d_head", "d_expert")
SPARSE = ("n_experts", "top_k", "n_shared_experts")


def sizes(trial: Trial) -> list[int]:
    """All sizes among a trial's arguments: of tensors and modules, of lists, of a config, and whole numbers.

    Those of a dict, a named tuple or another record are its whole numbers.
    """
    found = []
    for argument in trial.args:
        if isinstance(argument, torch.Tensor):
            found += argument.shape
        elif isinstance(argument, ModelConfig):
            found += [getattr(argument, name) for name in (CONFIG if argument.is_dense else CONFIG + SPARSE)]
        elif isinstance(argument, torch.nn.Module):
            found += [size for parameter in argument.parameters() for size in parameter.shape]
        elif isinstance(argument, list):
            found.append(len(argument))
        elif type(argument) is int:
            found.append(argument)
        elif isinstance(argument, dict | tuple) or dataclasses.is_dataclass(argument):
            found += [value for value in fields_of(argument) if type(value) is int]
    return found


def fields_of(record) -> list:
    """What a dict, a named tuple or a record holds, but for what stands at its default."""
    if isinstance(record, dict):
        return [*record.values()]
    if isinstance(record, tuple):
        return [*record]
    return [getattr(record, f.name) for f in dataclasses.fields(record) if getattr(record, f.name) != f.default]


@each_exercise
def test_the_sizes_of_plain_trials_are_all_different(exercise):
    """Else a function that mixes up two dimensions could pass."""
    trials = exercise.cases()[0].trials
    assert len(trials) >= 2
    for trial in trials:
        assert len(set(sizes(trial))) == len(set(exercise.sizes)), sizes(trial)
    shapes = {tuple(sizes(trial)) if exercise.sizes else trial.args for trial in trials}  # without sizes: plain floats
    assert len(shapes) == len(trials), "two trials of one shape"


def gives_real_tensors(exercise: Exercise) -> bool:
    """Whether a gradient can flow back through what the exercise returns: not through counts, kinds and choices."""
    right = exercise.named(exercise.reference(*exercise.cases()[0].trials[0].args))
    plain = [output.name for output in exercise.outputs if not (output.whole or output.real or output.kind)]
    return any(right[name].is_floating_point() for name in plain)


@each_exercise
def test_cases_are_the_same_every_time_and_look_at_everything(exercise):
    first, second = exercise.cases(), exercise.cases()
    for a, b in zip(first, second, strict=True):
        for one, other in zip(a.trials, b.trials, strict=True):
            assert input_code(exercise, one) == input_code(exercise, other)
    looked_at = {part for case in first for part in case.parts}
    assert looked_at >= {"form", "input", "repeat", *(o.name for o in exercise.outputs)}
    assert (GRADIENT in looked_at) == (exercise.differentiable and gives_real_tensors(exercise))


@each_exercise
def test_hints_give_an_idea_and_a_shape_but_not_the_solution(exercise):
    assert len(exercise.hints) == 2
    solution = stub_cells().get(exercise.id, "")
    for line in solution.splitlines()[1:]:
        code = line.split("#")[0].strip()
        if len(code) > 25:
            assert not any(code in hint.replace("`", "") for hint in exercise.hints), code


ODD = {
    "a number": lambda shape: torch.zeros(()),
    "nothing": lambda shape: torch.zeros(0),
    "three dimensions": lambda shape: torch.zeros(2, 3, 4),
    "too large": lambda shape: torch.full(shape, 99, dtype=torch.int64),
    "negative": lambda shape: torch.full(shape, -1, dtype=torch.int64),
    "nan": lambda shape: torch.full(shape, float("nan")),
    "inf": lambda shape: torch.full(shape, float("inf")),
    "bool": lambda shape: torch.ones(shape, dtype=torch.bool),
    "complex": lambda shape: torch.ones(shape, dtype=torch.complex64),
    "turned": lambda shape: torch.rand(shape[::-1]),
    "no columns": lambda shape: torch.zeros(*shape[:1], 0),
    "wide": lambda shape: torch.zeros(*shape[:1], 5 + sum(shape[1:2])),
}
ODD_NUMBERS = {
    "a whole number": lambda shape: 10**9,
    "a negative number": lambda shape: -7,
    "a float": lambda shape: 0.5,
    "not a number": lambda shape: float("nan"),
    "infinite": lambda shape: float("-inf"),
    "past 64 bits": lambda shape: 10**30,
    "text": lambda shape: "1",
    "a yes": lambda shape: True,
}


def odd_for(exercise: Exercise) -> dict:
    """What is odd in place of tensors, and of numbers where the exercise asks for one."""
    return ODD | ODD_NUMBERS if any(not output.shape for output in exercise.outputs) else ODD


@pytest.mark.slow  # in sum
@pytest.mark.parametrize(
    "exercise, odd", [params_of(e, odd, e, odd) for e in exercises().values() for odd in odd_for(e)]
)
def test_odd_answers_are_told_apart_without_an_error(exercise, odd, monkeypatch):
    exercise, make, tried = with_cases_kept(exercise.id), (ODD | ODD_NUMBERS)[odd], []

    def learner(*args):
        expected = exercise.named(exercise.reference(*args)).values()
        answer = tuple(make(tuple(value.shape)) for value in expected)
        return answer if len(answer) > 1 else answer[0]

    def noted(*arguments):
        tried.append(try_once(*arguments))
        return tried[-1]

    monkeypatch.setattr("moe_lite.checks.engine.grade.try_once", noted)
    result = grade(exercise, learner)
    assert result.status == "not yet" and result.mistake.title and card_html(result)
    assert len(tried) == sum(len(case.trials) for case in exercise.cases())
    for attempt, ended in tried:
        assert ended.error is None
        for mistake in exercise.mistakes:  # grade passes over one that raises; here it shows
            mistake.recognise(attempt), mistake.fits(attempt)


def test_a_verdict_is_shown_and_never_raised_or_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("MOE_LITE_CHECKS", "raise")
    monkeypatch.setenv("MOE_LITE_PROGRESS", str(tmp_path / "progress.json"))
    result = verdict("3.2", lambda scores, k: (scores[:, :k], torch.zeros(len(scores), k).long()))
    assert result.status == "not yet" and result.id == "3.2" and not (tmp_path / "progress.json").exists()
