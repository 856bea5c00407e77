"""Lists of lists: how an answer made of them is read and told, and how an input of them is kept and shown."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from moe_lite.checks.card.card import card_html
from moe_lite.checks.engine import sweep
from moe_lite.checks.engine.as_code import FEW, given, input_code
from moe_lite.checks.engine.attempt import read
from moe_lite.checks.engine.exercise import Case, Exercise, Trial
from moe_lite.checks.engine.grade import grade
from moe_lite.checks.engine.rows import FILL, lists, padded
from moe_lite.checks.lesson12.memory_rules import play
from moe_lite.checks.registry import exercises

LRU = exercises()["12.2"]


def every_trial(exercise: Exercise) -> list[Trial]:
    return [trial for case in (*exercise.cases(), *sweep.cases(exercise)) for trial in case.trials]


@pytest.mark.parametrize("rows", [[[3, 1], [], [0]], [[], []], [[5]], [], [4, 0, 2]])
def test_rows_come_back_as_they_were(rows):
    assert lists(padded(rows)) == rows
    assert padded(rows).dtype == torch.int64


def test_a_shorter_row_is_no_row_that_ends_in_another_number():
    assert not torch.equal(padded([[1, 2], [3]]), padded([[1, 2], [3, 0]]))
    assert not torch.equal(padded([[1, 2], [3]]), padded([[1, 2], [3, -1]]))


def test_numbers_of_numpy_are_ints():
    got, fault = read(LRU, [[np.int64(3), 1], []])
    assert fault is None and lists(got["loaded"]) == [[3, 1], []]


@pytest.mark.parametrize(
    "returned, title, quoted",
    [
        (7, "Not a list", "a list, got an int"),
        (([1], [2]), "Not a list", "a list, got a tuple"),
        (torch.zeros(2, 3), "Not a list", "a list, got a Tensor"),
        ([[1], {2}], "Not a list of ints", "`loaded[1]` should be a list of ints, got a set. `sorted(…)` makes"),
        ([[1], None], "Not a list of ints", "`loaded[1]` should be a list of ints, got a NoneType."),
        ([[1], 2], "Not a list of ints", "`loaded[1]` should be a list of ints, got an int."),
        ([0.5, 2], "Not a list of ints", "`loaded[0]` should be a list of ints, got a float."),
        ([[1], [2, 3.0]], "Not a list of ints", "`loaded[1]` should be a list of ints, and holds a float."),
        ([[1], [True]], "Not a list of ints", "`loaded[1]` should be a list of ints, and holds a bool."),
        ([[[1]], []], "Not a list of ints", "`loaded[0]` should be a list of ints, and holds a list."),
        ([[torch.tensor(1)]], "Not a list of ints", "`loaded[0]` should be a list of ints, and holds a Tensor."),
        ([[np.zeros(2)]], "Not a list of ints", "`loaded[0]` should be a list of ints, and holds a ndarray."),
        ([[1], [10**30]], "A number far too large", "`loaded`"),
        ([[1], [FILL]], "A number far too large", "`loaded`"),
        (None, "Nothing is returned", "expected `loaded`"),
    ],
)
def test_what_is_no_list_of_lists_is_named(returned, title, quoted):
    _, fault = read(LRU, returned)
    assert fault.title == title and quoted in fault.sentence


@pytest.mark.parametrize(
    "change",
    [
        lambda requests: requests[0].sort(reverse=True), lambda requests: requests[-1].append(0),
        lambda requests: requests.pop(), lambda requests: requests.reverse(),
    ],
)  # fmt: skip
def test_a_list_that_is_changed_inside_is_noticed_and_does_not_reach_the_next_trial(change):
    def learner(requests, slots):
        answer = LRU.reference(requests, slots)
        change(requests)
        return answer

    result = grade(LRU, learner)
    assert result.mistake.title == "Your function changed its input"
    assert "`requests` had other values" in result.mistake.sentence and "`.sort()`" in result.mistake.sentence
    assert dict(result.cases)["several experts per step"] is True


def test_an_input_of_lists_runs_again_in_a_cell_that_has_nothing():
    for trial in every_trial(LRU):
        names: dict = {}
        exec(input_code(LRU, trial).rsplit("\n", 1)[0], names)
        assert (names["requests"], names["slots"]) == trial.args


def test_a_few_lists_are_shown_and_many_are_not():
    trial = Trial(([[3, 1], [], [0]], 2), "")
    assert given(LRU, trial) == {"requests": {"0": "3, 1", "1": "", "2": "0"}, "": {"slots": 2}}
    assert given(LRU, replace(trial, args=([[1]] * (FEW + 1), 2))) == {}
    assert given(LRU, replace(trial, args=([[1], [0.5]], 2))) == {}
    coefficients = exercises()["6.3"]
    assert given(coefficients, coefficients.cases()[0].trials[0]) == {}


def test_the_card_shows_the_requests_and_who_is_loaded_in_which_step():
    result = grade(LRU, lambda requests, slots: [sorted(needed) for needed in requests])
    evidence, html = result.evidence, card_html(result)
    requests = LRU.cases()[2].trials[0].args[0]
    assert evidence.expected.shape == (len(requests), 1 + max(map(max, requests)))
    assert evidence.expected.sum(dim=1).tolist() == [1, 1, 1, 0, 1, 1, 0, 1], "of 8 steps, 2 find their expert"
    assert evidence.index == (3, 3) and "expected <code>loaded (T, E)</code>" in html
    assert "input <code>requests</code>" in html and "<td>4</td>" in html and str(FILL) not in html


@pytest.mark.parametrize("returned", [[[-1], [0]], [[10**9], [0]], [[0], [0], [0]], [1, 2], []])
def test_what_cannot_be_drawn_is_told_without_a_table(returned):
    asked = replace(LRU, cases=lambda: (Case("two steps", (Trial(([[0], [1]], 1), "two steps"),), ("loaded",)),))
    result = grade(asked, lambda requests, slots: returned)
    assert result.status == "not yet" and result.evidence.expected is None
    assert result.mistake.sentence and str(FILL) not in card_html(result)


def test_every_request_is_one_that_the_text_allows():
    sizes = set()
    for trial in every_trial(LRU):
        requests, slots = trial.args
        assert all(1 <= len(set(needed)) == len(needed) <= slots for needed in requests), trial.note
        assert [sorted(step.loaded) for step in play(requests, slots)] == LRU.reference(requests, slots)
        sizes.add(any(needed != sorted(needed) for needed in requests))
    assert sizes == {True, False}


def test_every_share_is_one_that_the_text_allows():
    for trial in every_trial(exercises()["12.1"]):
        shares, n_tokens = trial.args
        total = float(shares.double().sum())
        assert 0 <= shares.min() and shares.max() <= 1 and n_tokens >= 1, trial.note
        assert abs(total - round(total)) < 1e-6 * total and round(total) >= 1, trial.note


def test_hand_worked_steps():
    # 3 slots: 4 finds no room, and of 1 and 2, both last used in step 0, the lower number goes; then 2, then 3
    assert LRU.reference([[2, 1], [3], [4], [1], [2, 4]], 3) == [[1, 2], [3], [4], [1], [2]]
    # shares ½ and ½ of two tokens: each expert is left alone with probability ¼
    assert exercises()["12.1"].reference(torch.tensor([0.5, 0.5]), 2) == 1.5
