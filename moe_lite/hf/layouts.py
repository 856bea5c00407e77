"""Four published layouts that a model of ours can have: which settings they hold, and what they call keys and tensors.

mixtral    weights renormalised, queries and keys not normalised; experts are w1 (gate), w3 (up), w2 (down)
olmoe      queries and keys normalised over their full width
qwen3_moe  queries and keys normalised per head
llama      dense
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields

from torch import Tensor

from moe_lite.model.config import ModelConfig
from moe_lite.model.experts import SwiGLU
from moe_lite.model.moe import moe_layer
from moe_lite.model.transformer import MoELanguageModel

# Settings that every layout holds, or that say how the same values are computed, or which losses a training adds.
# All others must have the layout's value, which is `ModelConfig`'s default unless the layout says otherwise.
FREE = {
    "vocab_size", "n_layers", "d_model", "n_heads", "n_kv_heads", "context_length", "n_experts", "top_k", "d_expert",
    "implementation", "order", "balance", "balance_coef", "balance_batches", "z_coef", "rope_theta", "norm_eps",
    "init_std",
}  # fmt: skip
# Of the others, those without effect outside training; and those without effect in a dense model.
IN_TRAINING = {"jitter", "capacity_factor", "priority"}
OF_EXPERTS = {
    "router",
    "n_shared_experts",
    "shared_gate",
    "shared_average",
    "d_latent",
    "expert_bias",
    "selection_bias",
    "gate_on",
    "allow_lookahead",
    *IN_TRAINING,
}
SIZES = {
    "vocab_size": "vocab_size", "n_layers": "num_hidden_layers", "d_model": "hidden_size",
    "n_heads": "num_attention_heads", "n_kv_heads": "num_key_value_heads", "context_length": "max_position_embeddings",
    "norm_eps": "rms_norm_eps", "init_std": "initializer_range",
}  # fmt: skip
# What these architectures leave open and our model does not. No token of our vocabulary begins or ends a text.
FIXED = {"hidden_act": "silu", "tie_word_embeddings": False, "attention_dropout": 0.0}
NO_TOKENS = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}


@dataclass(frozen=True)
class Layout:
    """One layout. `keys` and `fixed` are those of its config.json beside SIZES and FIXED."""

    title: str
    architecture: str  # the class in transformers
    keys: dict[str, str]  # our field -> its key
    fixed: dict[str, object] = field(default_factory=dict)
    qk_norm: str = "none"
    sparse: bool = True
    renorm_key: str = ""  # "": weights are always renormalised
    block: str = "mlp"  # what a layer's feed-forward is called in files
    parts: tuple[str, str, str] = ("gate_proj", "up_proj", "down_proj")  # of an expert, in files


_EXPERTS = {"top_k": "num_experts_per_tok", "n_experts": "num_experts"}
LAYOUTS = {
    "mixtral": Layout(
        "Mixtral", "MixtralForCausalLM", _EXPERTS | {"n_experts": "num_local_experts", "d_expert": "intermediate_size"},
        fixed={"sliding_window": None, "router_jitter_noise": 0.0}, block="block_sparse_moe", parts=("w1", "w3", "w2"),
    ),
    "olmoe": Layout(
        "OLMoE", "OlmoeForCausalLM", _EXPERTS | {"d_expert": "intermediate_size"},
        fixed={"attention_bias": False, "clip_qkv": None}, qk_norm="full", renorm_key="norm_topk_prob",
    ),
    "qwen3_moe": Layout(
        "Qwen3-MoE", "Qwen3MoeForCausalLM", _EXPERTS | {"d_expert": "moe_intermediate_size"},
        fixed={"attention_bias": False, "use_sliding_window": False, "decoder_sparse_step": 1, "mlp_only_layers": []},
        qk_norm="head", renorm_key="norm_topk_prob",
    ),
    "llama": Layout(
        "Llama", "LlamaForCausalLM", {"d_expert": "intermediate_size"},
        fixed={"attention_bias": False, "mlp_bias": False}, sparse=False,
    ),
}  # fmt: skip


# ---- which layout ----------------------------------------------------------------------------------------------------


def choose(model: MoELanguageModel, layout: str | None = None, *, training: bool = False) -> str:
    """The name of the layout that holds `model`, or `layout` if that does.

    training: settings count that act in training only, such as jitter. Raises TypeError for what is no model of ours,
    and ValueError for a model that no layout holds, with the reason for each, and for one that computes with functions
    of one's own.
    """
    require_ours(model)
    if layout is not None and layout not in LAYOUTS:
        raise ValueError(f"layout is {layout!r}, expected one of {', '.join(LAYOUTS)}.")
    names = list(LAYOUTS) if layout is None else [layout]
    misfits = {name: misfit(LAYOUTS[name], model.config, training) for name in names}
    fitting = [name for name, reason in misfits.items() if not reason]
    if not fitting:
        head = f"The layout of {', '.join(LAYOUTS[name].title for name in names)} does not hold this model:"
        raise ValueError("\n  ".join([head, *misfits.values()]))
    _refuse_own_functions(model, LAYOUTS[fitting[0]].title)
    return fitting[0]


def require_ours(model: object) -> None:
    """TypeError unless `model` is one of ours, compiled or not."""
    if isinstance(getattr(model, "_orig_mod", model), MoELanguageModel):
        return
    hint = ""
    if isinstance(model, ModelConfig):
        hint = " MoELanguageModel(config) makes one."
    elif hasattr(model, "save_pretrained"):
        hint = " A model of transformers writes its own folder, model.save_pretrained(folder); hf.load reads it."
    raise TypeError(f"{type(model).__name__} came, expected a MoELanguageModel.{hint}")


def misfit(layout: Layout, config: ModelConfig, training: bool = False) -> str:
    """The first setting that the layout does not hold, in a sentence; "" if it holds them all."""
    if config.is_dense == layout.sparse:
        return f"n_experts is {config.n_experts}, but {layout.title} is {'sparse' if layout.sparse else 'dense'}."
    for f in fields(config):
        value, theirs = getattr(config, f.name), layout.qk_norm if f.name == "qk_norm" else f.default
        if f.name in FREE or (not training and f.name in IN_TRAINING):
            continue
        if config.is_dense and (f.name in OF_EXPERTS or f.metadata.get("to_route")):
            continue
        if f.name == "renorm" and (layout.renorm_key or sums_to_one(config)):
            continue
        if value != theirs:
            return f"{f.name} is {value!r}, but {layout.title}'s is {theirs!r}."
    return ""


def sums_to_one(config: ModelConfig) -> bool:
    """Whether a token's weights do: a softmax over the chosen logits needs no renormalising."""
    return config.renorm or config.order == "topk_first"


