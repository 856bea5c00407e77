"""Published balancing losses, routers with noise and of expert choice, and what looks into the future."""

import math
from dataclasses import replace

import pytest
import torch
from small import randn
from torch.distributions import Normal
from transformers import SwitchTransformersConfig
from transformers.models.mixtral.modeling_mixtral import load_balancing_loss_func
from transformers.models.switch_transformers import modeling_switch_transformers as switch

from moe_lite import ModelConfig, MoELanguageModel
from moe_lite.model.balance import (
    BALANCE_LOSSES,
    cv_squared,
    drop_over_capacity,
    expert_capacity,
    load_balancing_loss,
    z_loss,
)
from moe_lite.model.config import BALANCES, ROUTERS
from moe_lite.model.routers import ROUTERS as REGISTRY, ExpertChoiceRouter, NoisyTopKRouter
from moe_lite.model.routers.expert_choice import choose
from moe_lite.model.routers.noisy_top_k import chance_of_choice
from moe_lite.model.routing import Router, route


def routings(n_layers: int = 2, rows: int = 3, length: int = 8, n_experts: int = 5, k: int = 2, **options):
    logits = [randn(rows * length, n_experts, seed=layer) for layer in range(n_layers)]
    return [route(z, k, batch_shape=(rows, length), layer=layer, **options) for layer, z in enumerate(logits)]


def test_every_name_of_the_settings_is_registered():
    assert tuple(BALANCE_LOSSES) == BALANCES and tuple(REGISTRY) == ROUTERS


# ---- losses ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "value"), [("switch", 1), ("gshard", 1), ("sequence", 1), ("pooled", 2)])
def test_uniform_scores_give_one_or_k(name, value):
    flat = [route(torch.zeros(24, 5), 2, batch_shape=(3, 8))] * 2
    torch.testing.assert_close(BALANCE_LOSSES[name](flat), torch.tensor(float(value)))


@pytest.mark.parametrize("n_layers", [1, 3])
def test_pooled_loss_is_that_of_transformers(n_layers):
    mine = routings(n_layers)
    other = load_balancing_loss_func(tuple(r.logits for r in mine), num_experts=5, top_k=2)
    torch.testing.assert_close(BALANCE_LOSSES["pooled"](mine), other)


def test_pooled_loss_leaves_padding_out_as_transformers_does():
    mask = torch.arange(8) < torch.tensor([[8], [5], [2]])
    mine = routings(token_mask=mask.flatten())
    other = load_balancing_loss_func(tuple(r.logits for r in mine), 5, 2, attention_mask=mask.long())
    torch.testing.assert_close(BALANCE_LOSSES["pooled"](mine), other)


def test_of_one_layer_the_pooled_loss_is_k_times_the_papers():
    mine = routings(1, k=3)
    torch.testing.assert_close(BALANCE_LOSSES["pooled"](mine), 3 * BALANCE_LOSSES["switch"](mine))


def test_pooling_hides_layers_that_overload_opposite_experts():
    opposite = [route(torch.tensor([[9.0, -9.0]] * 4), 1), route(torch.tensor([[-9.0, 9.0]] * 4), 1)]
    torch.testing.assert_close(BALANCE_LOSSES["pooled"](opposite), torch.tensor(1.0))
    torch.testing.assert_close(BALANCE_LOSSES["switch"](opposite), torch.tensor(2.0))


def test_gshard_counts_first_choices_row_by_row():
    scores = torch.tensor([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.1, 0.2, 0.7], [0.1, 0.3, 0.6]])
    mine = [route(scores.log(), 2, batch_shape=(2, 2))]
    # row 1: f = (1, 1, 0)/2, P = (0.4, 0.4, 0.2) -> 3 · 0.4; row 2: f = (0, 0, 1), P_2 = 0.65 -> 3 · 0.65
    torch.testing.assert_close(BALANCE_LOSSES["gshard"](mine), torch.tensor((1.2 + 1.95) / 2))


