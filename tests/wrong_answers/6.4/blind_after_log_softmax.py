# expects: Softmax first
import torch
import torch.nn.functional as F


def router_z_loss(logits):
    z = torch.logsumexp(F.log_softmax(logits, dim=-1), dim=-1)
    return z.square().mean()
