# expects: P with itself
def load_balancing_loss(scores, expert_ids):
    P = scores.mean(0)
    return scores.shape[1] * (P * P).sum()
