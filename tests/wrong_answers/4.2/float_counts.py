# expects: `counts` has the wrong type
import torch.nn.functional as F


def dispatch_order(expert_ids, n_experts):
    flat = expert_ids.flatten()
    return flat.argsort(stable=True), F.one_hot(flat, n_experts).float().sum(dim=0)
