"""Works are measured in turn, and compared round by round."""

import pytest

from moe_lite.lab.timing import Timing, interleaved


def test_works_take_turns_after_one_unmeasured_round():
    calls = []
    measured = interleaved({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=3)
    assert calls == ["a", "b"] * 4
    assert [len(timing.seconds) for timing in measured.values()] == [3, 3]


def test_median_and_quartiles():
    timing = Timing((4.0, 1.0, 3.0, 2.0, 5.0))
    assert (timing.median, timing.quartiles) == (3.0, (2.0, 4.0))
    assert Timing((2.0,)).quartiles == (2.0, 2.0)


def test_ratio_is_taken_round_by_round():
    """The machine is ten times slower in the second round; the ratio does not notice."""
    assert Timing((2.0, 30.0)).over(Timing((1.0, 10.0))).seconds == (2.0, 3.0)


def test_no_round_is_refused():
    with pytest.raises(ValueError, match="rounds is 0, expected at least 1"):
        interleaved({}, rounds=0)
