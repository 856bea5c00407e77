import torch


def dispatch_order(expert_ids, n_experts):
    flat = expert_ids.flatten().tolist()
    order = sorted(range(len(flat)), key=lambda place: (flat[place], place))
    return torch.tensor(order), torch.tensor([flat.count(e) for e in range(n_experts)])
