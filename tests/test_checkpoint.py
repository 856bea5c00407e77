"""Saving and loading: whole, atomic, and refusing what does not fit (moe_lite/checkpoint.py)."""

import json
import os
from dataclasses import asdict

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from small import random_ids, small_model

from moe_lite import checkpoint
from moe_lite.checkpoint import CheckpointError, load, load_extra, pretrained, pretrained_record, save
from moe_lite.lessons.dispatch import sparse_forward
from moe_lite.metrics import flops_per_token
from moe_lite.model.config import dense_twin
from moe_lite.model.routing import top_k_route


def header_of(path) -> dict:
    with safe_open(path, framework="pt") as file:
        return json.loads(file.metadata()["moe-lite"])


def rewritten(path, tensors: dict | None = None, **changes):
    """The same file with other tensors, or other entries in its header (None removes one)."""
    header = {key: value for key, value in (header_of(path) | changes).items() if value is not None}
    save_file(load_file(path) if tensors is None else tensors, path, metadata={"moe-lite": json.dumps(header)})
    return path


@pytest.fixture
def saved(tmp_path):
    return save(tmp_path / "model.safetensors", small_model())


# ---- there and back --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [{}, {"n_experts": 1}, {"n_shared_experts": 1}, {"selection_bias": True, "score": "sigmoid"}]
    + [{"n_dense_layers": 1, "d_dense": 21}, {"n_shared_experts": 1, "shared_gate": True}]
    + [{"expert": "quick_geglu", "expert_clamp": 7.0, "expert_bias": True}, {"expert": "relu2"}],
)
def test_loaded_model_gives_the_same_numbers(tmp_path, changes):
    model, ids = small_model(seed=5, **changes), random_ids(2, 9)
    if "selection_bias" in changes:
        model.blocks[1].feed_forward.router.bias.copy_(torch.tensor([0.1, 0.2, -0.3, 0.0, 0.5]))
    found = load(save(tmp_path / "model.safetensors", model))
    assert found.config == model.config and not found.training
    assert found.state_dict().keys() == model.state_dict().keys()
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in found.state_dict().items())
    assert torch.equal(found(ids).logits, model.eval()(ids).logits)


def test_saving_leaves_the_model_and_its_mode_alone(tmp_path):
    model = small_model().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    save(tmp_path / "model.safetensors", model, dtype=torch.bfloat16)
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_bfloat16_halves_the_file_and_keeps_the_selection_bias_exact(tmp_path):
    model = small_model(selection_bias=True, score="sigmoid")
    model.blocks[0].feed_forward.router.bias.fill_(0.501)  # in bfloat16: 0.5
    full = save(tmp_path / "full.safetensors", model)
    half = save(tmp_path / "half.safetensors", model, dtype=torch.bfloat16)
    assert half.stat().st_size < 0.6 * full.stat().st_size
    assert load_file(half)["model.blocks.0.feed_forward.experts.down"].dtype == torch.bfloat16
    found = load(half)
    for name, tensor in found.state_dict().items():
        expected = model.state_dict()[name]
        assert tensor.dtype == torch.float32
        if not name.endswith("bias"):
            expected = expected.bfloat16().float()
        assert torch.equal(tensor, expected)


def test_extra_travels_along(tmp_path):
    path = save(
        tmp_path / "model.safetensors", small_model(), extra={"step": 7}, extra_tensors={"note": torch.arange(3)}
    )
    header, tensors = load_extra(path)
    assert header["step"] == 7 and header["version"] == 1 and tensors["note"].tolist() == [0, 1, 2]
    load(path)  # what is not the model's is no obstacle


def test_learners_function_goes_into_the_loaded_model(saved):
    calls = []

    def mine(scores, k):
        calls.append(k)
        return top_k_route(scores, k)

    load(saved, top_k_fn=mine)(random_ids(1, 4))
    assert calls == [2, 2, 2]


def test_learners_dispatch_goes_into_the_loaded_model(saved):
    calls = []

    def mine(x, weights, expert_ids, gate_up, down):
        calls.append(tuple(expert_ids.shape))
        return sparse_forward(x, weights, expert_ids, gate_up, down)

    ids = random_ids(1, 4)
    torch.testing.assert_close(load(saved, dispatch_fn=mine)(ids).logits, load(saved)(ids).logits)
    assert calls == [(4, 2)] * 3


