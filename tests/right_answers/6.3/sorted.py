import math


def pick_coefficient(coefficients, loads, limit):
    x = loads.double()
    worst = (x.max(-1).values / x.mean(-1) - 1).amax((1, 2))
    return min((c for c, w in zip(coefficients, worst.tolist(), strict=False) if w <= limit), default=math.inf)
