"""Every check against answers that are known to be right, wrong or not there yet."""

from pathlib import Path

import pytest
import torch
from answers import answer_files, exercise_of, expected_titles, function_in, name_of, stub_cells
from lesson_source import learner_notebook

import moe_lite
from moe_lite.checks import verdict
from moe_lite.checks.card.card import card_html
from moe_lite.checks.engine.as_code import input_code
from moe_lite.checks.engine.attempt import try_once
from moe_lite.checks.engine.exercise import GRADIENT
from moe_lite.checks.engine.grade import grade
from moe_lite.checks.mine import USUAL
from moe_lite.checks.registry import exercises
from moe_lite.model.config import ModelConfig

IDS = ["0.1", "1.1", "1.2", "1.3", "1.4", "1.5", "2.1", "2.2", "2.3", "2.4", "3.1", "3.2", "3.3", "3.4", "3.5"]
IDS += ["4.1", "4.2", "4.3", "4.4", "4.5", "5.1", "5.2", "5.3", "6.1", "6.2", "6.3", "6.4", "6.5"]
IDS += ["7.1", "7.2", "7.3", "7.4", "7.5"]
WITHOUT_GRADIENT = (
    "0.1",
    "1.3",
    "1.4",
    "2.4",
    "4.2",
    "5.2",
    "5.3",
    "6.1",
    "6.3",
    "7.1",
    "7.5",
)  # counts, draws, and a gradient
ANY = "*"  # any truthful message: every title if alone, only general ones beside named titles


@pytest.fixture(autouse=True)
def short_limit(monkeypatch):
    monkeypatch.setenv("MOE_LITE_CHECK_SECONDS", "1")


def compiled(text: str, name: str):
    namespace = USUAL | {"ml": moe_lite, "ModelConfig": ModelConfig}
    exec(compile(text, name, "exec"), namespace)
    return namespace[name]


def test_the_registry_has_the_exercises_of_all_lessons_in_order():
    assert list(exercises()) == IDS
    assert [e.lesson for e in exercises().values()] == [int(id[0]) for id in IDS]
    assert [e.id for e in exercises().values() if e.stretch] == ["1.5", "2.4", "3.5", "4.5", "6.5", "7.5"]


@pytest.mark.parametrize("kind, least", [("wrong_answers", 4), ("right_answers", 1)])
def test_every_exercise_has_enough_answers_on_file(kind, least):
    counts = {id: sum(file.parent.name == id for file in answer_files(kind)) for id in exercises()}
    assert min(counts.values()) >= least, counts
    assert sum(counts.values()) == len(answer_files(kind)), "a folder that belongs to no exercise"


@pytest.mark.parametrize("file", answer_files("right_answers"), ids=name_of)
def test_a_right_answer_passes(file: Path):
    result = grade(exercise_of(file), function_in(file))
    assert result.status == "pass", f"{result}: {result.mistake}"
    assert result.passed == result.total


@pytest.mark.parametrize("file", answer_files("wrong_answers"), ids=name_of)
def test_a_wrong_answer_gets_its_message(file: Path):
    result, titles = grade(exercise_of(file), function_in(file)), expected_titles(file)
    assert result.status in ("not yet", "stopped"), result
    assert result.passed < result.total
    general = ANY in titles and (titles == [ANY] or result.mistake.general)
    assert general or result.mistake.title in titles, f"{result}: {result.mistake}"
    assert result.mistake.title in repr(result) or result.status == "stopped"


@pytest.mark.parametrize("id", IDS)
def test_the_solution_of_the_lesson_passes(id):
    solved = stub_cells()
    if id not in solved:
        pytest.skip(f"no source in solutions/ has exercise {id} yet")
    result = grade(exercises()[id], compiled(solved[id], exercises()[id].name))
    assert result.status == "pass", f"{result}: {result.mistake}"


@pytest.mark.parametrize("id", IDS)
def test_the_stub_of_the_lesson_is_open_and_the_draft_is_not_right(id):
    stubs = stub_cells(learner_notebook)
    if id not in stubs:
        pytest.skip(f"no source in solutions/ has exercise {id} yet")
    result = grade(exercises()[id], compiled(stubs[id], exercises()[id].name))
    if id == "0.1":  # comes with a draft that is wrong on purpose
        assert (result.status, result.mistake.title) == ("not yet", "Silent experts are missing")
    else:
        assert result.status == "open"
        assert repr(result) == f"{id} {exercises()[id].name}: not attempted yet"