# ---- atomic ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["write", "rename"])
@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()], ids=["full disk", "interrupt"])
def test_failure_during_save_leaves_the_old_file_and_nothing_else(saved, monkeypatch, where, error):
    def fails(*args, **kwargs):
        raise error

    before = saved.read_bytes()
    if where == "write":
        monkeypatch.setattr(type(saved), "write_bytes", lambda path, data: (open(path, "wb").write(data[:99]), fails()))
    else:
        monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(type(error)):
        save(saved, small_model(seed=9))
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == ["model.safetensors"]


def test_file_has_the_permissions_of_any_new_file(saved):
    plain = saved.with_name("plain")
    plain.touch()
    assert saved.stat().st_mode == plain.stat().st_mode


def test_missing_folders_are_made(tmp_path):
    assert save(tmp_path / "a" / "b" / "model.safetensors", small_model()).is_file()


# ---- refused ---------------------------------------------------------------------------------------------------------


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="No checkpoint at .*nothing.safetensors"):
        load(tmp_path / "nothing.safetensors")


@pytest.mark.parametrize("keep", [0, 5, 200, 5000, -1])
def test_truncated_file_is_refused_with_its_size(saved, keep):
    saved.write_bytes(saved.read_bytes()[:keep])
    size = f"{saved.stat().st_size:,}"
    with pytest.raises(CheckpointError, match=rf"model.safetensors: not a whole safetensors file \({size} bytes\)"):
        load(saved)


def test_file_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "notes.safetensors"
    path.write_text("These are my notes. " * 20)
    with pytest.raises(CheckpointError, match="notes.safetensors: not a whole safetensors file .* Expected a file"):
        load(path)


@pytest.mark.parametrize(
    ("metadata", "named"), [({"format": "pt"}, "metadata: format"), (None, "metadata: none")], ids=["pt", "none"]
)
def test_safetensors_file_of_another_program_is_refused(tmp_path, metadata, named):
    save_file({"weight": torch.zeros(3)}, tmp_path / "other.safetensors", metadata=metadata)
    with pytest.raises(CheckpointError, match=rf"file of another program \({named}\), expected 'moe-lite'"):
        load(tmp_path / "other.safetensors")


@pytest.mark.parametrize("text", ["not JSON", "[]", "{}", "3"])
def test_damaged_header_is_refused(saved, text):
    save_file(load_file(saved), saved, metadata={"moe-lite": text})
    with pytest.raises(CheckpointError, match="its header 'moe-lite' is not the JSON that save writes"):
        load(saved)


@pytest.mark.parametrize("version", [0, 2, "1"])
def test_other_version_is_refused(saved, version):
    with pytest.raises(CheckpointError, match=f"format version {version}, this package reads version 1"):
        load(rewritten(saved, version=version))


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (asdict(small_model().config) | {"n_slots": 3}, "ModelConfig has no field n_slots"),
        (asdict(small_model().config) | {"top_k": 9}, "ModelConfig: top_k is 9, expected at most n_experts=5"),
        (None, "'model'"),
        ("large", "ModelConfig has no field a, e, g, l, r"),
    ],
)
def test_settings_of_another_version_are_refused(saved, settings, named):
    with pytest.raises(CheckpointError, match=f"its model settings do not fit this version: {named}"):
        load(rewritten(saved, model=settings))


def test_other_shapes_are_refused_with_both(saved):
    other = asdict(small_model().config) | {"d_expert": 13}
    message = r"experts.down is \(5, 16, 12\), expected \(5, 16, 13\)"
    with pytest.raises(CheckpointError, match=message):
        load(rewritten(saved, model=other))


def test_missing_and_surplus_tensors_are_named(saved):
    tensors = load_file(saved)
    tensors["model.blocks.9.weight"] = tensors.pop("model.norm.weight")
    with pytest.raises(CheckpointError, match=r"Missing \['norm.weight'\], surplus \['blocks.9.weight'\]"):
        load(rewritten(saved, tensors))


