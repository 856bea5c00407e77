# %% [markdown]
# # 06 · Collapse and the balancing loss
# *Part 2 — Keeping every expert busy · about 70 minutes · four exercises and one stretch*
#
# **Why do experts die, and what does fairness cost?**
#
# Lesson 05 trained with a small extra term in the loss, and every expert stayed at work. You take the term away and see what
# happens, write the numbers that describe it and the loss that prevents it, and find out from recorded trainings what fairness
# costs. The answer is not the one in most articles.
#
# **Builds on** [lesson 03](03_router.ipynb) (scores and chosen experts) and [lesson 05](05_moe_language_model.ipynb) (training).
# Nothing from another notebook has to be in memory. In shape comments, N is tokens, E experts, K experts a token, L layers, C
# coefficients, S seeds.

# %% tags=["setup"]
from dataclasses import replace

import torch

from moe_lite import MoELanguageModel, balance, claims, data, evaluate, metrics, sweeps
from moe_lite import model_diagram, plots, runs, train
from moe_lite.checks import lesson06 as check, mine
from moe_lite.widgets import BalanceLab

# %% tags=["diagram"]
model_diagram(today=6)

# %% [markdown]
# ## 6.0 Take the term away
#
# A small model, so that a training takes seconds: two layers, 32 experts in each, two a token, eight rows of 64 tokens a step. Its
# settings come from recorded trainings that you meet later. The extra term's coefficient is 0: nothing but the next token's
# cross-entropy moves the router.

# %%
recorded = sweeps.grid()
corpora = data.load_corpora()
steps, windows = train.budgeted(ci=(6, 2), normal=(300, None), long=(900, None))  # None: the whole validation split
short = replace(recorded.train, steps=steps)


def learn(balance_loss=None, seed=0, **changes):
    """Train the small model anew; returns it with its load and its loss on the validation split."""
    model = MoELanguageModel(replace(recorded.model, **changes), balance_loss=balance_loss, seed=seed)
    for _ in train.train(model, corpora, replace(short, seed=seed)):
        pass
    return model, evaluate.evaluate(model, corpora, length=short.length, max_windows=windows)


# %% [markdown]
# **Predict:** a fair share is 1/32 of the assignments. After a few hundred steps, how large is the largest share? And how many of
# the 32 experts take next to nothing?

# %%
free_model, free = learn()
for layer, load in enumerate(free.load):
    fair = 32 * load / load.sum()  # (E,) 1 is a fair share
    idle = int((fair < 0.01).sum())
    print(f"layer {layer + 1}: the largest share is {fair.max():.1f} times the fair one, {idle} below 0.01 of it")

# %% [markdown]
# Some experts take many times their share, others nearly nothing. Nobody told the router to be unfair, and nobody told it not to
# be. Before asking why, numbers are needed that say how unfair it is.
#
# ## 6.1 Four numbers for a load
#
# A *load* counts the assignments of each expert. Four numbers describe it: its **entropy** divided by the largest possible one, log
# E; its **coefficient of variation** (CV), the standard deviation over the mean; its **maximum violation**, how far the fullest
# expert is above the mean; and the number of **dead** experts, those below a hundredth of the mean.
#
# **By hand:** a load of 6, 2, 0 and 0. What are its mean, CV, maximum violation, and how many are dead? Is the entropy nearer to 0
# or to 1?

# %%
load = torch.tensor([6.0, 2.0, 0.0, 0.0])
deviations = load - load.mean()
share = load / load.sum()
print("mean", load.mean().item(), " mean squared deviation", deviations.square().mean().item())
print(f"CV {deviations.square().mean().sqrt() / load.mean():.4f}, violation {load.max() / load.mean() - 1:.1f}")
print("share · log(share):", [round(value, 3) for value in (share * share.log()).tolist()])

# %% [markdown]
# Mean 2, squared deviations 16, 0, 4 and 4: their mean is 6, and CV is √6 / 2. Here is the first trap: 0 · log 0 is not a number.
# Its limit is 0, and that is what it has to count as. `torch.special.entr` knows that. The second trap: the deviation divides by E,
# not by E − 1; these are all the experts there are, not a sample of them.

