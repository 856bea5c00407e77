"""What loads without a word and is wrong all the same is found (moe_lite.hf.verify, and export with it)."""

import re

import pytest
import torch
from hf_models import changed_config, loaded, logits_of, model_for
from safetensors.torch import load_file, save_file
from small import random_ids

from moe_lite.checkpoint import CheckpointError, pretrained
from moe_lite.hf import export, layouts, verify, verifying, write

pytestmark = pytest.mark.slow  # in sum

SQUARE = {"d_expert": 16}  # as wide as the model: a transposed matrix of an expert fits, too
EXPERTS = "model.layers.1.block_sparse_moe.experts."
ATTENTION = "model.layers.2.self_attn."


def swapped(first: str, second: str):
    """What exchanges these pieces of the names of tensors."""

    def change(tensors):
        for name in [name for name in tensors if first in name]:
            other = name.replace(first, second)
            tensors[name], tensors[other] = tensors[other], tensors[name]

    return change


def transposed(name: str):
    return lambda tensors: tensors.update({name: tensors[name].T})


def turned_rows(name: str):
    return lambda tensors: tensors.update({name: tensors[name].roll(1, 0)})


STACKED, ROW = "model.layers.1.mlp.experts.", "model.layers.2.self_attn."
PLANTED = {
    # what was done to the published file: layout, how, what is told
    "gate and up of one expert": (
        "mixtral", swapped(EXPERTS + "3.w1.", EXPERTS + "3.w3."),
        [STACKED + "gate_up_proj has its halves, gate and up, in each other's place in expert 3."],
    ),
    "gate and up, everywhere": (
        "olmoe", swapped(".gate_proj.", ".up_proj."),
        [
            f"model.layers.{i}.mlp.experts.gate_up_proj has its halves, gate and up, in each other's place in experts "
            "0, 1, 2, 3, 4." for i in range(3)
        ],
    ),
    "gate and up of a dense model": (
        "llama", swapped("layers.0.mlp.gate_proj.", "layers.0.mlp.up_proj."),
        [
            "model.layers.0.mlp.gate_proj.weight holds what belongs to model.layers.0.mlp.up_proj.weight.",
            "model.layers.0.mlp.up_proj.weight holds what belongs to model.layers.0.mlp.gate_proj.weight.",
        ],
    ),
    "two experts": (
        "mixtral", swapped(EXPERTS + "1.", EXPERTS + "4."),
        [
            STACKED + "gate_up_proj has expert 4 in the place of 1, expert 1 in the place of 4.",
            STACKED + "down_proj has expert 4 in the place of 1, expert 1 in the place of 4.",
        ],
    ),
    "a matrix of an expert": (
        "mixtral", transposed(EXPERTS + "2.w2.weight"), [STACKED + "down_proj is transposed in expert 2."],
    ),
    "a matrix of attention": ("qwen3_moe", transposed(ROW + "q_proj.weight"), [ROW + "q_proj.weight is transposed."]),
    "keys and values": (
        "mixtral", swapped(ROW + "k_proj", ROW + "v_proj"),
        [
            f"{ROW}k_proj.weight holds what belongs to {ROW}v_proj.weight.",
            f"{ROW}v_proj.weight holds what belongs to {ROW}k_proj.weight.",
        ],
    ),
    "norms of two layers": (
        "olmoe", swapped("layers.0.input_layernorm", "layers.2.input_layernorm"),
        [
            "model.layers.0.input_layernorm.weight holds what belongs to model.layers.2.input_layernorm.weight.",
            "model.layers.2.input_layernorm.weight holds what belongs to model.layers.0.input_layernorm.weight.",
        ],
    ),
    "rows of a router": (
        "qwen3_moe", turned_rows("model.layers.1.mlp.gate.weight"),
        ["model.layers.1.mlp.gate.weight differs by up to "],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTED)
def test_what_loads_without_a_word_and_is_wrong_is_named(tmp_path, name):
    layout, change, told = PLANTED[name]
    model, ids = model_for(layout, **SQUARE), random_ids(2, 32)
    folder = export(model, tmp_path / "model", verify=False)
    assert verify(model, folder) <= 1e-5  # before
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    tensors = {name: tensor.contiguous().clone() for name, tensor in tensors.items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    theirs = loaded(folder)  # asserts that transformers has nothing to say
    assert (logits_of(theirs, ids) - logits_of(model, ids)).abs().max() > 0.01
    with pytest.raises(CheckpointError) as error:
        verify(model, folder)
    lines = str(error.value).splitlines()
    assert lines[0] == "transformers reads other weights there:" and len(lines) == 1 + len(told)
    for line, start in zip(lines[1:], sorted(told, key=str(error.value).find), strict=True):
        assert line.strip().startswith(start)


@pytest.mark.parametrize("name", PLANTED)
def test_logits_alone_would_show_it_too(tmp_path, monkeypatch, name):
    """With every expert working on every token; a name that is wrong in our own table is seen by this alone."""
    layout, change, _ = PLANTED[name]
    model = model_for(layout, **SQUARE)
    folder = export(model, tmp_path / "model", verify=False)
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file({name: tensor.contiguous().clone() for name, tensor in tensors.items()}, folder / "model.safetensors")
    monkeypatch.setattr(verifying, "differences", lambda ours, theirs: [])
    with pytest.raises(CheckpointError, match="the logits in transformers differ by"):
        verify(model, folder)


@torch.no_grad()
def test_an_expert_that_no_token_chooses_is_looked_at_all_the_same(tmp_path, monkeypatch):
    model = model_for("mixtral", n_layers=1)
    layer, token = model.blocks[0].feed_forward, model.embed.weight[0].clone()
    model.embed.weight.copy_(token)  # every token is the same, and so are its experts
    never = min(set(range(5)) - set(model(random_ids(2, 32)).routing[0].expert_ids.tolist()))
    folder = export(model, tmp_path / "model", verify=False)
    layer.experts.down[never] *= 2
    monkeypatch.setattr(verifying, "differences", lambda ours, theirs: [])
    with pytest.raises(CheckpointError, match="Read with all experts, the logits"):
        verify(model, folder)


@pytest.mark.parametrize(
    ("layout", "changes"),
    [
        ("olmoe", {"norm_topk_prob": True}),
        ("mixtral", {"rope_theta": 1e6}),
        ("mixtral", {"num_experts_per_tok": 1}),
        ("mixtral", {"rms_norm_eps": 1e-2}),
        ("qwen3_moe", {"hidden_act": "gelu"}),
    ],
    ids=str,
)
def test_setting_that_says_something_else_is_found_by_the_logits(tmp_path, layout, changes):
    model = model_for(layout)
    folder = changed_config(export(model, tmp_path / "model"), **changes)
    with pytest.raises(CheckpointError, match="though all weights agree: a setting of config.json must say"):
        verify(model, folder)


def test_tensors_that_transformers_does_not_find_are_named(tmp_path):
    """Names of another layout: it would go on with random experts, and a line in the log."""
    model, names = model_for("mixtral"), {".w1.": ".gate_proj.", ".w3.": ".up_proj.", ".w2.": ".down_proj."}
    folder = export(model, tmp_path / "model")
    tensors = load_file(folder / "model.safetensors")
    for old, new in names.items():
        tensors = {name.replace(old, new): tensor for name, tensor in tensors.items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    told = (
        "finds other tensors than it expects. missing keys: model.layers.0.mlp.experts.down_proj, .*; unexpected keys: "
    )
    with pytest.raises(CheckpointError, match=told):
        verify(model, folder)


def test_folder_that_transformers_cannot_read(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="transformers cannot read it: "):
        verify(model_for("mixtral"), tmp_path)
    folder = export(model_for("mixtral", d_expert=12), tmp_path / "model")
    with pytest.raises(CheckpointError, match=re.escape("gate_up_proj is (5, 24, 16), expected (5, 28, 16)")):
        verify(model_for("mixtral", d_expert=14), folder)


@pytest.mark.parametrize("name", ["nope", "someone/nope"])
def test_folder_without_a_config_is_refused_before_transformers_looks_for_it(tmp_path, monkeypatch, name):
    monkeypatch.setattr(verifying, "_read", lambda *_, **__: pytest.fail("asked transformers"))
    with pytest.raises(FileNotFoundError, match=f"No config.json in .*{name}; expected a folder that export or"):
        verify(model_for("mixtral"), tmp_path / name)


# ---- in export -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "told"),
    [("published", "transformers reads other weights"), ("tensors_by_name", "the logits in transformers differ by")],
)
def test_export_that_went_wrong_is_not_there(tmp_path, monkeypatch, what, told):
    """Gate and up swapped where files get their names; and in the table that both sides are compared by."""
    right = getattr(layouts, what)

    def wrong(*args, **options):
        tensors = right(*args, **options)
        swapped(".w1.", ".w3.")(tensors)
        for name in [name for name in tensors if name.endswith("gate_up_proj")]:
            tensors[name] = torch.cat(tensors[name].chunk(2, dim=1)[::-1], dim=1)
        return tensors

    monkeypatch.setattr(layouts, what, wrong)
    if what == "tensors_by_name":
        monkeypatch.setattr(verifying, what, wrong)
    with pytest.raises(CheckpointError, match=f"model was not written: (.|\n)*{told}"):
        export(model_for("mixtral"), tmp_path / "model")
    assert not list(tmp_path.iterdir())
    assert write.export(model_for("mixtral"), tmp_path / "unseen", verify=False).is_dir()


def test_verifying_leaves_random_numbers_and_the_model_alone(tmp_path):
    model = pretrained(8).bfloat16().train()
    before, state = {name: tensor.clone() for name, tensor in model.state_dict().items()}, torch.get_rng_state()
    assert verify(model, export(model, tmp_path / "model")) <= 1e-4
    assert torch.equal(torch.get_rng_state(), state) and model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
