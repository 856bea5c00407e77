def router_scores(x, w_router):
    return (x.double() @ w_router.double().t()).softmax(-1).float()
