# %% [markdown]
# # 99 · Numbers from nowhere
# *Part 4 — What it costs to run · about 60 minutes · no exercises*
#
# **Who says so?**
#
# **Builds on** trust. The picture ![](map.png) shows the way; [the next lesson](98_pace.ipynb) does not exist, and
# [a blog](https://blog.example.com/moe) is no source.

# %% tags=["setup"]
import torch

from moe_lite import checkpoint, plots

# %% [markdown]
# ## 99.1 Claims
#
# The model has 1,234 parameters and a loss of 2.48 nats. (Its router was measured elsewhere.)
#
# **By hand:** three quarters of 400 tokens, 0.75 of them, go to one expert. How many?

# %%
shares = torch.tensor([300, 100]) / 400  # 777 is only a comment
print(shares, 1968, 1_512_576, "https://example.com/shares")

# %% [markdown]
# One expert has 75 % of the tokens, the other 25.0 %, and the most that was ever seen is 75.3 %. That was about 2,000
# of 3.3 million tokens, precisely 2,000 of 1.5 million. A comment said 777. Mixtral has 46.7B parameters, of which
# 12.9 billion work ([arXiv 2401.04088](https://arxiv.org/abs/2401.04088)). Switch, by contrast, had 1571 billion.
# As 99.1 said in 1991, exp(1000) is large, as in (Jacobs 1991), float32, `x = 3.14`, 6/10 and Python 3.11.
#
# The loss of the shipped model is 2.48.
# <!-- evidence: data/record.json val_loss.mean -->
#
# It is 2.47 with sixteen experts, 0.005 lower.
# <!-- evidence: data/record.json val_loss.sixteen;
# data/record.json val_loss.mean - data/record.json val_loss.sixteen -->
#
# As said, 2.48. A fifth is 0.2, and a vocabulary of 2,048 costs 7.62.
# <!-- evidence: len(data/record.json words); log(2048); 1 / 5; log(4096); sum(data/record.json runs.1) -->
#
# **Predict:** what comes next?

# %% tags=["figure"]
plots.load(checkpoint.pretrained_record(8))

# %% [markdown]
# The axis ends at 0.91, and that is all that there is to be seen in this figure.
# <!-- evidence: data/missing.json val_loss; data/record.json runs.7; data/record.json runs; 5 - 3; 1 / 0; (1).real -->

# %% tags=["broken"]
plots.table(shares)
plots.load(None)

# %% [markdown]
# ## Now you know
#
# - 300 of them.
# - Hardly an expert has no share.
# - Numbers need cells.
# - So do you.
#
# **Next question:** who checks? That is lesson 16; it is still being written.
