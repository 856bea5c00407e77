"""A router that sees a normalised input and learns a scale for each expert (Gemma 4)."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from moe_lite.model.routing import Router, Routing


class NormedRouter(Router):
    """x is divided by its root mean square and scaled, feature by feature, before the usual rule; afterwards each
    weight is multiplied by the learned scale of its expert."""

    takes = ("norm_eps",)

    def __init__(self, d_model: int, n_experts: int, top_k: int, *, norm_eps: float, **options):
        super().__init__(d_model, n_experts, top_k, **options)
        self.norm_eps = norm_eps
        self.input_scale = nn.Parameter(torch.ones(d_model))
        self.expert_scale = nn.Parameter(torch.ones(n_experts))

    def choose_experts(self, flat: Tensor, k: int, generator, shape: dict, **given) -> Routing:
        """As `Router.choose_experts`."""
        d_model = flat.shape[-1]
        normed = F.rms_norm(flat, (d_model,), eps=self.norm_eps)  # (N, D)
        normed = normed * self.input_scale.float() * d_model**-0.5  # (N, D) of length 1 at first
        routing = super().choose_experts(normed, k, generator, shape, **given)
        return replace(routing, weights=routing.weights * self.expert_scale.float()[routing.expert_ids])
