# %% [markdown]
# # 06 · Collapse and the balancing loss
# *Part 2 — Keeping every expert busy · about 90 minutes · four exercises and one stretch*
#
# **Why do experts die, and what does fairness cost?**

# %% tags=["opening"]
from moe_lite import plots, sweeps

recorded = sweeps.grid()  # a small model with 32 experts per layer, trained many times
trainings = {"without a balancing loss": 0.0, "with one (coefficient 0.01)": 0.01}
loads = {name: recorded.runs(coefficient, top_k=2)[1].load[:15, 1] for name, coefficient in trainings.items()}
plots.strips(loads, 300, "two experts per token, the first 300 steps, one row per expert of layer 2")

# %% [markdown]
# Each row is one expert, from the first step to step 300: the stronger the ink, the more tokens it gets, and empty means hardly any. The two trainings differ in one term of the loss. Lesson 05
# had that term, and every expert stayed at work. In this lesson you take it away and see what happens. This happens by accident, too: somebody who tried out a new training loop
# [reported](https://github.com/pytorch/torchtitan/issues/1246) that after a while most tokens went to the same expert in each
# layer. That loop had nothing yet that kept the experts balanced.
#
# You will write the numbers that describe the problem and the loss that prevents it, and find out what balance costs.
#
# **Builds on** [lesson 03](03_router.ipynb) (scores and chosen experts) and [lesson 05](05_moe_language_model.ipynb) (training).
# Nothing from another notebook has to be in memory. In shape comments, N is the number of tokens, E the number of experts, K the
# number of experts per token, L the number of layers, C the number of coefficients, and S the number of seeds.

# %% tags=["diagram"]
from moe_lite import lesson_header

lesson_header(today=6)

# %% tags=["setup"]
from dataclasses import replace

import torch

from moe_lite import MoELanguageModel, balance, checkpoint, claims, data, evaluate, guess, metrics, plots
from moe_lite import runs, sweeps, train
from moe_lite.checks import lesson06 as check, mine
from moe_lite.widgets import BalanceLab

# %% [markdown]
# ## 6.0 Take the term away
#
# We use a small model, so that one training takes about half a minute. It has two layers with 32 experts each (the diagram above is
# drawn for lesson 05's model, with four and eight), and every token uses two of them. A training step reads eight rows of 64 tokens. The model and its settings are those of the recorded trainings that
# you will meet from 6.2 on. The extra term has a coefficient of 0 here. So only the cross-entropy of the next token trains the
# router.

# %%
recorded = sweeps.grid()  # the recorded trainings: their model, their settings, and what they measured
corpora = data.load_corpora()
# How much to do: "normal", unless the variable MOE_LITE_BUDGET says otherwise. None: the whole validation split.
steps, windows = train.budgeted(ci=(6, 2), normal=(300, None), long=(900, None))
short = replace(recorded.train, steps=steps)


def learn(balance_loss=None, seed=0, **changes):
    """Train the small model anew. Returns it, and what it scores on the validation split: its loss and its load."""
    model = MoELanguageModel(replace(recorded.model, **changes), balance_loss=balance_loss, seed=seed)
    for _ in train.train(model, corpora, replace(short, seed=seed)):
        pass
    return model, evaluate.evaluate(model, corpora, length=short.length, max_windows=windows)


# %% [markdown]
# **Predict** (a guess)**:** with 32 experts, a fair share is 1/32 of the assignments. After a few hundred steps, how many times the fair share does
# the busiest expert of layer 2 have? And how many of the 32 are idle there, with less than a hundredth of a fair share?
#
# The cell after the next one trains for about half a minute.

# %% tags=["guess"]
my_guess = guess("6.0", times_the_fair_share=None, idle_experts=None)  # numbers in place of None

# %%
free_model, free = learn()
plots.loads({f"layer {i + 1}": load for i, load in enumerate(free.load)}, "load of each expert, in fair shares")

# %% tags=["guess"]
fair = 32 * free.load[1] / free.load[1].sum()  # (E,) layer 2; 1 is a fair share
my_guess.beside(times_the_fair_share=fair.max(), idle_experts=(fair < 0.01).sum())

# %% tags=["holds", "full"]
_fair = free.load.double() / free.load.double().mean(dim=1, keepdim=True)
holds("The busiest expert has several times its fair share, in both layers", (_fair.amax(dim=1) > 4).all())
holds("several experts have next to nothing, in both layers", ((_fair < 0.01).sum(dim=1) >= 4).all())

# %% [markdown]
# **Answer.** In both layers, the busiest expert has several times its fair share, and several experts have next to nothing. Nothing in the loss rewards an uneven load, and nothing punishes it.
#
# <!-- answered -->
# Before you ask why, you need numbers that say *how* uneven a load is.
#
# ## 6.1 Four numbers for a load
#
# Anyone who trains a mixture has to watch the load, because the loss does not show it. But 32 counts per layer are too much to
# watch. These four numbers stand for them.
#
# A **load** counts the assignments of each expert in one layer.
#
# - **Entropy**: minus the sum of p · log p, where p is an expert's share of the assignments. It is divided by log E, the largest value
#   that it can have. 1 means even, and small values mean that few experts do the work.
# - **Coefficient of variation** (CV): the standard deviation of the load, divided by its mean. 0 means even.
# - **Maximum violation**: how far the busiest expert is above the mean, as a multiple of the mean. 0 means even.
# - **Dead experts**: how many have less than a hundredth of the mean.
#   <!-- reasoned: definitions -->
#
# **By hand:** take a load of 6, 2, 0 and 0. What are its mean, CV and maximum violation? How many experts are dead? Is the entropy
# nearer to 0 or to 1?

# %%
load = torch.tensor([6.0, 2.0, 0.0, 0.0])
deviations = load - load.mean()
share = load / load.sum()
print("mean", load.mean().item(), " mean squared deviation", deviations.square().mean().item())
print(f"CV {deviations.square().mean().sqrt() / load.mean():.4f}, maximum violation {load.max() / load.mean() - 1:.1f}")
print("share · log(share):", [round(value, 3) for value in (share * share.log()).tolist()])

# %%
terms = torch.special.entr(share)  # (E,) -share · log(share), and 0 where the share is 0
print("entr(share):", [round(value, 3) for value in terms.tolist()])
print(
    f"entropy over log 4: {terms.sum() / torch.tensor(4.0).log():.2f}, dead: {int((load < 0.01 * load.mean()).sum())}"
)

# %% tags=["holds"]
_entropy = (terms.sum() / torch.tensor(4.0).log()).item()
holds("two are dead; the entropy is 0.41, nearer to 0", int((load == 0).sum()) == 2 and abs(_entropy - 0.41) < 0.005)
holds("0 · log 0 is nan", (share * share.log()).isnan().tolist() == [False, False, True, True])

# %% [markdown]
# **Answer.** The mean is 2. The squared deviations are 16, 0, 4 and 4. Their mean is 6, so CV is √6 / 2, or 1.22. The busiest expert
# has three times the mean, which is a maximum violation of 2. Two experts are dead. The entropy is 0.41, a little nearer to 0.
#
# <!-- answered -->
# There are two traps here. First, a computer makes `nan` of 0 · log 0. Its limit is 0, and an idle expert has to count as 0 in the
# sum; `torch.special.entr` does this. Second, `std` divides by E − 1 unless you tell it otherwise. Here you divide by E, because
# these are all the experts there are, and not a sample of them.

# %% [markdown] tags=["exercise"]
# ### Exercise 6.1 — load statistics
# *8 minutes · core · about 6 lines*
#
# **Given** `load` (E,) int64, with at least one assignment. Compute in float64.
# **Return** `(entropy, cv, max_violation, dead)`: the entropy over log E, so that 1 is even; the standard deviation over all E
# experts, divided by the mean; the largest load over the mean, minus 1; the number of experts that have less than a hundredth of the
# mean.
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
# Now apply it to the model that you trained above. Beside its two layers stand two loads that mark the ends of the scale: one is
# even, and in the other all assignments go to two experts, the fewest that top-2 can use.
#
# **Predict:** what is the CV if two of 32 experts have everything? (Give each of the two a load of 1, and compute the mean first.)

