"""Whole sparse layers of published models: with the same weights ours gives what the block of `transformers` gives.

The presets of moe_lite/families are what is compared, so that a description that says "not built: latent attention"
says the truth of all the rest of the layer.
"""

import importlib
from dataclasses import dataclass, field, replace

import pytest
import torch
from small import randn
from torch import Tensor, nn

from moe_lite import families
from moe_lite.model.config import ModelConfig
from moe_lite.model.moe import MoELayer
from moe_lite.model.transformer import build_moe_layer

pytestmark = pytest.mark.slow  # in sum: every family is a module of transformers

D, F, E, K, VOCABULARY = 16, 10, 12, 3, 40
SIZES = {
    "vocab_size": VOCABULARY, "d_model": D, "n_heads": 2, "n_kv_heads": 1, "n_experts": E, "top_k": K, "d_expert": F,
}  # fmt: skip
SAME, OTHER = 1e-5, 1e-3
WITHOUT_BIAS = {"selection_bias": False}
UNGROUPED = {"n_groups": 1, "topk_groups": 1, "group_fill": "-inf"}


@dataclass(frozen=True)
class Block:
    """A block of transformers, and how its settings and tensors must be for our preset to be the same."""

    name: str  # of the class
    controls: tuple[dict | str, ...]  # settings of ours, or a tensor put to zero: each must make a difference
    module: str = ""  # the family's name if it is another than ours
    config: str = ""  # the configuration; the one that is named after the family if empty
    settings: dict = field(default_factory=dict)  # of the configuration, beside sizes
    ours: dict = field(default_factory=dict)  # beside the preset's
    transposed: bool = False  # experts (E, in, out)
    interleaved: bool = False  # gates and ups by turns


