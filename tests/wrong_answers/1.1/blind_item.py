# expects: No gradient reaches `logits` | *
import torch


def cross_entropy(logits, targets):
    m = targets != -100
    lp = logits[m].log_softmax(-1)
    return torch.tensor((-lp[torch.arange(len(lp)), targets[m]].mean()).item())
