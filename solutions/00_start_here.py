# %% [markdown]
# # 00 · Start here
# *Part 1 — A model that uses a part of itself · about 35 minutes · one exercise*
#
# **What does it look like when a model chooses which part of itself to use?**
#
# Mixtral, DeepSeek-V3, Qwen3, gpt-oss: many of today's large language models are **mixtures of experts**. For each token they run only a
# part of their parameters. In this course you build such a model piece by piece, and at every step you see which part each token goes to.
#
# Here is one at work. Each token (a word, or a part of one) carries the number of an expert that takes it. Run the cell with Shift+Enter
# (the first one takes a few seconds), then type a sentence of your own.

# %% tags=["opening"]
from moe_lite.checkpoint import pretrained
from moe_lite.widgets import TokenViewer

TokenViewer(pretrained(8), "My order has not arrived. Il pleut sur la ville. Thou art a king.")

# %% [markdown]
# Every token uses two of eight experts; the number and the colour that you see are those of its first choice. The bars count how much each expert gets. *layer*
# switches to another of the model's four layers. Section 0.2 comes back to the other controls.
#
# This first page does three things. It checks that everything runs on your machine. It shows what a trained model does with its experts.
# And it lets you try how exercises answer. You need Python and a first neural network in PyTorch; nothing else is assumed.

# %% tags=["setup"]
import torch

import moe_lite
from moe_lite import checkpoint, data, doctor, plots
from moe_lite.checks import lesson00 as check, mine
from moe_lite.lessons.guessing import guess_first_choice

# %% [markdown]
# ## 0.1 Is everything there?
#
# A missing package or a missing text would otherwise stop you in the middle of a lesson. So the next cell looks at everything that the
# course needs: versions, memory, texts, widgets, and the device it computes on. It also measures how fast a small model runs here.
# (`python -m moe_lite.doctor` prints the same in a terminal.)

# %%
doctor.checkup()

# %% [markdown]
# Click the line for the full list. If something is missing, the list is open, and the line under the problem tells you what to do.
#
# Two things are no reason to worry. If some texts are missing, set-up had no network: two of the nine kinds of text are generated on
# your machine, and the others are downloaded once. Every lesson runs without them, with other numbers than those on the page, and
# `make data` fetches them later. And if no graphics card was found, that is fine, because every lesson is made for a plain processor.

# %% [markdown]
# ## 0.2 A model that uses a part of itself
#
# A layer of a transformer has two halves. **Attention** lets tokens look at the tokens before them. A **feed-forward network** then works on
# each token alone. In a mixture of experts, there are several such networks side by side instead of one. They are called **experts**, and
# each has its own weights. A small **router** looks at a token and decides which few of the experts work on it. The other experts do nothing for this
# token.
#
# Most of the model is in the experts. Mixtral 8x7B has eight of them in each of 32 layers, and a token uses two of the eight. They hold
# 45.1 of its 46.7 billion parameters
# ([arXiv 2401.04088](https://arxiv.org/abs/2401.04088), table 1).
#
# The course ships a small trained model of this kind: four layers with eight experts each, of which every token uses two. It was trained on nine
# kinds of text: Shakespeare; French, German and Italian classics; country facts, JSON, Python code, arithmetic and customer dialogues.
#
# Many articles say that such a model sends a question about Python to its "Python expert". You can look for one. The text below has three
# lines: Shakespeare, Python, Voltaire.
#
# **Predict:** (1) Will all tokens of the Python function go to one expert? (2) The French sentence has two commas. Will both go to the same
# experts in layer 1? And in layer 4, the last one?

# %% tags=["widget"]
model = checkpoint.pretrained(8)
text = "Are we all met?\ndef area(r):\n    return r * r\nIl y avait en Westphalie, dans le château, un jeune garçon."
viewer = TokenViewer(model, text, records={8: checkpoint.pretrained_record(8)})
views = {"layer 1": (1, 0), "layer 4": (4, 0), "layer 4, second choices": (4, 1)}
viewer.suggest({words: {"layer": layer, "choice": choice, "picked": []} for words, (layer, choice) in views.items()})