V3 = {"n_group": 4, "topk_group": 2, "norm_topk_prob": True, "routed_scaling_factor": 2.5}
NO_GROUPS = V3 | {"n_group": 1, "topk_group": 1}
BLOCKS = {
    "mixtral": Block("MixtralSparseMoeBlock", ({"renorm": False},)),
    "dbrx": Block("DbrxFFN", ({"renorm": False},)),
    "jamba": Block("JambaSparseMoeBlock", ({"renorm": True},)),
    "qwen2_moe": Block("Qwen2MoeSparseMoeBlock", ({"shared_gate": False}, "shared.gate", {"renorm": True}),
                       settings={"norm_topk_prob": False}),
    "deepseek_v2": Block("DeepseekV2Moe", ({"group_score": "top2sum"}, "shared.down"), settings={
        "topk_method": "group_limited_greedy", "n_group": 4, "topk_group": 2, "routed_scaling_factor": 16.0}),
    "olmoe": Block("OlmoeSparseMoeBlock", ({"renorm": True},), settings={"norm_topk_prob": False}),
    "phimoe": Block("PhimoeSparseMoeBlock", ({"jitter": 0.3}, {"router": "top_k", "jitter": 0.0}), ours={"top_k": 2}),
    "granitemoe": Block("GraniteMoeMoE", ({"score": "sigmoid"},)),
    "deepseek_v3": Block("DeepseekV3MoE", (WITHOUT_BIAS, {"group_score": "max"}, "shared.down"), settings=V3),
    "llama4": Block("Llama4TextMoe", ({"gate_on": "output"}, "shared.down"), config="Llama4TextConfig",
                    ours={"top_k": 1}, transposed=True),
    "qwen3_moe": Block("Qwen3MoeSparseMoeBlock", ({"renorm": False},), settings={"norm_topk_prob": True}),
    "ernie4_5_moe": Block("Ernie4_5_MoeSparseMoeBlock", (WITHOUT_BIAS, "shared.down")),
    "hunyuan": Block("HunYuanMoEV1Moe", ({"renorm": False}, "shared.down"), module="hunyuan_v1_moe",
                     config="HunYuanMoEV1Config"),
    "flex_olmo": Block("FlexOlmoSparseMoeBlock", ({"renorm": True},), settings={"norm_topk_prob": False}),
    "kimi_k2": Block("DeepseekV3MoE", (WITHOUT_BIAS, {"routed_scale": 2.5}), module="deepseek_v3",
                     settings=NO_GROUPS | {"routed_scaling_factor": 2.827}),
    "glm4_moe": Block("Glm4MoeMoE", (WITHOUT_BIAS, {"routed_scale": 1.0}), settings=NO_GROUPS),
    "gpt_oss": Block(
        "GptOssMLP",
        ({"expert": "swiglu"}, {"expert_clamp": None}, {"expert_bias": False}, {"router_bias": False},
         "experts.down_bias"),
        settings={"swiglu_limit": 1.0}, ours={"expert_clamp": 1.0}, transposed=True, interleaved=True,
    ),
    # its router divides by K and its block multiplies by K again: the layer is gpt-oss's
    "openai_privacy_filter": Block(
        "OpenAIPrivacyFilterMLP", ({"routed_scale": 1 / K}, {"expert_clamp": None}, {"expert_bias": False}),
        settings={"swiglu_limit": 1.0}, ours={"expert_clamp": 1.0, "routed_scale": 1.0}, transposed=True,
    ),
    "longcat_flash": Block("LongcatFlashMoE", (WITHOUT_BIAS, {"routed_scale": 1.0}), settings={
        "zero_expert_num": 8, "routed_scaling_factor": 6.0, "expert_ffn_hidden_size": F}),
    "qwen3_next": Block("Qwen3NextSparseMoeBlock", ({"shared_gate": False}, "shared.gate", {"renorm": False}),
                        settings={"norm_topk_prob": True}),
    "minimax_m2": Block("MiniMaxM2SparseMoeBlock", (WITHOUT_BIAS, {"score": "softmax"})),
    "nemotron_h": Block(
        "NemotronHMoE", (WITHOUT_BIAS, "shared.down", "experts.narrow", {"routed_scale": 1.0}),
        settings=NO_GROUPS | {"moe_latent_size": 8}, ours={"d_latent": 8},
    ),
    "cohere2_moe": Block("Cohere2MoeSparseMoeBlock", ({"shared_average": False}, {"score": "sigmoid"}, "shared.down")),
    "deepseek_v4": Block("DeepseekV4SparseMoeBlock", ({"expert_clamp": None}, WITHOUT_BIAS, {"score": "sigmoid"}),
                         settings={"mlp_layer_types": ["moe"], "swiglu_limit": 1.0}, ours={"expert_clamp": 1.0}),
    "deepseek_v4_hash": Block("DeepseekV4SparseMoeBlock", ({"expert_clamp": None}, {"score": "sigmoid"}),
                              module="deepseek_v4", ours={"expert_clamp": 1.0},
                              settings={"mlp_layer_types": ["hash_moe"], "swiglu_limit": 1.0}),
    "minimax": Block("MiniMaxSparseMoeBlock", ({"renorm": False},)),
    "lfm2_moe": Block("Lfm2MoeSparseMoeBlock", (WITHOUT_BIAS, {"renorm": False, "renorm_eps": 0.0}), settings={
        "use_expert_bias": True, "norm_topk_prob": True, "routed_scaling_factor": 1.0}),
    "trinity": Block("AfmoeSparseMoeBlock", (WITHOUT_BIAS, "shared.down"), module="afmoe", settings={
        "route_norm": True, "route_scale": 1.0, "score_func": "sigmoid", "n_group": 1, "topk_group": 1}),
    "axk2": Block("AXK2MoE", (WITHOUT_BIAS, UNGROUPED, "shared.down"), settings=V3),
    "kolibri1": Block("Kolibri1SparseMoeBlock", ({"select_on": "score"}, "shared.down"), settings={
        "norm_topk_prob": False, "routed_scaling_factor": 1.0}),
    "laguna": Block("LagunaSparseMoeBlock", ({"logit_softcap": None}, WITHOUT_BIAS), settings={
        "moe_router_logit_softcapping": 2.0, "moe_routed_scaling_factor": 1.0, "norm_topk_prob": True}),
    "flint": Block("FlintSparseMoeBlock", ({"renorm": False}, "shared.down")),
    "mistral4": Block("Mistral4MoE", ({"score": "sigmoid"}, "shared.down"), settings=NO_GROUPS | {
        "routed_scaling_factor": 1.0}),
    "gemma4": Block(
        "Gemma4Parts", ({"expert": "swiglu"}, {"renorm": False}, {"router": "top_k"}, "shared.down"),
        config="Gemma4TextConfig", settings={"top_k_experts": K, "rms_norm_eps": 1e-5},
    ),
}  # fmt: skip
# their name -> ours, where the tensor is the same
NAMES = {
    **dict.fromkeys(("gate.weight", "router.weight", "router.layer.weight", "gate.wg.weight"), "router.weight"),
    "router.gate.weight": "router.weight",
    "router.classifier.weight": "router.weight", "router.bias": "router.logit_bias", "gate.tid2eid": "router.table",
    **{place + "e_score_correction_bias": "router.bias" for place in ("", "gate.", "gate.moe_statics.", "router.")},
    "expert_bias": "router.bias",
    "router.proj.weight": "router.weight", "router.scale": "router.input_scale",
    "router.per_expert_scale": "router.expert_scale",
    "shared_expert_gate.weight": "shared.gate", "experts.up_proj": "experts.gate_up",
    "fc1_latent_proj.weight": "experts.narrow", "fc2_latent_proj.weight": "experts.widen",
}  # fmt: skip


