"""What the page reads: checkpoints of the package, with bfloat16 or float32. With each field of ModelConfig it computes
as the package does, or it refuses the model and names the field; it refuses other files, too."""

import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from engine_page import Engine, opened
from lab import Driver
from safetensors.torch import save_file
from small import random_ids, small_config, small_model

from moe_lite import checkpoint
from moe_lite.checkpoint import shipped
from moe_lite.model.config import ModelConfig

# field: other values than the usual one, with what they need beside them
COMPUTED = {
    "vocab_size": [{"vocab_size": 67}], "n_layers": [{"n_layers": 2}], "d_model": [{"d_model": 24}],
    "n_heads": [{"n_heads": 2}], "n_kv_heads": [{"n_kv_heads": 1}, {"n_kv_heads": 4}],
    "context_length": [{"context_length": 48}], "n_experts": [{"n_experts": 1}, {"n_experts": 9}],
    "top_k": [{"top_k": 1, "renorm": False}, {"top_k": 5}], "d_expert": [{"d_expert": 7}],
    "n_shared_experts": [{"n_shared_experts": 2}],
    "n_dense_layers": [{"n_dense_layers": 1}, {"n_dense_layers": 2, "n_shared_experts": 1},
                       {"n_dense_layers": 1, "n_experts": 1}],
    "d_dense": [{"d_dense": 10, "n_dense_layers": 1}, {"d_dense": 10, "n_dense_layers": 1, "n_experts": 1}],
    "renorm": [{"renorm": False}], "routed_scale": [{"routed_scale": 2.5}], "rope_theta": [{"rope_theta": 500.0}],
    "norm_eps": [{"norm_eps": 0.1}],
}  # fmt: skip
IN_TRAINING_ONLY = {
    "implementation": {"implementation": "loop"}, "jitter": {"jitter": 0.1},
    "capacity_factor": {"capacity_factor": 1.0},
    "priority": {"priority": "score", "capacity_factor": 1.0}, "balance": {"balance": "gshard"},
    "balance_coef": {"balance_coef": 0.5}, "z_coef": {"z_coef": 0.5}, "init_std": {"init_std": 0.1},
    "router_width": {"router_width": 8}, "threshold_memory": {"threshold_memory": 0.5},
    "threshold_warmup": {"threshold_warmup": 3},
}  # fmt: skip
GROUPS = {"n_experts": 6, "n_groups": 3, "topk_groups": 2}
REFUSED = {
    "expert": {"expert": "geglu"}, "expert_clamp": {"expert_clamp": 7.0}, "expert_bias": {"expert_bias": True},
    "d_latent": {"d_latent": 8}, "shared_gate": {"shared_gate": True, "n_shared_experts": 1},
    "shared_average": {"shared_average": True, "n_shared_experts": 1}, "n_zero_experts": {"n_zero_experts": 1},
    "router": {"router": "noisy_top_k"}, "score": {"score": "sigmoid"}, "order": {"order": "topk_first"},
    "renorm_eps": {"renorm_eps": 1e-6}, "logit_scale": {"logit_scale": 2.0}, "logit_softcap": {"logit_softcap": 3.0},
    "select_on": {"select_on": "logit", "selection_bias": True}, "n_groups": GROUPS, "topk_groups": GROUPS,
    "group_score": GROUPS | {"group_score": "max"}, "group_fill": GROUPS | {"group_fill": "zero"},
    "selection_bias": {"selection_bias": True}, "router_bias": {"router_bias": True}, "gate_on": {"gate_on": "input"},
    "allow_lookahead": {"router": "expert_choice", "allow_lookahead": True, "renorm": False},
    "balance_batches": {"balance_batches": 3}, "qk_norm": {"qk_norm": "head"},
}  # fmt: skip
CASES = [(name, changes) for name, each in COMPUTED.items() for changes in each] + list(IN_TRAINING_ONLY.items())
READ = """
  const model = engine.makeModel(engine.readSafetensors(await bytesOf(given.address)));
  const { routing, logits } = engine.forward(model, given.ids, { logits: "all" });
  return { logits, experts: routing.map((each) => each.experts) };"""


@pytest.fixture(scope="module")
def engine(browser: Driver, tmp_path_factory) -> Iterator[Engine]:
    with opened(browser, tmp_path_factory.mktemp("models")) as engine:
        yield engine


def read(engine: Engine, path: Path, ids: list[int]) -> dict:
    return engine.run(READ, address=engine.address_of(path), ids=ids)


def compare(engine: Engine, path: Path) -> None:
    model = checkpoint.load(path)
    ids = random_ids(1, 20)
    found = read(engine, path, ids[0].tolist())
    with torch.no_grad():
        output = model(ids)
    np.testing.assert_allclose(found["logits"], output.logits.flatten(), atol=1e-4)
    assert len(found["experts"]) == len(output.routing)
    for mine, routing in zip(found["experts"], output.routing, strict=True):
        assert (mine == routing.top_k[1].flatten().numpy()).all()


def test_every_field_is_computed_with_or_refused_and_has_the_packages_usual_value(engine: Engine):
    usual = {field.name: field.default for field in fields(ModelConfig)}
    known = engine.run("return { ...engine.COMPUTED, ...engine.USUAL }")
    in_training = engine.run("return engine.IN_TRAINING_ONLY")
    assert known.keys() | set(in_training) == usual.keys()
    assert set(in_training) == IN_TRAINING_ONLY.keys() and known.keys() == COMPUTED.keys() | REFUSED.keys()
    assert known == {name: usual[name] for name in known}
    assert engine.run("return engine.modelConfig({})") == {name: usual[name] for name in COMPUTED}