# %% [markdown]
# **How to read it.** Each token has the colour and the number of one of its two experts. The picture opens with layer 1 and the first choice,
# the expert with the larger weight. Set *layer* to 4 and look at the Python line again. Look at the second choices, too. Change the text.
# Point at a token to see how its router scored all experts. Click an expert to see its tokens alone. Mute an expert, and its tokens have to go
# elsewhere.
#
# The commas are easy to miss, so the next cell prints them: for each layer, the two experts of the first comma and those of the second,
# first choice first. `routing` is the model's record of who went where, one record per layer; its `top_k` holds the weights and the numbers
# of the chosen experts, both with one row per token.

# %%
token_ids = data.encode(text)
commas = [place for place, piece in enumerate(data.token_pieces(token_ids)) if piece == ","]
records = model(torch.tensor([token_ids])).routing  # one record per layer
for layer, routing in enumerate(records, start=1):
    weights, expert_ids = routing.top_k  # (N, K), (N, K)
    print(f"layer {layer}: experts", expert_ids[commas].tolist())

# %% tags=["holds"]
_comma = [_record.top_k[1][commas].tolist() for _record in records]
_first = [_record.top_k[1][:, 0].tolist() for _record in records]
_pieces = data.token_pieces(token_ids)
_def, _bracket, _il = _pieces.index("def"), _pieces.index("("), _pieces.index("I")
holds("layer 1: both commas go to experts 3 and 7, in opposite order", _comma[0] == [[7, 3], [3, 7]])
holds("layer 4: both have expert 2 first, and their second choices differ", _comma[3] == [[2, 0], [2, 5]])
holds("layer 1: the twelve tokens of the function have five different first choices", len({*_first[0][_def:_il]}) == 5)
holds("twelve tokens", _il - _def == 12)
holds(
    "layer 4: from the bracket on, all but one have expert 1 first", sum(e != 1 for e in _first[3][_bracket:_il]) == 1
)
_others = _first[3][:_def] + _first[3][_il:]
holds(
    "layer 4: more than half of the two other lines have expert 2 first",
    sum(e == 2 for e in _others) > len(_others) / 2,
)

# %% [markdown]
# **Answer.** (1) No. In layer 1 the twelve tokens of the function have five different first choices. In layer 4 they agree far more: from
# the opening bracket on, all but one have expert 1 first. But most tokens of the two other lines agree as well, on expert 2.
# (2) In layer 1 both commas go to experts 3 and 7, the second time in the opposite order. In layer 4 both have expert 2 first, and their second
# choices differ.
#
# <!-- answered -->
# Two facts follow, and both contradict the articles. The choice is made **for each token**, not for a question or a document: neighbours go to
# different experts. And it is made **anew in each layer**: expert 3 of layer 1 and expert 3 of layer 4 are different networks that share
# nothing but a number and a colour.
#
# ### What decides where a token goes?
#
# Two commas prove little, so here is a fairer test. We take 32 stretches of every kind of text that the model was not trained on. In one
# half of them we note, for each token, its most frequent first choice. In the other half we use that to guess. Three
# guesses compete: one knows nothing and always names the layer's favourite expert; one knows the kind of text; one knows the token.
# This takes about ten seconds.
#
# **Predict:** if "a given word always goes to the same expert" were true, the last row would show 100 %. In which layer does it come
# closest? And is knowing the kind of text as good as knowing the token?

# %%
held_out = data.validation_batches(data.load_corpora(), 128, max_windows=32)  # 128 tokens per stretch
right = guess_first_choice(model, held_out)  # (3, L)
plots.table(
    (100 * right).round(),
    "first choices guessed right, %",
    rows=["knowing nothing", "knowing the kind of text", "knowing the token"],
    columns=["layer 1", "layer 2", "layer 3", "layer 4"],
)

