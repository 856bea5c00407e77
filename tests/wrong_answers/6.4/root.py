# expects: A root too many
import torch


def router_z_loss(logits):
    return torch.logsumexp(logits, dim=-1).square().mean().sqrt()
