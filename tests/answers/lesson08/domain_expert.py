"""Answers to exercise 8.5, domain_expert: right ones, and wrong ones with the message that they must get."""

import math
from fractions import Fraction

import numpy as np
import torch
from answers import ANY, blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def step_by_step(counts, effect, domain):
    load = counts.sum(1)
    share = counts[:, domain] / load.clamp(min=1)
    expert = int(share.argmax())
    distance = (counts[:, domain] - counts[expert, domain]).abs().double()
    distance[expert] = float("inf")
    control = int(distance.argmin())
    mine = effect[expert, domain]
    others = [effect[expert, c] for c in range(effect.shape[1]) if c != domain]
    return expert, control, bool(mine > effect[control, domain]) and all(bool(mine > other) for other in others)


@right
def with_plain_numbers(counts, effect, domain):
    rows = counts.tolist()
    load = [sum(row) for row in rows]
    share = [row[domain] / n if n else 0 for row, n in zip(rows, load)]
    expert = max(range(len(rows)), key=share.__getitem__)
    control = min(
        (e for e in range(len(rows)) if e != expert), key=lambda e: abs(rows[e][domain] - rows[expert][domain])
    )
    effects = effect.tolist()
    mine = effects[expert].pop(domain)
    return expert, control, mine > effects[control][domain] and all(mine > x for x in effects[expert])


def varied(counts, effect, domain, expert=None, control=None, holds=None):
    load = counts.sum(1)
    share = counts[:, domain].double() / load.clamp(min=1)
    e = int(share.argmax()) if expert is None else expert(share, load)
    here = counts[:, domain]
    gap = (here - here[e]).abs().double()
    gap[e] = math.inf
    c = int(gap.argmin()) if control is None else control(share, here, e)
    mine = effect[e, domain]
    others = torch.cat([effect[e, :domain], effect[e, domain + 1 :]])
    h = bool(mine > effect[c, domain] and (mine > others).all()) if holds is None else holds(e, c, mine, others)
    return e, c, h


@right
def in_python(counts, effect, domain):
    rows, harm = counts.tolist(), effect.tolist()
    loads = [sum(r) for r in rows]
    shares = [Fraction(r[domain], n) if n else Fraction(0) for r, n in zip(rows, loads)]
    e = shares.index(max(shares))
    c = min((i for i in range(len(rows)) if i != e), key=lambda i: abs(rows[i][domain] - rows[e][domain]))
    x = harm[e][domain]
    return e, c, x > harm[c][domain] and all(x > y for d, y in enumerate(harm[e]) if d != domain)


@right
def in_loops(counts, effect, domain):
    E, C = counts.shape
    best, expert = -1.0, 0
    for e in range(E):
        total = counts[e].sum().item()
        s = counts[e, domain].item() / total if total > 0 else 0.0
        if s > best:
            best, expert = s, e
    control, near = None, None
    for e in range(E):
        if e == expert:
            continue
        d = abs(counts[e, domain].item() - counts[expert, domain].item())
        if near is None or d < near:
            control, near = e, d
    holds = effect[expert, domain].item() > effect[control, domain].item()
    for c in range(C):
        if c != domain and effect[expert, c] >= effect[expert, domain]:
            holds = False
    return expert, control, holds


@right
def in_numpy(counts, effect, domain):
    c, f = counts.numpy(), effect.numpy()
    load = c.sum(1)
    share = np.nan_to_num(np.divide(c[:, domain], load, out=np.zeros(len(load)), where=load > 0))
    e = int(np.argmax(share))
    gap = np.abs(c[:, domain] - c[e, domain]).astype(float)
    gap[e] = np.inf
    k = int(gap.argmin())
    return e, k, bool(f[e, domain] > f[k, domain]) and bool((np.delete(f[e], domain) < f[e, domain]).all())


@right
def in_float32(counts, effect, domain):
    share = torch.nan_to_num(counts / counts.sum(1, keepdim=True))[:, domain]
    e = share.argmax().item()
    here = counts[:, domain]
    rest = [i for i in range(len(here)) if i != e]
    c = rest[(here[rest] - here[e]).abs().argmin()]
    others = effect[e].clone()
    others[domain] = -math.inf
    return e, c, (effect[e, domain] > torch.maximum(effect[c, domain], others.max())).item()


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------


@wrong("The expert that gets most of the domain")
def most(counts, effect, domain):
    load = counts.sum(1)
    expert = int(counts[:, domain].argmax())
    distance = (counts[:, domain] - counts[expert, domain]).abs()
    distance[expert] = distance.max() + 1
    control = int(distance.argmin())
    mine = effect[expert, domain]
    rest = torch.cat([effect[expert, :domain], effect[expert, domain + 1 :]])
    return expert, control, bool(mine > effect[control, domain] and (mine > rest).all())


@wrong("The expert is its own control")
def itself(counts, effect, domain):
    load = counts.sum(1)
    expert = int((counts[:, domain] / load.clamp(min=1)).argmax())
    control = int((counts[:, domain] - counts[expert, domain]).abs().argmin())
    mine = effect[expert, domain]
    rest = torch.cat([effect[expert, :domain], effect[expert, domain + 1 :]])
    return expert, control, bool(mine > effect[control, domain] and (mine > rest).all())


@wrong("The comparison with the control is missing")
def no_control(counts, effect, domain):
    load = counts.sum(1)
    expert = int((counts[:, domain] / load.clamp(min=1)).argmax())
    distance = (counts[:, domain] - counts[expert, domain]).abs()
    distance[expert] = distance.max() + 1
    return expert, int(distance.argmin()), int(effect[expert].argmax()) == domain


