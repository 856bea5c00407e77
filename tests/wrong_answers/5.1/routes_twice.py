# expects: The router is asked twice
def moe_layer(x, router, experts, shared):
    routing = router(x)
    flat = x.flatten(0, 1)
    y = experts(flat, router(x))
    if shared is not None:
        y = y + shared(flat)
    return y.view(x.shape), routing
