def load_balancing_loss(scores, expert_ids):
    total = scores.new_zeros(())
    for e in range(scores.shape[1]):
        total = total + (expert_ids == e).double().mean().to(scores.dtype) * scores[:, e].mean()
    return scores.shape[1] * total
