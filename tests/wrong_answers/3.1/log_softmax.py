# expects: The logarithm of the scores
import torch.nn.functional as F


def router_scores(x, w_router):
    return F.log_softmax(x.float() @ w_router.float().T, dim=-1)
