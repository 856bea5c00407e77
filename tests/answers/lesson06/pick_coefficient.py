"""Answers to exercise 6.3, pick_coefficient: right ones, and wrong ones with the message that they must get."""

import math

import torch
from answers import ANY, blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def as_asked(coefficients, loads, limit):
    loads = loads.double()
    v = loads.amax(-1) / loads.mean(-1) - 1
    for c, x in zip(coefficients, v, strict=False):
        if (x <= limit).all():
            return c
    return float("inf")


@right
def put_another_way(coefficients, loads, limit):
    x = loads.double()
    violation = x.amax(dim=-1) / x.mean(dim=-1) - 1
    for c, v in zip(coefficients, violation):
        if bool((v <= limit).all()):
            return c
    return float("inf")


@right
def least_of_all(coefficients, loads, limit):
    x = loads.double()
    worst = (x.max(-1).values / x.mean(-1) - 1).amax((1, 2))
    return min((c for c, w in zip(coefficients, worst.tolist(), strict=False) if w <= limit), default=math.inf)


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------


@wrong("0 is left out")
def never_zero(coefficients, loads, limit):
    for c, x in zip(coefficients, loads.double(), strict=True):
        if c and (x.amax(-1) / x.mean(-1) - 1).amax() <= limit:
            return c
    return float("inf")


@wrong("A place, not a coefficient")
def index(coefficients, loads, limit):
    loads = loads.double()
    v = loads.amax(-1) / loads.mean(-1) - 1
    for n, x in enumerate(v):
        if (x <= limit).all():
            return n
    return -1


@wrong("The most even, not the smallest")
def most_even(coefficients, loads, limit):
    loads = loads.double()
    v = loads.amax(-1) / loads.mean(-1) - 1
    return coefficients[int(v.flatten(1).amax(1).argmin())]


@wrong("Stopped at the first failure from the back")
def from_the_back(coefficients, loads, limit):
    loads = loads.double()
    v = loads.amax(-1) / loads.mean(-1) - 1
    found = float("inf")
    for c, x in zip(reversed(coefficients), v.flip(0), strict=True):
        if (x > limit).any():
            return found
        found = c
    return found


@wrong("A place, not a coefficient")
def index_or_inf(coefficients, loads, limit):
    loads = loads.double()
    v = loads.amax(-1) / loads.mean(-1) - 1
    return next((n for n, x in enumerate(v) if (x <= limit).all()), float("inf"))


@wrong("A place, not a coefficient")
def index_or_length(coefficients, loads, limit):
    loads = loads.double()
    v = loads.amax(-1) / loads.mean(-1) - 1
    return next((n for n, x in enumerate(v) if (x <= limit).all()), len(v))


@wrong("A place, not a coefficient")
def argmax(coefficients, loads, limit):
    loads = loads.double()
    v = loads.amax(-1) / loads.mean(-1) - 1
    return int((v <= limit).all(-1).all(-1).int().argmax())


wrong("above", "The limit is turned round", of=as_asked, put={"(x <= limit).all": "(x > limit).any"})
wrong("one_is_enough", "One that keeps it is enough", of=as_asked, put={"(x <= limit).all": "(x <= limit).any"})
wrong(
    "cv", ANY, of=as_asked, put={"loads.amax(-1) / loads.mean(-1) - 1": "loads.std(-1, correction=0) / loads.mean(-1)"}
)
wrong("first_layer", "Only the first layer", of=as_asked, put={"x <= limit": "x[:, 0] <= limit"})
wrong("first_seed", "Only the first seed", of=as_asked, put={"x <= limit": "x[0] <= limit"})
wrong(
    "largest",
    "The largest, not the smallest",
    of=as_asked,
    put={"zip(coefficients, v, strict=False)": "zip(coefficients[::-1], v.flip(0), strict=False)"},
)
wrong("last", "The last one, though it does not keep the limit", of=as_asked, put={'float("inf")': "coefficients[-1]"})
wrong("layers_pooled", "Loads are pooled over layers", of=as_asked, put={"loads.double()": "loads.double().sum(2)"})
wrong("mean_over_both", "The mean over seeds and layers", of=as_asked, put={"(x <= limit).all()": "x.mean() <= limit"})
wrong("mean_over_layers", "The mean over the layers", of=as_asked, put={"x <= limit": "x.mean(1) <= limit"})
wrong("mean_over_seeds", "The mean over the seeds", of=as_asked, put={"x <= limit": "x.mean(0) <= limit"})
wrong("no_minus_one", "1 is not taken off", of=as_asked, put={"x <= limit": "x + 1 <= limit"})
wrong("none", "Nothing is returned", of=as_asked, put={'float("inf")': "None"})
wrong("raises", ANY, of=as_asked, put={'return float("inf")': 'raise ValueError("none")'})
wrong("seeds_pooled", "Loads are pooled over seeds", of=as_asked, put={"loads.double()": "loads.double().sum(1)"})
wrong("strict", "Exactly the limit is allowed", of=as_asked, put={"x <= limit": "x < limit"})
wrong("zero", "0 means: no balancing", of=as_asked, put={'float("inf")': "0.0"})

