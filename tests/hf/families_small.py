"""Small random models of ten families, as transformers has them; biases that move choices are set."""

import torch
import transformers
from small import randn
from torch import nn

COMMON = {
    "vocab_size": 61, "hidden_size": 16, "num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 2,
    "num_experts_per_tok": 2, "max_position_embeddings": 64, "initializer_range": 0.3, "pad_token_id": None,
    "bos_token_id": None, "eos_token_id": None,
}  # fmt: skip
LATENT = {
    "num_hidden_layers": 3, "q_lora_rank": 8, "kv_lora_rank": 8, "qk_nope_head_dim": 6, "qk_rope_head_dim": 4,
    "v_head_dim": 5, "n_routed_experts": 8, "moe_intermediate_size": 12, "intermediate_size": 24, "n_shared_experts": 1,
    "first_k_dense_replace": 1, "n_group": 4, "topk_group": 2, "num_key_value_heads": 4,
}  # fmt: skip
FAMILIES = {
    # family: class in transformers, changes to COMMON, layers that are sparse, names of the biases for choosing
    "Mixtral": ("MixtralForCausalLM", {"num_local_experts": 6, "intermediate_size": 12}, [0, 1], ""),
    "Qwen2-MoE": (
        "Qwen2MoeForCausalLM",
        {"num_experts": 6, "moe_intermediate_size": 12, "shared_expert_intermediate_size": 12}, [0, 1], "",
    ),
    "Qwen3-MoE": (
        "Qwen3MoeForCausalLM", {"num_experts": 6, "moe_intermediate_size": 12, "mlp_only_layers": [0]}, [1], "",
    ),
    "OLMoE": ("OlmoeForCausalLM", {"num_experts": 6, "intermediate_size": 12, "num_experts_per_tok": 3}, [0, 1], ""),
    "DeepSeek-V2": (
        "DeepseekV2ForCausalLM",
        LATENT | {"topk_method": "group_limited_greedy", "routed_scaling_factor": 16.0, "num_experts_per_tok": 3},
        [1, 2], "",
    ),
    "DeepSeek-V3": ("DeepseekV3ForCausalLM", LATENT, [1, 2], "e_score_correction_bias"),
    "gpt-oss": ("GptOssForCausalLM", {"num_local_experts": 6, "intermediate_size": 12, "head_dim": 4}, [0, 1], ""),
    "Llama 4": (
        "Llama4ForCausalLM",
        {"num_local_experts": 6, "num_experts_per_tok": 1, "intermediate_size": 12, "intermediate_size_mlp": 24,
         "head_dim": 4, "num_hidden_layers": 4, "interleave_moe_layer_step": 2}, [1, 3], "",
    ),
    "ERNIE-4.5-MoE": (
        "Ernie4_5_MoeForCausalLM",
        {"moe_num_experts": 6, "moe_k": 2, "moe_intermediate_size": 12, "intermediate_size": 24,
         "moe_num_shared_experts": 1, "moe_layer_start_index": 1}, [1], "e_score_correction_bias",
    ),
    "MiniMax-M2": (
        "MiniMaxM2ForCausalLM", {"num_local_experts": 6, "intermediate_size": 12, "head_dim": 4}, [0, 1],
        "e_score_correction_bias",
    ),
}  # fmt: skip


def family(name: str, **changes) -> nn.Module:
    """The model in evaluation mode, every parameter random, the biases for choosing as large as scores are."""
    kind, settings, _, bias = FAMILIES[name]
    kind = getattr(transformers, kind)
    config = kind.config_class(**(COMMON | settings | changes))
    model = kind(config)
    with torch.no_grad():
        for seed, (place, parameter) in enumerate(model.named_parameters()):
            scale = 0.1 if "norm" in place else 0.3
            parameter.copy_(("norm" in place) + scale * randn(*parameter.shape, seed=seed))
        for seed, (place, tensor) in enumerate([*model.named_buffers(), *model.named_parameters()]):
            if bias and place.endswith(bias):
                tensor.copy_(0.3 * randn(*tensor.shape, seed=100 + seed))
    return model.eval()
