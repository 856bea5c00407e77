# expects: The router sees flat tokens | *
# the router gets (N, D)


def moe_layer(x, router, experts, shared):
    flat = x.flatten(0, 1)
    routing = router(flat)
    y = experts(flat, routing)
    if shared is not None:
        y = y + shared(flat)
    return y.view(x.shape), routing
