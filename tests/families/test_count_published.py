"""Published models counted: exact against the classes of transformers, near the published figures."""

from dataclasses import replace

import pytest
import torch
from hf_settings import HF, meta_parts
from small import HOLDS_OTHERWISE, small_config, small_model

from moe_lite import families
from moe_lite.families import counting
from moe_lite.families.__main__ import main
from moe_lite.families.published_models import layers_of
from moe_lite.metrics import budget, count as count_config, count_parameters, flops_per_token

pytestmark = pytest.mark.slow  # in sum

# transformers counts more than the model has: name -> (part, by how much)
DIFFERENT = {
    # a frozen parameter, 64 numbers in each of the sparse layers 3 to 53; a buffer in all other families
    "ERNIE-4.5-300B-A47B": ("router", 51 * 64),
    # gate and up matrices (2 · 2048 · 6144) for the 256 zero experts of 28 layers, which have none
    "LongCat-Flash": ("experts", 28 * 256 * 2 * 2048 * 6144),
}
BUILT = [name for name in HF if name not in ("Switch-Base-64", "Switch-Base-128", "Switch-Base-256")]


@pytest.mark.parametrize("name", BUILT)
def test_every_part_is_that_of_the_class_in_transformers(name):
    parts, found = meta_parts(name), families.count(name).parameters
    if name in DIFFERENT:
        part, more = DIFFERENT[name]
        parts = parts | {part: parts[part] - more}
    assert found == parts
    assert families.count(name).total.all == sum(parts.values())


def test_larger_switch_models_differ_by_their_experts():
    """Six sparse layers each in encoder and decoder; an expert has two matrices, and a row in the router."""
    expert = 12 * (2 * 768 * 3072 + 768)
    totals = {n: families.count(f"Switch-Base-{n}").total.all for n in (16, 32, 64, 128, 256)}
    assert {n: (total - totals[16]) / expert for n, total in totals.items()} == {n: n - 16 for n in totals}


def test_vision_part_of_llama_4():
    """The tower and the projector, from the sizes in the published config.json, beside a text model of no size."""
    from transformers import Llama4Config, Llama4ForConditionalGeneration

    vision = dict(hidden_size=1408, image_size=336, vision_output_dim=4096)
    text = dict(num_hidden_layers=1, num_local_experts=1)
    with torch.device("meta"):
        model = Llama4ForConditionalGeneration(Llama4Config(text_config=text, vision_config=vision))
    parts = [model.vision_model, model.multi_modal_projector]
    assert sum(p.numel() for part in parts for p in part.parameters()) == families.published("Llama-4-Scout").vision
    assert families.published("Llama-4-Maverick").vision == families.published("Llama-4-Scout").vision


# Computed against published, in percent, rounded to tenths (Switch: the published totals have two or three digits)
ERRORS = {
    "Mixtral-8x7B": (0.0, -0.2), "DBRX": (-0.3, -0.4), "Grok-1": (0.5, None), "DeepSeekMoE-16B": (-0.1, 1.0),
    "DeepSeek-V2": (-0.1, -0.7), "DeepSeek-V3": (0.0, -0.2), "Kimi-K2": (-1.3, 0.8),
    "Moonlight-16B-A3B": (-0.2, 0.2), "Qwen1.5-MoE-A2.7B": (0.1, -0.4), "Qwen3-30B-A3B": (0.1, 1.6),
    "Qwen3-Next-80B-A3B": (-0.4, 8.4), "OLMoE-1B-7B": (0.3, -1.4), "Llama-4-Scout": (-0.3, 1.0),
    "Llama-4-Maverick": (0.4, 1.1), "gpt-oss-120b": (0.0, 0.1), "gpt-oss-20b": (0.0, -0.1),
    "Phi-3.5-MoE": (-0.3, 0.6), "Jamba-v0.1": (-0.8, 0.9), "Jamba-1.5-Large": (0.1, 0.2), "GLM-4.5": (0.1, 0.3),
    "GLM-4.5-Air": (-0.4, 1.5), "MiniMax-Text-01": (0.0, 0.1), "ERNIE-4.5-300B-A47B": (-0.2, 0.2),
    "Granite-3.0-1B-A400M": (2.7, 7.2), "LongCat-Flash": (0.1, 0.2), "Switch-Base-16": (-2.5, 0.0),
    "Switch-Base-32": (-1.1, 0.1), "Switch-Base-64": (-0.2, 0.2), "Switch-Base-128": (0.1, 0.5),
    "Switch-Base-256": (-0.2, 1.0), "GPT-3-175B": (-0.2, None), "Llama-2-70B": (-1.5, None), "PaLM-540B": (0.0, None),
}  # fmt: skip


