"""Load statistics and what a model holds and activates (moe_lite/metrics.py)."""

import math

import pytest
import torch
from small import small_config, small_model

from moe_lite.config import dense_twin
from moe_lite.metrics import count_parameters, dead_experts, flops_per_token, load_cv, load_entropy, max_violation

LOADS = torch.tensor([[6, 6, 6, 6], [24, 0, 0, 0], [12, 12, 0, 0], [9, 3, 6, 6]])


def test_coefficient_of_variation_is_the_population_form():
    # deviations of (9, 3, 6, 6) from 6: variance (9 + 9)/4 = 4.5; collapse onto K of 4: sqrt(4/K − 1)
    expected = torch.tensor([0, math.sqrt(3), 1, math.sqrt(4.5) / 6], dtype=torch.float64)
    torch.testing.assert_close(load_cv(LOADS), expected)


def test_violation_is_the_excess_of_the_fullest_expert():
    torch.testing.assert_close(max_violation(LOADS), torch.tensor([0, 3, 1, 0.5], dtype=torch.float64))


def test_entropy_is_one_for_even_and_zero_for_one_expert():
    # halves: log 2 / log 4. (3/8, 1/8, 1/4, 1/4): 0.367811 + 0.259930 + 2 · 0.346574 = 1.320888, over log 4
    expected = torch.tensor([1, 0, 0.5, 0.952820], dtype=torch.float64)
    torch.testing.assert_close(load_entropy(LOADS), expected, atol=1e-5, rtol=0)


def test_expert_is_dead_below_one_percent_of_the_mean():
    # mean 1000: 10 is 1 % and alive, 9 is dead
    assert dead_experts(torch.tensor([[1000, 1000], [1990, 10], [1991, 9], [2000, 0]])).tolist() == [0, 0, 1, 1]


def test_statistics_keep_leading_dimensions():
    for statistic in (load_cv, max_violation, load_entropy, dead_experts):
        torch.testing.assert_close(statistic(LOADS.view(2, 2, 4)), statistic(LOADS).view(2, 2))


# attention: query and out 16 · 16 each, key and value 8 · 16 each; norms 16 each; expert 3 · 12 · 16
ATTENTION, NORMS, EXPERT, VOCABULARY = 2 * 256 + 2 * 128, (2 * 3 + 1) * 16, 3 * 12 * 16, 61 * 16


def test_parameters_by_hand():
    count = count_parameters(small_model(n_shared_experts=1))
    router, experts = 3 * 5 * 16, 3 * 5 * EXPERT
    rest = 3 * (ATTENTION + EXPERT) + NORMS + 2 * VOCABULARY + router  # with the shared expert
    assert (count.router, count.experts) == (router, experts)
    assert count.total == rest + experts
    assert count.active == rest + 3 * 2 * EXPERT  # two experts of five


def test_selection_bias_is_no_parameter():
    plain, biased = (count_parameters(small_model(score="sigmoid", selection_bias=b)) for b in (False, True))
    assert plain == biased


def test_dense_model_activates_everything():
    count = count_parameters(small_model(n_experts=1))
    assert count.total == count.active == 3 * (ATTENTION + EXPERT) + NORMS + 2 * VOCABULARY
    assert (count.router, count.experts) == (0, 0)


@pytest.mark.parametrize("context", [1, 100])
def test_flops_by_hand(context):
    # for each layer attention, two experts, router; then the head. Scores and mix: 16 multiply-adds a key each
    matrices = 3 * (ATTENTION + 2 * EXPERT + 5 * 16) + VOCABULARY
    assert flops_per_token(small_model(), context) == 2 * (matrices + 3 * 2 * 16 * context)


def test_dense_twin_spends_the_same_flops_but_for_the_router():
    sparse, dense = small_model(), small_model(**vars(dense_twin(small_config())))
    assert flops_per_token(sparse, 10) - flops_per_token(dense, 10) == 2 * count_parameters(sparse).router
