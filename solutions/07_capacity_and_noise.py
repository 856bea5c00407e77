# %% [markdown]
# # 07 · Capacity, noise and balancing without a loss
# *Part 2 — Keeping every expert busy · about 75 minutes · four exercises and one stretch*
#
# **What happens when an expert is full?**
#
# In lesson 06 a term in the loss pulled the loads together, and the language paid a little for it. Here are the other ways: turn
# tokens away, disturb the router, move its choice by a rule that asks no gradient, or let the experts choose. You write the last
# two and the turning away, see which tokens pass without an expert, and find out which of these ways look into the future.
#
# **Builds on** [lesson 03](03_router.ipynb) (scores and chosen experts) and [lesson 06](06_collapse_and_balancing.ipynb) (loads,
# dead experts, the small model). Nothing from another notebook has to be in memory. In shape comments, N is tokens, E experts, K
# experts a token, C an expert's capacity, D the model's width.

# %% tags=["setup"]
import math

import torch

from moe_lite import MoELanguageModel, admission, checkpoint, claims, data, metrics, sweeps
from moe_lite import model_diagram, plots, runs, symptoms, train
from moe_lite.checks import lesson07 as check, mine
from moe_lite.widgets import BiasController, CapacityView, FailureGallery

# %% tags=["diagram"]
model_diagram(today=7)

# %% [markdown]
# ## 7.0 Tables of a fixed length
#
# Sorted dispatch (lesson 04) gives each expert as many rows as chose it. The machines that trained the first large sparse models
# could not: their compilers wanted every shape known before the program ran. So an expert got a table with a fixed number of rows,
# its **capacity**: the fair share N · K / E times a **capacity factor** ([GShard, Lepikhin et al.
# 2020](https://arxiv.org/abs/2006.16668)).
#
# Here are the loads of the shipped model with eight experts, top-2. It was trained with a balancing loss.
#
# **Predict:** in a batch of some two thousand tokens from nine domains, how many times its fair share does the fullest expert get?
# And if each had rows for 1.25 times the fair share, how many choices would find no row?

# %%
model, corpora = checkpoint.pretrained(8), data.load_corpora()
batches = data.validation_batches(corpora, 256, max_windows=1)
ids = torch.cat([batch.ids for batch in batches.values()])  # (B, T)
targets = torch.cat([batch.targets for batch in batches.values()])  # (B, T)
with torch.no_grad():
    routings = model(ids).routing
load = torch.stack([routing.load for routing in routings]) / routings[0].load.float().mean()  # (L, E) in fair shares
over = (load - 1.25).clamp(min=0).sum(dim=1, keepdim=True) / 8  # (L, 1) of all choices
names, columns = [f"layer {i}" for i in (1, 2, 3, 4)], [*(f"expert {e}" for e in range(8)), "no row at 1.25"]
plots.table(
    torch.cat([load, over], dim=1),
    "load, in fair shares; last column: share of the choices",
    rows=names,
    columns=columns,
)

# %% [markdown]
# Over a whole training the model was pushed towards even loads. One batch is less even: in the last layer the fullest expert gets
# twice its fair share, and with 1.25 times the fair share for each a tenth of the choices has no row.
#
# ## 7.1 First come, first served
#
# Who is turned away? The simplest rule goes through the choices in the order of the text, token by token: an expert takes what
# comes until it is full.  A choice that finds no room is **dropped**: that expert does not work for that token.
#
# **By hand:** six tokens, two experts, one choice a token: 0, 0, 1, 0, 0, 1. The factor is 1. How large is the capacity, and which
# tokens find no room? And then: what is 1.1 · 100 / 10, rounded up?

# %%
expert_ids = torch.tensor([0, 0, 1, 0, 0, 1])  # (N,)
capacity = math.ceil(1.0 * len(expert_ids) / 2)
before = [int((expert_ids[:n] == e).sum()) for n, e in enumerate(expert_ids.tolist())]  # N
print("capacity", capacity, "  earlier at the same expert", before)
print("1.1 · 100 / 10 is", 1.1 * 100 / 10, "  rounded up:", math.ceil(1.1 * 100 / 10))

