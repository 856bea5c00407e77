"""Which of two models is better (moe_lite/lab/comparison.py), on planted recordings and on those that are shipped."""

import math
import re

import pytest
import torch
from planted_runs import plant

from moe_lite import comparison, runs
from moe_lite.lab import comparison_tables
from moe_lite.lab.comparison import Verdict, equal, equal_cost, extended, largest_common, saved, series, verdict

SMALL, LARGE, EIGHT = "dense-equal-active", "dense-equal-total", "moe-8-top2"
LOSSES = {  # each model falls by the same from budget to budget, so what is read between them is known
    "0.5M": {SMALL: [4.0, 4.1, 4.2], EIGHT: [3.9, 4.0, 4.1]},
    "1M": {SMALL: [3.5, 3.6, 3.7], EIGHT: [3.4, 3.5, 3.6]},
    "2M": {SMALL: [3.0, 3.1, 3.2], EIGHT: [2.9, 3.0, 3.1], LARGE: [2.9, 3.2, 3.1]},
}


@pytest.fixture
def planted(tmp_path, monkeypatch):
    seconds, flops = {SMALL: 0.2, LARGE: 0.3, EIGHT: 0.4}, {SMALL: 300, LARGE: 600, EIGHT: 300}
    monkeypatch.setenv("MOE_LITE_DATA", str(plant(tmp_path, LOSSES, seconds=seconds, flops=flops)))


def test_a_verdict_names_the_lower_loss_unless_the_interval_contains_zero():
    a, b = torch.tensor([2.9, 3.0, 3.1]), torch.tensor([3.0, 3.11, 3.2])
    found = verdict(("a", "b"), a, b, 4.303, "equal tokens")
    assert found.better == "a" and found.low < found.delta_nats < found.high < 0
    assert verdict(("b", "a"), b, a, 4.303, "equal tokens").better == "a"
    unsure = verdict(("a", "b"), torch.tensor([3.0, 3.1]), torch.tensor([3.1, 3.0]), 12.7, "equal tokens")
    assert unsure.better is None and "cannot tell" in str(unsure)
    assert str(Verdict("a", -0.05, -0.08, -0.02, "2 tokens")) == "a is better: −0.050 [−0.080, −0.020] nats at 2 tokens"


def test_models_are_read_where_both_spent_as_much(planted):
    eight, small = series(EIGHT), series(SMALL)
    assert largest_common(eight, small, "tokens") == 2_048_000
    at_tokens = equal(eight, small, "tokens", 2_048_000)
    assert at_tokens.delta_nats == pytest.approx(-0.1) and at_tokens.better == eight.title
    # in the time of two million tokens, a model that takes twice as long sees one million
    amount = largest_common(eight, small, "seconds")
    assert amount == pytest.approx(200.0)
    in_time = equal(eight, small, "seconds", amount)
    assert in_time.delta_nats == pytest.approx(3.4 - 3.0) and in_time.better == small.title
    # between two budgets, halfway in the logarithm is halfway in the loss
    assert small.losses_at(1_024_000 * math.sqrt(2)).tolist() == pytest.approx([3.25, 3.35, 3.45])
    halfway = equal(small, eight, "tokens", 1_024_000 * math.sqrt(2))
    assert halfway.delta_nats == pytest.approx(0.1)
    assert equal(eight, small, "seconds", 10.0) is None  # never trained on so few tokens


def test_the_learners_function_and_the_packages_agree(planted):
    eight, small = series(EIGHT), series(SMALL)
    for axis in ("tokens", "FLOPs", "seconds"):
        costs = [one.per_token(axis) for one in (eight, small)]
        amount, better, *numbers = equal_cost(torch.tensor(eight.tokens), eight.losses, small.losses, *costs, 4.303)
        found = equal(eight, small, axis, largest_common(eight, small, axis))
        assert amount == pytest.approx(largest_common(eight, small, axis))
        assert numbers == pytest.approx([found.delta_nats, found.low, found.high])
        assert (eight.title, small.title, None)[better] == found.better


def test_what_is_saved_is_read_between_budgets(planted):
    eight, small = series(EIGHT), series(SMALL)
    # 0.1 nats are a fifth of a doubling
    assert saved(eight, small, "tokens") == pytest.approx([2**-0.2] * 3)
    assert saved(eight, small, "seconds") == pytest.approx([2 * 2**-0.2] * 3)
    assert saved(series(LARGE), small, "tokens") == [None] * 3  # one budget has no line


def test_a_series_may_leave_budgets_out(planted):
    whole, part = series(SMALL), series(SMALL, ["2M", "0.5M"])
    assert part.tokens == [whole.tokens[0], whole.tokens[2]], "from the smallest on, however they were asked for"
    assert torch.equal(part.losses, whole.losses[:, [0, 2]])
    assert series(SMALL, "1M").tokens == whole.tokens[1:2]


