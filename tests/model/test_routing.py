"""Scores, choice, weights, and the record of them (moe_lite/model/routing.py)."""

from dataclasses import replace

import pytest
import torch
from small import generator, randn

from moe_lite.model.routing import Router, Routing, route, top_k_route, top_k_stable

# ---- top_k_route -----------------------------------------------------------------------------------------------------


def test_top_k_by_hand():
    scores = torch.tensor([[0.1, 0.4, 0.2, 0.3], [0.7, 0.0, 0.2, 0.1]])
    weights, expert_ids = top_k_route(scores, 2)
    assert expert_ids.tolist() == [[1, 3], [0, 2]] and expert_ids.dtype == torch.int64
    # 0.4 + 0.3 = 0.7: 4/7 and 3/7. 0.7 + 0.2 = 0.9: 7/9 and 2/9
    torch.testing.assert_close(weights, torch.tensor([[4 / 7, 3 / 7], [7 / 9, 2 / 9]]))


@pytest.mark.parametrize("n_experts", [2, 5, 64, 300])  # unstable sorts keep the order of short rows by accident
def test_among_equal_scores_the_lower_expert_comes_first(n_experts):
    k = (n_experts + 1) // 2
    _, expert_ids = top_k_route(torch.full((3, n_experts), 1 / n_experts), k)
    assert expert_ids.tolist() == [list(range(k))] * 3


def test_ties_among_unequal_scores_follow_the_same_rule():
    scores = torch.randint(0, 4, (50, 40), generator=generator()).float()
    _, expert_ids = top_k_stable(scores, 17)
    expected = [sorted(range(40), key=lambda e: (-row[e], e))[:17] for row in scores.tolist()]
    assert expert_ids.tolist() == expected


def test_top_k_leaves_its_input_unchanged_and_passes_the_gradient_on():
    scores = randn(4, 6).softmax(dim=-1).requires_grad_()
    before = scores.detach().clone()
    weights, expert_ids = top_k_route(scores, 2)
    weights[:, 0].sum().backward()
    assert torch.equal(scores.detach(), before)
    # w0 = a / (a + b): dw0/da = b / (a + b)², dw0/db = −a / (a + b)², nothing for the others
    a, b = before.gather(1, expert_ids).unbind(1)
    expected = torch.zeros(4, 6).scatter(1, expert_ids, torch.stack([b, -a], 1) / (a + b).square()[:, None])
    torch.testing.assert_close(scores.grad, expected)


@pytest.mark.parametrize("k", [0, -1, 5])
def test_impossible_k_is_refused(k):
    with pytest.raises(ValueError, match=f"k={k} among 4 experts: k must be from 1 to 4"):
        top_k_route(torch.ones(2, 4), k)


# ---- the record ------------------------------------------------------------------------------------------------------


def example() -> Routing:
    """Three tokens, four experts, k = 2: token 0 to experts 2, 0; token 1 to 2, 3; token 2 to 0, 1."""
    scores = torch.tensor([[0.3, 0.1, 0.5, 0.1], [0.1, 0.1, 0.4, 0.4], [0.6, 0.3, 0.1, 0.0]])
    return route(scores.clamp(min=1e-9).log(), 2)


def test_assignments_stand_expert_by_expert_and_token_by_token():
    routing = example()
    assert routing.expert_ids.tolist() == [0, 0, 1, 2, 2, 3]
    assert routing.token_ids.tolist() == [0, 2, 2, 0, 1, 1]
    # token 0: 3/8 and 5/8; token 1: 1/2 and 1/2; token 2: 6/9 and 3/9
    torch.testing.assert_close(routing.weights, torch.tensor([3 / 8, 2 / 3, 1 / 3, 5 / 8, 1 / 2, 1 / 2]))
    assert routing.kept.all() and (routing.n_tokens, routing.n_experts, routing.batch_shape) == (3, 4, (1, 3))


def test_combine_load_and_top_k_tell_the_same_story():
    routing = example()
    expected = torch.tensor([[3 / 8, 0, 5 / 8, 0], [0, 0, 1 / 2, 1 / 2], [2 / 3, 1 / 3, 0, 0]])
    torch.testing.assert_close(routing.combine, expected)
    assert routing.load.tolist() == routing.load_kept.tolist() == [2, 1, 2, 1]
    weights, expert_ids = routing.top_k
    assert expert_ids.tolist() == [[2, 0], [2, 3], [0, 1]]
    torch.testing.assert_close(weights, torch.tensor([[5 / 8, 3 / 8], [1 / 2, 1 / 2], [2 / 3, 1 / 3]]))


