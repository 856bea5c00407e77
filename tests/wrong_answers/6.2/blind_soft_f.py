# expects: P with itself
def load_balancing_loss(scores, expert_ids):
    E = scores.shape[1]
    P = scores.mean(dim=0)
    f = P.detach()
    return E * (f * P).sum()