class Gemma4Parts(nn.Module):
    """What stands side by side in a layer of Gemma 4, which has no block for it; the norms around each are left out."""

    def __init__(self, config):
        super().__init__()
        parts = importlib.import_module("transformers.models.gemma4.modeling_gemma4")
        self.router, self.experts = parts.Gemma4TextRouter(config), parts.Gemma4TextExperts(config)
        self.shared = parts.Gemma4TextMLP(config, layer_idx=0)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)"""
        flat = x.flatten(0, -2)  # (N, D)
        _, weights, expert_ids = self.router(flat)
        return (self.experts(flat, expert_ids, weights) + self.shared(flat)).view_as(x)


def sizes(config: ModelConfig) -> dict[str, object]:
    """Settings of any configuration that say what our sizes say."""
    shared, n_shared = config.n_shared_experts * F, config.n_shared_experts
    return {
        **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"), E),
        **dict.fromkeys(("num_experts_per_tok", "moe_topk", "moe_k", "moe_top_k"), config.top_k),
        **dict.fromkeys(("moe_intermediate_size", "intermediate_size", "ffn_hidden_size"), F),
        **dict.fromkeys(("shared_expert_intermediate_size", "moe_shared_expert_intermediate_size"), shared),
        **dict.fromkeys(("n_shared_experts", "moe_num_shared_experts", "num_shared_experts"), n_shared),
        "hidden_size": D, "vocab_size": VOCABULARY, "_experts_implementation": "eager",
    }  # fmt: skip


def theirs(name: str) -> tuple[nn.Module, ModelConfig]:
    """The block with random weights, in evaluation mode, and our settings for the same layer."""
    block = BLOCKS[name]
    ours, family = families.preset(name, **(SIZES | block.ours)), block.module or name
    module = importlib.import_module(f"transformers.models.{family}.modeling_{family}")
    configs = importlib.import_module(f"transformers.models.{family}.configuration_{family}")
    kinds = {kind.lower().replace("_", ""): kind for kind in vars(configs)}
    config = getattr(configs, block.config or kinds[f"{family.replace('_', '')}config"])()
    for place in (config, getattr(config, "ffn_config", None)):
        for key, value in (sizes(ours) | block.settings).items():
            if hasattr(place, key):
                setattr(place, key, value)
    kind = Gemma4Parts if name == "gemma4" else getattr(module, block.name)
    made = kind(config, layer_idx=0) if name.startswith("deepseek_v4") else kind(config)
    with torch.no_grad():
        tensors = [*made.named_parameters(), *made.named_buffers()]
        for seed, (key, tensor) in enumerate(tensors):
            if tensor.is_floating_point():
                tensor.copy_(0.5 * randn(*tensor.shape, seed=30 + seed))
                if key.endswith(("correction_bias", "expert_bias")):
                    # low, so that biased scores can be negative; in axk2 the zeros of closed groups would then tie
                    tensor.mul_(0.6).sub_(0.0 if name == "axk2" else 0.8)
            else:  # a table of experts: all different in a row
                rows = [randn(E, seed=row).argsort()[: tensor.shape[1]] for row in range(len(tensor))]
                tensor.copy_(torch.stack(rows))
    return made.eval(), ours


def by_our_names(made: nn.Module, block: Block, config: ModelConfig) -> dict[str, Tensor]:
    """Its tensors as our layer calls and keeps them; all of them."""
    left = {name: t.detach() for name, t in [*made.named_parameters(), *made.named_buffers()]}
    found = {NAMES[name]: left.pop(name).squeeze() for name in [*left] if name in NAMES}
    for name in ("shared.gate", "router.weight"):
        if name in found:
            found[name] = found[name].view(-1, D)
    for name in [name for name in left if name.startswith("shared")]:
        part = {"gate_proj": "gate", "up_proj": "up", "down_proj": "shared.down"}[name.split(".")[1]]
        found[part] = left.pop(name)
    if "gate" in found or "up" in found:
        found["shared.gate_up"] = torch.cat([found.pop(part) for part in ("gate", "up") if part in found])
    if "experts.mlp.w1" in left:  # DBRX: experts one below the other, w2 transposed
        w1, v1, w2 = (left.pop(f"experts.mlp.{part}").view(E, F, D) for part in ("w1", "v1", "w2"))
        found |= {"experts.gate_up": torch.cat([w1, v1], dim=1), "experts.down": w2.mT}
    for name in [name for name in left if name.startswith("experts.")]:
        tensor, ours = left.pop(name)[:E], name.replace("_proj", "")  # LongCat keeps rows for experts that do nothing
        tensor = tensor.mT if block.transposed and tensor.dim() == 3 else tensor
        if block.interleaved and "gate_up" in name:
            tensor = torch.cat([tensor[:, ::2], tensor[:, 1::2]], dim=1)
        found[ours] = tensor
    assert not left, f"without a place in ours: {sorted(left)}"
    return found


def our_layer(config: ModelConfig, tensors: dict[str, Tensor]) -> MoELayer:
    layer = build_moe_layer(config, layer=1).eval()
    expected = layer.state_dict().keys()
    if surplus := {name for name in tensors if name not in expected}:  # a control leaves something out
        tensors = {name: t for name, t in tensors.items() if name not in surplus}
    layer.load_state_dict(tensors, strict=True)
    return layer


def output(layer: nn.Module, x: Tensor, ids: Tensor) -> Tensor:
    """(B, T, D) of one of ours, or of a block."""
    if isinstance(layer, MoELayer):
        return layer(x, token_ids=ids)[0]
    y = layer(x.clone(), ids) if getattr(layer, "is_hash", False) else layer(x.clone())
    return (y[0] if isinstance(y, tuple) else y).view_as(x)


@pytest.mark.parametrize("implementation", ["sorted", "loop"])
@pytest.mark.parametrize("name", BLOCKS)
@torch.no_grad()
def test_layer_equals_the_block_of_the_family(name, implementation):
    made, config = theirs(name)
    tensors = by_our_names(made, BLOCKS[name], config)
    x, ids = randn(2, 40, D, seed=1), torch.arange(80).view(2, 40) % VOCABULARY
    expected = output(made, x, ids)
    layer = our_layer(replace(config, implementation=implementation), tensors)
    assert layer.state_dict().keys() == tensors.keys()  # nothing of theirs was left out
    difference, largest = (output(layer, x, ids) - expected).abs().max().item(), expected.abs().max().item()
    print(f"{name}: {difference:.1e} of {largest:.3g}")
    rounding = 4 * torch.finfo(torch.float32).eps * largest  # of large numbers; processors add in different orders
    assert difference <= max(SAME, rounding) < OTHER and largest > 1
    for control in BLOCKS[name].controls if implementation == "sorted" else ():
        if isinstance(control, str):
            other = our_layer(config, tensors | {control: torch.zeros_like(tensors[control])})
        else:
            other = our_layer(replace(config, **control), tensors)
        moved = (output(other, x, ids) - expected).abs().max().item()
        print(f"    {control}: {moved:.2g}")
        assert moved > OTHER, control