# %% tags=["holds"]
_nothing, _kind, _token = right.tolist()
holds("the token helps most in layer 1", max(_token) == _token[0])
holds("about two of three in layer 1", abs(_token[0] - 2 / 3) < 0.03)
holds("little more than half in layers 3 and 4", 0.53 < _token[2] < 0.6 and 0.53 < _token[3] < 0.6)
holds("layers 1 to 3: the token tells much more than the kind", all(_token[i] - _kind[i] > 0.12 for i in range(3)))
holds("layer 4: hardly more", 0 < _token[3] - _kind[3] < 0.04)
holds("layer 4: the kind is right in about half", abs(_kind[3] - 0.5) < 0.05)
holds(
    "knowing something beats knowing nothing, everywhere", all(min(_kind[i], _token[i]) > _nothing[i] for i in range(4))
)

# %% [markdown]
# **Answer.** In layer 1, where the token alone is enough for about two of three guesses. In layers 3 and 4 it is enough for little more than
# half. In layers 1 to 3 the token tells much more than the kind of text; in layer 4 it tells hardly more.
#
# **Takeaway: no row comes near 100 %. Neither a word nor a kind of text belongs to one expert.** In layer 1 the router sees little more than
# the token itself. Later layers see what attention has collected from the tokens before it, and the choice follows that, too.

# %% [markdown]
# The model whose experts you have just seen is the one that you will build. This is the whole of it, drawn as one line. Near its top, each lesson shows
# this line and marks the part that it is about.

# %% tags=["diagram"]
moe_lite.model_diagram(today=0)

# %% [markdown]
# ## 0.3 How exercises work
#
# An exercise is three cells: the task, a function to write, and a check.
#
# - **The check** runs your function on many inputs and answers with a card. Either it passes, or the card shows what failed first, with your values
#   beside the expected ones. If the check recognises your mistake, it names it.
# - **Hints** are folded away below the task: first the idea, then the shape of the code.
# - **Solutions** are in the folder `solutions`, if you are stuck.
# - **You can go on without solving.** Where a later cell needs your function and it does not pass, the package's own takes its place, and the
#   cell says so.
# - **What you pass is kept**, with your code, in the file `.moe_lite/progress.json` on your machine. Later lessons take your functions from
#   there. It also goes into `my_moe.py` in the course's folder: exercise by exercise that file becomes a whole model, which runs without
#   this package. Nothing leaves your machine.
#
# Your first exercise is about the bars beside the tokens in the first picture: how many tokens each expert gets. This number is called the expert's
# **load**. In this course the load counts *assignments*: with two experts per token, every token counts twice.
#
# Why would an engineer count this? Because some experts may get nothing, and that has a price. In some training set-ups
# the whole run [hangs](https://github.com/hiyouga/LlamaFactory/issues/9628) when an expert gets no token. And an expert without tokens
# takes up memory and learns nothing.
#
# **By hand:** three tokens chose experts (0, 2), (2, 0) and (2, 4), out of five. What is the load of each of the five?

# %%
expert_ids = torch.tensor([[0, 2], [2, 0], [2, 4]])  # (N, K)
for e in range(5):
    print(f"expert {e}: {int((expert_ids == e).sum())}")

# %% tags=["holds"]
_load = [int((expert_ids == _e).sum()) for _e in range(5)]
holds(
    "expert 2 works for all three tokens, expert 0 for two, expert 4 for one, experts 1 and 3 for none",
    _load == [2, 0, 3, 0, 1],
)

# %% [markdown]
# **Answer.** Expert 2 works for all three tokens, expert 0 for two, expert 4 for one, and experts 1 and 3 for none. The six
# assignments are all there: 2 + 0 + 3 + 0 + 1. Notice the two zeros. Silent experts are what we will be looking for, so a count must not leave
# them out.

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
# Now your function works on the real thing. The third cell below prints five rows of shares for the last layer. The first
# row covers all held-out text and was recorded with the model. Your function counts the other four, each over one short text.
#
# You will meet `mine` in every lesson. `mine("0.1", expert_load, default=…)` checks your function once more, without a card. If it passes, `mine`
# returns it; if not, it returns the `default`, which is the package's own. The line that it prints says which of the two you got.
#
# **Predict:** with eight experts an even share is 12.5 %. How large is the largest share over all text? And in the four short texts, the largest of all?
# <!-- evidence: 1 / 8 -->

