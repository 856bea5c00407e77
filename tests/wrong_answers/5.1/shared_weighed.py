# expects: The shared expert has a weight
def moe_layer(x, router, experts, shared):
    routing = router(x)
    flat = x.flatten(0, 1)
    y = experts(flat, routing)
    if shared is not None:
        y = y + routing.top_k[0][:, :1] * shared(flat)
    return y.view(x.shape), routing
