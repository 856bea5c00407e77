# expects: One that keeps it is enough
def pick_coefficient(coefficients, loads, limit):
    loads = loads.double()
    v = loads.amax(-1) / loads.mean(-1) - 1
    for c, x in zip(coefficients, v, strict=False):
        if (x <= limit).any():
            return c
    return float("inf")