# %% [markdown]
# Capacity 3; token 4 is the fourth at expert 0 and finds no room. And floating point makes 12 of an 11. A program that was promised
# tables of 11 rows gets some of 12.

# %% [markdown] tags=["exercise"]
# ### Exercise 7.1 — capacity
# *12 minutes · core · about 7 lines*
#
# **Given** `expert_ids` (N, K) int64, `n_experts`, and `factor`, a number above 0.
# **Return** `capacity`, an int: `factor` times the fair share N · K / E, rounded up, where a rounding error of floating point must
# not add a row; and `kept` (N, K) bool: whether a choice finds room. Every expert takes the first `capacity` of its choices, in the
# order of their places n · K + j.
# **Allowed:** `math.ceil`, `round`, comparisons, `cumsum`, `gather`, sorting, or a loop.
#
# <!-- hints 7.1 -->


# %% tags=["stub"]
def keep_within_capacity(expert_ids: torch.Tensor, n_experts: int, factor: float) -> tuple[int, torch.Tensor]:
    """How many choices an expert takes, and which ones those are.

    expert_ids (N, K) int64; returns capacity, kept (N, K) bool
    """
    ### BEGIN SOLUTION
    capacity = math.ceil(round(factor * expert_ids.numel() / n_experts, 6))
    flat = expert_ids.flatten()  # (N·K,)
    chosen = flat[:, None] == torch.arange(n_experts)  # (N·K, E)
    number = chosen.cumsum(dim=0).gather(1, flat[:, None])  # (N·K, 1) 1 is the first at its expert
    return capacity, (number <= capacity).view_as(expert_ids)
    ### END SOLUTION


# %% tags=["check"]
check.keep_within_capacity(keep_within_capacity)

# %% [markdown]
# The same on a text. Each token shows the experts that it asks for; a crossed-out number found no room, a crossed-out token has no
# expert left. Below, every expert's queue and where its table ends.
#
# **Predict, then move the factor:** in which part of the text do dropped tokens stand? At which factor do the first tokens lose all
# their experts? How much room is empty when nobody is dropped?

# %% tags=["widget"]
TEXT = "The king said nothing, and the old man left the room.\nIl pleut sur la ville, et les rues sont vides.\n"
TEXT += 'def add(a, b):\n    return a + b\n17 + 25 = 42\n{"name": "Ada", "age": 36}\n'
CapacityView(TEXT, model=model, layer=4, factor=1.25)

# %% [markdown]
# With the order of the text as the rule, drops pile up at its end. From a factor of 1 down some tokens have no expert left; at the
# smallest factor it begins in the first line. To drop nobody, every table has to be as long as the fullest queue, and most rows of
# the others stay empty: the padding of lesson 04.
#
# What happens to a dropped token? A block computes x + y, and y, what the experts have to say, is missing. The **residual** x goes
# on alone; the token is not lost, it skips one layer. If only one of its two experts is full, it gets the answer of the other, with
# that expert's weight. Nothing is scaled up.
#
# **Predict:** the shipped model never dropped anything in its training. What happens to its loss if it does now, with a factor of
# 1.25? Of 0.5? With no expert at all, that is with 0.0001?


# %%
def with_capacity(model, factor, priority="position"):
    """The same model, every sparse layer with this capacity; the package drops in training mode only."""
    for block in model.train().blocks:
        block.feed_forward.capacity, block.feed_forward.priority = factor, priority
    return model


for factor in (None, 2.0, 1.25, 1.0, 0.5, 0.0001):
    with torch.no_grad():
        output = with_capacity(model, factor)(ids, targets)
    kept = torch.stack([routing.kept.float().mean() for routing in output.routing]).mean()
    print(f"factor {factor}: {100 * (1 - kept):4.1f} % dropped, loss {output.cross_entropy:.3f}")

