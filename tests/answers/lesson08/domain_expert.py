"""Answers to exercise 8.5, domain_expert: right ones, and wrong ones with the message that they must get."""

import torch
from answers import right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def step_by_step(counts, effect, domain):
    load = counts.sum(1)
    share = counts[:, domain] / load.clamp(min=1)
    expert = int(share.argmax())
    distance = (load - load[expert]).abs().double()
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
    control = min((e for e in range(len(rows)) if e != expert), key=lambda e: abs(load[e] - load[expert]))
    effects = effect.tolist()
    mine = effects[expert].pop(domain)
    return expert, control, mine > effects[control][domain] and all(mine > x for x in effects[expert])


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------


@wrong("The expert that gets most of the domain")
def most(counts, effect, domain):
    load = counts.sum(1)
    expert = int(counts[:, domain].argmax())
    distance = (load - load[expert]).abs()
    distance[expert] = distance.max() + 1
    control = int(distance.argmin())
    mine = effect[expert, domain]
    rest = torch.cat([effect[expert, :domain], effect[expert, domain + 1 :]])
    return expert, control, bool(mine > effect[control, domain] and (mine > rest).all())


@wrong("The expert is its own control")
def itself(counts, effect, domain):
    load = counts.sum(1)
    expert = int((counts[:, domain] / load.clamp(min=1)).argmax())
    control = int((load - load[expert]).abs().argmin())
    mine = effect[expert, domain]
    rest = torch.cat([effect[expert, :domain], effect[expert, domain + 1 :]])
    return expert, control, bool(mine > effect[control, domain] and (mine > rest).all())


@wrong("The control is not asked")
def no_control(counts, effect, domain):
    load = counts.sum(1)
    expert = int((counts[:, domain] / load.clamp(min=1)).argmax())
    distance = (load - load[expert]).abs()
    distance[expert] = distance.max() + 1
    return expert, int(distance.argmin()), int(effect[expert].argmax()) == domain


@wrong("The other domains are not asked")
def no_other_domain(counts, effect, domain):
    load = counts.sum(1)
    expert = int((counts[:, domain] / load.clamp(min=1)).argmax())
    distance = (load - load[expert]).abs()
    distance[expert] = distance.max() + 1
    control = int(distance.argmin())
    return expert, control, bool(effect[expert, domain] > effect[control, domain])
