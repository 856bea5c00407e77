"""Models of a few thousand parameters whose routers have opinions, for the widgets' tests."""

from dataclasses import replace

import torch

from moe_lite import ModelConfig, MoELanguageModel

SENTENCE = "Are we all met? def area(r):\n    return 3.14 * r"
SMALL = ModelConfig(n_layers=3, d_model=32, n_heads=2, n_kv_heads=1, d_expert=16, context_length=64)


def small_model(n_experts: int = 8, **settings) -> MoELanguageModel:
    settings = {"top_k_fn": None, "top_k": 2} | settings
    top_k_fn = settings.pop("top_k_fn")
    model = MoELanguageModel(replace(SMALL, n_experts=n_experts, **settings), top_k_fn=top_k_fn, seed=n_experts)
    with torch.no_grad():  # routers of a fresh model hardly prefer anyone
        for block in model.blocks:
            block.feed_forward.router.weight.mul_(100)
    return model.eval()
