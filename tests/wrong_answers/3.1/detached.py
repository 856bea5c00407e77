# expects: No gradient reaches `x`
import torch


def router_scores(x, w_router):
    with torch.no_grad():
        return (x.float() @ w_router.float().T).softmax(dim=-1)
