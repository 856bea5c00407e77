# expects: No gradient reaches `logits`
import torch


def router_z_loss(logits):
    return torch.logsumexp(logits.detach(), dim=-1).square().mean()
