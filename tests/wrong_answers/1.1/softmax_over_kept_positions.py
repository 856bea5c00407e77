# expects: Softmax over the positions
import torch.nn.functional as F


def cross_entropy(logits, targets):
    kept = targets != -100
    logits, targets = logits[kept], targets[kept]
    p = F.softmax(logits, dim=0)
    return -p.gather(1, targets[:, None]).log().mean()
