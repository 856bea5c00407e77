"""Balancing losses, z-loss, selection bias, capacity (moe_lite/model/balance.py)."""

import math

import pytest
import torch
from small import randn

from moe_lite.model.balance import (
    drop_over_capacity,
    expert_capacity,
    load_balancing_loss,
    router_z_loss,
    switch_loss,
    update_selection_bias_,
    z_loss,
)
from moe_lite.model.routing import route

# ---- the Switch loss -------------------------------------------------------------------------------------------------


def test_switch_loss_by_hand():
    scores = torch.tensor([[0.6, 0.4], [0.8, 0.2], [0.3, 0.7]])
    # f = (2, 1)/3, P = (1.7, 1.3)/3: 2 · (2 · 1.7 + 1 · 1.3)/9 = 9.4/9
    loss = load_balancing_loss(scores, torch.tensor([[0], [0], [1]]))
    torch.testing.assert_close(loss, torch.tensor(9.4 / 9))


def test_switch_loss_with_two_experts_a_token_by_hand():
    scores = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3]])
    expert_ids = torch.tensor([[0, 1], [1, 2]])
    # counts (1, 2, 1); P = (0.3, 0.45, 0.25). Of N·K = 4: 3 · (0.3 + 0.9 + 0.25)/4. Of N = 2: twice that
    torch.testing.assert_close(load_balancing_loss(scores, expert_ids), torch.tensor(3 * 1.45 / 4))
    torch.testing.assert_close(load_balancing_loss(scores, expert_ids, count="per_token"), torch.tensor(3 * 1.45 / 2))


@pytest.mark.parametrize(("n_experts", "k"), [(4, 1), (8, 2), (8, 8), (5, 3)])
def test_uniform_scores_give_one_or_k_whatever_is_chosen(n_experts, k):
    scores = torch.full((10, n_experts), 1 / n_experts)
    expert_ids = torch.arange(k).expand(10, k)
    torch.testing.assert_close(load_balancing_loss(scores, expert_ids), torch.tensor(1.0))
    per_token = load_balancing_loss(scores, expert_ids, count="per_token")
    torch.testing.assert_close(per_token, torch.tensor(float(k)))


def test_collapse_onto_one_expert_gives_the_number_of_experts():
    scores = torch.tensor([[1.0, 0, 0, 0]]).expand(6, 4)
    torch.testing.assert_close(load_balancing_loss(scores, torch.zeros(6, 1, dtype=torch.int64)), torch.tensor(4.0))


def test_switch_loss_has_no_lower_bound_at_one():
    # f = (3, 2)/5, P = (3 · 0.51, 3 · 0.49 + 2)/5 = (0.306, 0.694): 2 · (0.6 · 0.306 + 0.4 · 0.694) = 0.9224
    scores = torch.tensor([[0.51, 0.49]] * 3 + [[0.0, 1.0]] * 2)
    loss = load_balancing_loss(scores, scores.argmax(dim=1, keepdim=True))
    torch.testing.assert_close(loss, torch.tensor(0.9224))


def test_gradient_comes_through_the_mean_scores_alone():
    scores = torch.tensor([[0.6, 0.4], [0.8, 0.2], [0.3, 0.7]], requires_grad=True)
    load_balancing_loss(scores, torch.tensor([[0], [0], [1]])).backward()
    # d/ds[n, i] = E · f_i / N: 2 · (2/3, 1/3)/3, the same for every token
    torch.testing.assert_close(scores.grad, torch.tensor([[4 / 9, 2 / 9]] * 3))


def test_unknown_count_is_refused():
    with pytest.raises(ValueError, match="count is 'per_layer', expected 'per_assignment' or 'per_token'"):
        load_balancing_loss(torch.ones(1, 2), torch.zeros(1, 1, dtype=torch.int64), count="per_layer")


# ---- z-loss and both together ----------------------------------------------------------------------------------------


def test_z_loss_by_hand():
    # log(1 + 1) and log(3 + 1): (0.480453 + 1.921812)/2
    logits = torch.tensor([[0.0, 0.0], [math.log(3), 0.0]])
    torch.testing.assert_close(router_z_loss(logits), torch.tensor((math.log(2) ** 2 + math.log(4) ** 2) / 2))


def test_z_loss_of_huge_logits_is_finite():
    torch.testing.assert_close(router_z_loss(torch.tensor([[300.0, 0.0]])), torch.tensor(300.0**2))


@pytest.mark.parametrize("score", ["softmax", "sigmoid"])
def test_padding_counts_as_if_its_rows_were_not_there(score):
    logits, mask = randn(12, 5), torch.arange(12) % 3 != 1
    padded, short, whole = route(logits, 2, score=score, token_mask=mask), logits[mask], route(logits, 2, score=score)
    rows = (padded, route(short, 2, score=score), whole)
    padded, dropped, everything = ((switch_loss([routing]), z_loss([routing])) for routing in rows)
    torch.testing.assert_close(padded, dropped)
    assert all((a - b).abs() > 1e-3 for a, b in zip(padded, everything, strict=True))


