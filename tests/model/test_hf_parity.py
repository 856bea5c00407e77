"""The maths is that of the published models: equal to `transformers` with the same weights, in parts and as a whole."""

from dataclasses import fields

import pytest
import torch
from small import randn, random_ids, small_model
from torch import Tensor, nn
from transformers.models.deepseek_v2 import modeling_deepseek_v2 as deepseek_v2
from transformers.models.deepseek_v3 import modeling_deepseek_v3 as deepseek_v3
from transformers.models.ernie4_5_moe import modeling_ernie4_5_moe as ernie
from transformers.models.gpt_oss import modeling_gpt_oss as gpt_oss
from transformers.models.granitemoe import modeling_granitemoe as granite
from transformers.models.jamba import modeling_jamba as jamba
from transformers.models.llama4 import modeling_llama4 as llama4
from transformers.models.mixtral import modeling_mixtral as mixtral
from transformers.models.olmoe import modeling_olmoe as olmoe
from transformers.models.qwen2_moe import modeling_qwen2_moe as qwen2
from transformers.models.qwen3_moe import modeling_qwen3_moe as qwen3

from moe_lite.hf import FREE, tensors_by_name, twin
from moe_lite.lessons.dispatch import sparse_forward
from moe_lite.model.balance import load_balancing_loss, switch_loss
from moe_lite.model.config import ModelConfig
from moe_lite.model.experts import Experts, SwiGLU
from moe_lite.model.moe import MoELayer, moe_layer
from moe_lite.model.routing import Router, Routing, route, top_k_route
from moe_lite.model.transformer import MoELanguageModel, build_moe_layer

CLOSE = {"atol": 1e-5, "rtol": 1e-5}

# ---- whole models ----------------------------------------------------------------------------------------------------


MODELS = {
    "Mixtral": {},
    "Mixtral, top-1": {"top_k": 1},
    "Mixtral, every expert": {"top_k": 5},
    "Mixtral, one key and value head": {"n_kv_heads": 1, "rope_theta": 500.0, "norm_eps": 1e-3},
    "Llama": {"n_experts": 1},
    "OLMoE": {"qk_norm": "full", "renorm": False},
    "OLMoE, one key and value head": {"qk_norm": "full", "n_kv_heads": 1, "norm_eps": 1e-3},
    "Qwen3-MoE": {"qk_norm": "head"},
    "Qwen3-MoE, weights as they are": {"qk_norm": "head", "renorm": False},
}


def strange_norms(model: MoELanguageModel) -> MoELanguageModel:
    """Norms with weights of their own: those of a fresh model are all 1, and could stand in each other's place."""
    with torch.no_grad():
        for seed, parameter in enumerate(p for p in model.parameters() if p.dim() == 1):
            parameter.copy_(1 + 0.3 * randn(*parameter.shape, seed=seed))
    return model


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_logits_equal_those_of_transformers(name):
    model, ids = strange_norms(small_model(**MODELS[name])).eval(), random_ids(3, 30)
    expected = twin(model)(ids).logits
    assert expected.abs().max() > 1  # the weights are large enough for a difference to show
    torch.testing.assert_close(model(ids).logits, expected, **CLOSE)


@pytest.mark.parametrize("name", ["Mixtral", "Llama", "OLMoE", "Qwen3-MoE"])
def test_loss_and_gradients_equal_those_of_transformers(name):
    model = strange_norms(small_model(balance_coef=0.0, z_coef=0.0, **MODELS[name]))
    ids = random_ids(3, 20)
    targets = torch.cat([ids[:, 1:], torch.full((3, 1), -100)], dim=1)  # transformers shifts the labels itself
    other = twin(model)
    output, expected = model(ids, targets), other(ids, labels=ids)
    torch.testing.assert_close(output.loss, expected.loss, **CLOSE)
    output.loss.backward()
    expected.loss.backward()
    found = tensors_by_name(model, of=lambda parameter: parameter.grad)
    for parameter_name, parameter in other.named_parameters():
        torch.testing.assert_close(found[parameter_name], parameter.grad, **CLOSE)


