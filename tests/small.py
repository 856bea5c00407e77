"""Small models and corpora for the tests: every dimension differs, and everything runs in milliseconds."""

from dataclasses import replace

import torch
from torch import Tensor

from moe_lite import ModelConfig, MoELanguageModel
from moe_lite.data import SAMPLES, Corpus, encode
from moe_lite.model.experts import Experts

SENTENCE = "Are we all met? def area(r):\n    return 3.14 * r"
SMALL = ModelConfig(n_layers=3, d_model=32, n_heads=2, n_kv_heads=1, d_expert=16, context_length=64)  # 2,048 tokens


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def randn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64).to(dtype)


def random_ids(batch: int, length: int, seed: int = 0, vocab_size: int = 61) -> Tensor:
    return torch.randint(0, vocab_size, (batch, length), generator=generator(seed))


def small_config(**changes) -> ModelConfig:
    """Weights ten times larger than usual, so that choices and logits differ clearly from token to token."""
    settings = {
        "vocab_size": 61, "n_layers": 3, "d_model": 16, "n_heads": 4, "n_kv_heads": 2, "context_length": 32,
        "n_experts": 5, "top_k": 2, "d_expert": 12, "init_std": 0.2,
    }  # fmt: skip
    return ModelConfig(**(settings | changes))


def small_model(seed: int = 0, top_k_fn=None, dispatch_fn=None, layer_fn=None, **changes) -> MoELanguageModel:
    parts = {"top_k_fn": top_k_fn, "dispatch_fn": dispatch_fn, "layer_fn": layer_fn}
    return MoELanguageModel(small_config(**changes), seed=seed, **parts)


def model_with_opinions(n_experts: int = 8, top_k_fn=None, **changes) -> MoELanguageModel:
    """A model of the course's vocabulary for the widgets; the routers of a fresh one hardly prefer anyone."""
    config = replace(SMALL, n_experts=n_experts, **({"top_k": 2} | changes))
    model = MoELanguageModel(config, top_k_fn=top_k_fn, seed=n_experts)
    with torch.no_grad():
        for block in model.blocks:
            block.feed_forward.router.weight.mul_(100)
    return model.eval()


def small_experts(
    n_experts: int, d_model: int, d_expert: int, implementation: str = "sorted", seed: int = 0, **form
) -> Experts:
    experts = Experts(n_experts, d_model, d_expert, implementation, **form).double()
    with torch.no_grad():
        for parameter in experts.parameters():
            parameter.copy_(randn(*parameter.shape, seed=seed, dtype=torch.float64))
    return experts


def small_corpora(length: int = 400) -> dict[str, Corpus]:
    """Three domains with different sizes and habits: counting up, counting by threes, chance."""
    count = torch.arange(2 * length, dtype=torch.int32)
    texts = {"up": count % 20, "threes": 20 + 3 * count % 20, "chance": 40 + random_ids(1, 2 * length, 7, 20)[0].int()}
    sizes = {"up": length, "threes": 2 * length // 3, "chance": length // 2}
    return {
        domain: Corpus(domain, ids[: sizes[domain]], ids[-120:], train_bytes=sizes[domain], val_bytes=120)
        for domain, ids in texts.items()
    }


def sample_corpora() -> dict[str, Corpus]:
    """The nine domains, each its sample over and over: real words, and nothing has to be built."""
    ids = {domain: torch.tensor(encode(4 * text), dtype=torch.int32) for domain, text in SAMPLES.items()}
    return {d: Corpus(d, each, each, train_bytes=len(each), val_bytes=len(each)) for d, each in ids.items()}


# settings with which a small model holds other parameters, or more of them
HOLDS_OTHERWISE = [
    {},
    {"n_experts": 1},
    {"n_experts": 1, "n_shared_experts": 2},
    {"n_shared_experts": 2, "top_k": 3},
    {"n_shared_experts": 2, "shared_gate": True},
    {"n_kv_heads": 4, "score": "sigmoid", "selection_bias": True},
    {"n_layers": 1, "vocab_size": 7},
    {"expert": "quick_geglu", "expert_clamp": 7.0, "expert_bias": True, "router_bias": True},
    {"expert": "relu2", "n_shared_experts": 1, "n_dense_layers": 1},
    {"expert": "relu2", "n_experts": 1},
    {"expert": "geglu", "n_shared_experts": 1},
    {"d_latent": 7, "expert": "relu2", "expert_bias": True, "n_shared_experts": 1, "shared_average": True},
    {"expert": "relu2", "expert_bias": True},
    {"n_dense_layers": 1, "n_shared_experts": 1},
    {"n_dense_layers": 2, "d_dense": 21, "router_bias": True},
    {"router": "noisy_top_k"},
    {"qk_norm": "head"},
    {"qk_norm": "full", "n_kv_heads": 1},
    {"router_bias": True},
    {"router": "hash", "router_bias": True},
    {"router": "sparse_mixer", "renorm": False, "jitter": 0.1},
    {"router": "normed", "n_zero_experts": 3},
    {"router": "competing_shared", "n_shared_experts": 2, "score": "sigmoid", "selection_bias": True},
    {"router": "mlp", "router_width": 6, "renorm": False},
    {"n_zero_experts": 2, "selection_bias": True},
]
