# expects: *
def router_scores(x, w_router):
    return (x.float() @ w_router.float().T / 2).softmax(dim=-1)