def test_dropped_assignments_leave_combine_and_load_kept_but_not_load():
    routing = replace(example(), kept=torch.tensor([True, False, True, True, False, True]))
    expected = torch.tensor([[3 / 8, 0, 5 / 8, 0], [0, 0, 0, 1 / 2], [0, 1 / 3, 0, 0]])
    torch.testing.assert_close(routing.combine, expected)
    assert routing.load.tolist() == [2, 1, 2, 1] and routing.load_kept.tolist() == [1, 1, 1, 1]


def test_loads_leave_padding_out_and_count_silent_experts_as_zero():
    logits = torch.tensor([[3.0, 2, 1, 0], [3, 2, 1, 0], [0, 3, 2, 1]])
    routing = route(logits, 2, token_mask=torch.tensor([True, False, True]))
    assert routing.load.tolist() == routing.load_kept.tolist() == [1, 2, 1, 0]
    assert routing.load.dtype == torch.int64


def test_combine_is_differentiable():
    logits = randn(5, 4).requires_grad_()
    target = randn(5, 4, seed=1)
    (route(logits, 2).combine * target).sum().backward()
    again = logits.detach().clone().requires_grad_()
    weights, expert_ids = top_k_route(again.softmax(-1), 2)
    (weights * target.gather(1, expert_ids)).sum().backward()
    torch.testing.assert_close(logits.grad, again.grad)
    assert logits.grad.abs().max() > 0.01


def test_top_k_table_is_refused_where_tokens_have_different_numbers_of_experts():
    ids = torch.tensor([0, 1, 1])
    routing = Routing(
        token_ids=torch.tensor([0, 0, 1]), expert_ids=ids, weights=torch.ones(3), kept=torch.ones(3, dtype=torch.bool),
        logits=torch.zeros(2, 2), scores=torch.zeros(2, 2), n_tokens=2, n_experts=2,
    )  # fmt: skip
    assert routing.per_token.tolist() == [2, 1]
    with pytest.raises(ValueError, match=r"have \[1, 2\] experts each"):
        _ = routing.top_k


# ---- the families' rules ---------------------------------------------------------------------------------------------

LOGITS = torch.tensor([[1.0, 3.0, 2.0, 0.0]])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        # softmax over all four: e^3, e^2 over e^0 + e^1 + e^2 + e^3 = 31.1929
        ({"renorm": False}, [0.0, 0.643914, 0.236883, 0.0]),
        # divided by their sum: e^3 / (e^3 + e^2) = 1 / (1 + 1/e)
        ({}, [0.0, 0.731059, 0.268941, 0.0]),
        ({"order": "topk_first"}, [0.0, 0.731059, 0.268941, 0.0]),
        ({"routed_scale": 2.5}, [0.0, 2.5 * 0.731059, 2.5 * 0.268941, 0.0]),
        # sigmoid(3) = 0.952574, sigmoid(2) = 0.880797, sum 1.833371
        ({"score": "sigmoid", "renorm": False}, [0.0, 0.952574, 0.880797, 0.0]),
        ({"score": "sigmoid"}, [0.0, 0.519575, 0.480425, 0.0]),
        ({"score": "sigmoid", "order": "topk_first", "renorm": False}, [0.0, 0.952574, 0.880797, 0.0]),
        # sqrt(log(1 + e^3)) = sqrt(3.048587), sqrt(log(1 + e^2)) = sqrt(2.126928)
        ({"score": "sqrtsoftplus", "renorm": False}, [0.0, 1.746021, 1.458399, 0.0]),
        ({"score": "sqrtsoftplus"}, [0.0, 0.544877, 0.455123, 0.0]),
        # 1.833371 + 0.5 = 2.333371
        ({"score": "sigmoid", "renorm_eps": 0.5}, [0.0, 0.408239, 0.377478, 0.0]),
        # sigmoid(1.5) = 0.817574, sigmoid(1) = 0.731059
        ({"score": "sigmoid", "logit_scale": 0.5, "renorm": False}, [0.0, 0.817574, 0.731059, 0.0]),
        # 2 tanh(1.5) = 1.810297, 2 tanh(1) = 1.523188: sigmoids 0.859398, 0.821007
        ({"score": "sigmoid", "logit_softcap": 2.0, "renorm": False}, [0.0, 0.859398, 0.821007, 0.0]),
        # scaled before capped: 2 tanh(0.75) = 1.270298, 2 tanh(0.5) = 0.924234
        (
            {"score": "sigmoid", "logit_scale": 0.5, "logit_softcap": 2.0, "renorm": False},
            [0.0, 0.780794, 0.715904, 0.0],
        ),
    ],
)
def test_rules_by_hand(options, expected):
    torch.testing.assert_close(route(LOGITS, 2, **options).combine, torch.tensor([expected]), atol=2e-6, rtol=0)


