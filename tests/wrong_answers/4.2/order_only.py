# expects: Wrong number of results
def dispatch_order(expert_ids, n_experts):
    return expert_ids.flatten().argsort(stable=True)
