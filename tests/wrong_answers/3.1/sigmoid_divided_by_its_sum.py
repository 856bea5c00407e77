# expects: Sigmoid, then divided by its sum
import torch


def router_scores(x, w_router):
    scores = torch.sigmoid(x.float() @ w_router.float().T)
    return scores / scores.sum(dim=-1, keepdim=True)