def _refuse_own_functions(model: MoELanguageModel, title: str) -> None:
    if model.config.is_dense:
        return
    layers = model.moe_layers
    used = {
        "top_k_fn": any(layer.router.options.get("top_k_fn") for layer in layers),
        "dispatch_fn": any(layer.experts.dispatch_fn for layer in layers),
        "layer_fn": any(layer.layer_fn is not moe_layer for layer in layers),
    }
    does = {
        "top_k_fn": "replaces the choice of this model", "dispatch_fn": "computes this model's experts",
        "layer_fn": "computes this model's layers",
    }  # fmt: skip
    for name in filter(used.get, used):
        raise ValueError(
            f"{name} {does[name]}, and {title} has only its own way. Put the weights into a MoELanguageModel that was "
            f"made without {name}: load_state_dict(model.state_dict())."
        )


# ---- config.json -----------------------------------------------------------------------------------------------------


def settings(name: str, config: ModelConfig) -> dict:
    """The keys of config.json, as published models of this layout write them."""
    layout = LAYOUTS[name]
    found = {"architectures": [layout.architecture], "model_type": name} | NO_TOKENS | FIXED | layout.fixed
    found |= {key: getattr(config, ours) for ours, key in (SIZES | layout.keys).items()}
    found["rope_theta"] = config.rope_theta
    if layout.sparse:
        # that loss is K times ours: K assignments per token are counted there, one here
        found |= {"router_aux_loss_coef": config.balance_coef / config.top_k, "output_router_logits": False}
    if layout.renorm_key:
        found[layout.renorm_key] = sums_to_one(config)
    if name == "qwen3_moe":  # published ones have both; no layer is dense, so the width of those does nothing
        found |= {"head_dim": config.d_head, "intermediate_size": config.d_expert}
    return found


