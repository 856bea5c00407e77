"""Rules that balance without a loss, or with one of several batches: arithmetic, causality, a planted skew."""

import math
from dataclasses import replace

import pytest
import torch
from small import randn, random_ids, small_corpora, small_model

from moe_lite import ModelConfig, TrainConfig
from moe_lite.metrics import load_cv
from moe_lite.model.balance import (
    load_balancing_loss,
    move_threshold_,
    quantile_bias_,
    remember_load_,
    soft_bias_step_,
    switch_loss,
    update_selection_bias_,
)
from moe_lite.model.routers import ExpertThresholdRouter
from moe_lite.model.routing import route
from moe_lite.train import train

# ---- SMEBU -----------------------------------------------------------------------------------------------------------


def test_soft_bias_step_by_hand():
    bias, momentum, load = torch.zeros(4), torch.zeros(4), torch.tensor([6, 2, 4, 4])
    # v = (−0.5, 0.5, 0, 0), d = 0.1 · tanh(2v) = 0.1 · (−tanh 1, tanh 1, 0, 0), its mean 0; half of it is added
    d = 0.1 * math.tanh(1)
    soft_bias_step_(bias, momentum, load, 0.1)
    torch.testing.assert_close(bias, torch.tensor([-d / 2, d / 2, 0, 0]))
    # now the momentum is half of d/2 plus half of d, 3d/4, on top of d/2
    soft_bias_step_(bias, momentum, load, 0.1)
    torch.testing.assert_close(bias, torch.tensor([-5 * d / 4, 5 * d / 4, 0, 0]))


def test_soft_bias_steps_sum_to_zero_where_those_by_sign_do_not():
    load = torch.tensor([9, 1, 1, 1])  # v = (−2, 2/3, 2/3, 2/3)
    soft, sign = soft_bias_step_(torch.zeros(4), torch.zeros(4), load, 0.1), torch.zeros(4)
    assert soft.sum().abs() < 1e-7 and update_selection_bias_(sign, load, 0.1).sum() > 0.19
    # d = 0.1 · (−tanh 4, tanh 4/3 three times), less its mean, halved
    d = torch.tensor([-math.tanh(4), *[math.tanh(4 / 3)] * 3]) * 0.1
    torch.testing.assert_close(soft, (d - d.mean()) / 2)


def test_soft_bias_step_shrinks_near_balance_and_the_momentum_outlives_it():
    steps = [
        soft_bias_step_(torch.zeros(2), torch.zeros(2), torch.tensor(load), 0.1, keep=0.0)[1].item()
        for load in ([100, 100], [101, 99], [110, 90], [200, 0])
    ]
    # 0.1 · tanh(2v) for v = 0, 0.01, 0.1, 1
    assert steps == pytest.approx([0, 0.1 * math.tanh(0.02), 0.1 * math.tanh(0.2), 0.1 * math.tanh(2)], rel=1e-4)
    bias, momentum = torch.zeros(2), torch.tensor([-0.08, 0.08])
    soft_bias_step_(bias, momentum, torch.tensor([5, 5]), 0.1)
    torch.testing.assert_close(bias, torch.tensor([-0.04, 0.04]))


# ---- quantile balancing ----------------------------------------------------------------------------------------------


def test_quantile_bias_by_hand():
    scores = torch.tensor([[0.9, 0.3], [0.8, 0.6], [0.7, 0.1], [0.6, 0.5]])  # all four prefer expert 0
    # the 2nd best are 0.3, 0.6, 0.1, 0.5; expert 0 leads by 0.6, 0.2, 0.6, 0.1, expert 1 by 0
    # 2 tokens are the fair share: halfway between 0.6 and 0.2, so −0.4 and 0; less their mean −0.2
    bias = quantile_bias_(torch.zeros(2), scores, 1)
    torch.testing.assert_close(bias, torch.tensor([-0.2, 0.2]))
    assert route(scores.logit(), 1, score="sigmoid", bias=bias).load.tolist() == [2, 2]


def test_quantile_bias_keeps_a_share_of_the_old_one_and_starts_from_it():
    scores = torch.tensor([[0.9, 0.3], [0.8, 0.6], [0.7, 0.1], [0.6, 0.5]])
    # with (−0.2, 0.2) the 2nd best are 0.5, 0.6, 0.3, 0.4: expert 0 leads by 0.4, 0.2, 0.4, 0.2, halfway 0.3;
    # expert 1 by −0.2, 0, −0.2, 0.1, sorted 0.1, 0, −0.2, −0.2: halfway −0.1. (−0.3, 0.1) less −0.1 is (−0.2, 0.2)
    fixed = quantile_bias_(torch.tensor([-0.2, 0.2]), scores, 1)
    torch.testing.assert_close(fixed, torch.tensor([-0.2, 0.2]))
    kept = quantile_bias_(torch.zeros(2), scores, 1, keep=0.75)
    torch.testing.assert_close(kept, torch.tensor([-0.05, 0.05]))


