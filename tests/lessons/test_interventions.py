"""Experts that are muted, and layers whose experts another rule chooses, on models where the answer is known."""

import pytest
import torch
from small import random_ids, small_corpora, small_model

from moe_lite import MoELanguageModel, evaluate
from moe_lite.checks.registry import exercises
from moe_lite.lessons import expert_groups, interventions as act, specialisation

IDS = random_ids(3, 20)


@torch.no_grad()
def chosen(model, layer: int):
    """expert_ids (N, K)."""
    return model(IDS).routing[layer].top_k[1]


def only_expert_works(model: MoELanguageModel, expert: int) -> MoELanguageModel:
    """All others answer with zeros."""
    with torch.no_grad():
        for layer in model.moe_layers:
            others = [e for e in range(model.config.n_experts) if e != expert]
            layer.experts.down[others] = 0
    return model


def without_layers(model: MoELanguageModel, layers) -> MoELanguageModel:
    """The same with all experts of these layers answering zeros."""
    twin = MoELanguageModel(model.config)
    twin.load_state_dict(model.state_dict())
    with torch.no_grad():
        for layer in layers:
            twin.blocks[layer].feed_forward.experts.down.zero_()
    return twin.eval()


def test_muting_the_one_expert_that_works_leaves_the_residual_stream_alone():
    model = only_expert_works(small_model().eval(), 3)
    with torch.no_grad():
        for layers in ([0], [2], [0, 2], None):
            quiet = act.without_experts(model, [3], layers)
            expected = without_layers(model, range(3) if layers is None else layers)
            torch.testing.assert_close(quiet(IDS).logits, expected(IDS).logits)
            assert not torch.allclose(quiet(IDS).logits, model(IDS).logits, atol=1e-3)
        silent = act.without_experts(model, [0, 1, 2])  # the worker always is one of the two that are left
        assert all((chosen(silent, layer) == 3).any(dim=1).all() for layer in range(3))


def test_the_next_best_expert_takes_over_in_that_layer_only():
    model = small_model().eval()
    quiet = act.without_experts(model, [1], [1])
    with torch.no_grad():
        before, after = model(IDS).routing, quiet(IDS).routing
    torch.testing.assert_close(before[1].scores, after[1].scores)
    scores = before[1].scores.clone()
    scores[:, 1] = -1
    assert torch.equal(after[1].top_k[1], scores.topk(2).indices) and (before[1].load[1] > 0).item()
    assert torch.equal(before[0].top_k[1], after[0].top_k[1])
    assert (after[2].load[1] > 0).item()


def test_muting_leaves_the_model_as_it_was_and_shares_its_weights():
    model = small_model().train()
    quiet = act.without_experts(model, [0], [2])
    assert model.training and not quiet.training
    assert all(not router.options["top_k_fn"] for router in act.routers_of(model).values())
    assert all(a is b for a, b in zip(model.parameters(), quiet.parameters(), strict=True))
    assert act.without_experts(model.eval()) is model


def test_loss_by_domain_of_a_muted_model_is_an_evaluation():
    model = only_expert_works(small_model(), 3)
    muted = evaluate.evaluate(act.without_experts(model, [3], [1]), small_corpora())
    expected = evaluate.evaluate(without_layers(model, [1]), small_corpora())
    assert muted.loss == pytest.approx(expected.loss)
    assert muted.load[1, 3] == 0 and muted.load[0, 3] > 0


def test_muting_is_refused_in_words():
    with pytest.raises(ValueError, match=r"experts are \[5, 9\], but this model has the experts 0 to 4"):
        act.without_experts(small_model(), [0, 5, 9])
    with pytest.raises(ValueError, match=r"layers \[0, 3\] have no router; sparse layers of this model: \[1, 2\]"):
        act.without_experts(small_model(n_dense_layers=1), [0], [0, 1, 3])
    with pytest.raises(ValueError, match="the model is dense"):
        act.without_experts(small_model(n_experts=1), [0])
    with pytest.raises(ValueError, match="Muting is not possible with router='hash'"):
        act.without_experts(small_model(router="hash"), [0])


