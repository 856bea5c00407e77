"""Routers beside the usual one, by the name that `ModelConfig.router` gives them."""

from moe_lite.model.routers.expert_choice import ExpertChoiceRouter
from moe_lite.model.routers.noisy_top_k import NoisyTopKRouter
from moe_lite.model.routing import Router

__all__ = ["ROUTERS", "ExpertChoiceRouter", "NoisyTopKRouter"]

ROUTERS: dict[str, type[Router]] = {
    "top_k": Router,
    "noisy_top_k": NoisyTopKRouter,
    "expert_choice": ExpertChoiceRouter,
}
