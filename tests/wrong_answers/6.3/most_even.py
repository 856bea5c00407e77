# expects: The most even, not the smallest
def pick_coefficient(coefficients, loads, limit):
    loads = loads.double()
    v = loads.amax(-1) / loads.mean(-1) - 1
    return coefficients[int(v.flatten(1).amax(1).argmin())]
