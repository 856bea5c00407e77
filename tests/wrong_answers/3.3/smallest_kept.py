# expects: The smallest logits are kept
def two_orders(logits, k, renorm):
    score_first = logits.softmax(dim=-1).sort(dim=-1).values[:, :k]
    if renorm:
        score_first = score_first / score_first.sum(dim=-1, keepdim=True)
    return score_first, logits.sort(dim=-1).values[:, :k].softmax(dim=-1)
