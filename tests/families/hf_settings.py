"""Models of `transformers`: published and with random sizes, as configurations; a class is counted without weights."""

import json
import re
from functools import cache
from random import Random

import torch
from torch import nn

# model_type, and what differs from the defaults of its configuration class
HF = {
    "Mixtral-8x7B": ("mixtral", {}),
    "DBRX": ("dbrx", dict(
        vocab_size=100352, d_model=6144, n_layers=40, n_heads=48,
        attn_config=dict(kv_n_heads=8, clip_qkv=8, rope_theta=500000),
        ffn_config=dict(hidden_size=6144, ffn_hidden_size=10752, moe_num_experts=16, moe_top_k=4))),
    "DeepSeek-V2": ("deepseek_v2", dict(
        hidden_size=5120, intermediate_size=12288, moe_intermediate_size=1536, num_hidden_layers=60,
        num_attention_heads=128, num_key_value_heads=128, n_shared_experts=2, n_routed_experts=160,
        num_experts_per_tok=6, n_group=8, topk_group=3, first_k_dense_replace=1)),
    "DeepSeek-V3": ("deepseek_v3", {}),
    "Kimi-K2": ("deepseek_v3", dict(
        vocab_size=163840, num_attention_heads=64, num_key_value_heads=64, n_routed_experts=384, n_group=1,
        topk_group=1, first_k_dense_replace=1, num_nextn_predict_layers=0)),
    "Moonlight-16B-A3B": ("deepseek_v3", dict(
        vocab_size=163840, hidden_size=2048, intermediate_size=11264, moe_intermediate_size=1408,
        num_hidden_layers=27, num_attention_heads=16, num_key_value_heads=16, q_lora_rank=None, n_shared_experts=2,
        n_routed_experts=64, num_experts_per_tok=6, n_group=1, topk_group=1, first_k_dense_replace=1,
        num_nextn_predict_layers=0)),
    "Qwen1.5-MoE-A2.7B": ("qwen2_moe", {}),
    "Qwen3-30B-A3B": ("qwen3_moe", dict(num_hidden_layers=48, head_dim=128, norm_topk_prob=True)),
    "Qwen3-Next-80B-A3B": ("qwen3_next", {}),
    "OLMoE-1B-7B": ("olmoe", dict(intermediate_size=1024)),
    "Llama-4-Scout": ("llama4_text", {}),
    "Llama-4-Maverick": ("llama4_text", dict(num_local_experts=128, interleave_moe_layer_step=2)),
    "gpt-oss-120b": ("gpt_oss", {}),
    "gpt-oss-20b": ("gpt_oss", dict(num_hidden_layers=24, num_local_experts=32)),
    "Phi-3.5-MoE": ("phimoe", dict(attention_bias=True, lm_head_bias=True)),
    "Jamba-v0.1": ("jamba", {}),
    "Jamba-1.5-Large": ("jamba", dict(
        hidden_size=8192, intermediate_size=24576, num_hidden_layers=72, num_attention_heads=64)),
    "GLM-4.5": ("glm4_moe", dict(
        hidden_size=5120, intermediate_size=12288, num_hidden_layers=92, head_dim=128, attention_bias=True,
        moe_intermediate_size=1536, n_routed_experts=160, routed_scaling_factor=2.5, first_k_dense_replace=3,
        use_qk_norm=True)),
    "GLM-4.5-Air": ("glm4_moe", dict(head_dim=128, attention_bias=True)),
    "MiniMax-Text-01": ("minimax", dict(
        vocab_size=200064, hidden_size=6144, intermediate_size=9216, num_hidden_layers=80, num_attention_heads=64,
        head_dim=128, num_local_experts=32,
        layer_types=["full_attention" if i % 8 == 7 else "linear_attention" for i in range(80)])),
    "ERNIE-4.5-300B-A47B": ("ernie4_5_moe", dict(
        hidden_size=8192, intermediate_size=28672, num_hidden_layers=54, num_attention_heads=64,
        num_key_value_heads=8, tie_word_embeddings=False, moe_intermediate_size=3584, moe_k=8,
        moe_num_shared_experts=0, moe_layer_start_index=3)),
    "Granite-3.0-1B-A400M": ("granitemoe", dict(
        vocab_size=49155, hidden_size=1024, intermediate_size=512, num_hidden_layers=24, num_attention_heads=16,
        num_key_value_heads=8, num_local_experts=32, num_experts_per_tok=8, tie_word_embeddings=True)),
    "LongCat-Flash": ("longcat_flash", {}),
    **{f"Switch-Base-{n}": ("switch_transformers", dict(
        d_ff=3072, num_sparse_encoder_layers=6, num_sparse_decoder_layers=6, num_experts=n))
       for n in (16, 32, 64, 128, 256)},
    "Llama-2-70B": ("llama", dict(
        hidden_size=8192, intermediate_size=28672, num_hidden_layers=80, num_attention_heads=64,
        num_key_value_heads=8)),
}  # fmt: skip


