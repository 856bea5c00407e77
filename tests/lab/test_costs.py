"""Time and FLOPs of ways to compute a layer (moe_lite/lab/costs.py)."""

import torch

from moe_lite.lab.costs import compare, random_layer
from moe_lite.lessons.dispatch import moe_loop, sparse_forward, swiglu_calls


def all_on_all(x, weights, expert_ids, gate_up, down):
    combine = torch.zeros(len(x), len(gate_up)).scatter(1, expert_ids, weights)  # (N, E)
    return sum(combine[:, e, None] * call(x) for e, call in enumerate(swiglu_calls(gate_up, down)))


def test_flops_of_a_sparse_way_are_the_dense_ones_and_of_all_experts_more(took):
    ways = {"all": all_on_all, "sorted": sparse_forward}
    ratios, flops = compare(ways, {2: (2, 2), 8: (8, 2)}, n_tokens=256, width=64, rounds=2)
    assert flops == {"all": {2: 1.0, 8: 4.0}, "sorted": {2: 1.0, 8: 1.0}}
    assert {name: [*by_value] for name, by_value in ratios.items()} == {"all": [2, 8], "sorted": [2, 8]}
    assert all(len(timing.seconds) == 2 for by_value in ratios.values() for timing in by_value.values())
    for name, by_value in ratios.items():
        took(f"{name}, 8 experts", [100 * by_value[8].median], "% of a dense network's time")


def test_the_layer_is_the_same_at_every_call_and_its_ways_agree():
    (first, dense), (second, _) = (random_layer(5, 2, n_tokens=40, width=8) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    x, weights, expert_ids, gate_up, down = first
    assert dense[0] is x and dense[1].shape == (2 * 2 * 8, 8) and dense[2].shape == (8, 2 * 8)
    expected = moe_loop(x, weights, expert_ids, swiglu_calls(gate_up, down))
    torch.testing.assert_close(sparse_forward(*first), expected)
    torch.testing.assert_close(all_on_all(*first), expected)
