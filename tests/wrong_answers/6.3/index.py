# expects: A place, not a coefficient
def pick_coefficient(coefficients, loads, limit):
    loads = loads.double()
    v = loads.amax(-1) / loads.mean(-1) - 1
    for n, x in enumerate(v):
        if (x <= limit).all():
            return n
    return -1