# %% [markdown] tags=["exercise"]
# ### Exercise 6.1 — load statistics
# *8 minutes · core · about 6 lines*
#
# **Given** `load` (E,) int64, with at least one assignment.
# **Return** `(entropy, cv, max_violation, dead)`: entropy over log E, so that 1 is even; the deviation over all E experts, divided
# by the mean; the fullest over the mean, minus 1; how many have less than a hundredth of the mean.
# **Allowed:** `torch.special.entr`, `mean`, `max`, `std`, `sum`, comparisons.
#
# <!-- hints 6.1 -->


# %% tags=["stub"]
def load_statistics(load: torch.Tensor) -> tuple[float, float, float, int]:
    """How evenly one layer's experts are used.

    load (E,) int64; returns (entropy, cv, max_violation, dead)
    """
    ### BEGIN SOLUTION
    load = load.double()
    mean = load.mean()
    entropy = torch.special.entr(load / load.sum()).sum() / torch.tensor(float(len(load))).log()
    cv = load.std(correction=0) / mean
    dead = (load < 0.01 * mean).sum()
    return entropy.item(), cv.item(), (load.max() / mean - 1).item(), int(dead)
    ### END SOLUTION


# %% tags=["check"]
check.load_statistics(load_statistics)

# %% [markdown]
# On the model that you trained above, and on two loads that mark the ends of the scale: all equal, and everything on two experts,
# the fewest that top-2 can use.
#
# **Predict:** the CV of a load that is all on two of 32.

# %%
my_statistics = mine("6.1", load_statistics, default=metrics.load_statistics)
two = torch.tensor([1, 1] + 30 * [0])
loads = {"layer 1": free.load[0], "layer 2": free.load[1], "even": torch.ones_like(two), "all on two": two}
values = torch.tensor([my_statistics(load) for load in loads.values()], dtype=torch.float64)
plots.table(values, "loads of 32 experts", rows=[*loads], columns=["entropy", "CV", "max violation", "dead"])

# %% [markdown]
# Everything on K of E experts gives √(E/K − 1), here √15. Your layers lie between the ends, some way from even. None of the four
# numbers says it all: a layer can have a high CV because one expert is too full, with nobody dead, or because many starve.
#
# Loads have to be counted over many tokens. Here an ideal router draws two *random* experts for each token, so nothing is unfair
# but chance.
#
# **Predict:** its CV over 256 tokens, and over a hundred times as many?

# %%
generator = torch.Generator().manual_seed(0)
for n_tokens in (256, 2_560, 25_600):
    drawn = torch.rand(n_tokens, 32, generator=generator).topk(2).indices  # (N, K)
    found = my_statistics(torch.bincount(drawn.flatten(), minlength=32))
    print(f"{n_tokens:>6} tokens: CV {found[1]:.2f}, max violation {found[2]:.2f}")

# %% [markdown]
# Chance alone gives a small batch a CV of about a quarter. So this course states loads over the *whole* validation split, layer by
# layer, unless it says otherwise. What a dashboard shows while it trains are the last 20 steps: good for a warning, not for a
# table.
#
# ## 6.2 Why experts die
#
# Look at what one batch teaches each expert. The gradient of an expert's matrices says how much it would learn.
#
# **Predict:** the gradient of an expert that no token of the batch has chosen. And of the router's row for it?

# %%
batch = data.sample_batch(corpora, 8, 64, torch.Generator().manual_seed(1))
output = free_model(batch.ids, batch.targets)
free_model.zero_grad()
output.loss.backward()
layer, load = free_model.blocks[1].feed_forward, output.routing[1].load  # (E,)
learns = layer.experts.gate_up.grad.flatten(1).norm(dim=1)  # (E,)
row = layer.router.weight.grad.norm(dim=1)  # (E,)
shown = load.argsort(descending=True)[[0, 7, 15, 31]]
values = torch.stack([load[shown].float(), 1e3 * learns[shown], 1e3 * row[shown]], dim=1)
names = [f"expert {e}" for e in shown.tolist()]
columns = ["assignments", "gradient, 1e-3", "of the router's row, 1e-3"]
plots.table(values, "512 tokens, layer 2", rows=names, columns=columns)

