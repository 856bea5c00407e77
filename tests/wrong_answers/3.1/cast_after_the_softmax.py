# expects: Computed in the input's type
def router_scores(x, w_router):
    return (x @ w_router.to(x.dtype).T).softmax(dim=-1).float()
