"""Folders that transformers reads (moe_lite.hf.export)."""

import re
from dataclasses import replace

import pytest
import torch
from hf_models import CLOSE, LAYOUTS, changed_config, config_of, loaded, logits_of, model_for
from safetensors import safe_open
from safetensors.torch import load_file
from small import random_ids
from transformers import AutoTokenizer

from moe_lite import ModelConfig, MoELanguageModel, data
from moe_lite.checkpoint import CheckpointError, pretrained, pretrained_record
from moe_lite.hf import card, export, twin, write
from moe_lite.lessons.dispatch import sparse_forward
from moe_lite.model.routing import top_k_route

pytestmark = pytest.mark.slow  # in sum

# ---- what transformers reads -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
def test_transformers_reads_the_same_model(tmp_path, layout):
    model, ids = model_for(layout), random_ids(3, 30)
    folder = export(model, tmp_path / "model")
    assert config_of(folder)["model_type"] == layout
    expected = logits_of(model, ids)
    assert expected.abs().max() > 1  # a difference would show
    torch.testing.assert_close(logits_of(loaded(folder), ids), expected, **CLOSE)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_greedy_text_is_the_same(tmp_path, layout):
    """Through the files alone: tokenizer, weights and generation settings."""
    model = model_for(layout, vocab_size=2048)
    folder = export(model, tmp_path / "model")
    tokenizer, prompt = AutoTokenizer.from_pretrained(folder), "Are we all met?"
    ids = tokenizer(prompt, return_tensors="pt").input_ids
    assert ids[0].tolist() == data.encode(prompt)
    text = tokenizer.decode(loaded(folder).generate(ids, max_new_tokens=15)[0, ids.shape[1] :])
    new = [int(token) for token, _ in model.generate(ids, 15, temperature=0)]
    assert len(set(new)) > 5 and text == data.tokenizer().decode(new)


@pytest.mark.parametrize("text", ["", "Grüße, 你好 😀\n\n\tdef f(x):  return x ", " <s> </s> [INST]"])
def test_tokenizer_reads_as_ours(tmp_path, text):
    tokenizer = AutoTokenizer.from_pretrained(export(model_for("mixtral", vocab_size=2048), tmp_path / "model"))
    assert tokenizer(text).input_ids == data.encode(text)
    assert tokenizer.decode(data.encode(text)) == text


def test_a_shipped_model_is_the_same_there(tmp_path):
    model, ids = pretrained(8), torch.tensor([data.encode(data.SAMPLES["shakespeare"])[:200]])
    other = loaded(export(model, tmp_path / "model", record=pretrained_record(8)))
    torch.testing.assert_close(logits_of(other, ids), logits_of(model, ids), **CLOSE)
    theirs = other.generate(ids[:, :20], max_new_tokens=20)[0, 20:].tolist()
    assert theirs == [int(token) for token, _ in model.generate(ids[:, :20], 20, temperature=0)]


@pytest.mark.parametrize("renorm", [True, False])
@pytest.mark.parametrize("layout", ["olmoe", "qwen3_moe"])
def test_weights_that_do_not_sum_to_one_are_a_setting_there(tmp_path, layout, renorm):
    model, ids = model_for(layout, renorm=renorm), random_ids(2, 20)
    folder = export(model, tmp_path / "model")
    torch.testing.assert_close(logits_of(loaded(folder), ids), logits_of(model, ids), **CLOSE)
    other = logits_of(loaded(changed_config(folder, norm_topk_prob=not renorm)), ids)
    assert (other - logits_of(model, ids)).abs().max() > 0.1


def test_experts_stand_one_by_one_under_the_published_names(tmp_path):
    """E 5, F 12, D 16, two heads of 4 for keys: what each published tensor is, by hand."""
    model = model_for("mixtral")
    tensors = load_file(export(model, tmp_path / "mixtral") / "model.safetensors")
    experts = model.blocks[1].feed_forward.experts
    prefix = "model.layers.1.block_sparse_moe."
    assert torch.equal(tensors[prefix + "experts.3.w1.weight"], experts.gate_up[3, :12])  # gate (12, 16)
    assert torch.equal(tensors[prefix + "experts.3.w3.weight"], experts.gate_up[3, 12:])  # up (12, 16)
    assert torch.equal(tensors[prefix + "experts.3.w2.weight"], experts.down[3])  # (16, 12)
    assert torch.equal(tensors[prefix + "gate.weight"], model.blocks[1].feed_forward.router.weight)
    # per layer 4 of attention, 2 norms, the router, 3 per expert; then embedding, last norm, head
    assert len(tensors) == 3 * (4 + 2 + 1 + 3 * 5) + 3

    model = model_for("olmoe")
    tensors = load_file(export(model, tmp_path / "olmoe") / "model.safetensors")
    experts, prefix = model.blocks[0].feed_forward.experts, "model.layers.0."
    assert torch.equal(tensors[prefix + "mlp.experts.4.gate_proj.weight"], experts.gate_up[4, :12])
    assert torch.equal(tensors[prefix + "mlp.experts.4.up_proj.weight"], experts.gate_up[4, 12:])
    assert torch.equal(tensors[prefix + "mlp.experts.4.down_proj.weight"], experts.down[4])
    assert tensors[prefix + "self_attn.q_norm.weight"].shape == (16,)
    assert tensors[prefix + "self_attn.k_norm.weight"].shape == (8,)
    tensors = load_file(export(model_for("qwen3_moe"), tmp_path / "qwen3_moe") / "model.safetensors")
    assert tensors[prefix + "self_attn.q_norm.weight"].shape == (4,)


