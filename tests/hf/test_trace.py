"""Which expert takes which token in models of transformers (moe_lite.hf.trace), and the viewers on them."""

from functools import lru_cache

import numpy as np
import pytest
import torch
import transformers
from families_small import COMMON, FAMILIES, family
from hf_models import CLOSE, model_for
from small import SENTENCE, model_with_opinions, random_ids
from torch import Tensor, nn

from moe_lite.hf import Viewable, trace, twin
from moe_lite.hf.watch import ROUTERS, routers_of
from moe_lite.model.routing import Routing, route
from moe_lite.widgets import GenerationViewer, TokenViewer

pytestmark = pytest.mark.slow  # in sum

IDS = random_ids(2, 24)
BIASED = [name for name in FAMILIES if FAMILIES[name][3]]
made = lru_cache(family)  # tests read them


def what_experts_got(model: nn.Module, ids: Tensor) -> list[Tensor]:
    """(N, E) for each sparse layer: the weight with which the module of the experts was asked for each token."""
    tables = []

    def by_number(experts, args, kwargs):
        x, expert_ids, weights = [*args, *kwargs.values()]
        table = torch.zeros(len(x), experts.num_experts)
        tables.append(table.scatter(1, expert_ids, weights.float()))

    def by_input(block, args, output):
        """Llama 4: every expert is handed every token, times its weight; 0 where it was not chosen."""
        x, n = args[0].flatten(0, -2), block.num_experts
        tables.append((inputs.pop().view(n, *x.shape) * x).sum(-1).T / (x * x).sum(-1, keepdim=True))

    inputs, handles = [], []
    for module in model.modules():
        name = type(module).__name__
        if name == "Llama4TextMoe":
            handles.append(module.experts.register_forward_pre_hook(lambda experts, args: inputs.append(args[0])))
            handles.append(module.register_forward_hook(by_input))
        elif name.endswith("Experts") and name != "Llama4TextExperts":
            handles.append(module.register_forward_pre_hook(by_number, with_kwargs=True))
    with torch.no_grad():
        model(input_ids=ids)
    for handle in handles:
        handle.remove()
    return tables


# ---- what is returned ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FAMILIES)
def test_routing_is_what_the_experts_were_asked_for(name):
    model, (_, _, layers, _) = made(name), FAMILIES[name]
    routings, tables = trace(model, IDS), what_experts_got(model, IDS)
    assert [routing.layer for routing in routings] == layers and len(tables) == len(layers)
    for routing, table in zip(routings, tables, strict=True):
        torch.testing.assert_close(routing.combine, table, atol=1e-6, rtol=1e-5)
        assert (routing.combine > 0).sum() == len(routing.token_ids) == routing.load.sum()
        assert routing.load.bool().sum() > 2  # more than one choice was made


@pytest.mark.parametrize("name", FAMILIES)
def test_record_is_like_one_of_ours(name):
    """Shapes, order and meaning of each field (`routing.Routing`)."""
    for routing in trace(made(name), IDS):
        assert isinstance(routing, Routing)
        assert routing.batch_shape == (2, 24) and routing.n_tokens == 48 and routing.kept.all()
        assert routing.logits.shape == routing.scores.shape == (48, routing.n_experts)
        assert routing.logits.dtype == torch.float32 and not routing.logits.requires_grad
        weights, expert_ids = routing.top_k
        assert weights.shape == expert_ids.shape == (48, routing.per_token[0])
        order = routing.expert_ids * 48 + routing.token_ids
        assert torch.equal(order, order.sort().values)  # by expert, then by token


