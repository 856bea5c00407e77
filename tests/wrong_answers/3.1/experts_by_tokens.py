# expects: Rows and columns have changed places
def router_scores(x, w_router):
    return (w_router.float() @ x.float().T).softmax(dim=0)
