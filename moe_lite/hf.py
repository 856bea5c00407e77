"""The same model in Hugging Face's `transformers`: Mixtral for a sparse model, Llama for a dense one.

Nothing here is needed to run moe-lite. Tests compare values with it, benchmarks compare times.
"""

from collections.abc import Callable
from dataclasses import fields

from torch import Tensor

from moe_lite.model.config import ModelConfig
from moe_lite.model.experts import SwiGLU
from moe_lite.model.moe import moe_layer
from moe_lite.model.transformer import MoELanguageModel

try:
    from transformers import LlamaConfig, LlamaForCausalLM, MixtralConfig, MixtralForCausalLM, PreTrainedModel
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("moe_lite.hf needs transformers: pip install -c constraints.txt -e '.[test]'") from error

# `ModelConfig`'s defaults are Mixtral's. These settings may differ: sizes, how the same values are computed, the losses
FREE = {
    "vocab_size", "n_layers", "d_model", "n_heads", "n_kv_heads", "context_length", "n_experts", "top_k", "d_expert",
    "implementation", "order", "balance", "balance_coef", "z_coef", "rope_theta", "norm_eps", "init_std",
}  # fmt: skip


def twin(model: MoELanguageModel, **settings) -> PreTrainedModel:
    """A `transformers` model with copies of `model`'s weights, in evaluation mode: equal ids give equal logits.

    `settings` go to its configuration. Raises ValueError for a router or experts that Mixtral does not have.
    """
    config = model.config
    settings = _settings(config) | settings
    if config.is_dense:
        other = LlamaForCausalLM(LlamaConfig(**settings))
    else:
        _require_mixtral(config)
        if any(block.feed_forward.router.options.get("top_k_fn") for block in model.blocks):
            raise ValueError("top_k_fn replaces the choice of this model; Mixtral's cannot be replaced: no such twin.")
        if any(block.feed_forward.experts.dispatch_fn for block in model.blocks):
            raise ValueError("dispatch_fn computes this model's experts; Mixtral's has its own way: no such twin.")
        if any(block.feed_forward.layer_fn is not moe_layer for block in model.blocks):
            raise ValueError("layer_fn computes this model's layers; Mixtral's has its own way: no such twin.")
        experts = {"num_local_experts": config.n_experts, "num_experts_per_tok": config.top_k}
        other = MixtralForCausalLM(MixtralConfig(sliding_window=None, **(experts | settings)))
    other.load_state_dict(tensors_by_name(model, of=Tensor.detach), strict=True)
    return other.to(model.embed.weight.device).eval()


def tensors_by_name(
    model: MoELanguageModel, of: Callable[[Tensor], Tensor] = lambda parameter: parameter
) -> dict[str, Tensor]:
    """of(parameter) under the name that the parameter has in Mixtral or, for a dense model, in Llama."""
    tensors = {"model.embed_tokens.weight": model.embed.weight, "lm_head.weight": model.head.weight}
    tensors["model.norm.weight"] = model.norm.weight
    for layer, block in enumerate(model.blocks):
        prefix, attention, network = f"model.layers.{layer}.", block.attention, block.feed_forward
        parts = {"q": attention.query, "k": attention.key, "v": attention.value, "o": attention.out}
        tensors |= {f"{prefix}self_attn.{name}_proj.weight": part.weight for name, part in parts.items()}
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


def _settings(config: ModelConfig) -> dict:
    """What Mixtral's and Llama's configurations call the same."""
    return {
        "vocab_size": config.vocab_size, "num_hidden_layers": config.n_layers, "hidden_size": config.d_model,
        "num_attention_heads": config.n_heads, "num_key_value_heads": config.n_kv_heads,
        "intermediate_size": config.d_expert, "rms_norm_eps": config.norm_eps,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta},
        "max_position_embeddings": config.context_length, "tie_word_embeddings": False,
        "bos_token_id": None, "eos_token_id": None,  # our vocabulary has no such tokens; 2 would be "#"
    }  # fmt: skip


def _require_mixtral(config: ModelConfig) -> None:
    for f in fields(config):
        value = getattr(config, f.name)
        if f.name not in FREE and value != f.default:
            raise ValueError(f"{f.name} is {value!r}, but Mixtral's is {f.default!r}: it has no such twin.")
