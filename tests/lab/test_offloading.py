"""Experts in a file: the same text as from memory, never more of them in memory than fit, every byte counted."""

import pytest
import torch

from moe_lite.checkpoint import CheckpointError, pretrained, shipped
from moe_lite.lab import offloading
from moe_lite.lab.decoding import decoding_speeds
from moe_lite.lab.offloading import WeightFile, decode, experts_of, offloaded
from moe_lite.lessons.expert_cache import LRU, Belady, requests, serve


@pytest.fixture(scope="module")
def prompt() -> torch.Tensor:
    return offloading.prompts(["french"], n=1, length=24)["french"][0]


@pytest.mark.parametrize(("n_experts", "slots"), [(8, 1), (8, 3), (16, 4), (32, 9)])
@pytest.mark.parametrize("cold", [False, True])
def test_the_text_is_that_of_the_model_in_memory(n_experts: int, slots: int, cold: bool, prompt) -> None:
    expected = [int(token) for token, _ in pretrained(n_experts).generate(prompt, 13, temperature=0)]
    model = offloaded(n_experts, slots, cold=cold)
    assert decode(model, prompt, 12).ids == expected[1:]
    for layer in experts_of(model):
        assert len(layer.resident) <= slots


def test_what_is_in_memory_is_what_fits(prompt) -> None:
    model = offloaded(16, 3)
    for _ in model.generate(prompt, 5, temperature=0):
        for layer in experts_of(model):
            assert set(layer.resident) == layer.cache.resident
            assert len(layer.resident) == 3
    assert not any("experts" in name for name, _ in model.named_parameters())


def test_loads_and_bytes_are_those_of_the_cache_on_the_model_s_choices(prompt) -> None:
    model, slots = offloaded(16, 4), 4
    run = decode(model, prompt, 20)
    whole, asked = pretrained(16), [[] for _ in range(4)]
    for _, output in whole.generate(prompt, 21, temperature=0):
        for layer, routing in enumerate(output.routing):
            asked[layer].append(routing.expert_ids.unique().tolist())
    steps = [serve(LRU(slots), of_layer) for of_layer in asked]
    assert run.loaded == sum(len(step.loaded) for of_layer in steps for step in of_layer[1:])
    assert run.needed == 20 * 2 * 4
    one_expert = 2 * 3 * 128 * 64  # bfloat16
    assert run.bytes_read == run.loaded * one_expert
    assert 0 <= run.reading <= run.seconds


def test_another_rule_can_be_given(prompt) -> None:
    asked = [[] for _ in range(4)]
    for _, output in pretrained(8).generate(prompt, 16, temperature=0):
        for layer, routing in enumerate(output.routing):
            asked[layer].append(requests(routing.expert_ids.unique()[None])[0])
    best = decode(offloaded(8, 3, cache=lambda layer: Belady(3, asked[layer])), prompt, 15)
    assert best.loaded < decode(offloaded(8, 3), prompt, 15).loaded


def test_a_file_gives_its_tensors_and_their_rows() -> None:
    file, model = WeightFile(shipped(8)), pretrained(8)
    name = "blocks.2.feed_forward.experts.down"
    stack = model.get_parameter(name)
    assert torch.equal(file.read(f"model.{name}"), stack)
    assert torch.equal(file.read(f"model.{name}", 5), stack[5])
    assert file.bytes_read == 2 * stack.numel() * 9 // 8


def test_wrong_input_is_named(tmp_path) -> None:
    path = tmp_path / "text.safetensors"
    path.write_text("no tensors here, only a sentence")
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        WeightFile(path)
    with pytest.raises(ValueError, match="no experts to leave in a file"):
        offloaded(1, 1)
    with pytest.raises(ValueError, match="has its experts in memory"):
        decode(pretrained(8), torch.zeros(1, 4, dtype=torch.int64), 2)


@pytest.mark.slow
def test_the_command_prints_its_table(capsys) -> None:
    offloading.main(["--experts", "8", "--prompts", "1", "--tokens", "2"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["1", "2", "4", "8"]


def test_decoding_speeds_by_batch() -> None:
    texts = torch.randint(0, 2048, (4, 8), generator=torch.Generator().manual_seed(0))
    speeds = decoding_speeds(pretrained(8), texts, (1, 4), n_tokens=3, rounds=1)
    assert list(speeds) == [1, 4]
    assert all(speed > 0 for speed in speeds.values())
    with pytest.raises(ValueError, match="A batch of 8 needs as many texts; there are 4"):
        decoding_speeds(pretrained(8), texts, (8,))
