"""Trainings as a balance lab shows them (moe_lite/lab/sweeps.py)."""

import importlib.util
import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from small import small_config, small_corpora

from moe_lite import MoELanguageModel, TrainConfig
from moe_lite.data import data_dir, encode
from moe_lite.evaluate import evaluate
from moe_lite.lab.recording import recorded as read_recorded
from moe_lite.lab.sweeps import (
    COLUMNS,
    FACTORS,
    FORMAT,
    TEXT,
    VERSION,
    Recorder,
    changed,
    ends,
    grid,
    name_of,
    overflow,
    read_grid,
    save_run,
)
from moe_lite.metrics import dead_experts
from moe_lite.train import train

TOOL = Path(__file__).parents[2] / "tools" / "record_balance.py"
CONFIG = small_config(vocab_size=2048, context_length=128, n_layers=2)


def recorded(**settings):
    model = MoELanguageModel(replace(CONFIG, **settings), seed=1)
    recorder = Recorder(model, bin_steps=3, balance_coef=0.01, seed=1)
    logs = []
    for log in train(model, small_corpora(), TrainConfig(steps=7, batch_size=3, length=12, warmup_steps=2)):
        recorder.add(log)
        logs.append(log)
    return model, recorder, logs


def test_bins_add_up_what_the_steps_said():
    _, recorder, logs = recorded(capacity_factor=0.5)
    run = recorder.run()
    assert run.steps == [3, 6] and run.name == "coefficient 0.01, seed 1" and run.source == "live"
    assert torch.equal(run.load[1], sum(log.load for log in logs[3:6]))
    shares = torch.stack([log.dropped / log.load.sum(dim=1) for log in logs[:3]]).mean(dim=0)
    torch.testing.assert_close(run.dropped[0], shares)
    assert shares.min() > 0.3
    assert run.cross_entropy[0] == pytest.approx(sum(log.cross_entropy for log in logs[:3]) / 3)
    assert run.final_loss is None and run.final_load is None


def test_choices_are_those_of_the_model_at_the_end_of_the_bin():
    model, recorder, logs = recorded()
    assert recorder.run().choices.shape == (2, 2, len(encode(TEXT)), 2)
    for step in (8, 9):  # the model stands still meanwhile
        recorder.add(replace(logs[-1], step=step))
    expected = torch.stack([routing.top_k[1] for routing in model.eval()(torch.tensor([encode(TEXT)])).routing])
    assert torch.equal(recorder.run().choices[-1], expected)


def test_run_before_its_first_bin_is_empty_and_has_its_shapes():
    run = Recorder(MoELanguageModel(CONFIG)).run()
    assert run.load.shape == (0, 2, 5) and run.overflow.shape == (0, 2, len(FACTORS)) and run.choices is None


def test_overflow_is_what_a_capacity_would_drop():
    load = torch.tensor([[6, 2, 0, 0], [2, 2, 2, 2]])
    # 8 assignments: a fair share of 2. Above 2, 2.5 (3), 3 and 4: 4, 3, 3, 2 of 8
    torch.testing.assert_close(overflow(load), torch.tensor([[4, 3, 3, 2], [0, 0, 0, 0]]) / 8)


def test_overflow_of_batches_with_other_numbers_of_assignments_has_their_own_fair_share():
    load = torch.tensor([[[6, 2, 0, 0], [2, 2, 2, 2]], [[0, 0, 0, 0], [4, 0, 0, 0]]])  # 8 and 8; none and 4
    # of 4 a fair share is 1: above 1, 1.25 (2), 1.5 (2) and 2 are 3, 2, 2, 2
    expected = torch.tensor([[[4 / 8, 3 / 8, 3 / 8, 2 / 8], [0] * 4], [[0] * 4, [3 / 4, 2 / 4, 2 / 4, 2 / 4]]])
    torch.testing.assert_close(overflow(load), expected)


def test_overflow_is_what_training_drops():
    _, recorder, _ = recorded(capacity_factor=1.25)
    run = recorder.run()
    torch.testing.assert_close(run.overflow[:, :, FACTORS.index(1.25)], run.dropped)


