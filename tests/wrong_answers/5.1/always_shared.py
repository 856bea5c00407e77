# expects: None was called
def moe_layer(x, router, experts, shared):
    routing = router(x)
    flat = x.flatten(0, 1)
    y = experts(flat, routing)
    y = y + shared(flat)
    return y.view(x.shape), routing
