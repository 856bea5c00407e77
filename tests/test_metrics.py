"""Load statistics and what a model holds and activates (moe_lite/metrics.py)."""

import math

import pytest
import torch
from small import HOLDS_OTHERWISE, random_ids, small_config, small_model

from moe_lite import ModelConfig
from moe_lite.metrics import (
    budget,
    count,
    count_parameters,
    counted_flops,
    dead_experts,
    expert_width,
    flops_per_token,
    load_cv,
    load_entropy,
    load_statistics,
    max_violation,
)
from moe_lite.model.config import dense_twin

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


def test_all_four_statistics_of_a_load_by_hand():
    found = load_statistics(torch.tensor([6, 2, 0, 0]))
    assert found == pytest.approx((0.5623351446 / math.log(4), 6**0.5 / 2, 2.0, 2)) and isinstance(found.dead, int)


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


@pytest.mark.parametrize(
    "changes",
    [{"n_experts": 1}, {"n_experts": 4}, {"n_shared_experts": 2, "shared_gate": True}]
    + [{"expert": "quick_geglu", "expert_clamp": 7.0, "expert_bias": True}, {"expert": "relu2", "n_shared_experts": 1}]
    + [{"expert": "geglu", "n_shared_experts": 1}]
    + [{"d_latent": 7}]
    + [
        {"n_dense_layers": 1},
        {"n_dense_layers": 2, "d_dense": 21},
        {"n_experts": 1, "n_dense_layers": 1, "d_dense": 9},
    ],
    ids=str,
)
def test_flops_by_formula_are_those_that_pytorch_counts(changes):
    """The formula counts the router's product too, and attention with the whole context for every token."""
    model = small_model(**changes).eval()
    ids = random_ids(2, 12)
    assert counted_flops(lambda: model(ids)) == 24 * flops_per_token(model, 12)


@pytest.mark.parametrize("changes", HOLDS_OTHERWISE, ids=str)
@pytest.mark.parametrize("context", [1, 100])
def test_budget_is_what_the_model_holds_and_costs(changes, context):
    model = small_model(**changes)
    count, parts = count_parameters(model), budget(model.config, context)
    assert parts.total_parameters == count.total
    assert parts.total_flops == flops_per_token(model, context)
    assert parts.parameters.keys() == parts.flops.keys()
    modules = {"embedding": [model.embed], "head": [model.head], "attention": [b.attention for b in model.blocks]}
    for part, holders in modules.items():
        own = [p for holder in holders for p in holder.parameters() if p.dim() > 1 or part == "router"]
        assert parts.parameters[part] == sum(p.numel() for p in own)
    vectors = [p.numel() for name, p in model.named_parameters() if p.dim() == 1 and ".router." not in name]
    assert parts.parameters["norms"] == sum(vectors)
    if model.config.is_dense:
        assert list(parts.flops) == ["embedding", "attention", "feed-forward", "norms", "head"]
    else:
        assert parts.parameters["router"] == count.router
        beside = sum(p.numel() for name, p in model.named_parameters() if ".shared." in name)
        assert parts.parameters["experts"] == count.experts + beside
        dense = [p for name, p in model.named_parameters() if name.split(".")[3:] in (["gate_up"], ["down"])]
        assert parts.parameters.get("feed-forward", 0) == sum(p.numel() for p in dense)


def test_dense_first_layers_by_hand():
    # the first of three layers is as wide as what a token activates, 2 experts of 5; the others have all five
    model = small_model(n_dense_layers=1)
    found = count_parameters(model)
    assert (found.experts, found.router) == (2 * 5 * EXPERT, 2 * 5 * 16)
    assert found.active == 3 * (ATTENTION + 2 * EXPERT) + NORMS + 2 * VOCABULARY + 2 * 5 * 16
    parts = budget(model.config, 1)
    assert list(parts.flops) == ["embedding", "attention", "feed-forward", "router", "experts", "norms", "head"]
    assert (parts.parameters["feed-forward"], parts.flops["experts"]) == (2 * EXPERT, 2 * 2 * 2 * EXPERT)


def test_budget_by_hand():
    parts = budget(small_config(n_experts=1), 100)
    assert parts.parameters == {"embedding": VOCABULARY, "attention": 3 * ATTENTION, "feed-forward": 3 * EXPERT,
                                "norms": NORMS, "head": VOCABULARY}  # fmt: skip
    # 2 for each weight; scores and mix: 2 · 16 multiply-adds for each of 100 tokens in 3 layers; a lookup costs none
    assert parts.flops == {"embedding": 0, "attention": 2 * 3 * (ATTENTION + 2 * 16 * 100),
                           "feed-forward": 2 * 3 * EXPERT, "norms": 0, "head": 2 * VOCABULARY}  # fmt: skip


def test_budget_needs_no_model():
    """Mixtral 8x7B: 46.7 billion parameters, 12.9 of them active (arXiv 2401.04088)."""
    mixtral = ModelConfig(vocab_size=32_000, n_layers=32, d_model=4096, n_heads=32, n_kv_heads=8, d_expert=14_336)
    assert budget(mixtral, 1).total_parameters == 46_702_792_704
    twin = budget(dense_twin(mixtral), 1)
    assert round(twin.total_parameters / 1e9, 1) == 12.9
    router = budget(mixtral, 1).flops["router"]
    assert budget(mixtral, 1).total_flops == twin.total_flops + router


@pytest.mark.parametrize("changes", HOLDS_OTHERWISE + [{"top_k": 5}], ids=str)
def test_counts_from_the_config_are_those_of_the_model(changes):
    model = small_model(**changes)
    found = count_parameters(model)
    assert count(model.config, 12) == (found.total, found.active, flops_per_token(model, 12))


def test_expert_width_by_hand():
    # 120 // (3 + 1) = 30; (3 · 4 · 30 + 8) / (3 · 120)
    assert expert_width(16, 120, 8, 3, 1) == (30, pytest.approx(368 / 360))
    assert expert_width(16, 130, 8, 4, 0)[0] == 32  # rounded down
    assert expert_width(16, 120, 1, 1, 0) == (120, 1.0)  # dense: no router