def test_control_by_hand():
    load = torch.tensor([10, 30, 11, 9, 40, 31])
    assert act.control(load, [0]) == [2]  # 11 and 9 are as near: the lower number
    assert act.control(load, [4]) == [5]
    assert act.control(load, [4, 2]) == [0, 5]  # 41 for 51; 61 is as near
    assert act.control(load, [1, 5]) == [2, 4]  # 51 for 61
    with pytest.raises(ValueError, match="4 of 6 experts"):
        act.control(load, [0, 1, 2, 3])


# ---- another choice --------------------------------------------------------------------------------------------------


def layer_0_sees_only_tokens(**changes) -> MoELanguageModel:
    """Its first attention adds nothing, so the first router reads the token's embedding alone."""
    model = small_model(**changes).eval()
    with torch.no_grad():
        model.blocks[0].attention.out.weight.zero_()
    return model


def test_a_token_table_reproduces_a_layer_that_only_sees_tokens():
    model, corpora = layer_0_sees_only_tokens(), small_corpora()
    train = specialisation.read(model, corpora, length=32, split="train")
    table = act.token_table(train.token_ids, train.experts[0], 5, 61)
    assert table.shape == (61, 2)
    ruled = act.with_routers(model, {0: act.table_choice(table)})
    before, after = evaluate.evaluate(model, corpora), evaluate.evaluate(ruled, corpora)
    assert after.loss == pytest.approx(before.loss, rel=1e-5) and torch.equal(after.load, before.load)
    val = specialisation.read(model, corpora)
    right = expert_groups.saturation(table[val.token_ids].expand(3, -1, -1), val.experts)
    assert right[0] == 1 and right[1] < 1  # later layers have heard of other tokens


def test_a_token_table_by_hand():
    """Token 2 got expert 3 twice, 0 and 1 once each, of which 1 has more load; tokens 1 and 3 never came."""
    ids = torch.tensor([2, 2, 0, 0])
    experts = torch.tensor([[3, 0], [1, 3], [1, 2], [2, 1]])
    assert act.token_table(ids, experts, 5, 4).tolist() == [[1, 2], [1, 2], [3, 1], [1, 2]]


def test_only_the_choice_is_swapped():
    """Weights are the model's own scores of the chosen experts, renormalised; other layers go on as before."""
    model = small_model().eval()
    rule = lambda x, ids, k: torch.stack([ids % 5, (ids + 2) % 5], dim=1)  # noqa: E731
    with torch.no_grad():
        own, ruled = model(IDS).routing, act.with_routers(model, {1: rule})(IDS).routing
    torch.testing.assert_close(own[1].scores, ruled[1].scores)
    expected = rule(None, IDS.flatten(), 2)  # (N, 2)
    picked = own[1].scores.gather(1, expected)
    combine = torch.zeros(60, 5).scatter(1, expected, picked / picked.sum(1, keepdim=True))
    torch.testing.assert_close(ruled[1].combine, combine)
    assert (ruled[1].layer, ruled[1].batch_shape) == (1, (3, 20))
    assert torch.equal(own[0].top_k[1], ruled[0].top_k[1])


@pytest.mark.parametrize(
    "settings",
    [{}, {"renorm": False}, {"order": "topk_first"}, {"order": "topk_first", "renorm": False}, {"score": "sigmoid"},
     {"router": "noisy_top_k"}, {"selection_bias": True}, {"routed_scale": 2.5, "logit_scale": 0.5}],
)  # fmt: skip
def test_the_own_choice_as_a_rule_changes_nothing(settings):
    model = small_model(**settings).eval()
    with torch.no_grad():
        plain = model(IDS)
        choices = iter([routing.top_k[1] for routing in plain.routing])
        ruled = act.with_routers(model, dict.fromkeys(range(3), lambda x, ids, k: next(choices)))
        torch.testing.assert_close(ruled(IDS).logits, plain.logits)


