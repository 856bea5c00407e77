# expects: `.forward` instead of a call
def moe_layer(x, router, experts, shared):
    routing = router.forward(x)
    flat = x.flatten(0, 1)
    y = experts(flat, routing)
    if shared is not None:
        y = y + shared(flat)
    return y.view(x.shape), routing