def hf_config(model_type: str, settings: dict):
    from transformers import CONFIG_MAPPING

    return CONFIG_MAPPING[model_type](**settings)


def meta_model(config) -> nn.Module:
    """The class of a configuration, with the sizes of its parameters and no memory for them."""
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING

    known = MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING if config.is_encoder_decoder else MODEL_FOR_CAUSAL_LM_MAPPING
    with torch.device("meta"):
        return known[type(config)](config)


PARTS = {  # the first pattern that a parameter's name has
    "head": r"lm_head",
    "embedding": r"embed_tokens|wte|^shared\.",
    "norms": r"norm_attn_norm\.norm_|layer_norm",
    "attention": r"attn|mamba|Attention",
    "shared": r"shared_expert|shared_mlp",
    "router": r"router|\.gate\.",
    "experts": r"experts",
    "dense": r"mlps?\.|feed_forward\.",
    "rest": r"norm",  # norms that are no part of an attention
}


def parts_of(module: nn.Module) -> dict[str, int]:
    """Parameters by the names that `families.count` uses."""
    parts = dict.fromkeys(PARTS, 0)
    for name, parameter in module.named_parameters():
        parts[next(part for part, pattern in PARTS.items() if re.search(pattern, name))] += parameter.numel()
    parts["norms"] += parts.pop("rest")
    return {part: n for part, n in parts.items() if n}


@cache
def meta_parts(name: str) -> dict[str, int]:
    model_type, settings = HF[name]
    return parts_of(meta_model(hf_config(model_type, settings)))


# Random sizes for each model type: what differs from the defaults of its configuration class

R = Random


def sizes(r: R) -> dict:
    """Sizes that nearly all families have; no two of a model are alike, so that a mix-up shows."""
    heads, keys = r.choice([(6, 3), (6, 2), (9, 3), (4, 1)])
    return {
        "vocab_size": r.randint(40, 90), "hidden_size": 4 * heads * r.randint(2, 4),
        "num_hidden_layers": r.randint(5, 9), "num_attention_heads": heads,
        "num_key_value_heads": keys, "intermediate_size": r.randint(10, 50),
        "tie_word_embeddings": coin(r),
    }  # fmt: skip


def coin(r: R) -> bool:
    return r.random() < 0.5


def experts(r: R, name: str = "num_local_experts") -> dict:
    return {name: r.randint(5, 8), "num_experts_per_tok": r.randint(1, 4)}


def latent(r: R) -> dict:
    return {
        "q_lora_rank": r.choice([None, 14]), "kv_lora_rank": r.randint(9, 13), "qk_nope_head_dim": r.randint(5, 7),
        "qk_rope_head_dim": 4, "v_head_dim": r.randint(8, 11), "attention_bias": coin(r),
    }  # fmt: skip


def deepseek(r: R) -> dict:
    return sizes(r) | experts(r, "n_routed_experts") | {
        "moe_intermediate_size": r.randint(7, 30), "n_shared_experts": r.randint(1, 3), "n_group": 1, "topk_group": 1,
        "first_k_dense_replace": r.randint(0, 3),
    }  # fmt: skip


def qwen(r: R) -> dict:
    return sizes(r) | experts(r, "num_experts") | {
        "moe_intermediate_size": r.randint(7, 30), "decoder_sparse_step": r.randint(1, 3),
        "mlp_only_layers": r.choice([[], [1, 3]]),
    }  # fmt: skip


def qwen3_next(r: R) -> dict:
    keys = r.randint(2, 3)
    return qwen(r) | {
        "shared_expert_intermediate_size": r.randint(7, 30), "head_dim": 10, "attention_bias": coin(r),
        "linear_conv_kernel_dim": r.randint(2, 5), "linear_key_head_dim": r.randint(5, 8),
        "linear_value_head_dim": r.randint(9, 12), "linear_num_key_heads": keys,
        "linear_num_value_heads": keys * r.randint(1, 3),
    }  # fmt: skip


def dbrx(r: R) -> dict:
    s, e = sizes(r), experts(r)
    return {
        "vocab_size": s["vocab_size"], "d_model": s["hidden_size"], "n_layers": s["num_hidden_layers"],
        "n_heads": s["num_attention_heads"], "tie_word_embeddings": False,
        "attn_config": {"kv_n_heads": s["num_key_value_heads"], "rope_theta": 1e4},
        "ffn_config": {"hidden_size": s["hidden_size"], "ffn_hidden_size": s["intermediate_size"],
                       "moe_num_experts": e["num_local_experts"], "moe_top_k": e["num_experts_per_tok"]},
    }  # fmt: skip


