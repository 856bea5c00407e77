"""A config.json counted: exact against the class of transformers for any sizes, and clear about what it cannot read."""

import json

import pytest
from hf_settings import HF, RANDOM, R, as_file, hf_config, meta_model, parts_of

from moe_lite import families
from moe_lite.families.hf_config import READERS

pytestmark = pytest.mark.slow  # in sum


def class_parts(config) -> dict[str, int]:
    """The parts of the class, without what two classes hold beside their models: see test_count_published.py."""
    parts = parts_of(meta_model(config))
    if config.model_type == "ernie4_5_moe" and "router" in parts:
        parts["router"] -= parts["router"] // (config.hidden_size + 1)
    if config.model_type == "longcat_flash":
        one = 2 * config.expert_ffn_hidden_size * config.hidden_size
        parts["experts"] -= config.num_layers * config.zero_expert_num * one
    return parts


def test_readers_are_compared_but_for_other_names():
    """DeepSeekMoE-16B has no class; the others are another name of a class, and a wrapper with a vision part."""
    assert set(READERS) - set(RANDOM) == {"deepseek", "kimi_k2", "llama4"}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", RANDOM)
def test_any_sizes_are_counted_exactly(kind, seed):
    config = hf_config(kind, RANDOM[kind](R(f"{kind} {seed}")))
    found = families.count(families.from_hf_config(as_file(config)))
    assert found.parameters == class_parts(config)


@pytest.mark.parametrize("kind", RANDOM)
def test_field_left_out_is_named_or_means_what_the_class_means(kind):
    """The defaults of a reader are those of the class. What is neither a default nor needed is not asked for."""
    settings = RANDOM[kind](R(kind)) | {"tie_word_embeddings": kind in ("ernie4_5_moe", "switch_transformers")}
    named = 0
    for left_out in settings:
        rest = {name: value for name, value in settings.items() if name != left_out}
        try:
            found = families.count(families.from_hf_config({"model_type": kind} | rest)).parameters
        except ValueError as error:
            assert left_out in str(error)
            named += 1
        else:
            assert found == class_parts(hf_config(kind, rest)), left_out
    assert named >= 4


@pytest.mark.parametrize("name", [name for name in HF if name not in ("Switch-Base-64", "Switch-Base-128")])
def test_configs_of_published_models_are_their_records(name):
    """All sizes alike; which of a model's figures were published, no config.json knows."""
    model_type, settings = HF[name]
    config = hf_config(model_type, settings)
    record, table = families.from_hf_config(as_file(config)), families.published(name)
    unlike = {f for f in vars(table) if getattr(record, f) != getattr(table, f)}
    beside = {"name", "source", "note", "published_total", "published_active", "total_as", "total_with", "active_as"}
    assert unlike - beside <= {"vision"} | ({"d_dense"} if not table.dense_layers else set())


def test_deepseek_moe_kimi_and_llama_4_by_their_own_names():
    kimi = HF["Kimi-K2"][1]
    file = as_file(hf_config("deepseek_v3", kimi)) | {"model_type": "kimi_k2"}
    assert families.count(families.from_hf_config(file)).total == families.count("Kimi-K2").total
    text = as_file(hf_config("llama4_text", {}))
    llama4 = families.from_hf_config({"model_type": "llama4", "text_config": text, "vision_config": {}})
    assert families.count(llama4).total == families.count("Llama-4-Scout").total
    first = {
        "model_type": "deepseek", "vocab_size": 102400, "hidden_size": 2048, "num_hidden_layers": 28,
        "num_attention_heads": 16, "num_key_value_heads": 16, "intermediate_size": 10944, "n_routed_experts": 64,
        "num_experts_per_tok": 6, "moe_intermediate_size": 1408, "n_shared_experts": 2, "first_k_dense_replace": 1,
        "moe_layer_freq": 1,
    }  # fmt: skip
    assert families.count(families.from_hf_config(first)).total == families.count("DeepSeekMoE-16B").total