# %% [markdown]
# No token, no gradient: neither for the expert nor, up to rounding, for its row of the router. It cannot get better, and it cannot
# ask for work. Whoever gets a little more learns a little more and is chosen more often: the rich get richer. So far the textbook.
# The recorded trainings say how it goes on: two layers of 32 experts, 900 steps, three seeds.
#
# **Predict:** are more experts dead early in the training or at its end? And of those dead at step 300, how many stay dead?


# %%
def dead_at(run, step):
    """(L, E): below a hundredth of the mean over the 20 steps up to this one."""
    load = run.load[run.steps.index(step)].double()  # (L, E)
    return load < 0.01 * load.mean(dim=-1, keepdim=True)


rows, steps = [], (20, 40, 100, 300, 900)
for run in recorded.runs(0.0, top_k=2):
    dead = {step: dead_at(run, step) for step in steps}
    rows.append([*(int(dead[step].sum()) for step in steps), int((dead[300] & dead[900]).sum())])
columns = [*(f"step {step}" for step in steps), "dead at 300 and at 900"]
names = [f"seed {seed}" for seed in recorded.seeds]
plots.table(torch.tensor(rows), "dead experts of 64, no balancing", rows=names, columns=columns)

# %% [markdown]
# Nobody is dead after 20 steps: a random router spreads its tokens. By step 40 half of all experts are. Then many come *back*: at
# the end about a quarter is dead, and of those dead at step 300 only about half are among them. So death is not final, whatever the
# textbook says. The expert itself stands still while nobody chooses it. But the rest of the model moves, and with it the vectors
# that meet its row of the router; one day some token points its way.
#
# ## 6.3 What makes them die
#
# Articles say that without balancing "a few experts take all". Does it always come to that? Here is a recorded sweep: the small
# model as it is, and with one thing changed at a time, three seeds each, no balancing. An expert counts as dead if it has less than
# a hundredth of the mean load on the whole validation split.
#
# **Predict:** which changes kill more experts: fewer experts or more? A higher or a lower learning rate? More tokens in each step?

# %%
tried = sweeps.changed("sweep")
rows = []
for found in tried.values():
    share = torch.tensor([metrics.dead_experts(run["final_load"]).sum() / run["final_load"].numel() for run in found])
    cv = torch.stack([metrics.load_cv(run["final_load"]).mean() for run in found])
    loss = torch.tensor([run["final_loss"] for run in found])
    rows.append([100 * share.min(), 100 * share.max(), cv.mean(), loss.mean(), loss.max() - loss.min()])
columns = ["dead %, least", "most", "CV, mean", "loss, mean", "loss, between seeds"]
plots.table(torch.tensor(rows), "no balancing, three seeds each", rows=[*tried], columns=columns)

# %% [markdown]
# So: sometimes. With 8 experts none dies, in any seed. With 32 it is a fifth to under a third. A larger learning rate or smaller
# initial weights kill more than half, in a training of less than half a minute; four times as many tokens in each step two in five
# or more. A smaller learning rate, larger initial weights or four experts a token spare more than nine in ten.
#
# Even then it is not "a few experts take all": at the worst more than a third goes on working, and the CV stays far below the 3.87
# of everything on two. And the last columns do not follow the first. The lowest loss of the table has two in five dead (it also saw
# four times as many tokens); of two settings with equal losses one has 8 experts and no dead one, the other 16 and a tenth. Is
# dying bad at all?
# <!-- evidence: sqrt(15) -->
#
# ## 6.4 What does skew cost?
#
# Take the model as it is, top-2, without balancing and with a coefficient of 0.01, as Switch Transformers used ([Fedus et al.
# 2021](https://arxiv.org/abs/2101.03961)). Three things could suffer. The **loss**. The **room**: real systems give each expert a
# fixed number of places a step, and what does not fit is dropped; here with places for 1.25 times the fair share. And the **time**:
# where every expert sits on a device of its own, all wait for the fullest one.
#
# **Predict** for each of the three: is the unbalanced model worse, and by how much?


# %%
def costs(coefficient, k=2):
    """Loss, dropped % at 1.25 times the fair share, fullest over mean, dead %; for each seed -> (S, 4)"""
    rows = []
    for run in recorded.runs(coefficient, k):
        over = run.overflow[-5:, :, sweeps.FACTORS.index(1.25)].mean()  # of the last 100 steps
        fullest = 1 + metrics.max_violation(run.final_load).mean()
        dead = metrics.dead_experts(run.final_load).sum() / run.final_load.numel()
        rows.append([run.final_loss, 100 * over, fullest, 100 * dead])
    return torch.tensor(rows)


