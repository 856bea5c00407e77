# expects: Over everything at once
import torch


def router_z_loss(logits):
    return torch.logsumexp(logits.flatten(), dim=0).square()
