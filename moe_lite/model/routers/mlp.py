"""A router that is a small network, remembers the layer before, and may skip: no expert at all (Zaya)."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from moe_lite.model.routing import Router, Routing, route


class MLPRouter(Router):
    """x is projected to a narrow state, to which that of the layer before is added; two layers with GELU score it.

    One more choice stands behind the experts: a token that makes it skips, so the layer adds nothing to it. Its Routing
    counts E + 1 experts; assignments to the last are not kept. With a selection bias the skip begins at −1.
    """

    takes = ("router_width", "norm_eps")

    def __init__(
        self, d_model: int, n_experts: int, top_k: int, *, router_width: int, norm_eps: float, layer: int = 0, **options
    ):
        super().__init__(router_width, n_experts + 1, top_k, layer=layer, **options)  # scores the state, not x
        self.norm_eps = norm_eps
        self.narrow = nn.Parameter(torch.empty(router_width, d_model))
        self.hidden = nn.ParameterList(nn.Parameter(torch.empty(router_width, router_width)) for _ in range(2))
        self.norm_scale = nn.Parameter(torch.ones(router_width))
        self.narrow_bias = nn.Parameter(torch.zeros(router_width))
        self.hidden_bias = nn.ParameterList(nn.Parameter(torch.zeros(router_width)) for _ in range(2))
        self.memory_scale = nn.Parameter(torch.ones(router_width)) if layer else None  # the first has none before it
        if self.bias is not None:
            self.bias[-1] = -1.0

    def choose_experts(self, flat: Tensor, k: int, generator, shape: dict, *, before=None, **_) -> Routing:
        """As `Router.choose_experts`. before: the Routing of the layer before, whose `state` (N, R) is read."""
        state = self.project(flat, self.narrow) + self.narrow_bias.float()  # (N, R)
        if self.memory_scale is not None and before is not None and before.state is not None:
            state = state + before.state * self.memory_scale.float()  # (N, R)
        h = F.rms_norm(state, state.shape[-1:], self.norm_scale.float(), self.norm_eps)  # (N, R)
        for weight, bias in zip(self.hidden, self.hidden_bias, strict=True):
            h = F.gelu(self.project(h, weight) + bias.float())  # (N, R)
        routing = route(self.logits(h), k, bias=self.bias, **shape, **self.options)
        return replace(routing, kept=routing.expert_ids < routing.n_experts - 1, state=state)
