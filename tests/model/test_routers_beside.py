"""Routers of their own kind (moe_lite/model/routers): by hand, equal to transformers, and trained in a small model."""

import json
import types
import warnings

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from small import generator, randn, random_ids, small_config, small_corpora, small_model
from torch import Tensor, nn
from transformers.models.inkling import modeling_inkling as inkling
from transformers.models.longcat_flash import modeling_longcat_flash as longcat
from transformers.models.phimoe import modeling_phimoe as phimoe
from transformers.models.zaya import modeling_zaya as zaya

from moe_lite import checkpoint
from moe_lite.evaluate import evaluate, load_table
from moe_lite.lessons.dispatch import sparse_forward
from moe_lite.model.config import ModelConfig
from moe_lite.model.moe import moe_layer
from moe_lite.model.routers import ROUTERS
from moe_lite.model.routers.sparse_mixer import nearly_best
from moe_lite.model.routing import route
from moe_lite.model.transformer import build_moe_layer, build_router
from moe_lite.train import TrainConfig, train

CLOSE = {"atol": 1e-5, "rtol": 1e-5}
KINDS = {
    "hash": {"router": "hash"},
    "hash with weight 1": {"router": "hash", "top_k": 1},
    "sparse_mixer": {"router": "sparse_mixer", "renorm": False, "jitter": 0.1},
    "normed": {"router": "normed"},
    "competing_shared": {"router": "competing_shared", "n_shared_experts": 2, "score": "sigmoid"},
    "mlp": {"router": "mlp", "router_width": 6, "renorm": False, "top_k": 1, "selection_bias": True},
    "zero experts": {"n_zero_experts": 3, "renorm": False, "selection_bias": True},
    "router_bias": {"router_bias": True},
}


def filled(module: nn.Module, seed: int = 30, scale: float = 0.5) -> nn.Module:
    with torch.no_grad():
        for offset, parameter in enumerate(module.parameters()):
            parameter.copy_(scale * randn(*parameter.shape, seed=seed + offset))
    return module.eval()


# ---- every kind, in a model ------------------------------------------------------------------------------------------


def test_every_router_of_the_settings_is_tried_here_or_in_the_tests_of_balancing():
    assert {settings.get("router", "top_k") for settings in KINDS.values()} | {
        "noisy_top_k",
        "expert_choice",
        "expert_threshold",
    } == {*ROUTERS}


@pytest.mark.parametrize("kind", KINDS)
def test_a_small_model_learns(kind):
    model, ids = small_model(init_std=0.1, **KINDS[kind]), random_ids(4, 24)
    targets = torch.cat([ids[:, 1:], torch.full((4, 1), -100)], dim=1)
    optimizer, noise, losses = torch.optim.Adam(model.parameters(), lr=0.01), generator(), []
    for _ in range(25):
        output = model(ids, targets, generator=noise)
        optimizer.zero_grad()
        output.loss.backward()
        optimizer.step()
        losses.append(output.cross_entropy.item())
    assert all(loss == loss for loss in losses) and losses[-1] < losses[0] - 1.0
    without = {name for name, p in model.named_parameters() if p.grad is None or p.grad.abs().max() == 0}
    learns_nothing = {f"blocks.{i}.feed_forward.router.weight" for i in range(3)}
    assert without <= (learns_nothing if kind == "hash with weight 1" else set())


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_text_is_generated_with_what_the_whole_pass_gives(kind):
    """Token by token, with the cache, as at once: what a router reads is there in both."""
    model, ids = small_model(**KINDS[kind]).eval(), random_ids(1, 6)
    tokens = torch.stack([token for token, _ in model.generate(ids, 5, temperature=0)], dim=1)
    whole = torch.cat([ids, tokens], dim=1)
    assert torch.equal(model(whole).logits[:, 5:-1].argmax(dim=-1), tokens)


@pytest.mark.parametrize("kind", KINDS)
def test_model_survives_being_saved(kind, tmp_path):
    model, ids = small_model(seed=3, **KINDS[kind]).eval(), random_ids(2, 9)
    again = checkpoint.load(checkpoint.save(tmp_path / "m.safetensors", model))
    assert torch.equal(again(ids).logits, model(ids).logits)


