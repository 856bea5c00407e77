# expects: Your function changed its input
import torch.nn.functional as F


def cross_entropy(logits, targets):
    targets[targets == -100] = 0
    logits -= logits.max(dim=-1, keepdim=True).values
    return F.cross_entropy(logits, targets)
