"""Lesson 09's references: equal to the package's routers and to the library that they speak of."""

import pytest
import torch
from transformers import OpenAIPrivacyFilterConfig
from transformers.models.openai_privacy_filter.modeling_openai_privacy_filter import OpenAIPrivacyFilterTopKRouter

from moe_lite.checks.engine import sweep
from moe_lite.checks.engine.grade import grade
from moe_lite.checks.lesson09.compete_with_shared import reference as compete
from moe_lite.checks.lesson09.from_words import (
    D_MODEL,
    N_TOKENS,
    random as random_parameters,
    reference as described,
    shares,
)
from moe_lite.checks.registry import exercises
from moe_lite.families import names, preset
from moe_lite.model.config import ModelConfig
from moe_lite.model.routing import route
from moe_lite.model.transformer import build_router


def trials(id: str) -> list:
    return [trial for case in exercises()[id].cases() for trial in case.trials]


def test_cut_experts_hold_and_use_as_much_as_before():
    for trial in trials("9.1"):
        config, parts, shared = trial.args
        new = exercises()["9.1"].reference(*trial.args)
        assert (new.n_experts + new.n_shared_experts) * new.d_expert == config.n_experts * config.d_expert
        assert (new.top_k + new.n_shared_experts) * new.d_expert == config.top_k * config.d_expert
        assert new.d_expert * parts == config.d_expert and new.n_shared_experts == shared


def test_no_more_groups_are_open_than_there_are_and_they_hold_enough_experts():
    swept = [case.trials[0] for case in sweep.cases(exercises()["9.3"])]
    for trial in trials("9.3") + swept:
        values, k, n_groups, topk_groups = trial.args
        assert 1 <= topk_groups <= n_groups and values.shape[1] % n_groups == 0, trial.note
        assert values.shape[1] // n_groups >= 2 and 1 <= k <= topk_groups * values.shape[1] // n_groups, trial.note


def test_the_packages_groups_pass():
    """`route` chooses by score + bias, so the values come as a bias, beside scores that are all 0."""

    def group_limited_top_k(values, k, n_groups, topk_groups):
        logits = torch.full_like(values, float("-inf"))  # their sigmoid is 0, so score + bias is the value itself
        routing = route(
            logits, k, score="sigmoid", bias=values, n_groups=n_groups, topk_groups=topk_groups, group_score="top2sum"
        )
        chosen = routing.expert_ids[routing.token_ids.argsort(stable=True)].view(-1, k)  # (N, k) by number
        return chosen.gather(1, (-values.gather(1, chosen)).argsort(dim=1, stable=True))

    result = grade(exercises()["9.3"], group_limited_top_k)
    assert result.status == "pass", f"{result}: {result.mistake}"


def test_the_router_that_is_described_is_the_one_of_transformers():
    for trial in trials("9.4"):
        n_experts, top_k = trial.args
        sizes = {"hidden_size": D_MODEL, "num_local_experts": n_experts, "num_experts_per_tok": top_k}
        theirs = OpenAIPrivacyFilterTopKRouter(OpenAIPrivacyFilterConfig(**sizes))
        with torch.no_grad():
            theirs.weight.copy_(random_parameters("weight", n_experts, D_MODEL))
            theirs.bias.copy_(random_parameters("logit_bias", n_experts))
            x = random_parameters("tokens", N_TOKENS, D_MODEL)
            _, weights, expert_ids = theirs(x)
        expected = torch.zeros(len(x), n_experts).scatter(1, expert_ids, weights)
        torch.testing.assert_close(shares(described(n_experts, top_k)), expected)


KINDS = (
    ModelConfig(router="noisy_top_k"),
    ModelConfig(router="expert_choice", allow_lookahead=True, renorm=False),
    ModelConfig(router="hash"),
    ModelConfig(router="sparse_mixer", renorm=False, jitter=0.01),
    ModelConfig(router="normed"),
    ModelConfig(router="competing_shared", n_shared_experts=2, score="sigmoid"),
    ModelConfig(router="mlp"),
    ModelConfig(n_zero_experts=3),
    ModelConfig(n_experts=1),
    ModelConfig(jitter=0.1),
    ModelConfig(n_experts=10**9),
    ModelConfig(d_model=8),
    ModelConfig(top_k=1, renorm=False),
)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:ModelConfig")
def test_any_config_is_told_apart_without_an_error():
    for config in (*map(preset, names()), *KINDS):
        if config.n_experts < 10**9:
            found = shares(config)
            table = found[:N_TOKENS]  # beside one more row, where other settings have changed
            assert found.dim() == 3 or table.shape == (N_TOKENS, config.n_experts) and table.isfinite().all()
        result = grade(exercises()["9.4"], lambda n_experts, top_k, config=config: config)
        assert result.status == "not yet" and result.mistake.title and result.mistake.sentence


def test_weights_compete_as_in_the_packages_router():
    config = ModelConfig(
        n_experts=9, top_k=3, router="competing_shared", n_shared_experts=2, score="sigmoid", selection_bias=True
    )
    router, g = build_router(config), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in (router.weight, router.shared_weight, router.bias):
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=g))
        x = torch.randn(20, config.d_model, generator=g)
        routing = router(x)
        weights, expert_ids, shared = compete(x @ router.weight.T, x @ router.shared_weight.T, router.bias, 3)
    torch.testing.assert_close(routing.shared_weights, shared)
    torch.testing.assert_close(routing.combine, torch.zeros(20, 9).scatter(1, expert_ids, weights))
