# expects: Your function changed its input
import torch


def moe_layer(x, router, experts, shared):
    routing = router(x)
    flat = x.flatten(0, 1)
    y = experts(flat, routing)
    if shared is not None:
        y = y + shared(flat)
    with torch.no_grad():
        router.weight.mul_(2)
    return y.view(x.shape), routing
