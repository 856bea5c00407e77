# expects: The router is asked twice | *
# a second routing is returned


def moe_layer(x, router, experts, shared):
    flat = x.flatten(0, 1)
    y = experts(flat, router(x))
    if shared is not None:
        y = y + shared(flat)
    return y.view(x.shape), router(x)
