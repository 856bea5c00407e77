# expects: Shares of the costs
def responsibilities(log_gates, outputs, targets, sigma):
    cost = ((targets[:, None] - outputs) / sigma) ** 2
    return cost / cost.sum(dim=-1, keepdim=True)