def test_the_two_orders_agree_only_with_renormalising():
    logits = randn(20, 7)
    first, last = (route(logits, 3, order=order).combine for order in ("score_first", "topk_first"))
    torch.testing.assert_close(first, last)
    plain = route(logits, 3, renorm=False).combine
    torch.testing.assert_close(route(logits, 3, order="topk_first", renorm=False).combine, last)
    assert (plain - last).abs().max() > 0.1


def test_selection_bias_chooses_and_never_weighs():
    # sigmoids 0.73, 0.95, 0.88, 0.50; the bias lifts experts 0 and 3 above the others
    bias = torch.tensor([1.0, 0.0, 0.0, 1.0])
    routing = route(LOGITS, 2, score="sigmoid", bias=bias)
    weights, expert_ids = routing.top_k
    assert expert_ids.tolist() == [[0, 3]]
    # 0.731059 / (0.731059 + 0.5) and the rest: the scores without the bias
    torch.testing.assert_close(weights, torch.tensor([[0.593846, 0.406154]]), atol=2e-6, rtol=0)
    torch.testing.assert_close(routing.scores, LOGITS.sigmoid())


def test_a_bias_on_logits_chooses_others_than_one_on_scores():
    # logits 1, 3, 2, 0 and a bias of 2.5 for expert 3: 2.5 is second best of the logits, best of the sigmoids
    bias = torch.tensor([0.0, 0.0, 0.0, 2.5])
    on_score = route(LOGITS, 1, score="sigmoid", bias=bias, renorm=False)
    on_logit = route(LOGITS, 1, score="sigmoid", bias=bias, renorm=False, select_on="logit")
    torch.testing.assert_close(on_score.combine, torch.tensor([[0, 0, 0, 0.5]]))
    torch.testing.assert_close(on_logit.combine, torch.tensor([[0, 0.952574, 0, 0]]), atol=2e-6, rtol=0)


def test_groups_on_logits_compare_logits():
    # softmax favours the pair with the one large logit, the sum of logits the pair of two middling ones
    logits = torch.tensor([[4.0, -9.0, 2.0, 2.0]])
    options = {"n_groups": 2, "topk_groups": 1, "renorm": False}
    assert route(logits, 1, **options).expert_ids.tolist() == [0]
    assert route(logits, 1, select_on="logit", **options).expert_ids.tolist() == [2]


def test_groups_filled_with_zero_win_over_negatives():
    # experts 0 and 1 are the open group, but both are worth less than 0
    options = {"score": "sigmoid", "bias": torch.tensor([-1.0, -1, -3, -3]), "n_groups": 2, "topk_groups": 1}
    assert route(LOGITS, 2, **options).expert_ids.tolist() == [0, 1]
    assert route(LOGITS, 2, group_fill="zero", **options).expert_ids.tolist() == [2, 3]


def test_logits_of_the_record_are_those_that_were_given():
    """So that routing again with the same options gives the same."""
    options = {"score": "sigmoid", "logit_scale": 0.3, "logit_softcap": 1.0}
    routing = route(LOGITS, 2, **options)
    assert torch.equal(routing.logits, LOGITS)
    assert torch.equal(route(routing.logits, 2, **options).combine, routing.combine)


def test_group_value_decides_which_groups_are_open():
    # groups (0, 1), (2, 3), (4, 5): best single score in the first, best pair in the second
    scores = torch.tensor([[0.9, 0.1, 0.8, 0.7, 0.3, 0.2]])
    logits = scores.logit()
    options = {"score": "sigmoid", "renorm": False, "n_groups": 3, "topk_groups": 1}
    by_max = route(logits, 2, group_score="max", **options)
    by_pair = route(logits, 2, group_score="top2sum", **options)
    torch.testing.assert_close(by_max.combine, torch.tensor([[0.9, 0.1, 0, 0, 0, 0]]))
    torch.testing.assert_close(by_pair.combine, torch.tensor([[0, 0, 0.8, 0.7, 0, 0]]))


def test_closed_groups_stay_closed_when_all_biased_scores_are_negative():
    # masked with 0 instead of −inf, the closed group's experts would beat every open one
    routing = route(randn(40, 6), 2, score="sigmoid", bias=torch.full((6,), -5.0), n_groups=2, topk_groups=1)
    groups = routing.top_k[1] // 3
    assert torch.equal(groups[:, 0], groups[:, 1])
    value = routing.scores.view(40, 2, 3).topk(2).values.sum(-1)  # the same bias everywhere changes no order
    assert torch.equal(groups[:, 0], value.argmax(dim=1))


