"""Arithmetic of serving, held by cases that can be worked out by hand, and by counting."""

import math

import pytest
import torch

from moe_lite.lessons import serving
from moe_lite.lessons.serving import Footprint, Machine, Sizes

# weights: 100 common bytes, 8 experts of 10, two per token; 5 bytes of cache per text; 200 + 2 · 20 FLOPs per token
MODEL = Footprint(
    common_bytes=100, expert_bytes=10, cache_bytes=5, common_flops=200, expert_flops=20, n_experts=8, top_k=2
)
MACHINE = Machine(memory=1000, bandwidth=100, flops=1000)


def test_a_model_keeps_all_its_experts_and_computes_with_the_chosen_ones() -> None:
    assert (MODEL.weights_bytes, MODEL.flops) == (180, 240)


def test_memory_by_hand() -> None:
    model = Sizes(total=64, active=16, cached=3)
    assert serving.memory_bytes(model, 16, 32, context=10, batch=2) == 128 + 120
    assert serving.memory_bytes(model, 32, 32, context=10, batch=2) == 256 + 120
    assert serving.memory_bytes(model, 8, 32, context=10, batch=2) == 64 + 4 + 120  # two scales of two bytes
    assert serving.memory_bytes(model, 4, 16, context=1, batch=1) == 32 + 8 + 6
    assert serving.memory_bytes(Sizes(65, 1, 1), 8, 32, 1, 1) == 65 + 6 + 2  # a third group, begun


@pytest.mark.parametrize(("n_experts", "top_k"), [(8, 2), (16, 4), (5, 1), (4, 4)])
def test_experts_touched_is_the_average_of_random_choices(n_experts: int, top_k: int) -> None:
    draws = torch.rand(4000, 6, n_experts, generator=torch.Generator().manual_seed(0)).topk(top_k).indices
    for n_tokens in (1, 2, 6):
        touched = [len(choices[:n_tokens].unique()) for choices in draws]
        assert serving.experts_touched(n_experts, top_k, n_tokens) == pytest.approx(sum(touched) / 4000, abs=0.06)


def test_a_dense_model_touches_no_expert() -> None:
    assert serving.experts_touched(0, 0, 8) == 0


def test_a_step_reads_weights_once_and_every_text_s_cache() -> None:
    one = serving.step(MODEL, MACHINE, 1)
    assert (one.bytes_common, one.bytes_experts, one.bytes_cache, one.flops) == (100, 20, 5, 240)
    assert (one.moving, one.computing, one.seconds, one.bound) == (1.25, 0.24, 1.25, "bandwidth")
    many = serving.step(MODEL, MACHINE, 16)
    assert many.bytes == pytest.approx(100 + 10 * serving.experts_touched(8, 2, 16) + 80)
    assert many.seconds == many.computing == pytest.approx(3.84)
    assert many.bound == "arithmetic"
    assert serving.tokens_per_second(MODEL, MACHINE, 16) == pytest.approx(16 / 3.84)


def test_a_mixture_is_never_faster_than_the_dense_model_of_its_active_size_nor_slower_than_that_of_its_whole_size() -> (
    None
):
    for batch in (1, 2, 3, 8, 64, 4096):
        active, mixture, whole = (
            serving.tokens_per_second(model, MACHINE, batch) for model in (MODEL.as_dense(2), MODEL, MODEL.as_dense(8))
        )
        assert active >= mixture * (1 - 1e-12)
        assert mixture >= whole * (1 - 1e-12)


def test_as_dense_with_all_experts_keeps_the_weights() -> None:
    assert MODEL.as_dense(8).weights_bytes == MODEL.weights_bytes
    assert MODEL.as_dense(2).flops == MODEL.flops


def test_what_fits() -> None:
    assert serving.largest_batch(MODEL, MACHINE) == 144  # 900 − 180 bytes, 5 for each text
    assert serving.largest_batch(MODEL, Machine(150, 1, 1)) == 0
    assert serving.machines_needed(180, Machine(100, 1, 1)) == 2
    assert serving.machines_needed(181, Machine(100, 1, 1)) == 3
    assert MACHINE.times(3) == Machine(3000, 300, 3000)


def test_price_and_break_even_agree() -> None:
    assert serving.price_per_million(3.6, 1000) == pytest.approx(1.0)
    assert serving.price_per_million(3.6, 1000, utilisation=0.25) == pytest.approx(4.0)
    u = serving.break_even(3.6, 1000, api_price=2.5)
    assert u == pytest.approx(0.4)
    assert serving.price_per_million(3.6, 1000, u) == pytest.approx(2.5)
    assert serving.break_even(3.6, 1000, api_price=1.0) == pytest.approx(1.0)
    assert serving.break_even(3.6, 1000, api_price=0.99) == math.inf


def test_a_plan_pays_for_idle_machines_and_sends_the_rest_to_the_api() -> None:
    found = serving.plan([1.0, 3.0], machines=1, dollars_per_hour=2.0, capacity=2.0, api_price=4.0)
    assert found == (1, 2.0 + 0.5 * 4.0, 2.0, 0.25)
    assert serving.plan([1.0, 3.0], 0, 2.0, 2.0, 4.0).dollars_per_hour == pytest.approx(8.0)
    assert serving.plan([1.0, 3.0], 2, 2.0, 2.0, 4.0) == (2, 4.0, 4.0, 0.0)
