# expects: Softmax over what was taken
import torch.nn.functional as F


def expert_choice(scores, capacity):
    values, ids = scores.t().sort(dim=1, descending=True, stable=True)
    weights = F.softmax(values[:, :capacity], dim=1)
    return weights, ids[:, :capacity]
