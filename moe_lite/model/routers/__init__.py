"""Routers beside the usual one, by the name that `ModelConfig.router` gives them."""

from moe_lite.model.routers.competing_shared import CompetingSharedRouter
from moe_lite.model.routers.expert_choice import ExpertChoiceRouter
from moe_lite.model.routers.expert_threshold import ExpertThresholdRouter
from moe_lite.model.routers.hash_table import HashRouter
from moe_lite.model.routers.mlp import MLPRouter
from moe_lite.model.routers.noisy_top_k import NoisyTopKRouter
from moe_lite.model.routers.normed import NormedRouter
from moe_lite.model.routers.sparse_mixer import SparseMixerRouter
from moe_lite.model.routing import Router

ROUTERS: dict[str, type[Router]] = {
    "top_k": Router,
    "noisy_top_k": NoisyTopKRouter,
    "expert_choice": ExpertChoiceRouter,
    "expert_threshold": ExpertThresholdRouter,
    "hash": HashRouter,
    "sparse_mixer": SparseMixerRouter,
    "normed": NormedRouter,
    "competing_shared": CompetingSharedRouter,
    "mlp": MLPRouter,
}
__all__ = ["ROUTERS", *sorted(kind.__name__ for kind in ROUTERS.values() if kind is not Router)]
