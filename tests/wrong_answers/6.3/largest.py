# expects: The largest, not the smallest
def pick_coefficient(coefficients, loads, limit):
    loads = loads.double()
    v = loads.amax(-1) / loads.mean(-1) - 1
    for c, x in zip(coefficients[::-1], v.flip(0), strict=False):
        if (x <= limit).all():
            return c
    return float("inf")
