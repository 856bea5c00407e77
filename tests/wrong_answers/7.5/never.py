# expects: Always False
def looks_ahead(choose, scores, n_past):
    return False
