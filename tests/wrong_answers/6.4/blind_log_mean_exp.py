# expects: The log of a mean
import math

import torch


def router_z_loss(logits):
    z = torch.logsumexp(logits, dim=-1) - math.log(logits.shape[-1])
    return z.square().mean()