# %% [markdown]
# A few per cent of dropped choices cost little; half of them cost much. In the last line attention and residual are nearly alone.
#
# There is a better reason not to drop when a model is *used*: with a limit, what a token gets depends on which others happen to be
# in the batch. This package drops in training only, as DeepSeek-V2 did ([2405.04434](https://arxiv.org/abs/2405.04434), section
# 2.2.4).
#
# ## 7.2 The best come first
#
# First come, first served turns away whoever stands late in the text, wanted or not. A better idea, at first sight: let those with
# the largest weights in first, and turn away those who would have had little from the expert anyway. Images are routed so
# ([V-MoE](https://arxiv.org/abs/2106.05974)), and Megatron offers it for language.

# %% [markdown] tags=["exercise"]
# ### Exercise 7.2 — the best find room
# *10 minutes · core · about 6 lines*
#
# **Given** `weights` (N, K), with which the K experts of each token are to answer; `expert_ids` (N, K) int64; and `capacity`, how
# many choices an expert takes.
# **Return** new `weights` (N, K): every expert takes the `capacity` of its choices with the largest weights, the earlier place n ·
# K + j among equals. A choice that finds room keeps its weight as it is; one that finds none gets 0, so that only the residual
# carries it. The gradient must reach `weights`.
# **Allowed:** all of 7.1, `argsort`, indexing.
#
# <!-- hints 7.2 -->


# %% tags=["stub"]
def keep_best(weights: torch.Tensor, expert_ids: torch.Tensor, capacity: int) -> torch.Tensor:
    """Weights after capacity, largest weight first.

    weights (N, K), expert_ids (N, K) int64; returns (N, K)
    """
    ### BEGIN SOLUTION
    order = weights.flatten().argsort(descending=True, stable=True)  # (N·K,)
    served = expert_ids.flatten()[order]  # (N·K,) experts, in the order in which they are asked
    chosen = served[:, None] == torch.arange(int(served.max()) + 1)  # (N·K, E)
    number = chosen.cumsum(dim=0).gather(1, served[:, None])[:, 0]  # (N·K,) 1 is the first at its expert
    kept = torch.zeros_like(order, dtype=torch.bool)  # (N·K,)
    kept[order] = number <= capacity
    return weights * kept.view_as(weights)
    ### END SOLUTION


# %% tags=["check"]
check.keep_best(keep_best)

# %% [markdown]
# Now look again. The model is to predict the next token, so what it computes at a place may depend on what stands before, never on
# what comes after. Keep the beginning of a text, and put thirty different endings behind it.
#
# **Predict:** under which of three rules does a different *ending* change who works for the *beginning*? The third is GShard's: all
# first choices of all tokens, then all second ones.