both = {"no balancing": costs(0.0), "coefficient 0.01": costs(0.01)}
values = torch.cat([torch.stack([found.mean(dim=0), found.amax(dim=0) - found.amin(dim=0)]) for found in both.values()])
rows = [f"{name}, {what}" for name in both for what in ("mean", "between seeds")]
columns = ["loss, nats", "dropped % at 1.25", "fullest over mean", "dead %"]
plots.table(values, "top-2, three seeds", rows=rows, columns=columns)

# %% [markdown]
# Room and time suffer, and much: without balancing the experts would have to turn away far more than half of the assignments, and
# the fullest does nine times the mean. Those who pay for devices have a reason to balance.
#
# The loss does not suffer. It is a little *lower* without balancing, at this size and after less than half a million tokens. What
# the router prefers, it prefers for the sake of the loss; a quarter of the experts is wasted memory, not wrong answers.
#
# ## 6.5 A loss that evens out
#
# Load is counted, and a count has no gradient: move a score a little, and nobody changes experts. Switch Transformers found a way
# around it. Two numbers for each expert $i$: $f_i$, the share of the *assignments* that it gets, and $P_i$, the mean *score* that
# all tokens give it. The loss is
#
# $$E \sum_i f_i P_i$$
#
# $f$ is a constant for the gradient; $P$ can move. Where $f_i$ is large, lowering $P_i$ pays most: scores are drawn away from the
# experts that are full.
#
# **By hand:** three tokens, two experts, top-1. Scores for expert 0 are 0.6, 0.8 and 0.3. What are f, P and the loss?

# %%
scores = torch.tensor([[0.6, 0.4], [0.8, 0.2], [0.3, 0.7]])  # (N, E)
expert_ids = scores.argmax(dim=1, keepdim=True)  # (N, K)
f = torch.bincount(expert_ids.flatten(), minlength=2) / expert_ids.numel()  # (E,)
P = scores.mean(dim=0)  # (E,)
print("f", [round(v, 3) for v in f.tolist()], " P", [round(v, 3) for v in P.tolist()], f" loss {2 * (f * P).sum():.4f}")

# %% [markdown]
# f is 2/3 and 1/3, P is 1.7/3 and 1.3/3, and twice the sum of the products 9.4/9. With K experts a token, f counts all N · K
# assignments and divides by their number, so that it sums to 1.

# %% [markdown] tags=["exercise"]
# ### Exercise 6.2 — the balancing loss
# *10 minutes · core · about 4 lines*
#
# **Given** `scores` (N, E), rows that sum to 1, and `expert_ids` (N, K) int64, the experts chosen.
# **Return** a scalar: E times the sum over experts of f · P, with f over all N · K assignments. The gradient must reach `scores`,
# through P.
# **Allowed:** `torch.bincount`, `flatten`, `numel`, `mean`, `sum`.
#
# <!-- hints 6.2 -->


# %% tags=["stub"]
def load_balancing_loss(scores: torch.Tensor, expert_ids: torch.Tensor) -> torch.Tensor:
    """The Switch loss of one layer.

    scores (N, E), expert_ids (N, K); returns a scalar
    """
    ### BEGIN SOLUTION
    n_experts = scores.shape[1]
    counts = torch.bincount(expert_ids.flatten(), minlength=n_experts).to(scores.dtype)  # (E,)
    f, P = counts / expert_ids.numel(), scores.mean(dim=0)  # (E,), (E,)
    return n_experts * (f * P).sum()
    ### END SOLUTION


# %% tags=["check"]
check.load_balancing_loss(load_balancing_loss)

# %% [markdown]
# What does it say of a router without any opinion, of one that sends every token to the same two of 32, and of the model from 6.0?
# And can it be smaller than for the router without opinion?
#
# **Predict** the first two. Then guess the third from your CV above.

