# expects: Over the tokens, not over the experts
import torch


def router_z_loss(logits):
    return torch.logsumexp(logits, dim=0).square().mean()
