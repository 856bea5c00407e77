"""The way back from transformers (moe_lite.hf.load)."""

import json
import pickle
import re
from dataclasses import asdict, fields

import pytest
import torch
import transformers
from hf_models import CLOSE, LAYOUTS, changed_config, config_of, loaded, logits_of, model_for
from safetensors.torch import load_file, save_file
from small import random_ids

from moe_lite import ModelConfig
from moe_lite.checkpoint import CheckpointError, pretrained
from moe_lite.hf import export, layouts, load, read

pytestmark = pytest.mark.slow  # in sum

IDS = random_ids(3, 30)


@pytest.fixture
def folder(tmp_path):
    """A Mixtral that may be spoiled."""
    return export(model_for("mixtral"), tmp_path / "model")


def rewritten(folder, change):
    """The folder, after change(tensors) has changed the tensors of its file."""
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file({name: tensor.contiguous().clone() for name, tensor in tensors.items()}, folder / "model.safetensors")
    return folder


# ---- there and back --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_was_exported_comes_back(tmp_path, layout):
    model = model_for(layout, rope_theta=500.0, norm_eps=1e-3, balance_coef=0.01 if layout == "llama" else 0.02)
    found = load(export(model, tmp_path / "model"))
    assert found.config == model.config and not found.training
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in found.state_dict().items())
    assert torch.equal(logits_of(found, IDS), logits_of(model, IDS))


def train(model, ids, step, steps=3):
    """`step(model, ids)` gives a loss. Returns the losses."""
    optimizer, losses = torch.optim.AdamW(model.parameters(), lr=1e-2), []
    model.train()
    for _ in range(steps):
        loss = step(model, ids)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    return losses


@pytest.mark.parametrize(
    "how", [{}, {"save_original_format": False}, {"max_shard_size": "10KB"}], ids=["as published", "stacked", "shards"]
)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_trained_here_then_there_then_back(tmp_path, layout, how):
    model, ids = model_for(layout), random_ids(4, 20, seed=3)
    targets = torch.cat([ids[:, 1:], torch.full((4, 1), -100)], dim=1)
    here = train(model, ids, lambda model, ids: model(ids, targets).loss)
    other = loaded(export(model, tmp_path / "exported"))
    there = train(other, ids, lambda other, ids: other(ids, labels=ids).loss)
    assert here[0] > here[-1] > there[-1]
    other.save_pretrained(tmp_path / "saved", **how)
    files = [path.name for path in (tmp_path / "saved").glob("*.safetensors")]
    assert (len(files) > 1) == ("max_shard_size" in how)
    found = load(tmp_path / "saved")
    torch.testing.assert_close(logits_of(found, IDS), logits_of(other, IDS), **CLOSE)
    assert (logits_of(found, IDS) - logits_of(model, IDS)).abs().max() > 0.1  # the training there changed it
    assert found.config == ModelConfig(**asdict(model.config) | {"balance_coef": found.config.balance_coef})
    assert found.config.balance_coef == pytest.approx(model.config.balance_coef)


def test_a_shipped_model_comes_back(tmp_path):
    model = pretrained(8)
    found = load(export(model, tmp_path / "model"))
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in found.state_dict().items())


def test_model_that_was_made_there_comes_here(tmp_path):
    """Settings by their defaults there: rotary base 1e6, weights not renormalised, as many key heads as heads."""
    sizes = {"vocab_size": 61, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4}
    sizes |= {"intermediate_size": 12, "initializer_range": 0.2, "max_position_embeddings": 32, "pad_token_id": None}
    kinds = {
        "MixtralForCausalLM": {"num_local_experts": 5, "num_key_value_heads": 2},
        "OlmoeForCausalLM": {"num_experts": 6, "num_experts_per_tok": 3},
    }
    for name, more in kinds.items():
        kind = getattr(transformers, name)
        other = kind(kind.config_class(**(sizes | more))).eval()
        other.save_pretrained(tmp_path / name)
        found = load(tmp_path / name)
        torch.testing.assert_close(logits_of(found, IDS), logits_of(other, IDS), **CLOSE)
    assert found.config.renorm is False and found.config.n_kv_heads == 4
    assert load(tmp_path / "MixtralForCausalLM").config.rope_theta == 1e6