MIXTRAL = {"model_type": "mixtral", "vocab_size": 50, "hidden_size": 24, "num_hidden_layers": 3,
           "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 10, "num_local_experts": 5,
           "num_experts_per_tok": 2}  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [
        {"rope_theta": 1e6, "rope_scaling": None, "torch_dtype": "bfloat16"},
        {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}, "dtype": "bfloat16"},
        {"num_local_experts": None, "num_experts": 5},
        {"num_experts_per_tok": None, "experts_per_token": 2},
        {"num_experts": 5},
        {"head_dim": None, "quantization_config": {"bits": 4}},
    ],
    ids=str,
)
def test_keys_of_both_generations_are_read(changes):
    plain, other = (families.from_hf_config(config) for config in (MIXTRAL, MIXTRAL | changes))
    assert plain == other


def test_path_of_the_file_and_of_its_folder(tmp_path):
    file = tmp_path / "config.json"
    file.write_text(json.dumps(MIXTRAL))
    for place in (file, tmp_path, str(tmp_path)):
        assert families.from_hf_config(place) == families.from_hf_config(MIXTRAL)
    assert families.from_hf_config(MIXTRAL | {"_name_or_path": "own/model"}).name == "own/model"
    assert families.from_hf_config(MIXTRAL | {"_name_or_path": ["own"]}).name == "mixtral"


def test_text_of_a_file_is_told_from_its_path():
    with pytest.raises(ValueError, match=r"the text of one came. Give it json.loads\(text\)"):
        families.from_hf_config("\n" + json.dumps(MIXTRAL))


@pytest.mark.parametrize(
    "text, message",
    [
        (None, "config.json is not there. families.from_hf_config takes a config.json, its folder, or a dict"),
        ("{", "config.json is not JSON: "),
        ("[1]", "config.json holds a list, expected the fields of a model's configuration"),
        ("{}", "config.json has model_type None, expected the name"),
    ],
)
def test_file_that_is_no_config_is_refused(tmp_path, text, message):
    if text is not None:
        (tmp_path / "config.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        families.from_hf_config(tmp_path)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"model_type": "mixtrl"}, "no reader for model_type 'mixtrl'; near: mixtral.*from_hf_config reads llama, "),
        ({"model_type": ["mixtral"]}, r"config.json has model_type \['mixtral'\], expected the name"),
        ({"model_type": "deepseek_v4"}, "near: deepseek_v3, deepseek_v2"),
        (
            {"hidden_size": None},
            r"config.json of type mixtral has no hidden_size \(nor d_model\), and the count needs it",
        ),
        (
            {"num_local_experts": None},
            r"has no num_local_experts \(nor num_experts, n_routed_experts, moe_num_experts\)",
        ),
        (
            {"vocab_size": "50"},
            "vocab_size is '50' in the config.json of type mixtral, expected a whole number of at least 1",
        ),
        ({"num_local_experts": [5, 5]}, r"num_local_experts is \[5, 5\] .*expected a whole number"),
        ({"num_experts": 6}, "says num_local_experts=5, num_experts=6: the same thing twice, and not the same"),
        ({"tie_word_embeddings": 0}, "tie_word_embeddings is 0 .*expected true or false"),
        (
            {"num_attention_heads": 5},
            "num_attention_heads is 5 .*a divisor of the width 24, since there is no head_dim",
        ),
        ({"num_experts_per_tok": 6}, "the config.json of type mixtral cannot be: .*top_k is 6, expected at most 5"),
        ({"num_key_value_heads": 3}, "cannot be: .*n_kv_heads is 3, expected a divisor of n_heads=4"),
    ],
)
def test_config_that_cannot_be_counted_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        families.from_hf_config(MIXTRAL | changes)