def test_what_is_saved_is_read(tmp_path):
    model, recorder, _ = recorded()
    recorder.settings["top_k"] = 2
    recorder.finish(evaluate(model, small_corpora(), length=12))
    run = recorder.run("recorded")
    head = {"format": "moe-lite-balance", "version": 1, "torch": "2", "machine": "CPU"}
    head |= {"model": asdict(CONFIG), "train": asdict(TrainConfig()), "rows": [save_run(tmp_path, run)]}
    (tmp_path / "grid.json").write_text(json.dumps(head))
    found = read_grid(tmp_path)
    assert (found.coefficients, found.top_ks, found.seeds) == ((0.01,), (2,), (1,))
    again = found.run(0.01, 2, 1)
    assert again.name == "coefficient 0.01, top-2, seed 1" and again.source == "recorded"
    for name in ("load", "choices", "final_load"):
        assert torch.equal(getattr(again, name), getattr(run, name))
    torch.testing.assert_close(again.overflow, run.overflow, atol=1e-3, rtol=1e-3)
    assert again.final_loss == pytest.approx(run.final_loss, abs=1e-4)
    with pytest.raises(ValueError, match=r"No recorded run with coefficient 0.5, top-2, seed 1; recorded are coeff"):
        found.run(0.5, 2, 1)


def test_file_of_another_kind_is_named(tmp_path):
    (tmp_path / "grid.json").write_text('{"format": "other"}')
    with pytest.raises(ValueError, match=r"grid.json is no recording that this version reads"):
        read_grid(tmp_path)


def test_unknown_settings_and_dense_models_are_refused():
    with pytest.raises(ValueError, match="Unknown settings colour; expected some of balance_coef"):
        Recorder(MoELanguageModel(CONFIG), colour=1)
    with pytest.raises(ValueError, match="A dense model has no router"):
        Recorder(MoELanguageModel(replace(CONFIG, n_experts=1)))


def test_name_says_what_was_set():
    assert name_of({"seed": 0, "top_k": 2, "balance_coef": 0.0}) == "coefficient 0.0, top-2, seed 0"


def test_ends_are_of_the_seeds():
    load = torch.tensor([[6, 2, 0, 0], [2, 2, 2, 2]])  # CV √6/2 and 0; two of eight are dead
    base = [{"final_loss": 3.0, "final_load": load}, {"final_loss": 3.2, "final_load": load}]
    other = [{"final_loss": 3.1, "final_load": load}, {"final_loss": 3.3, "final_load": load.flip(0) + 1}]
    rows = ends({"base": base, "other": other}, base)
    assert rows.shape == (2, len(COLUMNS))
    torch.testing.assert_close(rows[0, :5], torch.tensor([25.0, 25.0, 6**0.5 / 4, 3.1, 0.0]))
    assert rows[1, :2].tolist() == [0.0, 25.0]
    torch.testing.assert_close(rows[1, 3:], torch.tensor([3.2, 0.1, 0.1, 0.1]))


# ---- the tool that records them --------------------------------------------------------------------------------------


