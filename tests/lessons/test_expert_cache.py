"""Requests for experts and the caches that serve them: by hand, by counting, and against every possible choice."""

import itertools
from functools import cache as memo

import pytest
import torch
from small import small_model

from moe_lite.lessons import expert_cache as cache
from moe_lite.lessons.expert_cache import LFU, LRU, Belady, Favourites, Use, fewest_loads, loads, lru, serve
from moe_lite.lessons.serving import experts_touched


def drawn(seed: int, steps: int = 30, n_experts: int = 6, k: int = 2) -> list[list[int]]:
    g = torch.Generator().manual_seed(seed)
    return [torch.randperm(n_experts, generator=g)[:k].tolist() for _ in range(steps)]


def fewest_by_trying(requests: list[list[int]], slots: int) -> int:
    """Every choice of what makes room."""

    @memo
    def best(step: int, resident: frozenset[int]) -> int:
        if step == len(requests):
            return 0
        needed = frozenset(requests[step])
        missing = needed - resident
        found, room = resident | missing, max(len(resident | missing) - slots, 0)
        options = itertools.combinations(sorted(resident - needed), room)
        return len(missing) + min(best(step + 1, found - set(gone)) for gone in options)

    return best(0, frozenset())


# ---- what is asked for -----------------------------------------------------------------------------------------------


def test_with_even_shares_it_is_the_formula_of_serving() -> None:
    for n_tokens in (1, 2, 7, 40):
        even = torch.full((8,), 2 / 8)
        assert cache.expected_touched(even, n_tokens) == pytest.approx(experts_touched(8, 2, n_tokens))


def test_the_expectation_is_the_mean_of_independent_choices() -> None:
    g = torch.Generator().manual_seed(0)
    weights = torch.tensor([5.0, 1, 1, 0.2, 3, 0])
    draws = torch.stack([torch.multinomial(weights, 2, generator=g) for _ in range(8000)])  # without replacement
    shares = cache.shares(draws, 6)
    assert float(shares.sum()) == pytest.approx(2)
    assert float(shares[5]) == 0
    for n in (1, 2, 5):
        assert cache.expected_touched(shares, n) == pytest.approx(
            float(cache.touched(draws.view(-1, n, 2), 6).double().mean()), abs=0.05
        )


def test_touched_counts_each_expert_once() -> None:
    ids = torch.tensor([[[0, 1], [1, 0], [2, 1]], [[3, 3], [3, 3], [3, 3]]])
    assert cache.touched(ids, 5).tolist() == [3, 1]


def test_one_text_and_many_texts_are_cut_the_right_way() -> None:
    ids = torch.arange(2 * 6 * 5)[:, None].view(2, 6, 5, 1)  # (L, B, T, K)
    one, many = cache.of_one_text(ids, 2), cache.of_many_texts(ids, 3)
    assert one.shape == (2, 6, 2, 2, 1)
    assert one[0, 1, 1].flatten().tolist() == ids[0, 1, 2:4].flatten().tolist()
    assert many.shape == (2, 2, 5, 3, 1)
    assert many[1, 1, 4].flatten().tolist() == ids[1, 3:6, 4].flatten().tolist()


def test_choices_are_those_of_the_model() -> None:
    model = small_model()
    ids = torch.randint(0, model.config.vocab_size, (2, 7), generator=torch.Generator().manual_seed(0))
    found = cache.choices(model.train(), ids)
    assert model.training
    routings = model.eval()(ids).routing
    assert found.shape == (len(routings), 2, 7, model.config.top_k)
    for layer, routing in enumerate(routings):
        assert torch.equal(found[layer].flatten(0, 1), routing.top_k[1])


# ---- what is held ----------------------------------------------------------------------------------------------------


def test_lru_by_hand() -> None:
    assert lru([[0, 1], [1, 2], [3, 1], [0, 3]], 3) == [[0, 1], [2], [3], [0]]
    assert lru([[0, 1], [0, 2], [1, 2]], 2) == [[0, 1], [2], [1]]
    assert lru([[4, 2], [3], [1], [2]], 3) == [[2, 4], [3], [1], [2]]  # 2 and 4 equally long ago: the lower goes
    assert lru([], 2) == []


def test_a_hit_is_used_before_anything_is_loaded() -> None:
    one = LRU(2)
    one.step([3, 5])
    assert one.step([5, 1]) == [Use(5, False, None), Use(1, True, 3)]


def test_a_step_that_needs_more_than_fit_is_served_one_after_the_other() -> None:
    one = LRU(2)
    one.step([0, 1])
    uses = one.step([0, 1, 2, 3])
    assert [use.expert for use in uses] == [0, 1, 2, 3]
    assert [use.loaded for use in uses] == [False, False, True, True]
    assert len(one.resident) == 2


def test_the_rules_differ_as_they_should() -> None:
    asked = [[0], [0], [0], [1], [2], [0], [1], [2]]
    assert loads(serve(LRU(2), asked)) == 6
    assert loads(serve(LFU(2), asked)) == 5  # 0 stays
    load = torch.tensor([1, 5, 9])
    assert serve(Favourites(2, load), [[0], [1], [2], [0]])[-1].resident == [0, 2]


@pytest.mark.parametrize("seed", range(40))
def test_no_rule_loads_less_often_than_belady(seed: int) -> None:
    asked = drawn(seed, steps=14, n_experts=5 + seed % 2, k=1 + seed % 3)
    slots = 3 + seed % 2
    assert fewest_loads(asked, slots) == fewest_by_trying(asked, slots)
    load = torch.bincount(torch.tensor(asked).flatten(), minlength=6)
    for other in (LRU(slots), LFU(slots), Favourites(slots, load)):
        assert loads(serve(other, asked)) >= fewest_loads(asked, slots)


@pytest.mark.parametrize("rule", [LRU, LFU, lambda n: Favourites(n, torch.arange(6)), lambda n: Belady(n, drawn(3))])
def test_no_cache_ever_holds_more_than_fits_or_misses_what_a_step_needs(rule) -> None:
    one = rule(3)
    for needed in drawn(3):
        one.step(needed)
        assert set(needed) <= one.resident
        assert len(one.resident) <= 3


def test_a_cache_without_room_and_a_bound_that_does_not_hold_are_refused() -> None:
    with pytest.raises(ValueError, match="slots is 0, expected at least 1"):
        LRU(0)
    with pytest.raises(ValueError, match="A step needs 3 experts, but 2 fit"):
        fewest_loads([[0, 1, 2]], 2)
