# %% [markdown]
# # 00 · Count the experts
# *Part 1 — A model that uses a part of itself · about 20 minutes · one warm-up exercise*
#
# **How many tokens does each expert get?**
#
# **Predict:** three tokens, a few experts: what will you count? (This question stands too far above the picture.)

# %% tags=["setup"]
import torch

from moe_lite import checkpoint, plots
from moe_lite.checks import lesson00 as check, mine
from moe_lite.widgets import TokenViewer

# %% [markdown]
# ## 0.1 Which experts are busy?
#
# Here is the model at work on a short text.

# %% tags=["widget"]
TokenViewer(checkpoint.pretrained(8), "Are we all met?")

# %% [markdown] tags=["exercise"]
# ### Exercise 0.1 — the load of every expert
# *9 minutes · core · about 1 line*
#
# **Given** `expert_ids`, the chosen experts, and `n_experts`. **Return** the counts (Q,).
# **Allowed:** anything.
#
# <!-- hints 0.1 -->

# %% [markdown]
# **Answer.** A word in between.


# %% tags=["stub"]
def expert_load(expert_ids: torch.Tensor, n_experts) -> torch.Tensor:
    """How many assignments each expert got."""
    ### BEGIN SOLUTION
    return torch.bincount(expert_ids.flatten(), minlength=n_experts)
    ### END SOLUTION


# %% tags=["check"]
check.expert_load(expert_load)

# %% [markdown]
# Now the load of nine assignments, drawn.

# %% tags=["figure"]
plots.bars(expert_load(torch.tensor([[0, 1, 2], [0, 1, 1], [2, 2, 2]]), 3))

# %% [markdown]
# Even.
#
# **Predict:** and of an empty one?

# %%
mine("0.2", print, default=print)(0)

# %% [markdown]
# **Answer.** Nothing.
#
# ## Now you know
#
# - Experts have a load.
# - It is a count of assignments.
# - Silent experts count 0.
# - Counting is quick.
#
# <!-- next -->
