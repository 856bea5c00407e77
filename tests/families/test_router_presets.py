"""Published routers by name: small models with their rule, and its description (moe_lite/families)."""

import json
import re
import warnings
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from one_option import change_moves
from small import random_ids

from moe_lite import MoELanguageModel, families
from moe_lite.families.compare import DIFFERENT
from moe_lite.families.presets import equal_to, family
from moe_lite.families.table import FAMILIES
from moe_lite.families.words import in_symbols, in_words, setting_in_words
from moe_lite.model.config import ModelConfig

pytestmark = pytest.mark.slow  # in sum

FILE = Path(__file__).resolve().parents[2] / "data/families/routers.json"
ROWS = {(row["family"], row["name"]): row for row in json.loads(FILE.read_text(encoding="utf-8"))["rows"]}
HISTORY = ["jacobs_1991", "shazeer_2017", "gshard", "switch", "base_layers", "hash_layers", "st_moe", "expert_choice"]
SMALL = {"vocab_size": 61, "n_layers": 2, "d_model": 16, "n_heads": 2, "n_kv_heads": 1, "context_length": 32}


# ---- the table -------------------------------------------------------------------------------------------------------


def test_families_stand_in_the_order_of_their_dates():
    names = families.names()
    assert len(set(names)) == len(names) > 40 and names[:8] == HISTORY
    dated = [entry.when for entry in FAMILIES if entry.when]
    assert dated[:-1] == sorted(dated[:-1])  # Trinity stands with those of its kind


@pytest.mark.parametrize("name", families.names())
def test_entry_is_complete(name):
    entry = family(name)
    assert entry.problem.endswith((".", "?")) and len(entry.problem) > 30
    assert entry.source or entry.library  # where it is from
    known = {f.name for f in fields(ModelConfig)}
    assert entry.settings.keys() <= known


@pytest.mark.parametrize("name", [entry.name for entry in FAMILIES if entry.library])
def test_rule_is_that_of_the_class_which_the_table_reproduced(name):
    """Where the class has a setting of its own, its value may be another: those of the released models are."""
    row, config = ROWS[family(name).library], families.preset(name)
    assert row["reproduced"]
    free = {
        "norm_topk_prob": "renorm", "moe_normalize_expert_weights": "renorm", "routed_scaling_factor": "routed_scale",
        "router_scaling_factor": "routed_scale", "route_scale": "routed_scale", "scoring_func": "score",
        "expert_selection_fn": "score", "n_group": "n_groups", "moe_router_logit_softcapping": "logit_softcap",
        "output_multiplier": "logit_scale", "router_jitter_noise": "jitter",
    }  # fmt: skip
    open_ = {free[own] for own in row.get("own", []) if own in free}
    default = {f.name: f.default for f in fields(ModelConfig)}
    rule = {"router", "score", "renorm", "renorm_eps", "routed_scale", "logit_scale", "logit_softcap", "select_on",
            "selection_bias", "router_bias"} - open_  # fmt: skip
    for field in rule:
        found = row.get("setting", {}).get(field, default[field])
        expected = 1 / config.top_k if found == "1/k" else found
        if field == "renorm" and config.order == "topk_first" and config.score == "softmax":
            continue  # the same function either way
        assert getattr(config, field) == expected, field
    if config.n_groups > 1:
        for field in ("group_score", "group_fill"):
            assert getattr(config, field) == row["moved"].get(field, default[field])


