# expects: `y` is not right yet | *
# flattened time first


def moe_layer(x, router, experts, shared):
    routing = router(x)
    flat = x.transpose(0, 1).reshape(-1, x.shape[-1])
    y = experts(flat, routing)
    if shared is not None:
        y = y + shared(flat)
    return y.view(x.shape[1], x.shape[0], -1).transpose(0, 1), routing