def test_every_published_model_has_its_errors():
    assert families.published() == list(ERRORS)


@pytest.mark.parametrize("name", ERRORS)
def test_published_figures_are_near_the_count(name):
    expected = ERRORS[name]
    for error, tenth in zip(families.count(name).published_errors, expected, strict=True):
        assert (error is None) == (tenth is None)
        if tenth is not None:
            assert 100 * error == pytest.approx(tenth, abs=0.06)


@pytest.mark.parametrize("name", ERRORS)
def test_what_does_not_add_up_is_told(name):
    """Where a figure is more than 1.5 % off, and not by the rounding of its digits, the record says why."""
    m = families.published(name)
    assert m.source
    figures = (m.published_total, m.published_active)
    for error, figure in zip(families.count(name).published_errors, figures, strict=True):
        if error is not None and abs(error) > 0.015 and abs(error) * figure > half_a_digit(figure):
            assert m.note, f"{error:.1%} of {figure} is not explained"


def half_a_digit(figure: float) -> float:
    """46.7 -> 0.05: what rounding can hide."""
    return 0.5 * 10.0 ** -len(f"{figure:g}".partition(".")[2])


# Statements about models that the counts decide (moe-families.md, section 1)


def test_kimi_k2_with_experts_in_every_layer_is_the_published_1043b():
    m = families.published("Kimi-K2")
    assert round(families.count(replace(m, sparse_layers=tuple(range(61)), d_dense=0)).total.all / 1e9, 2) == 1042.97


def test_layers_for_later_tokens_of_deepseek_v3():
    """11.507B without the matrix that joins two vectors (2 · 7168²), 11.610B with it."""
    mtp = families.count("DeepSeek-V3").mtp
    assert (round(mtp / 1e9, 3), round((mtp - 2 * 7168**2) / 1e9, 3)) == (11.610, 11.507)
    layer = families.count("DeepSeek-V3").layers[-1]
    assert layer.name == "latent attention, experts"
    assert mtp == layer.parameters + 2 * 7168**2 + 3 * 7168  # three norms more


def test_glm_4_5_and_air_count_their_later_tokens_differently():
    big, air = families.count("GLM-4.5"), families.count("GLM-4.5-Air")
    assert [round(n / 1e9, 2) for n in (big.total.body + big.mtp, air.total.body + air.mtp, air.total.body)] == [
        355.23, 107.99, 105.61]  # fmt: skip


def test_longcat_is_cheaper_by_each_zero_expert():
    most, least = (families.count("LongCat-Flash", zero_chosen=n).active.without_embedding for n in (0, 12))
    assert (round(most / 1e9, 3), round(least / 1e9, 2)) == (31.377, 18.69)
    assert most - least == 28 * 12 * 3 * 6144 * 2048
    for wrong in (13, -1, True, 1.0):
        with pytest.raises(ValueError, match="zero_chosen is .*LongCat-Flash can choose 0 to 12 zero experts"):
            families.count("LongCat-Flash", zero_chosen=wrong)
    with pytest.raises(ValueError, match="zero_chosen is 1; Mixtral-8x7B can choose 0 to 0"):
        families.count("Mixtral-8x7B", zero_chosen=1)


# By hand


