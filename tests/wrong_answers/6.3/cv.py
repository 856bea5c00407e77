# expects: *
def pick_coefficient(coefficients, loads, limit):
    loads = loads.double()
    v = loads.std(-1, correction=0) / loads.mean(-1)
    for c, x in zip(coefficients, v, strict=False):
        if (x <= limit).all():
            return c
    return float("inf")