def test_files_and_their_metadata(tmp_path):
    folder = export(model_for("mixtral", vocab_size=2048), tmp_path / "model")
    assert {path.name for path in folder.iterdir()} == write.FILES
    with safe_open(folder / "model.safetensors", framework="pt") as file:
        assert file.metadata() == {"format": "pt"}
    assert list(tmp_path.iterdir()) == [folder]  # nothing is left beside it


def test_model_of_another_vocabulary_comes_without_a_tokenizer(tmp_path):
    folder = export(model_for("mixtral"), tmp_path / "model")
    assert {path.name for path in folder.iterdir()} == write.FILES - {"tokenizer.json", "tokenizer_config.json"}
    assert "no tokenizer comes with it" in (folder / "README.md").read_text()


def test_bfloat16_stays_bfloat16(tmp_path):
    folder = export(model_for("mixtral").bfloat16(), tmp_path / "model")
    assert {tensor.dtype for tensor in load_file(folder / "model.safetensors").values()} == {torch.bfloat16}
    assert loaded(folder).dtype == torch.bfloat16


def test_exporting_leaves_the_model_alone(tmp_path):
    model = model_for("mixtral").train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    export(model, tmp_path / "model")
    assert model.training and all(torch.equal(before[name], t) for name, t in model.state_dict().items())


# ---- which layout ----------------------------------------------------------------------------------------------------


def test_model_that_no_layout_holds_is_told_why_for_each(tmp_path):
    model = model_for("mixtral", score="sigmoid")
    told = (
        "The layout of Mixtral, OLMoE, Qwen3-MoE, Llama does not hold this model:\n"
        "  score is 'sigmoid', but Mixtral's is 'softmax'.\n"
        "  score is 'sigmoid', but OLMoE's is 'softmax'.\n"
        "  score is 'sigmoid', but Qwen3-MoE's is 'softmax'.\n"
        "  n_experts is 5, but Llama is dense."
    )
    with pytest.raises(ValueError, match="^" + re.escape(told) + "$"):
        export(model, tmp_path / "model")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changes", "layout", "told"),
    [
        ({}, "olmoe", "qk_norm is 'none', but OLMoE's is 'full'."),
        ({"qk_norm": "head"}, "mixtral", "qk_norm is 'head', but Mixtral's is 'none'."),
        ({"renorm": False}, "mixtral", "renorm is False, but Mixtral's is True."),
        ({"n_experts": 1}, "qwen3_moe", "n_experts is 1, but Qwen3-MoE is sparse."),
        ({"n_experts": 1, "qk_norm": "full"}, "llama", "qk_norm is 'full', but Llama's is 'none'."),
        ({"n_shared_experts": 1}, None, "n_shared_experts is 1, but Mixtral's is 0."),
        ({"selection_bias": True}, None, "selection_bias is True, but Mixtral's is False."),
        ({}, "mistral", "layout is 'mistral', expected one of mixtral, olmoe, qwen3_moe, llama."),
    ],
)
def test_layout_that_does_not_fit_is_refused(tmp_path, changes, layout, told):
    with pytest.raises(ValueError, match=re.escape(told)):
        export(model_for("mixtral", **changes), tmp_path / "model", layout=layout)


OWN = {"top_k_fn": top_k_route, "dispatch_fn": sparse_forward, "layer_fn": lambda *parts: None}


@pytest.mark.parametrize("own", [{name: function} for name, function in OWN.items()], ids=OWN)
def test_model_with_a_function_of_ones_own_is_refused(tmp_path, own):
    (name,) = own
    with pytest.raises(ValueError, match=f"^{name} .* made without {name}"):
        export(model_for("mixtral", **own), tmp_path / "model")


def test_what_is_no_model_of_ours_is_refused(tmp_path):
    model = model_for("mixtral")
    with pytest.raises(
        TypeError, match=r"MixtralForCausalLM came, expected a MoELanguageModel.*save_pretrained\(folder"
    ):
        export(twin(model), tmp_path / "model")
    with pytest.raises(TypeError, match=r"ModelConfig came, expected a MoELanguageModel\. MoELanguageModel\(config\)"):
        twin(model.config)
    assert not list(tmp_path.iterdir())


def test_settings_of_the_training_are_left_out_and_named(tmp_path):
    model, ids = model_for("mixtral", jitter=0.1, capacity_factor=1.5), random_ids(2, 20)
    folder = export(model, tmp_path / "model")
    torch.testing.assert_close(logits_of(loaded(folder), ids), logits_of(model, ids), **CLOSE)
    assert "not in config.json: jitter, capacity_factor" in (folder / "README.md").read_text()


# ---- the card --------------------------------------------------------------------------------------------------------