def test_quantile_bias_evens_out_a_batch_in_a_few_rounds_without_a_step_size():
    scores = (randn(512, 16).float() + torch.linspace(-2, 2, 16)).sigmoid()
    bias, cvs = torch.zeros(16), []
    for _ in range(12):
        cvs.append(load_cv(route(scores.logit(), 2, score="sigmoid", bias=bias).load).item())
        quantile_bias_(bias, scores, 2)
    assert cvs[0] > 1.2 and cvs[1] < 0.6 * cvs[0] and cvs[-1] < 0.05
    assert bias.mean().abs() < 1e-6


def test_quantile_bias_with_nothing_to_choose_stands_still():
    assert quantile_bias_(torch.tensor([0.1, -0.1]), randn(6, 2).float(), 2).tolist() == pytest.approx([0.1, -0.1])


# ---- expert threshold ------------------------------------------------------------------------------------------------


def threshold_router(thresholds=(0.5, 0.0, -1.0), **changes):
    """One feature per expert and unit weights: the logits are the input."""
    settings = {"threshold_memory": 0.5, "threshold_warmup": 1, "score": "sigmoid", "renorm": False}
    router = ExpertThresholdRouter(3, 3, 1, **(settings | changes))
    with torch.no_grad():
        router.weight.copy_(torch.eye(3))
    router.threshold.copy_(torch.tensor(thresholds))
    return router.eval()


def test_a_token_goes_to_every_expert_whose_threshold_it_passes():
    logits = torch.tensor([[1.0, 0.2, 0.0], [0.4, -0.1, -2.0], [0.5, 0.1, -1.0]])
    routing = threshold_router()(logits)
    # 1.0 > 0.5, 0.2 > 0, 0 > −1; nothing; 0.1 > 0 alone: at the threshold is not above it
    assert list(zip(routing.expert_ids.tolist(), routing.token_ids.tolist(), strict=True)) == [
        (0, 0), (1, 0), (1, 2), (2, 0)
    ]  # fmt: skip
    assert routing.per_token.tolist() == [3, 0, 1] and routing.load.tolist() == [1, 2, 1]
    torch.testing.assert_close(routing.weights, torch.tensor([1.0, 0.2, 0.1, 0.0]).sigmoid())


def test_thresholds_by_hand():
    # 6 tokens, 3 experts, K = 1: the fair share is 2, so the second highest of each column
    logits = torch.tensor([[0.1, 5.0, 0], [0.9, 4.0, 0], [0.5, 3.0, 0], [0.7, 2.0, 0], [0.3, 1.0, 0], [0.2, 0.0, 7]])
    torch.testing.assert_close(move_threshold_(torch.zeros(3), logits, 1, 1.0), torch.tensor([0.7, 4.0, 0.0]))
    torch.testing.assert_close(move_threshold_(torch.ones(3), logits, 1, 0.25), torch.tensor([0.925, 1.75, 0.75]))
    router = threshold_router((9.0, 9.0, 9.0))
    router.move(logits)  # the first batch counts alone, whatever stood there
    torch.testing.assert_close(router.threshold, torch.tensor([0.7, 4.0, 0.0]))
    router.move(logits + 1)  # weights 1/3 and 2/3: 0.5 · 0.5 and 0.5, divided by their sum 0.75
    torch.testing.assert_close(router.threshold, torch.tensor([0.7, 4.0, 0.0]) + 2 / 3)
    assert router.batches == 2


def test_while_training_begins_experts_take_the_fair_share_of_the_batch():
    router, x = threshold_router(threshold_warmup=2).train(), randn(2, 6, 3).float()
    routing = router(x)
    assert routing.load.tolist() == [4, 4, 4] and routing.batch_shape == (2, 6)
    router.move(routing.logits.detach())
    assert router(x).load.tolist() == [4, 4, 4]
    router.move(routing.logits.detach())
    assert router(x).load.tolist() == [3, 3, 3]  # above the threshold: the token that sets it is not
    mask = torch.arange(6) < torch.tensor([[6], [3]])
    padded = threshold_router(threshold_warmup=2).train()(x, token_mask=mask)
    assert padded.load.tolist() == [3, 3, 3]  # 9 tokens are real


