"""Lesson 04's steps in the package (moe_lite/lessons/dispatch.py): by hand, and equal to `Experts`."""

import pytest
import torch
from small import randn, small_experts
from torch import Tensor

from moe_lite.lessons.dispatch import combine, dispatch_order, moe_loop, padded_forward, sparse_forward, swiglu_calls
from moe_lite.model.routing import route


def test_order_by_hand_with_an_expert_that_nobody_chose():
    order, counts = dispatch_order(torch.tensor([[2, 0], [0, 3], [2, 3]]), 5)
    assert order.tolist() == [
        1,
        2,
        0,
        4,
        3,
        5,
    ]  # expert 0: places 1, 2; expert 2: 0, 4; expert 3: 3, 5
    assert counts.tolist() == [2, 0, 2, 2, 0]


def test_combine_by_hand():
    # token 0 has places 0 and 1, answered by rows 2 and 0: 0.5 · 30 + 2 · 10; token 1 by rows 1 and 3
    out, order = torch.tensor([[10.0], [20.0], [30.0], [40.0]]), torch.tensor([1, 2, 0, 3])
    y = combine(out, order, torch.tensor([[0.5, 2.0], [1.0, 0.25]]))
    assert y.tolist() == [[0.5 * 30 + 2 * 10], [20 + 0.25 * 40]]


def test_loop_by_hand_calls_each_expert_once_on_its_own_tokens():
    calls = []

    def times(factor: float):
        return lambda rows: calls.append((factor, rows.flatten().tolist())) or factor * rows

    x, ids = torch.tensor([[1.0], [2.0]]), torch.tensor([[0, 2], [2, 0]])
    y = moe_loop(x, torch.tensor([[0.5, 0.25], [0.75, 1.0]]), ids, [times(10), times(100), times(1000)])
    assert y.tolist() == [[0.5 * 10 + 0.25 * 1000], [0.75 * 2000 + 20]]
    assert calls == [(10, [1, 2]), (1000, [1, 2])]


@pytest.mark.parametrize(("n_experts", "k", "n_tokens"), [(2, 1, 5), (4, 2, 1), (5, 2, 33), (8, 3, 20), (64, 1, 9)])
def test_all_ways_equal_the_experts_in_value_and_gradient(n_experts, k, n_tokens):
    experts = small_experts(n_experts, 6, 5, "loop")
    logits = randn(n_tokens, n_experts, seed=2, dtype=torch.float64)

    def results(way) -> list[Tensor]:
        x = randn(n_tokens, 6, seed=1, dtype=torch.float64).requires_grad_()
        z = logits.clone().requires_grad_()
        routing = route(z, k, renorm=False)
        experts.zero_grad()
        y = way(x, routing)
        y.square().sum().backward()
        return [y.detach(), x.grad, z.grad, experts.gate_up.grad.clone(), experts.down.grad.clone()]

    def loop(x, routing):
        return moe_loop(x, *routing.top_k, swiglu_calls(experts.gate_up, experts.down))

    expected = results(experts)
    assert all(tensor.abs().max() > 1e-6 for tensor in expected)
    for way in (
        loop,
        lambda x, routing: sparse_forward(x, *routing.top_k, experts.gate_up, experts.down),
        lambda x, routing: padded_forward(x, *routing.top_k, experts.gate_up, experts.down)[0],
    ):
        torch.testing.assert_close(results(way), expected, atol=1e-10, rtol=1e-10)


def test_padding_computes_as_many_rows_for_every_expert_as_for_the_fullest():
    experts, ids = small_experts(5, 6, 5), torch.tensor([[0, 1], [0, 2], [0, 1]])
    _, n_rows = padded_forward(randn(3, 6, dtype=torch.float64), torch.ones(3, 2), ids, experts.gate_up, experts.down)
    assert n_rows == 5 * 3
