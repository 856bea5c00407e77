# expects: −100 used as an index
import torch.nn.functional as F


def cross_entropy(logits, targets):
    one_hot = F.one_hot(targets, logits.shape[1])
    return -(one_hot * logits.log_softmax(-1)).sum(dim=-1).mean()