# %%
my_statistics = mine("6.1", load_statistics, default=metrics.load_statistics)
two = torch.tensor([1, 1] + 30 * [0])
loads = {"layer 1": free.load[0], "layer 2": free.load[1], "even": torch.ones_like(two), "all on two": two}
values = torch.tensor([my_statistics(load) for load in loads.values()], dtype=torch.float64)
plots.table(values, "loads of 32 experts", rows=[*loads], columns=["entropy", "CV", "max violation", "dead"])

# %% tags=["holds"]
holds("the CV of all on two is the root of 15", abs(values[3, 1] - 15**0.5) < 1e-6)

# %% tags=["holds", "full"]
holds("Your layers lie between the ends, far from even", (values[:2, 1] > 1).all() and (values[:2, 1] < 3.8).all())

# %% [markdown]
# **Answer.** It is 3.87, which is √15. The mean is 1/16. Two experts deviate by 15/16 and thirty by 1/16, and the root of the mean
# square is √15 / 16. In general, everything on K of E experts gives √(E/K − 1).
#
# **Takeaway: your two layers lie between the ends, and far from even.** Look at more than one of the numbers. A high CV can mean that one expert is overfull while nobody is dead, or that many experts starve.
#
# <!-- answered -->
# One caution before you compare loads: count them over enough tokens. The next cell draws two *random* experts for each token, so
# any unevenness is chance.
#
# **Predict:** over 256 tokens, an expert is expected to get 2 · 256 / 32 = 16 assignments. Such a count fluctuates by about its square
# root. What CV does that give? And over 25,600 tokens?

# %%
generator = torch.Generator().manual_seed(0)
for n_tokens in (256, 2_560, 25_600):
    drawn = torch.rand(n_tokens, 32, generator=generator).topk(2).indices  # (N, K)
    found = my_statistics(torch.bincount(drawn.flatten(), minlength=32))
    print(f"{n_tokens:>6} tokens: CV {found[1]:.3f}, max violation {found[2]:.2f}")

# %% tags=["holds"]
_drawn = torch.rand(256, 32, generator=torch.Generator().manual_seed(0)).topk(2).indices
_few = my_statistics(torch.bincount(_drawn.flatten(), minlength=32))[1]
holds("256 tokens: about a quarter", 0.2 < _few < 0.3)
holds("25,600 tokens: about a tenth of that", 0.05 < found[1] / _few < 0.2)

# %% [markdown]
# **Answer.** √16 / 16 is a quarter, and the first line shows about that. With a hundred times as many tokens, the CV is about a tenth
# of that.
#
# <!-- answered -->
# So chance alone gives a small batch a CV of about 0.25. This course therefore states loads over the *whole* validation split, one
# layer at a time, unless it says otherwise. The dashboard of lesson 05 shows only the last 20 steps of a training. That
# is good enough for a warning, but not for a comparison.
#
# ## 6.2 Why experts die
#
# The paper that made large mixtures popular
# [described the mechanism](https://arxiv.org/abs/1701.06538) (section 4): the experts that are ahead are trained more, and so they
# are chosen even more. Let us look at what a single batch teaches each expert. The gradient of its matrices says how the step would
# change the expert; the gradient of its router row says how the step would change which tokens choose it.
#
# Remember that this model divides the two chosen scores by their sum. Say that a token chose experts 1 and 2. Then its first weight is
#
# $$\frac{s_1}{s_1 + s_2} = \frac{e^{z_1}}{e^{z_1} + e^{z_2}}$$
#
# The logits of all other experts have cancelled.
#
# **Predict:** what is the gradient of an expert that no token of the batch has chosen? And of the router's row for that expert?

# %%
batch = data.sample_batch(corpora, 8, 64, torch.Generator().manual_seed(1))


def taught(model):
    """What the batch teaches layer 1: for each expert its assignments, its gradient, and that of its row; all (E,)."""
    model.zero_grad()
    output = model(batch.ids, batch.targets)
    output.loss.backward()
    layer = model.blocks[0].feed_forward
    of_expert = layer.experts.gate_up.grad.flatten(1).norm(dim=1)  # (E,) the third matrix, down, shows the same
    of_row = layer.router.weight.grad.norm(dim=1)  # (E,)
    return output.routing[0].load, of_expert, of_row


# %%
load, of_expert, of_row = taught(free_model)
shown = load.argsort(descending=True)[[0, 7, 15, 31]]  # four experts, from the busiest to the least used
names = [f"expert {e}" for e in shown.tolist()]
columns = ["assignments", "gradient of the expert, 1e-3", "of its row in the router, 1e-3"]
values = torch.stack([load[shown].float(), 1e3 * of_expert[shown], 1e3 * of_row[shown]], dim=1)
plots.table(values, "512 tokens, layer 1", rows=names, columns=columns)

# %% tags=["holds", "full"]
holds("the last of the four has no assignment", load[shown[3]] == 0)
holds("An expert that no token chose gets no gradient", (of_expert[load == 0] == 0).all())
holds("Nor does its row, up to rounding", of_row[load == 0].max() < 1e-6 * of_row.max())
holds("the busiest gets the largest gradient of the four", of_expert[shown].argmax() == 0)

# %% [markdown]
# **Answer.** An expert that no token of the batch chose gets no gradient, so it does not improve in this step. Its row of the router
# gets none either; what the table shows there is rounding. (The loads are those of eight rows
# of text, and 6.0 counted the whole validation split. So the multiples of the fair share differ.)
#
# **Takeaway: of these four, the expert that is ahead gets the largest gradient.** According to the paper, the router then learns to
# choose it even more; "the rich get richer", engineers say. The table cannot show that part: a size has no direction.
#
# <!-- answered -->
# That the row gets no gradient is true only because this model renormalises its weights. A model that does *not* divide uses the score
# itself, $s_1 = e^{z_1} / \sum_i e^{z_i}$, and that sum contains every logit. OLMoE is such a model (in
# [its settings](https://huggingface.co/allenai/OLMoE-1B-7B-0924), `norm_topk_prob` is false).
#
# **Before you run it:** the next cell takes the same trained model and the same batch, but no longer divides the weights. The choices
# in layer 1 stay the same. What happens to the gradients of the two columns, in the last row?

# %%
undivided = MoELanguageModel(replace(free_model.config, renorm=False))
undivided.load_state_dict(free_model.state_dict())
same_load, same_expert, other_row = taught(undivided)
values = torch.stack([same_load[shown].float(), 1e3 * same_expert[shown], 1e3 * other_row[shown]], dim=1)
plots.table(values, "the same tokens, weights not divided by their sum", rows=names, columns=columns)

# %% tags=["holds"]
holds("the choices stay the same", torch.equal(load, same_load))

# %% tags=["holds", "full"]
holds("The expert itself still gets none", (same_expert[load == 0] == 0).all())
_rows = other_row[load == 0]
holds("its row does: much more than rounding", _rows.min() > 1e4 * of_row[load == 0].max())
holds("the expert above it in the table has a few tokens", 0 < load[shown[2]] < 32)
holds("its row gets about as much", 0.4 < other_row[shown[3]] / other_row[shown[2]] < 2.5)
with torch.no_grad():
    _score = undivided(batch.ids).routing[0].scores.mean(dim=0)[shown[2:]]
holds("the scores of these two are alike", _score.max() < 1.5 * _score.min())
holds("the same for every unchosen row", _rows.min() > 0.4 * other_row[shown[2]])

# %% [markdown]
# **Answer.** The expert still gets no gradient. But its row of the router does now, and it is far above rounding. It is about
# as large as that of the expert above it in the table, because the derivative of $s_1$ by another logit $z_j$ is $-s_1 s_j$, and the
# scores $s_j$ of these two are alike.
#
# <!-- answered -->
# So in a model that renormalises, an expert without tokens cannot improve, and nothing pushes the router to choose it again. Is it
# lost for good? The course ships recordings of this very model: three seeds, 900 steps each, with the load of every 20 steps.
#
# **Predict:** are more experts dead early in the training, or at its end? And of those that are dead at step 300, how many are still
# dead at step 900?


# %%
def dead_by_step(run):
    """For every 20 steps, which experts had less than a hundredth of the mean load: (bins of 20 steps, L, E)."""
    load = run.load.double()
    return load < 0.01 * load.mean(dim=-1, keepdim=True)


rows, moments = [], (20, 40, 100, 300, 900)
for run in recorded.runs(0.0, top_k=2):
    dead = dead_by_step(run)
    at = {step: dead[run.steps.index(step)] for step in moments}  # (L, E) each
    rows.append(
        [*(int(at[step].sum()) for step in moments), int((at[300] & at[900]).sum()), int(dead.any(dim=0).sum())]
    )