@pytest.mark.parametrize(("n_groups", "topk_groups", "k"), [(4, 1, 2), (2, 3, 2), (2, 0, 1), (3, 2, 5)])
def test_experts_that_groups_cannot_give_are_refused(n_groups, topk_groups, k):
    message = f"k={k} experts cannot come from the best {topk_groups} of {n_groups} equal groups of 4 experts"
    with pytest.raises(ValueError, match=message):
        route(LOGITS, k, n_groups=n_groups, topk_groups=topk_groups)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"score": "relu"}, r"score is 'relu', expected one of \('softmax', 'sigmoid', 'sqrtsoftplus'\)"),
        ({"select_on": "z"}, r"select_on is 'z', expected one of \('score', 'logit'\)"),
        ({"group_fill": "0"}, r"group_fill is '0', expected one of \('-inf', 'zero'\)"),
        ({"order": "topk"}, r"order is 'topk', expected one of \('score_first', 'topk_first'\)"),
        ({"group_score": "sum"}, r"group_score is 'sum', expected one of \('max', 'top2sum'\)"),
        ({"order": "topk_first", "bias": torch.zeros(4)}, "bias and n_groups are defined on scores"),
        ({"order": "topk_first", "n_groups": 2}, "bias and n_groups are defined on scores"),
    ],
)
def test_unknown_or_contradicting_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        route(LOGITS, 2, **options)


@pytest.mark.parametrize("score", ["sigmoid", "sqrtsoftplus"])
def test_weights_stay_finite_when_every_score_is_zero(score):
    routing = route(torch.full((2, 4), -300.0), 2, score=score)
    assert routing.scores.max() == 0 and torch.equal(routing.weights, torch.zeros(4))


# ---- a function passed in --------------------------------------------------------------------------------------------


def test_function_passed_in_replaces_choice_and_weights():
    def last_two(scores, k):
        assert scores.shape == (3, 4) and k == 2
        return torch.full((3, 2), 0.5), torch.tensor([[3, 2]] * 3)

    routing = route(randn(3, 4), 2, top_k_fn=last_two, routed_scale=3.0)
    assert routing.combine.tolist() == [[0, 0, 1.5, 1.5]] * 3


def test_function_passed_in_cannot_change_the_scores():
    def careless(scores, k):
        result = top_k_route(scores, k)
        scores.zero_()
        return result

    logits = randn(3, 4)
    torch.testing.assert_close(route(logits, 2, top_k_fn=careless).scores, logits.softmax(dim=-1))


GOOD = torch.full((3, 2), 0.5), torch.tensor([[0, 1]] * 3)


@pytest.mark.parametrize(
    ("returned", "error", "message"),
    [
        (None, TypeError, "must return two tensors, weights and expert_ids; it returned NoneType"),
        (GOOD[0], TypeError, "must return two tensors, weights and expert_ids; it returned Tensor"),
        ((*GOOD, GOOD[0]), TypeError, "must return two tensors"),
        ((GOOD[0].tolist(), GOOD[1]), TypeError, "must return two tensors"),
        ((GOOD[0][:, :1], GOOD[1]), ValueError, r"weights have shape \(3, 1\), expected \(N, k\) = \(3, 2\)"),
        ((GOOD[0], GOOD[1].T), ValueError, r"expert_ids have shape \(2, 3\), expected \(N, k\) = \(3, 2\)"),
        ((GOOD[1], GOOD[0]), TypeError, "weights are torch.int64, expected floating-point numbers"),
        ((GOOD[0], GOOD[1].float()), TypeError, "expert_ids are torch.float32, expected torch.int64"),
        ((GOOD[0], GOOD[1].bool()), TypeError, "expert_ids are torch.bool, expected torch.int64"),
        ((GOOD[0], GOOD[1] + 3), ValueError, "expert_ids run from 3 to 4, but experts are 0 to 3"),
        ((GOOD[0], GOOD[1] - 1), ValueError, "expert_ids run from -1 to 0, but experts are 0 to 3"),
        ((GOOD[0], torch.tensor([[0, 1], [2, 2], [3, 3]])), ValueError, "token 1 got expert 2 twice; the k experts"),
    ],
)
def test_wrong_return_is_refused_with_what_came(returned, error, message):
    with pytest.raises(error, match="top_k_fn.*" + message):
        route(randn(3, 4), 2, top_k_fn=lambda scores, k: returned)


