# expects: The last one, though it does not keep the limit
def pick_coefficient(coefficients, loads, limit):
    x = loads.double()
    violation = x.amax(dim=-1) / x.mean(dim=-1) - 1
    for c, v in zip(coefficients, violation):
        if bool((v <= limit).all()):
            return c
    return coefficients[-1]
