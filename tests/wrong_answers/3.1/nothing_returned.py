# expects: Nothing is returned
def router_scores(x, w_router):
    scores = (x.float() @ w_router.float().T).softmax(dim=-1)
    print(scores.sum(dim=-1))
