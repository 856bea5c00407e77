"""Answers to exercise 7.1, keep_within_capacity: right ones, and wrong ones with the message that they must get."""

import math

import torch
import torch.nn.functional as F
from answers import ANY, blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def as_asked(expert_ids, n_experts, factor):
    capacity = math.ceil(round(factor * expert_ids.numel() / n_experts, 6))
    flat = expert_ids.flatten()
    place = F.one_hot(flat, n_experts).cumsum(dim=0).gather(1, flat[:, None])
    kept = (place <= capacity).view_as(expert_ids)
    return capacity, kept


@right
def put_another_way(expert_ids, n_experts, factor):
    n, k = expert_ids.shape
    capacity = math.ceil(factor * n * k / n_experts * (1 - 1e-9))
    flat = F.one_hot(expert_ids.flatten(), n_experts)
    rank = ((flat.cumsum(0) - 1) * flat).sum(1)
    kept = (rank < capacity).view(n, k)
    return capacity, kept


@right
def exact(expert_ids, n_experts, factor):
    from fractions import Fraction

    capacity = math.ceil(Fraction(str(factor)) * expert_ids.numel() / n_experts)
    kept = torch.zeros(expert_ids.numel(), dtype=torch.bool)
    for e in range(n_experts):
        kept[(expert_ids.flatten() == e).nonzero()[:capacity, 0]] = True
    return capacity, kept.view_as(expert_ids)


@right
def loop(expert_ids, n_experts, factor):
    capacity = math.ceil(round(factor * expert_ids.numel() / n_experts, 6))
    taken = [0] * n_experts
    kept = torch.zeros(expert_ids.shape, dtype=torch.bool)
    for n, row in enumerate(expert_ids.tolist()):
        for j, e in enumerate(row):
            kept[n, j] = taken[e] < capacity
            taken[e] += 1
    return capacity, kept


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------


