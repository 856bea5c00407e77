# expects: The shared expert is missing
def moe_layer(x, router, experts, shared):
    routing = router(x)
    return experts(x.flatten(0, 1), routing).view(x.shape), routing