# %%
my_loss = mine("6.2", load_balancing_loss, default=balance.load_balancing_loss)
uniform = torch.full((8, 32), 1 / 32)
sure = torch.zeros(8, 32).index_fill(1, torch.tensor([0, 1]), 0.5)
print("no opinion:", my_loss(uniform, torch.tensor([[0, 1]]).expand(8, 2)).item())
print("all on the same two:", my_loss(sure, torch.tensor([[0, 1]]).expand(8, 2)).item())
for layer, routing in enumerate(output.routing):
    print(f"layer {layer + 1} of 6.0: {my_loss(routing.scores, routing.top_k[1]).item():.2f}")
unlike = torch.tensor([[0.51, 0.49]] * 3 + [[0.0, 1.0]] * 2)
print(f"chosen by a hair, refused by far: {my_loss(unlike, unlike.argmax(dim=1, keepdim=True)).item():.2f}")

# %% [markdown]
# 1 for no opinion, whatever was chosen; E/K = 16 when all agree on the same two. The last line is below 1: expert 0 is chosen by
# three of five tokens, but by a hair, and the two others refuse it outright. So 1 is what an even router scores and not a lower
# bound, and a loss near 1 is no proof of even loads.
#
# How does it work as a force? Take the scores of 6.0's second layer as free numbers, with no language to model, and follow the
# gradient of your loss alone.
#
# **Predict:** how many steps until the CV is halved?

# %%
logits = output.routing[1].logits.detach().clone().requires_grad_()  # (N, E)
for step in range(51):
    scores = logits.softmax(dim=-1)
    expert_ids = scores.topk(2).indices  # (N, K)
    loss = my_loss(scores, expert_ids)
    if step % 10 == 0:
        cv = my_statistics(torch.bincount(expert_ids.flatten(), minlength=32))[1]
        print(f"step {step:3}: loss {loss.item():.3f}, CV {cv:.2f}")
    (gradient,) = torch.autograd.grad(loss, logits)
    logits = (logits - 100 * gradient).detach().requires_grad_()

# %% [markdown]
# As a force it is strong: a few dozen steps, and the load is nearly even. Here nothing resists. Notice that the loss stands near 1
# while the CV still falls: close to even, it hardly sees what is left.
#
# In a training the cross-entropy resists. How the two settle depends on one number.
#
# ## 6.6 The balance lab
#
# The lab holds 54 recorded trainings of the small model: six coefficients, top-1, top-2 and top-4, three seeds each. Every row of a
# strip is one expert over time: darker, the more it has; blank where it is dead. The upper controls choose among the recordings,
# beside the one without balancing; *Train this* trains a new one on your machine. Underneath, a short text in its tokens, each with
# its first expert at the step you look at.
#
# **Predict, then move the coefficient:** from which one on does nobody die any more? From which one on are the strips even? And the
# validation loss: does it fall with the coefficient, rise, or neither?

# %% tags=["widget"]
print("coefficients recorded:", *recorded.coefficients)
lab = BalanceLab()
lab

# %% [markdown]
# At 0.001 a few are still dead, at 0.01 none; but strips of one grey need 0.1. Move the step back to the beginning as well: the
# great dying of the first hundred steps is plain to see, and balancing softens it. Look at the rows under the strips, too: the
# dropped share and the fullest expert follow the coefficient; the validation loss goes the other way.
#
# The same for all six coefficients at once, top-2. **Predict** the shape of the last panel before you look: where is the best
# coefficient?

# %%
ks, coefficients = 2, recorded.coefficients
found = torch.stack([costs(coefficient, ks) for coefficient in coefficients])  # (C, S, 4)
loads = [[run.final_load for run in recorded.runs(coefficient, ks)] for coefficient in coefficients]  # C × S of (L, E)
cv = torch.stack([metrics.load_cv(torch.stack(seeds)).mean(dim=1) for seeds in loads])  # (C, S)
panels = {"dead %": found[..., 3], "CV": cv, "dropped % at 1.25": found[..., 1], "loss, nats": found[..., 0]}

# %% tags=["figure"]
plots.against_coefficient(panels, coefficients)

# %% [markdown]
# The left three panels fall. The right one does not: it stays level up to 0.001 and rises at 0.1 and 1. Each dot is a seed, and the
# dots are far apart. So compare seed by seed.