def test_the_model_stays_as_it_was():
    model = small_model().train()
    ruled = act.with_routers(model, {0: act.random_choice(5)})
    assert model.training and not ruled.training
    assert act.routers_of(model)[0] is model.blocks[0].feed_forward.router
    assert all(a is b for a, b in zip(model.parameters(), ruled.parameters(), strict=True))


def test_random_choice_is_even_and_follows_its_seed():
    choose = act.random_choice(5, seed=1)
    drawn = choose(torch.zeros(6000, 1), None, 2)
    assert (drawn[:, 0] != drawn[:, 1]).all()
    assert (torch.bincount(drawn.flatten()) / 12000 - 0.2).abs().max() < 0.02
    assert torch.equal(drawn, act.random_choice(5, seed=1)(torch.zeros(6000, 1), None, 2))
    assert not torch.equal(drawn, choose(torch.zeros(6000, 1), None, 2))


def test_a_frozen_router_follows_the_tokens_vector_with_weights_of_its_own():
    model = small_model().eval()
    ruled = act.with_routers(model, {1: act.frozen_choice(5, 16, seed=4)})
    x = evaluate.tokens_into(model.blocks[1].feed_forward, model, [IDS])  # (N, D)
    weight = torch.randn(5, 16, generator=torch.Generator().manual_seed(4))
    choice = chosen(ruled, 1).sort().values
    assert torch.equal(choice, (x @ weight.T).topk(2).indices.sort().values)
    assert not torch.equal(choice, chosen(model, 1).sort().values)


def test_rules_are_refused_where_they_cannot_choose():
    rule = act.random_choice(5)
    with pytest.raises(ValueError, match=r"layers \[0\] have no router; sparse layers of this model: \[1, 2\]"):
        act.with_routers(small_model(n_dense_layers=1), {0: rule, 1: rule})
    with pytest.raises(ValueError, match=r"layers \[0\] have no router; sparse layers of this model: none"):
        act.with_routers(small_model(n_experts=1), {0: rule})
    with pytest.raises(ValueError, match="not of 'hash'"):
        act.with_routers(small_model(router="hash"), {0: rule})
    ruled = act.with_routers(small_model(), {0: rule})
    for again in (lambda: act.with_routers(ruled, {0: rule}), lambda: act.without_experts(ruled, [1])):
        with pytest.raises(ValueError, match=r"layers\[0\]"):
            again()
    assert torch.isin(chosen(act.without_experts(ruled, [1], [2]), 2), torch.tensor([0, 2, 3, 4])).all()


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (torch.zeros(60, 1).long(), r"\(60, 1\) of torch.int64, expected \(N, k\) = \(60, 2\)"),
        (torch.zeros(60, 2), r"of torch.float32"),
        (torch.tensor([[0, 5]]).expand(60, 2), "experts from 0 to 5; there are 0 to 4"),
        (torch.tensor([[3, 3]]).expand(60, 2), "the same expert twice"),
    ],
)
def test_a_rule_that_makes_no_choice_is_told_so(choice, message):
    with pytest.raises(ValueError, match=message):
        act.with_routers(small_model(), {1: lambda x, ids, k: choice})(IDS)


def test_a_table_has_no_more_experts_than_it_has():
    ruled = act.with_routers(small_model(), {0: act.table_choice(torch.zeros(61, 1).long())})
    with pytest.raises(ValueError, match="top_k is 2, but the table has 1 experts"):
        ruled(IDS)


@pytest.mark.parametrize("seed", range(5))
def test_the_packages_functions_are_what_lesson_08_asks_for(seed):
    """They stand in for an open exercise, so they give what its check expects."""
    for id, function in (
        ("8.3", specialisation.information_and_chance),
        ("8.4", act.top_k_without),
        ("8.5", act.domain_expert),
    ):
        exercise = exercises()[id]
        args = exercise.drawn.args(seed, **exercise.drawn.sizes)
        expected, found = exercise.named(exercise.reference(*args)), exercise.named(tuple(function(*args)))
        assert all(torch.allclose(found[name].double(), value.double()) for name, value in expected.items()), id