columns = [*(f"step {step}" for step in moments), "at 300 and at 900", "ever"]
names = [f"seed {seed}" for seed in recorded.seeds]
plots.table(torch.tensor(rows), "dead experts of 64 (both layers), no balancing", rows=names, columns=columns)

# %% tags=["holds"]
_dead = torch.tensor(rows).double()  # seeds × columns
holds("Nobody is dead after 20 steps", (_dead[:, 0] == 0).all())
holds("by step 40, half of all experts or a few more", (_dead[:, 1] >= 32).all() and (_dead[:, 1] <= 35).all())
holds("at the end, between a fifth and a third", (_dead[:, 4] / 64 > 0.2).all() and (_dead[:, 4] / 64 < 1 / 3).all())
_stay = _dead[:, 5] / _dead[:, 3]
holds("half to two thirds of those dead at 300 are dead at 900", _stay.min() >= 0.5 and _stay.max() <= 2 / 3)
holds("more than three quarters of all experts were dead at some time", (_dead[:, 6] / 64 > 0.75).all())
holds("most of these came back", (_dead[:, 4] < 0.5 * _dead[:, 6]).all())
holds("the worst is early", (_dead[:, 1:3].amax(dim=1) > _dead[:, 3:5].amax(dim=1)).all())

# %% [markdown]
# **Answer.** The worst is early. Nobody is dead after 20 steps, because a random router spreads its tokens. By step 40, half of all
# experts are dead, or a few more. At the end it is between a fifth and a third. Of those dead at step 300, half to two thirds are
# dead at step 900 as well.
#
# **Takeaway: a lead does not grow for ever, and death is not final here.** Look at the last column: in each seed, more than three
# quarters of the experts were dead at some time, and most of these came back.
#
# <!-- answered -->
# How can an expert come back, if nothing pushes it? While nobody chooses it, the expert and its row of the router stand nearly still.
# (Weight decay still shrinks every weight a little in each step.) But the rest of the model keeps changing, and with it the vectors that the router compares
# with this row. At some point a token's vector may point its way again. This is the likely reason; it was not tested.
#
# ## 6.3 What makes them die
#
# Articles say that without balancing "a few experts take all the tokens". When is this true? Here is a recorded sweep. It trains the small model as it is, and with one thing
# changed at a time, three seeds each, without balancing. "Initial spread" is the standard deviation of the random weights at the
# start; the model as it is has 0.02.
# <!-- evidence: data/balance/grid.json model.init_std -->
#
# An expert counts as dead if it has less than a hundredth of the mean load on the whole validation split. The figure also shows what
# share of a layer's assignments its four busiest experts get. Of 32 even experts, four would get an eighth; of
# 8, half.
#
# **Predict:** which changes kill more experts? Fewer experts, or more? A higher learning rate, or a lower one? More rows of text per
# step?


# %%
def dead_percent(found):
    """The least and the most that any seed has of dead experts, in percent of both layers' experts."""
    dead = [metrics.dead_experts(run["final_load"]).sum() / run["final_load"].numel() for run in found]
    return [round(100 * min(dead).item()), round(100 * max(dead).item())]


def four_busiest_percent(found):
    """The same for the share of a layer's assignments that its four busiest experts have, the mean of both layers."""
    loads = [run["final_load"].double() for run in found]  # (L, E) for each seed
    shares = [(load.topk(4).values.sum(dim=1) / load.sum(dim=1)).mean() for load in loads]
    return [round(100 * min(shares).item()), round(100 * max(shares).item())]


# %%
tried = sweeps.changed("sweep")  # what was changed, in words -> three recorded trainings
less_shown = ("16 experts", "top-1", "top-4")  # these three come in 6.9
shown = {name: found for name, found in tried.items() if name not in less_shown}
ranges = torch.tensor([[dead_percent(found), four_busiest_percent(found)] for found in shown.values()])  # (…, 2, 2)
columns = ["dead experts, %", "share of the four busiest, %"]
least, most = ranges.unbind(dim=-1)
caption = "no balancing; from the least to the most of three seeds"
plots.ranges(least, most, caption, rows=[*shown], columns=columns, reference=0)

# %% tags=["holds"]
_killed, _four = ({_name: _r[_i] for _name, _r in zip(shown, ranges.tolist(), strict=True)} for _i in (0, 1))
holds("With 8 experts none dies, in any seed", _killed["8 experts"] == [0, 0])
holds("With 32, more than a fifth in every seed", _killed["as it is"][0] > 20)
for _names in (
    ("learning rate 0.001", "as it is", "learning rate 0.01"),  # larger steps kill more
    ("initial spread 0.1", "as it is", "initial spread 0.005"),  # and smaller initial weights
):
    _rising = [_killed[_name] for _name in _names]
    holds("the ranges do not overlap", all(_a[1] < _b[0] for _a, _b in zip(_rising, _rising[1:], strict=False)))
holds("0.002 spreads from 9 to 27 %", _killed["learning rate 0.002"] == [9, 27])
_rows32 = [_killed[f"32 rows per step, {_what}"] for _what in ("900 steps", "as many tokens")]
holds("32 rows, 900 steps: more", _rows32[0][0] > _killed["as it is"][1])
holds("as many tokens: no more", _rows32[1][1] <= _killed["as it is"][1] and _rows32[1][0] <= _killed["as it is"][0])
holds("at the worst, more than a third still works", max(_most for _, _most in _killed.values()) < 66)
_of_32 = [_range for _name, _range in _four.items() if _name != "8 experts"]
holds("of 32, the four busiest get more than half in every setting and seed", min(_low for _low, _ in _of_32) > 50)
holds("and up to 76 %", max(_high for _, _high in _of_32) == 76)

# %% [markdown]
# **Answer.** **Experts die in some settings and not in others: "they always collapse" is false, and so is "they never do".**
#
# - *More dead experts:* more experts per layer, larger steps, smaller initial weights. With 8 experts none dies, in any seed; with 32
#   (the row "as it is"), more than a fifth do. (The model as it is has a learning rate of 0.004.) At 0.002, the seeds spread from 9 to
#   27 %, so a single one could have told you nearly anything. <!-- evidence: data/balance/grid.json train.lr -->
# - *More rows per step:* this one is a trap. With 32 rows and 900 steps more experts die, but that training also saw four times as
#   many tokens. With *as many tokens* as before, no more die than in the model as it is. So larger batches need not kill experts.
#
# And "a few experts take all the tokens"? *All* is false: even in the worst case, more than a third of the experts are not dead.
# *Most* is true here: of 32 experts, the four busiest get more than half of the assignments in every setting and seed, and up to 76 %. A low
# count of dead experts is no even load: an expert with 2 % of the mean is not dead.
#
# ## 6.4 What does skew cost?
#
# What does a skewed load cost? Compare the model as it is, top-2, without balancing and with a balancing
# coefficient of 0.01. Switch Transformers used this coefficient ([Fedus et al. 2021](https://arxiv.org/abs/2101.03961)). Three
# things could suffer:
#
# - The **loss**.
# - The **room**. Real systems often give each expert a fixed number of places per step, and drop the assignments that do not fit. Here
#   we count how many would not fit into 1.25 times the fair share. (These trainings did not drop any.)
# - The **time**. If every expert sits on a device of its own, all devices wait for the one with the busiest expert. Somebody
#   who trained in this way [reported](https://github.com/verl-project/verl/pull/4103) that an uneven load made the update step take
#   longer and longer.
#
# **Predict** for each of the three: is the unbalanced model worse, and by how much?


# %%
def costs(coefficient):
    """For each seed: loss, assignments that would not fit in %, busiest over mean, dead experts in % -> (S, 4)"""
    rows = []
    for run in recorded.runs(coefficient, top_k=2):
        over = run.overflow[-5:, :, sweeps.FACTORS.index(1.25)].mean()  # mean of the last 100 steps and both layers
        busiest = 1 + metrics.max_violation(run.final_load).mean()  # mean of both layers
        dead = metrics.dead_experts(run.final_load).sum() / run.final_load.numel()
        rows.append([run.final_loss, 100 * over, busiest, 100 * dead])
    return torch.tensor(rows)