@pytest.mark.parametrize("training", [True, False])
def test_a_later_token_changes_no_earlier_ones_experts_once_thresholds_stand(training):
    model = small_model(router="expert_threshold", score="sigmoid", renorm=False, threshold_warmup=1)
    ids, other = random_ids(2, 20), random_ids(2, 20, seed=1)
    changed = torch.cat([ids[:, :12], other[:, 12:]], dim=1)

    def differs():
        with torch.no_grad():
            first, second = model(ids), model(changed)
        same_experts = all(
            torch.equal(a.combine.view(2, 20, -1)[:, :12] > 0, b.combine.view(2, 20, -1)[:, :12] > 0)
            for a, b in zip(first.routing, second.routing, strict=True)
        )
        return not same_experts or not torch.equal(first.logits[:, :12], second.logits[:, :12])

    assert (
        model.train() and differs()
    )  # the first batch of a training has no thresholds: experts choose, and look ahead
    for layer, routing in zip(model.moe_layers, model(ids).routing, strict=True):
        layer.router.move(routing.logits.detach())
    model.train(training)
    assert not differs()


def test_a_model_with_thresholds_generates_what_the_whole_text_says():
    model = small_model(router="expert_threshold", score="sigmoid", renorm=False).eval()
    ids = random_ids(1, 6)
    for layer, routing in zip(model.moe_layers, model(ids).routing, strict=True):
        layer.router.move(routing.logits.detach())
    made = torch.stack([token for token, _ in model.generate(ids, 8, temperature=0)], dim=1)  # (1, 8)
    whole = model(torch.cat([ids, made], dim=1)).logits.argmax(dim=-1)  # (1, 14)
    assert torch.equal(whole[:, 5:13], made)


def test_tokens_without_an_expert_pass_through_and_the_loss_stays_finite():
    model = small_model(router="expert_threshold", score="sigmoid", renorm=False).eval()
    for layer in model.moe_layers:
        layer.router.threshold.fill_(1e9)
    ids = random_ids(2, 8)
    output = model(ids, ids)
    assert all(len(routing.token_ids) == 0 for routing in output.routing)
    assert output.loss.isfinite() and output.balance_loss == 0


def test_another_number_of_experts_is_refused_and_float32_stays():
    model = small_model(router="expert_threshold", score="sigmoid", renorm=False)
    with pytest.raises(ValueError, match="top_k is 3, but the thresholds of router='expert_threshold' let 2 pass"):
        model(random_ids(1, 4), top_k=3)
    model.moe_layers[0].router.threshold.fill_(1 / 3)
    router = model.to(torch.bfloat16).moe_layers[0].router
    assert router.threshold.dtype == torch.float32 and router.threshold[0] == torch.tensor(1 / 3)
    assert router.batches.dtype == torch.int64


# ---- the Switch loss over several batches ----------------------------------------------------------------------------


def test_switch_loss_counts_earlier_batches_by_hand():
    scores = torch.tensor([[0.6, 0.4], [0.8, 0.2], [0.3, 0.7]])
    routing = route(scores.log(), 1, renorm=False)  # experts 0, 0, 1
    # alone f = (2, 1)/3; with (1, 6) before (3, 7)/10. P = (1.7, 1.3)/3: 2 · (3 · 1.7 + 7 · 1.3)/30 = 28.4/30
    alone = load_balancing_loss(scores, torch.tensor([[0], [0], [1]]))
    torch.testing.assert_close(switch_loss([routing]), alone)
    torch.testing.assert_close(switch_loss([replace(routing, earlier=torch.tensor([1, 6]))]), torch.tensor(28.4 / 30))


def test_the_last_loads_are_remembered_and_only_training_counts_them():
    earlier = torch.tensor([[1, 2], [3, 4]])
    assert remember_load_(earlier, torch.tensor([5, 6])).tolist() == [[3, 4], [5, 6]]
    run = train(
        small_model(balance_batches=3), small_corpora(), TrainConfig(steps=4, batch_size=2, length=12, warmup_steps=1)
    )
    loads = [log.load for log in run]  # (L, E) each
    for layer, router in enumerate(layer.router for layer in run.model.moe_layers):
        assert router.earlier.tolist() == [loads[2][layer].tolist(), loads[3][layer].tolist()]
    ids = random_ids(2, 8)
    counted = run.model.train()(ids).routing
    assert [r.earlier.tolist() for r in counted] == [(loads[2] + loads[3])[i].tolist() for i in range(3)]
    assert all(routing.earlier is None for routing in run.model.eval()(ids).routing)


# ---- what they are for -----------------------------------------------------------------------------------------------

