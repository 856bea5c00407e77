"""What is there for speed equals its plain form, in every corner (moe_lite/model/fast.py)."""

import pytest
import torch
from small import generator, randn

from moe_lite.model.experts import swiglu
from moe_lite.model.fast import FEW, REGISTER, best_of, each_expert, one_token, softmax_rows

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


@pytest.mark.parametrize("n_experts", [1, 2, REGISTER - 1, REGISTER, 40])
@pytest.mark.parametrize("n_tokens", [0, 1, REGISTER - 1, REGISTER, 70])
def test_softmax_of_rows_is_softmax(n_tokens, n_experts):
    z = (10 * randn(n_tokens, n_experts)).requires_grad_()
    probe = randn(n_tokens, n_experts, seed=1)
    fast, plain = softmax_rows(z), z.softmax(dim=1)
    torch.testing.assert_close(fast, plain)
    torch.testing.assert_close(*(torch.autograd.grad((y * probe).sum(), z)[0] for y in (fast, plain)))


WIDTHS = {"one call for all": (8, 4), "float32, 12 bytes": (8, 3), "float32, 20 bytes": (5, 4)}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("widths", WIDTHS)
@pytest.mark.parametrize("sizes", [[3, 0, 4], [0, 0, 5], [1, 1, 1], [7, 2, 9], [0, 0, 0]])
def test_each_expert_is_swiglu_of_each_slice_in_value_and_gradient(sizes, widths, dtype):
    d, f = WIDTHS[widths]
    leaves = [randn(*shape, seed=i, dtype=dtype) for i, shape in enumerate([(sum(sizes), d), (3, 2 * f, d), (3, d, f)])]
    rows, gate_up, down = leaves = [leaf.requires_grad_() for leaf in leaves]
    plain = torch.cat([swiglu(*part) for part in zip(rows.split(sizes), gate_up, down, strict=True)])
    fast = each_expert(rows, gate_up, down, torch.tensor(sizes))
    torch.testing.assert_close(fast, plain)
    probe = randn(*plain.shape, seed=3, dtype=dtype)
    found = (torch.autograd.grad((y * probe).sum(), leaves, retain_graph=True) for y in (fast, plain))
    for ours, autograds in zip(*found, strict=True):
        torch.testing.assert_close(ours, autograds)


def test_experts_are_one_call_where_the_library_has_one(monkeypatch):
    """Also without it, as in PyTorch before 2.10, the numbers are the same."""
    calls, real = [], torch.nn.functional.grouped_mm
    monkeypatch.setattr(torch.nn.functional, "grouped_mm", lambda *a, **k: calls.append(1) or real(*a, **k))
    parts = randn(6, 8), randn(3, 8, 8, seed=1), randn(3, 8, 4, seed=2), torch.tensor([2, 3, 1])
    first = each_expert(*parts)
    assert len(calls) == 2
    monkeypatch.delattr(torch.nn.functional, "grouped_mm")
    torch.testing.assert_close(each_expert(*parts), first)


@pytest.mark.parametrize("gate_on", ["output", "input"])
def test_one_token_is_the_weighted_sum_over_its_experts(gate_on):
    x, gate_up, down, weights = randn(1, 4), randn(3, 10, 4, seed=1), randn(3, 4, 5, seed=2), torch.tensor([0.7, 0.2])
    if gate_on == "output":
        plain = sum(w * swiglu(x, gate_up[e], down[e]) for w, e in zip(weights, (0, 2), strict=True))
    else:
        plain = sum(swiglu(w * x, gate_up[e], down[e]) for w, e in zip(weights, (0, 2), strict=True))
    torch.testing.assert_close(one_token(x, gate_up, down, [0, 2], weights, gate_on), plain)
