# expects: Two matrices do not fit
def router_scores(x, w_router):
    return (x.float() @ w_router.float()).softmax(dim=-1)
