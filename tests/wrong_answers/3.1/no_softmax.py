# expects: The softmax is missing
def router_scores(x, w_router):
    return x.float() @ w_router.float().T