def test_model_saved_before_there_were_these_settings_loads_with_their_defaults(tmp_path):
    model, new = (
        small_model(score="sigmoid"),
        {"logit_scale", "select_on", "router_bias", "n_zero_experts", "router_width"},
    )
    path = checkpoint.save(tmp_path / "m.safetensors", model)
    tensors = load_file(path)
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()[checkpoint.FORMAT])
    assert new <= header["model"].keys()
    header["model"] = {name: value for name, value in header["model"].items() if name not in new}
    save_file(tensors, path, metadata={checkpoint.FORMAT: json.dumps(header)})
    again = checkpoint.load(path)
    assert again.config == model.config
    assert torch.equal(again(random_ids(1, 5)).logits, model.eval()(random_ids(1, 5)).logits)


@pytest.mark.parametrize("kind", KINDS)
def test_trainer_moves_biases_and_measures(kind):
    model = small_model(**KINDS[kind])
    bias_step = 0.01 if model.config.selection_bias else 0.0
    logs = list(train(model, small_corpora(), TrainConfig(steps=3, batch_size=2, length=16, bias_step=bias_step)))
    assert logs[-1].load.shape == (3, model.config.n_choices) and logs[-1].cross_entropy == logs[-1].cross_entropy
    if model.config.selection_bias:
        before = build_router(model.config).bias
        assert (model.blocks[0].feed_forward.router.bias - before).abs().max() > 1e-4
    assert evaluate(model, small_corpora(), length=16, max_windows=1).load.shape == (3, model.config.n_choices)


@pytest.mark.parametrize("kind", KINDS)
def test_loads_have_a_column_for_each_choice(kind):
    model = small_model(**KINDS[kind]).eval()
    output = model(random_ids(2, 9))
    assert load_table(output, model).shape == (3, model.config.n_choices)
    assert (load_table(output, model).sum(dim=1) == 18 * model.config.top_k).all()


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_both_implementations_of_the_experts_agree(kind):
    ids = random_ids(2, 9)
    fast, loop = (small_model(implementation=way, **KINDS[kind]).eval()(ids).logits for way in ("sorted", "loop"))
    torch.testing.assert_close(fast, loop, **CLOSE)


# ---- hash ------------------------------------------------------------------------------------------------------------


def test_hash_sends_a_token_to_the_same_experts_wherever_it_stands():
    model = small_model(router="hash").eval()
    ids = torch.tensor([[7, 8, 7, 9, 7], [9, 7, 1, 2, 3]])
    chosen = [routing.top_k[1].sort().values.view(2, 5, 2) for routing in model(ids).routing]
    for layer, of_layer in enumerate(chosen):
        table = model.blocks[layer].feed_forward.router.table
        assert torch.equal(of_layer, table[ids].sort(dim=-1).values)
    assert not torch.equal(chosen[0], chosen[1])  # another table in each layer
    assert (model.blocks[0].feed_forward.router.table.sort().values.diff() > 0).all()  # no expert twice for a token


def test_hash_weighs_by_learned_scores_and_with_one_expert_not_at_all(recwarn):
    config = small_config(router="hash", score="sqrtsoftplus", routed_scale=1.5)
    router = filled(build_router(config))
    x, ids = randn(1, 9, 16), random_ids(1, 9)
    scores = torch.nn.functional.softplus(x[0] @ router.weight.T).sqrt()
    weights = scores.gather(1, router.table[ids[0]])
    expected = torch.zeros(9, 5).scatter(1, router.table[ids[0]], 1.5 * weights / weights.sum(dim=1, keepdim=True))
    torch.testing.assert_close(router(x, token_ids=ids).combine, expected)
    alone = filled(build_router(small_config(router="hash", top_k=1)))
    assert (alone(x, token_ids=ids).weights == 1).all() and not recwarn


def test_hash_says_what_it_needs():
    router = filled(build_router(small_config(router="hash")))
    with pytest.raises(ValueError, match="router='hash' chooses by the token itself: call it with token_ids"):
        router(randn(1, 9, 16))
    with pytest.raises(ValueError, match="top_k is 3, but the table of router='hash' has 2 experts a token"):
        router(randn(1, 9, 16), token_ids=random_ids(1, 9), top_k=3)
    assert router(randn(1, 9, 16), token_ids=random_ids(1, 9), top_k=1).top_k[1].shape == (9, 1)


# ---- sparse mixer ----------------------------------------------------------------------------------------------------


