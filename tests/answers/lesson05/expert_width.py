"""Answers to exercise 5.2, expert_width: right ones, and wrong ones with the message that they must get."""

import torch
from answers import ANY, blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def flops_written_out(d_model, d_dense, n_experts, top_k, n_shared):
    d_expert = int(d_dense / (top_k + n_shared))
    one = 2 * 3 * d_model * d_expert
    sparse = (top_k + n_shared) * one + 2 * d_model * n_experts
    return d_expert, sparse / (2 * 3 * d_model * d_dense)


@right
def searched(d_model, d_dense, n_experts, top_k, n_shared):
    d_expert = 0
    while (d_expert + 1) * (top_k + n_shared) <= d_dense:
        d_expert += 1
    return d_expert, d_expert * (top_k + n_shared) / d_dense + n_experts / d_dense / 3


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------


@wrong("All experts are counted")
def all_experts(d_model, d_dense, n_experts, top_k, n_shared):
    active = top_k + n_shared
    d_expert = d_dense // active
    return d_expert, (3 * d_expert * (n_experts + n_shared) + n_experts) / (3 * d_dense)


@wrong("Divided by all experts")
def divided_by_all(d_model, d_dense, n_experts, top_k, n_shared):
    active = top_k + n_shared
    d_expert = d_dense // (n_experts + n_shared)
    return d_expert, (3 * d_expert * active + n_experts) / (3 * d_dense)


@wrong("Divided by the number of experts")
def divided_by_experts(d_model, d_dense, n_experts, top_k, n_shared):
    active = top_k + n_shared
    d_expert = d_dense // n_experts
    return d_expert, (3 * d_expert * active + n_experts) / (3 * d_dense)


