"""Experts that stand on several devices, and what is to be expected at random."""

from collections import Counter
from itertools import combinations

import pytest
import torch
from small import generator

from moe_lite.lessons import traffic


def test_a_token_goes_to_its_own_copy_and_else_to_the_copies_in_turn():
    """Expert 0 stands on devices 0 and 2, expert 1 on 1, expert 2 on 2."""
    experts, held = torch.tensor([[0, 1], [0, 2], [0, 1], [1, 0], [0, 2]]), [[0], [1], [0, 2]]
    homes = torch.tensor([0, 1, 1, 2, 1])
    # tokens 1, 2 and 4 ask for expert 0 from outside: devices 0, 2, 0
    expected = torch.tensor([[0, 1], [0, 2], [2, 1], [1, 2], [0, 2]])
    torch.testing.assert_close(traffic.to_copies(experts, homes, held), expected)


@pytest.mark.parametrize("slots", [2, 3, 5])
def test_what_comes_from_outside_is_shared_out_evenly_over_the_copies(slots):
    experts = torch.rand(600, 8, generator=generator(slots)).argsort(dim=1)[:, :3]  # (N, K)
    homes, load = torch.arange(600) % 4, torch.tensor([9, 1, 4, 1, 5, 1, 2, 6])
    held = traffic.balanced(load, 4, slots).experts
    to = traffic.to_copies(experts, homes, held)
    outside = {e: Counter() for e in range(8)}
    for chosen, home, devices in zip(experts.tolist(), homes.tolist(), to.tolist(), strict=True):
        for e, device in zip(chosen, devices, strict=True):
            assert e in held[device]
            if e in held[home]:
                assert device == home
            else:
                outside[e][device] += 1
    for e, counts in outside.items():
        copies = [device for device in range(4) if e in held[device]]
        assert not counts or max(counts.values()) - min(counts[device] for device in copies) <= 1


def test_without_copies_it_is_the_expert_s_place():
    experts = torch.rand(50, 8, generator=generator(1)).argsort(dim=1)[:, :2]
    places = torch.tensor([3, 0, 1, 2, 2, 1, 0, 3])
    held = [(places == device).nonzero().flatten().tolist() for device in range(4)]
    torch.testing.assert_close(traffic.to_copies(experts, torch.arange(50) % 4, held), places[experts])


def test_an_expert_that_stands_nowhere_is_named():
    with pytest.raises(ValueError, match=r"Expert 2 stands on no device\."):
        traffic.to_copies(torch.tensor([[0, 2]]), torch.tensor([0]), [[0], [1]])
    with pytest.raises(ValueError, match=r"Expert 1 stands on no device\."):
        traffic.to_copies(torch.tensor([[1, 2]]), torch.tensor([0]), [[0], [2]])


@pytest.mark.parametrize(("n_experts", "k", "m"), [(8, 2, 4), (8, 8, 8), (8, 3, 2), (12, 4, 4)])
def test_what_is_expected_at_random_is_the_mean_over_all_sets_of_experts(n_experts, k, m):
    places, homes = traffic.spread(n_experts, m), torch.zeros(1, dtype=torch.int64)
    for once in (True, False):
        counts = [
            traffic.crossing(traffic.sent(torch.tensor([chosen]), homes, places, m, once))
            for chosen in combinations(range(n_experts), k)
        ]
        found = traffic.expected_crossing(k, m, once, n_experts)
        assert found == pytest.approx(sum(counts) / len(counts))


def test_with_many_experts_per_device_it_becomes_the_simple_formula():
    for k, m in ((2, 4), (8, 8)):
        many = traffic.expected_crossing(k, m, n_experts=8000)
        assert many == pytest.approx(traffic.expected_crossing(k, m), rel=1e-3)
        assert traffic.expected_crossing(k, m, n_experts=16) > many, "different experts are on more devices"