def test_sparse_mixer_by_hand():
    # within 2 · 0.1 of the larger size: (4 − z) / 4 ≤ 0.2 for 4 and 3.5; then, without 4, (3.5 − z) / 3.5 ≤ 0.2: 3.5, 3
    logits = torch.tensor([[4.0, 3.5, 3.0, 1.0]])
    router = filled(build_router(small_config(d_model=8, n_experts=4, router="sparse_mixer", renorm=False, jitter=0.1)))
    router.logits = lambda flat: logits
    # e^4 / (e^4 + e^3.5) = 1 / (1 + e^-0.5), and the same again for 3.5 beside 3
    torch.testing.assert_close(router(randn(1, 1, 8)).combine, torch.tensor([[0.622459, 0.622459, 0, 0]]))
    near = nearly_best(logits, logits, 0.1)
    assert near.isinf().tolist() == [[False, False, True, True]]


def mixers(seed: int = 0, jitter: float = 0.3) -> tuple[nn.Module, Tensor]:
    """Our router with random weights, and the logits that it gives to random input, as a leaf."""
    router = filled(build_router(small_config(n_experts=6, router="sparse_mixer", renorm=False, jitter=jitter)), seed)
    return router, router.logits(randn(400, 16, seed=seed)).detach().requires_grad_()


def test_sparse_mixer_in_training_draws_and_weighs_as_phimoe(monkeypatch):
    """First choices are equal, for both draw the same numbers; the gradients as well, where the second choice is."""
    router, z = mixers()
    ours, z_ours = router.train(), z.detach().clone().requires_grad_()
    ours.logits = lambda flat: z_ours
    torch.manual_seed(5)
    routing = ours(randn(1, 400, 16))
    torch.manual_seed(5)
    weights, expert_ids = phimoe.sparsemixer(z, 0.3, training=True)
    theirs = torch.zeros(400, 6).scatter(1, expert_ids, weights)
    assert torch.equal(routing.combine != 0, theirs != 0)
    assert (expert_ids[:, 0] != z.argmax(dim=1)).sum() > 20  # it did draw
    first = expert_ids[:, :1]
    torch.testing.assert_close(routing.combine.gather(1, first), theirs.gather(1, first), atol=1e-4, rtol=1e-4)
    # the class draws once more before the second choice's coin, so there the factor 1 or 1/3 may be the other one
    second = expert_ids[:, 1:]
    share = routing.combine.gather(1, second) / theirs.gather(1, second)
    assert {round(value, 2) for value in share.flatten().tolist()} <= {0.33, 1.0, 3.0}
    target = randn(400, 6, seed=9)
    (routing.combine * target).sum().backward()
    (theirs * target).sum().backward()
    torch.testing.assert_close(z_ours.grad, z.grad, **CLOSE)
    assert z.grad.abs().max() > 0.1