# %%
without, balanced = costs(0.0), costs(0.01)  # (S, 4) each
least, most = torch.stack([without, balanced]).aminmax(dim=1)  # (2, 4) each
rows = ["no balancing", "coefficient 0.01"]
columns = ["loss, nats per token", "would not fit, %", "busiest over mean", "dead experts, %"]
paired = (balanced - without)[:, 0]  # (S,) the same seed: the same initial weights and the same batches
print(f"loss, mean of the seeds: {without[:, 0].mean():.2f} without, {balanced[:, 0].mean():.2f} with 0.01")
print("loss with 0.01 minus loss without, seed by seed:", [round(value, 3) for value in paired.tolist()])
plots.ranges(least, most, "top-2; from the least to the most of three seeds", rows=rows, columns=columns)

# %% tags=["holds"]
_free, _even = without.mean(dim=0), balanced.mean(dim=0)
holds("Without balancing, nearly two thirds would not fit", 60 < _free[1] < 66.7)
holds("with it, more than a third still would not", 33.4 < _even[1] < 50)
holds("the busiest has nine times the mean, against four", (_free[2].round(), _even[2].round()) == (9, 4))
holds("a quarter is dead, against none", (_free[3].round() in (25, 26)) and _even[3] == 0)
holds(
    "The loss is 0.05 lower without", abs(_even[0] - _free[0] - 0.05) < 0.005 and (without[:, 0] < balanced[:, 0]).all()
)
holds("ranges of losses over the seeds overlap", without[:, 0].max() > balanced[:, 0].min())
holds("and are wider than 0.05", (most - least)[:, 0].min() > 0.05)
holds("the printed differences have the same sign", (paired > 0).all())

# %% [markdown]
# **Answer.** Both room and time suffer badly. Without balancing, nearly two thirds of the assignments would not fit, and the busiest
# expert does nine times the mean work. With 0.01, more than a third would still not fit, and the busiest expert still has
# four times the mean.
#
# The loss does not suffer. On average it is 0.05 nats per token *lower* without balancing. The seeds' losses differ by more than
# that, and the two ranges overlap. But the same seed means the same initial weights and the same batches, so you may compare seed by
# seed: the printed differences all have the same sign. A quarter of the experts is dead, which wastes memory, but the
# predictions are no worse for it. <!-- evidence: 3.67 - 3.62 -->
#
# **Takeaway: balancing saves room and time. In this small model it does not lower the loss.**
#
# ## 6.5 A loss that evens out the load
#
# How could training keep the load even? A load is a count, and a count has no gradient: if you move a score a little, no token changes
# its expert. Switch Transformers found a way around this, and most mixtures since then use some version of it. It takes two numbers
# for each expert $i$: $f_i$, the share of the *assignments* that the expert gets, and $P_i$, the mean *score* that all tokens give it.
# The loss is
#
# $$E \sum_i f_i P_i$$
#
# $f$ is a constant as far as the gradient is concerned; only $P$ can move. So the gradient pushes hardest on the scores of the experts
# that have most: where $f_i$ is large, lowering $P_i$ lowers the loss most.
# <!-- reasoned: the derivative of the loss by P_i is E · f_i -->
#
# **By hand:** three tokens, two experts, top-1. The scores for expert 0 are 0.6, 0.8 and 0.3. What are f, P and the loss?

# %%
scores = torch.tensor([[0.6, 0.4], [0.8, 0.2], [0.3, 0.7]])  # (N, E)
expert_ids = scores.argmax(dim=1, keepdim=True)  # (N, K)
f = torch.bincount(expert_ids.flatten(), minlength=2) / expert_ids.numel()  # (E,)
P = scores.mean(dim=0)  # (E,)
print("f", [round(v, 3) for v in f.tolist()], " P", [round(v, 3) for v in P.tolist()], f" loss {2 * (f * P).sum():.4f}")

# %% [markdown]
# **Answer.** f is 2/3 and 1/3, because two of three tokens choose expert 0. P is 1.7/3 and 1.3/3. The loss is twice the sum of the
# products, 9.4/9, which is 1.0444.
#
# <!-- answered -->
# With K experts per token there are N · K assignments. Then f counts all of them and divides by their number, so that it sums to 1.
# The score in P is the one *before* the best K are picked and renormalised, for all tokens.
# [One library](https://github.com/paiml/aprender/pull/2162) averaged the scores of the chosen experts only, and had to repair it.

# %% [markdown] tags=["exercise"]
# ### Exercise 6.2 — the balancing loss
# *10 minutes · core · about 4 lines*
#
# **Given** `scores` (N, E), rows that sum to 1, and `expert_ids` (N, K) int64, the experts chosen.
# **Return** a scalar: E times the sum over experts of f · P, with f over all N · K assignments. The gradient must reach `scores`,
# through P. Experts that nobody chose count too, also if they are the last ones.
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
# A number that you watch needs a scale. What is the loss for a router that gives all 32 experts the same score? What for one that
# gives every token's whole score to the same two experts, half and half?
#
# And what for the model from 6.0? If P were equal to f, the loss would be E · Σ f². The mean of f is 1/E. So the mean of the squares is
# (1/E)² plus the variance, which is (CV/E)². E times the sum of squares is E² times their mean: 1 + CV².
# <!-- reasoned: the variance is the mean of the squares minus the square of the mean -->
#
# **Predict** the first two. Then say for the third: is the real loss higher or lower than 1 + CV²? (How large can the score of a chosen
# expert be, and how large is the score of the other thirty?) In the cell, `routing.top_k` holds the weights and the numbers of the
# chosen experts; `[1]` takes the numbers.

# %%
my_loss = mine("6.2", load_balancing_loss, default=balance.load_balancing_loss)
same_two = torch.tensor([[0, 1]]).expand(8, 2)  # (N, K) every token chooses experts 0 and 1
equal_scores = torch.full((8, 32), 1 / 32)  # (N, E)
half_and_half = torch.zeros(8, 32)
half_and_half[:, :2] = 0.5  # (N, E)
print("equal scores:", my_loss(equal_scores, same_two).item())
print("all on the same two:", my_loss(half_and_half, same_two).item())
with torch.no_grad():
    routings = free_model(batch.ids).routing  # one for each layer
for layer, routing in enumerate(routings):
    loss, cv = my_loss(routing.scores, routing.top_k[1]).item(), my_statistics(routing.load)[1]
    print(f"layer {layer + 1} of 6.0: loss {loss:.2f}, 1 + CV² is {1 + cv**2:.2f}")

# %% tags=["holds"]
holds("equal scores give 1", abs(my_loss(equal_scores, same_two) - 1) < 1e-6)
holds("all on the same two gives 16", abs(my_loss(half_and_half, same_two) - 16) < 1e-5)

# %% tags=["holds", "full"]
for _routing in routings:
    _value, _cv = my_loss(_routing.scores, _routing.top_k[1]).item(), my_statistics(_routing.load)[1]
    holds("much lower than 1 + CV², in both layers", _value < 0.75 * (1 + _cv**2))
    holds("yet clearly above 1", _value > 1.5)

# %% [markdown]
# **Answer.** Equal scores give 1, whatever was chosen. If all tokens agree on the same two experts, the loss is E/K = 16.
#
# For the trained model, the loss is much lower than 1 + CV². The reason is that P is flatter than f. In f, the chosen experts get
# everything. In P, they get only their scores, and the rest of the score goes to experts that were not chosen. So the loss measures
# two things: how uneven the choices are, and how sure the router is of them. You cannot read the CV off it.
#
# <!-- answered -->
# A common belief is that 1 is the lowest possible value. Here are five tokens and two experts.
#
# **By hand:** three tokens have scores (0.51, 0.49), two have scores (0, 1), top-1. What are f, P and the loss?

# %%
unlike = torch.tensor([[0.51, 0.49]] * 3 + [[0.0, 1.0]] * 2)  # (N, E)
print(f"{my_loss(unlike, unlike.argmax(dim=1, keepdim=True)).item():.3f}")

# %% tags=["holds"]
holds("it is below 1", my_loss(unlike, unlike.argmax(dim=1, keepdim=True)) < 0.93)

