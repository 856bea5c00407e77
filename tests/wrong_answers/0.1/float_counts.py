# expects: `load` has the wrong type
import torch


def expert_load(expert_ids, n_experts):
    load = torch.zeros(n_experts)
    for expert in expert_ids.flatten():
        load[expert] += 1
    return load