@pytest.mark.parametrize("k", [1, 2])
def test_gshard_loss_is_that_of_switch_in_transformers(k):
    (mine,) = routings(1, k=k)
    probabilities, first = mine.scores.view(3, 8, 5), mine.top_k[1][:, :1].view(3, 8, 1)
    other = switch.load_balancing_loss_func(probabilities, first)
    torch.testing.assert_close(BALANCE_LOSSES["gshard"]([mine]), other)


def test_z_loss_is_that_of_switch_in_transformers():
    (mine,) = routings(1)
    torch.testing.assert_close(z_loss([mine]), switch.router_z_loss_func(mine.logits.view(3, 8, 5)))


def test_sequence_loss_sees_rows_that_cancel_in_the_batch():
    rows = torch.tensor([[9.0, -9.0]] * 4 + [[-9.0, 9.0]] * 4)
    mine = [route(rows, 1, batch_shape=(2, 4))]
    torch.testing.assert_close(BALANCE_LOSSES["switch"](mine), torch.tensor(1.0))
    torch.testing.assert_close(BALANCE_LOSSES["sequence"](mine), torch.tensor(2.0))


def test_sequence_loss_counts_the_best_unbiased_scores():
    logits, bias = randn(24, 5), torch.tensor([9.0, 0, 0, 0, -9.0])
    with_bias = [route(logits, 2, score="sigmoid", bias=bias, batch_shape=(3, 8))]
    without = [route(logits, 2, score="sigmoid", batch_shape=(3, 8))]
    torch.testing.assert_close(BALANCE_LOSSES["sequence"](with_bias), BALANCE_LOSSES["sequence"](without))
    assert (BALANCE_LOSSES["switch"](with_bias) - BALANCE_LOSSES["switch"](without)).abs() > 0.01


@pytest.mark.parametrize("name", ["gshard", "sequence", "switch"])
def test_padding_counts_as_if_its_tokens_were_not_there(name):
    logits, mask = randn(16, 5), torch.arange(16) % 8 < 5
    padded = BALANCE_LOSSES[name]([route(logits, 2, batch_shape=(2, 8), token_mask=mask)])
    short = BALANCE_LOSSES[name]([route(logits[mask], 2, batch_shape=(2, 5))])
    torch.testing.assert_close(padded, short)


def test_importance_by_hand():
    # weights: token 0 gives (0.75, 0.25) to experts 0 and 1, token 1 (0.5, 0.5): importance (1.25, 0.75, 0)
    logits = torch.tensor([[0.75, 0.25, 1e-9], [0.5, 0.5, 1e-9]]).log()
    mean, variance = 2 / 3, ((1.25 - 2 / 3) ** 2 + (0.75 - 2 / 3) ** 2 + (2 / 3) ** 2) / 3
    torch.testing.assert_close(BALANCE_LOSSES["importance"]([route(logits, 2)]), torch.tensor(variance / mean**2))


def test_squared_cv_takes_the_population_variance():
    torch.testing.assert_close(cv_squared(torch.tensor([1.0, 3.0])), torch.tensor(0.25))


@pytest.mark.parametrize("name", BALANCES)
def test_gradient_of_the_model_is_in_proportion_to_the_coefficient(name):
    ids = torch.arange(24).view(2, 12) % 17
    kind = "noisy_top_k" if name == "importance_and_load" else "top_k"
    config = ModelConfig(vocab_size=17, d_model=16, n_layers=2, n_experts=4, d_expert=8, balance=name, router=kind)

    def router_gradient(coefficient):
        model = MoELanguageModel(replace(config, balance_coef=coefficient, z_coef=0.0)).double()
        model(ids, ids.roll(-1, 1), generator=torch.Generator().manual_seed(0)).loss.backward()
        return model.blocks[0].feed_forward.router.weight.grad

    none, small, large = (router_gradient(c) for c in (0.0, 0.1, 0.4))
    assert (small - none).abs().max() > 1e-7
    torch.testing.assert_close(large - none, 4 * (small - none), rtol=1e-4, atol=1e-10)


# ---- noisy top-k -----------------------------------------------------------------------------------------------------


def noisy_router(d_model: int = 6, n_experts: int = 5, k: int = 2) -> NoisyTopKRouter:
    router = NoisyTopKRouter(d_model, n_experts, k)
    with torch.no_grad():
        router.weight.copy_(randn(n_experts, d_model, seed=1))
        router.noise_weight.copy_(randn(n_experts, d_model, seed=2))
    return router


