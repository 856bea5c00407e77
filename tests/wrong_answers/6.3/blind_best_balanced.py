# expects: The most even, not the smallest
def pick_coefficient(coefficients, loads, limit):
    x = loads.double()
    violation = x.amax(dim=-1) / x.mean(dim=-1) - 1
    worst = violation.amax(dim=(1, 2))
    best = int(worst.argmin())
    if worst[best].item() <= limit:
        return coefficients[best]
    return float("inf")