def test_sigmoid_scores_are_divided_by_their_sum_before_balancing():
    logits = randn(12, 5)
    scores = logits.sigmoid()
    routing = route(logits, 2, score="sigmoid")
    expected = load_balancing_loss(scores / scores.sum(dim=1, keepdim=True), routing.top_k[1])
    torch.testing.assert_close(switch_loss([routing]), expected)


def test_dropped_assignments_still_count_for_balancing():
    routing = route(randn(12, 5), 2)
    torch.testing.assert_close(switch_loss([drop_over_capacity(routing, 1)]), switch_loss([routing]))


# ---- selection bias --------------------------------------------------------------------------------------------------


def test_bias_moves_by_one_step_against_the_load():
    bias = torch.tensor([0.5, 0.0, 0.0, -0.5])
    result = update_selection_bias_(bias, torch.tensor([10, 2, 6, 6]), 0.001)  # mean 6
    assert result is bias
    torch.testing.assert_close(bias, torch.tensor([0.499, 0.001, 0.0, -0.5]))


def test_bias_rule_evens_out_a_skewed_router():
    logits = randn(400, 6) + torch.tensor([2.0, 1.0, 0.0, 0.0, -1.0, -2.0])
    bias = torch.zeros(6)
    before = route(logits, 2, score="sigmoid", bias=bias).load
    for _ in range(300):
        update_selection_bias_(bias, route(logits, 2, score="sigmoid", bias=bias).load, 0.01)
    after = route(logits, 2, score="sigmoid", bias=bias).load
    fair = 400 * 2 / 6
    assert (before - fair).abs().max() > 150 and (after - fair).abs().max() < 15


# ---- capacity --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n_tokens", "k", "n_experts", "factor", "expected"),
    [
        (8, 2, 4, 1.0, 4),
        (8, 2, 4, 1.25, 5),
        (7, 1, 2, 1.0, 4),  # 3.5, rounded up
        (100, 1, 10, 1.1, 11),  # 1.1 · 100 / 10 is 11.000000000000002 in floating point
        (3, 1, 8, 1.0, 1),
    ],
)
def test_capacity_is_the_factor_times_the_fair_share_rounded_up(n_tokens, k, n_experts, factor, expected):
    assert expert_capacity(n_tokens, k, n_experts, factor) == expected


def test_the_first_tokens_of_each_expert_find_room():
    # experts of the tokens: 0, 1, 0, 0, 1, 2, 0
    logits = torch.eye(3)[[0, 1, 0, 0, 1, 2, 0]]
    routing = drop_over_capacity(route(logits, 1), 2)
    assert routing.token_ids.tolist() == [0, 2, 3, 6, 1, 4, 5]
    assert routing.kept.tolist() == [True, True, False, False, True, True, True]
    assert routing.load.tolist() == [4, 2, 1] and routing.load_kept.tolist() == [2, 2, 1]


@pytest.mark.parametrize(("capacity", "kept"), [(0, 0), (1, 5), (12, 24), (1000, 24)])
def test_no_expert_keeps_more_than_the_capacity(capacity, kept):
    logits = randn(12, 5)
    assert route(logits, 2).load.min() >= 1 and route(logits, 2).load.max() <= 12
    routing = drop_over_capacity(route(logits, 2), capacity)
    assert routing.load_kept.max() <= capacity and int(routing.kept.sum()) == kept


def test_dropping_leaves_the_routing_passed_in_as_it_was():
    routing = route(randn(12, 5), 2)
    combine = routing.combine
    dropped = drop_over_capacity(routing, 1)
    assert routing.kept.all() and torch.equal(routing.combine, combine)
    assert not torch.equal(dropped.combine, combine) and not torch.equal(dropped.load_kept, routing.load_kept)


def test_later_tokens_change_nothing_for_earlier_ones():
    logits = randn(20, 4)
    changed = torch.cat([logits[:12], randn(8, 4, seed=5)])
    a, b = (drop_over_capacity(route(z, 2), 4).combine[:12] for z in (logits, changed))
    assert torch.equal(a, b) and (a == 0).all(dim=1).any()  # some tokens are dropped altogether


def test_padding_takes_no_room():
    logits, mask = torch.eye(2)[[0, 0, 0, 1, 0]], torch.tensor([True, False, False, True, True])
    routing = drop_over_capacity(route(logits, 1, token_mask=mask), 2)
    without = drop_over_capacity(route(logits[mask], 1), 2)
    assert routing.combine[mask].tolist() == without.combine.tolist() == [[1, 0], [0, 1], [1, 0]]
    assert routing.load.tolist() == routing.load_kept.tolist() == [2, 1]
