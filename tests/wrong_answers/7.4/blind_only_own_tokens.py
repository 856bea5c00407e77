# expects: Only those that like it best
import torch.nn.functional as F


def expert_choice(scores, capacity):
    n, e = scores.shape
    best = F.one_hot(scores.argmax(dim=1), e).bool()
    masked = scores.detach().masked_fill(~best, float("-inf"))
    token_ids = masked.t().argsort(dim=1, descending=True, stable=True)[:, :capacity]
    weights = scores.t().gather(1, token_ids)
    return weights, token_ids