# ---- presets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", families.names())
def test_preset_makes_a_small_model_that_learns(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a rule without a gradient would be told
        model = MoELanguageModel(families.preset(name, d_expert=8, init_std=0.1, **SMALL))
    ids = random_ids(2, 12)
    targets = torch.cat([ids[:, 1:], torch.full((2, 1), -100)], dim=1)
    optimizer, losses = torch.optim.Adam(model.parameters(), lr=0.01), []
    for _ in range(4):
        output = model(ids, targets, generator=torch.Generator().manual_seed(0))
        optimizer.zero_grad()
        output.loss.backward()
        optimizer.step()
        losses.append(output.cross_entropy.item())
    assert losses[-1] < losses[0] - 0.05 and output.loss.isfinite()


def test_preset_is_small_and_sizes_win():
    config = families.preset("deepseek_v3")
    assert (config.score, config.n_groups, config.selection_bias) == ("sigmoid", 4, True)
    assert config.d_model == ModelConfig().d_model
    other = families.preset("deepseek_v3", n_experts=32, top_k=6, routed_scale=1.0)
    assert (other.n_experts, other.top_k, other.routed_scale, other.n_groups) == (32, 6, 1.0, 4)


def test_unknown_name_lists_near_ones():
    with pytest.raises(ValueError, match=r"No family 'mixtrall' among \d+. Did you mean mixtral"):
        families.preset("mixtrall")
    with pytest.raises(ValueError, match=r"No family '42' among \d+. moe_lite.families.names\(\) lists them"):
        families.describe("42")
    with pytest.raises(ValueError, match="No family None among"):
        families.preset(None)


def test_sizes_that_do_not_fit_are_named_with_the_family():
    with pytest.raises(
        ValueError, match=r"preset\('deepseek_v3'\) with top_k=9: ModelConfig: top_k is 9, expected at mos"
    ):
        families.preset("deepseek_v3", top_k=9)
    with pytest.raises(ValueError, match=r"preset\('switch'\) with experts=4: ModelConfig has no field experts"):
        families.preset("switch", experts=4)


# ---- words -----------------------------------------------------------------------------------------------------------


def test_rule_of_deepseek_v3_in_words_and_symbols():
    config = families.preset("deepseek_v3")
    assert in_symbols(config) == "z = W x, s = σ(z), T = top-4(s + b in the best 2 of 4 groups), g = 2.5 · s / Σ_T s"
    assert in_words(config) == (
        "a sigmoid for each expert alone; for choosing, a bias is added to the scores; only the best 2 of 4 groups are "
        "open (a group is worth the sum of its two best); the 4 best are chosen; weights divided by their sum; weights "
        "times 2.5"
    )


@pytest.mark.parametrize(
    ("name", "symbols"),
    [
        ("mixtral", "z = W x, s = softmax(z), T = top-2(s), g = s / Σ_T s"),
        ("gpt_oss", "z = W x + β, T = top-4(z), s = softmax(z) over T, g = s"),
        ("llama4", "z = W x, T = top-1(z), s = σ(z), g = s"),
        ("kolibri1", "z = W x, s = σ(z), T = top-4(z + b), g = s"),
        ("lfm2_moe", "z = W x, s = σ(z), T = top-4(s + b), g = s / (Σ_T s + 1e-06)"),
        ("laguna", "z = 2 · tanh((W x) / 2), s = σ(z), T = top-4(s + b), g = s / Σ_T s"),
        ("deepseek_v4_hash", "z = W x, s = √softplus(z), T = table[token], g = 1.5 · s / Σ_T s"),
        ("inkling", "z = W x, s = σ(z), T = top-4(s + b), g = 8 · e · s / (Σ_T s + Σ_shared s)"),
    ],
)
def test_rules_in_symbols(name, symbols):
    assert in_symbols(families.preset(name)) == symbols


def test_rule_of_thresholds_is_told_as_one():
    config = ModelConfig(router="expert_threshold", score="sigmoid", renorm=False)
    assert in_symbols(config) == "z = W x, s = σ(z), T = all i with z_i > c_i, g = s"
    assert in_words(config) == (
        "each expert takes every token above its threshold, so that a token has 2 experts on average; weights by a "
        "sigmoid for each expert alone"
    )


def test_every_setting_of_the_rule_changes_the_words():
    """Two rules that differ are told differently."""
    base = families.preset("axk2")
    said = in_words(base)
    changes = {
        "score": "softmax", "renorm": False, "renorm_eps": 0.1, "routed_scale": 1.0, "logit_scale": 0.5,
        "logit_softcap": 3.0, "select_on": "logit", "group_score": "max", "group_fill": "-inf", "router_bias": True,
        "topk_groups": 3, "top_k": 3,
    }  # fmt: skip
    told = {name: in_words(families.preset("axk2", **{name: value})) for name, value in changes.items()}
    assert len({said, *told.values()}) == len(changes) + 1
    symbols = {in_symbols(families.preset("axk2", **{name: value})) for name, value in changes.items()}
    assert len({in_symbols(base), *symbols}) >= len(changes) - 1  # groups' worth and fill are told in words alone


def test_setting_of_a_row_is_told_with_k():
    assert setting_in_words({"router_bias": True, "routed_scale": "1/k"}) == (
        "logits with a trained bias; softmax over all experts; the k best are chosen; weights divided by their sum; "
        "divided by k"
    )


# ---- descriptions ----------------------------------------------------------------------------------------------------


def test_description_as_text_and_as_a_table():
    told = families.describe("deepseek_v3")
    text, html = repr(told), told._repr_html_()
    for part in (told.title, told.family.problem, in_words(told.config), in_symbols(told.config), "arXiv 2412.19437"):
        assert part in text and part in html
    assert "DeepseekV3TopkRouter of transformers 5." in text and "balanced by the bias, which a rule moves" in text


@pytest.mark.parametrize("name", [entry.name for entry in FAMILIES if entry.library])
def test_option_that_a_description_names_changes_the_weights(name):
    """The control is one of the settings that are shown: `order`, say, does nothing where weights are renormalised."""
    told = families.describe(name).rows["equal to"]
    option, moved = re.search(r"with one option changed \((.*)\): ([\d.]+)$", told).groups()
    assert float(moved) > DIFFERENT
    assert change_moves(families.preset(name), option) > DIFFERENT


def test_description_tells_the_rest_of_the_layer():
    names = ("gpt_oss", "qwen2_moe", "nemotron_h", "glm4_moe", "grok_1")
    told = {name: families.describe(name).rows["around it"] for name in names}
    assert told["gpt_oss"] == (
        "experts compute a · σ(1.702 a) · (u + 1) of gate a and up u; gates above 7 and ups beyond ±7 are cut; trained "
        "biases in the experts"
    )
    assert "4 shared experts for every token, weighed by a sigmoid of the token" in told["qwen2_moe"]
    assert "experts have no gate and square a ReLU" in told["nemotron_h"]
    assert told["grok_1"] == "experts compute GELU(a) · u of gate a and up u"
    assert "no experts in the first 1 of 4 layers" in told["glm4_moe"]


def test_recorded_trainings_are_of_the_presets_as_they_were():
    """Their files name every setting: a new one must have the value with which they were trained."""
    plain = {"n_dense_layers": 0, "expert": "swiglu", "expert_clamp": None, "expert_bias": False, "shared_gate": False}
    for name in ("switch", "hash_layers", "qwen3_moe", "olmoe", "llama4"):
        config = families.preset(name)
        assert {field: getattr(config, field) for field in plain} == plain
    assert families.preset("deepseek_v3", n_dense_layers=0).n_sparse_layers == 4


def test_description_says_how_the_bias_is_trained_and_where_nothing_was_compared():
    assert "to train    TrainConfig(bias_step=0.001)" in repr(families.describe("deepseek_v3"))
    assert not {"to train"} & families.describe("mixtral").rows.keys()
    assert families.describe("gshard").rows["equal to"] == "not compared: no class in transformers"
    assert "not compared" not in repr(families.describe("mixtral"))


def test_html_is_escaped():
    told = families.describe("mixtral")
    wild = type(told)(type(told.family)("x", "a <b> title", "", "a <script>", "s & t", {}), told.config)
    assert "<script>" not in wild._repr_html_() and "a &lt;b&gt; title" in wild._repr_html_()


def test_only_what_the_source_says_is_told_of_balancing():
    assert "balancing" not in repr(families.describe("jamba")) and "z-loss" not in repr(families.describe("mixtral"))
    assert "balancing loss 'switch' times 0.01; z-loss times 0.001" in repr(families.describe("st_moe"))
    assert "capacity factor 1, all first choices find room first" in repr(families.describe("gshard"))


def test_without_the_recorded_table_a_description_goes_without(monkeypatch, tmp_path):
    monkeypatch.setenv("MOE_LITE_DATA", str(tmp_path))
    assert equal_to(family("mixtral"), families.preset("mixtral")) == "" and "source" in repr(
        families.describe("mixtral")
    )