# %% [markdown]
# **Answer.** f is 3/5 and 2/5, and P is 1.53/5 and 3.47/5. Twice the sum of the products is 0.922, which is below 1. Three tokens choose expert 0
# by a hair, and the other two do not want it at all. So 1 is what an even router scores, but it is no lower bound, and a loss
# near 1 is no proof of an even load.
#
# <!-- answered -->
# How strong is the loss as a force? The next cell takes the logits of 6.0's second layer as free numbers. There is no language to
# model, and only your loss changes them. The gradient of a mean over 512 tokens is small for each single token, so the step size is
# large. <!-- evidence: 8 * 64 -->
#
# **Predict:** for which experts does a step lower the logits most? And what happens to the CV?

# %%
logits = routings[1].logits.clone().requires_grad_()  # (N, E)
history = []  # (loss, CV) at each step
for step in range(51):
    scores = logits.softmax(dim=-1)
    expert_ids = scores.topk(2).indices  # (N, K)
    loss = my_loss(scores, expert_ids)
    cv = my_statistics(torch.bincount(expert_ids.flatten(), minlength=32))[1]
    history.append((loss.item(), cv))
    if step % 10 == 0:
        print(f"step {step:3}: loss {loss.item():.3f}, CV {cv:.2f}")
    (gradient,) = torch.autograd.grad(loss, logits)
    logits = (logits - 100 * gradient).detach().requires_grad_()

# %% tags=["holds", "full"]
_losses, _cvs = zip(*history, strict=True)
holds("the CV is halved within ten steps", _cvs[10] < 0.5 * _cvs[0])
holds("after fifty, less than a tenth is left", _cvs[50] < 0.1 * _cvs[0])
holds("At step 20 the loss is close to 1, the CV well above chance", _losses[20] < 1.05 and _cvs[20] > 0.3)

# %% [markdown]
# **Answer.** For those that have most: their f is the largest. The CV is halved within ten steps. After fifty, less than a tenth of it is left. So the force is strong where nothing resists it.
#
# <!-- answered -->
# Compare the two columns: at step 20 the loss is close to 1 already, while the CV is still well above what chance gives. **Close to
# even, this loss hardly sees the rest.** In a training, the cross-entropy resists. How the two settle depends on one number: the
# coefficient by which this loss is multiplied before it is added.
#
# ## 6.6 The balance lab
#
# How large should the coefficient be? There is no law. The lab holds 54 recorded trainings of the small model: six coefficients, with top-1, top-2 and top-4, three seeds each.
#
# Every row of a strip is one expert over time. The stronger it is drawn, the more assignments the expert has; it is blank where the expert is
# dead. The controls above the strips choose a recording, shown beside the one without balancing; the slider under them chooses the step.
# Folded below, *What one text does* shows each token's first expert at that step, and *Train your own* trains a new model on your machine.
#
# In the table under the strips, "over 1.25 × fair" is the share of the assignments that *would not fit*. These recordings dropped
# nothing. At the losses, ± is half the range over the seeds. <!-- evidence: 5 / 4 -->
#
# **Predict, then move the coefficient:** in both layers, from which one on is no expert dead at the end? From which one on are the strips even? And does
# the validation loss fall with the coefficient, rise, or neither?

# %% tags=["widget", "figure"]
print("coefficients recorded:", *recorded.coefficients)
lab = BalanceLab()
views = {
    f"{c:g}, layer {layer + 1}": {"coefficient": c, "layer": layer, "at": 0} for c in (0.001, 0.1) for layer in (0, 1)
}
lab.suggest(views | {"0.01 at step 100": {"coefficient": 0.01, "layer": 0, "at": 100}})

# %% tags=["holds"]
_at_100 = {
    _c: sum(int(dead_by_step(_run)[_run.steps.index(100)].sum()) for _run in recorded.runs(_c, 2)) for _c in (0.0, 0.01)
}
_ends = {_c: torch.stack([_run.final_load for _run in recorded.runs(_c, 2)]) for _c in recorded.coefficients}
holds("At 0.001 a few are dead at the end", 0 < metrics.dead_experts(_ends[0.001]).sum() < 20)
holds("at 0.01 none", metrics.dead_experts(_ends[0.01]).sum() == 0)
holds("Even strips need 0.1", metrics.load_cv(_ends[0.01]).min() > 0.5 and metrics.load_cv(_ends[0.1]).max() < 0.25)
holds("in the first hundred steps, balancing with 0.01 saves more than half", _at_100[0.01] < 0.5 * _at_100[0.0])

# %% [markdown]
# **Answer.** With top-2, a few experts are dead at the end at 0.001, and none at 0.01. Even strips need 0.1. The loss stays
# about level for the small coefficients and rises for the large ones.
#
# <!-- answered -->
# Move the step back to the beginning, too: many experts die within the first hundred steps. At 0.01, fewer than half as many are dead at
# step 100 as without balancing (both layers and all seeds together). <!-- evidence: data/balance/grid.json rows.0.steps.4 -->
#
# The next figure shows all six coefficients at once, for top-2. **Predict:** at which coefficient is the loss, in the last panel,
# lowest on average?

# %%
coefficients = recorded.coefficients
found = torch.stack([costs(coefficient) for coefficient in coefficients])  # (C, S, 4)
loads = recorded.final_loads(top_k=2)  # (C, S, L, E)
panels = {
    "dead experts, %": found[..., 3],
    "CV": metrics.load_cv(loads).mean(dim=-1),
    "would not fit, %": found[..., 1],
    "loss, nats per token": found[..., 0],
}

# %% tags=["figure"]
plots.against_coefficient(panels, coefficients)

# %% tags=["holds"]
_means = torch.stack([panel.double().mean(dim=1) for panel in panels.values()])  # (4, C)
holds("The first three fall all the way, or are at 0", (_means[:3].diff(dim=1) <= 0).all() and _means[0, -1] == 0)
holds("the fourth stays about level up to 0.001", (_means[3, :3] - _means[3, 0]).abs().max() < 0.04)
holds("and is higher at 0.1 and 1", (_means[3, 4:] > _means[3, :4].max() + 0.1).all())
_lead, _dots = _means[3, 2] - _means[3, 1], panels["loss, nats per token"][1]  # at 0.0001
holds("lowest at 0.0001, by less than its seeds differ", _means[3].argmin() == 1 and _lead < _dots.max() - _dots.min())

# %% [markdown]
# **Answer.** The first three panels fall. The fourth does not: the loss stays about level up to 0.001, and it is higher at both 0.1
# and 1. The mean is lowest at 0.0001, but by less than the seeds differ there.
#
# <!-- answered -->
# So compare seed by seed, as in 6.4. For each seed we take the loss with balancing, minus the loss without. The figure shows the mean of the three differences, and an interval around it; an open dot marks an interval that contains 0. The interval comes from Student's t
# distribution: if only chance separated the seeds, intervals made in this way would contain the true difference in 19 of 20 cases.
# <!-- reasoned: the definition of a confidence interval -->
#
# **Predict** from the last panel: for which of the coefficients does the interval exclude 0?


# %%
def difference(runs_a, runs_b):
    """Final losses of `runs_a` minus those of `runs_b`, seed by seed: the mean, and the interval around it."""
    lead = runs.interval([a - b for a, b in zip(runs_a, runs_b, strict=True)])
    return [lead.mean, lead.low, lead.high]


rows = [difference(recorded.losses(c, top_k=2), recorded.losses(0.0, top_k=2)) for c in coefficients[1:]]
names = [f"coefficient {c:g}" for c in coefficients[1:]]
caption = "loss − loss without balancing, nats per token, seed by seed"
plots.intervals(torch.tensor(rows), caption, rows=names)

# %% tags=["holds"]
_rows = dict(zip(coefficients[1:], rows, strict=True))
holds(
    "Two exclude 0: 0.01 and 1", [_c for _c, (_, _low, _high) in _rows.items() if _low > 0 or _high < 0] == [0.01, 1.0]
)
holds("At 0.01 it costs 0.05", round(_rows[0.01][0], 2) == 0.05)
holds("at 0.1, 0.22, from -0.02 to 0.47", [round(_v, 2) for _v in _rows[0.1]] == [0.22, -0.02, 0.47])
holds("at 1, a third of a nat", 0.32 < _rows[1.0][0] < 0.35)
_dots = dict(zip(coefficients, panels["loss, nats per token"], strict=True))
_above = [_c for _c in coefficients[1:] if _dots[_c].min() > _dots[0.0].max()]
holds("only at 0.1 and 1 do all dots lie above those at 0", _above == [0.1, 1.0])