@pytest.mark.parametrize("name", FAMILIES)
def test_logits_are_those_of_the_router(name):
    model = made(name)
    theirs = model(input_ids=IDS, output_router_logits=True).router_logits if name != "Llama 4" else None
    routings, ids = trace(model, IDS), IDS
    if theirs is None:  # returns none: the router's own matrix, then
        inputs = []
        handles = [r.register_forward_pre_hook(lambda r, a: inputs.append((r, a))) for r in routers_of(model).values()]
        model(input_ids=ids)
        [handle.remove() for handle in handles]
        theirs = [nn.functional.linear(args[0], router.weight) for router, args in inputs]
    for routing, logits in zip(routings, theirs, strict=True):
        torch.testing.assert_close(routing.logits, logits.float().view_as(routing.logits), **CLOSE)
        softmax = ROUTERS[type(next(iter(routers_of(model).values()))).__name__] is not torch.sigmoid
        scores = routing.logits.softmax(-1) if softmax else routing.logits.sigmoid()
        torch.testing.assert_close(routing.scores, scores)


@pytest.mark.parametrize("name", BIASED)
def test_recomputing_from_the_logits_would_give_other_experts(name):
    """The bias that chooses is not in the logits; without it the same rule chooses as the recomputing does."""
    _, _, _, bias = FAMILIES[name]
    model, options = family(name), {"score": "softmax" if name.startswith("ERNIE") else "sigmoid"}
    if name == "DeepSeek-V3":
        options |= {"n_groups": 4, "topk_groups": 2}
    for unset in (False, True):
        if unset:
            for place, tensor in [*model.named_buffers(), *model.named_parameters()]:
                if place.endswith(bias):
                    tensor.data.zero_()
        same = [
            torch.equal(routing.combine > 0, route(routing.logits, 2, **options).combine > 0)
            for routing in trace(model, IDS)
        ]
        assert all(same) if unset else not any(same)


def test_recomputing_would_miss_the_groups_of_deepseek_v2_too():
    """Three experts out of two groups: the three best of all need not be among those."""
    for routing in trace(made("DeepSeek-V2"), IDS):
        assert not torch.equal(routing.combine > 0, route(routing.logits, 3).combine > 0)
        grouped = route(routing.logits, 3, n_groups=4, topk_groups=2, group_score="max", renorm=False)
        torch.testing.assert_close(routing.combine, 16 * grouped.combine, **CLOSE)


def test_the_bias_of_gpt_oss_is_a_part_of_its_logits():
    for routing in trace(made("gpt-oss"), IDS):
        torch.testing.assert_close(routing.combine, route(routing.logits, 2, order="topk_first").combine, **CLOSE)


@pytest.mark.parametrize("layout", ["mixtral", "olmoe", "qwen3_moe"])
def test_our_model_and_its_twin_route_alike(layout):
    model = model_for(layout)
    with torch.no_grad():
        expected = model(IDS).routing
    for ours, theirs in zip(expected, trace(twin(model), IDS), strict=True):
        assert torch.equal(ours.token_ids, theirs.token_ids) and torch.equal(ours.expert_ids, theirs.expert_ids)
        assert (ours.layer, ours.batch_shape) == (theirs.layer, theirs.batch_shape)
        for name in ("weights", "logits", "scores", "combine"):
            torch.testing.assert_close(getattr(ours, name), getattr(theirs, name), **CLOSE)


def test_padding_is_left_out_of_loads():
    model, mask = twin(model_for("mixtral")), torch.arange(24) < torch.tensor([[24], [9]])
    (masked, *_), (alone, *_) = trace(model, IDS, mask), trace(model, IDS[1:, :9])
    assert masked.load.sum() == 2 * (24 + 9)
    torch.testing.assert_close(masked.combine[24:33], alone.combine, **CLOSE)


# ---- the model is left alone, and others are refused -----------------------------------------------------------------


def hooks_of(model: nn.Module) -> list:
    """transformers has some of its own, once it was asked for router_logits."""
    return [list(module._forward_hooks) for module in model.modules()]


@pytest.mark.parametrize("training", [True, False])
def test_mode_hooks_and_random_numbers_stay(training):
    model = family("Mixtral", router_jitter_noise=0.5).train(training)
    hooks = hooks_of(model)
    first, state = trace(model, IDS), torch.get_rng_state()
    assert torch.equal(trace(model, IDS)[1].combine, first[1].combine)  # no jitter
    assert model.training == training and torch.equal(torch.get_rng_state(), state)
    assert hooks_of(model) == hooks


