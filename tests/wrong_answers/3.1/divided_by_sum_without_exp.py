# expects: Logits divided by their sum
def router_scores(x, w_router):
    logits = x.float() @ w_router.float().T
    return logits / logits.sum(dim=-1, keepdim=True)