# %% [markdown]
# **Answer.** For two of them: 0.01 and 1. The panel alone suggests another pair, 0.1 and 1: only there do all dots lie above those at 0.
# But an interval looks at the differences. At 0.01 they are alike, so that even a small mean counts. At 0.1 they differ much, and the
# interval reaches 0: the price there is probably higher, and quite uncertain.
#
# **Takeaway: balance has a price in these short trainings, and it grows with the coefficient.** 0.05 is as
# much as the whole lead of lesson 05's eight experts over the dense model. Section 6.9 looks for settings in which balancing lowers
# the loss.
# <!-- evidence: data/runs/summary.json dense-equal-active.loss.mean - data/runs/summary.json moe-8-top2.loss.mean -->

# %% [markdown] tags=["exercise"]
# ### Exercise 6.3 — pick a coefficient
# *8 minutes · core · about 5 lines*
#
# In practice your machines set a limit: one that the maximum violation of no
# layer and seed may exceed. The smallest coefficient that keeps it disturbs the model least.
#
# **Given** `coefficients`, a rising list of C numbers, `loads` (C, S, L, E) int64, and `limit`, the largest maximum violation that
# you accept.
# **Return** the smallest coefficient at which every seed and every layer has a maximum violation of at most `limit`; `float("inf")`
# if none does. 0 is an answer like any other. Compute in float64.
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
# Now on the recorded trainings.
#
# **Predict:** does a stricter limit always cost more loss?

# %%
my_pick = mine("6.3", pick_coefficient, default=sweeps.smallest_coefficient)
for limit in (8.0, 4.0, 2.0, 1.0, 0.5):
    print(f"at most {limit} above the mean: coefficient {my_pick([*coefficients], loads, limit)}")

# %% tags=["holds"]
_picked = [my_pick([*coefficients], loads, _limit) for _limit in (8.0, 4.0, 2.0, 1.0, 0.5)]
holds("8 and 4 need 0.01; 2 and 1 need 0.1; 0.5 needs 1", _picked == [0.01, 0.01, 0.1, 0.1, 1.0])

# %% [markdown]
# **Answer.** No. The limits of 8 and 4 need the same coefficient, 0.01, and so do 2 and 1, with 0.1. Between these steps it does cost
# more: the figure of the last section prices 0.01 at 0.05 nats per token and 0.1 at perhaps 0.22. (With only six coefficients recorded, the picked
# one can be larger than necessary.)
#
# <!-- answered -->
# The limit is a decision about machines: how many places an expert has, and how long the other devices may wait.
#
# ## 6.7 Keeping logits small
#
# A second term often stands beside the balancing loss. Large sparse models sometimes trained unstably, and rounding errors in the
# router are one of the suspects ([Zoph et al. 2022](https://arxiv.org/abs/2202.08906)). Softmax does not care how large the logits are, only how much they
# differ: add 10 to all of them, and nothing changes. Rounding does care.
#
# **Before you run it:** here are two logits, 0.1 apart. At which size does bfloat16, the usual number format of training, lose the
# difference?

# %%
for size in (1, 10, 100):
    pair = torch.tensor([size + 0.1, size], dtype=torch.float32)
    rounded = pair.bfloat16().float()
    print(f"{size:3}: {pair.softmax(0)[0]:.4f} in float32, {rounded.softmax(0)[0]:.4f} from bfloat16 logits")

# %% tags=["holds"]
holds("At 100 both round to the same number", rounded[0] == rounded[1] and size == 100)
holds("At 10 the difference grows by a quarter", torch.tensor(10.1).bfloat16().item() - 10 == 0.125)

# %% [markdown]
# **Answer.** At 100: both round to the same number, and the softmax gives 0.5 for each. At 10 the difference grows by a
# quarter, because the larger logit is rounded up.
#
# <!-- answered -->
# The ST-MoE paper ([Zoph et al. 2022](https://arxiv.org/abs/2202.08906)) therefore punishes large logits with the **router
# z-loss**: the mean over tokens of $(\log \sum_i e^{z_i})^2$, with a coefficient of 0.001. There is one trap: $e^{z}$ overflows in
# float32 for z above 88, and for z far below 0 it is rounded to 0, whose logarithm is −∞. `logsumexp` avoids both.

# %% [markdown] tags=["exercise"]
# ### Exercise 6.4 — router z-loss
# *5 minutes · core · about 1 line*
#
# **Given** `logits` (N, E).
# **Return** a scalar: for each token the log of the sum of exponentials over the experts, squared; then the mean over tokens. Logits
# of 1,000 and of −1,000 must give finite results.
# **Allowed:** `torch.logsumexp`, `square`, `mean`.
#
# <!-- hints 6.4 -->


# %% tags=["stub"]
def router_z_loss(logits: torch.Tensor) -> torch.Tensor:
    """The mean over tokens of the squared log of the sum of exponentials.

    logits (N, E); returns a scalar
    """
    ### BEGIN SOLUTION
    return torch.logsumexp(logits, dim=-1).square().mean()
    ### END SOLUTION


# %% tags=["check"]
check.router_z_loss(router_z_loss)

# %% [markdown]
# The next cell trains the small model with the z-loss, again for about half a minute, and compares it with the one from 6.0. The
# balancing term is off in both. A third row shows the model before any training.
#
# **Predict:** what does the z-loss do to the largest logit? And to the smallest, the most negative one?

# %%
my_z = mine("6.4", router_z_loss, default=balance.router_z_loss)
calm_model, calm = learn(z_coef=0.001)
models = {"untrained": MoELanguageModel(recorded.model), "without z-loss": free_model, "z-loss 0.001": calm_model}
rows = []
for model in models.values():
    with torch.no_grad():
        logits = torch.cat([routing.logits for routing in model(batch.ids).routing])  # (L·N, E)
    rows.append([logits.max(), logits.min(), logits.logsumexp(dim=-1).mean(), my_z(logits)])
values = torch.tensor(rows)
columns = ["largest logit", "smallest logit", "log Σ exp, mean", "z-loss"]
plots.table(values, "logits of both layers, 512 tokens", rows=[*models], columns=columns)

# %%
for name, measured in (("without z-loss", free), ("z-loss 0.001", calm)):
    dead = metrics.dead_experts(measured.load).tolist()
    print(f"{name}: dead experts in the two layers {dead}, loss {measured.mean_loss:.3f}")

# %% tags=["holds"]
holds("untrained, log Σ exp is near log 32 = 3.47", abs(values[0, 2] - 3.47) < 0.05)

# %% tags=["holds", "full"]
_start, _free, _calm = values.tolist()
holds("The largest logit falls a little", 0.4 * _free[0] < _calm[0] < _free[0])
holds("the smallest becomes far more negative: more than twice", _calm[1] < 2 * _free[1] < 0)
holds("so the largest in absolute size grows", max(_calm[0], -_calm[1]) > 1.3 * max(_free[0], -_free[1]))
holds("without z-loss, logits stay below 10", max(_free[0], -_free[1]) < 10)
holds(
    "without it, log Σ exp stays near where it began; with it, it is less",
    abs(_free[2] - 3.47) < 0.5 and _calm[2] < 2.5,
)
holds("Experts die with it as well", metrics.dead_experts(calm.load).sum() >= 8)

# %% [markdown]
# **Answer.** The largest logit falls a little. But the smallest one becomes far more negative, so that the largest logit *in absolute
# size* grows. The term that is meant to keep logits small has made some of them larger.
#
# The formula explains it. The z-loss does not punish large logits as such; it punishes every log Σ exp that is not 0. A router
# without any preference has all logits 0, which is as small as logits can be. Its log Σ e⁰ is log 32 = 3.47, and the z-loss punishes
# even that. The easiest way out is to shift all logits down, because softmax does not notice a shift. And an expert that is not chosen can go
# down very far, because $e^{z}$ of a very negative logit adds almost nothing to the sum.
# <!-- evidence: log(32) -->
#
# It has not failed. log Σ exp is at least as large as the largest logit, so the term does hold down large
# *positive* logits, those of the experts that are chosen. But in this small model there was nothing to cure: without the z-loss, the
# logits stay far from the sizes where bfloat16 hurts.
# <!-- reasoned: the sum contains e to the largest logit -->
#
# The z-loss is also no balancing loss: experts die with it as well.
#
# ## 6.8 Your loss in training, and a term that does nothing
#
# A balancing term can be computed and logged, and still do nothing. It happened in real trainers:
# [one](https://github.com/NVIDIA-NeMo/Automodel/issues/1408) attached the gradient of the term to a tensor and then did not use that
# tensor. [Another](https://github.com/huggingface/trl/issues/7009), as its users reported, left the term out when a certain option was
# on, without a warning. How would you notice?
#
# The next cell turns your loss into one for the whole model: the mean over the layers. Beside it stands a version with one word more,
# `detach`. (It cuts a tensor off from the computation that made it, so that no gradient flows back through it.)
#
# **Before you run it:** do the two versions give the same value? And which of them has a gradient?


