"""Finding few of many one after the other is the stable sort, in every corner (moe_lite/model/routing.py)."""

import pytest
import torch
from small import generator, randn

from moe_lite.model.fast import FEW, best_of

INF, NAN = float("inf"), float("nan")


def by_sorting(values: torch.Tensor, k: int) -> list[list[int]]:
    return values.sort(dim=-1, descending=True, stable=True).indices[:, :k].tolist()


def ties(n_tokens: int, n_experts: int) -> torch.Tensor:
    return torch.randint(-1, 2, (n_tokens, n_experts), generator=generator()).float()


@pytest.mark.parametrize("k", [1, 2, 7, FEW, FEW + 1])
@pytest.mark.parametrize("n_tokens", [0, 1, FEW, FEW + 1, 60])
def test_best_are_those_of_a_stable_sort(n_tokens, k):
    for values in (ties(n_tokens, 12), randn(n_tokens, 12), randn(n_tokens, 12).double(), -ties(n_tokens, 12)):
        assert best_of(values, k).tolist() == by_sorting(values, k)


@pytest.mark.parametrize("special", [[-INF], [INF], [NAN], [-INF, NAN, INF], [0.0, -0.0]])
def test_special_numbers_stand_where_the_sort_puts_them(special):
    values = ties(60, 10)
    places = torch.randint(0, 10, (60, 4), generator=generator(1))
    values.scatter_(1, places, torch.tensor(special * 4)[:4].expand(60, 4))
    for k in (1, 2, 3, 6):
        assert best_of(values, k).tolist() == by_sorting(values, k)


def test_no_expert_is_found_twice_where_too_few_are_above_minus_infinity():
    values = torch.full((20, 5), -INF)
    values[:, 3] = 1.0
    assert best_of(values, 3).tolist() == [[3, 0, 1]] * 20


def test_input_stays_as_it_was():
    values = ties(40, 9)
    before = values.clone()
    best_of(values, 3)
    assert torch.equal(values, before)