def test_refused_tensors_change_no_weight(saved):
    model = small_model(seed=4)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    tensors = load_file(saved)
    tensors["model.norm.weight"] = torch.zeros(17)  # the last of all names; the others would fit
    with pytest.raises(CheckpointError, match=r"norm.weight is \(17,\), expected \(16,\)"):
        checkpoint.restore(model, tensors, saved)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


# ---- shipped models --------------------------------------------------------------------------------------------------


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    monkeypatch.setenv("MOE_LITE_DATA", str(tmp_path))
    for n_experts in (4, 16):
        path = save(tmp_path / "checkpoints" / f"moe-e{n_experts}.safetensors", small_model(n_experts=n_experts))
        path.with_suffix(".json").write_text(json.dumps({"step": 10 * n_experts}))


def test_shipped_models_are_found_by_their_number_of_experts(shipped):
    assert pretrained(16).config.n_experts == 16 and not pretrained(4).training
    assert pretrained_record(4) == {"step": 40}
    with pytest.raises(ZeroDivisionError):
        pretrained(4, top_k_fn=lambda scores, k: 1 / 0)(random_ids(1, 3))


def test_number_without_a_shipped_model_is_refused_with_those_there_are(shipped):
    for look in (pretrained, pretrained_record):
        with pytest.raises(ValueError, match=r"No shipped model with 5 experts; there are models with \[4, 16\]"):
            look(5)


@pytest.mark.parametrize(("number", "kind"), [("4", "str"), (4.0, "float")])
def test_number_of_another_kind_is_refused(shipped, number, kind):
    for look in (pretrained, pretrained_record):
        with pytest.raises(ValueError, match=rf"n_experts is {number!r}, a {kind}; expected a whole number"):
            look(number)


def test_dense_model_is_the_one_with_one_expert(tmp_path, monkeypatch):
    monkeypatch.setenv("MOE_LITE_DATA", str(tmp_path))
    save(tmp_path / "checkpoints" / "dense.safetensors", small_model(n_experts=1))
    assert pretrained(1).config.is_dense
    with pytest.raises(ValueError, match=r"there are models with \[1\]"):
        pretrained(8)


def test_shipped_dense_model_spends_what_the_sparse_ones_do():
    """Equal but for the router: layers · experts · width weights, two FLOPs each."""
    dense, sparse = pretrained(1), pretrained(8)
    assert dense.config == dense_twin(sparse.config)
    assert flops_per_token(sparse, 256) - flops_per_token(dense, 256) == 2 * 4 * 8 * 128


# ---- what people do to models and paths ------------------------------------------------------------------------------


def test_tied_parameters_are_saved_and_come_back_with_their_values(tmp_path):
    model = small_model()
    model.head.weight = model.embed.weight
    for dtype in (None, torch.bfloat16):
        again = load(save(tmp_path / "tied.safetensors", model, dtype=dtype))
        torch.testing.assert_close(again.head.weight, again.embed.weight, atol=0, rtol=0)
        torch.testing.assert_close(again.head.weight, model.embed.weight, atol=0 if dtype is None else 1e-2, rtol=0)


def test_file_that_was_saved_from_inside_a_compiled_model_is_read(saved):
    tensors = {name.replace("model.", "model._orig_mod.", 1): tensor for name, tensor in load_file(saved).items()}
    ids = random_ids(1, 8)
    torch.testing.assert_close(load(rewritten(saved, tensors))(ids).logits, small_model().eval()(ids).logits)


def test_home_folder_is_meant_by_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert save("~/deep/model.safetensors", small_model()) == tmp_path / "deep" / "model.safetensors"
    assert load("~/deep/model.safetensors").config == small_model().config


def test_paths_that_cannot_become_a_file_are_refused_and_left_alone(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "file").touch()
    for path, why in (
        (tmp_path, "is a folder"),
        (pipe, "is no regular file"),
        (tmp_path / "file" / "model.safetensors", "is no folder that can be written to"),
    ):
        with pytest.raises(CheckpointError, match=why):
            save(path, small_model())
    assert pipe.is_fifo() and sorted(p.name for p in tmp_path.iterdir()) == ["file", "pipe"]
