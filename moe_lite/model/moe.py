"""One sparse layer: a router, experts, and what may stand beside them."""

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from moe_lite.model.balance import drop_over_capacity, expert_capacity
from moe_lite.model.routing import Routing

# x (B, T, D), router, experts, shared -> y (B, T, D) and the router's Routing, as `moe_layer`
LayerFn = Callable[[Tensor, Callable, Callable, Callable | None], tuple[Tensor, Routing]]


def moe_layer(
    x: Tensor, router: Callable[[Tensor], Routing], experts: Callable[[Tensor, Routing], Tensor],
    shared: Callable[[Tensor], Tensor] | None, average: bool = False,
) -> tuple[Tensor, Routing]:  # fmt: skip
    """Route, compute, add the shared expert, restore the shape. x (B, T, D) -> y (B, T, D) and its Routing.

    average: half of what is added (Cohere2-MoE)."""
    routing = router(x)  # which experts, with what weights
    flat = x.flatten(0, -2)  # (N, D)
    y = experts(flat, routing)  # (N, D) each expert on its own tokens, weighted and summed
    if shared is not None:  # it sees every token
        y = y + (shared(flat) if routing.shared_weights is None else shared(flat, routing.shared_weights))
        y = y / 2 if average else y
    return y.view(x.shape), routing


class MoELayer(nn.Module):
    """`moe_layer` with its parts, which are passed in; what does not fit is dropped between routing and experts."""

    def __init__(
        self,
        router: nn.Module,
        experts: nn.Module,
        shared: nn.Module | None = None,
        *,
        capacity: float | None = None,
        priority: str = "position",
        gate_on: str = "output",
        layer_fn: LayerFn = moe_layer,
    ):
        """capacity is a factor of the fair share (None: no limit) and holds in training only: with a limit at
        inference, a token's output would depend on which other tokens happen to be in the batch. layer_fn: a function
        of your own in place of `moe_layer`."""
        super().__init__()
        if not callable(layer_fn):
            raise TypeError(
                f"layer_fn is a {type(layer_fn).__name__}, expected a function of (x, router, experts, shared); pass "
                "the function itself, not what it returns."
            )
        self.router, self.experts, self.shared = router, experts, shared
        self.capacity, self.priority, self.gate_on, self.layer_fn = capacity, priority, gate_on, layer_fn

    def forward(self, x: Tensor, **router_options) -> tuple[Tensor, Routing]:
        """x (B, T, D) -> the layer's output (B, T, D) and its Routing. Options go to `Router.forward`."""
        route, experts = partial(self._route, **router_options), partial(self.experts, gate_on=self.gate_on)
        found = self.layer_fn(x, route, experts, self.shared)
        if self.layer_fn is not moe_layer:
            _check(found, x)
        return found

    def _route(self, x: Tensor, **router_options) -> Routing:
        """The router's choice; in training, what does not fit is dropped: the residual connection alone carries it."""
        routing = self.router(x, **router_options)
        if self.training and self.capacity is not None:
            n_tokens = routing.n_tokens if routing.token_mask is None else int(routing.token_mask.sum())
            k = len(routing.token_ids) / max(routing.n_tokens, 1)
            room = expert_capacity(n_tokens, k, routing.n_experts, self.capacity)
            routing = drop_over_capacity(routing, room, self.priority)
        return routing


def _check(found: object, x: Tensor) -> None:
    """ValueError if a layer function returned something else than y like x and a Routing."""
    expected = f"expected y (B, T, D) = {tuple(x.shape)} and the router's Routing."
    if not (isinstance(found, tuple) and len(found) == 2):
        raise ValueError(f"layer_fn returned a {type(found).__name__}, {expected}")
    y, routing = found
    if not (isinstance(y, Tensor) and y.shape == x.shape and isinstance(routing, Routing)):
        came = tuple(y.shape) if isinstance(y, Tensor) else type(y).__name__
        raise ValueError(f"layer_fn returned {came} and a {type(routing).__name__}, {expected}")
