"""Two models at equal tokens, FLOPs or seconds: which seeds are paired, and where there is nothing to pair."""

import pytest
import torch
from planted_runs import plant

from moe_lite.lab.comparison import equal, largest_common, paired, series

DENSE, MOE = "dense-equal-active", "moe-8-top2"
LOSSES = {
    "1M": {DENSE: [3.30, 3.32, 3.28], MOE: [3.25, 3.27, 3.22]},
    "2M": {DENSE: [2.90, 2.92, 2.88, 2.91], MOE: [2.85, 2.87, 2.82, 2.84]},
    "8M": {DENSE: [2.40], MOE: {1: 2.30, 0: 2.31}},
}
SECONDS = {DENSE: 0.1785, MOE: 0.21723}


@pytest.fixture
def both(tmp_path, monkeypatch):
    monkeypatch.setenv("MOE_LITE_DATA", str(plant(tmp_path, LOSSES, seconds=SECONDS, flops={DENSE: 300, MOE: 330})))
    return series(MOE), series(DENSE)


def test_a_budget_that_is_met_gives_all_of_its_seeds_whatever_other_budgets_have(both):
    """8M has one seed of the dense model; at 2M four are compared."""
    seeds, x, y = paired(*both, "tokens", 2_048_000)
    assert seeds == [0, 1, 2, 3]
    torch.testing.assert_close(x - y, torch.tensor([-0.05, -0.05, -0.06, -0.07], dtype=torch.float64))
    between, x, y = paired(*both, "tokens", 1_500_000)
    assert between == [0, 1, 2] and (x > 2.82).all() and (x < 3.27).all()


def test_one_pair_has_no_interval_and_none_outside_of_what_was_trained(both):
    assert paired(*both, "tokens", 8_192_000)[0] == [0]
    with pytest.raises(ValueError, match="moe-8-top2 and dense-equal-active share 1 seeds at 8.19e\\+06 tokens"):
        equal(*both, "tokens", 8_192_000)
    assert equal(*both, "tokens", 1_000_000) is None and equal(*both, "tokens", 9e6) is None


@pytest.mark.parametrize("axis", ["tokens", "FLOPs", "seconds"])
def test_the_end_of_a_training_is_met_on_every_axis_in_spite_of_rounding(both, axis):
    for one in both:
        for tokens in one.tokens:
            assert one.tokens_for(axis, tokens * one.per_token(axis)) == tokens
    most = largest_common(*both, axis)
    assert paired(*both, axis, most) is not None


def test_seeds_that_no_two_share_pair_nothing(tmp_path, monkeypatch):
    losses = {"2M": {DENSE: [2.9, 2.92], MOE: {5: 2.8, 6: 2.8}}}
    monkeypatch.setenv("MOE_LITE_DATA", str(plant(tmp_path, losses)))
    seeds, x, y = paired(series(MOE), series(DENSE), "tokens", 2_048_000)
    assert seeds == [] and len(x) == len(y) == 0
    with pytest.raises(ValueError, match="No training step of 'moe-8-top2' was timed"):
        series(MOE).per_token("seconds")
