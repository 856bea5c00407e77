"""One sparse layer: route, drop, compute, add the shared expert (moe_lite/model/moe.py)."""

import pytest
import torch
from small import generator, randn, random_ids, small_config, small_model

from moe_lite.model.experts import SwiGLU, swiglu
from moe_lite.model.moe import MoELayer, moe_layer
from moe_lite.model.routing import Router, route
from moe_lite.model.transformer import build_moe_layer


def small_layer(**changes) -> MoELayer:
    layer = build_moe_layer(small_config(**changes), layer=2)
    with torch.no_grad():
        for seed, parameter in enumerate(layer.parameters()):
            parameter.copy_(0.3 * randn(*parameter.shape, seed=seed))
    return layer


X = randn(3, 8, 16, seed=20)  # B, T, D; N = 24 tokens


def test_layer_is_its_parts_in_order():
    layer = small_layer(n_shared_experts=2)
    y, routing = layer(X)
    flat = X.view(24, 16)
    torch.testing.assert_close(y, (layer.experts(flat, layer.router(X)) + layer.shared(flat)).view(3, 8, 16))
    assert (routing.layer, routing.batch_shape, routing.n_tokens) == (2, (3, 8), 24)
    assert isinstance(layer.shared, SwiGLU) and layer.shared.down.shape == (16, 2 * 12)


def test_gate_of_the_shared_experts_weighs_their_answer_with_one_number_per_token():
    layer = small_layer(n_shared_experts=2, shared_gate=True)
    flat = X.view(24, 16)
    plain = swiglu(flat, layer.shared.gate_up, layer.shared.down)  # (N, D)
    weight = 1 / (1 + torch.exp(-flat @ layer.shared.gate[0]))  # (N,)
    routed = layer.experts(flat, layer.router(X))
    torch.testing.assert_close(layer(X)[0].view(24, 16), routed + weight[:, None] * plain)
    assert weight.min() < 0.4 and weight.max() > 0.6
    layer(X)[0].square().sum().backward()
    assert layer.shared.gate.grad.abs().max() > 1e-3


def test_average_is_half_of_what_is_added():
    layer, added = (small_layer(n_shared_experts=1, shared_average=average) for average in (True, False))
    torch.testing.assert_close(layer(X)[0], added(X)[0] / 2)
    with pytest.raises(ValueError, match="layer_fn adds .* expected shared_average=False"):
        build_moe_layer(small_config(n_shared_experts=1, shared_average=True), layer_fn=moe_layer)


def test_experts_at_a_lower_width_stand_between_two_matrices():
    layer = small_layer(d_latent=7)
    assert layer.experts.gate_up.shape == (5, 24, 7) and layer.experts.down.shape == (5, 7, 12)
    routing, flat = layer.router(X), X.view(24, 16)  # the router reads the whole token
    low = flat @ layer.experts.narrow.T  # (N, 7)
    each = torch.stack([swiglu(low, layer.experts.gate_up[e], layer.experts.down[e]) for e in range(5)], dim=1)
    expected = (routing.combine.unsqueeze(-1) * each).sum(dim=1) @ layer.experts.widen.T  # (N, D)
    torch.testing.assert_close(layer(X)[0].view(24, 16), expected)


def test_learners_own_parts_can_take_the_places():
    class EveryTokenToOne(torch.nn.Module):
        def forward(self, x, **options):
            return route(torch.eye(5)[1].expand(x[..., 0].numel(), 5), 1, batch_shape=tuple(x.shape[:2]))

    layer = small_layer()
    y, routing = MoELayer(EveryTokenToOne(), layer.experts)(X)
    assert routing.load.tolist() == [0, 24, 0, 0, 0]
    torch.testing.assert_close(y.view(24, 16), layer.experts(X.view(24, 16), routing))


def test_a_layer_function_passed_in_computes_every_layer_and_the_usual_one_gives_the_same():
    shapes = []

    def mine(x, router, experts, shared):
        shapes.append((tuple(x.shape), shared is not None))
        routing = router(x)
        flat = x.flatten(0, 1)
        return (experts(flat, routing) + shared(flat)).view(x.shape), routing

    ids, targets = random_ids(2, 7), random_ids(2, 7, seed=1)
    settings = {"n_shared_experts": 1, "capacity_factor": 0.5}  # what is dropped does not depend on whose layer it is
    model, own = small_model(layer_fn=mine, **settings), small_model(**settings)
    output, expected = model(ids, targets, top_k=3), own(ids, targets, top_k=3)
    assert shapes == [((2, 7, 16), True)] * 3 and not output.routing[0].kept.all()
    torch.testing.assert_close(output.loss, expected.loss)
    for each in (output, expected):
        each.loss.backward()
    for parameter, right in zip(model.parameters(), own.parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, right.grad)


@pytest.mark.parametrize(
    "layer_fn, came",
    [
        (lambda x, router, experts, shared: x, "a Tensor"),
        (lambda x, router, experts, shared: (x.flatten(0, 1), router(x)), r"\(14, 16\) and a Routing"),
        (lambda x, router, experts, shared: (x, None), r"\(2, 7, 16\) and a NoneType"),
    ],
)
def test_a_layer_function_that_returns_something_else_is_refused(layer_fn, came):
    with pytest.raises(ValueError, match=rf"layer_fn returned {came}, expected y \(B, T, D\) = \(2, 7, 16\)"):
        small_model(layer_fn=layer_fn)(random_ids(2, 7))


