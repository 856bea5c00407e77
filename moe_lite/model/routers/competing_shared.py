"""Shared experts that compete: every token runs them, with weights that sum to 1 with the chosen ones' (Inkling)."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from moe_lite.model.routing import SCORE_FUNCTIONS, Router, Routing, route


class CompetingSharedRouter(Router):
    """The shared experts are scored like the others, but not chosen: they always run. The scores of the chosen and of
    the shared are divided by their common sum, so a shared expert can be turned down. One learned number scales all."""

    takes = ("n_shared_experts",)

    def __init__(self, d_model: int, n_experts: int, top_k: int, *, n_shared_experts: int, **options):
        super().__init__(d_model, n_experts, top_k, **options)
        self.shared_weight = nn.Parameter(torch.empty(n_shared_experts, d_model))
        self.global_scale = nn.Parameter(torch.ones(1))

    def choose_experts(self, flat: Tensor, k: int, generator, shape: dict, **_) -> Routing:
        """As `Router.choose_experts`; its Routing carries `shared_weights`."""
        plain = self.options | {"renorm": False, "routed_scale": 1.0}
        routing = route(self.logits(flat), k, bias=self.bias, **shape, **plain)  # weights are the scores
        shared = SCORE_FUNCTIONS[plain["score"]](self.project(flat, self.shared_weight))  # (N, S)
        total = shared.sum(dim=-1).index_add(0, routing.token_ids, routing.weights)  # (N,)
        scale = self.options["routed_scale"] * self.global_scale.float() / total  # (N,)
        weights = routing.weights * scale[routing.token_ids]  # (A,)
        return replace(routing, weights=weights, shared_weights=shared * scale[:, None])
