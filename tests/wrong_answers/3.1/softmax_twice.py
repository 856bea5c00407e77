# expects: Softmax was applied twice
def router_scores(x, w_router):
    return (x.float() @ w_router.float().T).softmax(dim=-1).softmax(dim=-1)
