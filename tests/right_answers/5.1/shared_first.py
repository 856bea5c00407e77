def moe_layer(x, router, experts, shared):
    tokens = x.view(-1, x.size(-1))
    y = 0 if shared is None else shared(tokens)
    routing = router(x)
    return (experts(tokens, routing) + y).unflatten(0, x.shape[:2]), routing
