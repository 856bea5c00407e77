# expects: Softmax over the tokens
def router_scores(x, w_router):
    return (x.float() @ w_router.float().T).softmax(dim=0)
