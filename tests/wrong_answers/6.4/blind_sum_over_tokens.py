# expects: The sum over tokens
import torch


def router_z_loss(logits):
    return torch.logsumexp(logits, dim=-1).square().sum()
