# expects: Place j instead of expert `expert_ids[:, j]`
def moe_loop(x, weights, expert_ids, experts):
    return sum(experts[j](x) * weights[:, j, None] for j in range(weights.shape[1]))
