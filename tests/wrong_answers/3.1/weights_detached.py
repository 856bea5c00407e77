# expects: No gradient reaches `w_router`
def router_scores(x, w_router):
    return (x.float() @ w_router.detach().float().T).softmax(dim=-1)
