# expects: Only the first seed
def pick_coefficient(coefficients, loads, limit):
    loads = loads.double()
    v = loads.amax(-1) / loads.mean(-1) - 1
    for c, x in zip(coefficients, v, strict=False):
        if (x[0] <= limit).all():
            return c
    return float("inf")