@pytest.mark.parametrize("top_k", [1, 2, 3])
def test_auxiliary_loss_of_one_layer_is_k_times_ours(top_k):
    model = small_model(n_layers=1, top_k=top_k, balance_coef=0.5 * top_k, z_coef=0.0)
    other = twin(model, output_router_logits=True, router_aux_loss_coef=0.5)
    ids = random_ids(3, 20)
    targets = torch.cat([ids[:, 1:], torch.full((3, 1), -100)], dim=1)
    output, expected = model(ids, targets), other(ids, labels=ids)
    torch.testing.assert_close(top_k * output.balance_loss, expected.aux_loss, **CLOSE)
    torch.testing.assert_close(output.loss, expected.loss, **CLOSE)  # coefficient c there is K · c here


@torch.no_grad()
def test_router_logits_and_auxiliary_losses_agree_layer_by_layer_with_padding():
    model, ids = small_model().eval(), random_ids(2, 20)
    mask = torch.arange(20) < torch.tensor([[20], [11]])
    output = model(ids, token_mask=mask)
    expected = twin(model)(ids, attention_mask=mask.long(), output_router_logits=True)
    for routing, logits in zip(output.routing, expected.router_logits, strict=True):
        real = mask.flatten()
        torch.testing.assert_close(routing.logits[real], logits[real], **CLOSE)
        theirs = mixtral.load_balancing_loss_func((logits,), 5, 2, mask.long())
        torch.testing.assert_close(2 * switch_loss([routing]), theirs, **CLOSE)


@pytest.mark.parametrize(
    "change",
    [{"score": "sigmoid"}, {"renorm": False}, {"routed_scale": 2.5}, {"n_groups": 5}, {"selection_bias": True}]
    + [{"gate_on": "input"}, {"n_shared_experts": 1}, {"capacity_factor": 1.0}, {"jitter": 0.1}]
    + [
        {"n_zero_experts": 1},
        {"n_dense_layers": 1},
        {"expert": "relu2"},
        {"expert_clamp": 7.0},
        {"expert_bias": True},
        {"d_latent": 8},
        {"renorm_eps": 1e-6},
        {"logit_scale": 0.5},
        {"logit_softcap": 2.0},
        {"router_bias": True},
    ],
    ids=lambda change: next(iter(change)),
)
def test_model_that_mixtral_cannot_be_has_no_twin(change):
    ((name, value),) = change.items()
    with pytest.raises(ValueError, match=f"{name} is {value!r}, but Mixtral's is"):
        twin(small_model(top_k=1, **change))


def test_every_setting_is_free_or_refused():
    """A new setting is refused by itself unless it is named in FREE, where its kind decides."""
    go_with_another = {
        "router",
        "router_width",
        "priority",
        "allow_lookahead",
        "topk_groups",
        "group_score",
        "select_on",
        "group_fill",
        "shared_gate",
        "shared_average",
        "d_dense",
        "threshold_memory",
        "threshold_warmup",
    }
    refused = {"score", "renorm", "routed_scale", "n_groups", "selection_bias", "gate_on", "n_shared_experts"}
    refused |= {"capacity_factor", "jitter", "renorm_eps", "logit_scale", "logit_softcap", "router_bias"}
    refused |= {"n_zero_experts", "n_dense_layers", "expert", "expert_clamp", "expert_bias", "d_latent"}
    # each of these is tried above
    refused |= {"qk_norm"}  # where the other settings are not those of the layout with such norms: tests/hf
    assert {f.name for f in fields(ModelConfig)} == FREE | refused | go_with_another


def test_model_with_a_function_of_ones_own_has_no_twin():
    with pytest.raises(ValueError, match="top_k_fn replaces the choice of this model"):
        twin(small_model(top_k_fn=top_k_route))
    with pytest.raises(ValueError, match="dispatch_fn computes this model's experts"):
        twin(small_model(dispatch_fn=sparse_forward))
    with pytest.raises(ValueError, match="layer_fn computes this model's layers"):
        twin(small_model(layer_fn=lambda x, router, experts, shared: moe_layer(x, router, experts, shared)))