def test_a_budget_in_seconds_gives_each_model_the_tokens_that_it_gets_through(tmp_path, monkeypatch):
    """200 s are two million tokens of the small model, which needs no training of its own for them."""
    seconds = {SMALL: 0.2, LARGE: 0.25, EIGHT: 0.4}
    losses = LOSSES | {"200s": {LARGE: [3.1, 3.2, 3.3]}}
    monkeypatch.setenv("MOE_LITE_DATA", str(plant(tmp_path, losses, seconds=seconds)))
    assert runs.budgets() == ["0.5M", "1M", "2M", "200s"] and comparison_tables.longest(runs.budgets()) == "2M"
    large = series(LARGE)
    assert large.budgets == ("200s", "2M") and large.tokens == [800 * 2048, 1000 * 2048]
    assert large.on("200s").losses == [3.1, 3.2, 3.3] and large.on("190s") is None
    assert series(SMALL).on("200s").tokens == 2_048_000
    assert equal(large, series(SMALL), "seconds", 200.0).delta_nats == pytest.approx(0.1)
    assert [*comparison.timed("200s")] == [SMALL, LARGE, EIGHT]
    told = comparison_tables.timed_tables().splitlines()
    assert told[0].startswith("Trained for 200 seconds") and told[4].endswith("| 2.0 M | 3.100 [2.852, 3.348] |  | 3 |")
    assert told[5].startswith(
        f"| {LARGE.replace('dense-equal-total', 'dense, equal total parameters')} | 1.6 M | 3.200"
    )
    assert told[6].endswith("| 1.0 M | 3.500 [3.252, 3.748] | +0.400 [+0.400, +0.400] | 3 |")


def test_a_line_goes_on_as_straight_as_it_was():
    tokens, losses = torch.tensor([1, 2, 4]), torch.tensor([[4.0, 3.5, 3.0], [5.0, 5.0, 5.0]], dtype=torch.float64)
    assert extended(tokens, losses, at=8).tolist() == pytest.approx([2.5, 5.0])
    assert extended(tokens[:2], losses[:, :2], at=4).tolist() == pytest.approx([3.0, 5.0])


def test_bad_questions_are_named(planted):
    with pytest.raises(ValueError, match="'bytes' is not spent token by token"):
        series(SMALL).per_token("bytes")
    with pytest.raises(
        ValueError, match="There is no recording 'moe-3' on 0.5M tokens or 1M tokens or 2M tokens; there "
    ):
        series("moe-3")
    with pytest.raises(ValueError, match=f"no recording '{LARGE}' on 0.5M tokens"):
        series(LARGE, ["0.5M"])
    with pytest.raises(ValueError, match="There is no budget '3M'; there are 0.5M, 1M, 2M."):
        series(SMALL, ["1M", "3M"])
    with pytest.raises(ValueError, match="No budget is asked for"):
        series(SMALL, [])
    with pytest.raises(ValueError, match="lie outside of the budgets, which go from 512,000 to 2,048,000"):
        series(SMALL).losses_at(3e6)


@pytest.mark.parametrize("budget", ["1M", runs.BUDGET])
def test_a_change_is_compared_seed_by_seed(budget):
    """With the eight experts of the same seed; the interval is the paired one."""
    found = comparison.changes(budget)
    assert list(found) == list(comparison.CHANGED)
    for name, of in found.items():
        ends = [runs.recording(one, budget, seeds=None).losses for one in (name, comparison.EIGHT)]
        assert len(ends[0]) >= 3
        differences = [a - b for a, b in zip(*ends, strict=False)]
        assert of.mean == pytest.approx(sum(differences) / len(differences)) and of.low < of.mean < of.high


TITLE_OF_EIGHT = "8 experts, top-2"


def parts_against_small(told: str) -> list[str]:
    """What stands under each heading that compares with the small dense model."""
    return re.split(r"^Minus ", told.partition("Minus dense, equal total")[0], flags=re.MULTILINE)[1:]


def test_tables_of_what_is_shipped(capsys):
    comparison_tables.main([])
    told = capsys.readouterr().out
    for name in comparison.compared():
        assert runs.recording(name).title in told
    assert "equal seconds" in told and "nan" not in told
    usual, long = (re.findall(rf"^\| {TITLE_OF_EIGHT} \|.*$", part, re.MULTILINE) for part in parts_against_small(told))
    assert len(usual) == len(long) == 1
    assert usual[0].endswith("| +0.067 [+0.044, +0.090] |"), "as section 10.4 of the lesson has it"
    assert long[0].endswith("| −0.043 [−0.062, −0.025] |"), "as section 10.5 has it"
    assert all("finer" in part for part in parts_against_small(told))
    shared, timed = re.findall(r"^\| 7 experts, top-1, and one shared \|.*$", told, re.MULTILINE)
    in_lesson = "| −0.022 [−0.064, +0.020] | −0.013 [−0.040, +0.014] | cannot tell +0.007 [−0.024, +0.037] |"
    assert shared.endswith(in_lesson), "one million tokens, two million, and per second, as section 10.4 has them"
    assert timed.endswith("| −0.055 [−0.080, −0.030] | 5 |"), "after 718 seconds, as section 10.5 has it"
    with pytest.raises(SystemExit):
        comparison_tables.main(["--against", "moe-3"])
    assert "There is no recording 'moe-3'" in capsys.readouterr().err
