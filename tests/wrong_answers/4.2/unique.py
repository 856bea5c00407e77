# expects: Silent experts are missing
def dispatch_order(expert_ids, n_experts):
    flat = expert_ids.flatten()
    return flat.argsort(stable=True), flat.unique(return_counts=True)[1]