# %% tags=["guess"]
my_guess = moe_lite.guess("0.3", largest_share_over_all_text=None, largest_share_in_a_short_text=None)  # such as 12.5

# %%
count = mine("0.1", expert_load, default=check.reference)
recorded = checkpoint.pretrained_record(8)["load"]  # L lists of E numbers
loads = {"all held-out text": torch.tensor(recorded[-1])}  # of the last layer
for kind in ("shakespeare", "german", "python", "math"):
    token_ids = data.encode(data.SAMPLES[kind])
    last_layer = model(torch.tensor([token_ids])).routing[-1]
    weights, expert_ids = last_layer.top_k  # (N, K), (N, K)
    loads[f"one {kind} text"] = count(expert_ids, 8)

# %%
print(f"{'expert':20}", "  ".join(f"{e:6}" for e in range(8)))
for name, load in loads.items():
    shares = load / load.sum()
    print(f"{name:20}", "  ".join(f"{share:6.1%}" for share in shares.tolist()))

# %% tags=["guess"]
largest = [100 * (load.max() / load.sum()).item() for load in loads.values()]
my_guess.beside(largest_share_over_all_text=largest[0], largest_share_in_a_short_text=max(largest[1:]))

# %% tags=["holds"]
_share = {_name: (_load / _load.sum()).tolist() for _name, _load in loads.items()}
_all, _python, _math = _share["all held-out text"], _share["one python text"], _share["one math text"]
holds("over all text the largest share is less than three times the smallest", max(_all) < 3 * min(_all))
holds("two and a half times", abs(max(_all) / min(_all) - 2.5) < 0.05)
holds("the smallest is above 8 %, the largest 21 %", min(_all) > 0.08 and round(max(_all), 2) == 0.21)
holds("in the Python text expert 1 has almost half, expert 0 none", 0.45 < _python[1] < 0.5 and _python[0] == 0)
holds("so in the German text: expert 0 none", _share["one german text"][0] == 0)
holds("math: more than a fifth for expert 1", 0.2 < _math[1] < 0.25)
holds(
    "Python's second is expert 2, first of shakespeare and german",
    sorted(_python)[-2] == _python[2]
    and all(max(_share[f"one {_k} text"]) == _share[f"one {_k} text"][2] for _k in ("shakespeare", "german")),
)

# %% [markdown]
# **Answer.** Over all text the load is roughly even: the largest share, 21 %, is about two and a half times the smallest. Over one text it is
# far from even. In the Python text expert 1 has almost half of the assignments, and expert 0 has none. In the German text, expert 0 has none either.
#
# Half is the most that an expert can have, because each token chooses two *different* experts. So almost every token of the Python text went
# to expert 1. Is it the Python expert, then? Two rows speak against it. Expert 1 also takes more than a fifth of the arithmetic. And a third of
# the Python assignments goes to expert 2, which is the favourite of Shakespeare and of the German text. The open task at the end of this page lets you
# settle the question with numbers.
#
# ## 0.4 The way from here
#
# This is the map of the course, with one square for each exercise. Your first one should be filled by now. You can run this cell in any lesson.

# %%
moe_lite.progress(today=0)

# %% [markdown]
# Lessons marked "to come" are still being written. Each lesson opens on its own: nothing has to be in memory from another one.
# If you are stuck, put one of these lines into a new cell:
#
# | line | what it does |
# |---|---|
# | `moe_lite.reset("0.1")` | turns that cell into the exercise's stub again, as it was at first |
# | `moe_lite.skip("0.1")` | lets you go on without it: the package's function stands in, and the map says so |
# | `moe_lite.start_again(0)` | makes a fresh copy of the lesson; your old one is kept beside it, and what has passed stays passed |
#
# One more thing. This course grew out of articles that say why mixtures of experts win. Some of what they say is true, some is true only under
# conditions, and some is not true. So the course keeps a **ledger**: one row per claim, with a verdict and with the cell, the measurement or the
# source that decides it. Here are the rows that this page has touched; `moe_lite.claims()` shows all of them.