def tool():
    spec = importlib.util.spec_from_file_location("record_balance", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_tool_records_goes_on_and_sums_up(tmp_path, monkeypatch, capsys):
    record = tool()
    settings = TrainConfig(steps=20, batch_size=2, length=12, warmup_steps=2)
    small = {"MODEL": CONFIG, "TRAIN": settings, "COEFFICIENTS": (0.0, 0.1), "TOP_KS": (1, 2), "SEEDS": (0, 1)}
    for name, value in small.items():
        monkeypatch.setattr(record, name, value)
    corpora = small_corpora()
    record.record_grid(corpora, tmp_path)
    found = read_grid(tmp_path)
    assert len(found.rows) == 8 and found.run(0.1, 1, 0).choices is not None and found.run(0.1, 1, 1).choices is None
    assert found.run(0.1, 2, 0).final_loss != found.run(0.0, 2, 0).final_loss
    before = (tmp_path / "grid.json").read_text()
    record.record_grid(corpora, tmp_path)  # nothing left to do
    assert (tmp_path / "grid.json").read_text() == before
    record.record_changes(corpora, tmp_path / "sweep.json", {"3 experts": {"n_experts": 3}, "slow": {"lr": 1e-4}})
    pairs = {"top-1": {"top_k": 1}, "top-1, balanced": {"top_k": 1, "balance_coef": 0.1}}
    record.record_changes(corpora, tmp_path / "bought.json", pairs)
    monkeypatch.setattr(record, "LIMIT_WINDOWS", 2)
    ahead = {"expert choice": {"router": "expert_choice", "allow_lookahead": True}}
    limits = {"no limit": {}, "capacity 0.5": {"capacity_factor": 0.5}}
    record.record_changes(corpora, tmp_path / "steered.json", ahead | limits)
    varying = {"threshold": record.THRESHOLD | {"threshold_warmup": 5}, "quantile": record.QUANTILE}
    record.record_changes(corpora, tmp_path / "race.json", varying, (4,))
    raced = changed("race", tmp_path)
    assert [row["seed"] for rows in raced.values() for row in rows] == [4, 4]
    assert raced["quantile"][0]["experts_per_token"] == 2 != raced["threshold"][0]["experts_per_token"]
    monkeypatch.setattr(record, "changed", lambda name: changed(name, tmp_path))
    record.summarise(tmp_path)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["grid"]["top-2"]["1e-01"]["losses"] == [found.run(0.1, 2, seed).final_loss for seed in (0, 1)]
    ahead = summary["steered"]["expert choice"]
    assert ahead["cv"] == ahead["dropped_percent"] == 0 and ahead["loss_at_once"] != ahead["loss_by_prefix"]
    half = summary["steered"]["capacity 0.5"]
    assert half["limited_dropped_percent"] > summary["steered"]["no limit"]["limited_dropped_percent"] > 0
    assert half["loss_free"] != half["loss_limited"]
    gap = [b - a for a, b in zip(*(summary["bought"][name]["losses"] for name in pairs), strict=True)]
    assert summary["bought"]["top-1, balanced"]["loss_above_unbalanced"]["mean"] == pytest.approx(
        sum(gap) / 2, abs=1e-4
    )
    monkeypatch.setattr(record, "TRAIN", replace(settings, steps=40))
    with pytest.raises(SystemExit, match="recorded with other settings"):
        record.record_grid(corpora, tmp_path)


def test_shipped_recordings_are_those_of_the_tool():
    record, shipped = tool(), grid()
    assert (shipped.model, shipped.train) == (record.MODEL, record.TRAIN)
    assert (shipped.coefficients, shipped.top_ks, shipped.seeds) == (record.COEFFICIENTS, record.TOP_KS, record.SEEDS)
    for name, settings in {"sweep": record.SWEEP, "bought": record.BOUGHT, "race": record.TRIED | record.RACE}.items():
        assert {key: rows[0]["changes"] for key, rows in changed(name).items()} == settings
    with read_recorded(data_dir() / "balance" / "race.json", FORMAT, VERSION) as found:
        assert (found["model"], found["train"]) == (record.MODEL, record.TRAIN)
    for name in record.RACE:
        assert sorted(row["seed"] for row in changed("race")[name]) == [*record.SEEDS_OF["race"]]


# ---- what the course ships -------------------------------------------------------------------------------------------


def test_shipped_grid_is_whole():
    shipped = grid()
    assert shipped.coefficients[0] == 0 and len(shipped.seeds) >= 3
    assert len(shipped.rows) == len(shipped.coefficients) * len(shipped.top_ks) * len(shipped.seeds)
    assert "".join(shipped.tokens) == TEXT
    n_steps, batch = shipped.train.steps, shipped.train.batch_size * shipped.train.length
    for k in shipped.top_ks:
        run = shipped.run(shipped.coefficients[-1], k, shipped.seeds[0])
        assert int(run.load[:, 0].sum()) == n_steps * batch * k
        assert run.choices.shape == (len(run.steps), shipped.model.n_layers, len(shipped.tokens), k)
        assert run.final_load.shape == run.load.shape[1:]


def dead_shares(rows):
    return [float(dead_experts(row["final_load"]).sum()) / row["final_load"].numel() for row in rows]


def test_shipped_sweep_has_settings_that_kill_a_quarter_of_the_experts_in_every_seed():
    swept = changed("sweep")
    assert all(sorted(row["seed"] for row in rows) == [0, 1, 2] for rows in swept.values())
    assert min(dead_shares(swept["32 rows per step, 900 steps"])) >= 0.25
    assert max(dead_shares(swept["8 experts"])) == 0


def test_shipped_comparisons_stand_in_pairs():
    bought = changed("bought")
    assert {name for name in bought if not name.endswith(", balanced")} == {
        name.removesuffix(", balanced") for name in bought if name.endswith(", balanced")
    }
    for name, rows in bought.items():
        assert [row["seed"] for row in rows] == [0, 1, 2]
        assert all(("balance_coef" in row["changes"]) == name.endswith(", balanced") for row in rows)