# %%
free_runs = recorded.runs(0.0, ks)
rows = []
for coefficient in coefficients[1:]:
    pairs = zip(recorded.runs(coefficient, ks), free_runs, strict=True)
    lead = runs.interval([run.final_loss - free_run.final_loss for run, free_run in pairs])
    rows.append([lead.mean, lead.low, lead.high])
names = [f"coefficient {coefficient:g}" for coefficient in coefficients[1:]]
title = "loss − loss without balancing, seed by seed"
plots.table(torch.tensor(rows), title, rows=names, columns=["mean", "95 % from", "to"])

# %% [markdown]
# Up to 0.001 the interval reaches far across 0: no difference that three seeds could show. At 0.01 evenness costs 0.05 nats, with
# an interval above 0. At 0.1 the mean is larger, and so is the spread between seeds. At 1 it is a third of a nat. One candidate for
# the cause: an even share of 32 experts is a sixteenth of the tokens, too few to learn from. That was not tested.
#
# So where does balancing pay? Three candidates, recorded without and with a coefficient of 0.01: a training that really drops what
# does not fit into 1.25 times the fair share; four times as many experts; four times as many steps.
#
# **Predict:** in which of the three does the balanced model end lower?

# %%
bought = sweeps.changed("bought")
rows, names = [], [name for name in bought if not name.endswith(", balanced")]
for name in names:
    without, balanced = ([run["final_loss"] for run in bought[key]] for key in (name, f"{name}, balanced"))
    lead = runs.interval([b - a for a, b in zip(without, balanced, strict=True)])
    dead = [100 * metrics.dead_experts(run["final_load"]).sum() / run["final_load"].numel() for run in bought[name]]
    rows.append([sum(without) / 3, sum(balanced) / 3, lead.mean, lead.low, lead.high, max(dead)])
columns = ["loss without", "with 0.01", "difference", "95 % from", "to", "dead % without, most"]
plots.table(torch.tensor(rows), "three seeds each, evaluated without dropping", rows=names, columns=columns)

# %% [markdown]
# In none of the three, as far as three seeds can tell. But look at the long training: there the balanced model ends lower in every
# seed, by 0.02 nats on average, with an interval that reaches a little across 0. The sign has turned. With four times the tokens,
# the experts that were kept alive begin to have something to give. In the training with a limit the means are equal, although
# without balancing up to half of the experts are dead; with 128 experts it is two thirds, and still no worse.
#
# So the textbook sentence needs its conditions. Balance pays for room and time at once; for the loss it pays with long training, if
# at all at this size.

# %% [markdown] tags=["exercise"]
# ### Exercise 6.3 — pick a coefficient
# *8 minutes · core · about 5 lines*
#
# You have a limit: no expert, in any layer of any seed, may have more than a given multiple above the mean. The smallest
# coefficient that keeps it disturbs the model least.
#
# **Given** `coefficients`, a rising list of C numbers, `loads` (C, S, L, E) int64, and `limit`, the largest maximum violation that
# you accept.
# **Return** the smallest coefficient at which every seed and every layer has a maximum violation of at most `limit`; `float("inf")`
# if none does.
# **Allowed:** `amax`, `mean`, comparisons, a loop.
#
# <!-- hints 6.3 -->


# %% tags=["stub"]
def pick_coefficient(coefficients: list[float], loads: torch.Tensor, limit: float) -> float:
    """The smallest coefficient that keeps the limit everywhere.

    loads (C, S, L, E); returns one of the C coefficients, or inf
    """
    ### BEGIN SOLUTION
    loads = loads.double()
    violation = loads.amax(dim=-1) / loads.mean(dim=-1) - 1  # (C, S, L)
    for coefficient, worst in zip(coefficients, violation.flatten(1).amax(dim=1).tolist(), strict=True):
        if worst <= limit:
            return coefficient
    return float("inf")
    ### END SOLUTION


# %% tags=["check"]
check.pick_coefficient(pick_coefficient)

# %% [markdown]
# On the recorded trainings. **Predict:** does a stricter limit always cost more?


# %%
def smallest(coefficients, loads, limit):
    """The package's way, in case yours does not pass yet."""
    kept = (metrics.max_violation(loads) <= limit).flatten(1).all(dim=1)  # (C,)
    return next((c for c, fits in zip(coefficients, kept.tolist(), strict=True) if fits), float("inf"))


