# expects: The router sees flat tokens
def moe_layer(x, router, experts, shared):
    routing = router(x.flatten(0, 1))
    flat = x.flatten(0, 1)
    y = experts(flat, routing)
    if shared is not None:
        y = y + shared(flat)
    return y.view(x.shape), routing