@pytest.mark.parametrize(
    "kind, changes, message",
    [
        (
            "deepseek_v3",
            {"moe_layer_freq": 2},
            "moe_layer_freq=2 in the config.json of type deepseek_v3: only 1 can be",
        ),
        ("deepseek_v3", {"qk_head_dim": 99}, "qk_head_dim=99 .*: only 1. can be counted"),
        ("olmoe", {"head_dim": 99}, "head_dim=99 .*can be counted"),
        (
            "dbrx",
            {"ffn_config": {"hidden_size": 99}},
            "hidden_size=99 in the config.json of type dbrx, ffn_config: only",
        ),
        ("dbrx", {"attn_config": 3}, "attn_config is 3 .*expected a group of fields"),
        ("phimoe", {"num_experts_per_tok": 4}, "num_experts_per_tok=4 .*: only 2 can be counted"),
        ("jamba", {"mamba_inner_layernorms": False}, "mamba_inner_layernorms=False .*: only True can be counted"),
        ("longcat_flash", {"zero_expert_type": "drop"}, "zero_expert_type='drop' .*: only 'identity' can be counted"),
        (
            "qwen3_next",
            {"layer_types": ["full_attention"]},
            "layer_types is .*expected a list of ., each full_attention or",
        ),
        ("gpt_oss", {"layer_types": ["conv"] * 7}, "layer_types is .*each sliding_attention or full_attention"),
        ("qwen3_moe", {"mlp_only_layers": "0"}, "mlp_only_layers is '0' .*expected a list of whole numbers"),
    ],
)
def test_field_without_a_known_count_is_named(kind, changes, message):
    config = {"model_type": kind} | RANDOM[kind](R(kind)) | changes
    with pytest.raises(ValueError, match=message):
        families.from_hf_config(config)


def test_what_is_no_config_is_refused():
    with pytest.raises(ValueError, match="from_hf_config takes a config.json, its folder, or a dict; int came"):
        families.from_hf_config(7)


def test_windows_are_read_where_they_work():
    read = families.from_hf_config
    assert read(MIXTRAL | {"sliding_window": 8}).window_layers == (0, 1, 2)
    assert read(MIXTRAL).window_layers == ()
    oss = {"model_type": "gpt_oss", "num_hidden_layers": 4, "head_dim": 6, "sliding_window": 8}
    assert read(MIXTRAL | oss).window_layers == (0, 2)
    chunked = {"model_type": "llama4_text", "num_hidden_layers": 5, "head_dim": 6, "attention_chunk_size": 8}
    assert read(MIXTRAL | chunked).window_layers == (0, 1, 2, 4)
    assert read(MIXTRAL | chunked | {"no_rope_layers": [1, 0, 1, 0, 1]}).window_layers == (0, 2, 4)
    qwen = {"model_type": "qwen3_moe", "moe_intermediate_size": 5, "sliding_window": 8}
    assert read(MIXTRAL | qwen).window_layers == ()
    assert read(MIXTRAL | qwen | {"use_sliding_window": True}).window_layers == (0, 1, 2)
    shared = {"shared_expert_intermediate_size": 5, "use_sliding_window": True, "num_hidden_layers": 6}
    qwen2 = MIXTRAL | qwen | shared | {"model_type": "qwen2_moe"}
    assert read(qwen2 | {"max_window_layers": 3}).window_layers == (0, 2)
    assert read(qwen2).window_layers == (0, 2, 4)


def test_jamba_with_one_expert_is_dense():
    settings = RANDOM["jamba"](R(1)) | {"num_experts": 1, "num_experts_per_tok": 1}
    config = hf_config("jamba", settings)
    found = families.count(families.from_hf_config(as_file(config)))
    assert found.parameters == class_parts(config)
    assert "experts" not in found.parameters


def test_step_of_mamba_is_a_sixteenth_of_the_width_rounded_up():
    settings = RANDOM["jamba"](R(1)) | {"hidden_size": 24, "num_attention_heads": 6, "num_key_value_heads": 3}
    for auto in ({"mamba_dt_rank": "auto"}, {"mamba_dt_rank": None}):
        found = families.from_hf_config({"model_type": "jamba"} | settings | auto)
        assert found.d_step == 2
    assert families.count(found).parameters == class_parts(hf_config("jamba", settings | {"mamba_dt_rank": "auto"}))


def test_switch_with_more_sparse_layers_than_layers_has_none():
    settings = RANDOM["switch_transformers"](R(1)) | {"num_layers": 3, "num_sparse_encoder_layers": 4}
    config = hf_config("switch_transformers", settings)
    found = families.from_hf_config(as_file(config))
    assert found.sparse_encoder_layers == ()
    assert families.count(found).parameters == class_parts(config)


def test_far_too_many_layers_are_a_slip_and_take_no_memory():
    with pytest.raises(
        ValueError, match="'num_hidden_layers' is 1,000,000,000,000 in the config.json, expected at most"
    ):
        families.from_hf_config(MIXTRAL | {"num_hidden_layers": 10**12})
