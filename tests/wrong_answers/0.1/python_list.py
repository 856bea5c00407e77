# expects: Not a tensor
def expert_load(expert_ids, n_experts):
    flat = expert_ids.flatten().tolist()
    return [flat.count(expert) for expert in range(n_experts)]
