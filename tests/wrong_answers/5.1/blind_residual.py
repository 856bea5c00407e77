# expects: The token itself is added | *
# adds x


def moe_layer(x, router, experts, shared):
    routing = router(x)
    flat = x.flatten(0, 1)
    y = experts(flat, routing)
    if shared is not None:
        y = y + shared(flat)
    return (y + flat).view(x.shape), routing
