# expects: No gradient reaches `experts.gate_up`
def moe_layer(x, router, experts, shared):
    routing = router(x)
    flat = x.flatten(0, 1)
    y = experts(flat, routing)
    if shared is not None:
        y = y + shared(flat)
    return y.detach().view(x.shape), routing