def jamba(r: R) -> dict:
    period = r.randint(2, 4)
    return sizes(r) | experts(r, "num_experts") | {
        "expert_layer_period": r.randint(2, 3), "expert_layer_offset": r.randint(0, 1), "attn_layer_period": period,
        "attn_layer_offset": r.randint(0, period - 1), "mamba_d_state": r.randint(5, 9),
        "mamba_d_conv": r.randint(2, 5), "mamba_expand": r.randint(1, 3),
        "mamba_dt_rank": r.choice(["auto", 7]), "mamba_conv_bias": coin(r),
        "mamba_proj_bias": coin(r),
    }  # fmt: skip


def ernie(r: R) -> dict:
    start = r.randint(0, 2)
    e = {"moe_num_experts": r.randint(5, 8), "moe_k": r.randint(1, 4), "moe_intermediate_size": r.randint(7, 30)}
    return sizes(r) | e | {
        "moe_num_shared_experts": r.randint(0, 2), "moe_layer_start_index": start,
        "moe_layer_end_index": r.choice([-1, 3]), "moe_layer_interval": r.randint(1, 2), "use_bias": coin(r),
    }  # fmt: skip


def longcat(r: R) -> dict:
    shared = ("vocab_size", "hidden_size", "num_attention_heads", "tie_word_embeddings")
    s = sizes(r)
    return {name: s[name] for name in shared} | latent(r) | {
        "num_layers": r.randint(2, 4), "ffn_hidden_size": r.randint(10, 50), "expert_ffn_hidden_size": r.randint(7, 30),
        "q_lora_rank": 14, "moe_topk": r.randint(1, 4), "n_routed_experts": r.randint(5, 8),
        "zero_expert_num": r.randint(0, 3),
    }  # fmt: skip


def switch(r: R) -> dict:
    return {
        "vocab_size": r.randint(40, 90), "d_model": r.randint(8, 20), "d_kv": r.randint(5, 9),
        "d_ff": r.randint(21, 30), "num_layers": r.randint(3, 8),
        "num_decoder_layers": r.randint(3, 8), "num_heads": r.randint(2, 5),
        "num_sparse_encoder_layers": r.randint(0, 3), "num_sparse_decoder_layers": r.randint(0, 3),
        "num_experts": r.randint(2, 5), "relative_attention_num_buckets": r.choice([16, 32]), "router_bias": coin(r),
        "tie_word_embeddings": True,
    }  # fmt: skip


def wide(r: R) -> dict:
    return {"head_dim": 10, "attention_bias": coin(r)}


RANDOM = {
    "llama": lambda r: sizes(r) | {"mlp_bias": coin(r), "attention_bias": coin(r)} | r.choice([{}, {"head_dim": 10}]),
    "mixtral": lambda r: sizes(r) | experts(r) | r.choice([{}, {"head_dim": 10}]),
    "phimoe": lambda r: sizes(r) | experts(r) | {
        "attention_bias": coin(r), "lm_head_bias": coin(r), "num_experts_per_tok": 2},
    "granitemoe": lambda r: sizes(r) | experts(r) | {"attention_bias": coin(r)},
    "olmoe": lambda r: sizes(r) | experts(r, "num_experts") | {"attention_bias": coin(r)},
    "dbrx": dbrx,
    "gpt_oss": lambda r: sizes(r) | experts(r) | wide(r) | {"sliding_window": 8},
    "qwen2_moe": lambda r: qwen(r) | {"shared_expert_intermediate_size": r.randint(7, 30), "qkv_bias": coin(r)},
    "qwen3_moe": lambda r: qwen(r) | wide(r),
    "qwen3_next": qwen3_next,
    "llama4_text": lambda r: sizes(r) | experts(r) | wide(r) | {
        "intermediate_size_mlp": r.randint(51, 60), "interleave_moe_layer_step": r.randint(1, 3),
        "attention_chunk_size": 8},
    "deepseek_v2": lambda r: deepseek(r) | latent(r) | {"mlp_bias": coin(r)},
    "deepseek_v3": lambda r: deepseek(r) | latent(r),
    "glm4_moe": lambda r: deepseek(r) | wide(r) | {"use_qk_norm": coin(r)},
    "ernie4_5_moe": ernie,
    "jamba": jamba,
    "minimax": lambda r: sizes(r) | experts(r) | r.choice([{}, {"head_dim": 10}]),
    "longcat_flash": longcat,
    "switch_transformers": switch,
}  # fmt: skip


def as_file(config) -> dict:
    """What lies in the config.json that transformers writes."""
    return json.loads(config.to_json_string())