def test_half_precision_becomes_float32(tmp_path):
    model = model_for("mixtral").bfloat16()
    found = load(export(model, tmp_path / "model"))
    assert {parameter.dtype for parameter in found.parameters()} == {torch.float32}
    assert torch.equal(found.embed.weight, model.embed.weight.float())


# ---- settings that our model does not have ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layout", "changes", "told"),
    [
        ("mixtral", {"hidden_act": "gelu"}, "hidden_act is 'gelu'; a model of ours can only have 'silu'"),
        ("mixtral", {"sliding_window": 16}, "sliding_window is 16; a model of ours can only have None"),
        ("mixtral", {"tie_word_embeddings": True}, "tie_word_embeddings is True"),
        ("mixtral", {"router_jitter_noise": 0.1}, "router_jitter_noise is 0.1"),
        ("mixtral", {"head_dim": 8}, "head_dim is 8; a model of ours can only have 4"),
        ("mixtral", {"rope_scaling": {"rope_type": "linear", "factor": 2.0}}, "rope_type is 'linear'"),
        ("mixtral", {"num_local_experts": 1}, "top_k is 2, expected|n_experts is 1, but Mixtral is sparse"),
        ("mixtral", {"attention_dropout": 0.1}, "attention_dropout is 0.1"),
        ("mixtral", {"quantization_config": {"bits": 4}}, "quantization_config = {'bits': 4}: .* no such setting"),
        ("mixtral", {"auto_map": {"AutoModel": "code.Model"}}, "auto_map = .*: a model of ours has no such setting"),
        ("mixtral", {"num_attention_heads": 3}, "transformers refuses it|n_heads is 3"),
        ("mixtral", {"hidden_size": "16"}, "transformers refuses it"),
        ("mixtral", {"model_type": "gpt2"}, "model_type is 'gpt2', expected one of mixtral, olmoe, qwen3_moe, llama"),
        ("olmoe", {"clip_qkv": 8.0}, "clip_qkv is 8.0"),
        ("olmoe", {"attention_bias": True}, "attention_bias is True"),
        ("olmoe", {"head_dim": 8}, "head_dim is 8"),
        ("qwen3_moe", {"mlp_only_layers": [0]}, r"mlp_only_layers is \[0\]"),
        ("qwen3_moe", {"decoder_sparse_step": 2}, "decoder_sparse_step is 2"),
        ("qwen3_moe", {"use_sliding_window": True}, "use_sliding_window is True"),
        ("llama", {"mlp_bias": True}, "mlp_bias is True"),
    ],
)
def test_setting_that_our_model_does_not_have_is_named(tmp_path, layout, changes, told):
    folder = changed_config(export(model_for(layout), tmp_path / "model"), **changes)
    with pytest.raises(CheckpointError, match=f"config.json: .*({told})"):
        load(folder)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_setting_of_transformers_is_read_demanded_or_known_to_do_nothing(layout):
    """A version with a new setting is noticed here."""
    kind = getattr(transformers, layouts.LAYOUTS[layout].architecture).config_class
    assert {f.name for f in fields(kind)} - {*kind.attribute_map, *kind.attribute_map.values()} - read.known_keys(
        layouts.LAYOUTS[layout], layout
    ) == set()


def test_settings_without_effect_are_read_over(folder):
    more = {"_name_or_path": "x", "use_cache": False, "eos_token_id": 2, "max_window_layers": 3, "rope_scaling": None}
    assert load(changed_config(folder, **more)).config == model_for("mixtral").config


def test_config_that_is_no_config(tmp_path, folder):
    with pytest.raises(FileNotFoundError, match="No config.json in .*; expected a folder that export"):
        load(tmp_path / "nowhere")
    (folder / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="config.json is not JSON"):
        load(folder)
    (folder / "config.json").write_text("[1]")
    with pytest.raises(CheckpointError, match="holds a list, expected names with values"):
        load(folder)


