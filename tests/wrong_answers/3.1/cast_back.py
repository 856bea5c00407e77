# expects: The scores keep the input's type
def router_scores(x, w_router):
    return (x.float() @ w_router.float().T).softmax(dim=-1).to(x.dtype)