wrong(
    "any_of_token",
    "A token with one place keeps all",
    of=as_asked,
    put={
        "(place <= capacity).view_as(expert_ids)": "(place <= capacity).view_as(expert_ids).any(dim=1, keepdim=True).expand_as(expert_ids)"
    },
)
wrong(
    "by_choice",
    "First choices came first",
    of=as_asked,
    put={
        "expert_ids.flatten": "expert_ids.t().flatten",
        "(place <= capacity).view_as(expert_ids)": "(place <= capacity).view(expert_ids.t().shape).t()",
    },
)
wrong(
    "chosen_experts",
    "Divided by the experts that were chosen",
    of=as_asked,
    put={"factor * expert_ids.numel() / n_experts": "factor * expert_ids.numel() / len(expert_ids.unique())"},
)
wrong(
    "columns",
    "Each column has a count of its own",
    of=as_asked,
    put={
        "(place <= capacity).view_as(expert_ids)": "F.one_hot(expert_ids, n_experts).cumsum(dim=0).gather(2, expert_ids[..., None])[..., 0] <= capacity"
    },
)
wrong(
    "down",
    "Rounded down",
    of=as_asked,
    put={
        "math.ceil(round(factor * expert_ids.numel() / n_experts, 6))": "int(factor * expert_ids.numel() / n_experts)"
    },
)
wrong("dropped", "True where dropped", of=as_asked, put={"place <= capacity": "place > capacity"})
wrong(
    "first_places",
    "The first tokens, whatever they chose",
    of=as_asked,
    put={"place <= capacity": "torch.arange(len(flat)) < capacity"},
)
wrong("flat", ANY, of=as_asked, put={"(place <= capacity).view_as(expert_ids)": "(place <= capacity)[:, 0]"})
wrong(
    "float_capacity",
    ANY,
    of=as_asked,
    put={"math.ceil(round(factor * expert_ids.numel() / n_experts, 6))": "factor * expert_ids.numel() / n_experts"},
)
wrong(
    "full_loses_all",
    "A full expert loses everybody",
    of=as_asked,
    put={"(place <= capacity).view_as(expert_ids)": "torch.bincount(flat)[expert_ids] <= capacity"},
)
wrong(
    "last_first",
    "The last come first",
    of=as_asked,
    put={
        "expert_ids.flatten()": "expert_ids.flatten().flip(0)",
        "(place <= capacity).view_as": "(place <= capacity).flip(0).view_as",
    },
)
wrong(
    "nearest",
    "Rounded to the nearest",
    of=as_asked,
    put={
        "math.ceil(round(factor * expert_ids.numel() / n_experts, 6))": "round(factor * expert_ids.numel() / n_experts)"
    },
)
wrong(
    "no_factor",
    "The factor is forgotten",
    of=as_asked,
    put={"round(factor * expert_ids.numel() / n_experts, 6)": "expert_ids.numel() / n_experts"},
)
wrong("no_k", "K is forgotten", of=as_asked, put={"expert_ids.numel()": "len(expert_ids)"})
wrong(
    "not_divided",
    "Not divided among the experts",
    of=as_asked,
    put={"factor * expert_ids.numel() / n_experts": "factor * expert_ids.numel()"},
)
wrong(
    "numbers",
    "`kept` has the wrong type",
    of=as_asked,
    put={"(place <= capacity).view_as(expert_ids)": "(place <= capacity).view_as(expert_ids).long()"},
)
wrong(
    "of_fullest",
    "Of the fullest expert, not of the fair share",
    of=as_asked,
    put={"factor * expert_ids.numel() / n_experts": "factor * int(torch.bincount(expert_ids.flatten()).max())"},
)
wrong("one_too_few", "One too few finds room", of=as_asked, put={"place <= capacity": "place < capacity"})
wrong("one_too_many", "One too many finds room", of=as_asked, put={"place <= capacity": "place - 1 <= capacity"})
wrong("other_way_round", ANY, of=as_asked, put={"capacity, kept": "kept, capacity"})
wrong(
    "plus_one",
    "Rounded down, and one more",
    of=as_asked,
    put={
        "math.ceil(round(factor * expert_ids.numel() / n_experts, 6))": "int(round(factor * expert_ids.numel() / n_experts, 6)) + 1"
    },
)
wrong(
    "rounding_error",
    "A rounding error adds a place",
    of=as_asked,
    put={"round(factor * expert_ids.numel() / n_experts, 6)": "factor * expert_ids.numel() / n_experts"},
)
wrong(
    "share_down",
    "The fair share is rounded first",
    of=as_asked,
    put={"factor * expert_ids.numel() / n_experts": "factor * (expert_ids.numel() // n_experts)"},
)
wrong(
    "share_first",
    "The fair share is rounded first",
    of=as_asked,
    put={"round(factor * expert_ids.numel() / n_experts, 6)": "factor * math.ceil(expert_ids.numel() / n_experts)"},
)
wrong(
    "whole_token",
    "A token loses all its choices at once",
    of=as_asked,
    put={
        "(place <= capacity).view_as(expert_ids)": "(place <= capacity).view_as(expert_ids).all(dim=1, keepdim=True).expand_as(expert_ids)"
    },
)

# ---- wrong, written by readers of the exercise's text alone ---------------------------------------------------------


@blind("Each column has a count of its own")
def counts_per_column(expert_ids, n_experts, factor):
    n, k = expert_ids.shape
    capacity = math.ceil(factor * n * k / n_experts * (1 - 1e-9))
    hot = F.one_hot(expert_ids, n_experts)
    rank = ((hot.cumsum(0) - 1) * hot).sum(-1)
    kept = rank < capacity
    return capacity, kept


@blind("In the order of the experts, not of the places")
def stays_in_sorted_order(expert_ids, n_experts, factor):
    n, k = expert_ids.shape
    capacity = math.ceil(factor * n * k / n_experts * (1 - 1e-9))
    sorted_ids, order = expert_ids.flatten().sort(stable=True)
    load = torch.bincount(sorted_ids, minlength=n_experts)
    start = load.cumsum(0) - load
    rank = torch.arange(n * k) - start[sorted_ids]
    kept = (rank < capacity).view(n, k)
    return capacity, kept