# ---- tensors ---------------------------------------------------------------------------------------------------------


def tensors_by_name(
    model: MoELanguageModel, of: Callable[[Tensor], Tensor] = lambda parameter: parameter
) -> dict[str, Tensor]:
    """of(parameter) under the name that the parameter has in the memory of transformers: experts are stacked there."""
    tensors = {"model.embed_tokens.weight": model.embed.weight, "lm_head.weight": model.head.weight}
    tensors["model.norm.weight"] = model.norm.weight
    for layer, block in enumerate(model.blocks):
        prefix, attention, network = f"model.layers.{layer}.", block.attention, block.feed_forward
        parts = {"q_proj": attention.query, "k_proj": attention.key, "v_proj": attention.value, "o_proj": attention.out}
        if model.config.qk_norm != "none":
            parts |= {"q_norm": attention.query_norm, "k_norm": attention.key_norm}
        tensors |= {f"{prefix}self_attn.{name}.weight": part.weight for name, part in parts.items()}
        tensors[prefix + "input_layernorm.weight"] = block.attention_norm.weight
        tensors[prefix + "post_attention_layernorm.weight"] = block.feed_forward_norm.weight
        if isinstance(network, SwiGLU):
            tensors[prefix + "mlp.gate_up"], tensors[prefix + "mlp.down_proj.weight"] = network.gate_up, network.down
        else:
            tensors[prefix + "mlp.gate.weight"] = network.router.weight
            tensors[prefix + "mlp.experts.gate_up_proj"] = network.experts.gate_up
            tensors[prefix + "mlp.experts.down_proj"] = network.experts.down
    tensors = {name: of(parameter) for name, parameter in tensors.items()}
    for name in [name for name in tensors if name.endswith("mlp.gate_up")]:  # Llama keeps the halves apart
        gate, up = tensors.pop(name).chunk(2)
        prefix = name.removesuffix("gate_up")
        tensors |= {prefix + "gate_proj.weight": gate, prefix + "up_proj.weight": up}
    return tensors


def published(tensors: Mapping[str, Tensor], layout: Layout) -> dict[str, Tensor]:
    """The same under the names of published files, where every expert has its own three tensors; nothing is copied.

    Tensors that have these names already keep them.
    """
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        name = name.replace(".mlp.", f".{layout.block}.")
        pieces = {name: tensor}
        if tensor.dim() == 3 and name.endswith(".experts.gate_up_proj"):
            pieces = _of_each(name, layout.parts[:2], tensor.chunk(2, dim=1))  # (E, F, D), (E, F, D)
        elif tensor.dim() == 3 and name.endswith(".experts.down_proj"):
            pieces = _of_each(name, layout.parts[2:], [tensor])  # (E, D, F)
        if twice := found.keys() & pieces.keys():
            raise ValueError(f"{min(twice)} is there twice: stacked with the other experts, and by itself.")
        found |= pieces
    return found


def _of_each(name: str, parts, stacks) -> dict[str, Tensor]:
    """One name for each expert and part, from stacks (E, …) of these parts."""
    prefix = name.rpartition(".")[0]
    return {
        f"{prefix}.{e}.{part}.weight": tensor
        for part, stack in zip(parts, stacks, strict=True)
        for e, tensor in enumerate(stack.unbind(0))
    }
