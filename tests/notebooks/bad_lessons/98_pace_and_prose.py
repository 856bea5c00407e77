# %% [markdown]
# # 97 · Experts in a hurry
# *Part 2 — Keeping every expert busy · about 20 minutes · two exercises*
#
# What happens when there is no time to read? This lesson builds on whatever you know.

# %% tags=["setup"]
import torch

torch.manual_seed(0)

# %%
scores = torch.tensor([[1.0, 2.0, 3.0]])


def surprise(p):
    import math

    return -math.log(p)


more = [1, 2, 3]

# %%
scores.softmax(dim=-1)

# %%
first = scores[:, :1]
second = scores[:, 1:2]
third = scores[:, 2:3]
both = first + second
every = both + third
half = every / 2
print(half, surprise(0.5))

# %% [markdown]
# ## 98.1 Wow 🎉
#
# Top-k is simply a sort! As you can just see, and of course `softmax` is clearly the best.
# See /home/someone/notes/plan.txt and issue #12. The model just trained is clearly different, just as `x != y` is; of
# the course it is $2. It has just learned that.


# %%
def everything_at_once(scores, k):
    values, expert_ids = scores.sort(dim=-1, descending=True)
    values = values[:, :k]
    expert_ids = expert_ids[:, :k]
    total = values.sum(dim=-1, keepdim=True)
    weights = values / total
    entropy = -(weights * weights.log()).sum(dim=-1)
    load = torch.bincount(expert_ids.flatten(), minlength=3)
    share = load / load.sum()
    worst = share.max()
    best = share.min()
    spread = worst - best
    mean = share.mean()
    median = share.median()
    maximum = weights.max()
    print(median, maximum)
    print(entropy, load, share, worst, best, spread, mean)
    return weights, expert_ids


everything_at_once(scores, 2)

# %% [markdown]
# That was that.


# %%
def again(scores):
    first = scores.sort(dim=-1)
    second = first.values.flip(0)
    third = second + 1
    fourth = third * 2
    fifth = fourth - 3
    sixth = fifth.abs()
    return sixth


again(scores)

# %% [markdown]
# In between.


# %%
def and_again(scores):
    first = scores.sort(dim=-1)
    second = first.values.flip(0)
    third = second + 1
    fourth = third * 2
    fifth = fourth - 3
    sixth = fifth.abs()
    return sixth


and_again(scores)

# %% [markdown]
# In between, once more.


# %%
def and_once_more(scores):
    first = scores.sort(dim=-1)
    second = first.values.flip(0)
    third = second + 1
    fourth = third * 2
    fifth = fourth - 3
    sixth = fifth.abs()
    return sixth


and_once_more(scores)

# %% [markdown]
# ## Now you know
#
# - Everything.
# - Twice.
#
# The end. TODO: more.
