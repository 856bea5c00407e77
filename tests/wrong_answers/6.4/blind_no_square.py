# expects: The square is missing
import torch


def router_z_loss(logits):
    return torch.logsumexp(logits, dim=-1).mean()