def test_card_tells_the_losses_of_a_record(tmp_path):
    record = pretrained_record(8)
    text = (export(pretrained(8), tmp_path / "model", record=record) / "README.md").read_text()
    assert (
        "8 experts, top-2" in text and "| parameters | 1,512,576 |" in text and "| active per token | 922,752 |" in text
    )
    assert "## Losses after 3,000 steps, 6,144,000 tokens" in text
    for domain, loss in record["val_loss"].items():
        assert f"| {domain} | {loss:.3f} |" in text
    assert f"| mean | {record['val_loss_mean']:.3f} |" in text


def test_card_has_the_settings_as_code():
    config = ModelConfig(n_experts=4, top_k=1, renorm=False, qk_norm="full", capacity_factor=1.0)
    text = card.card(MoELanguageModel(config), "olmoe")
    made = eval(re.search(r"^ModelConfig\(.*\)", text, re.M)[0])
    assert made == config and "Losses" not in text


def test_record_without_losses_is_refused(tmp_path):
    with pytest.raises(ValueError, match="record has no val_loss; expected validation losses by domain"):
        export(model_for("mixtral"), tmp_path / "model", record={"step": 3})
    assert not list(tmp_path.iterdir())


# ---- folders ---------------------------------------------------------------------------------------------------------


def test_earlier_export_stays_unless_it_may_be_replaced(tmp_path):
    folder = export(model_for("mixtral"), tmp_path / "model")
    before = (folder / "model.safetensors").read_bytes()
    with pytest.raises(CheckpointError, match="holds an earlier export. replace=True"):
        export(model_for("llama"), folder)
    assert (folder / "model.safetensors").read_bytes() == before
    assert config_of(export(model_for("llama"), folder, replace=True))["model_type"] == "llama"
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("replace_it", [True, False])
def test_folder_with_other_files_is_never_replaced(tmp_path, replace_it):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(CheckpointError, match="holds thesis.tex, which no export wrote"):
        export(model_for("mixtral"), tmp_path, replace=replace_it)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_an_empty_folder_and_one_that_is_not_there_yet_are_filled(tmp_path):
    (tmp_path / "empty").mkdir()
    assert loaded(export(model_for("llama"), tmp_path / "empty"))
    assert loaded(export(model_for("llama"), tmp_path / "several" / "new" / "ones"))


def test_path_that_cannot_become_a_folder(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="file is no folder; expected the name of a new one"):
        export(model_for("llama"), tmp_path / "file")
    with pytest.raises(CheckpointError, match="cannot be written: .*file is no folder that can be written to"):
        export(model_for("llama"), tmp_path / "file" / "model")
    monkeypatch.setattr(write.os, "access", lambda path, mode: False)
    with pytest.raises(CheckpointError, match="is no folder that can be written to"):
        export(model_for("llama"), tmp_path / "model")


@pytest.mark.parametrize(
    ("problem", "told"), [(OSError("No space left"), CheckpointError), (KeyboardInterrupt(), None)]
)
@pytest.mark.parametrize("there", [True, False])
def test_broken_off_leaves_nothing_and_takes_nothing(tmp_path, monkeypatch, problem, told, there):
    folder = tmp_path / "model"
    if there:
        export(model_for("llama"), folder)

    def fail(*args, **options):
        raise problem

    monkeypatch.setattr(write, "save_file", fail)
    with pytest.raises(told or type(problem)):
        export(model_for("mixtral"), folder, replace=True)
    assert list(tmp_path.iterdir()) == [folder] * there
    if there:
        assert config_of(folder)["model_type"] == "llama" and loaded(folder)


def test_broken_off_between_the_two_moves_puts_the_old_one_back(tmp_path, monkeypatch):
    folder, move, moves = export(model_for("llama"), tmp_path / "model"), write.os.replace, []

    def fail_once(source, target):
        moves.append(target)
        if len(moves) == 2:
            raise KeyboardInterrupt
        move(source, target)

    monkeypatch.setattr(write.os, "replace", fail_once)
    with pytest.raises(KeyboardInterrupt):
        export(model_for("mixtral"), folder, replace=True)
    assert list(tmp_path.iterdir()) == [folder] and config_of(folder)["model_type"] == "llama"


# ---- queries and keys that are normalised ----------------------------------------------------------------------------


@pytest.mark.parametrize("qk_norm", ["head", "full"])
@torch.no_grad()
def test_generating_with_normalised_keys_equals_reading_the_whole_text(qk_norm):
    """What the cache keeps is normalised already."""
    layout = {"head": "qwen3_moe", "full": "olmoe"}[qk_norm]
    model, ids = model_for(layout), random_ids(1, 6)
    for token, output in model.generate(ids, 8, temperature=0):
        torch.testing.assert_close(output.logits[:, -1], model(ids).logits[:, -1], **CLOSE)
        ids = torch.cat([ids, token[:, None]], dim=1)


def test_checkpoints_of_before_have_no_such_norms():
    model = pretrained(4)
    assert model.config.qk_norm == "none" and not [name for name in model.state_dict() if "query_norm" in name]
    assert replace(model.config, qk_norm="head") != model.config
