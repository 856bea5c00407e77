# expects: Softmax first
import torch


def router_z_loss(logits):
    return torch.logsumexp(logits.log_softmax(-1), dim=-1).square().mean()
