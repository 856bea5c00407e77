# expects: Logits are divided by √D
def router_scores(x, w_router):
    return (x.float() @ w_router.float().T / x.shape[-1] ** 0.5).softmax(dim=-1)