my_pick = mine("6.3", pick_coefficient, default=smallest)
loads = torch.stack([torch.stack([r.final_load for r in recorded.runs(c, 2)]) for c in coefficients])  # (C, S, L, E)
for limit in (8.0, 4.0, 2.0, 1.0, 0.5):
    print(f"at most {limit} above the mean: coefficient {my_pick([*coefficients], loads, limit)}")

# %% [markdown]
# A limit of a few times the mean costs next to nothing; near-even loads need a coefficient whose price you have seen in the table.
# The limit is a decision about machines: how many places an expert has, how long the others may wait. The language does not ask for
# it.
#
# ## 6.7 Keeping logits small
#
# A second term often stands beside the first. Softmax does not care about the size of logits, only about differences: add 10 to all
# of them, and nothing changes. Rounding does care.
#
# **Before you run it:** two logits, 0.1 apart. At which size does bfloat16, the usual number format of training, lose the
# difference?

# %%
for size in (1, 10, 100):
    pair = torch.tensor([size + 0.1, size], dtype=torch.float32)
    rounded = pair.bfloat16().float()
    print(f"{size:3}: {pair.softmax(0)[0]:.4f} in float32, {rounded.softmax(0)[0]:.4f} from bfloat16 logits")

# %% [markdown]
# At 100, the two round to the same number. ST-MoE ([Zoph et al. 2022](https://arxiv.org/abs/2202.08906)) therefore punishes large
# logits: the **router z-loss** is the mean over tokens of $(\log \sum_i e^{z_i})^2$, usually with a coefficient of 0.001. One more
# trap: $e^{z}$ overflows in float32 for z above 88; `logsumexp` does not.

# %% [markdown] tags=["exercise"]
# ### Exercise 6.4 — router z-loss
# *5 minutes · core · about 1 line*
#
# **Given** `logits` (N, E).
# **Return** a scalar: the mean over tokens of the squared log of the sum of exponentials. Logits of 1,000 must not overflow.
# **Allowed:** `torch.logsumexp`, `square`, `mean`.
#
# <!-- hints 6.4 -->


# %% tags=["stub"]
def router_z_loss(logits: torch.Tensor) -> torch.Tensor:
    """Mean squared log-partition of the router.

    logits (N, E); returns a scalar
    """
    ### BEGIN SOLUTION
    return torch.logsumexp(logits, dim=-1).square().mean()
    ### END SOLUTION


# %% tags=["check"]
check.router_z_loss(router_z_loss)

# %% [markdown]
# Train the small model with and without it, the balancing term off in both.
#
# **Predict:** how large is the largest logit without it, and what does 0.001 do to it? Does it change who is dead?

# %%
my_z = mine("6.4", router_z_loss, default=balance.router_z_loss)
calm_model, calm = learn(z_coef=0.001)
for name, model, measured in (("without", free_model, free), ("with 0.001", calm_model, calm)):
    logits = torch.cat([routing.logits for routing in model(batch.ids).routing]).detach()
    dead = metrics.dead_experts(measured.load).tolist()
    largest, loss = logits.abs().max(), measured.mean_loss
    print(f"{name}: z-loss {my_z(logits):.1f}, largest logit {largest:.1f}, dead {dead}, loss {loss:.3f}")

# %% [markdown]
# The z-loss does what it says: the mean of log Σ exp shrinks. Its start was not 0 but near log 32: for a router without opinion all
# logits are 0, and log Σ e⁰ is log 32. So the term pulls logits *below* zero, also the small ones, and it is not a second balancing
# loss: who dies is not for it to decide. In this one run more experts are dead with it than without. Whether that is chance, one
# seed cannot say.
#
# ## 6.8 Four libraries, one formula
#
# The formula of 6.5 is everywhere; its conventions are not. Transformers divides the counts by N, not by N · K, so that an even
# router scores K. And it pools the tokens of *all layers* into one f and one P before it multiplies
# ([source](https://github.com/huggingface/transformers/blob/main/src/transformers/models/mixtral/modeling_mixtral.py)).
#
# **Predict:** layer 1 sends everything to expert 0, layer 2 everything to expert 1. What does the loss say layer by layer, and what
# pooled?