# %%
my_places = mine("7.1", keep_within_capacity, default=admission.keep_within_capacity)
my_best = mine("7.2", keep_best, default=admission.keep_best)
rules = {
    "by place": lambda weights, expert_ids: my_places(expert_ids, 8, 1.0)[1],
    "largest weight first": lambda weights, expert_ids: my_best(weights, expert_ids, len(expert_ids) // 4) > 0,
    # turned over, places run through all first choices before the second ones
    "first choices first": lambda weights, expert_ids: my_places(expert_ids.t(), 8, 1.0)[1].t(),
}

# %%
beginning, kept = data.encode(TEXT)[:40], {name: [] for name in rules}
for ending in ids.flatten()[: 30 * 32].view(30, 32).tolist():
    with torch.no_grad():
        weights, expert_ids = model.eval()(torch.tensor([beginning + ending])).routing[3].top_k  # (72, K), (72, K)
    for name, rule in rules.items():
        kept[name].append(rule(weights, expert_ids)[:40])  # (40, K)
for name, by_ending in kept.items():
    moved = (torch.stack(by_ending) != by_ending[0]).flatten(2).any(dim=2).any(dim=0)  # (40,)
    print(f"{name}: for {int(moved.sum())} of 40 tokens it depends on the ending who works")

# %% [markdown]
# By place only earlier tokens can take a token's room, as long as the capacity is given. (All endings have one length; a longer
# text has a larger capacity.) The two others look ahead. A later token with a larger weight pushes an earlier one out, and a later
# *first* choice comes before an earlier *second* one. In training, with the whole text on the table, the model is told a little
# about what follows. When it writes, nothing follows, and that little is missing.
#
# ## 7.3 What a limit does to training
#
# Here the small model of lesson 06 (two layers, 32 experts, top-2, softmax; no balancing loss unless said, so its load is far less
# even than the shipped model's) was trained with a limit, three seeds each. "Dropped" is the share of the choices in the last 100
# steps; dead experts, CV and loss are measured without a limit, on the whole validation split.
#
# **Predict:** how much does training drop at a factor of 1? Does the loss suffer? And do full experts, which turn tokens away, make
# the others work more?


# %%
steered, free = sweeps.changed("steered"), sweeps.changed("sweep")["as it is"]
balanced = [{"final_loss": r.final_loss, "final_load": r.final_load} for r in sweeps.grid().runs(0.01, top_k=2)]


def ends(found, base):
    """Dropped %, least and most dead %, CV, loss, and loss minus that of `base`, seed by seed: mean, 95 % interval."""
    loads = torch.stack([run["final_load"] for run in found])  # (S, L, E)
    dead = 100 * metrics.dead_experts(loads).sum(dim=1) / loads[0].numel()  # (S,)
    gap = runs.interval([run["final_loss"] - other["final_loss"] for run, other in zip(found, base, strict=True)])
    loss, dropped = (sum(run.get(key, 0.0) for run in found) / 3 for key in ("final_loss", "dropped_percent"))
    return [dropped, dead.min(), dead.max(), metrics.load_cv(loads).mean(), loss, gap.mean, gap.low, gap.high]


def table(found, caption):
    columns = ["dropped %", "dead %, least", "most", "CV", "loss", "minus first row", "95 % from", "to"]
    base = next(iter(found.values()))
    rows = torch.tensor([ends(seeds, base) for seeds in found.values()])
    return plots.table(rows, caption, rows=[*found], columns=columns)


# %%
names = ["capacity 2", "capacity 1", "capacity 0.5", "capacity 1, by score", "capacity 1, first choices first"]
found = {"no limit": free} | {name: steered[name] for name in names} | {"no limit, coefficient 0.01": balanced}
found["capacity 1, coefficient 0.01"] = steered["capacity 1, coefficient 0.01"]
table(found, "with a limit in training, three seeds")

# %% [markdown]
# At a factor of 1 the small model turns away seven choices in ten, and with twice the fair share still half. The loss is higher on
# average in every line with a limit. But the seeds differ as much: only where the interval begins above 0 is it more than a guess.
# Three seeds cannot rank the priorities.
#
# And the experts? Without a balancing loss, CV and dead ones are no better than without a limit. Turning tokens away *says* nothing
# to the router: no term of the loss asks for the tokens that were dropped. In the last two lines a coefficient of 0.01 halves the
# CV, nobody is dead, and with the limit less than half as many choices are dropped.
#
# ## 7.4 Noise
#
# The oldest remedy is to make the router uncertain. If a score that is almost the largest sometimes wins, an expert that is almost
# chosen gets a token, and a gradient. Two forms are in use. **Jitter** (Switch) multiplies the router's own copy of x by random
# numbers between 1 − ε and 1 + ε; the experts see x as it is. **Noisy top-k** ([Shazeer et al.
# 2017](https://arxiv.org/abs/1701.06538)) adds Gaussian noise to the logits; a second learned matrix sets its size for each token
# and expert. Both exist in training only.
#
# **Predict:** with Switch's ε of 0.01, what share of the tokens gets other experts? And with thirty times as much?

# %%
router = model.blocks[0].feed_forward.router
for epsilon in (0.0, 0.01, 0.1, 0.3):
    router.jitter = epsilon
    with torch.no_grad():
        noisy, same = (with_capacity(model, None)(ids).routing[0].combine > 0 for _ in range(2))  # (N, E) each
        quiet = model.eval()(ids).routing[0].combine > 0  # (N, E)
    moved, again = (100 * (noisy != other).any(dim=1).float().mean() for other in (quiet, same))
    print(f"jitter {epsilon}: {moved:.1f} % of the tokens have other experts, {again:.1f} % between two noisy passes")
router.jitter = 0.0

# %% [markdown]
# A hundredth disturbs next to nobody. Thirty times as much gives about every tenth token other experts, here in the first layer.
# And in training? **Predict:** does jitter keep experts alive? Does noisy top-k, without any balancing loss, and with the two
# losses that its paper put beside it ?

# %%
names = ["jitter 0.01", "jitter 0.3", "noisy top-k", "noisy top-k, both losses 0.1"]
table({"no noise": free} | {name: steered[name] for name in names}, "noise, three seeds")

# %% [markdown]
# Jitter did nothing here, neither good nor bad: each interval lies around 0, and dead experts are as many. Noisy top-k without a
# loss left *more* experts dead, in each of its seeds more than in any without noise. With the paper's two losses none dies; whether
# for the losses or the noise, this table does not say. These are trainings of half a minute, and longer ones may differ.
#
# ## 7.5 A bias that nobody learns
#
# DeepSeek-V3 balances nearly without a loss ([2412.19437](https://arxiv.org/abs/2412.19437), section 2.1.2). Every expert has a
# number, its **selection bias**, that is added to its scores *for choosing only*. After each batch a rule moves it: an expert with
# more than the mean load goes down by a step γ, one with less goes up by γ. The weights are made of the scores without the bias, so
# an expert that is favoured gets no larger weight. No gradient is asked. Scores are sigmoids here: each expert by itself, as at the
# end of lesson 03.
#
# **By hand:** one token scores three experts 0.6, 0.5 and 0.2; the biases are −0.2, 0 and 0.1; top-2. Who is chosen, with which
# weights? Then a batch gave the experts 5, 3 and 1 assignments. Whose bias goes up by γ, whose down?

# %%
scores, bias = torch.tensor([0.6, 0.5, 0.2]), torch.tensor([-0.2, 0.0, 0.1])  # (E,), (E,)
values = torch.stack([scores, bias, scores + bias])  # (3, E)
plots.table(values, "one token", rows=["score", "bias", "score + bias"], columns=[f"expert {e}" for e in range(3)])

# %% [markdown]
# Expert 1 now comes first, with 0.5 against 0.4, and expert 0 second. Its weights are made of the scores, 0.5 and 0.6 over their
# sum. The mean load is 3: expert 0 had more, and its bias goes down by γ; expert 2 goes up, and expert 1 stays where it is.

# %% [markdown] tags=["exercise"]
# ### Exercise 7.3 — choose and move
# *12 minutes · core · about 6 lines*
#
# **Given** `scores` (N, E), positive, rows need not sum to 1 (they are sigmoids); `bias` (E,); `k`; and `step`.
# **Return** `weights` (N, k) and `expert_ids` (N, k) int64: the k experts with the largest score + bias, best first, the lower
# number first among equals, and their scores without the bias, divided by their sum; and `new_bias` (E,): up by `step` where the
# load of this batch is below the mean load, down where it is above, unchanged where it is exactly the mean. `bias` itself stays as
# it is. The gradient must reach `scores`.
# **Allowed:** sorting with `stable=True`, `gather`, `torch.bincount`, `torch.sign`.
#
# <!-- hints 7.3 -->


# %% tags=["stub"]
def choose_and_move(
    scores: torch.Tensor, bias: torch.Tensor, k: int, step: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Choose with the bias, weigh without it, and move it for the next batch.

    scores (N, E), bias (E,); returns weights (N, k), expert_ids (N, k) int64, new_bias (E,)
    """
    ### BEGIN SOLUTION
    expert_ids = (scores + bias).sort(dim=1, descending=True, stable=True).indices[:, :k]  # (N, k)
    weights = scores.gather(1, expert_ids)  # (N, k)
    load = torch.bincount(expert_ids.flatten(), minlength=len(bias)).to(bias.dtype)  # (E,)
    new_bias = bias + step * (load.mean() - load).sign()  # (E,)
    return weights / weights.sum(dim=1, keepdim=True), expert_ids, new_bias
    ### END SOLUTION


# %% tags=["check"]
check.choose_and_move(choose_and_move)

# %% [markdown]
# A rule that moves a number against a deviation is a controller. Below, your rule on two hundred batches of random scores, some
# experts liked better than others. No training: only the rule. Beside yours stand *sign*, the package's version of it, and
# *difference*, which moves a bias by how far its load is off.
#
# **Predict, then move the step size:** what happens with the smallest step, and with the largest? Which is better for large
# batches, which for a liking that drifts? And what becomes of a bias that is frozen while the liking drifts on?

# %% tags=["widget"]
my_rule = mine("7.3", choose_and_move, default=admission.choose_and_move)
BiasController(choose=my_rule, step=0.01)

# %% [markdown]
# Too small a step does not arrive; too large a one arrives at once and then swings, every expert in turn too full and too empty:
# the rule knows a direction and no distance, so it never rests within a step of its goal. The other rule, *difference*, moves less
# the nearer it is and comes to rest closer; with the largest step it swings as well. And a bias follows a drift only as long as it
# moves. DeepSeek-V3 moved it by 0.001 and froze it for the last part of the training.
#
# Now in training: the small model with sigmoid scores, recorded for five step sizes and three seeds. The 0 at the left stands for
# no balancing at all.
#
# **Predict:** the shapes of the three panels. Where is the best step?

# %%
sizes = [0.0003, 0.001, 0.003, 0.01, 0.1]
settings = [steered["sigmoid"], *(steered[f"bias step {size:g}"] for size in sizes)]
loads = torch.stack([torch.stack([run["final_load"] for run in found]) for found in settings])  # (6, S, L, E)
panels = {
    "CV": metrics.load_cv(loads).mean(dim=2),
    "dead %": 100 * metrics.dead_experts(loads).sum(dim=2) / 64,
    "loss, nats": torch.tensor([[run["final_loss"] for run in found] for found in settings]),
}

# %% tags=["figure"]
plots.against_coefficient(panels, [0.0, *sizes], x="bias step")

# %% [markdown]
# The load has its best step in the middle, the loss wants the step small. In numbers, and with a balancing loss beside it:

# %%
names = ["sigmoid, coefficient 0.01", *(f"bias step {size:g}" for size in sizes)]
found = {"no balancing": steered["sigmoid"]} | {name: steered[name] for name in names}
table(found, "sigmoid scores, a bias moved by a rule, three seeds")

# %% [markdown]
# From 0.0003 to 0.01 nobody is dead, and with every one of these steps the load is more even than with the balancing loss (CV
# 1.25). With the two smallest the loss stays, on average, within 0.07 of that of no balancing, where the coefficient costs 0.19. At
# 0.01 bias and coefficient cost alike; at 0.1 the bias swings, and experts die that smaller steps keep alive. So there is a right
# size, and it is small: 0.001, DeepSeek's on a model about a million times as large, is among the two that balance best here.
#
# It is not free of conditions. The intervals of the small steps reach across 0, five steps stand against a single coefficient, and
# three seeds rank little.
#
# ## 7.6 Broken on purpose: a bias that speaks
#
# A common slip: the biased scores are not only chosen by, they are also what the weights are made of. Below the small model is
# trained three times: without balancing, with your rule in every layer, and with the slip. The class keeps a bias for one layer and
# moves it after every batch of training.
#
# **Predict:** will the loss show the slip? Will the loads? What number would?


# %%
class Steered:
    """A choice for one layer, with a bias of its own that `rule` moves after every batch of training."""

    def __init__(self, rule, n_experts=32, step=0.003):
        self.rule, self.bias, self.step = rule, torch.zeros(n_experts), step

    def __call__(self, scores, k):
        weights, expert_ids, moved = self.rule(scores, self.bias, k, self.step)
        if torch.is_grad_enabled():
            self.bias = moved.detach()
        return weights, expert_ids


def leaking(scores, bias, k, step):
    """The weights are made of score + bias."""
    _, expert_ids, moved = my_rule(scores, bias, k, step)
    kept = (scores + bias).gather(1, expert_ids)
    return kept / kept.sum(dim=1, keepdim=True), expert_ids, moved


# %% tags=["broken"]
grid, rows = sweeps.grid(), []
steps, windows = train.budgeted(ci=(6, 2), normal=(300, None), long=(900, None))  # None: the whole validation split
for rule in (None, my_rule, leaking):
    small = MoELanguageModel(sweeps.lab_model(grid.model, score="sigmoid"), seed=0)
    for block in small.blocks if rule else ():
        block.feed_forward.router.options["top_k_fn"] = Steered(rule)
    logs = [log for _, log in zip(range(steps), train.train(small, corpora, grid.train), strict=False)]
    found = symptoms.symptoms(small, logs, corpora, length=grid.train.length, max_windows=windows)
    rows.append([found.load_cv, found.dead, found.weight_sum, found.weight_gap, found.loss])
columns = ["CV", "dead of 64", "sum of weights", "weights against scores", "loss"]
names = ["no bias", "your rule", "bias leaks"]
plots.table(torch.tensor(rows).round(decimals=3), "three short trainings", rows=names, columns=columns)

# %% [markdown]
# Both rules keep nearly everyone at work. Loads and loss do not show which one leaks: in so short a training the leak costs nothing
# that could be measured. What it does: an expert that is favoured because it was idle also gets a larger weight, and nobody asked
# for that. What shows it is a number that somebody has to think of: the distance between each token's weights and its scores, both
# divided by their sums. Right, it is 0 up to rounding.
#
# ## 7.7 Experts choose
#
# Turn it round: each expert takes the C tokens that score highest for it ([Zhou et al. 2022](https://arxiv.org/abs/2202.09368)).
# Every expert works the same, by construction. No table overflows, and nothing needs a loss or a bias.

# %% [markdown] tags=["exercise"]
# ### Exercise 7.4 — experts choose
# *6 minutes · core · about 2 lines*
#
# **Given** `scores` (N, E) and `capacity`, at most N.
# **Return** `weights` (E, C) and `token_ids` (E, C) int64, C = `capacity`: for every expert the C tokens with the highest scores
# for it, best first, the earlier token first among equals. The weights are those scores as they are. The gradient must reach
# `scores`.
# **Allowed:** sorting with `stable=True`, transposing, slicing.
#
# <!-- hints 7.4 -->


# %% tags=["stub"]
def expert_choice(scores: torch.Tensor, capacity: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Each expert's best tokens.

    scores (N, E); returns weights (E, C), token_ids (E, C) int64
    """
    ### BEGIN SOLUTION
    kept, token_ids = scores.t().sort(dim=1, descending=True, stable=True)  # (E, N), (E, N)
    return kept[:, :capacity], token_ids[:, :capacity]
    ### END SOLUTION


# %% tags=["check"]
check.expert_choice(expert_choice)

# %% [markdown]
# **Predict:** the loads are even now. What is uneven instead? Below, your function on the scores of the shipped model's last layer.

# %%
my_experts = mine("7.4", expert_choice, default=admission.expert_choice)
scores = routings[3].scores  # (N, E)
_, token_ids = my_experts(scores, len(scores) // 4)  # (E, C) two experts a token on average
per_token = torch.bincount(token_ids.flatten(), minlength=len(scores))  # (N,)
print("tokens with 0, 1, 2, … experts:", torch.bincount(per_token).tolist(), f" of {len(scores):,}")

# %% [markdown]
# Most tokens have one to three experts, a few five, two none at all. And who gets how many depends on the whole text: an expert
# that looks over all tokens sees those, too, that are to be predicted.
#
# How much does that show? The small model was trained with expert choice. Its loss is measured in three ways on the same texts: all
# at once, as in training; each token with the rest of the row taken from *another* text of the same kind; and token by token, with
# nothing but what stands before.
#
# **Predict:** which is the lowest? How much do the others lose?

# %%
with torch.no_grad():
    one, two = (model.eval()(torch.tensor([beginning + ending])).logits[0, :40] for ending in ids[:2, :32].tolist())
print(f"tokens choose: another ending changes the logits of the beginning by {(one - two).abs().max():.0e}")
for run in steered["expert choice"]:
    own, others, none = (run[f"loss_{future}"] for future in ("at_once", "other_future", "by_prefix"))
    print(
        f"its own future {own:.3f}, another's {others:.3f} ({others - own:+.3f}), none {none:.3f} ({none - own:+.3f})"
    )

# %% [markdown]
# Where tokens choose, a future changes nothing before it but rounding. With expert choice every model predicts worse when the
# future is not its own, by 0.02 to 0.03 nats, although attention cannot see it: it leaks through the choice of experts. Without any
# future the gap is
# 0.06 to
# 0.1. There more than the leak is missing: over a few tokens the tables are short, and tokens have other numbers of experts than in training. What the model reports in training is too good to be true. So this
# package refuses expert choice for a language model unless you ask for it by name (`allow_lookahead=True`).
#
# ## 7.8 A test for any rule (stretch)
#
# Papers say that a rule is causal, or do not say it. You can ask the rule.

# %% [markdown] tags=["exercise"]
# ### Exercise 7.5 — does it look ahead?
# *10 minutes · stretch · about 8 lines*
#
# **Given** `choose`, a function that turns scores into a table of the weights with which experts work for tokens (0: not at all),
# both of one shape; `scores` (N, E); and `n_past`.
# **Return** True if a change of the rows of `scores` from `n_past` on can change the rows *before* `n_past` of what `choose` gives,
# else False. One change proves nothing: try many different ones. `scores` stays as it is; draw random numbers from a generator of
# your own.
# **Allowed:** `clone`, `torch.rand` with a generator, `torch.allclose`, a loop.
#
# <!-- hints 7.5 -->


# %% tags=["stub"]
def looks_ahead(choose: callable, scores: torch.Tensor, n_past: int) -> bool:
    """Whether later rows can change what earlier ones get.

    choose: (N, E) -> (N, E), scores (N, E); returns True or False
    """
    ### BEGIN SOLUTION
    generator = torch.Generator().manual_seed(0)
    past = choose(scores)[:n_past]  # (n_past, E)
    for _ in range(100):
        other = scores.clone()  # (N, E)
        other[n_past:] = torch.rand(other[n_past:].shape, generator=generator, dtype=scores.dtype)
        if not torch.allclose(choose(other)[:n_past], past):
            return True
    return False
    ### END SOLUTION


# %% tags=["check"]
check.looks_ahead(looks_ahead)

# %% [markdown]
# **Predict** the answers for the rules of this lesson.


# %%
def chosen_by_experts(scores):
    weights, token_ids = my_experts(scores, len(scores) // 4)  # (E, C), (E, C)
    return torch.zeros_like(scores).t().scatter(1, token_ids, weights).t()


def limited(rule):
    """Top-2, of which `rule` keeps some."""

    def choose(scores):
        weights, expert_ids = scores.topk(2)
        return torch.zeros_like(scores).scatter(1, expert_ids, weights * rule(weights, expert_ids))

    return choose


# %%
my_test = mine("7.5", looks_ahead, default=admission.looks_ahead)
for name, choose in [*((name, limited(rule)) for name, rule in rules.items()), ("experts choose", chosen_by_experts)]:
    print(f"{name}: looks ahead: {my_test(choose, routings[3].scores[:72], 40)}")

# %% [markdown]
# ## 7.9 What is wrong with these trainings?
#
# Nine trainings under letters: in eight of them one of the mistakes of the last lessons is planted, one is healthy.
#
# **Predict** before each answer: which number would you look at first?

# %% tags=["widget"]
FailureGallery()

# %% [markdown]
# In these recordings the loss alone separates none of the eight from a healthy training: that is why all the other numbers are on
# the dashboard.
#
# Four sentences of popular articles. Cover the left column and **predict** each verdict.

# %%
claims(lesson=7)

# %% [markdown]
# ## Now you know
#
# - A capacity is factor · N · K / E rows, rounded up; what finds no room is dropped, and the residual alone carries it on.
# - By place, a token depends on earlier ones only, if the capacity is given. Largest weight first, first choices first and expert choice look into the future.
# - A limit alone does not even out the load, and noise alone kept no more experts alive here: something has to ask for evenness.
# - A selection bias is moved by a sign and used for choosing only: too small a step does not arrive, too large a one swings.
# - What a rule may know is part of the rule. Ask it: change the future, and look at the past.
#
# Experts are at work, all of them or most. At *what*?
#
# <!-- next -->
