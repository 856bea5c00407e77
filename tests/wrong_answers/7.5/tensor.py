# expects: *
def looks_ahead(choose, scores, n_past):
    other = scores.clone()
    other[n_past:] = 1 - other[n_past:]
    return (choose(other)[:n_past] != choose(scores)[:n_past]).any()
