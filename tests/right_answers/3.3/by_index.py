import torch.nn.functional as F


def two_orders(logits, k, renorm):
    ids = logits.argsort(dim=1, descending=True)[:, :k]
    kept = logits.gather(1, ids)
    first = (kept - logits.logsumexp(dim=1, keepdim=True)).exp()
    return first / first.sum(1, keepdim=True) if renorm else first, F.softmax(kept, dim=1)
