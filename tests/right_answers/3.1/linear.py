import torch
import torch.nn.functional as F


def router_scores(x, w_router):
    return F.softmax(F.linear(x.to(torch.float32), w_router.to(torch.float32)), dim=1)
