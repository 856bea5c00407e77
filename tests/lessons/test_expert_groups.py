"""Experts beside each other, on choices whose groups were planted."""

from itertools import combinations

import pytest
import torch
from small import generator

from moe_lite.lessons import expert_groups as groups


def sets(counts: dict[tuple[int, ...], int]) -> torch.Tensor:
    """(N, K): so many tokens with each set of experts."""
    return torch.tensor([chosen for chosen, n in counts.items() for _ in range(n)])


def noise(n: int, n_experts: int, k: int, seed: int, favour: float = 0.0) -> torch.Tensor:
    """(n, k): experts drawn without replacement; with favour, low numbers more often."""
    taste = favour * torch.arange(n_experts, 0, -1) / n_experts
    gumbel = -torch.rand(n, n_experts, generator=generator(seed)).log().neg().log()
    return (gumbel + taste).topk(k).indices


# ---- together --------------------------------------------------------------------------------------------------------


def test_planted_pairs_stand_out_by_as_much_as_was_planted():
    """Every pair of 4 experts 10 times, (0, 1) and (2, 3) 30 times more: even loads, a third instead of a sixth."""
    found = groups.co_activation(sets(dict.fromkeys(combinations(range(4), 2), 10) | {(0, 1): 40, (2, 3): 40}), 4)
    expected = torch.full((4, 4), 0.5, dtype=torch.float64)
    expected[[0, 1, 2, 3], [1, 0, 3, 2]] = 2
    torch.testing.assert_close(found, expected.fill_diagonal_(float("nan")), equal_nan=True)


@pytest.mark.parametrize("k", [2, 3])
def test_uneven_loads_alone_make_no_pair_stand_out(k):
    """Sets as frequent as the product of their experts' weights 4, 3, 2, 1, 1: everything is as expected."""
    weights = torch.tensor([4, 3, 2, 1, 1])
    counts = {chosen: int(weights[list(chosen)].prod()) for chosen in combinations(range(5), k)}
    found = groups.co_activation(sets(counts), 5)
    apart = ~torch.eye(5, dtype=torch.bool)
    torch.testing.assert_close(found[apart], torch.ones(20, dtype=torch.float64))
    chosen = groups.chosen_by(sets(counts), 5)
    independent = (chosen.T @ chosen / len(chosen)) / (chosen.mean(0)[:, None] * chosen.mean(0))
    assert (independent[apart] - 1).abs().max() > 0.1  # a product of shares would see pairs here


def test_pairs_need_two_experts_and_silent_ones_have_none():
    found = groups.co_activation(torch.tensor([[0, 1], [1, 2], [2, 0]]), 4)
    assert found[3].isnan().all() and found[0, 1] == pytest.approx(1)
    with pytest.raises(ValueError, match="two experts per token or more"):
        groups.co_activation(torch.tensor([[0], [1]]), 2)


def test_the_strongest_pair_is_the_one_that_was_planted():
    """Of 4 experts each pair 10 times, (1, 3) 30 times more, (0, 2) 20 times more: loads of 60, 70, 60 and 70."""
    counts = dict.fromkeys(combinations(range(4), 2), 10) | {(1, 3): 40, (0, 2): 30}
    found = groups.strongest_pair(sets(counts)[:, [1, 0]], 4)
    ratio = groups.co_activation(sets(counts), 4)
    assert found == groups.StrongPair((0, 2), pytest.approx(30 / 110), pytest.approx(ratio[0, 2].item()))
    assert found.ratio > ratio[1, 3] > 1, "the busier pair has more tokens, and more are expected of it"
    alone = groups.strongest_pair(torch.tensor([[3, 1]] * 5), 4)
    assert (alone.experts, alone.found) == ((1, 3), 1.0), "experts without tokens are no pair"


# ---- the same tokens, twice ------------------------------------------------------------------------------------------


def test_a_renumbered_copy_overlaps_fully():
    ours, names = noise(300, 8, 2, seed=0, favour=3), torch.randperm(8, generator=generator(1))
    found = groups.overlap(ours, names[ours], 8)
    assert found.share == pytest.approx(1) and torch.equal(found.matching, names)
    assert found.chance.shape == (20,) and found.chance.max() < 0.6


