# expects: Always True
def looks_ahead(choose, scores, n_past):
    return True
