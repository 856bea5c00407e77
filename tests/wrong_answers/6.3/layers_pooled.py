# expects: Loads are pooled over layers
def pick_coefficient(coefficients, loads, limit):
    loads = loads.double().sum(2)
    v = loads.amax(-1) / loads.mean(-1) - 1
    for c, x in zip(coefficients, v, strict=False):
        if (x <= limit).all():
            return c
    return float("inf")
