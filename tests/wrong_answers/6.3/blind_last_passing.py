# expects: The largest, not the smallest
def pick_coefficient(coefficients, loads, limit):
    x = loads.double()
    violation = x.amax(dim=-1) / x.mean(dim=-1) - 1
    answer = float("inf")
    for c, v in zip(coefficients, violation):
        if bool((v <= limit).all()):
            answer = c
    return answer