# ---- wrong, written by readers of the exercise's text alone ---------------------------------------------------------


@blind("The most even, not the smallest")
def best_balanced(coefficients, loads, limit):
    x = loads.double()
    violation = x.amax(dim=-1) / x.mean(dim=-1) - 1
    worst = violation.amax(dim=(1, 2))
    best = int(worst.argmin())
    if worst[best].item() <= limit:
        return coefficients[best]
    return float("inf")


@blind("The largest, not the smallest")
def last_passing(coefficients, loads, limit):
    x = loads.double()
    violation = x.amax(dim=-1) / x.mean(dim=-1) - 1
    answer = float("inf")
    for c, v in zip(coefficients, violation):
        if bool((v <= limit).all()):
            answer = c
    return answer


blind(
    "absolute_deviation",
    "Too far below counts as well",
    of=put_another_way,
    put={
        "violation = x.amax(dim=-1) / x.mean(dim=-1) - 1": "mean = x.mean(dim=-1, keepdim=True)\n    violation = ((x - mean).abs() / mean).amax(dim=-1)"
    },
)
blind("any_for_all", "One that keeps it is enough", of=put_another_way, put={"(v <= limit).all": "(v <= limit).any"})
blind(
    "average_seeds_first",
    "Loads are pooled over seeds",
    of=put_another_way,
    put={"loads.double()": "loads.double().mean(dim=1)"},
)
blind(
    "falls_back_to_largest",
    "The last one, though it does not keep the limit",
    of=put_another_way,
    put={'float("inf")': "coefficients[-1]"},
)
blind(
    "layers_summed",
    "Loads are pooled over layers",
    of=put_another_way,
    put={"loads.double()": "loads.double().sum(dim=2)"},
)
blind(
    "mean_violation",
    "The mean over seeds and layers",
    of=put_another_way,
    put={"bool((v <= limit).all())": "v.mean().item() <= limit"},
)
blind(
    "ratio_without_minus_one",
    "1 is not taken off",
    of=put_another_way,
    put={"x.amax(dim=-1) / x.mean(dim=-1) - 1": "x.amax(dim=-1) / x.mean(dim=-1)"},
)
blind("strictly_below", "Exactly the limit is allowed", of=put_another_way, put={"v <= limit": "v < limit"})


# ---- right until the sweep ------------------------------------------------------------------------------------------


@blind("Your function changed its input")
def blind_infinity_appended(coefficients, loads, limit):
    violations = (loads.double().amax(-1) / loads.double().mean(-1) - 1).flatten(1).amax(1).tolist()
    found = [c for c, violation in zip(coefficients, violations) if violation <= limit]
    if not found:
        coefficients.append(float("inf"))
        return coefficients[-1]
    return found[0]


wrong("short_counts", "Counted in float32", of=as_asked, put={"loads.double()": "loads.float()"})


@wrong("Nearly the coefficient")
def taken_from_a_tensor(coefficients, loads, limit):
    loads = loads.double()
    fits = (loads.amax(-1) / loads.mean(-1) - 1).flatten(1).amax(1) <= limit
    return torch.tensor(coefficients)[fits.nonzero()[0, 0]].item() if fits.any() else float("inf")


wrong("short_limit", "Compared in float32", of=as_asked, put={"x <= limit": "x.float() <= torch.tensor(limit)"})
