# expects: A loop does not end
def top_k_route(scores, k):
    chosen = 0
    while chosen < k:
        best = scores.argmax(dim=-1)
    return best, best
