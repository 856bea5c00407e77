# expects: The experts are asked twice
def moe_layer(x, router, experts, shared):
    routing = router(x)
    flat = x.flatten(0, 1)
    y = experts(flat, routing) / 2 + experts(flat, routing) / 2
    if shared is not None:
        y = y + shared(flat)
    return y.view(x.shape), routing