@torch.no_grad()
def test_twin_generates_as_long_as_it_is_asked():
    """No token of ours ends a text, whatever number other vocabularies give to their end."""
    model, ids = small_model().eval(), random_ids(1, 4)
    model.head.weight.zero_()
    model.head.weight[2] = 100 * model.norm.weight  # token 2, the end of Llama's texts, is always the likeliest
    theirs = twin(model).generate(ids, max_new_tokens=6, do_sample=False, pad_token_id=0)
    ours = torch.stack([token for token, _ in model.generate(ids, 6, temperature=0)], dim=1)
    assert theirs.shape == (1, 10) and torch.equal(theirs[:, 4:], ours)


@pytest.mark.parametrize("changes", [{}, {"renorm": False}, {"qk_norm": "full", "renorm": False}], ids=str)
@torch.no_grad()
def test_choosing_before_scoring_is_mixtral_too(changes):
    """A softmax over the chosen logits sums to 1, whether it is renormalised or not."""
    model, ids = small_model(order="topk_first", **changes).eval(), random_ids(3, 30)
    torch.testing.assert_close(model(ids).logits, twin(model)(ids).logits, **CLOSE)


@torch.no_grad()
def test_twin_has_weights_of_its_own():
    model, ids = small_model().eval(), random_ids(1, 5)
    other = twin(model)
    before = other(ids).logits
    model.head.weight.zero_()
    torch.testing.assert_close(other(ids).logits, before, atol=0, rtol=0)


@pytest.mark.parametrize(("n_experts", "k"), [(4, 1), (8, 2), (64, 8)])
def test_loss_function_of_transformers_counts_per_token(n_experts, k):
    logits = randn(50, n_experts)
    routing = route(logits, k)
    theirs = mixtral.load_balancing_loss_func((logits,), n_experts, k)
    ours = load_balancing_loss(routing.scores, routing.expert_ids)
    torch.testing.assert_close(theirs, k * ours, **CLOSE)
    per_token = load_balancing_loss(routing.scores, routing.expert_ids, count="per_token")
    torch.testing.assert_close(theirs, per_token, **CLOSE)


# ---- the families' routers -------------------------------------------------------------------------------------------

N, D, E = 200, 16, 12


def table(weights: Tensor, expert_ids: Tensor) -> Tensor:
    """(N, K) pairs -> the dense (N, E) matrix: some routers leave the order inside the k open."""
    return torch.zeros(len(weights), E).scatter(1, expert_ids, weights.float())


def family(config_class, router_class, k: int, **settings) -> nn.Module:
    """A router of `transformers` with random weights. Attributes in `settings` are set on its configuration."""
    config = config_class()
    for name, value in ({"hidden_size": D, "num_experts_per_tok": k} | settings).items():
        setattr(config, name, value)
    for name in ("num_experts", "num_local_experts", "n_routed_experts"):
        setattr(config, name, E)
    router = router_class(config)
    with torch.no_grad():
        for seed, parameter in enumerate(router.parameters()):
            parameter.copy_(randn(*parameter.shape, seed=10 + seed))
    return router.eval()


