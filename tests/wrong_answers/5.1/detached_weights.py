# expects: The gradient for `x` differs
def moe_layer(x, router, experts, shared):
    from dataclasses import replace

    routing = router(x)
    flat = x.flatten(0, 1)
    y = experts(flat, replace(routing, weights=routing.weights.detach()))
    if shared is not None:
        y = y + shared(flat)
    return y.view(x.shape), routing
