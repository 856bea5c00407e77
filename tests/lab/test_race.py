"""The race of the balancing rules (moe_lite/lab/race.py)."""

import json
from dataclasses import asdict

import pytest
from small import small_config

from moe_lite import TrainConfig
from moe_lite.lab.race import AGAINST, finishes, flops, main, table
from moe_lite.lab.runs import Interval
from moe_lite.lab.sweeps import FORMAT, VERSION
from moe_lite.metrics import budget

CONFIG = small_config(n_experts=4, top_k=2)
EVEN, SKEWED = [[10, 10, 10, 10]] * 3, [[40, 0, 0, 0], [10, 10, 10, 10], [20, 20, 0, 0]]


def row(name, seed, loss, load=EVEN, per_token=2.0, **changes):
    values = {"name": name, "changes": changes, "seed": seed, "final_loss": loss, "final_load": load}
    return values | {"above_1.25_percent": 10.0 * seed, "experts_per_token": per_token}


ROWS = [
    *[row("no balancing", seed, loss, SKEWED) for seed, loss in enumerate((3.0, 3.2, 3.4))],
    *[row("Switch loss", seed, loss, balance_coef=0.01) for seed, loss in enumerate((3.1, 3.3, 3.5))],
    *[
        row("threshold", seed, loss, per_token=3.0, router="expert_threshold", score="sigmoid", threshold_warmup=7)
        for seed, loss in enumerate((3.1, 3.1, 3.4))
    ],
    row("threshold, other memory", 0, 3.3, router="expert_threshold", threshold_memory=0.5),
]


@pytest.fixture
def folder(tmp_path):
    head = {"format": FORMAT, "version": VERSION, "model": asdict(CONFIG), "train": asdict(TrainConfig(length=8))}
    (tmp_path / "race.json").write_text(json.dumps(head | {"torch": "2", "machine": "CPU", "rows": ROWS}))
    return tmp_path


def test_differences_are_taken_seed_by_seed(folder):
    finished, tried = finishes(folder=folder)
    assert [one.rule for one in finished] == ["no balancing", "Switch loss", "threshold"]
    free, switch, threshold = finished
    assert list(free.differences) == ["Switch loss"] and list(threshold.differences) == [*AGAINST]
    # 0.1 in every seed; the threshold's are 0.1, −0.1, 0, so a deviation of 0.1 and 4.303 · 0.1/√3 = 0.248
    above = switch.differences["no balancing"]
    assert (above.mean, above.low, above.high) == pytest.approx((0.1, 0.1, 0.1))
    other = threshold.differences["no balancing"]
    assert (other.mean, other.low, other.high) == pytest.approx((0, -0.2484, 0.2484), abs=1e-4)
    assert [one.rule for one in tried] == ["threshold, other memory"] and tried[0].differences == {}


def test_loads_are_measured_per_layer_then_averaged(folder):
    free, switch, threshold = finishes(folder=folder)[0]
    # CV √3, 0, 1; fullest 4, 1 and 2 times the mean; 3, 0, 2 of 12 dead
    assert free.cv == pytest.approx((3**0.5 + 0 + 1) / 3) and free.violation == pytest.approx((3 + 0 + 1) / 3)
    assert free.dead_percent == pytest.approx(100 * 5 / 12) and free.above_percent == pytest.approx(10)
    assert switch.cv == switch.dead_percent == 0
    assert (free.looks_ahead, threshold.looks_ahead) == ("no", "training, first 7 batches")


def test_flops_follow_the_number_of_experts(folder):
    parts = budget(CONFIG, 8)
    free, _, threshold = finishes(folder=folder)[0]
    assert free.flops_per_token == parts.total_flops
    # one expert more in each of 3 layers: 2 · 3 · 16 · 12 each
    assert threshold.flops_per_token - free.flops_per_token == 3 * 2 * 3 * 16 * 12
    assert flops(CONFIG, 2.0, 8) == parts.total_flops


def test_the_table_says_no_difference_where_the_interval_contains_zero(folder):
    free, switch, threshold = finishes(folder=folder)[0]
    shown = table([free, switch, threshold], AGAINST).splitlines()
    assert len(shown) == 5 and shown[0].count("|") == shown[2].count("|") == shown[4].count("|")
    assert "| 3.200 | — | −0.100 [−0.100, −0.100] |" in shown[2] and "| +0.100 [+0.100, +0.100] | — |" in shown[3]
    assert "| no difference +0.000 [−0.248, +0.248] |" in shown[4] and "| 3.00 |" in shown[4]


def test_a_rule_that_was_not_recorded_is_named(folder):
    with pytest.raises(ValueError, match="Not recorded on all seeds: luck. There are no balancing, Switch loss, thr"):
        finishes(["luck"], folder)


# ---- what the course ships -------------------------------------------------------------------------------------------


def test_shipped_race_is_whole_and_fair():
    finished, tried = finishes()
    assert len(finished) >= 10 and {one.seeds for one in finished} == {(0, 1, 2, 3, 4)}
    assert all(one.seeds == (0,) for one in tried) and len(tried) >= 5
    assert all(one.experts_per_token == 2 for one in finished if not one.rule.startswith("expert threshold"))
    assert all(isinstance(d, Interval) and d.n == 5 for one in finished for d in one.differences.values())


def test_the_command_prints_both_tables(capsys):
    main([])
    shown = capsys.readouterr().out
    assert "| no balancing |" in shown and "| hash table |" in shown and "Tried on seed 0 only" in shown
    main(["--against", "sigmoid, no balancing"])
    assert "minus sigmoid, no balancing" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["--against", "luck"])
    assert "Not recorded on all seeds: luck" in capsys.readouterr().err
