def moe_layer(x, router, experts, shared):
    routing = router(x)
    y = experts(x.reshape(-1, x.shape[-1]), routing).reshape(x.shape)
    return (y if shared is None else y + shared(x)), routing
