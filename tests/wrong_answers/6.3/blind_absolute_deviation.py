# expects: Too far below counts as well
def pick_coefficient(coefficients, loads, limit):
    x = loads.double()
    mean = x.mean(dim=-1, keepdim=True)
    violation = ((x - mean).abs() / mean).amax(dim=-1)
    for c, v in zip(coefficients, violation):
        if bool((v <= limit).all()):
            return c
    return float("inf")
