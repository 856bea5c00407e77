"""A prediction with a number: kept, found again, shown beside what came out, and refused with a sentence."""

import json
import re

import pytest
import torch

from moe_lite import guess
from moe_lite.course import progress
from moe_lite.course.guesses import NONE_MADE


@pytest.fixture(autouse=True)
def own_file(monkeypatch, tmp_path):
    monkeypatch.setenv("MOE_LITE_PROGRESS", str(tmp_path / "progress.json"))


def marks(picture) -> dict[str, float]:
    """Where on the axis the guess and the result stand, in px."""
    return {kind: float(x) for kind, x in re.findall(r'<circle class="(you|is)" cx="([\d.]+)"', picture.html)}


def test_a_guess_stands_beside_the_result():
    picture = guess("6.0", busiest=4, dead_experts=2).beside(busiest=torch.tensor(11.24), dead_experts=2)
    assert repr(picture) == "busiest: you said 4, it is 11.2 dead experts: you said 2, it is 2"
    one = guess("6.1", loss=8).beside(loss=4)
    assert (marks(one)["you"] - 12) / (marks(one)["is"] - 12) == pytest.approx(2), "both on one axis from 0"
    below = guess("6.2", change=-1).beside(change=0.5)
    assert repr(below) == "change: you said −1, it is 0.5" and marks(below)["you"] < marks(below)["is"]


def test_without_a_guess_the_result_stands_alone_and_a_line_says_how_to_guess():
    mine = guess("6.0", busiest=None)
    assert not progress.path().exists(), "nothing was guessed, so nothing is written"
    picture = mine.beside(busiest=1234.4)
    assert repr(picture) == "busiest: 1,234" and NONE_MADE in picture.html and marks(picture) == {}
    some = guess("6.0", busiest=None, dead=3).beside(busiest=2, dead=3)
    assert NONE_MADE not in some.html


def test_a_guess_is_kept_and_the_newest_counts():
    guess("6.0", busiest=4, dead=2)
    guess("7.0", percent=30)
    assert guess("6.0", busiest=None, dead=5).numbers == {"busiest": 4, "dead": 5}
    again = guess("6.0", busiest=None, dead=6)
    assert repr(again.beside(busiest=2, dead=3)) == "busiest: you said 4 earlier, it is 2 dead: you said 6, it is 3"
    guess("6.0", dead=5)
    assert json.loads(progress.path().read_text())["guesses"] == {
        "6.0": {"busiest": 4, "dead": 5}, "7.0": {"percent": 30},
    }  # fmt: skip


def test_guesses_and_exercises_share_a_file_and_leave_each_other_alone():
    progress.record("3.2", "top_k_route", passed=True, source="def f(): ...")
    guess("6.0", busiest=4)
    progress.skip("3.3", "routing_order")
    kept = progress.load()
    assert kept.guesses == {"6.0": {"busiest": 4}} and set(kept.entries) == {"3.2", "3.3"}


def test_guesses_that_make_no_sense_are_forgotten_and_exercises_stay():
    progress.record("3.2", "top_k_route", passed=True, source=None)
    content = json.loads(progress.path().read_text())
    for nonsense in (["6.0"], {"6.0": 3}, {"6.0": {"busiest": "many"}}, {"6.0": {"busiest": True}}):
        progress.path().write_text(json.dumps(content | {"guesses": nonsense}))
        assert guess("6.0", busiest=None).numbers == {"busiest": None}
        assert progress.load().entries["3.2"]["status"] == "pass" and not progress.load().damaged


@pytest.mark.parametrize("value", ["12 %", True, float("nan"), float("inf"), [1], torch.ones(2)])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(ValueError, match=r"busiest is .*; expected a number without a unit, such as 4 or 0.5, or None"):
        guess("6.0", busiest=value)
    assert not progress.path().exists()


def test_a_guess_under_another_name_is_told_and_stops_nothing():
    picture = guess("6.0", bussiest=1, dead=2).beside(busiest=3, dead=2)
    assert repr(picture) == (
        "busiest: 3 dead: you said 2, it is 2 No result here is called bussiest; asked for: busiest and dead."
    )
    assert repr(guess("6.1").beside(loss=3)) == "loss: 3"