# %% tags=["broken"]
def attached(routings):
    """Your loss, the mean over all layers."""
    return torch.stack([my_loss(r.scores, r.top_k[1]) for r in routings]).mean()


def detached(routings):
    """The same, cut off from the router."""
    return torch.stack([my_loss(r.scores.detach(), r.top_k[1]) for r in routings]).mean()


routings = free_model(batch.ids).routing
for term in (attached, detached):
    value = term(routings)
    print(f"{term.__name__}: {value.item():.4f}, requires_grad is {value.requires_grad}")

# %% tags=["holds"]
holds("the same value; only the first has a gradient", torch.equal(attached(routings), detached(routings)))
holds("requires_grad tells them apart", attached(routings).requires_grad and not detached(routings).requires_grad)

# %% [markdown]
# **Answer.** They have the same value. Only the first one has a gradient: `requires_grad` says whether a gradient can flow back from
# a tensor. In a training the term is added to the cross-entropy, and the sum has a gradient in both cases. So nothing warns you.
#
# <!-- answered -->
# Now train with each of them, with a coefficient of 0.01, for about a minute together.
#
# **Predict:** what does `detach` change in the training? Which of 6.1's four numbers would show it?

# %%
trained, logged = {"no term": free}, [attached(routings).item()]
for name, term in {"yours": attached, "detached": detached}.items():
    model, trained[name] = learn(term, balance_coef=0.01)
    logged.append(term(model(batch.ids).routing).item())
values = torch.tensor([[*my_statistics(measured.load[1]), measured.mean_loss] for measured in trained.values()])
columns = ["entropy", "CV", "max violation", "dead", "loss of the model, nats per token"]
term_value = ("the term's value, mean of both layers", torch.tensor(logged))
plots.table(values, "loads of layer 2, coefficient 0.01", rows=[*trained], columns=columns, right=term_value)

# %% tags=["holds"]
holds("The detached one: the same loads to the last digit", torch.equal(trained["detached"].load, free.load))

# %% tags=["holds", "full"]
holds("Yours keeps nearly all experts of layer 2 alive", values[1, 3] <= 3 < values[0, 3])
_fell = (logged[0] - logged[1]) / (logged[0] - 1)
holds("its term falls more than half of the way to 1, the other stays", _fell > 0.5 and logged[2] == logged[0])
holds("the losses are close to each other", (values[:, 4] - values[0, 4]).abs().max() < 0.2)

# %% [markdown]
# **Answer.** Yours keeps nearly all experts of layer 2 alive. The detached one trains exactly as if it were not there: the loads are the same to
# the last digit.
#
# The model's loss would not tell you, because the losses are close to each other. What tells you is the load: dead experts, CV,
# maximum violation. Beside a training that works, the term's value tells you as well: yours fell more than half of the way to 1, and
# the detached one stayed where it was.
#
# **Predict** the verdicts (true, true with conditions, misleading) on two sentences of popular articles. (The third in the table,
# about divergence, was decided in lesson 03.)
#
# 1. Without balancing, a few experts take all the tokens.
# 2. A balancing loss makes all experts work equally.

# %% tags=["diagram"]
claims(lesson=6)

# %% [markdown]
# **Answer.** Both are misleading. In 6.3 a few experts took *most*, not all: the four busiest of 32 got more than half. And with a
# coefficient of 0.01 no expert is dead at the end, but the busiest had four times the mean (6.4). The table decides that claim by another model, the
# shipped one with eight experts: there, too, the shares differ.
# <!-- reasoned: 6.3 and 6.4 hold what this repeats -->
#
# ## 6.9 Three more looks (optional)
#
# *Nothing below needs this section.*
#
# ### Is a model with dead experts worse?
#
# Here is the whole sweep of 6.3 once more, now with losses, and with the three settings that were left out there.
#
# **Predict:** do the settings with many dead experts have the higher losses?

# %%
rows, panels = [], {"dead experts, %": [], "CV, mean": [], "loss, nats per token": []}
for found in tried.values():
    loss = torch.tensor([run["final_loss"] for run in found])
    cv = torch.stack([metrics.load_cv(run["final_load"]).mean() for run in found])
    rows.append([dead_percent(found)[1], cv.mean(), loss.mean(), loss.max() - loss.min()])
    of_seeds = dead_percent(found), [cv.mean()], [loss.min(), loss.max()]  # least and most; mean; least and most
    for panel, numbers in zip(panels.values(), of_seeds, strict=True):
        panel.append(numbers)
columns = ["dead, %: worst seed", "CV, mean", "loss, mean", "loss, range of seeds"]
table = plots.table(torch.tensor(rows), "no balancing, three seeds each", rows=[*tried], columns=columns)
panels = {name: torch.tensor(numbers) for name, numbers in panels.items()}
caption = "no balancing; from the least to the most of three seeds"
plots.compared(panels, caption, rows=[*tried], reference=0, numbers=table)

# %% tags=["holds"]
_at = dict(zip(tried, rows, strict=True))
_loss = {_name: _row[2].item() for _name, _row in _at.items()}
holds(
    "The lowest loss: 32 rows, 900 steps, more than two in five dead",
    min(_loss, key=_loss.get) == "32 rows per step, 900 steps",
)
_worst = sorted(_loss, key=_loss.get)[-2:]
holds(
    "the two highest: spread 0.005 and learning rate 0.001",
    set(_worst) == {"initial spread 0.005", "learning rate 0.001"},
)
holds(
    "most dead and few dead",
    _at["initial spread 0.005"][0] == max(_row[0] for _row in rows) and _at["learning rate 0.001"][0] == 9,
)
_like = [_loss[_name] for _name in ("8 experts", "16 experts", "top-1")]
holds("8 experts, 16 experts and top-1: the same loss up to 0.02", max(_like) - min(_like) < 0.02)
holds("none dead, an eighth, a fifth", [_at[_name][0] for _name in ("8 experts", "16 experts", "top-1")] == [0, 12, 22])

# %% [markdown]
# **Answer.** The figure shows no clear relation. The lowest loss belongs to a setting in which more than two in five experts are
# dead (but it saw four times as many tokens). The two highest losses belong to "initial spread 0.005", with the most dead experts, and
# to "learning rate 0.001", with few. "8 experts", "16 experts" and "top-1" have nearly the same mean loss, with none, at most 12 % and at
# most 22 % dead; but their seeds lie 0.27, 0.29 and 0.14 apart (open the table).
#
# <!-- answered -->
# Each of these settings changes more than the number of dead experts. You need pairs that differ in the balancing alone.
#
# ### Where could balancing lower the loss?
#
# Here are such pairs: trainings without balancing and with a coefficient of 0.01, in three settings where one might expect balancing to
# help. "Capacity 1.25" gives each expert room for 1.25 times the fair share while it trains, and skips the assignments that do not fit:
# these tokens do without that expert. The second has four times as many experts, the third four times as many steps.
#
# **Predict:** in which of the three does the balanced model end with a lower loss?

# %%
bought = sweeps.changed("bought")  # setting, with and without ", balanced" -> three recorded trainings
rows, names = [], [name for name in bought if not name.endswith(", balanced")]
for name in names:
    without, balanced = ([run["final_loss"] for run in bought[key]] for key in (name, f"{name}, balanced"))
    n_lower = sum(b < a for a, b in zip(without, balanced, strict=True))
    rows.append([*difference(balanced, without), n_lower, *dead_percent(bought[name])])
dead_columns = ["dead without balancing, %: fewest seed", "worst seed"]
columns = ["loss, 0.01 − without", "95 % from", "to", "seeds with a lower loss", *dead_columns]
values = torch.tensor(rows).round(decimals=2)
caption = "three seeds each, evaluated without dropping"
panels = {"loss with 0.01 − loss without": values[:, :3], "dead without balancing, %": values[:, 4:]}
plots.compared(panels, caption, rows=names, numbers=plots.table(values, caption, rows=names, columns=columns))

