# %% [markdown]
# # 00 · Start here
# *Part 1 — A model that uses a part of itself · about 25 minutes · one exercise*
#
# **What does it look like when a model chooses which part of itself to use?**
#
# In this course you build a mixture-of-experts language model piece by piece, and at every step you see which expert each token
# goes to. This first page checks that everything runs, shows a trained model at work on your own sentence, and lets you try how
# exercises answer. You need Python and a first neural network in PyTorch; nothing else is assumed.
#
# Run a cell with Shift+Enter. The first one takes a few seconds.

# %% tags=["setup"]
import torch

import moe_lite
from moe_lite import checkpoint, data, doctor
from moe_lite.checks import lesson00 as check, mine
from moe_lite.widgets import TokenViewer

# %% [markdown]
# ## 0.1 Is everything there?
#
# The next cell looks at what the course needs and says what it found: versions, the device and why it was chosen, memory, the texts, the
# widgets, and how fast a small model runs here. (`python -m moe_lite.doctor` says the same in a terminal.)

# %%
doctor.checkup()

# %% [markdown]
# Where something is wrong, the line below says what to do about it. If texts are missing, set-up had no network: two of the nine kinds of
# text are generated on your machine, the others are downloaded once. Every lesson runs without them, with other numbers; `make data`
# fetches them later. And everything runs on a plain processor: a graphics card, if you have one, only shortens the trainings of
# later lessons.

# %% [markdown]
# ## 0.2 A model that uses a part of itself
#
# A transformer's layer has two halves: attention, which lets tokens look at each other, and a feed-forward network, which works on
# each token alone. In a **mixture of experts** the second half exists several times, as *experts*, and a small **router** decides, for
# each token anew, which few of them work. The others do nothing for that token, although they are most of the model: with the sizes of
# Mixtral 8x7B ([arXiv 2401.04088](https://arxiv.org/abs/2401.04088), table 1) the experts hold 45.1 of 46.7 billion parameters, eight in each
# of 32 layers, and a token uses two of the eight.
#
# The model below has four such layers with eight experts each; every token uses two. It was trained on nine kinds of text: Shakespeare,
# French, German and Italian classics, country facts, JSON, Python code, arithmetic, customer dialogues.
#
# **Predict:** three lines: Shakespeare, Python, Voltaire. Will all tokens of the Python function go to one "Python expert"? And will the
# two commas of the French sentence go to the same expert, in the first layer and in the last?

# %% tags=["widget"]
model = checkpoint.pretrained(8)
text = "Are we all met?\ndef area(r):\n    return r * r\nIl y avait en Westphalie, dans le château, un jeune garçon."
TokenViewer(model, text, records={8: checkpoint.pretrained_record(8)})

# %% [markdown]
# Each token stands on the colour, and beside the number, of the expert that took it. Change the text. Move through the layers. Point
# at a token to see how much its router would have liked the others; click an expert to see only its tokens; mute one, and its tokens
# have to go elsewhere.
#
# Three things to notice. The choice is made **for each token**, not for a question or a document: neighbours go to different experts.
# It is made **anew in each layer**: expert 3 of layer 1 and expert 3 of layer 4 are different networks that share nothing but a number.
# And the layers choose by different things. In layer 1 it is mostly the token itself: both commas go to experts 3 and 7, one of them in the other order
# (look at the second choice). In layer 4 the
# company counts: from the bracket on, nearly all of the function has expert 1 first, and most of the two other lines expert 2.

# %% [markdown]
# The model whose experts you have just seen is what you build. This is the whole of it, drawn as one line; each lesson opens with this
# picture, and marks what it is about.

# %% tags=["diagram"]
moe_lite.model_diagram(today=0)

# %% [markdown]
# ## 0.3 How exercises work
#
# An exercise is three cells: the task, a function to write, and a check. The check runs your function on many inputs and answers with
# one line and a card: passed; or what failed first, your values beside the expected ones, and if it recognises the mistake, its name.
# Hints are folded away below the task. Solutions are in the folder `solutions`, should you be stuck for good. You can go on without
# solving: where a later cell needs your function and it does not pass, the package's own takes its place, and the page says so.
#
# What you pass is kept, with your code, in the file `.moe_lite/progress.json` on your machine and nowhere else. Later lessons take your functions
# from there.
#
# Your first one is about the bars at the right of the picture: how many tokens each expert gets, its **load**. In this course the load
# counts *assignments*: with two experts a token, every token counts twice.
#
# **By hand:** three tokens chose experts (0, 2), (2, 0) and (2, 4), out of five. What is the load of each of the five?

