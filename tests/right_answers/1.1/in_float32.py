import torch


def cross_entropy(logits, targets):
    kept = targets.ge(0)
    log_p = torch.log_softmax(logits.float(), dim=1)[kept]
    return -log_p.gather(1, targets[kept].unsqueeze(1)).mean()
