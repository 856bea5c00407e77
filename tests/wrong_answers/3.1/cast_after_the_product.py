# expects: Computed in the input's type | Two types do not fit
def router_scores(x, w_router):
    return (x @ w_router.to(x.dtype).T).float().softmax(dim=-1)
