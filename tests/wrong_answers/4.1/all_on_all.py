# expects: Every expert computes every token
def moe_loop(x, weights, expert_ids, experts):
    combine = weights.new_zeros(len(x), len(experts)).scatter(1, expert_ids, weights)
    return sum(combine[:, e, None] * expert(x) for e, expert in enumerate(experts))
