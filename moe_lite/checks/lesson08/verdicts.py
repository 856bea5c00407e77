"""The verdict of exercise 8.5, and rules that are nearly it: each is a mistake that learners make."""

from collections.abc import Callable

import torch
from torch import Tensor

Verdict = tuple[int, int, bool]


def verdict(counts: Tensor, effect: Tensor, domain: int) -> Verdict:
    """counts (E, C), effect (E, C) nats -> the candidate, its control, and whether muting it hits this domain most."""
    expert = candidate(counts, domain)
    control = nearest(counts, expert, domain)
    return expert, control, more_than_control(effect, domain, expert, control) and most_here(effect, domain, expert)


def candidate(counts: Tensor, domain: int) -> int:
    """The expert with the largest share of the domain among its assignments; the first of equals."""
    load = counts.sum(1)
    shares = [int(n) / int(of) if of else 0.0 for n, of in zip(counts[:, domain], load, strict=True)]
    return shares.index(max(shares))


def nearest(counts: Tensor, expert: int, domain: int) -> int:
    """The other expert whose number of assignments of the domain is nearest; the first of equals."""
    here = counts[:, domain].tolist()
    others = [e for e in range(len(here)) if e != expert]
    return min(others, key=lambda e: abs(here[e] - here[expert]))


def more_than_control(effect: Tensor, domain: int, expert: int, control: int) -> bool:
    return bool(effect[expert, domain] > effect[control, domain])


def most_here(effect: Tensor, domain: int, expert: int) -> bool:
    return all(bool(effect[expert, domain] > x) for c, x in enumerate(effect[expert]) if c != domain)


# ---- nearly the rule -------------------------------------------------------------------------------------------------


def judged(expert: int, control: int, effect: Tensor, domain: int) -> Verdict:
    return expert, control, more_than_control(effect, domain, expert, control) and most_here(effect, domain, expert)


def most_of_the_domain(counts: Tensor, effect: Tensor, domain: int) -> Verdict:
    expert = int(counts[:, domain].argmax())
    return judged(expert, nearest(counts, expert, domain), effect, domain)


def largest_effect(counts: Tensor, effect: Tensor, domain: int) -> Verdict:
    expert = int(effect[:, domain].argmax())
    return judged(expert, nearest(counts, expert, domain), effect, domain)


def last_of_equals(counts: Tensor, effect: Tensor, domain: int) -> Verdict:
    """The right candidate but for equal shares, where it is the last."""
    expert = len(counts) - 1 - candidate(counts.flip(0), domain)
    return judged(expert, nearest(counts, expert, domain), effect, domain)


def nan_is_largest(counts: Tensor, effect: Tensor, domain: int) -> Verdict:
    expert = int((counts[:, domain] / counts.sum(1)).argmax())
    return judged(expert, nearest(counts, expert, domain), effect, domain)


def silent_left_out(counts: Tensor, effect: Tensor, domain: int) -> Verdict:
    """The rows of experts without assignments are taken out, and the others numbered anew."""
    seen = counts.sum(1) > 0
    return verdict(counts[seen], effect[seen], domain)


def with_control(choose: Callable[[Tensor, int, int], int]) -> Callable[[Tensor, Tensor, int], Verdict]:
    """The right candidate, and a control that `choose(counts, expert, domain)` gives."""

    def rule(counts: Tensor, effect: Tensor, domain: int) -> Verdict:
        expert = candidate(counts, domain)
        return judged(expert, choose(counts, expert, domain), effect, domain)

    return rule


def nearest_load(counts: Tensor, expert: int, domain: int) -> int:
    return nearest(counts.sum(1, keepdim=True), expert, 0)


def nearest_share(counts: Tensor, expert: int, domain: int) -> int:
    """By the part of its own assignments."""
    shares = (counts[:, domain] / counts.sum(1).clamp(min=1)).double()
    distance = (shares - shares[expert]).abs()
    distance[expert] = float("inf")
    return int(distance.argmin())


def last_nearest(counts: Tensor, expert: int, domain: int) -> int:
    last = len(counts) - 1
    return last - nearest(counts.flip(0), last - expert, domain)


def nearest_seen(counts: Tensor, expert: int, domain: int) -> int:
    """Among those that have assignments; the candidate itself if it alone has."""
    seen = [e for e in range(len(counts)) if e == expert or bool(counts[e].any())]
    return seen[nearest(counts[seen], seen.index(expert), domain)] if len(seen) > 1 else expert


def runner_up(counts: Tensor, expert: int, domain: int) -> int:
    """The expert with the second largest share of the domain."""
    counts = counts.clone()
    counts[expert] = 0
    return candidate(counts, domain)


def neighbour(counts: Tensor, expert: int, domain: int) -> int:
    return (expert + 1) % len(counts)


def least_loaded(counts: Tensor, expert: int, domain: int) -> int:
    load = counts.sum(1).double()
    load[expert] = float("inf")
    return int(load.argmin())


def itself(counts: Tensor, expert: int, domain: int) -> int:
    return expert


def told(rule: Callable[[Tensor, int, int, int], bool]) -> Callable[..., bool]:
    """A third value, with the right candidate and control: `rule(effect, domain, expert, control)`."""

    def holds(counts: Tensor, effect: Tensor, domain: int) -> torch.Tensor:
        expert = candidate(counts, domain)
        return torch.tensor(rule(effect, domain, expert, nearest(counts, expert, domain)))

    return holds


def against_mean(effect: Tensor, domain: int, expert: int, control: int) -> bool:
    others = effect[expert][torch.arange(effect.shape[1]) != domain]
    higher = bool(effect[expert, domain] > others.mean()) if others.numel() else True
    return higher and more_than_control(effect, domain, expert, control)


def at_least_control(effect: Tensor, domain: int, expert: int, control: int) -> bool:
    return bool(effect[expert, domain] >= effect[control, domain]) and most_here(effect, domain, expert)


def at_least_others(effect: Tensor, domain: int, expert: int, control: int) -> bool:
    return more_than_control(effect, domain, expert, control) and among_most(effect, domain, expert)


def at_least_both(effect: Tensor, domain: int, expert: int, control: int) -> bool:
    return bool(effect[expert, domain] >= effect[control, domain]) and among_most(effect, domain, expert)


def among_most(effect: Tensor, domain: int, expert: int) -> bool:
    return bool((effect[expert, domain] >= effect[expert]).all())


def first_of_most(effect: Tensor, domain: int, expert: int, control: int) -> bool:
    """`argmax`, which takes the first of equals."""
    return more_than_control(effect, domain, expert, control) and int(effect[expert].argmax()) == domain


def more_than_one(effect: Tensor, domain: int, expert: int, control: int) -> bool:
    """`any` in place of `all`."""
    higher = bool((effect[expert, domain] > effect[expert]).any())
    return more_than_control(effect, domain, expert, control) and higher


def against_control_row(effect: Tensor, domain: int, expert: int, control: int) -> bool:
    """More than the control costs any domain."""
    return bool((effect[expert, domain] > effect[control]).all())


def without_signs(effect: Tensor, domain: int, expert: int, control: int) -> bool:
    return more_than_control(effect.abs(), domain, expert, control) and most_here(effect.abs(), domain, expert)


def more_than_experts(effect: Tensor, domain: int, expert: int, control: int) -> bool:
    return all(bool(effect[expert, domain] > x) for e, x in enumerate(effect[:, domain]) if e != expert)
