# expects: The mean over seeds and layers
def pick_coefficient(coefficients, loads, limit):
    x = loads.double()
    violation = x.amax(dim=-1) / x.mean(dim=-1) - 1
    for c, v in zip(coefficients, violation):
        if v.mean().item() <= limit:
            return c
    return float("inf")