def test_parts_and_conventions_by_hand():
    """One dense layer and one with experts: d 6, 2 heads of 4 and 1 for keys, 3 experts of 5, 1 shared of 7."""
    m = families.PublishedModel(
        "hand", vocab_size=10, d_model=6, n_layers=2, n_heads=2, n_kv_heads=1, d_head=4, qkv_bias=True,
        d_dense=9, sparse_layers=(1,), n_experts=3, top_k=1, d_expert=5, d_shared=7, shared_gate=True,
    )  # fmt: skip
    found = families.count(m)
    # attention: 6 · (8 + 4 + 4) inward, 8 · 6 back, 16 biases, in two layers; norms: two a layer and a last one
    assert found.parameters == {
        "embedding": 60, "attention": 2 * (96 + 48 + 16), "router": 18, "experts": 3 * 3 * 6 * 5,
        "shared": 3 * 6 * 7 + 6, "dense": 3 * 6 * 9, "norms": 5 * 6, "head": 60,
    }  # fmt: skip
    assert found.active_parameters == found.parameters | {"experts": 90}
    assert found.total == (60 + 320 + 18 + 270 + 132 + 162 + 30 + 60, 992, 932)
    assert found.active == (1052 - 180, 992 - 180, 932 - 180)
    dense, sparse = 160 + 162 + 12, 160 + 18 + 270 + 132 + 12
    assert found.layers == (("attention, dense", 1, dense, dense), ("attention, experts", 1, sparse, sparse - 180))


def test_tied_matrix_is_counted_once_and_works_as_the_head():
    m = families.PublishedModel("tied", 10, 6, 1, n_heads=1, n_kv_heads=1, d_head=4, d_dense=9)
    apart, tied = families.count(m), families.count(replace(m, tied=True))
    assert apart.total.all - tied.total.all == 60
    assert apart.total.body == tied.total.body
    assert apart.total.without_embedding == tied.total.without_embedding == tied.total.all


@pytest.mark.parametrize("name", ERRORS)
def test_layers_and_the_rest_are_the_total(name):
    found = families.count(name)
    m = found.model
    layers = sum(kind.layers * kind.parameters for kind in found.layers)
    rest = found.parameters["embedding"] + found.parameters.get("head", 0)
    stacks = 2 if m.n_encoder_layers else 1
    final = stacks * (m.d_model * (2 if m.norm_bias else 1) + m.position_buckets * m.n_heads)
    assert layers + rest + final == found.total.all
    assert sum(kind.layers for kind in found.layers) == m.n_layers + m.n_encoder_layers


# Models of ours

# of router="mlp" the layers differ in size, which a record of a published model cannot say
OURS = [changes for changes in HOLDS_OTHERWISE if changes.get("router") != "mlp"]
OURS += [
    {"router": "expert_choice", "renorm": False, "allow_lookahead": True},
    {"n_groups": 5, "topk_groups": 4, "group_score": "max", "routed_scale": 2.5},
    {"top_k": 1, "renorm": False, "capacity_factor": 1.25, "priority": "score"},
]


@pytest.mark.parametrize("changes", OURS, ids=str)
def test_our_models_have_the_numbers_of_metrics(changes):
    model = small_model(**changes)
    found, parts = families.count(model.config), budget(model.config, 100)
    assert found.total.all == count_parameters(model).total
    assert found.active.all == count_parameters(model).active
    assert (found.total.all, found.active.all) == count_config(model.config, 100)[:2]
    ours = found.parameters
    norms = [p.numel() for name, p in model.named_parameters() if ".query_norm" in name or ".key_norm" in name]
    ours |= {
        "attention": ours["attention"] - sum(norms),
        "norms": ours["norms"] + sum(norms),
    }  # families: parts of attention
    expected = {part: ours[part] for part in ("embedding", "attention", "norms", "head")}
    if model.config.n_sparse_layers:
        expected |= {"router": ours["router"], "experts": ours["experts"] + ours.get("shared", 0)}
    if "dense" in ours:
        expected["feed-forward"] = ours["dense"]
    assert parts.parameters == expected


@pytest.mark.parametrize("changes", OURS, ids=str)
@pytest.mark.parametrize("context", [1, 100])
def test_flops_of_our_models_are_those_of_metrics(changes, context):
    model = small_model(**changes)
    found = families.count(model.config).flops_per_token(context)
    assert found == flops_per_token(model, context) == budget(model.config, context).total_flops


def test_setting_that_families_does_not_know_is_refused(monkeypatch):
    """One that brings parameters, and routers that are larger in later layers, as metrics would count them."""
    known = counting.budget

    def more(config, context):
        parts = known(config, context)
        return replace(parts, parameters=parts.parameters | {"norms": parts.parameters["norms"] + 1})

    monkeypatch.setattr(counting, "budget", more)
    total = families.count(families.published_models.of_config(small_config())).total.all
    with pytest.raises(ValueError, match=f"families counts {total:,} parameters .*metrics.budget {total + 1:,} and"):
        families.count(small_config())

    def growing(config, context):
        parts = known(config, context)
        return replace(parts, parameters=parts.parameters | {"router": config.n_layers**2 * 100})

    monkeypatch.setattr(families.published_models, "budget", growing)
    with pytest.raises(ValueError, match="router='top_k' holds more in one layer than in another; see metrics.budget"):
        families.count(small_config())


