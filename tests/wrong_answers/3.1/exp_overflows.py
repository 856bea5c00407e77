# expects: `exp` overflows
import torch


def router_scores(x, w_router):
    powers = torch.exp(x.float() @ w_router.float().T)
    return powers / powers.sum(dim=-1, keepdim=True)