blind(
    "drops_whole_token",
    "A token loses all its choices at once",
    of=put_another_way,
    put={
        "return capacity, kept": "kept = kept.all(dim=1, keepdim=True).expand(n, k).clone()\n    return capacity, kept"
    },
)
blind(
    "first_choices_first",
    "First choices came first",
    of=put_another_way,
    put={
        "expert_ids.flatten": "expert_ids.t().flatten",
        "(rank < capacity).view(n, k)": "(rank < capacity).view(k, n).t()",
    },
)
blind("forgets_k", "K is forgotten", of=put_another_way, put={"factor * n * k / n_experts": "factor * n / n_experts"})
blind(
    "blind_one_too_few",
    "One too few finds room",
    of=put_another_way,
    put={"(flat.cumsum(0) - 1) * flat": "flat.cumsum(0) * flat"},
)
blind("blind_one_too_many", "One too many finds room", of=put_another_way, put={"rank < capacity": "rank <= capacity"})
blind(
    "plain_ceil",
    "A rounding error adds a place",
    of=put_another_way,
    put={"factor * n * k / n_experts * (1 - 1e-9)": "factor * n * k / n_experts"},
)
blind(
    "rounds_down",
    "Rounded down",
    of=put_another_way,
    put={"math.ceil(factor * n * k / n_experts * (1 - 1e-9))": "int(factor * n * k / n_experts + 1e-9)"},
)
blind(
    "rounds_share_first",
    "The fair share is rounded first",
    of=put_another_way,
    put={
        "capacity = math.ceil(factor * n * k / n_experts * (1 - 1e-9))": "share = math.ceil(n * k / n_experts)\n    capacity = math.ceil(factor * share * (1 - 1e-9))"
    },
)


wrong(
    "share_computed_first",
    "A rounding error adds a place",
    of=as_asked,
    put={"round(factor * expert_ids.numel() / n_experts, 6)": "factor * (expert_ids.numel() / n_experts)"},
)
wrong("one_digit", "Rounded too coarsely before `ceil`", of=as_asked, put={"/ n_experts, 6)": "/ n_experts, 1)"})
wrong("three_digits", "Rounded too coarsely before `ceil`", of=as_asked, put={"/ n_experts, 6)": "/ n_experts, 3)"})
wrong(
    "share_rounded_to_six",
    ANY,
    of=as_asked,
    put={"round(factor * expert_ids.numel() / n_experts, 6)": "factor * round(expert_ids.numel() / n_experts, 6)"},
)
wrong(
    "a_tenth_taken_off",
    "Rounded too coarsely before `ceil`",
    of=as_asked,
    put={"round(factor * expert_ids.numel() / n_experts, 6)": "factor * expert_ids.numel() / n_experts - 0.1"},
)


# ---- right until the sweep ------------------------------------------------------------------------------------------


@blind("Wrong for extreme values", ANY)
def blind_float32_places(expert_ids, n_experts, factor):
    places = torch.tensor(factor, dtype=torch.float32) * expert_ids.numel() / n_experts
    capacity = int(places.mul(1e4).round().div(1e4).ceil())
    one_hot = torch.nn.functional.one_hot(expert_ids.flatten(), n_experts)
    rank = (one_hot.cumsum(0) * one_hot).sum(1)
    return capacity, (rank <= capacity).view_as(expert_ids)


@wrong("Equal experts out of order")
def sorted_without_stable(expert_ids, n_experts, factor):
    capacity = math.ceil(round(factor * expert_ids.numel() / n_experts, 6))
    flat = expert_ids.flatten()
    order, counts = flat.argsort(descending=True), torch.bincount(flat, minlength=n_experts)
    place = torch.arange(len(flat)) - (len(flat) - counts.cumsum(0))[flat[order]]
    kept = torch.zeros(len(flat), dtype=torch.bool)
    kept[order] = place < capacity
    return capacity, kept.view_as(expert_ids)