# ---- tensors ---------------------------------------------------------------------------------------------------------

EXPERT = "model.layers.1.block_sparse_moe.experts.3."


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: t.pop(EXPERT + "w2.weight"), f"1 missing ({EXPERT}w2.weight)"),
        (lambda t: t.update(extra=torch.zeros(3)), "1 unexpected (extra)"),
        (
            lambda t: t.update({EXPERT + "w2.weight": t[EXPERT + "w2.weight"].T}),
            f"1 of another shape ({EXPERT}w2.weight (12, 16), expected (16, 12))",
        ),
        (
            lambda t: t.update({EXPERT + "w1.weight": t[EXPERT + "w1.weight"].to(torch.int8)}),
            f"1 no floating-point numbers ({EXPERT}w1.weight torch.int8)",
        ),
        (
            lambda t: [t.update({k.replace("w1", "gate_proj"): t.pop(k)}) for k in list(t) if ".w1." in k],
            "15 missing (model.layers.0.block_sparse_moe.experts.0.w1.weight, "
            "model.layers.0.block_sparse_moe.experts.1.w1.weight, model.layers.0.block_sparse_moe.experts.2.w1.weight, "
            "…); 15 unexpected (model.layers.0.block_sparse_moe.experts.0.gate_proj.weight, ",
        ),
        (
            lambda t: t.update({"model.layers.1.mlp.experts.down_proj": torch.zeros(5, 16, 12)}),
            "w2.weight is there twice: stacked with the other experts, and by itself",
        ),
    ],
    ids=["missing", "unexpected", "misshapen", "quantised", "other names", "twice"],
)
def test_tensors_that_do_not_fit_are_named(folder, change, told):
    with pytest.raises(CheckpointError, match=re.escape(told)):
        load(rewritten(folder, change))


class Bomb:
    """Unpickled, it makes the file that it was given."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt"])
def test_a_pickle_is_refused_and_not_opened(tmp_path, folder, name):
    (folder / name).write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
    assert load(folder)  # beside safetensors it is not looked at
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=f"only in {name}, and opening a pickle runs whatever program is in it"):
        load(folder)
    assert not (tmp_path / "ran").exists()
    pickle.loads((folder / name).read_bytes()).close()
    assert (tmp_path / "ran").exists()  # it would have


def test_a_pickle_with_the_name_of_safetensors_is_not_opened(tmp_path, folder):
    (folder / "model.safetensors").write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
    with pytest.raises(CheckpointError, match="not a whole safetensors file"):
        load(folder)
    assert not (tmp_path / "ran").exists()


def test_weights_that_are_not_there_or_cut_off(folder):
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[:-100])
    with pytest.raises(CheckpointError, match="not a whole safetensors file: .* An interrupted copy?"):
        load(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="No model.safetensors in"):
        load(folder)


@pytest.mark.parametrize(
    ("index", "told"),
    [
        ({}, "has no weight_map"),
        ({"weight_map": {"a": "../model.safetensors"}}, "'../model.safetensors' is not the name of a safetensors file"),
        ({"weight_map": {"a": "pytorch_model.bin"}}, "'pytorch_model.bin' is not the name of a safetensors file"),
        ({"weight_map": {"a": "part.safetensors"}}, "No part.safetensors in .*, which .*index.json names"),
    ],
)
def test_index_of_files_that_leads_elsewhere(folder, index, told):
    (folder / "model.safetensors").rename(folder.parent / "model.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises((CheckpointError, FileNotFoundError), match=told):
        load(folder)


def test_the_layouts_of_published_keys_agree_with_what_transformers_saves(tmp_path):
    """Names of earlier versions and of this one mean the same."""
    for layout in LAYOUTS:
        folder = export(model_for(layout), tmp_path / layout)
        loaded(folder).save_pretrained(tmp_path / "saved" / layout)
        saved, ours = config_of(tmp_path / "saved" / layout), config_of(folder)
        assert "rope_theta" in ours and "rope_theta" not in saved and "rope_parameters" in saved
        assert load(folder).config == load(tmp_path / "saved" / layout).config