def test_a_layer_function_needs_experts_and_is_a_function():
    with pytest.raises(ValueError, match=r"layer_fn needs experts, but this model is dense"):
        small_model(layer_fn=moe_layer, n_experts=1, top_k=1)
    with pytest.raises(TypeError, match="layer_fn is a Tensor, expected a function of .*, not what it returns"):
        small_model(layer_fn=torch.zeros(3))


# ---- capacity --------------------------------------------------------------------------------------------------------


def test_capacity_holds_in_training_only():
    tight, loose = small_layer(capacity_factor=0.5), small_layer()
    y, routing = tight(X)
    assert routing.load_kept.max() == 5  # 0.5 · 24 · 2 / 5 = 4.8, rounded up
    assert not routing.kept.all() and not torch.equal(y, loose(X)[0])
    tight.eval()
    y, routing = tight(X)
    assert routing.kept.all() and torch.equal(y, loose(X)[0])


@pytest.mark.parametrize("implementation", ["sorted", "loop"])
def test_dropped_tokens_contribute_zero_and_the_kept_are_the_first_in_line(implementation):
    layer = small_layer(capacity_factor=0.5, implementation=implementation)
    with torch.no_grad():
        layer.router.weight.zero_()  # all alike: every token goes to experts 0 and 1, 5 find room at each
    y, routing = layer(X)
    assert routing.load.tolist() == [24, 24, 0, 0, 0] and routing.load_kept.tolist() == [5, 5, 0, 0, 0]
    y = y.view(24, 16)
    assert (y[:5].abs().sum(dim=1) > 0.01).all() and (y[5:] == 0).all()


def test_shared_expert_still_serves_a_dropped_token():
    layer = small_layer(capacity_factor=0.5, n_shared_experts=1)
    with torch.no_grad():
        layer.router.weight.zero_()
    y, _ = layer(X)
    torch.testing.assert_close(y.view(24, 16)[5:], layer.shared(X.view(24, 16)[5:]))


def test_residual_alone_carries_a_dropped_token_through_the_block():
    model = small_model(capacity_factor=1e-9)
    block, turn = model.blocks[0].train(), model.turns[:, : X.shape[1]]  # room for none
    with torch.no_grad():
        x = X + block.attention(block.attention_norm(X), None, 0, turn)
        y, routing = block(X, None, 0, turn)
    assert not routing.kept.any()
    assert torch.equal(y, x)


def test_room_is_shared_among_real_tokens_only():
    layer = small_layer(capacity_factor=0.5)
    mask = torch.arange(8) < torch.tensor([[8], [3], [5]])  # 16 of 24 tokens are real
    y, routing = layer(X, token_mask=mask)
    expected, without = layer(X[mask][None])
    assert routing.load.tolist() == without.load.tolist()
    assert routing.load_kept.tolist() == without.load_kept.tolist() and without.load_kept.max() == 4
    torch.testing.assert_close(y[mask], expected[0])  # 0.5 · 16 · 2 / 5 = 3.2, rounded up


def test_with_capacity_the_past_does_not_see_the_future():
    layer = small_layer(capacity_factor=0.6)
    x, changed = X[:1], torch.cat([X[:1, :5], randn(1, 3, 16, seed=30)], dim=1)
    (y, routing), (z, _) = layer(x), layer(changed)
    assert not routing.kept.all()
    torch.testing.assert_close(y[:, :5], z[:, :5])


# ---- jitter ----------------------------------------------------------------------------------------------------------


def test_jitter_reaches_the_router_and_not_the_experts():
    layer, clean = small_layer(jitter=0.3), X.clone()
    y, routing = layer(X, generator=generator(1))
    assert torch.equal(X, clean)
    assert not torch.equal(routing.logits, layer.router.eval()(X).logits)
    torch.testing.assert_close(y.view(24, 16), layer.experts(clean.view(24, 16), routing))


def test_evaluation_has_neither_jitter_nor_drops():
    layer = small_layer(jitter=0.3, capacity_factor=0.5).eval()
    first, again = layer(X), layer(X)
    assert torch.equal(first[0], again[0]) and torch.equal(first[1].logits, again[1].logits)
    assert first[1].kept.all()


def test_router_in_the_layer_is_built_from_the_config():
    layer = small_layer(
        n_experts=6, top_k=2, score="sigmoid", renorm=False, routed_scale=2.5, n_groups=3, topk_groups=2,
        jitter=0.1, selection_bias=True, gate_on="input", capacity_factor=1.5, implementation="loop",
    )  # fmt: skip
    router = layer.router
    assert isinstance(router, Router) and router.jitter == 0.1 and router.bias.shape == (6,)
    assert (layer.gate_on, layer.capacity, layer.experts.implementation) == ("input", 1.5, "loop")
    logits = layer.eval().router(X).logits
    options = {"score": "sigmoid", "renorm": False, "routed_scale": 2.5, "n_groups": 3, "topk_groups": 2}
    expected = route(logits, 2, bias=torch.zeros(6), **options)
    assert torch.equal(router(X).combine, expected.combine)