@pytest.mark.parametrize("favour", [0, 3])
def test_noise_overlaps_as_chance_says(favour):
    found = groups.overlap(noise(500, 8, 2, seed=0, favour=favour), noise(500, 8, 2, seed=1, favour=favour), 8, n=50)
    assert abs(found.share - found.chance.mean()) < 4 * found.chance.std()
    assert found.chance.mean() > 2 / 8  # matching picks the best of all numberings
    assert (found.chance.mean() > 0.35) == (favour > 0)  # experts that are busy in both meet more often


def test_half_a_copy_overlaps_half_of_the_way():
    ours = noise(2000, 8, 1, seed=0)
    half = torch.where(torch.arange(2000)[:, None] < 1000, (ours + 3) % 8, noise(2000, 8, 1, seed=2))
    found = groups.overlap(ours, half, 8)
    assert torch.equal(found.matching, (torch.arange(8) + 3) % 8)
    assert found.share == pytest.approx(0.5 + 0.5 / 8, abs=0.02)
    with pytest.raises(ValueError, match=r"of shapes \(2000, 1\) and \(10, 1\)"):
        groups.overlap(ours, half[:10], 8)


def test_saturation_by_hand():
    final = torch.tensor([[[0, 1], [2, 3]], [[0, 1], [2, 3]]])
    earlier = torch.tensor([[[1, 0], [2, 0]], [[4, 5], [0, 3]]])
    assert groups.saturation(earlier, final).tolist() == [0.75, 0.25]
    with pytest.raises(ValueError, match="expected the same tokens"):
        groups.saturation(earlier[:1], final)


# ---- always and never ------------------------------------------------------------------------------------------------


def test_a_planted_committee_is_found():
    """Experts 5 and 2 carry 0.5 + 0.3 of every domain; each domain's own expert has the rest."""
    mass = torch.zeros(3, 6)
    mass[:, 5], mass[:, 2] = 0.5, 0.3
    mass[[0, 1, 2], [0, 1, 3]] = 0.2
    found = groups.committee(mass)
    assert (found.experts, found.even) == ((5, 2), 5) and found.least == pytest.approx(0.8)
    assert groups.committee(mass, 0.81).experts[:2] == (5, 2) and len(groups.committee(mass, 0.81).experts) == 5
    assert groups.committee(mass, 0.5).experts == (5,)


def test_experts_of_one_domain_each_make_no_committee():
    found = groups.committee(torch.eye(4))
    assert len(found.experts) == 4 and found.even == 3  # every domain's one expert is needed
    even = groups.committee(torch.full((2, 10), 0.1))
    assert len(even.experts) == even.even == 7 and even.least == pytest.approx(0.7)


@pytest.mark.parametrize("seed", range(5))
def test_no_smaller_set_than_the_committee_would_do(seed):
    mass = (2 * torch.randn(4, 9, generator=generator(seed))).exp().double()
    mass /= mass.sum(dim=1, keepdim=True)
    found = groups.committee(mass)
    size = len(found.experts)
    least = {k: max(mass[:, list(s)].sum(1).min().item() for s in combinations(range(9), k)) for k in (size - 1, size)}
    assert least[size - 1] < 0.7 <= found.least <= least[size] + 1e-12


def test_shares_and_masses_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="share is 1.2"):
        groups.committee(torch.eye(2), 1.2)
    with pytest.raises(ValueError, match=r"rows sum to \[3.0, 3.0\]"):
        groups.committee(torch.ones(2, 3))


def test_silent_experts_by_hand_and_by_chance():
    assert groups.silent(torch.tensor([[0, 1], [1, 4]]), 8) == (5 / 8, 0.75**2)
    left_out = [groups.silent(noise(6, 8, 2, seed), 8)[0] for seed in range(400)]
    assert sum(left_out) / 400 == pytest.approx(0.75**6, abs=0.02)