def test_hooks_go_even_if_the_model_fails():
    model = made("Mixtral")
    hooks = hooks_of(model)
    with pytest.raises(IndexError):
        trace(model, IDS + 1000)
    with pytest.raises(ValueError, match=r"ids have shape \(24,\), expected \(B, T\)"):
        trace(model, IDS[0])
    assert hooks_of(model) == hooks


@pytest.mark.parametrize(
    ("ids", "mask", "error", "told"),
    [
        ("text", None, TypeError, r"ids: str came, expected a tensor \(B, T\)"),
        (IDS, [1], TypeError, r"token_mask: list came, expected a tensor \(B, T\)"),
        (IDS.float(), None, ValueError, "ids are torch.float32, expected token numbers, torch.int64"),
        (IDS[:, :0], None, ValueError, r"ids have shape \(2, 0\), expected \(B, T\) with at least one token"),
        (IDS[0], None, ValueError, r"ids have shape \(24,\), expected"),
        (IDS, torch.ones(2, 23), ValueError, r"token_mask has shape \(2, 23\), expected that of ids, \(2, 24\)"),
    ],
)
def test_ids_and_masks_that_cannot_be_are_refused(ids, mask, error, told):
    with pytest.raises(error, match=told):
        trace(made("Mixtral"), ids, mask)


def test_what_is_no_model_is_refused():
    with pytest.raises(TypeError, match="str came, expected a model of transformers"):
        trace("mixtral", IDS)


def test_model_without_a_router_is_refused_with_its_classes():
    told = "LlamaForCausalLM has no router that is known. Known are MixtralTopKRouter, .* LlamaAttention, .*LlamaMLP"
    with pytest.raises(ValueError, match=told):
        trace(twin(model_for("llama")), IDS)


def test_router_that_is_not_known_is_refused_with_its_class():
    kind = transformers.JambaForCausalLM
    sizes = {"num_experts": 4, "attn_layer_period": 1, "attn_layer_offset": 0, "intermediate_size": 12}
    config = kind.config_class(**(COMMON | sizes), use_mamba_kernels=False)
    told = "JambaForCausalLM has routers of a class that is not known, JambaTopKRouter. .*JambaAttention"
    with pytest.raises(ValueError, match=told):
        trace(kind(config), IDS)


def test_unknown_router_among_known_ones_is_not_passed_over():
    class FancyRouter(nn.Module):
        pass

    model = nn.Module()
    model.known, model.fancy = twin(model_for("mixtral")), FancyRouter()
    with pytest.raises(ValueError, match="class that is not known, FancyRouter"):
        trace(model, IDS)


@pytest.mark.parametrize("output", [torch.zeros(3, 6), (torch.zeros(3, 6), torch.zeros(3, 2), torch.zeros(3, 2))])
def test_router_that_returns_something_else_is_refused(output):
    class MixtralTopKRouter(nn.Module):
        def forward(self, x):
            return output

    model = nn.Module()
    model.router = MixtralTopKRouter()
    model.forward = lambda input_ids, **options: model.router(input_ids)
    with pytest.raises(ValueError, match="MixtralTopKRouter returned .*; expected logits .* another version"):
        trace(model, IDS)


# ---- the viewers -----------------------------------------------------------------------------------------------------


def same_routing(ours, theirs) -> None:
    assert np.array_equal(ours.experts, theirs.experts)
    np.testing.assert_allclose(ours.weights, theirs.weights, atol=1e-5)
    np.testing.assert_allclose(ours.scores, theirs.scores, atol=1e-5)


