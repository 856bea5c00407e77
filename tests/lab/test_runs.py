"""Recorded trainings (moe_lite/lab/runs.py) and the tool that records them (tools/record_runs.py)."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small import small_corpora

from moe_lite import ModelConfig, MoELanguageModel, TrainConfig, runs
from moe_lite.evaluate import evaluate
from moe_lite.lab.runs import Recording, Run, differences, interval, read
from moe_lite.metrics import count_parameters

TOOL = Path(__file__).parents[2] / "tools" / "record_runs.py"


def tool():
    spec = importlib.util.spec_from_file_location("record_runs", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(seed: int, lr: float, loss: float) -> Run:
    final = {"a": loss - 0.5, "b": loss + 0.5}
    return Run(seed, lr, 1.0, [100, 200], [5.0, 4.0], [100, 200], [loss + 1, loss], final, [])


def recording(name: str, *all_runs: Run) -> Recording:
    counts = {"total": 1, "active": 1, "experts": 0, "router": 0}
    return Recording(name, name, ModelConfig(), TrainConfig(), counts, 1, "2.13.0", 1, "CPU", all_runs)


def test_interval_by_hand():
    # mean 2, deviation 1, standard error 1 / sqrt 3, t(0.975, 2 degrees of freedom) = 4.303
    found = interval([1.0, 2.0, 3.0])
    assert (found.mean, found.n) == (2.0, 3)
    assert found.low == pytest.approx(2 - 4.303 / 3**0.5) and found.high == pytest.approx(2 + 4.303 / 3**0.5)
    assert str(interval([1.0, 1.0])) == "1.000 [1.000, 1.000]"


@pytest.mark.parametrize("values", [[], [1.0], [1.0] * 17])
def test_interval_needs_a_spread_that_its_table_knows(values):
    with pytest.raises(ValueError, match=f"{len(values)} values; an interval over seeds"):
        interval(values)


def test_best_learning_rate_is_chosen_on_the_first_seed_alone():
    found = recording(
        "m", run(0, 4e-3, 3.0), run(0, 1e-3, 2.5), run(0, 2e-3, 2.7), run(2, 1e-3, 2.4), run(1, 1e-3, 2.6)
    )
    assert found.learning_rates == {1e-3: 2.5, 2e-3: 2.7, 4e-3: 3.0}
    assert found.lr == 1e-3
    assert [(r.seed, r.loss) for r in found.runs] == [(0, 2.5), (1, 2.6), (2, 2.4)]
    assert found.losses == [2.5, 2.6, 2.4]


def test_differences_are_paired_by_seed():
    a = recording("a", run(0, 1e-3, 2.0), run(1, 1e-3, 3.0))
    b = recording("b", run(0, 2e-3, 2.5), run(1, 2e-3, 3.25))
    assert differences(a, b) == [-0.5, -0.25]
    more = recording("d", run(0, 2e-3, 2.5), run(1, 2e-3, 3.25), run(2, 2e-3, 9.0))
    assert differences(a, more) == [-0.5, -0.25]  # the seeds that both have
    with pytest.raises(ValueError, match=r"a has seeds \[0, 1\], c \[0\]: too few to pair"):
        differences(a, recording("c", run(0, 2e-3, 2.5)))


def test_tokens_to_a_loss_are_read_off_the_validation_curve():
    assert run(0, 1e-3, 2.0).tokens_to(2.5) == 200
    assert run(0, 1e-3, 2.0).tokens_to(3.0) == 100
    assert run(0, 1e-3, 2.0).tokens_to(1.9) is None


def test_summary_quotes_losses_and_the_lead_over_the_baseline_seed_by_seed():
    base = recording("base", run(0, 1e-3, 3.0), run(1, 1e-3, 3.5))
    better = recording("better", run(0, 2e-3, 2.5), run(1, 2e-3, 3.25))
    found = runs.summary([base, better], "base")
    assert found["base"]["losses"] == [3.0, 3.5] and "difference" not in found["base"]
    assert found["better"]["difference"]["mean"] == -0.375
    assert found["better"]["difference"]["low"] == round(-0.375 - 12.706 * 0.125, 4)  # standard error 0.125
    assert found["better"]["reached"] == [round(200 / better.tokens, 4)] * 2
    assert found["better"]["loss"]["mean"] == 2.875


@pytest.mark.skipif(not (runs.folder() / runs.SUMMARY).is_file(), reason="no recordings are there yet")
def test_summary_is_what_the_recordings_say():
    record_runs = tool()
    written = json.loads((runs.folder() / runs.SUMMARY).read_text())
    quoted = [name for name in record_runs.MODELS if name in written]
    assert written == runs.summary([runs.recording(name) for name in quoted], record_runs.BASELINE)
    assert {*record_runs.MODELS} - {*record_runs.COMPARED[4:]} <= {*written}


def test_a_budget_that_takes_its_learning_rate_comes_after_the_one_that_is_tuned():
    record_runs = tool()
    order = [*record_runs.BUDGETS]  # in which all are recorded
    for taker, tuned in record_runs.TUNED_ON.items():
        assert order.index(tuned) < order.index(taker)
        assert {*record_runs.BUDGETS[taker]} & {*record_runs.BUDGETS[tuned]}


@pytest.mark.parametrize("budget", runs.budgets())
def test_recordings_are_what_the_tool_would_record(budget):
    record_runs = tool()
    assert {*runs.names(budget)} <= {*record_runs.BUDGETS[budget]}
    for name in runs.names(budget):
        title, config = record_runs.MODELS[name]
        found = runs.recording(name, budget, seeds=None)
        assert (found.title, found.model, found.train) == (title, config, record_runs.settings(name, budget))
        seeds = [one.seed for one in found.runs]
        assert seeds == list(record_runs.seeds(name))[: len(seeds)] and len(seeds) >= runs.SHARED_SEEDS
        if other := record_runs.tuned_on(name, budget):
            assert [*found.learning_rates] == [runs.recording(name, other, seeds=None).lr]
        else:
            assert min(found.learning_rates) < found.lr < max(found.learning_rates)


def test_unknown_and_damaged_recordings_are_named(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="There is no recording 'moe-3' on 2M tokens; there are "):
        runs.recording("moe-3")
    path = tmp_path / "x.json"
    path.write_text('{"format": "moe-lite-runs", "version": 2}')
    with pytest.raises(ValueError, match="x.json is no recording that this version reads: expected format"):
        read(path)


@pytest.mark.slow
def test_tool_records_what_the_model_scores_and_goes_on_where_it_stopped(tmp_path, monkeypatch):
    record_runs, corpora, path = tool(), small_corpora(), tmp_path / "tiny.json"
    config = ModelConfig(vocab_size=64, n_layers=1, d_model=16, n_heads=2, n_kv_heads=1, context_length=16, d_expert=8)
    settings = TrainConfig(steps=20, batch_size=2, length=8, warmup_steps=2, validate_every=10, validation_windows=2)
    monkeypatch.setattr(record_runs, "MODELS", {"tiny": ("a tiny one", config)})
    monkeypatch.setattr(record_runs, "folder", lambda budget: tmp_path)
    record_runs.record("tiny", corpora, settings)
    first = read(path)
    tried = [r.lr for r in first.all_runs if r.seed == 0]
    assert tried[:3] == [*record_runs.LEARNING_RATES]
    assert min(tried) < first.lr < max(tried)  # the best is not at the end of what was tried
    assert [r.seed for r in first.runs] == [0, 1, 2] and len(first.all_runs) == len(tried) + 2
    one = first.all_runs[0]
    assert (one.tokens, one.validation_tokens) == ([160, 320], [160, 320])
    assert torch.equal(one.load_table.sum(dim=1), torch.tensor([2 * 3 * 14 * 8]))  # K times 3 domains of 14 windows
    assert first.parameters["total"] == count_parameters(MoELanguageModel(config)).total
    # the same training, run by hand
    model = MoELanguageModel(config, seed=0)
    for _ in record_runs.train(model, corpora, replace(settings, lr=record_runs.LEARNING_RATES[0])):
        pass
    assert one.final == {k: round(v, 4) for k, v in evaluate(model, corpora, length=8).loss.items()}
    # what is there is not run again; what is missing is, to the same numbers
    values = json.loads(path.read_text())
    del values["all_runs"][-1]
    path.write_text(json.dumps(values))
    record_runs.record("tiny", corpora, settings)
    again = read(path)
    assert [replace(r, seconds=0) for r in again.all_runs] == [replace(r, seconds=0) for r in first.all_runs]
    with pytest.raises(SystemExit, match="recorded with other settings"):
        record_runs.record("tiny", corpora, replace(settings, steps=30))
    # a budget that takes its learning rate from another tries no other
    monkeypatch.setattr(record_runs, "folder", lambda budget: {"short": tmp_path / "short", "2M": tmp_path}[budget])
    monkeypatch.setattr(record_runs, "TUNED_ON", {"short": "2M"})
    monkeypatch.setattr(record_runs, "BUDGETS", {"2M": ["tiny"]})
    record_runs.record("tiny", corpora, replace(settings, steps=15), "short")
    taken = read(tmp_path / "short" / path.name)
    assert [(r.seed, r.lr) for r in taken.all_runs] == [(seed, first.lr) for seed in (0, 1, 2)]