BIASED = {"selection_bias": True, "score": "sigmoid", "balance_coef": 0.0}
THRESHOLD = {"router": "expert_threshold", "score": "sigmoid", "renorm": False, "balance_coef": 0.0}
RULES = {  # settings of the model, those of the training, by how much the CV of the load must fall in 60 steps
    "sign": (BIASED, {"bias_step": 0.02}, 0.5),
    "smebu": (BIASED, {"bias_rule": "smebu", "bias_step": 0.02, "bias_memory": 0.5}, 0.5),
    "quantile": (BIASED, {"bias_rule": "quantile"}, 0.5),
    "quantile, averaged": (BIASED, {"bias_rule": "quantile", "bias_memory": 0.8}, 0.5),
    "expert threshold": (THRESHOLD | {"threshold_warmup": 1, "threshold_memory": 0.8}, {}, 0.5),
    "Switch loss over 4 batches": ({"balance_batches": 4, "balance_coef": 1.0}, {"lr": 0.01}, 0.7),
}


def cv_before_and_after(of_model, of_training):
    """The mean over layers, of the first and of the last five of 60 steps; the router prefers expert 0 by 2."""
    model = small_model(router_bias=True, z_coef=0.0, **of_model)
    for layer in model.moe_layers:
        layer.router.logit_bias.data[0] = 2.0
    config = TrainConfig(steps=60, batch_size=8, length=16, warmup_steps=1, **({"lr": 1e-6} | of_training))
    cvs = torch.stack([load_cv(log.load).mean() for log in train(model, small_corpora(), config)])  # (60,)
    return cvs[0].item(), cvs[-5:].mean().item()


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES)
def test_a_planted_skew_is_evened_out(rule):
    of_model, of_training, share = RULES[rule]
    if rule == "expert threshold":  # from its first step: without a warm-up longer than one batch nothing was uneven
        before, _ = cv_before_and_after({"score": "sigmoid", "balance_coef": 0.0}, {})
        _, after = cv_before_and_after(of_model, of_training)
    else:
        before, after = cv_before_and_after(of_model, of_training)
    assert before > 0.4 and after < share * before


def test_without_a_rule_the_planted_skew_stays():
    before, after = cv_before_and_after({"score": "sigmoid", "balance_coef": 0.0}, {})
    assert before > 0.4 and after > 0.8 * before


# ---- refused ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bias_rule": "median"}, r"bias_rule is 'median', expected one of \('sign', 'smebu', 'quantile'\)"),
        ({"bias_rule": "smebu"}, "bias_step is 0.0, expected a number above 0, because bias_rule='smebu' moves by"),
        ({"bias_rule": "quantile", "bias_step": 0.1}, "bias_step is 0.1, expected 0, because bias_rule='quantile'"),
        ({"bias_memory": 0.5}, "bias_memory is 0.5, expected 0, because bias_rule='sign' remembers nothing"),
        ({"bias_rule": "quantile", "bias_memory": 1.0}, "bias_memory is 1.0, expected a number from 0 to below 1"),
        ({"freeze_router": 1}, "freeze_router is 1, expected True or False"),
    ],
)
def test_trainings_that_contradict_themselves_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"selection_bias": False},
            "bias_rule='quantile' computes a bias, but the model has none: it needs selection_bias",
        ),
        ({"n_experts": 6, "n_groups": 3, "topk_groups": 2}, "compares scores of all experts: n_groups=1"),
        ({"select_on": "logit"}, "compares scores of all experts: n_groups=1, select_on='score'"),
    ],
)
def test_quantile_balancing_is_refused_where_it_is_not_defined(settings, message):
    model = small_model(**({"selection_bias": True} | settings))
    with pytest.raises(ValueError, match=message):
        train(model, small_corpora(), TrainConfig(length=12, bias_rule="quantile"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "renorm must be False"),
        ({"balance": "gshard"}, "balance one of 'switch', 'pooled' and 'importance'"),
        ({"renorm": False, "jitter": 0.1}, "does nothing with jitter=0.1"),
        ({"renorm": False, "selection_bias": True}, "does nothing with selection_bias=True"),
        ({"renorm": False, "threshold_memory": 1}, "threshold_memory is 1, expected a number from 0 to below 1"),
        ({"renorm": False, "threshold_warmup": 0}, "threshold_warmup is 0, expected a whole number of at least 1"),
    ],
)
def test_expert_threshold_refuses_what_it_has_no_use_for(settings, message):
    with pytest.raises(ValueError, match=message):
        ModelConfig(router="expert_threshold", **settings)


def test_choices_of_several_batches_are_for_the_switch_loss():
    with pytest.raises(ValueError, match="balance_batches=8 counts choices for balance='switch'; balance is 'gshard'"):
        ModelConfig(balance="gshard", balance_batches=8)
    with pytest.raises(ValueError, match="balance_batches is 0, expected a whole number of at least 1"):
        ModelConfig(balance_batches=0)