def test_noise_is_in_training_only_and_follows_its_generator():
    router, x = noisy_router(), randn(40, 6).float()
    first, again = (router(x, generator=torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first.logits, again.logits)
    other = router(x, generator=torch.Generator().manual_seed(4))
    assert not torch.equal(first.logits, other.logits)
    calm = router.eval()(x)
    torch.testing.assert_close(calm.logits, x @ router.weight.T)
    assert calm.smooth_load is None


def test_noise_is_as_large_as_the_router_says():
    router, x = noisy_router(), randn(1, 6).float().expand(40_000, 6)
    noise = router(x, generator=torch.Generator().manual_seed(0)).logits - x @ router.weight.T
    spread = torch.nn.functional.softplus(x[:1] @ router.noise_weight.T)
    torch.testing.assert_close(noise.std(dim=0, keepdim=True), spread, rtol=0.03, atol=0)


def test_chance_of_choice_is_how_often_fresh_noise_chooses():
    clean, spread = randn(1, 5, seed=5).double(), 0.5 + randn(1, 5, seed=6).double().abs()
    generator = torch.Generator().manual_seed(0)
    noisy = clean + spread * torch.randn(1, 5, generator=generator, dtype=torch.float64)
    expected = chance_of_choice(clean, noisy, spread, 2)
    for i in range(5):
        others = noisy.expand(100_000, 5).clone()
        others[:, i] = clean[0, i] + spread[0, i] * torch.randn(100_000, generator=generator, dtype=torch.float64)
        chosen = (others.topk(2, dim=1).indices == i).any(dim=1).double().mean()
        assert abs(chosen - expected[0, i]) < 0.006


def test_chance_of_choice_by_hand():
    clean, noisy = torch.tensor([[0.0, 1.0, 2.0]]), torch.tensor([[0.5, 0.8, 2.5]])
    # k = 1: the best of the others' noisy logits is 2.5, 2.5 and, for the winner itself, 0.8
    chance = chance_of_choice(clean, noisy, torch.full((1, 3), 0.5), 1)
    expected = Normal(0.0, 1.0).cdf(torch.tensor([[(0 - 2.5) / 0.5, (1 - 2.5) / 0.5, (2 - 0.8) / 0.5]]))
    torch.testing.assert_close(chance, expected)
    assert torch.equal(chance_of_choice(clean, noisy, torch.ones(1, 3), 3), torch.ones(1, 3))


def test_load_loss_reaches_the_noise_and_the_scores():
    router, x = noisy_router(), randn(40, 6).float()
    BALANCE_LOSSES["importance_and_load"]([router(x, generator=torch.Generator().manual_seed(0))]).backward()
    assert router.noise_weight.grad.abs().max() > 1e-4 and router.weight.grad.abs().max() > 1e-4


# ---- expert choice ---------------------------------------------------------------------------------------------------


def test_each_expert_takes_its_best_tokens_of_each_row():
    scores = torch.tensor([[[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]], [[0.5, 0.5], [0.5, 0.5], [0.7, 0.3]]])
    token_ids, expert_ids = choose(scores, 1)  # ceil(3 · 1 / 2) = 2 tokens of each row
    assert expert_ids.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert token_ids.tolist() == [0, 1, 3, 5, 1, 2, 3, 4]  # the earlier of equals


def test_expert_choice_is_even_and_weighs_with_the_score():
    router = ExpertChoiceRouter(6, 4, 2)
    torch.nn.init.normal_(router.weight, generator=torch.Generator().manual_seed(0))
    routing = router(randn(3, 8, 6).float())
    assert routing.load.tolist() == [12] * 4 and len(set(routing.per_token.tolist())) > 1
    chosen = routing.scores[routing.token_ids, routing.expert_ids]
    torch.testing.assert_close(routing.weights, chosen)
    order = routing.expert_ids * routing.n_tokens + routing.token_ids
    assert (order.diff() > 0).all()


def test_padding_is_never_chosen_and_takes_no_room():
    router = ExpertChoiceRouter(6, 4, 2)
    torch.nn.init.normal_(router.weight, generator=torch.Generator().manual_seed(0))
    x, mask = randn(2, 8, 6).float(), torch.arange(8) < torch.tensor([[8], [4]])
    padded = router(x, token_mask=mask)
    alone = router(x[1:, :4])
    torch.testing.assert_close(padded.combine[8:12], alone.combine)
    assert padded.combine[12:].abs().max() == 0


def test_expert_choice_does_not_generate():
    config = ModelConfig(
        vocab_size=17, d_model=16, n_layers=1, router="expert_choice", renorm=False, allow_lookahead=True
    )
    with pytest.raises(ValueError, match="needs the whole text, so it cannot generate token by token"):
        next(MoELanguageModel(config).generate(torch.zeros(1, 3, dtype=torch.int64), 2))


# ---- capacity --------------------------------------------------------------------------------------------------------


def test_who_finds_room_by_position_by_score_and_by_first_choice():
    scores = torch.tensor([[0.5, 0.4, 0.1], [0.3, 0.6, 0.1], [0.05, 0.75, 0.2], [0.8, 0.15, 0.05]])
    routing = route(scores.log(), 2)  # expert 1 is asked by all four: second by tokens 0 and 3, first by 1 and 2
    mine = routing.expert_ids == 1

    def kept(priority):
        return routing.token_ids[mine & drop_over_capacity(routing, 2, priority).kept].tolist()

    assert kept("position") == [0, 1] and kept("score") == [1, 2] and kept("first_choice") == [1, 2]
    three = routing.token_ids[mine & drop_over_capacity(routing, 3, "first_choice").kept].tolist()
    assert three == [0, 1, 2]  # then second choices by position
    assert drop_over_capacity(routing, 3, "score").kept[mine].tolist() == [True, True, True, False]


def test_capacity_by_position_is_that_of_switch_in_transformers():
    settings = SwitchTransformersConfig(d_model=6, num_experts=4, expert_capacity=3, router_jitter_noise=0.0)
    other, x = switch.SwitchTransformersTop1Router(settings).eval(), randn(1, 20, 6)
    torch.nn.init.normal_(other.classifier.weight, generator=torch.Generator().manual_seed(0))
    mine = route(x[0] @ other.classifier.weight.detach().T, 1, renorm=False)
    kept = drop_over_capacity(mine, 3).combine > 0  # (N, E)
    theirs = next(t for t in other(x) if t.shape == (1, 20, 4) and set(t.unique().tolist()) <= {0, 1})
    assert torch.equal(kept, theirs[0].bool()) and 0 < kept.sum() < 20


@pytest.mark.parametrize("priority", ["position", "score", "first_choice"])
def test_what_finds_room_does_not_depend_on_padding(priority):
    logits, mask = randn(12, 4), torch.arange(12) % 3 != 1
    with_padding = drop_over_capacity(route(logits, 2, token_mask=mask), 3, priority)
    without = drop_over_capacity(route(logits[mask], 2), 3, priority)
    torch.testing.assert_close(with_padding.combine[mask], without.combine)


def test_unknown_priority_is_refused():
    with pytest.raises(ValueError, match="priority is 'luck', expected one of"):
        drop_over_capacity(route(randn(4, 3), 1), 1, "luck")


# ---- the future ------------------------------------------------------------------------------------------------------

PLAIN = ModelConfig(vocab_size=29, d_model=16, n_layers=2, n_experts=4, d_expert=8, context_length=64)
LOOKS_AHEAD = {
    "position": (dict(capacity_factor=0.6), False),
    "score": (dict(capacity_factor=0.6, priority="score"), True),
    "first_choice": (dict(capacity_factor=0.6, priority="first_choice"), True),
    "expert_choice": (dict(router="expert_choice", renorm=False, allow_lookahead=True), True),
    "expert_threshold": (dict(router="expert_threshold", renorm=False, score="sigmoid"), True),  # in its first batches
    "selection_bias": (dict(selection_bias=True, score="sigmoid"), False),
    "jitter": (dict(jitter=0.1), False),
    "noisy_top_k": (dict(router="noisy_top_k"), False),
}


@pytest.mark.parametrize("name", LOOKS_AHEAD)
def test_which_mechanisms_look_into_the_future(name):
    """Change the end of a text and compare what the model says of its beginning, in training."""
    changes, expected = LOOKS_AHEAD[name]
    model = MoELanguageModel(replace(PLAIN, init_std=0.3, **changes)).train()
    generator = torch.Generator().manual_seed(0)
    differs = False
    for _ in range(8):
        ids = torch.randint(29, (1, 32), generator=generator)
        other = torch.cat([ids[:, :20], torch.randint(29, (1, 12), generator=generator)], dim=1)
        one, two = (model(i, generator=torch.Generator().manual_seed(1)).logits[:, :20] for i in (ids, other))
        differs |= not torch.allclose(one, two, atol=1e-5)
    assert differs == expected


@pytest.mark.parametrize("name", ["position", "score", "first_choice"])
def test_no_capacity_looks_ahead_in_evaluation(name):
    changes, _ = LOOKS_AHEAD[name]
    model = MoELanguageModel(replace(PLAIN, init_std=0.3, **changes)).eval()
    ids = torch.randint(29, (1, 32), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(model(ids).logits[:, :20], model(ids[:, :20]).logits)


# ---- settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(priority="score"), "with capacity_factor=None none is full"),
        (dict(balance="importance_and_load"), "needs the noise of router='noisy_top_k'"),
        (dict(router="noisy_top_k", score="sigmoid"), "score must be 'softmax' and renorm True"),
        (dict(router="noisy_top_k", renorm=False), "score must be 'softmax' and renorm True"),
        (dict(router="noisy_top_k", selection_bias=True), "selection_bias and n_groups are not defined"),
        (dict(router="noisy_top_k", jitter=0.1), "jitter=0.1 would be a second one"),
        (dict(router="expert_choice", renorm=False), "Set allow_lookahead=True"),
        (dict(allow_lookahead=True), "router='top_k' does not look ahead"),
    ],
)
def test_settings_that_contradict_each_other_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        ModelConfig(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(renorm=True), "renorm must be False"),
        (dict(capacity_factor=1.0), "capacity_factor must be None"),
        (dict(selection_bias=True), "lets experts choose"),
        (dict(order="topk_first"), "lets experts choose"),
        (dict(balance="gshard"), "balanced by construction"),
        (dict(jitter=0.1), "has no jitter"),
    ],
)
def test_expert_choice_refuses_what_it_has_no_use_for(settings, message):
    with pytest.raises(ValueError, match=message):
        ModelConfig(router="expert_choice", allow_lookahead=True, **{"renorm": False, **settings})


