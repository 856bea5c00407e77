"""What the experts of trained models do, as recorded (moe_lite/lab/expert_runs.py), and the tool that records it."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest
import torch
from small import model_with_opinions, sample_corpora, small_corpora

from moe_lite import ModelConfig, MoELanguageModel, expert_runs, interventions
from moe_lite.checkpoint import pretrained
from moe_lite.data import DOMAINS, data_dir
from moe_lite.lessons.specialisation import read
from moe_lite.model.config import from_dict

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    spec = importlib.util.spec_from_file_location("record_specialisation", TOOLS / "record_specialisation.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "record_specialisation", module)  # a dataclass looks its module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name, seed", expert_runs.runs())
def test_what_is_shipped_fits_together(name, seed):
    run = expert_runs.expert_run(name, seed)
    n_layers, n_experts, n_domains = run.counts.shape
    assert n_experts == run.model.n_experts and n_layers == run.model.n_sparse_layers and n_domains == len(DOMAINS)
    assert run.domains == [*DOMAINS] and run.train.seed == run.seed == seed
    assert run.effect.shape == run.counts.shape and run.mass.shape == (n_layers, n_domains, n_experts)
    # every domain has as many tokens, each with K experts
    assert run.counts.sum(dim=1).unique().tolist() == [run.windows * run.model.context_length * run.model.top_k]
    for found in (*run.information.values(), *run.untrained.values(), run.given_token):
        assert found.observed.shape == found.chance.shape == (n_layers,)
        assert (found.observed < run.ceiling + 0.35).all()  # the chance level of token ids stands on top
    assert (run.through_token < run.information["domain"].observed).all()
    for losses in run.swapped.values():
        assert losses.shape[1:] == (n_layers + 1, n_domains)


def test_every_model_has_a_recording_and_every_pair_of_seeds_its_comparison():
    shipped = expert_runs.runs()
    assert {name for name, _ in shipped} == {*expert_runs.TITLES}
    seeds = {name: [seed for found, seed in shipped if found == name] for name in expert_runs.TITLES}
    expected = {(name, (a, b)) for name, found in seeds.items() for a in found for b in found if a < b}
    assert {(pair.name, pair.seeds) for pair in expert_runs.pairs()} == expected
    for pair in expert_runs.pairs():
        assert (pair.share > pair.chance).all()


def test_a_recording_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="no recording of 'e8' with seed 7; there are e8 seed 0, e8 seed 1"):
        expert_runs.expert_run("e8", 7)


def test_a_file_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "e8-s0.json"
    path.write_text(json.dumps({"format": "something", "version": 1}))
    with pytest.raises(ValueError, match="e8-s0.json is no recording that this version reads"):
        expert_runs.read(path)


def test_verdicts_are_those_of_the_rule():
    run = expert_runs.expert_run("e8", 1)
    for layer, verdicts in enumerate(run.verdicts()):
        for domain, verdict in enumerate(verdicts):
            assert verdict == interventions.domain_expert(run.counts[layer], run.effect[layer], domain)


def test_a_small_model_is_measured_and_read_again(tool, tmp_path, monkeypatch):
    """All of the tool on a model that was never trained: what it writes is what `read` takes."""
    config = ModelConfig(n_layers=2, d_model=32, n_heads=2, n_kv_heads=1, context_length=32, n_experts=4, d_expert=16)
    model, corpora = MoELanguageModel(config, seed=0).eval(), small_corpora()
    monkeypatch.setattr(tool, "folder", lambda: tmp_path)
    monkeypatch.setattr(tool, "model_of", lambda kept: model)
    monkeypatch.setattr(tool.Kept, "path", lambda kept, moment: tmp_path / "nothing")
    for name in ("WINDOWS", "TRAINING_WINDOWS", "SHUFFLES", "DRAWS"):
        monkeypatch.setattr(tool, name, 2)
    tool.measure(tool.Kept("e8", config, 3), corpora)
    run = expert_runs.read(tmp_path / "e8-s3.json")
    assert (run.name, run.seed, run.model, run.saturation, run.untrained) == ("e8", 3, config, None, {})
    assert run.counts.shape == (2, 4, len(corpora)) and run.effect.shape == run.counts.shape
    assert torch.allclose(run.mass.sum(dim=-1), torch.ones(2, len(corpora), dtype=torch.float64))
    assert from_dict(ModelConfig, json.loads((tmp_path / "e8-s3.json").read_text())["model"]) == config


def test_the_strongest_pair_of_each_layer_is_counted_from_the_model_s_choices():
    model, corpora = model_with_opinions(4), sample_corpora()
    found, layers = expert_runs.strongest_pairs(model, corpora, windows=2), read(model, corpora, windows=2).experts
    assert len(found) == len(layers) == 3
    for pair, experts in zip(found, layers.tolist(), strict=True):
        both = sum({*pair.experts} <= {*chosen} for chosen in experts)
        assert both and pair.found == pytest.approx(both / len(experts)) and pair.ratio > 1


def test_the_tables_are_printed(corpora, monkeypatch, capsys):
    monkeypatch.setattr(expert_runs, "runs", lambda: [("e8", 1)])
    expert_runs.main()
    told = capsys.readouterr().out
    pairs = expert_runs.strongest_pairs(pretrained(8), corpora, windows=8)
    row = next(line for line in told.splitlines() if line.startswith("  8 experts, top-2"))
    for pair in pairs:
        assert f"{pair.experts[0]} + {pair.experts[1]}: {pair.ratio:.1f} ({100 * pair.found:.1f})" in row
    assert "8 experts, top-2, seed 1" in told and "bits about the expert, domain, above chance" in told
    assert "e16 (0, 1)" in told


def test_without_a_corpus_the_other_tables_are_printed(monkeypatch, capsys, tmp_path):
    for name in ("experts", "tokenizer.json"):
        (tmp_path / name).symlink_to(data_dir() / name)
    monkeypatch.setenv("MOE_LITE_DATA", str(tmp_path))
    monkeypatch.setattr(expert_runs, "runs", lambda: [("e8", 1)])
    expert_runs.main()
    told = capsys.readouterr().out
    assert "8 experts, top-2, seed 1" in told
    assert "This table is made from held-out text, and there is no corpus of shakespeare, " in told
