# expects: The gradient for `x` differs | *
# the router sees a detached x


def moe_layer(x, router, experts, shared):
    routing = router(x.detach())
    flat = x.flatten(0, 1)
    y = experts(flat, routing)
    if shared is not None:
        y = y + shared(flat)
    return y.view(x.shape), routing
