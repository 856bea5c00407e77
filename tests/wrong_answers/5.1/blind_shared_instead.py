# expects: The chosen experts are missing | *
# shared replaces the experts where there is one


def moe_layer(x, router, experts, shared):
    routing = router(x)
    flat = x.flatten(0, 1)
    y = experts(flat, routing) if shared is None else shared(flat)
    return y.view(x.shape), routing