@pytest.mark.parametrize(("field", "changes"), CASES)
def test_a_setting_that_the_engine_knows_gives_the_packages_logits(engine: Engine, field: str, changes: dict):
    assert getattr(small_config(**changes), field) != getattr(ModelConfig(), field)
    compare(engine, checkpoint.save(engine.folder / f"{field}.safetensors", small_model(**changes)))


@pytest.mark.parametrize("field", REFUSED)
def test_a_setting_that_the_engine_does_not_know_is_refused_by_its_name(engine: Engine, field: str):
    """Each field alone, and as a file of the package has it, where it may need others."""
    config = small_config(**REFUSED[field])
    value = getattr(config, field)
    assert value != getattr(ModelConfig(), field)
    with pytest.raises(Exception, match=f"The model has {field}="):
        engine.run("engine.modelConfig(given)", **{field: value})
    path = checkpoint.save(engine.folder / f"{field}.safetensors", small_model(**REFUSED[field]))
    with pytest.raises(Exception, match="The model has .*this page computes models with"):
        read(engine, path, [1, 2])


def test_a_setting_that_nobody_knows_and_a_value_that_is_none_are_refused(engine: Engine):
    with pytest.raises(Exception, match="the setting warp, which this page does not know"):
        engine.run("engine.modelConfig({ warp: 9 })")
    for values in ({"d_model": "wide"}, {"renorm": 1}, {"norm_eps": None}):
        with pytest.raises(Exception, match="which is no value of that setting"):
            engine.run("engine.modelConfig(given)", **values)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_both_types_of_numbers_are_read_and_what_a_training_saved_beside_them_is_not(engine: Engine, dtype):
    path = engine.folder / f"{dtype}.safetensors".removeprefix("torch.")
    extra = {"optimizer.step": torch.arange(3), "optimizer.moment": torch.ones(2, dtype=torch.float64)}
    checkpoint.save(path, small_model(), dtype=dtype, extra={"steps": 3}, extra_tensors=extra)
    compare(engine, path)
    script = """
      const { tensors } = engine.readSafetensors(await bytesOf(given.address));
      return Object.entries(tensors).map(([name, { shape, values }]) => [name, shape, values]);"""
    found = engine.run(script, address=engine.address_of(path))
    expected = checkpoint.load(path).state_dict()
    assert {name for name, _, _ in found} == expected.keys()
    for name, shape, values in found:
        assert tuple(shape) == expected[name].shape and (values == expected[name].flatten().numpy()).all()


def other_files(folder: Path) -> Iterator[tuple[bytes, str]]:
    """Bytes that are no checkpoint, and what is said of them."""
    whole = checkpoint.save(folder / "whole.safetensors", small_model()).read_bytes()
    yield b"", "no whole safetensors file"
    yield b"abc", "no whole safetensors file"
    yield b"<!doctype html><title>Not found</title>", "no whole safetensors file"
    yield (3).to_bytes(8, "little") + b"{[}" + b"0" * 20, "header is not JSON"
    yield whole[: len(whole) // 2], "ends inside of .* Was a copy broken off"
    yield whole[:200], "no whole safetensors file"
    save_file({"x": torch.ones(2)}, folder / "foreign.safetensors", metadata={"format": "pt"})
    yield (folder / "foreign.safetensors").read_bytes(), "of another program"
    save_file({"x": torch.ones(2)}, folder / "bare.safetensors")
    yield (folder / "bare.safetensors").read_bytes(), "of another program"
    for header, said in (
        ({"version": 2, "model": {}}, "format version 2"),
        ({"version": 1, "model": {}}, "embed.weight is missing"),
        ({"version": 1, "model": {}, "also": 1}, "embed.weight is missing"),
    ):
        metadata = {"moe-lite": json.dumps(header)}
        save_file({"model.norm.weight": torch.ones(128)}, folder / "version.safetensors", metadata=metadata)
        yield (folder / "version.safetensors").read_bytes(), said.replace("embed.weight is", ".* is")
    metadata = {"moe-lite": json.dumps({"version": 1, "model": {}})}
    for tensor, said in (
        (torch.ones(3), r"norm.weight is 3, expected 128|is missing"),
        (torch.ones(128, dtype=torch.float16), "is F16; this page reads BF16 and F32"),
    ):
        save_file({"model.norm.weight": tensor}, folder / "shape.safetensors", metadata=metadata)
        yield (folder / "shape.safetensors").read_bytes(), said


def test_other_files_are_refused_with_what_they_are(engine: Engine, tmp_path):
    script = "return engine.makeModel(engine.readSafetensors(Uint8Array.from(given.bytes).buffer)).config"
    for content, said in other_files(tmp_path):
        with pytest.raises(Exception, match=said):
            engine.run(script, bytes=list(content))


def test_a_tensor_of_another_shape_is_named(engine: Engine):
    script = """
      const checkpoint = engine.readSafetensors(await bytesOf(given.address));
      checkpoint.tensors["blocks.1.attention.key.weight"].shape = [128, 64];
      engine.makeModel(checkpoint);"""
    with pytest.raises(Exception, match=r"blocks.1.attention.key.weight is 128 × 64, expected 64 × 128"):
        engine.run(script, address=engine.address_of(shipped(8)))
