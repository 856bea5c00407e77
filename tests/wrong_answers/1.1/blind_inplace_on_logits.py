# expects: Your function changed its input | *
import torch


def cross_entropy(logits, targets):
    with torch.no_grad():
        logits -= logits.amax(-1, keepdim=True)
    m = targets != -100
    lp = logits[m].log_softmax(-1)
    return -lp[torch.arange(len(lp)), targets[m]].mean()
