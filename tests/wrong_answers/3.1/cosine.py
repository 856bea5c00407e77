# expects: Lengths were divided out
import torch.nn.functional as F


def router_scores(x, w_router):
    return (F.normalize(x.float(), dim=-1) @ F.normalize(w_router.float(), dim=-1).T).softmax(dim=-1)