# %% tags=["diagram"]
moe_lite.claims(lesson=0)

# %% [markdown]
# ## Open task
#
# *20 to 40 minutes, without a check.* Is expert 1 of layer 4 the "Python expert"? Two different shares could be meant: how much of the Python text goes to
# expert 1, and how much of what expert 1 gets is Python. The record holds the load for each kind of text:
# `checkpoint.pretrained_record(8)["load_by_domain"]["python"]` is a list of four layers with eight numbers each. Compute both shares for every
# expert of layer 4 and all nine kinds of text. Which expert of which layer deserves the name of a kind of text most? Write down
# what you would have to see before you call an expert the Python expert.
#
# <details><summary>What a good answer contains</summary>
#
# - *Both shares.* 39 % of Python's assignments go to expert 1, and nearly as many, 38 %, to expert 2. Of what expert 1 gets, 32 % is
#   Python. So it is the most Pythonic expert of its layer, and two thirds of its work is something else.
#   <!-- evidence: data/checkpoints/moe-e8.json load_by_domain.python.3.1 / sum(data/checkpoints/moe-e8.json load_by_domain.python.3);
#   data/checkpoints/moe-e8.json load_by_domain.python.3.2 / sum(data/checkpoints/moe-e8.json load_by_domain.python.3);
#   data/checkpoints/moe-e8.json load_by_domain.python.3.1 / data/checkpoints/moe-e8.json load.3.1 -->
# - *A correction for how much text there is.* The held-out set has ten times as much arithmetic as German, so the second share depends on
#   the mix. Divide each kind's load by its sum first, as if all kinds were equally long. Then a little more than a third of expert 1 is Python.
# - *A comparison.* The most specialised expert of layer 4 is not this one: more than half of expert 0 is Italian, counted in the same way. No
#   expert of the four layers has more of one kind.
# - *A threshold, named before looking.* Any number will do if it was chosen before. "More than half of its work, and more than half of the kind's"
#   is one, and no expert passes it.
#
# </details>

# %% tags=["holds"]
_loads = torch.stack([torch.tensor(_l) for _l in checkpoint.pretrained_record(8)["load_by_domain"].values()]).double()
_kinds = list(checkpoint.pretrained_record(8)["load_by_domain"])  # (kinds, L, E)
_of_kind = _loads / _loads.sum(2, keepdim=True)
_of_expert = _loads / _loads.sum(0, keepdim=True)
_fair = _of_kind / _of_kind.sum(0, keepdim=True)
_py, _it = _kinds.index("python"), _kinds.index("italian")
holds("39 % and 38 %", [round(_of_kind[_py, 3, _e].item(), 2) for _e in (1, 2)] == [0.39, 0.38])
holds("32 %, 36 % if equally long", [round(_t[_py, 3, 1].item(), 2) for _t in (_of_expert, _fair)] == [0.32, 0.36])
holds("the most Pythonic of its layer", _fair[_py, 3].argmax() == 1 == _of_expert[_py, 3].argmax())
holds(
    "ten times as much arithmetic as German",
    9.5 < _loads[_kinds.index("math")].sum() / _loads[_kinds.index("german")].sum() < 10.5,
)
holds(
    "58 % of expert 0 is Italian; nothing has more",
    round(_fair[_it, 3, 0].item(), 2) == 0.58 and _fair.max() == _fair[_it, 3, 0],
)
holds(
    "no expert passes both halves",
    not ((_fair > 0.5) & (_of_kind > 0.5)).any() and not ((_of_expert > 0.5) & (_of_kind > 0.5)).any(),
)

# %% [markdown]
# ## Now you know
#
# - A mixture of experts has several feed-forward networks in a layer, and a router that picks a few of them for each token.
# - The choice is made token by token and layer by layer. Neither a word nor a kind of text belongs to one expert.
# - An expert's load is the number of its assignments, and silent experts count too, with 0.
# - A check names your first mistake; hints are folded below the task; you can always go on.
# - `moe_lite.progress()` shows where you are; `moe_lite.claims()` shows which claims hold.
#
# <!-- next -->