@wrong("The comparison with the other domains is missing")
def no_other_domain(counts, effect, domain):
    load = counts.sum(1)
    expert = int((counts[:, domain] / load.clamp(min=1)).argmax())
    distance = (counts[:, domain] - counts[expert, domain]).abs()
    distance[expert] = distance.max() + 1
    control = int(distance.argmin())
    return expert, control, bool(effect[expert, domain] > effect[control, domain])


@wrong("The control has the nearest load")
def by_load(counts, effect, domain):
    return varied(counts, effect, domain, control=lambda s, l, e: nearest_of(counts.sum(1), e))


@wrong("The control has the nearest share")
def by_share(counts, effect, domain):
    return varied(counts, effect, domain, control=lambda s, l, e: nearest_of(s, e))


def nearest_of(values, e):
    gap = (values - values[e]).abs().double()
    gap[e] = math.inf
    return int(gap.argmin())


# ---- wrong, written from the exercise's text alone ---------------------------------------------------------------------


@blind("Among equals, the higher number")
def tie_share(counts, effect, domain):
    return varied(counts, effect, domain, expert=lambda s, l: max(range(len(s)), key=lambda i: (s[i].item(), i)))


@blind("Among equals, the higher number")
def tie_control(counts, effect, domain):
    return varied(
        counts,
        effect,
        domain,
        control=lambda s, l, e: min((i for i in range(len(l)) if i != e), key=lambda i: (abs(int(l[i] - l[e])), -i)),
    )


@blind("As much is not more")
def as_much(counts, effect, domain):
    return varied(
        counts, effect, domain, holds=lambda e, c, m, o: bool(m >= effect[c, domain]) and bool((m >= o).all())
    )


@blind("As much is not more")
def as_much_control(counts, effect, domain):
    return varied(counts, effect, domain, holds=lambda e, c, m, o: bool(m >= effect[c, domain]) and bool((m > o).all()))


@blind("As much is not more")
def argmax(counts, effect, domain):
    return varied(
        counts,
        effect,
        domain,
        holds=lambda e, c, m, o: bool(m > effect[c, domain]) and int(effect[e].argmax()) == domain,
    )


@blind("0 / 0 is taken for the largest share")
def nan(counts, effect, domain):
    return varied(
        counts, effect, domain, expert=lambda s, l: int((counts[:, domain].double() / counts.sum(1)).argmax())
    )


@blind("Experts without assignments are left out")
def dropped(counts, effect, domain):
    kept = counts.sum(1) > 0
    return step_by_step(counts[kept], effect[kept], domain)


@blind("A silent control is passed over")
def live_control(counts, effect, domain):
    def control(s, l, e):
        gap = (l - l[e]).abs().double()
        gap[counts.sum(1) == 0] = math.inf
        gap[e] = math.inf
        return int(gap.argmin())

    return varied(counts, effect, domain, control=control)


@blind("Compared with any other domain")
def with_any(counts, effect, domain):
    return varied(counts, effect, domain, holds=lambda e, c, m, o: bool(m > effect[c, domain]) and bool((m > o).any()))


@blind("Compared with every other expert")
def experts(counts, effect, domain):
    return varied(
        counts,
        effect,
        domain,
        holds=lambda e, c, m, o: all(m > effect[i, domain] for i in range(len(effect)) if i != e),
    )


@blind("The other domains are looked up for the control")
def control_others(counts, effect, domain):
    def holds(e, c, m, o):
        return bool(m > effect[c, domain]) and all(m > effect[c, d] for d in range(effect.shape[1]) if d != domain)

    return varied(counts, effect, domain, holds=holds)


@blind("The effects have lost their signs")
def abs_effect(counts, effect, domain):
    return varied(counts, effect.abs(), domain)


@blind("Always False")
def never(counts, effect, domain):
    return varied(
        counts, effect, domain, holds=lambda e, c, m, o: bool(m > effect[c, domain]) and bool((m > effect[e]).all())
    )


@blind("The expert that gets most of the domain")
def columns(counts, effect, domain):
    share = counts[:, domain].double() / counts[:, domain].sum().clamp(min=1)
    return varied(counts, effect, domain, expert=lambda s, l: int(share.argmax()))


@blind(ANY)
def lower(counts, effect, domain):
    def control(s, l, e):
        order = l.argsort(stable=True).tolist()
        at = order.index(e)
        return order[at - 1] if at else order[1]

    return varied(counts, effect, domain, control=control)


@blind("Your function changed its input")
def mutates_counts(counts, effect, domain):
    e, c, h = step_by_step(counts, effect, domain)
    counts[e] = 0
    return e, c, h


@blind("Not a bool")
def an_int(counts, effect, domain):
    e, c, h = step_by_step(counts, effect, domain)
    return e, c, int(h)


@blind("Compared with every other expert")
def experts_and_domains(counts, effect, domain):
    def holds(e, c, m, o):
        return bool((m > o).all()) and all(m > effect[i, domain] for i in range(len(effect)) if i != e)

    return varied(counts, effect, domain, holds=holds)


@blind("The verdict is not right")
def by_the_row_sum(counts, effect, domain):
    return varied(counts, effect, domain, holds=lambda e, c, m, o: bool(m > effect[c, domain]) and bool(m > o.sum()))


@wrong("The verdict is not right")
def by_a_margin(counts, effect, domain):
    return varied(
        counts, effect, domain, holds=lambda e, c, m, o: bool(m > effect[c, domain] + 0.45) and bool((m > o).all())
    )
