# expects: Sigmoid, not softmax
import torch


def router_scores(x, w_router):
    return torch.sigmoid(x.float() @ w_router.float().T)
