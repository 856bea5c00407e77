# expects: Squared after the mean
import torch


def router_z_loss(logits):
    return torch.logsumexp(logits, dim=-1).mean().square()