def test_sparse_mixer_repeats_with_its_generator_and_draws_in_training_only():
    router = filled(build_router(small_config(router="sparse_mixer", renorm=False, jitter=0.5)), scale=0.1).train()
    x = randn(1, 50, 16)
    first, again, other = (router(x, generator=generator(seed)).combine for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    router.eval()
    assert torch.equal(router(x, generator=generator(1)).combine, router(x, generator=generator(2)).combine)


# ---- normed ----------------------------------------------------------------------------------------------------------


def test_normed_sees_directions_and_scales_each_expert():
    router = filled(build_router(small_config(router="normed", norm_eps=1e-9)))
    x = randn(1, 9, 16)
    routing = router(x)
    torch.testing.assert_close(router(7 * x).combine, routing.combine)  # length does not count
    unit = x[0] / x[0].norm(dim=1, keepdim=True)
    torch.testing.assert_close(routing.logits, (unit * router.input_scale) @ router.weight.T)
    plain = route(routing.logits, 2).combine
    torch.testing.assert_close(routing.combine, plain * router.expert_scale)


# ---- competing shared experts ----------------------------------------------------------------------------------------

INKLING = {"router": "competing_shared", "n_shared_experts": 2, "score": "sigmoid", "selection_bias": True}


def test_chosen_and_shared_weights_share_one_sum():
    router = filled(build_router(small_config(routed_scale=8.0, **INKLING)))
    routing = router(randn(1, 9, 16))
    total = routing.combine.sum(dim=1) + routing.shared_weights.sum(dim=1)
    torch.testing.assert_close(total, 8 * router.global_scale.expand(9))
    with torch.no_grad():
        router.shared_weight[:, 0] = -1e4
    x = randn(1, 9, 16).abs()
    assert router(x).shared_weights.max() == 0  # turned down: the chosen ones have it all
    torch.testing.assert_close(router(x).combine.sum(dim=1), 8 * router.global_scale.expand(9))


@torch.no_grad()
def test_layer_with_competing_shared_experts_equals_that_of_inkling():
    config = inkling.InklingTextConfig(
        hidden_size=16, moe_intermediate_size=12, n_routed_experts=6, num_experts_per_tok=2, n_shared_experts=2,
        route_scale=8.0,
    )  # fmt: skip
    theirs = filled(inkling.InklingMoE(config))
    theirs.gate.e_score_correction_bias.copy_(0.3 * randn(6, seed=5))
    layer = build_moe_layer(small_config(n_experts=6, routed_scale=8.0, **INKLING)).eval()
    gate, shared = theirs.gate, theirs.shared_experts
    layer.router.weight.copy_(gate.weight[:6])
    layer.router.shared_weight.copy_(gate.weight[6:])
    layer.router.global_scale.copy_(gate.global_scale)
    layer.router.bias.copy_(gate.e_score_correction_bias)
    layer.experts.gate_up.copy_(theirs.experts.gate_up_proj)
    layer.experts.down.copy_(theirs.experts.down_proj)
    layer.shared.gate_up.copy_(torch.cat([shared.gate_proj.flatten(0, 1), shared.up_proj.flatten(0, 1)]))
    layer.shared.down.copy_(shared.down_proj.transpose(0, 1).flatten(1))
    x = randn(2, 20, 16, seed=1)
    y, routing = layer(x)
    torch.testing.assert_close(y, theirs(x), atol=1e-4, rtol=1e-4)
    assert (y - moe_layer(x, lambda x: types.SimpleNamespace(**vars(routing) | {"shared_weights": None}),
                          layer.experts, layer.shared)[0]).abs().max() > 0.1  # fmt: skip


# ---- a router that is a network --------------------------------------------------------------------------------------

MLP = {"router": "mlp", "router_width": 6, "renorm": False, "selection_bias": True}
ZAYA = {
    "weight": "router_mlp.out_proj.weight", "narrow": "down_proj.weight", "narrow_bias": "down_proj.bias",
    "norm_scale": "router_mlp.norm.weight", "hidden.0": "router_mlp.fc1.weight", "hidden.1": "router_mlp.fc2.weight",
    "hidden_bias.0": "router_mlp.fc1.bias", "hidden_bias.1": "router_mlp.fc2.bias",
    "memory_scale": "router_states_scale", "bias": "balancing_biases",
}  # fmt: skip


@torch.no_grad()
def test_layer_with_an_mlp_router_equals_that_of_zaya():
    config = zaya.ZayaConfig(
        hidden_size=16, moe_intermediate_size=12, num_experts=5, num_experts_per_tok=1, router_hidden_size=6,
        rms_norm_eps=1e-5,
    )  # fmt: skip
    theirs = filled(zaya.ZayaSparseMoeBlock(config, layer_idx=1), scale=1.0)
    theirs.gate.balancing_biases.copy_(0.2 * randn(6, seed=5))
    layer = build_moe_layer(small_config(top_k=1, **MLP), layer=1).eval()
    state = theirs.gate.state_dict()
    layer.router.load_state_dict({ours: state[name] for ours, name in ZAYA.items()})
    layer.experts.gate_up.copy_(theirs.experts.gate_up_proj)
    layer.experts.down.copy_(theirs.experts.down_proj)
    x, memory = randn(2, 40, 16, seed=1), randn(2, 40, 6, seed=2)
    y, routing = layer(x, before=types.SimpleNamespace(state=memory.flatten(0, 1)))
    expected, carried = theirs(x, memory)
    torch.testing.assert_close(y, expected, **CLOSE)
    torch.testing.assert_close(routing.state.view(2, 40, 6), carried, **CLOSE)
    skips = (routing.expert_ids == 5).sum()
    assert 0 < skips < 80 and skips == (~routing.kept).sum()
    assert (y.flatten(0, 1)[routing.token_ids[~routing.kept]] == 0).all()  # who skips gets nothing
    assert (layer(x)[0] - expected).abs().max() > 0.1  # the memory counts


def test_state_is_handed_from_layer_to_layer_with_its_gradient():
    model = small_model(**MLP)
    output = model(random_ids(2, 9))
    first, second = output.routing[0].state, output.routing[1].state
    assert first.shape == (18, 6) and not torch.equal(first, second)
    routers = [block.feed_forward.router for block in model.blocks]
    assert routers[0].memory_scale is None and routers[1].memory_scale is not None
    output.routing[2].logits.square().sum().backward()
    assert routers[0].narrow.grad.abs().max() > 1e-6


def test_skipping_begins_with_a_bias_against_it():
    assert build_router(small_config(**MLP)).bias.tolist() == [0, 0, 0, 0, 0, -1]
    assert build_router(small_config(**MLP | {"selection_bias": False})).bias is None


# ---- zero experts ----------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_layer_with_zero_experts_equals_that_of_longcat_flash():
    config = longcat.LongcatFlashConfig(
        hidden_size=16, expert_ffn_hidden_size=12, n_routed_experts=5, moe_topk=3, zero_expert_num=4,
        routed_scaling_factor=6.0,
    )  # fmt: skip
    theirs = filled(longcat.LongcatFlashMoE(config))
    theirs.router.e_score_correction_bias.copy_(0.1 * randn(9, seed=5))
    settings = {"n_zero_experts": 4, "top_k": 3, "renorm": False, "routed_scale": 6.0, "selection_bias": True}
    x = randn(2, 20, 16, seed=1)
    for way in ("sorted", "loop"):
        layer = build_moe_layer(small_config(implementation=way, **settings)).eval()
        layer.router.weight.copy_(theirs.router.classifier.weight)
        layer.router.bias.copy_(theirs.router.e_score_correction_bias)
        layer.experts.gate_up.copy_(theirs.experts.gate_up_proj[:5])
        layer.experts.down.copy_(theirs.experts.down_proj)
        y, routing = layer(x)
        torch.testing.assert_close(y, theirs(x), **CLOSE)
        torch.testing.assert_close(layer(x[:1, :1])[0], theirs(x[:1, :1]), **CLOSE)  # one token: the short way
    assert 20 < (routing.expert_ids >= 5).sum() < 100  # 120 assignments, of both kinds


def test_zero_experts_give_the_token_back_with_their_weight():
    layer = build_moe_layer(small_config(n_zero_experts=2, renorm=False))
    with torch.no_grad():
        layer.router.weight.zero_()
        layer.router.weight[5:] = 1.0  # both zero experts, alike
        layer.experts.gate_up.fill_(torch.nan)
        layer.experts.down.fill_(torch.nan)  # no other expert may be run
    x = randn(1, 4, 16).abs()
    weight = layer(x)[1].combine[:, 5:].sum(dim=1)
    torch.testing.assert_close(layer(x)[0][0], weight[:, None] * x[0])


# ---- what does not go together ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"router": "hash", "selection_bias": True}, "router='hash' does nothing with selection_bias=True"),
        ({"router": "hash", "order": "topk_first"}, "router='hash' does nothing with order='topk_first'"),
        ({"router": "hash", "jitter": 0.1}, "router='hash' does nothing with jitter=0.1"),
        ({"router": "sparse_mixer", "jitter": 0.1}, "weighs each choice on its own: renorm must be False"),
        ({"router": "sparse_mixer", "renorm": False}, "router='sparse_mixer' needs jitter"),
        (KINDS["sparse_mixer"] | {"score": "sigmoid"}, "router='sparse_mixer' does nothing with score='sigmoid'"),
        ({"router": "competing_shared", "score": "sigmoid"}, "it needs n_shared_experts of at least 1, renorm=True"),
        ({"router": "competing_shared", "n_shared_experts": 1}, "and a score other than 'softmax'"),
        (KINDS["competing_shared"] | {"renorm": False}, "divides by the sum over chosen and shared experts"),
        (KINDS["mlp"] | {"capacity_factor": 1.0}, "router='mlp' lets tokens skip, so capacity_factor must be None"),
        (KINDS["mlp"] | {"jitter": 0.1}, "router='mlp' does nothing with jitter=0.1"),
        ({"n_zero_experts": 1, "capacity_factor": 1.0}, "n_zero_experts=1 needs a router that takes the best of all"),
        ({"n_zero_experts": 1, "router": "hash"}, "n_zero_experts=1 needs a router that takes the best of all"),
    ],
)
def test_contradiction_is_named(settings, message):
    with warnings.catch_warnings(), pytest.raises(ValueError, match=message):
        warnings.simplefilter("ignore")
        ModelConfig(**settings)


@pytest.mark.parametrize("kind", ["mlp", "zero experts"])
def test_function_for_the_experts_is_refused_where_some_compute_nothing(kind):
    with pytest.raises(ValueError, match="dispatch_fn knows no experts that compute nothing"):
        small_model(dispatch_fn=sparse_forward, **KINDS[kind])


def test_function_for_the_layer_is_refused_where_shared_experts_have_weights():
    with pytest.raises(ValueError, match="layer_fn knows nothing of the weights that router='competing_shared'"):
        small_model(layer_fn=lambda x, router, experts, shared: None, **KINDS["competing_shared"])