def test_own_top_k_function_needs_the_usual_router():
    with pytest.raises(ValueError, match="this model has router='noisy_top_k'"):
        MoELanguageModel(replace(PLAIN, router="noisy_top_k"), top_k_fn=lambda scores, k: None)


def test_switch_loss_of_the_registry_is_the_mean_over_layers():
    mine = routings()
    each = [load_balancing_loss(r.scores, r.top_k[1]) for r in mine]
    torch.testing.assert_close(BALANCE_LOSSES["switch"](mine), torch.stack(each).mean())


def test_capacity_is_rounded_up_and_not_by_a_binary_fraction():
    assert expert_capacity(100, 1, 10, 1.1) == 11 and expert_capacity(10, 1, 4, 1.0) == math.ceil(2.5)


def test_own_balancing_loss_takes_the_place_of_the_packages():
    ids = torch.arange(24).view(2, 12) % 29
    model = MoELanguageModel(PLAIN, balance_loss=lambda routings: 100.0 + sum(r.scores.sum() for r in routings))
    output = model(ids, ids)
    torch.testing.assert_close(output.balance_loss, torch.tensor(100.0 + 2 * 24))
    torch.testing.assert_close(output.loss, output.cross_entropy + 0.01 * 148 + 0.001 * output.z_loss)


def test_usual_router_is_a_plain_one():
    assert REGISTRY["top_k"] is Router
