"""Models that differ in how they balance, and in nothing else that matters."""

from dataclasses import replace

from moe_lite.config import ModelConfig


def lab_model(base: ModelConfig, **changes) -> ModelConfig:
    """`base` with these settings, its experts as wide as leaves the active width what it was, whatever top-k is.

    Top-1 weighs with its score, as Switch does: divided by itself it would be 1, and the router would learn nothing.
    So does expert choice, where the number of experts differs from token to token.
    """
    top_k, router = changes.get("top_k", base.top_k), changes.get("router", base.router)
    config = replace(base, **changes, renorm=top_k > 1 and router != "expert_choice")
    return replace(config, d_expert=base.top_k * base.d_expert // config.top_k)
