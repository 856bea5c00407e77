"""Sentences that are held against outputs: what counts as true, what is named, and that the lesson stays as it is."""

import random

import numpy as np
import pytest
import torch

from moe_lite.checks.holds import HoldsError, holds, run_holds

WHERE = "03_router.py, line 132 (cell holds-x)"


@pytest.mark.parametrize("true", [True, np.True_, torch.tensor(True), torch.tensor([1, 2]).max() == 2])
def test_a_sentence_that_holds_says_nothing(true):
    assert holds("two is the largest", true) is None


@pytest.mark.parametrize("false", [False, np.False_, torch.tensor(False)])
def test_a_sentence_that_does_not_hold_is_named(false):
    with pytest.raises(HoldsError, match="^it does not hold: eight experts kill none$"):
        holds("eight experts kill none", false)


@pytest.mark.parametrize(
    ("condition", "came"),
    [
        (1, r"a int \(1\)"),
        (0.0, r"a float \(0.0\)"),
        (None, r"a NoneType \(None\)"),
        ("no", r"a str \('no'\)"),
        ([True], r"a list \(\[True\]\)"),
        (torch.tensor(1), r"a Tensor \(shape \(\), torch.int64\)"),
        (torch.tensor([True]), r"a Tensor \(shape \(1,\), torch.bool\)"),
        (np.ones(3, dtype=bool), r"a ndarray \(shape \(3,\), bool\)"),
    ],
)
def test_what_is_no_single_truth_is_refused(condition, came):
    with pytest.raises(HoldsError, match=f"got {came}; expected one True or False"):
        holds("it is so", condition)


@pytest.mark.parametrize("sentence", ["", "  ", None, True])
def test_a_sentence_is_needed(sentence):
    with pytest.raises(HoldsError, match="expected the words that the lesson claims"):
        holds(sentence, True)


def test_the_line_of_the_sentence_is_named():
    with pytest.raises(HoldsError) as caught:
        run_holds({"dead": 3}, WHERE, '_few = 1\nholds("some die", dead > _few)\n\nholds("none dies", dead == 0)')
    assert str(caught.value) == "03_router.py, line 136 (cell holds-x): it does not hold: none dies"
    assert caught.value._render_traceback_() == [str(caught.value)]


def test_a_condition_that_raises_is_named_with_its_sentence():
    with pytest.raises(HoldsError) as caught:
        run_holds({}, WHERE, 'holds("none dies", dead == 0)')
    assert str(caught.value) == (
        "03_router.py, line 133 (cell holds-x): `holds('none dies', dead == 0)` raises NameError: "
        "name 'dead' is not defined"
    )


def test_the_variables_of_the_lesson_stay_as_they_are():
    variables = {"dead": [0, 2]}
    run_holds(
        variables, WHERE, '_all = [n for n in dead if n]\ndead = 5\nholds("one row has dead ones", len(_all) == 1)'
    )
    assert variables == {"dead": [0, 2]}


@pytest.mark.parametrize(
    "draw", ["torch.rand(1)", "np.random.rand()", "random.random()", "torch.rand(1, generator=noise)"]
)
def test_a_draw_from_a_generator_of_the_lesson_is_refused(draw):
    variables = {"torch": torch, "np": np, "random": random, "noise": torch.Generator().manual_seed(0)}
    with pytest.raises(HoldsError, match=r"\(cell holds-x\): a holds cell draws from a random generator of the lesson"):
        run_holds(variables, WHERE, f'_x = {draw}\nholds("so it is", True)')
    own = '_own = torch.Generator()\n_x = torch.rand(1, generator=_own)\nholds("so it is", True)'
    run_holds(variables, WHERE, own)


@pytest.mark.parametrize("shown", ["print(7)", "__import__('sys').stderr.write('7')"])
def test_a_holds_cell_that_shows_something_is_refused(shown):
    with pytest.raises(HoldsError, match=r"line 134 \(cell holds-x\): a holds cell shows something: '7"):
        run_holds({}, WHERE, f'holds("so it is", True)\n{shown}')
