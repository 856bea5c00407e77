# expects: No gradient reaches `shared.gate_up`
import torch


def moe_layer(x, router, experts, shared):
    routing = router(x)
    flat = x.flatten(0, 1)
    y = experts(flat, routing)
    if shared is not None:
        with torch.no_grad():
            extra = shared(flat)
        y = y + extra
    return y.view(x.shape), routing
