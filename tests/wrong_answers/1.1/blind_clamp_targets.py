# expects: −100 counted as class 0 | *
import torch


def cross_entropy(logits, targets):
    lp = logits.log_softmax(-1)
    return -lp[torch.arange(len(targets)), targets.clamp(min=0)].mean()
