# expects: Silent experts are missing
def expert_load(expert_ids, n_experts):
    return expert_ids.unique(return_counts=True)[1]