# What can differ in size; a tensor's shape is made of these.
LETTERS = {
    "0.1": "NKE", "1.1": "NV", "1.2": "NDF", "1.3": "VDLHKSFT", "1.4": "BV", "1.5": "BHTS",
    "2.1": "NDE", "2.2": "NE", "2.3": "NE", "2.4": "NE",
    "3.1": "NDE", "3.2": "NEk", "3.3": "NEk", "3.4": "NkE", "3.5": "NEk",
    "4.1": "NDKE", "4.2": "NKE", "4.3": "ADNK", "4.4": "NDKEfF", "4.5": "NDKEfF",  # A = N·K; f is two F
    "5.1": "BTDEfFgG", "5.2": "DFEKS", "5.3": "VDLHKSFTEkG",  # g and G: the shared expert's
    "6.1": "E", "6.2": "NEK", "6.3": "CSLE", "6.4": "NE", "6.5": "L",
    "7.1": "NKE", "7.2": "NKC", "7.3": "NEk", "7.4": "NEC", "7.5": "NEP",  # P: n_past
}  # fmt: skip
CONFIG = ("vocab_size", "d_model", "n_layers", "n_heads", "n_kv_heads", "d_head", "d_expert")
SPARSE = ("n_experts", "top_k", "n_shared_experts")


def sizes(trial) -> list[int]:
    """All sizes among a trial's arguments: of tensors and modules, of lists, of a config, and whole numbers."""
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
    return found


@pytest.mark.parametrize("exercise", exercises().values(), ids=IDS)
def test_the_sizes_of_plain_trials_are_all_different(exercise):
    """Else a function that mixes up two dimensions could pass."""
    trials = exercise.cases()[0].trials
    assert len(trials) >= 2
    for trial in trials:
        assert len(set(sizes(trial))) == len(LETTERS[exercise.id]), sizes(trial)
    assert len({tuple(sizes(trial)) for trial in trials}) == len(trials), "two trials of one shape"


@pytest.mark.parametrize("exercise", exercises().values(), ids=IDS)
def test_cases_are_the_same_every_time_and_look_at_everything(exercise):
    first, second = exercise.cases(), exercise.cases()
    for a, b in zip(first, second, strict=True):
        for one, other in zip(a.trials, b.trials, strict=True):
            assert input_code(exercise, one) == input_code(exercise, other)
    looked_at = {part for case in first for part in case.parts}
    assert looked_at >= {"form", "input", "repeat", *(o.name for o in exercise.outputs)}
    assert GRADIENT in looked_at or exercise.id in WITHOUT_GRADIENT


@pytest.mark.parametrize("exercise", exercises().values(), ids=IDS)
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
NUMBERS = ("1.3", "5.2", "5.3", "6.1", "6.3", "6.5", "7.1", "7.5")  # what returns a number or a yes
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


@pytest.mark.parametrize(
    "exercise, odd",
    [(e, odd) for e in exercises().values() for odd in ODD]
    + [
        (exercises()[id], odd) for id in ("1.3", "5.2", "5.3", "6.1", "6.3", "6.5", "7.1", "7.5") for odd in ODD_NUMBERS
    ],
    ids=lambda value: getattr(value, "id", value),
)
def test_odd_answers_are_told_apart_without_an_error(exercise, odd):
    make = (ODD | ODD_NUMBERS)[odd]

    def learner(*args):
        expected = exercise.named(exercise.reference(*args)).values()
        answer = tuple(make(tuple(value.shape)) for value in expected)
        return answer if len(answer) > 1 else answer[0]

    for case in exercise.cases():
        for trial in case.trials:
            attempt, ended = try_once(exercise, learner, trial, case)
            assert ended.error is None
            for mistake in exercise.mistakes:  # grade would pass over one that raises; here it shows
                mistake.recognise(attempt), mistake.fits(attempt)
    result = grade(exercise, learner)
    assert result.status == "not yet" and result.mistake.title and card_html(result)


def test_a_verdict_is_shown_and_never_raised_or_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("MOE_LITE_CHECKS", "raise")
    monkeypatch.setenv("MOE_LITE_PROGRESS", str(tmp_path / "progress.json"))
    result = verdict("3.2", lambda scores, k: (scores[:, :k], torch.zeros(len(scores), k).long()))
    assert result.status == "not yet" and result.id == "3.2" and not (tmp_path / "progress.json").exists()