# What is shown, and what is refused


def test_count_shows_as_text_and_as_a_table():
    found = families.count("DeepSeek-V3")
    text = repr(found)
    kind = "58 × latent attention, experts, each"
    for line in ("DeepSeek-V3", "without input embedding", kind, f"{found.active.all:,}"):
        assert line in text
    assert f"Beside these: layers for later tokens (MTP) {found.mtp:,}" in text
    widths = {len(line) for line in text.splitlines()[1:] if line and not line.startswith(("-", "Beside"))}
    assert len(widths) == 1
    page = found._repr_html_()
    assert page.count("<tr>") == 1 + len(found.parameters) + 3 + len(found.layers)
    assert "vision part 871,932,416" in repr(families.count("Llama-4-Scout"))


def test_unknown_model_lists_near_names():
    with pytest.raises(ValueError, match=r"no published model 'mixtral-8x8b'; near: Mixtral-8x7B.*families\.published"):
        families.published("mixtral-8x8b")
    with pytest.raises(ValueError, match=r"no published model 'nothing like it'\. families\.published\(\)"):
        families.count("nothing like it")


@pytest.mark.parametrize("path", ["config.json", "own/model", "own/config.json"])
def test_path_is_sent_to_what_reads_it(path):
    with pytest.raises(ValueError, match=rf"looks like a path\. families.count\(families.from_hf_config\('{path}'"):
        families.count(path)


def test_count_names_what_it_takes():
    with pytest.raises(ValueError, match="count takes a PublishedModel, its name or a ModelConfig; dict came.*from_hf"):
        families.count({"hidden_size": 8})


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"n_heads": 0}, "n_heads is 0, expected a whole number of at least 1"),
        ({"d_shared": -1}, "d_shared is -1, expected a whole number of at least 0"),
        ({"vocab_size": 32000.0}, "vocab_size is 32000.0, expected a whole number"),
        ({"tied": 1}, "tied is 1, expected True or False"),
        ({"attention": "linear"}, "attention is 'linear', expected one of"),
        ({"n_kv_heads": 5}, "n_kv_heads is 5, expected a divisor of n_heads=32"),
        ({"n_kv_heads": 0}, "n_kv_heads is 0, expected at least 1: attention='softmax' has keys and values"),
        ({"attention": "latent"}, "kv_rank is 0, expected at least 1: attention='latent' has it"),
        ({"linear": "mamba", "conv_width": 4}, "d_inner is 0, expected at least 1: linear='mamba' has it"),
        ({"top_k": 9}, "top_k is 9, expected at most 8, the experts that can be chosen"),
        ({"top_k": 0}, "top_k is 0, expected at least 1: there are sparse layers"),
        ({"sparse_layers": (0, 40)}, "sparse_layers is .*expected a tuple of different layers, in order, of 32"),
        ({"sparse_layers": (1, 0)}, "sparse_layers is .*in order"),
        ({"sparse_layers": (0, 2)}, "d_dense is 0, expected at least 1: there are dense layers"),
        ({"window_layers": (0, 2)}, "window is 0, expected at least 1: window_layers see only so many tokens"),
    ],
)
def test_record_that_cannot_be_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(families.published("Mixtral-8x7B"), **changes)


def test_layers_are_written_as_slices():
    assert layers_of(":", 3) == (0, 1, 2)
    assert layers_of("1::2", 5) == (1, 3)
    assert layers_of("!3::4", 6) == (0, 1, 2, 4, 5)
    assert families.published("DeepSeek-V3").dense_layers == (0, 1, 2)


def test_command_prints_the_counts(capsys):
    assert main(["counts"]) == 0
    shown = capsys.readouterr().out
    assert shown == families.counting_table().text + "\n"
    assert "no emb.: without the input embedding; body: without the head, too." in shown
    with pytest.raises(SystemExit):
        main(["counts", "--json", "x.json"])
    assert "--json is for the routers' table" in capsys.readouterr().err