# %%
expert_ids = torch.tensor([[0, 2], [2, 0], [2, 4]])  # (N, K)
for e in range(5):
    print(f"expert {e}: {int((expert_ids == e).sum())}")

# %% [markdown]
# Expert 2 works for all three tokens; experts 1 and 3 for nobody. Silent experts are what the balancing of lesson 06 is about, so a
# count that leaves them out would hide the very thing we look for.

# %% [markdown] tags=["exercise"]
# ### Exercise 0.1 — the load of every expert
# *5 minutes · core · about 1 line*
#
# **Given** `expert_ids` (N, K) int64, the experts chosen for each token, and `n_experts`. **Return** `load` (E,) int64: how many
# assignments each expert got, 0 for an expert that got none.
# **Allowed:** anything in torch; `bincount` is worth a look.
#
# The draft in the next cell looks right and is not. **Run the check first**, read its card, then mend the draft and run both again.
#
# <!-- hints 0.1 -->


# %% tags=["stub"]
def expert_load(expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    """How many assignments each expert got.

    expert_ids (N, K) int64 -> load (E,) int64
    """
    ### BEGIN DRAFT
    # return expert_ids.unique(return_counts=True)[1]
    ### END DRAFT
    ### BEGIN SOLUTION
    return torch.bincount(expert_ids.flatten(), minlength=n_experts)
    ### END SOLUTION


# %% tags=["check"]
check.expert_load(expert_load)

# %% [markdown]
# Now your function on the real thing: the load of the last layer for four short texts, and above them its load on all the text that was
# held out from training, as it was recorded with the model.
#
# **Predict:** is it even? With eight experts a fair share is 12.5 %.
# <!-- evidence: 1 / 8 -->

# %%
count = mine("0.1", expert_load, default=check.reference)
loads = {"the validation set": torch.tensor(checkpoint.pretrained_record(8)["load"][-1])}
for domain in ("shakespeare", "german", "python", "math"):
    routing = model(torch.tensor([data.encode(data.SAMPLES[domain])])).routing[-1]
    loads[f"one {domain} text"] = count(routing.top_k[1], 8)

# %%
for name, load in loads.items():
    print(f"{name:20}", "  ".join(f"{share:5.1%}" for share in (load / load.sum()).tolist()))

# %% [markdown]
# Over all texts the shares stay within a factor of three. Over one text they do not: in the Python text expert 1 has almost half of the
# assignments, and expert 0 none. As each token has two *different* experts, half is the most that one expert can have: almost every
# token of that text went there. Then is it "the Python expert"? It also takes a fifth of the arithmetic, and the Python text has a second
# favourite, which it shares with Shakespeare and Goethe. Lesson 08 puts numbers on that question; keep the doubt until then.
#
# ## 0.4 The way from here
#
# This is the map of the course, with one square for each exercise. Your first one should be filled by now. Run the cell again whenever you like,
# in any lesson.

# %%
moe_lite.progress(today=0)

# %% [markdown]
# Lessons marked "to come" are still being written. Each lesson opens on its own: nothing has to be in memory from another one. Stuck?
# Put one of these lines into a new cell:
#
# | | |
# |---|---|
# | `moe_lite.reset("0.1")` | that cell becomes the exercise's stub again, as it was at first |
# | `moe_lite.skip("0.1")` | go on without it: the package's function stands in, and the map says so |
# | `moe_lite.start_again(0)` | a fresh copy of the lesson; your old one is kept beside it, and what has passed stays passed |
#
# One more thing. This course grew out of articles that say why mixtures of experts win. Some of what they say is true, some only under
# conditions, and some is not. Every claim that can be checked has a line in a ledger, with a verdict and the cell, result or source that
# decides it. Here are the ones that this page has already touched; `moe_lite.claims()` shows all.

# %%
moe_lite.claims(lesson=0)

# %% [markdown]
# ## Now you know
#
# - A mixture of experts has several feed-forward networks in a layer, and a router that picks a few for each token.
# - The choice is made token by token and layer by layer.
# - An expert's load is the number of its assignments, silent experts included.
# - A check names your first mistake; hints are folded below the task; you can always go on.
# - `moe_lite.progress()` shows where you are; `moe_lite.claims()` what can be believed.
#
# <!-- next -->