@pytest.mark.parametrize("text", [SENTENCE, SENTENCE * 9], ids=["short", "several windows"])
def test_token_viewer_shows_the_same_experts(text):
    model = model_with_opinions()
    ours, theirs = TokenViewer(model, text, layer=2), TokenViewer(Viewable(twin(model)), text, layer=2)
    assert theirs.error == {} and ours.routing.experts.std() > 1
    same_routing(ours.routing, theirs.routing)
    assert theirs.reading == ours.reading and theirs.routed == ours.routed


@pytest.mark.parametrize("name", ["DeepSeek-V3", "gpt-oss", "Llama 4"])
def test_token_viewer_shows_what_trace_found(name):
    model = family(name, vocab_size=2048)
    viewer = TokenViewer(Viewable(model), "Are we all met?")
    routings = trace(model, torch.tensor([viewer.shown_text.ids]))
    assert viewer.error == {} and len(viewer.routing.experts) == len(routings)
    for shown, routing in zip(viewer.routing.experts, routings, strict=True):
        assert np.array_equal(shown, routing.top_k[1].numpy())


def test_token_viewer_compares_before_and_after():
    before, after = model_with_opinions(), model_with_opinions()
    with torch.no_grad():
        after.blocks[0].feed_forward.router.weight.mul_(-1)
    ours = TokenViewer(after, SENTENCE, before=before)
    theirs = TokenViewer(Viewable(twin(after)), SENTENCE, before=Viewable(twin(before)))
    assert theirs.routed == ours.routed and theirs.routed_before == ours.routed_before
    assert theirs.reading == ours.reading


def test_what_only_our_routers_can_do_is_told_in_the_viewer():
    viewer = TokenViewer(Viewable(twin(model_with_opinions())), SENTENCE)
    before = viewer.routing
    viewer.muted = [3]
    assert "No expert can be muted here: the routers of a Viewable model are not ours." in str(viewer.error)
    viewer.muted = []
    assert viewer.error == {} and np.array_equal(viewer.routing.experts, before.experts)
    viewer.top_k = 3
    assert "top_k is 3; a model of transformers keeps its own, 2." in str(viewer.error)


def test_model_in_training_mode_is_shown_in_evaluation_mode():
    model = twin(model_with_opinions()).train()
    ours, theirs = TokenViewer(model_with_opinions(), SENTENCE), TokenViewer(Viewable(model).train(), SENTENCE)
    same_routing(ours.routing, theirs.routing)


def test_model_of_transformers_is_to_be_wrapped_for_the_viewers():
    model = twin(model_with_opinions())
    for viewer in (TokenViewer, GenerationViewer):
        with pytest.raises(TypeError, match=r"MixtralForCausalLM came.*Wrap it: moe_lite\.hf\.Viewable\(model\)"):
            viewer(model, SENTENCE)
        with pytest.raises(TypeError, match="str came, expected a MoELanguageModel.$"):
            viewer("a model", SENTENCE)


def test_model_of_ours_needs_no_wrapping():
    with pytest.raises(TypeError, match="MoELanguageModel came, Viewable expects .* takes? a model of ours as it is"):
        Viewable(model_with_opinions())
    with pytest.raises(TypeError, match="str came, Viewable expects a model of transformers.$"):
        Viewable("model")


def test_model_of_another_vocabulary_is_refused():
    with pytest.raises(ValueError, match="vocabulary has 61 tokens; the viewers show the course's 2,048"):
        Viewable(twin(model_for("mixtral")))


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_generation_viewer_shows_the_same_text_and_experts(temperature):
    model, settings = model_with_opinions(), {"n_tokens": 12, "temperature": temperature, "seed": 3}
    ours = GenerationViewer(model, "Are we all", **settings).run()
    theirs = GenerationViewer(Viewable(twin(model)), "Are we all", **settings).run()
    assert theirs.error == {} and theirs.state == "finished"
    assert theirs.generation.text == ours.generation.text and len(theirs.generation.made) == 12
    assert np.array_equal(theirs.generation.prompt_load, ours.generation.prompt_load)
    same_routing(ours.generation.routing, theirs.generation.routing)