FAMILIES = {
    # name: (router of transformers, k, our options)
    "Mixtral": (lambda: family(mixtral.MixtralConfig, mixtral.MixtralTopKRouter, 2), 2, {}),
    "Qwen2-MoE": (
        lambda: family(qwen2.Qwen2MoeConfig, qwen2.Qwen2MoeTopKRouter, 4, norm_topk_prob=False),
        4,
        {"renorm": False},
    ),
    "Qwen3-MoE": (lambda: family(qwen3.Qwen3MoeConfig, qwen3.Qwen3MoeTopKRouter, 4, norm_topk_prob=True), 4, {}),
    "OLMoE": (lambda: family(olmoe.OlmoeConfig, olmoe.OlmoeTopKRouter, 8), 8, {"renorm": False}),
    "Jamba": (lambda: family(jamba.JambaConfig, jamba.JambaTopKRouter, 2), 2, {"renorm": False}),
    "Granite": (lambda: family(granite.GraniteMoeConfig, granite.GraniteMoeTopKRouter, 3), 3, {"order": "topk_first"}),
    "gpt-oss": (lambda: family(gpt_oss.GptOssConfig, gpt_oss.GptOssTopKRouter, 4), 4, {"order": "topk_first"}),
    "DeepSeek-V2": (
        lambda: family(
            deepseek_v2.DeepseekV2Config, deepseek_v2.DeepseekV2TopkRouter, 3,
            topk_method="group_limited_greedy", n_group=4, topk_group=2, routed_scaling_factor=16.0,
        ),
        3,
        {"renorm": False, "routed_scale": 16.0, "n_groups": 4, "topk_groups": 2, "group_score": "max"},
    ),
    "DeepSeek-V2-Lite": (
        lambda: family(
            deepseek_v2.DeepseekV2Config, deepseek_v2.DeepseekV2TopkRouter, 6,
            topk_method="greedy", routed_scaling_factor=1.0,
        ),
        6,
        {"renorm": False},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAMILIES)
@torch.no_grad()
def test_router_equals_that_of_the_family(name):
    make, k, options = FAMILIES[name]
    router, x = make(), randn(N, D, seed=1)
    logits, weights, expert_ids = router(x)
    if name == "gpt-oss":  # its logits carry a trained bias, which is used in both choice and weights
        torch.testing.assert_close(logits, x @ router.weight.T + router.bias)
    else:
        torch.testing.assert_close(our_router(router.weight, k).eval()(x).logits, logits.float())
    routing = route(logits.float(), k, **options)
    torch.testing.assert_close(routing.combine, table(weights, expert_ids), atol=1e-6, rtol=1e-6)


@torch.no_grad()
def test_groups_of_deepseek_v2_can_be_configured():
    make, k, options = FAMILIES["DeepSeek-V2"]
    theirs, x = make(), randn(N, D, seed=1)
    expected = table(*theirs(x)[1:])

    def ours(**changes):
        config = ModelConfig(d_model=D, n_heads=2, n_experts=E, top_k=k, **(options | changes))
        router = build_moe_layer(config).router
        router.weight.copy_(theirs.weight)
        return router(x).combine

    torch.testing.assert_close(ours(), expected, atol=1e-6, rtol=1e-6)
    assert not torch.allclose(ours(group_score="top2sum"), expected, atol=1e-3)


def our_router(weight: Tensor, k: int, **options) -> Router:
    router = Router(D, E, k, **options)
    with torch.no_grad():
        router.weight.copy_(weight)
    return router


@pytest.mark.parametrize(("n_groups", "topk_groups"), [(1, 1), (4, 2), (3, 1)])
@pytest.mark.parametrize("renorm", [True, False])
@pytest.mark.parametrize("shift", [0.0, -3.0])  # biased scores that are all negative: a mask of 0 would win
@torch.no_grad()
def test_router_equals_that_of_deepseek_v3(n_groups, topk_groups, renorm, shift):
    router = family(
        deepseek_v3.DeepseekV3Config, deepseek_v3.DeepseekV3TopkRouter, 3,
        n_group=n_groups, topk_group=topk_groups, norm_topk_prob=renorm, routed_scaling_factor=2.5,
    )  # fmt: skip
    router.e_score_correction_bias.copy_(0.3 * randn(E, seed=5) + shift)
    ours = our_router(
        router.weight, 3, score="sigmoid", renorm=renorm, routed_scale=2.5, n_groups=n_groups, topk_groups=topk_groups,
        selection_bias=True,
    )  # fmt: skip
    ours.bias.copy_(router.e_score_correction_bias)
    x = randn(N, D, seed=1)
    _, weights, expert_ids = router(x)
    routing = ours(x)
    torch.testing.assert_close(routing.combine, table(weights, expert_ids), atol=1e-6, rtol=1e-6)
    unbiased = routing.scores.topk(3).indices.sort().values
    assert not torch.equal(unbiased, expert_ids.sort().values)  # the bias did change choices


@torch.no_grad()
def test_router_equals_that_of_ernie():
    router = family(ernie.Ernie4_5_MoeConfig, ernie.Ernie4_5_MoeTopKRouter, 4, moe_num_experts=E, moe_k=4)
    ours = our_router(router.weight, 4, selection_bias=True)
    ours.bias.copy_(router.moe_statics.e_score_correction_bias.squeeze())
    x = randn(N, D, seed=1)
    _, weights, expert_ids = router(x)
    torch.testing.assert_close(ours(x).combine, table(weights, expert_ids), atol=1e-6, rtol=1e-6)


@torch.no_grad()
def test_router_equals_that_of_llama_4():
    router = family(llama4.Llama4TextConfig, llama4.Llama4Router, 1)
    x = randn(N, D, seed=1)
    scores, _ = router(x)  # (N, E), sigmoid(−inf) = 0 where not chosen
    routing = our_router(router.weight, 1, score="sigmoid", order="topk_first", renorm=False)(x)
    torch.testing.assert_close(routing.combine, scores, atol=1e-6, rtol=1e-6)


# ---- whole layers ----------------------------------------------------------------------------------------------------

F = 10


def filled(module: nn.Module) -> nn.Module:
    with torch.no_grad():
        for seed, parameter in enumerate(module.parameters()):
            parameter.copy_(0.5 * randn(*parameter.shape, seed=30 + seed))
    return module.eval()


def our_layer(router: Router, theirs: nn.Module, shared: nn.Module, *, transposed: bool, gate_on: str) -> MoELayer:
    experts, own = Experts(E, D, F), SwiGLU(D, F)
    turn = (lambda t: t.mT) if transposed else (lambda t: t)
    with torch.no_grad():
        experts.gate_up.copy_(turn(theirs.gate_up_proj))
        experts.down.copy_(turn(theirs.down_proj))
        own.gate_up.copy_(torch.cat([shared.gate_proj.weight, shared.up_proj.weight]))
        own.down.copy_(shared.down_proj.weight)
    return MoELayer(router, experts, own, gate_on=gate_on).eval()


@torch.no_grad()
def test_layer_with_gate_on_input_equals_that_of_llama_4():
    config = llama4.Llama4TextConfig(
        hidden_size=D, intermediate_size=F, num_local_experts=E, num_experts_per_tok=1, intermediate_size_mlp=F
    )
    theirs = filled(llama4.Llama4TextMoe(config))
    router = our_router(theirs.router.weight, 1, score="sigmoid", order="topk_first", renorm=False)
    layer = our_layer(router, theirs.experts, theirs.shared_expert, transposed=True, gate_on="input")
    x = randn(2, 50, D, seed=1)
    expected = theirs(x)[0].view(2, 50, D)
    torch.testing.assert_close(layer(x)[0], expected, **CLOSE)
    layer.gate_on = "output"
    assert (layer(x)[0] - expected).abs().max() > 0.1


@torch.no_grad()
def test_layer_equals_that_of_deepseek_v3():
    config = deepseek_v3.DeepseekV3Config(
        hidden_size=D, moe_intermediate_size=F, n_routed_experts=E, num_experts_per_tok=3, n_shared_experts=1,
        n_group=4, topk_group=2, norm_topk_prob=True, routed_scaling_factor=2.5,
    )  # fmt: skip
    theirs = filled(deepseek_v3.DeepseekV3MoE(config))
    theirs.gate.e_score_correction_bias.copy_(0.3 * randn(E, seed=5))
    router = our_router(
        theirs.gate.weight, 3, score="sigmoid", routed_scale=2.5, n_groups=4, topk_groups=2, selection_bias=True
    )
    router.bias.copy_(theirs.gate.e_score_correction_bias)
    layer = our_layer(router, theirs.experts, theirs.shared_experts, transposed=False, gate_on="output")
    x = randn(2, 50, D, seed=1)
    y, routing = layer(x)
    assert isinstance(routing, Routing) and routing.load.sum() == 300
    torch.testing.assert_close(y, theirs(x), **CLOSE)