# %%
first, second = torch.tensor([[1.0, 0.0]] * 4), torch.tensor([[0.0, 1.0]] * 4)  # (N, E) scores of two layers
ids = [scores.argmax(dim=1, keepdim=True) for scores in (first, second)]  # (N, K) each
by_layer = [my_loss(scores, chosen).item() for scores, chosen in zip((first, second), ids, strict=True)]
print("layer by layer:", by_layer, " pooled:", my_loss(torch.cat([first, second]), torch.cat(ids)).item())

# %% [markdown]
# Two layers that have collapsed completely, and pooled they score as an even router does. If you compare coefficients or losses
# between libraries, compare conventions first: with top-2 one and the same coefficient is twice as strong in one library as in the
# other.

# %% [markdown] tags=["exercise"]
# ### Exercise 6.5 — the loss of transformers
# *8 minutes · stretch · about 4 lines*
#
# **Given** `scores`, a list with the scores (N, E) of each layer, and `expert_ids`, a list with (N, K) each.
# **Return** a scalar: one f and one P over the tokens of all layers, f divided by the number of tokens, E times the sum of f · P.
# The gradient must reach `scores`.
# **Allowed:** `torch.cat`, and what 6.2 allowed.
#
# <!-- hints 6.5 -->


# %% tags=["stub"]
def mixtral_loss(scores: list[torch.Tensor], expert_ids: list[torch.Tensor]) -> torch.Tensor:
    """The balancing loss as transformers computes it for Mixtral.

    scores: L of (N, E), expert_ids: L of (N, K); returns a scalar
    """
    ### BEGIN SOLUTION
    every_score, every_id = torch.cat(scores), torch.cat(expert_ids)  # (L·N, E), (L·N, K)
    n_tokens, n_experts = every_score.shape
    f = torch.bincount(every_id.flatten(), minlength=n_experts).to(every_score.dtype) / n_tokens  # (E,)
    return n_experts * (f * every_score.mean(dim=0)).sum()
    ### END SOLUTION


# %% tags=["check"]
check.mixtral_loss(mixtral_loss)

# %% [markdown]
# ## 6.9 Yours in training, and a term that does nothing
#
# Now your loss goes into the real model, for every layer, with a coefficient of 0.01. Beside it a version with one word more. It
# has the same value for every input.
#
# **Predict:** what does `detach` change in the training, and which number on a dashboard would show it?


# %% tags=["broken"]
def every_layer(loss):
    """A loss of one layer -> the mean over all, as the model wants it."""
    return lambda routings: torch.stack([loss(r.scores, r.top_k[1]) for r in routings]).mean()


def detached(scores, expert_ids):
    return my_loss(scores.detach(), expert_ids)


trained = {"no term": free}
for name, loss in {"yours": my_loss, "detached": detached}.items():
    _, trained[name] = learn(every_layer(loss), balance_coef=0.01)
values = torch.tensor([[*my_statistics(m.load[1]), m.mean_loss] for m in trained.values()])
columns = ["entropy", "CV", "max violation", "dead", "loss, nats"]
plots.table(values, "layer 2, coefficient 0.01", rows=[*trained], columns=columns)

# %% [markdown]
# Yours keeps nearly everyone alive. The detached one trains exactly as if it were not there: the same loads to the last digit. Its
# value is logged like the other's, and it has the same value for every input; a constant, as far as the router can tell. What shows
# it is the load.
#
# The test is short: does the router's gradient change with the coefficient?
#
# What do the articles say? **Predict** the verdicts.

# %%
claims(lesson=6)

# %% [markdown]
# ## Now you know
#
# - Four numbers for a load: entropy, CV, maximum violation, dead experts; counted on the whole validation split, layer by layer.
# - An expert that nobody chooses gets no gradient. With 32 experts a fifth or more died, with 8 none: number, learning rate, initial weights and time decide.
# - $E \sum_i f_i P_i$ evens out through P. 1 is what an even router scores, neither a lower bound nor a proof.
# - Balance buys room and time. Loss it cost, a few hundredths of a nat at 0.01 and some tenths at 0.1, in these short trainings.
# - A balancing term can be computed and logged and do nothing. Watch loads, not the term.
#
# A term in the loss pulls against the language. Can loads be steered without one?
#
# <!-- next -->
