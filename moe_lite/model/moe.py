"""One sparse layer: a router, experts, and what may stand beside them."""

from torch import Tensor, nn

from moe_lite.model.balance import drop_over_capacity, expert_capacity
from moe_lite.model.routing import Routing


class MoELayer(nn.Module):
    """Route, drop what does not fit, compute, add the shared expert. Parts are passed in."""

    def __init__(
        self,
        router: nn.Module,
        experts: nn.Module,
        shared: nn.Module | None = None,
        *,
        capacity: float | None = None,
        priority: str = "position",
        gate_on: str = "output",
    ):
        """capacity is a factor of the fair share (None: no limit) and holds in training only: with a limit at
        inference, a token's output would depend on which other tokens happen to be in the batch."""
        super().__init__()
        self.router, self.experts, self.shared = router, experts, shared
        self.capacity, self.priority, self.gate_on = capacity, priority, gate_on

    def forward(self, x: Tensor, **router_options) -> tuple[Tensor, Routing]:
        """x (B, T, D) -> the layer's output (B, T, D) and its Routing. Options go to `Router.forward`."""
        # 1. which experts, with what weights
        routing = self.router(x, **router_options)
        # 2. what does not fit is dropped: the residual connection alone carries it
        if self.training and self.capacity is not None:
            n_tokens = routing.n_tokens if routing.token_mask is None else int(routing.token_mask.sum())
            k = len(routing.token_ids) / max(routing.n_tokens, 1)
            room = expert_capacity(n_tokens, k, routing.n_experts, self.capacity)
            routing = drop_over_capacity(routing, room, self.priority)
        # 3. each expert on its own tokens, weighted and summed
        flat = x.flatten(0, -2)  # (N, D)
        y = self.experts(flat, routing, gate_on=self.gate_on)  # (N, D)
        # 4. the shared expert sees every token
        if self.shared is not None:
            y = y + self.shared(flat)
        return y.view(x.shape), routing
