# expects: Computed in the input's type | Two types do not fit
import torch


def router_scores(x, w_router):
    return (x @ w_router.T).softmax(dim=-1, dtype=torch.float32)
