# expects: All experts are added up
def moe_loop(x, weights, expert_ids, experts):
    return sum(expert(x) for expert in experts)