@wrong("A float, where a whole number is asked")
def float_width(d_model, d_dense, n_experts, top_k, n_shared):
    active = top_k + n_shared
    d_expert = float(d_dense // active)
    return d_expert, (3 * d_expert * active + n_experts) / (3 * d_dense)


@wrong("FLOPs, not their ratio")
def flops(d_model, d_dense, n_experts, top_k, n_shared):
    active = top_k + n_shared
    d_expert = d_dense // active
    return d_expert, 2 * d_model * (3 * d_expert * active + n_experts)


@wrong("Half the router")
def half_router(d_model, d_dense, n_experts, top_k, n_shared):
    active = top_k + n_shared
    d_expert = d_dense // active
    return d_expert, (6 * d_model * d_expert * active + d_model * n_experts) / (6 * d_model * d_dense)


@wrong("The model's width, not the dense network's")
def model_width(d_model, d_dense, n_experts, top_k, n_shared):
    active = top_k + n_shared
    d_expert = d_model // active
    return d_expert, (3 * d_expert * active + n_experts) / (3 * d_dense)


@wrong("The router is forgotten")
def no_router(d_model, d_dense, n_experts, top_k, n_shared):
    active = top_k + n_shared
    d_expert = d_dense // active
    return d_expert, d_expert * active / d_dense


@wrong("The shared experts are forgotten")
def no_shared(d_model, d_dense, n_experts, top_k, n_shared):
    active = top_k + n_shared
    d_expert = d_dense // top_k
    return d_expert, (3 * d_expert * active + n_experts) / (3 * d_dense)


@wrong("The shared experts are forgotten")
def no_shared_at_all(d_model, d_dense, n_experts, top_k, n_shared):
    active = top_k
    d_expert = d_dense // active
    return d_expert, (3 * d_expert * active + n_experts) / (3 * d_dense)


@wrong("Not a whole width")
def not_whole(d_model, d_dense, n_experts, top_k, n_shared):
    active = top_k + n_shared
    d_expert = d_dense / active
    return d_expert, (3 * d_expert * active + n_experts) / (3 * d_dense)


@wrong("In percent")
def percent(d_model, d_dense, n_experts, top_k, n_shared):
    active = top_k + n_shared
    d_expert = d_dense // active
    return d_expert, 100 * (3 * d_expert * active + n_experts) / (3 * d_dense)


@wrong("The shared experts are forgotten")
def ratio_without_shared(d_model, d_dense, n_experts, top_k, n_shared):
    active = top_k + n_shared
    d_expert = d_dense // active
    return d_expert, (3 * d_expert * top_k + n_experts) / (3 * d_dense)


@wrong("Rounded to the nearest")
def rounded(d_model, d_dense, n_experts, top_k, n_shared):
    active = top_k + n_shared
    d_expert = round(d_dense / active)
    return d_expert, (3 * d_expert * active + n_experts) / (3 * d_dense)


@wrong("The ratio over the active width")
def over_active_width(d_model, d_dense, n_experts, top_k, n_shared):
    active = top_k + n_shared
    d_expert = d_dense // active
    return d_expert, (3 * d_expert * active + n_experts) / (3 * d_expert * active)


@wrong(ANY)
def rounded_ratio(d_model, d_dense, n_experts, top_k, n_shared):
    active = top_k + n_shared
    d_expert = d_dense // active
    return d_expert, round((3 * d_expert * active + n_experts) / (3 * d_dense), 3)


@wrong("Rounded up")
def rounded_up(d_model, d_dense, n_experts, top_k, n_shared):
    active = top_k + n_shared
    d_expert = -(-d_dense // active)
    return d_expert, (3 * d_expert * active + n_experts) / (3 * d_dense)


@wrong("The router was paid from the width")
def router_paid(d_model, d_dense, n_experts, top_k, n_shared):
    active = top_k + n_shared
    d_expert = (3 * d_dense - n_experts) // (3 * active)
    return d_expert, (3 * d_expert * active + n_experts) / (3 * d_dense)


@wrong("The router is counted three times")
def router_three_times(d_model, d_dense, n_experts, top_k, n_shared):
    active = top_k + n_shared
    d_expert = d_dense // active
    return d_expert, (d_expert * active + n_experts) / d_dense


@wrong("The router is counted twice")
def router_twice(d_model, d_dense, n_experts, top_k, n_shared):
    active = top_k + n_shared
    d_expert = d_dense // active
    return d_expert, (3 * d_expert * active + 2 * n_experts) / (3 * d_dense)


@wrong("The router has no width")
def router_without_width(d_model, d_dense, n_experts, top_k, n_shared):
    active = top_k + n_shared
    d_expert = d_dense // active
    return d_expert, (3 * d_model * d_expert * active + n_experts) / (3 * d_model * d_dense)


@wrong("`d_expert` and `ratio` have changed places", "A float, where a whole number is asked")
def swapped(d_model, d_dense, n_experts, top_k, n_shared):
    active = top_k + n_shared
    d_expert = d_dense // active
    return (3 * d_expert * active + n_experts) / (3 * d_dense), d_expert


@wrong("Not a plain float")
def tensors(d_model, d_dense, n_experts, top_k, n_shared):
    active = top_k + n_shared
    d_expert = d_dense // active
    return d_expert, torch.tensor((3 * d_expert * active + n_experts) / (3 * d_dense))


@wrong("Not a plain float")
def text(d_model, d_dense, n_experts, top_k, n_shared):
    active = top_k + n_shared
    d_expert = d_dense // active
    return d_expert, f"{(3 * d_expert * active + n_experts) / (3 * d_dense):.3f}"


@wrong("Multiplied, not divided")
def times(d_model, d_dense, n_experts, top_k, n_shared):
    active = top_k + n_shared
    d_expert = d_dense * active
    return d_expert, (3 * d_expert * active + n_experts) / (3 * d_dense)


@wrong("Two matrices, not three")
def two_matrices(d_model, d_dense, n_experts, top_k, n_shared):
    active = top_k + n_shared
    d_expert = d_dense // active
    return d_expert, (2 * d_expert * active + n_experts) / (2 * d_dense)


@wrong("The ratio is upside down")
def upside_down(d_model, d_dense, n_experts, top_k, n_shared):
    active = top_k + n_shared
    d_expert = d_dense // active
    return d_expert, 3 * d_dense / (3 * d_expert * active + n_experts)


@wrong("Rounded down")
def whole_ratio(d_model, d_dense, n_experts, top_k, n_shared):
    active = top_k + n_shared
    d_expert = d_dense // active
    return d_expert, (3 * d_expert * active + n_experts) // (3 * d_dense)


@wrong("The ratio ignores the rounding")
def width_not_rounded(d_model, d_dense, n_experts, top_k, n_shared):
    active = top_k + n_shared
    d_expert = d_dense // active
    return d_expert, (3 * (d_dense / active) * active + n_experts) / (3 * d_dense)


# ---- wrong, written by readers of the exercise's text alone ---------------------------------------------------------


@blind("`d_expert` is not right yet", ANY)  # top_k times shared
def divided_by_k_times_shared(d_model, d_dense, n_experts, top_k, n_shared):
    f = d_dense // (top_k * max(n_shared, 1))
    return f, (3 * (top_k + n_shared) * f + n_experts) / (3 * d_dense)


@blind("Not a whole width", ANY)  # a float
def blind_float_width(d_model, d_dense, n_experts, top_k, n_shared):
    f = d_dense / (top_k + n_shared)
    return f, (3 * (top_k + n_shared) * f + n_experts) / (3 * d_dense)


@blind("The ratio is upside down", ANY)  # dense over sparse
def inverse(d_model, d_dense, n_experts, top_k, n_shared):
    f = d_dense // (top_k + n_shared)
    return f, (3 * d_dense) / (3 * (top_k + n_shared) * f + n_experts)


@blind("Divided by the number of experts", ANY)  # divides by the number of experts
def over_all_experts(d_model, d_dense, n_experts, top_k, n_shared):
    f = d_dense // n_experts
    return f, (3 * (top_k + n_shared) * f + n_experts) / (3 * d_dense)


@blind("The ratio ignores the rounding", ANY)  # the ratio takes the experts as exactly equal
def ratio_ignores_rounding(d_model, d_dense, n_experts, top_k, n_shared):
    f = d_dense // (top_k + n_shared)
    return f, (3 * d_dense + n_experts) / (3 * d_dense)


@blind("Rounded to the nearest", ANY)  # rounded to the nearest
def blind_rounded(d_model, d_dense, n_experts, top_k, n_shared):
    f = round(d_dense / (top_k + n_shared))
    return f, (3 * (top_k + n_shared) * f + n_experts) / (3 * d_dense)


@blind("The router was paid from the width", ANY)  # the router is paid from the experts' width
def router_inside_the_budget(d_model, d_dense, n_experts, top_k, n_shared):
    f = (3 * d_dense - n_experts) // (3 * (top_k + n_shared))
    return f, (3 * (top_k + n_shared) * f + n_experts) / (3 * d_dense)


@blind("The router is forgotten", ANY)  # the ratio has no router
def router_left_out(d_model, d_dense, n_experts, top_k, n_shared):
    f = d_dense // (top_k + n_shared)
    return f, (top_k + n_shared) * f / d_dense


@blind("The router is counted three times", ANY)  # the router counted three times
def router_like_an_expert(d_model, d_dense, n_experts, top_k, n_shared):
    f = d_dense // (top_k + n_shared)
    return f, (3 * (top_k + n_shared) * f + 3 * n_experts) / (3 * d_dense)


@blind("The router of chosen experts only", ANY)  # the router scores only the chosen
def router_of_the_active(d_model, d_dense, n_experts, top_k, n_shared):
    f = d_dense // (top_k + n_shared)
    return f, (3 * (top_k + n_shared) * f + top_k) / (3 * d_dense)


@blind("The shared experts are forgotten", ANY)  # shared experts are not counted
def shared_forgotten(d_model, d_dense, n_experts, top_k, n_shared):
    f = d_dense // top_k
    return f, (3 * top_k * f + n_experts) / (3 * d_dense)


@blind("Two matrices, not three", ANY)  # an expert has two matrices
def blind_two_matrices(d_model, d_dense, n_experts, top_k, n_shared):
    f = d_dense // (top_k + n_shared)
    return f, (2 * (top_k + n_shared) * f + n_experts) / (2 * d_dense)


@right  # exact for every width below 2⁵³
def by_true_division(d_model, d_dense, n_experts, top_k, n_shared):
    active = top_k + n_shared
    d_expert = int(d_dense / active)
    return d_expert, (3.0 * active * d_expert + n_experts) / (3.0 * d_dense)


@wrong("Close, but not equal")  # 16,777,216 for 16,777,217
def width_in_float32(d_model, d_dense, n_experts, top_k, n_shared):
    active = top_k + n_shared
    d_expert = int(torch.tensor(float(d_dense)) // active)
    return d_expert, (3 * active * d_expert + n_experts) / (3 * d_dense)