# %% tags=["holds"]
_rows = dict(zip(names, rows, strict=True))
holds("No interval excludes 0", all(_row[1] < 0 < _row[2] for _row in rows))
holds(
    "3,600 steps: lower in all three seeds, by 0.02",
    (_rows["3,600 steps"][3], round(_rows["3,600 steps"][0], 2)) == (3, -0.02),
)
holds("half as wide as 0.05 for the long training", _rows["3,600 steps"][2] - _rows["3,600 steps"][1] < 0.06)
holds(
    "128 experts: higher in all three, by 0.07",
    _rows["128 experts"][3] == 0 and round(_rows["128 experts"][0], 2) == 0.07,
)
holds(
    "capacity: two lower, the mean about 0", _rows["capacity 1.25"][3] == 2 and abs(_rows["capacity 1.25"][0]) < 0.005
)
_wide = [_rows[_name][2] - _rows[_name][1] for _name in ("capacity 1.25", "128 experts")]
holds("the other two are several times wider than 0.05", min(_wide) > 0.3)
holds("up to half and more than two thirds dead", (_rows["capacity 1.25"][5], _rows["128 experts"][5]) == (50, 71))

# %% [markdown]
# **Answer.** For none of the three can three seeds show it: each interval contains 0. But the three rows do not say the same.
#
# - *3,600 steps.* The balanced model ends lower in all three seeds, by 0.02 on average. At 900 steps it ended higher in all three. So
#   longer training may turn the sign; more seeds would have to confirm it.
# - *128 experts.* The balanced model ends *higher* in all three seeds, by 0.07 on average, although up to 71 % of the experts are dead
#   without balancing. This needs confirming just as much.
# - *Capacity 1.25.* Lower in two seeds, higher in one; the mean is near 0. Here and with 128 experts, the interval is several times wider than
#   0.05, the whole lead of eight experts in lesson 05. A difference of that size would not show, in either direction.
#   <!-- evidence: data/runs/summary.json dense-equal-active.loss.mean - data/runs/summary.json moe-8-top2.loss.mean -->
#
# ### One formula, two conventions
#
# Many libraries have the loss of 6.5, but not all of them compute the same. Transformers divides the counts by N, not by N · K. And
# it pools the tokens of *all layers* into one f and one P before it multiplies
# ([its code](https://github.com/huggingface/transformers/blob/main/src/transformers/models/mixtral/modeling_mixtral.py)). Users have
# asked about both: [about the factor K](https://github.com/allenai/OLMoE/issues/45), and
# [about the pooling](https://github.com/huggingface/transformers/issues/28255).
#
# **Predict:** layer 1 sends everything to expert 0, layer 2 everything to expert 1. What is the loss layer by layer, and what is it
# pooled?

# %%
first, second = torch.tensor([[1.0, 0.0]] * 4), torch.tensor([[0.0, 1.0]] * 4)  # (N, E) scores of two layers
ids = [scores.argmax(dim=1, keepdim=True) for scores in (first, second)]  # (N, K) each
by_layer = [my_loss(scores, chosen).item() for scores, chosen in zip((first, second), ids, strict=True)]
pooled = my_loss(torch.cat([first, second]), torch.cat(ids)).item()
print("layer by layer:", by_layer, " pooled:", pooled)

# %% tags=["holds"]
holds("2 and 2; pooled 1, as an even router", (by_layer, pooled) == ([2.0, 2.0], 1.0))

# %% [markdown]
# **Answer.** Layer by layer it is 2 and 2, the highest value with two experts. Pooled it is 1, the value of an even router.
#
# Compare the conventions before you compare coefficients. With top-2, the same coefficient is twice as strong in
# a library that divides by N as in one that divides by N · K.
# <!-- reasoned: f is K = 2 times as large -->

# %% [markdown] tags=["exercise"]
# ### Exercise 6.5 — the loss of transformers
# *8 minutes · stretch · about 4 lines*
#
# **Given** `scores`, a list with the scores (N, E) of each layer, and `expert_ids`, with (N, K) each; N is the same.
# **Return** a scalar: one f and one P over the tokens of all layers, f divided by the number of tokens, E times the sum of f · P.
# The gradient must reach `scores`. Both lists stay unchanged.
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
# ## Open task: even over what?
#
# *20 to 60 minutes, without a check.* Your loss evens out the load over all tokens that it is given. In a training on many devices,
# each device often computes it over its own few texts. Does that matter? Take one stretch of text from each of the nine domains:
# `data.validation_batches(corpora, 256, max_windows=1)`. Run the shipped model, `checkpoint.pretrained(8)`, on each of them.
# For every layer, compute your loss once over all nine texts together, and once for each text alone. Which is higher, the first or the
# mean of the second? Why? Then train the small model of this lesson with each form, `balance_coef=0.1`, and at least two seeds. (For
# the second form, cut `r.scores` and `r.top_k[1]` into rows of 64 tokens.) Compare the losses, the CV over the whole validation split,
# and the CV within each domain: `measured.load_by_domain` holds the loads.
#
# <details><summary>What a good answer contains</summary>
#
# - *The shipped model.* In every layer, the mean over single texts is higher than the value of all texts together, which is close to 1
#   in each layer. The most uneven single case is the Italian text in layer 4, with more than twice the value of an even router.
# - *Why.* The texts prefer different experts, and these preferences cancel when the texts are pooled. Put as a formula: the mean of f · P
#   over texts is the product of the means plus the covariance of f and P. The covariance is positive where a text that chooses an expert
#   more also gives it higher scores.
# - *The training.* Balancing each row forces every text to use all experts. In the author's runs with three seeds, this lowered the CV
#   within domains by nearly a third. But the loss ended higher in each of the three seeds, by 7 to 12 hundredths of
#   a nat. An expert cannot specialise on a domain if every text has to use it. <!-- reasoned: measured once by the author, as the sentence says -->
# - *A conclusion with its limits.* "Even" is a statement about a set of tokens. Three seeds of a tiny model are a hint; a
#   [paper on large models](https://arxiv.org/abs/2501.11873) found that balancing over more tokens gives better models.
#
# </details>

# %% tags=["holds"]
_texts = data.validation_batches(corpora, 256, max_windows=1)
with torch.no_grad(), torch.random.fork_rng(devices=[]):
    _shipped = checkpoint.pretrained(8)
    _runs = {_domain: _shipped(_text.ids).routing for _domain, _text in _texts.items()}
_values = {
    _domain: [balance.load_balancing_loss(_r.scores, _r.top_k[1]).item() for _r in _layers]
    for _domain, _layers in _runs.items()
}
_alone = torch.tensor([*_values.values()])  # domains × layers
_together = torch.tensor([
    balance.load_balancing_loss(torch.cat([_r.scores for _r in _rs]), torch.cat([_r.top_k[1] for _r in _rs])).item()
    for _rs in zip(*_runs.values(), strict=True)
])  # fmt: skip
holds("In every layer the mean over single texts is higher", (_alone.mean(dim=0) > _together + 0.1).all())
holds("all together: close to 1 in each layer", (_together < 1.15).all())
_most = int(_alone.argmax())
holds("the most uneven: Italian in layer 4", ([*_texts][_most // 4], _most % 4) == ("italian", 3))
holds("more than twice an even router", _alone.max() > 2)

# %% [markdown]
# ## Now you know
#
# - Four numbers describe a load: entropy, CV, maximum violation and dead experts. Count them over many tokens, one layer at a time.
# - An expert that no token chooses gets no gradient. Its row of the router gets none either, if the weights are renormalised.
# - Experts die in some settings and not in others, mostly early in the training, and many come back.
# - $E \sum_i f_i P_i$ evens out the load through P. An even router scores 1, but 1 is neither a lower bound nor a proof.
# - Balance buys room and time. It costs some loss: 0.05 nats per token at 0.01, and a third of a nat at 1, in these short trainings.
# - A balancing term can be computed and logged, and do nothing. Watch the loads, not only the term.
#   <!-- reasoned: the sections above hold these lines -->
#
# What passed here went into `my_moe.py`: your balancing loss and your z-loss are now part of the training in that file, and
# `moe_lite.my_program()` (after `import moe_lite`) shows which of its parts are yours.
#
# A term in the loss pulls against the language. Can loads be steered without one?
#
# <!-- next -->
