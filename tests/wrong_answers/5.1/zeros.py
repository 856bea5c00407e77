# expects: Nothing was computed
import torch


def moe_layer(x, router, experts, shared):
    routing = router(x)
    flat = x.flatten(0, 1)
    y = experts(flat, routing)
    if shared is not None:
        y = y + shared(flat)
    return torch.zeros_like(x), routing
