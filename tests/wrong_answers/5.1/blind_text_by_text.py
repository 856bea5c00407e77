# expects: The router is asked twice | *
# the experts are called for every text alone
import torch


def moe_layer(x, router, experts, shared):
    routing = router(x)
    y = torch.stack([experts(row, router(row[None])) for row in x])
    if shared is not None:
        y = y + shared(x)
    return y, routing