def test_narrow_integers_are_good_expert_ids():
    routing = route(randn(3, 4), 2, top_k_fn=lambda scores, k: (GOOD[0], GOOD[1].to(torch.int32)))
    assert routing.expert_ids.dtype == torch.int64 and routing.load.tolist() == [3, 3, 0, 0]


# ---- Router ----------------------------------------------------------------------------------------------------------


def small_router(n_experts: int = 5, d_model: int = 6, **options) -> Router:
    router = Router(d_model, n_experts, 2, **options)
    with torch.no_grad():
        router.weight.copy_(randn(n_experts, d_model, seed=3))
    return router


def test_router_scores_by_dot_products():
    router, x = small_router(layer=4), randn(2, 3, 6)
    mask = torch.tensor([[True, True, True], [True, False, False]])
    routing = router(x, token_mask=mask)
    torch.testing.assert_close(routing.logits, x.view(6, 6) @ router.weight.T)
    assert routing.batch_shape == (2, 3) and routing.layer == 4 and routing.n_tokens == 6
    assert routing.token_mask.tolist() == mask.flatten().tolist()


def test_router_takes_a_plain_row_of_tokens():
    routing = small_router()(randn(7, 6))
    assert routing.n_tokens == 7 and routing.batch_shape == (1, 7)


def test_top_k_can_be_changed_for_one_call():
    router, x = small_router(), randn(2, 3, 6)
    assert router(x, top_k=4).top_k[1].shape == (6, 4)
    assert router(x).top_k[1].shape == (6, 2)


def test_router_computes_in_float32_under_bfloat16_autocast():
    router, x = small_router(32, 64), randn(1, 400, 64)
    expected = router(x)
    rounded = (x.bfloat16() @ router.weight.bfloat16().T).float()[0]  # what autocast would compute
    assert not torch.equal(top_k_stable(rounded, 2)[1], top_k_stable(expected.logits, 2)[1])  # it would change choices
    with torch.autocast("cpu", dtype=torch.bfloat16):
        routing = router(x)
    assert routing.logits.dtype == routing.scores.dtype == routing.weights.dtype == torch.float32
    assert torch.equal(routing.logits, expected.logits)
    assert torch.equal(routing.expert_ids, expected.expert_ids)


def test_bfloat16_router_still_computes_in_float32():
    router, x = small_router(32, 64).bfloat16(), randn(1, 50, 64).bfloat16()
    routing = router(x)
    torch.testing.assert_close(routing.logits, x[0].float() @ router.weight.float().T)
    assert routing.logits.dtype == torch.float32


def test_jitter_multiplies_each_feature_by_a_factor_near_one():
    router = Router(4, 4, 2, jitter=0.1)
    with torch.no_grad():
        router.weight.copy_(torch.eye(4))  # the logits are the router's input
    x = randn(1, 500, 4)
    factor = router(x, generator=generator(1)).logits / x[0]
    assert 0.9 <= factor.min() < 0.91 and 1.09 < factor.max() <= 1.1
    torch.testing.assert_close(factor.mean(), torch.tensor(1.0), atol=0.01, rtol=0)


def test_jitter_repeats_with_its_generator_and_is_off_in_evaluation():
    router, x = small_router(jitter=0.1), randn(1, 9, 6)
    before = x.clone()
    first, again, other = (router(x, generator=generator(seed)).logits for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(x, before)
    router.eval()
    assert torch.equal(router(x, generator=generator(1)).logits, small_router()(x).logits)


def test_selection_bias_is_a_buffer_that_no_gradient_reaches():
    router = small_router(selection_bias=True, score="sigmoid")
    assert dict(router.named_buffers())["bias"].tolist() == [0.0] * 5
    assert [name for name, _ in router.named_parameters()] == ["weight"]
    router.bias[3] = 10.0
    routing = router(randn(1, 9, 6))
    assert routing.load[3] == 9
    routing.combine[:, 3].sum().backward()
    assert router.weight.grad.abs().sum() > 0 and router.bias.grad is None


def test_router_bias_is_trained_and_part_of_the_logits():
    router, x = small_router(router_bias=True), randn(1, 9, 6)
    with torch.no_grad():
        router.logit_bias.copy_(torch.tensor([0.0, 0, 0, 50, 0]))
    routing = router(x)
    torch.testing.assert_close(routing.logits, x[0] @ router.weight.T + router.logit_bias)
    assert routing.load[3] == 9 and (routing.combine[:, 3] > 0.99).all()  # it chooses and weighs
    router.logit_bias.data.zero_()
    router(x).combine[:, 3].sum().backward()
    assert router.logit_bias.grad.abs().sum() > 1e-3
