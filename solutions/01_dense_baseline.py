# %% [markdown]
# # 01 · A dense baseline
# *Part 1 — A model that uses a part of itself · about 110 minutes · four exercises and one stretch*
#
# **What does it cost when every parameter works on every token?**

# %% tags=["opening"]
from moe_lite.checkpoint import pretrained
from moe_lite.widgets import NextTokens

NextTokens(pretrained(1), "if __name__ ==")

# %% tags=["holds"]
import torch as _torch

from moe_lite.data import encode as _encode

with _torch.random.fork_rng():  # a model begins with random weights
    _logits = pretrained(1)(_torch.tensor([_encode("if __name__ ==")])).logits[0, -1]  # (V,)
holds("one token gets more than half", _logits.softmax(dim=-1).max() > 0.5)

# %% [markdown]
# A language model at work: from a text it computes how probable each token is as the next one. (␣ is a space; section 1.4 explains *temperature*.)
# This one is small, and here it gives one token more than half. Change the text, and the whole model computes again.
#
# In a mixture of experts each token uses a part of the model. To judge that idea you need a model to compare with: one in which every
# parameter works on every token. Engineers call it **dense**. In this lesson you measure such a model, look into it, count what it holds
# and what it computes per token, train one yourself, and let it write. The later lessons compare every sparse model with this one.
#
# **Builds on** Python and a first neural network in PyTorch; [lesson 00](00_start_here.ipynb) shows how checks, hints and widgets
# work. Section 1.5 is a stretch for those who want to write attention themselves. It takes 20 of these minutes, and no later lesson needs it.
#
# Comments behind tensors name their shapes in letters: B texts in a batch, T tokens in a text, N = B·T tokens in all, D numbers in a
# token's vector, F the width of the feed-forward network, L layers, V tokens in the vocabulary. H and S belong to attention; section 1.2
# explains them.

# %% [markdown]
# The line below is the whole model. A text comes in as a row of token numbers. The *embedding* is a table with one vector per token of the
# vocabulary; each number is replaced by its vector, so that the layers have something to compute with. Four blocks then change these
# vectors, one block after the other. At the end one matrix, drawn as *head*, turns each vector into a guess at the next token.
# This lesson is about all of it.

# %% tags=["diagram"]
from moe_lite import lesson_header

lesson_header(today=1)

# %% tags=["setup"]
from functools import partial

import torch

from moe_lite import ModelConfig, MoELanguageModel, TrainConfig, baseline, checkpoint, data, evaluate, experts
from moe_lite import guess, metrics, plots, timing, train, transformer
from moe_lite.checks import lesson01 as check, mine
from moe_lite.widgets import BudgetExplorer, NextTokens

# %% [markdown]
# ## 1.0 A model that knows nothing
#
# Before you can say that a model is good, you should have seen one that is not. Here are two models of the same shape. The first is
# *untrained*: its weights are random numbers. The second is the *trained model* that the course ships: it was trained for about nine
# minutes, on 6.1 million tokens. Both continue the same line.
# <!-- evidence: data/checkpoints/dense.json tokens -->
#
# A **token** is a piece of text that is frequent in the texts from which the tokenizer was made: a word, a part of a word, a digit, a space.
# The course's tokenizer knows 2,048 of them. A language model reads some tokens and gives each of the 2,048 a number, its **logit**:
# the larger it is, the better that token fits as the next one.
# <!-- evidence: len(data/tokenizer.json model.vocab) -->
#
# **Predict:** what will the untrained model write: letters, words, or something in between?


# %%
def continuation(model, ids, n_tokens, **options):
    """The text that the model writes after ids (1, T)."""
    drawn = []
    for token, _ in model.generate(ids, n_tokens, **options):  # the second item holds the logits; not needed here
        drawn.append(token.item())
    return "".join(data.token_pieces(drawn))


config = ModelConfig(n_experts=1, d_expert=128)  # one "expert" per layer: a dense model
untrained = MoELanguageModel(config).eval()
trained = checkpoint.pretrained(1)  # the shipped model with 1 expert per layer
line = "Are we all met?"
ids = torch.tensor([data.encode(line)])  # (1, T)
print("tokens   ", data.token_pieces(ids[0].tolist()))
texts = {}
for name, model in [("untrained", untrained), ("trained", trained)]:
    texts[name] = continuation(model, ids, 40, generator=torch.Generator().manual_seed(0))
    print(f"\n{name:10}{texts[name]!r}")

# %% tags=["holds"]
holds("the trained one writes lines of a play", "\n\nFAUST:\n" in texts["trained"])
holds("a stray control character", any(ord(c) < 32 and c != "\n" for c in texts["untrained"]))
holds("a whole word among the parts", " her " in texts["untrained"])

# %% [markdown]
# **Answer.** Something in between. The untrained model scatters tokens at random: whole words, parts of words, even a stray control
# character. The trained one writes lines of a play, in a German that nobody speaks. (Goethe's *Faust* is one of the nine kinds of text it was
# trained on.) Both texts are wrong, but one is more wrong than the other. To make a model better you need a number for how wrong
# it is.
# <!-- reasoned: "more wrong" only leads to the measure; section 1.1 measures it -->
#
# ## 1.1 One number for being wrong
#
# Every training run in this course lowers one number, the *loss*. It is worth writing it yourself once, because a loss that is wrong by a little
# raises no error. One example: training libraries averaged the averages of several small batches, although these held different numbers
# of tokens. [torchtune corrected this](https://github.com/meta-pytorch/torchtune/pull/1875) in October 2024.
#
# The loss is made in three steps. Softmax turns the logits into probabilities. Then we look up which token really came next in the
# text. The model is charged −log p, where p is the probability that it gave to this token. This is called the **cross-entropy**. If the
# model was sure and right, p is near 1 and the charge is near 0. If it was sure and wrong, p is near 0 and the charge has no upper limit.
#
# **By hand:** a vocabulary of four tokens, with the logits log 1, log 2, log 4 and log 1. Which probabilities does softmax give? What is the
# charge if token 2 comes next, and what if token 0 does? (Here log is the natural logarithm; its unit is the *nat*. log 2 is 0.69.)

# %%
logits = torch.tensor([1.0, 2.0, 4.0, 1.0]).log()  # (V,)
probabilities = logits.softmax(dim=-1)  # (V,)
charges = -probabilities.log()  # (V,)
rows = ["logit", "probability", "charge if it comes next"]
names = [f"token {i}" for i in range(4)]
plots.table(torch.stack([logits, probabilities, charges]), "four tokens", rows=rows, columns=names)

# %% tags=["holds"]
_log2 = torch.tensor(2.0).log()
holds("1/8, 1/4, 1/2 and 1/8", torch.allclose(probabilities, torch.tensor([1, 2, 4, 1]) / 8))
holds("log 2 for token 2", torch.allclose(charges[2], _log2))
holds("three times as much for token 0", torch.allclose(charges[0], 3 * _log2))

# %% [markdown]
# **Answer.** exp(log 4) is 4, so the exponentials are 1, 2, 4 and 1, and their sum is 8. The probabilities are 1/8, 1/4, 1/2 and 1/8. If
# token 2 comes next, the model is charged log 2 = 0.69 nats. If token 0 comes, it is charged log 8 = 2.08 nats, three times as much.
#
# <!-- answered -->
# A text has many positions, and each is a question: which token comes next? The **loss** is the mean charge over all positions. The answers
# are already in the text, one position further on, so the **targets** are the same text shifted by one:

# %%
pieces = data.token_pieces(ids[0].tolist())
for t in range(len(pieces) - 1):
    print(f"after {''.join(pieces[: t + 1])!r:18} comes {pieces[t + 1]!r}")

# %% [markdown]
# What is a bad loss? A model that knows nothing gives all V tokens the same probability, 1/V, and is charged log V at every position.
# For 2,048 tokens that is 7.62 nats. The exponential of the loss, called **perplexity**, translates it into a number of choices: a loss of
# 7.62 means the model is as unsure as if it were choosing among 2,048 equally likely tokens, a loss of 0.69 as if among two.
# <!-- evidence: log(len(data/tokenizer.json model.vocab)) -->
#
# There is one trap in the arithmetic. In float32, exp(1000) overflows to infinity and exp(−1000) is rounded to 0. Then log(exp(−1000)) is −∞,
# although the right answer is −1000. Nothing limits how large a logit becomes. So the loss must be computed without ever storing such an exponential. It helps
# that −log p is a difference: the *logarithm of the sum of all exponentials*, minus *the target's logit*. PyTorch has a safe function for the
# first of the two, `logsumexp`.

# %% [markdown] tags=["exercise"]
# ### Exercise 1.1 — cross-entropy
# *10 minutes · core · about 3 lines*
#
# **Given** `logits` (N, V), float32 or float64, and `targets` (N,) int64. A target of −100 marks a position that does not count.
# **Return** `loss` (), the mean of −log softmax(logits)[target] over the positions that count, in nats, no less precise than `logits`.
# Logits of ±10,000 must give a finite loss, and the gradient must reach `logits`.
# **Allowed:** `logsumexp`, indexing or `gather`, sums and means. (Not `F.cross_entropy`: it is what you are writing.)
#
# `gather` picks one entry per row: `logits.gather(1, columns)` with `columns` (N, 1) gives (N, 1), row n's entry in column `columns[n, 0]`.
#
# <!-- hints 1.1 -->


# %% tags=["stub"]
def cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The mean charge of the targets, in nats; positions with target −100 are left out.

    logits (N, V), targets (N,) int64 -> loss ()
    """
    ### BEGIN SOLUTION
    counted = targets != -100  # (N,)
    logits, targets = logits[counted], targets[counted]  # (n, V), (n,)
    own = logits.gather(1, targets[:, None])[:, 0]  # (n,)
    return (logits.logsumexp(dim=-1) - own).mean()
    ### END SOLUTION


# %% tags=["check"]
check.cross_entropy(cross_entropy)

# %% [markdown]
# Now use your function on the two models. They read one short text from each of the nine domains, *held out*: it was kept away from training. The line
# with `mine` hands on your function if it passes its check, and otherwise the package's (here PyTorch's), so that the page
# works either way. It prints which of the two it took.
#
# **Predict:** about what loss will the untrained model have? And for the trained one: which domains are easiest, and which hardest?

# %% tags=["guess"]
my_guess = guess("1.1", loss_of_the_untrained_model=None)  # a number in place of None, in nats per token


# %%
def sample_losses(model, loss_fn):
    """loss_fn on a short held-out text per domain: nine losses, in nats per token."""
    losses = []
    for text in data.SAMPLES.values():
        tokens = torch.tensor([data.encode(text)])  # (1, T)
        with torch.no_grad():
            logits = model(tokens[:, :-1]).logits  # (1, T − 1, V)
        losses.append(loss_fn(logits[0], tokens[0, 1:]).item())
    return losses


my_loss = mine("1.1", cross_entropy, default=torch.nn.functional.cross_entropy)
losses = {"untrained": sample_losses(untrained, my_loss), "trained": sample_losses(trained, my_loss)}
caption = "loss on one short text per domain, nats per token"
plots.table(torch.tensor([*losses.values()]), caption, rows=[*losses], columns=data.SAMPLES)

# %% tags=["guess"]
my_guess.beside(loss_of_the_untrained_model=sum(losses["untrained"]) / 9)

# %% tags=["holds"]
_trained = dict(zip(data.SAMPLES, losses["trained"], strict=True))
_easy = ("json", "math", "dialogue")
holds("untrained: about log V in every domain", all(abs(loss - 7.62) < 0.1 for loss in losses["untrained"]))
holds("trained: lower in every domain", max(losses["trained"]) < min(losses["untrained"]))
holds("below 1 in three domains", {name for name, loss in _trained.items() if loss < 1} == {*_easy})
holds("about 3 and more in the others", all(_trained[name] > 2.9 for name in _trained if name not in _easy))
holds("German is hardest", max(_trained, key=_trained.get) == "german")

# %% [markdown]
# **Answer.** The untrained model stands near log V = 7.62 in all nine domains, as it should: it knows nothing about any of them. The
# trained one is below 1 in three of them: dialogue and sums, which are made from templates, and JSON, in which the same keys return
# again and again. In the others (a play, novels in three languages, facts and Python) its loss is about 3 to 4, and highest in German.
#
# <!-- answered -->
# Its mean over the nine would hide this
# difference, so the lessons of this course report the domains one by one where it matters.
#
# ## 1.2 What happens to a token
#
# A mixture of experts replaces one part of this model and leaves the rest as it is. To see which part, and why that one, you have to look
# inside a block.
#
# A block has two halves. **Attention** lets a token collect information from the tokens before it. The **feed-forward network** then works on
# each token alone. Each half reads the token's vector, computes something, and *adds* its result to the vector. So a vector
# travels through the model as on a conveyor belt, and each half puts something onto it. Engineers call the belt the **residual
# stream**.
#
# After some additions a vector can have any length. So each half reads a normalised copy: **RMSNorm** divides the vector by the root of the
# mean of its squares.
#
# **By hand:** what is the mean square of (3, 4)? What does RMSNorm give for (3, 4), and what for (300, 400)?

# %%
x = torch.tensor([[3.0, 4.0], [300.0, 400.0]])  # (N, D)
mean_square = x.square().mean(dim=-1, keepdim=True)  # (N, 1)
root = mean_square.sqrt()  # (N, 1)
normalised = x / root  # (N, D)
columns = ["first", "second", "mean square", "its root", "first, normalised", "second, normalised"]
parts = torch.cat([x, mean_square, root, normalised], dim=-1)  # (N, 2D + 2)
plots.table(parts, "RMSNorm of two vectors", rows=["short", "long"], columns=columns)

# %% tags=["holds"]
holds("both give the same", torch.allclose(normalised[0], normalised[1]))

# %% [markdown]
# **Answer.** (9 + 16) / 2 = 12.5, and its root is 3.54. Both vectors give (0.85, 1.13): the length is removed, the direction stays.
# (Afterwards each feature is multiplied by a learned weight, D weights per RMSNorm.)
#
# ### Attention: query, key and value
#
# Take the text "the red ball". To guess what comes next, the token "ball" needs to know that there is something red about it. In attention,
# each token makes three short vectors from its own long one, by three matrices of learned weights:
#
# - a **query**: what this token is looking for;
# - a **key**: what this token can be found by;
# - a **value**: what it hands over when it is found.
#
# The dot product of a query with a key is called the **score** of the pair: it is large if the two vectors point the same way. Softmax turns the scores
# of one query into weights, which sum to 1. With these weights the token takes the weighted sum of the values.
#
# **By hand:** "ball" has the query (log 2, 0). The keys are (0, 1) for "the", (1, 0) for "red" and (0, 0) for "ball"; the values are (8, 0),
# (0, 8) and (4, 4). What are the three scores, the three weights, and the vector that "ball" takes in?

# %%
query = torch.tensor([2.0, 1.0]).log()  # (S,) of "ball": (log 2, 0)
keys = torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.0, 0.0]])  # (T, S)
values = torch.tensor([[8.0, 0.0], [0.0, 8.0], [4.0, 4.0]])  # (T, S)
scores = keys @ query  # (T,)
weights = scores.softmax(dim=-1)  # (T,)
taken_in = weights @ values  # (S,)
print(f"scores   {scores.tolist()}")
print(f"weights  {weights.tolist()}")
print(f"taken in {taken_in.tolist()}")

# %% tags=["holds"]
holds("¼, ½, ¼", torch.allclose(weights, torch.tensor([0.25, 0.5, 0.25])))
holds("(3, 5)", torch.allclose(taken_in, torch.tensor([3.0, 5.0])))

# %% [markdown]
# **Answer.** The scores are 0, log 2 and 0, so the weights are ¼, ½ and ¼. "ball" takes in ¼ · (8, 0) + ½ · (0, 8) + ¼ · (4, 4) = (3, 5). Half of
# the weight goes to "red", because its key fits the query.
#
# <!-- answered -->
# One such search, with queries, keys and values of its own, is called a **head**. A layer of this model has H = 4 heads, so that a token
# can look for four things at once. Their results are laid side by side, and a fourth matrix, *out*, turns them into what is added to
# the token's vector. Two more details matter when you count:
#
# - The size of a head's vectors is S. The heads share the width of the model, S = D / H, here 128 / 4 = 32. So H·S = D.
# - Each pair of heads shares one set of keys and values, so there are only H_kv = 2 sets of them. This is *grouped-query attention*
#   ([Ainslie et al. 2023](https://arxiv.org/abs/2305.13245)); it saves memory while text is generated.
# <!-- evidence: 4 * 32 -->
#
# "Head" has a second meaning. The last matrix of the model, which turns vectors into logits, is called head as well, in the drawing above and in
# most code. On this page that one is always the **output head**.
#
# ### How attention knows the order
#
# A weighted sum does not depend on the order of its terms. As described so far, "the red ball" and "red the ball" would look the same to the
# token "ball". So the model turns every query and key by an angle that grows with the token's position, before it takes the scores
# (*rotary positions*, [Su et al. 2021](https://arxiv.org/abs/2104.09864)). In a toy with S = 2, let every query and every key be (1, 0), and
# let each position turn its vector by another 30 degrees: by 0, 30, 60 and 90.
#
# **By hand:** the dot product of two vectors of length 1 is the cosine of the angle between them. What is the score of the query at position 3
# with the keys at positions 3, 2 and 0? At which other positions do you find the same scores?

# %%
angles = torch.arange(4) * torch.pi / 6  # (T,) 0, 30, 60 and 90 degrees
turned = torch.stack([angles.cos(), angles.sin()], dim=-1)  # (T, S)
scores = turned @ turned.T  # (T, T)
positions = [f"position {t}" for t in range(4)]
plots.table(
    scores.round(decimals=6), "score of the query (row) with the key (column)", rows=positions, columns=positions
)

# %% tags=["holds"]
_by_distance = [[scores[t, t - d].item() for t in range(d, 4)] for d in range(4)]
holds("equal distance, equal score", all(max(same) - min(same) < 1e-6 for same in _by_distance))
holds("1, 0.87, 0.5, 0", torch.allclose(scores[3].flip(0), torch.tensor([1, 0.75**0.5, 0.5, 0]), atol=1e-6))

# %% [markdown]
# **Answer.** cos 0° = 1, cos 30° = 0.87 and cos 90° = 0. The same scores stand on every diagonal of the table: the score now depends on the
# *distance* between two tokens, not on where in the text they stand. (In the model a head has 16 such pairs of numbers, and each pair
# turns at a speed of its own.)
#
# ### Attention looks back only
#
# A token collects from the tokens before it and from itself, never from later ones. If it could look ahead, it could read the answer off the
# next position, and the loss would mean nothing. You can test this from outside.
#
# **Predict:** the trained model reads "Are we all met?", and then the same text with another last token. At which positions do its logits
# change?

# %%
other = ids.clone()
other[0, -1] = data.encode("!")[0]
with torch.no_grad():
    change = (trained(ids).logits - trained(other).logits).abs().amax(dim=-1)  # (1, T)
plots.table(change, "largest change of a logit, by position", rows=["last token replaced"], columns=pieces)

# %% tags=["holds"]
holds("only the last position changes", bool((change[0, :-1] == 0).all()) and bool(change[0, -1] > 1))

# %% [markdown]
# **Answer.** Only at the last position. The others do not see the token that was replaced. (How a mask does this inside attention is the
# stretch exercise 1.5.)
#
# ### Which half matters?
#
# To find out what a part does, take it out and measure again. The last matrix of each half writes into the residual stream. If we fill it
# with zeros, that half adds zeros, and the rest of the model runs as before: `baseline.without` does this to a copy of the model.
# Each loss is measured on two stretches of 256 tokens per domain. (On all of the held-out text the trained model has 2.57; a small sample
# gives another number.)
# <!-- evidence: data/checkpoints/dense.json val_loss_mean; data/checkpoints/dense.json train.length -->
#
# **Predict:** without attention, no token knows any other. Without feed-forward networks, nothing works on a token alone. Which model is worse? And
# is either as bad as a model that knows nothing (7.62)?

# %%
corpora = data.load_corpora()
which = {"none": [], "layer 1": [0], "layer 2": [1], "layer 3": [2], "layer 4": [3], "all four": range(4)}
ablated = torch.zeros(2, len(which))
for row, part in enumerate(baseline.PARTS):
    for column, layers in enumerate(which.values()):
        model = baseline.without(trained, part, layers)
        ablated[row, column] = evaluate.evaluate(model, corpora, max_windows=2).mean_loss
caption = "loss in nats per token, mean over the domains, without a half of some blocks"
plots.table(ablated, caption, rows=["no attention in", "no feed-forward in"], columns=which)

# %% tags=["holds"]
_attention, _feed_forward = (dict(zip(which, row, strict=True)) for row in ablated.tolist())
holds("no attention: better than knowing nothing", _attention["all four"] < 7.62 - 1)
holds("no feed-forward: worse than knowing nothing", _feed_forward["all four"] > 7.62 + 0.1)
holds("the feed-forward network counts more in 1 and 2", all(
    _feed_forward[layer] > _attention[layer] + 0.1 for layer in ("layer 1", "layer 2")))  # fmt: skip
holds("attention counts a little more in 3 and 4", all(
    0.1 < _attention[layer] - _feed_forward[layer] < 0.25 for layer in ("layer 3", "layer 4")))  # fmt: skip
_ids = data.sample_batch(corpora, 32, 128, torch.Generator().manual_seed(0))
_logits = baseline.without(trained, "feed-forward", range(4))(_ids.ids).logits  # (B, T, V)
_right = _logits.softmax(dim=-1).gather(-1, _ids.targets[..., None].long())  # (B, T, 1)
holds("more than an even share at more than half of the positions", (_right > 1 / 2048).float().mean() > 0.5)
holds("and at others a tiny one", _right.log().neg().quantile(0.95) > 7.62 + 3.5)
_lost = {layer: _feed_forward[layer] - _feed_forward["none"] for layer in which}
holds("more than half in the first layer", _lost["layer 1"] > 0.5 * _lost["all four"])

# %% [markdown]
# **Takeaway: the model needs both halves, and the one that works on each token alone is no minor part.**
#
# **Answer.** The model without feed-forward networks is worse: 7.85, which is even worse than knowing nothing. Without attention it has
# 5.45: each position still guesses from one token, and that is worth something.
#
# Layer by layer it depends. In layers 1 and 2, leaving out the feed-forward network costs more than leaving out attention, and the network of
# layer 1 alone costs more than half of what all four cost. In layers 3 and 4 attention counts a little more.
#
# How can a model be worse than knowing nothing? Not by doing badly everywhere: at more than half of the positions it still gives the right
# token more than an even share of 1/V. But at others it is sure of a wrong token. Then the right one gets a tiny probability, and −log p has
# no upper limit, so these positions lift the mean above log V.
#
# <!-- answered -->
# So what does the feed-forward network compute?
#
# ### The feed-forward network
#
# In Llama, Mixtral and here it is a **SwiGLU** ([Shazeer 2020, arXiv 2002.05202](https://arxiv.org/abs/2002.05202)), and it has three
# matrices. The first turns the token's D numbers into F *gates*. The second turns the same D numbers into F *values*. (They have
# nothing to do with the values of attention.) Each gate goes through the function silu(z) = z · sigmoid(z), and is then multiplied with its
# value. For large z, silu(z) is nearly z; for very negative z it is nearly 0. So a gate decides how much of its value passes. The third
# matrix turns the F products into D numbers again.
#
# **By hand:** D = 2 and F = 2, and the token is (1, −1). The gates are 10 times the first feature and 10 times the second. The values are 2 times
# the first feature and 3 times the second. Which gate is open? About how much of each value passes?

# %%
x = torch.tensor([[1.0, -1.0]])  # (N, D)
w_gate = torch.tensor([[10.0, 0.0], [0.0, 10.0]])  # (F, D)
w_up = torch.tensor([[2.0, 0.0], [0.0, 3.0]])  # (F, D)
gate, value = x @ w_gate.T, x @ w_up.T  # (N, F), (N, F)
silu = gate * gate.sigmoid()  # (N, F)
passes = silu * value  # (N, F)
rows = ["gate", "silu(gate)", "value", "what passes"]
plots.table(torch.cat([gate, silu, value, passes]), "F = 2", rows=rows, columns=["first", "second"])

# %% tags=["holds"]
holds("the first passes 10 times its value", abs(passes[0, 0] - 10 * value[0, 0]) < 0.01)
holds("the second is nearly shut", bool(passes[0, 1].abs() < 0.002))

# %% [markdown]
# **Answer.** The first gate is 10. It is open, and multiplies its value 2 by nearly 10. The second gate is −10 and is shut: beside the value −3
# what comes out is next to nothing.
#
# <!-- answered -->
# Which of the F values count is decided anew for each token, by the token itself. Remember this step: a router will do the same with
# whole networks.

# %% [markdown] tags=["exercise"]
# ### Exercise 1.2 — the feed-forward network
# *8 minutes · core · about 2 lines*
#
# **Given** `x` (N, D), `w_gate` (F, D), `w_up` (F, D) and `w_down` (D, F). **Return** `y` (N, D): silu of the gates, times the values, turned
# back to width D by `w_down`. `w_up` is the matrix that makes the values. All matrices are stored as in PyTorch's linear layers, (out, in).
# The gradient must reach all four.
# **Allowed:** matrix products, `sigmoid` or `silu`.
#
# <!-- hints 1.2 -->


# %% tags=["stub"]
def swiglu(x: torch.Tensor, w_gate: torch.Tensor, w_up: torch.Tensor, w_down: torch.Tensor) -> torch.Tensor:
    """w_down · (silu(w_gate · x) ⊙ (w_up · x)) for each token.

    x (N, D), w_gate (F, D), w_up (F, D), w_down (D, F) -> y (N, D)
    """
    ### BEGIN SOLUTION
    gate = x @ w_gate.T  # (N, F)
    return (gate * gate.sigmoid() * (x @ w_up.T)) @ w_down.T  # (N, D)
    ### END SOLUTION


# %% tags=["check"]
check.swiglu(swiglu)

# %% [markdown]
# Does your function compute what the trained model computes? Put it into all four blocks, with the weights that are there, and measure
# again. If the two are the same function, the loss must stay the same to the last digit that is printed.

# %%
my_swiglu = mine("1.2", swiglu, default=baseline.swiglu)
with_mine = baseline.with_feed_forward(trained, my_swiglu)  # a copy: the same weights, your arithmetic
before = evaluate.evaluate(trained, corpora, max_windows=2).mean_loss
after = evaluate.evaluate(with_mine, corpora, max_windows=2).mean_loss
print(f"loss before {before:.6f}, with your function {after:.6f} nats per token")

# %% tags=["holds"]
holds("the two losses agree", abs(before - after) < 5e-6)

# %% [markdown]
# The two losses agree: your function computes what the trained model computes.
#
# ## 1.3 Count before you build
#
# Nobody wants to train a large model only to find that it does not fit, or takes a year. So engineers count first, on paper. The count is easy
# to get wrong: the training library MaxText once reported 287.78 TFLOPs for Mixtral where
# [79.98 was right](https://github.com/AI-Hypercomputer/maxtext/pull/678), because it counted experts that did no work. In another
# library's count [a reviewer found](https://github.com/huggingface/trl/pull/5698) the embedding's lookup counted as a multiplication.
#
# **Parameters** are all the numbers that the model holds: the entries of its matrices and vectors.
#
# **FLOPs** are the additions and multiplications that it computes for one token. A matrix of a × b, applied to one vector, needs a·b
# multiplications and a·b additions: 2·a·b FLOPs. So the rule is *two FLOPs per weight*. It has two exceptions. The embedding is a table
# in which one row is looked up: many parameters, no FLOPs. And attention compares a token with all the tokens before it: FLOPs that grow with
# the text, and no parameters.
# <!-- reasoned: arithmetic that the paragraph shows -->
#
# **By hand:** a vocabulary of V = 10, width D = 4, feed-forward width F = 6. How many parameters does the embedding have, and how many
# the SwiGLU? How many FLOPs does the SwiGLU need per token?

# %%
V, D, F = 10, 4, 6
small = experts.SwiGLU(D, F)
small_parameters = sum(p.numel() for p in small.parameters())
small_flops = metrics.counted_flops(lambda: small(torch.zeros(1, D)))  # PyTorch's own count, for one token
print(f"embedding: {V * D} parameters")
print(f"SwiGLU: {small_parameters} parameters, {small_flops} FLOPs per token")

# %% tags=["holds"]
holds("three matrices of 24", small_parameters == 3 * 24)
holds("twice as many FLOPs", small_flops == 2 * small_parameters)

# %% [markdown]
# **Answer.** The embedding has 10 × 4 = 40. The SwiGLU has three matrices of 4 × 6, together 72 parameters, and needs twice as many FLOPs, 144.
#
# <!-- answered -->
# Now attention. Section 1.2 named its four matrices. *Query* makes the queries of all heads at once, from D numbers to H·S. *Key* and
# *value* make the vectors that the heads share, from D numbers to H_kv·S. *Out* goes from H·S numbers back to D.
#
# **By hand:** in the trained model D = 128, H = 4, H_kv = 2 and S = 32. Which shapes do the four matrices have, stored as (out, in), and
# how many parameters do they have together?

# %%
attention = trained.blocks[0].attention
matrices = {name: getattr(attention, name).weight for name in ("query", "key", "value", "out")}
for name, matrix in matrices.items():
    print(f"{name:6} {tuple(matrix.shape)}")
n_attention = sum(matrix.numel() for matrix in matrices.values())
print(f"together {n_attention:,} parameters")

# %% tags=["holds"]
holds("2·D·H·S + 2·D·H_kv·S", n_attention == 2 * 128 * 128 + 2 * 128 * 64 == 49152)

# %% [markdown]
# **Answer.** Query and out are 128 × 128, key and value 64 × 128: 2 · 16,384 + 2 · 8,192 = 49,152.
# <!-- evidence: 128 * 128; 64 * 128 -->
#
# <!-- answered -->
# And the part without parameters? Go back to "ball", which looked at three tokens, with one head of S = 2. For each token that it looks at
# there are two jobs:
#
# - *The score*: the dot product of two vectors of S numbers. S multiplications and S additions, so 2·S FLOPs.
# - *The mix*: the weight times the value, added to the sum so far. Again S multiplications and S additions, 2·S FLOPs.
#
# That makes 4·S per head, and **4·H·S per layer for each token that is looked at**. (The exponentials of softmax are left out: one per score,
# beside 4·S for the rest.)
#
# **By hand:** how many FLOPs is that for "ball", with its three tokens? And per layer in the trained model, for a token that looks at 256?

# %%
for_scores = metrics.counted_flops(lambda: query[None] @ keys.T)
for_mix = metrics.counted_flops(lambda: weights[None] @ values)
print(f'"ball": {for_scores} for the scores + {for_mix} for the mix = {for_scores + for_mix} FLOPs')
H, S, context = config.n_heads, config.d_head, 256
print(f"the trained model, per layer: 4 · {H} · {S} · {context} = {4 * H * S * context:,} FLOPs")

# %% tags=["holds"]
holds("4·1·2·3 = 24", for_scores + for_mix == 24 and for_scores == for_mix)

# %% [markdown]
# **Answer.** 4 · 1 · 2 · 3 = 24 for "ball", and PyTorch counts the same. In the trained model it is 131,072 per layer.
#
# <!-- answered -->
# You have met all the
# parts now; the exercise adds them up.

# %% [markdown] tags=["exercise"]
# ### Exercise 1.3 — parameters and FLOPs
# *12 minutes · core · about 8 lines*
#
# **Given** a dense `config` (a `ModelConfig`) and `context`, the number of tokens that attention looks at. **Return** two whole numbers:
# `n_parameters`, all that the model holds, and `flops`, what the forward pass costs per token.
# Sizes: `vocab_size` V, `d_model` D, `n_layers` L, `n_heads` H, `n_kv_heads` H_kv, `d_head` S = D/H, `d_expert` F (the feed-forward's width).
# The model has an embedding of V × D; L blocks, each with the four attention matrices, a SwiGLU, and two RMSNorm vectors of D weights;
# one more such vector at the end; and an output head of V × D, a matrix of its own. No biases. FLOPs: 2 per weight of every matrix but the
# embedding, nothing for the vectors, and 4·H·S·`context` in each layer.
# **Allowed:** arithmetic.
#
# <!-- hints 1.3 -->


# %% tags=["stub"]
def count_dense(config: ModelConfig, context: int) -> tuple[int, int]:
    """What a dense model holds, and what it costs per token if the token looks at `context` tokens.

    config, context -> n_parameters, flops
    """
    ### BEGIN SOLUTION
    D, L, heads = config.d_model, config.n_layers, config.n_heads * config.d_head
    vocabulary = config.vocab_size * D
    attention = 2 * D * heads + 2 * D * config.n_kv_heads * config.d_head
    feed_forward = 3 * D * config.d_expert
    matrices = L * (attention + feed_forward) + vocabulary  # all that a token is multiplied with
    n_parameters = matrices + vocabulary + (2 * L + 1) * D
    return n_parameters, 2 * matrices + 4 * L * heads * context
    ### END SOLUTION


# %% tags=["check"]
check.count_dense(count_dense)

# %% [markdown]
# Does the formula describe the real model? Compare it with a count of the numbers in its tensors, and with PyTorch's count of the FLOPs
# in a forward pass over 256 tokens. (PyTorch's plain attention computes all 256 × 256 scores and then masks the later ones, so each token
# counts as looking at 256.)


# %%
def package_count(config, context):
    budget = metrics.budget(config, context)
    return budget.total_parameters, budget.total_flops


my_count = mine("1.3", count_dense, default=package_count)
n_parameters, flops = my_count(config, 256)
in_tensors = sum(p.numel() for p in trained.parameters())
counted = metrics.counted_flops(lambda: trained(torch.zeros(1, 256, dtype=torch.int64)))
print(f"parameters: formula {n_parameters:,}, tensors {in_tensors:,}")
print(f"FLOPs per token: formula {flops:,}, counted {counted // 256:,}")

# %% tags=["holds"]
holds("the formula is exact", n_parameters == in_tensors and 256 * flops == counted)

# %% [markdown]
# Both totals agree to the last digit: the formula describes the model. So you can use it where no model exists yet, and where none would fit
# on your machine. The explorer below shows where parameters and FLOPs sit, beside the totals of your function. In it, "head" is the
# output head. Below, *vocabulary tables* means the embedding and the output head together.
#
# **Predict, then move:** in the course's model, what holds more parameters: the vocabulary tables, attention or the feed-forward networks? If you make only D
# larger, whose share grows? (H stays 4, so S = D/H grows with D. Look at the shapes of the matrices.) Then choose the shape of a large published
# model: how much of it is feed-forward?

# %% tags=["widget"]
explorer = BudgetExplorer(config, count=my_count)
course = {"preset": "course model", "context": 256}
mixtral = {"preset": "Mixtral 8x7B, one expert", "context": 256}
explorer.suggest(
    {
        "the course's model": course,
        "Mixtral's sizes": mixtral,
        "Mixtral's, context 32,768": mixtral | {"context": 32768},
    }
)

# %% [markdown]
# The next cell keeps three of these shapes: the course's model, the same with D four times as wide, and a dense model with the sizes of
# Mixtral 8x7B. The last two columns show the feed-forward networks' share of the FLOPs for a short and for a long context.

# %%
wider = ModelConfig(n_experts=1, d_expert=128, d_model=512)
large = ModelConfig(n_experts=1, vocab_size=32000, d_model=4096, n_layers=32, n_heads=32, n_kv_heads=8, d_expert=14336)
shapes = {"course": config, "D = 512": wider, "Mixtral's sizes": large}
shares = []
for shape in shapes.values():
    short, long = metrics.budget(shape, context=256), metrics.budget(shape, context=32768)
    held, total = short.parameters, short.total_parameters
    vocabulary = held["embedding"] + held["head"]
    of_parameters = [100 * n / total for n in (vocabulary, held["attention"], held["feed-forward"])]
    of_flops = [100 * each.flops["feed-forward"] / each.total_flops for each in (short, long)]
    shares.append(of_parameters + of_flops)
columns = ["vocabulary", "attention", "feed-forward", "feed-forward, FLOPs at 256", "feed-forward, FLOPs at 32,768"]
plots.table(torch.tensor(shares), "shares in % (the first three: of the parameters)", rows=shapes, columns=columns)

# %% tags=["holds"]
_course, _wide, _large = shares
holds("most of the course's parameters are vocabulary", _course[0] > 50)
holds("attention and feed-forward hold the same", _course[1] == _course[2])
holds("attention's share grows with D", _wide[1] > 2 * _course[1])
holds("the others shrink", _wide[0] < _course[0] and _wide[2] < _course[2])
holds("nearly four fifths", 0.77 < _large[2] / 100 < 0.8 and 0.77 < _large[3] / 100 < 0.8)
holds("little more than a third at 32,768", 1 / 3 < _large[4] / 100 < 0.37)
holds("less than a hundredth in the small ones", max(_course[4], _wide[4]) < 1)

# %% [markdown]
# **Takeaway: with the sizes of a large model, nearly four fifths of the parameters are in the feed-forward networks, and so are the FLOPs while the
# context is short.**
#
# **Answer.** In the course's model the vocabulary holds most: 57 % of the parameters, in two tables of 2,048 × 128. Attention and the
# feed-forward networks hold 21 % each. If only D grows, the vocabulary (2·V·D) and the SwiGLUs (3·D·F per layer) grow in proportion to D. Attention
# grows with D²: both sides of its matrices become larger, since H·S = D. So attention's share rises, here to 52 %, and the other two shrink.
#
# With Mixtral's sizes the feed-forward networks hold 78 %, because published models make F several times as wide as D. With a context of 32,768 tokens
# attention's comparisons take over: the feed-forward networks' share of the FLOPs falls to 36 %, and below 1 % in the two small models.
#
# <!-- answered -->
# This is the first reason for mixtures of experts: in a large model the feed-forward networks are where savings count. You have already seen the second. A
# feed-forward network works on each token alone. So it can be split into pieces, and different tokens can use different pieces without
# affecting each other.
#
# ### Knowing more costs more
#
# In a dense model there is no way to hold more without computing more. Measure it: the same model, with feed-forward networks 4 and 16 times
# as wide.
#
# **Predict:** the parameters rise. Do the FLOPs rise as much? And the time?

# %%
many = torch.zeros(8, 256, dtype=torch.int64)  # (B, T) 2,048 tokens
configs = [ModelConfig(n_experts=1, d_expert=width) for width in (128, 512, 2048)]
names = [f"F = {each.d_expert}" for each in configs]
works = {name: partial(MoELanguageModel(each), many) for name, each in zip(names, configs, strict=True)}
taken = timing.interleaved(works, rounds=train.budgeted(ci=1, normal=5, long=5))  # calls the three works in turn
totals = torch.tensor([my_count(each, 256) for each in configs]) / 1e6  # (3, 2)
milliseconds = torch.tensor([[1000 * taken[name].median] for name in names])  # (3, 1)
columns = ["parameters, millions", "FLOPs per token, millions", "milliseconds for 2,048 tokens"]
plots.table(torch.cat([totals, milliseconds], 1), "one dense model, three widths", rows=names, columns=columns)

# %% tags=["holds"]
_growth = totals[2] / totals[0]  # parameters, FLOPs
holds("about four times the parameters and the FLOPs", bool(((_growth > 3.9) & (_growth < 4.4)).all()))

# %% tags=["holds", "full"]
holds("several times the time", milliseconds[2, 0] > 2 * milliseconds[0, 0])

# %% [markdown]
# **Answer.** Yes. From the narrowest to the widest, parameters and FLOPs both become a little more than four times as many, and the time grows
# several times too (how much depends on the machine).
#
# <!-- answered -->
# Whatever a dense model holds, every token pays for all of it, also for the
# parts that are of no use to this token. Could a model hold much, and let each token pay for a little of it? That is the question of this course.
#
# ## 1.4 Train it, then let it write
#
# You will train many models in this course. A training run tells you two things while it runs: how low the loss is, and whether it is too good to
# be true.
#
# Training is the loop that you know: take a batch, compute the loss, compute its gradient, take a step. `train` does this and hands back one
# record per step. The model is a new one, with your SwiGLU in its four layers. It gets a tenth of the trained model's tokens, 300 steps of
# 2,048. That is too little for a good model, but enough to see what is learned first. This takes half a minute to three minutes.
#
# We compare it with a very simple model, which knows how frequent each token is and nothing else. It gives every token its frequency p as its
# probability, so it is charged −log p, and its loss is the mean of that over the text. (This mean is called the *entropy* of
# the frequencies.)
#
# **Predict:** the loss begins near 7.62. Of all that it falls in 300 steps, does more than half happen in the first 60? How many steps does it
# take to pass the model of frequencies, in the mean of ten steps? And which domains become good first?

# %% tags=["guess"]
my_guess = guess("1.4", steps_to_pass_the_frequencies=None)  # a number in place of None

# %%
seen = data.sample_batch(corpora, 2000, 128, torch.Generator().manual_seed(0)).targets  # (2000, 128)
counts = torch.bincount(seen.flatten(), minlength=config.vocab_size)  # (V,)
p = counts[counts > 0] / counts.sum()  # the frequencies of the tokens that occur
frequencies_only = -(p * p.log()).sum().item()

my_model = baseline.with_feed_forward(MoELanguageModel(config), my_swiglu)
steps = train.budgeted(ci=8, normal=300, long=1500)
early = min(60, steps)
points, held_out = [], {}
for log in train.train(my_model, corpora, TrainConfig(steps=steps)):
    points.append((log.tokens, log.cross_entropy))
    if log.step in (early, steps):
        held_out[f"after {log.step} steps"] = evaluate.evaluate(my_model, corpora, max_windows=2).loss

# %% tags=["figure"]
full_record = checkpoint.pretrained_record(1)["val_loss_mean"]
levels = {"knows nothing": 7.62, "frequencies only": frequencies_only, "trained model, held-out text": full_record}
plots.loss_curves({"this run": points}, levels)

# %% tags=["guess"]
means = [sum(loss for _, loss in points[i : i + 10]) / 10 for i in range(steps - 9)]  # of ten steps, as drawn
passed = next((i + 10 for i, mean in enumerate(means) if mean < frequencies_only), steps)
my_guess.beside(steps_to_pass_the_frequencies=passed)

# %% tags=["holds", "full"]
_loss = [loss for _, loss in points]
_first, _at_60, _end = _loss[0], sum(_loss[50:60]) / 10, sum(_loss[-10:]) / 10  # the means of ten steps, as drawn
holds("more than half of the fall", _first - _at_60 > 0.5 * (_first - _end))
holds("the frequencies are passed before step 60", _at_60 < frequencies_only)
holds("worth about a nat and a half", 1.4 < 7.62 - frequencies_only < 1.6)
holds("it ends above the trained model", _end > full_record)

# %% [markdown]
# **Answer.** Yes: more than half of the fall happens in the first 60 steps (of 2,048 tokens each), a fifth of the run. The level of the frequencies is passed in fewer
# than 60 steps; knowing them is worth about a nat and a half. After that progress becomes slow, and this run ends above the trained
# model. (The thin line jumps because each batch is another mixture of domains.)
#
# <!-- answered -->
# One warning about this figure. The curve is the loss on text that the model is being trained on, while the level of the trained model was
# measured on held-out text. For the last question we need a loss per domain on held-out text. The training cell measured one on the way:

# %%
record = {**held_out, "trained model": checkpoint.pretrained_record(1)["val_loss"]}
by_domain = torch.tensor([[losses[name] for name in corpora] for losses in record.values()])  # (rows, 9)
caption = "held-out loss by domain, nats per token (this run: two stretches of text per domain)"
plots.table(by_domain, caption, rows=record, columns=corpora)

# %% tags=["holds", "full"]
_early, _end, _trained = (dict(zip(corpora, row, strict=True)) for row in by_domain.tolist())
_templates = {"json", "math", "dialogue"}
_others = {*corpora} - _templates
holds("three domains are lowest after 60 steps", {*sorted(_early, key=_early.get)[:3]} == _templates)
holds("the others are still at about 6 there", all(5.5 < _early[name] < 6.6 for name in _others))
holds("below 3 at the end", max(_end[name] for name in _templates) < 3)
holds("no other domain below 4", min(_end[name] for name in _others) > 4)
holds("the trained model is lower in every domain", all(_trained[name] < _end[name] for name in corpora))

# %% [markdown]
# **Answer.** Sums, JSON and dialogue become good first: they are the three lowest after 60 steps, while the other six are still at about 6. At the
# end these three are below 3, and none of the others is below 4. A likely reason is that they repeat themselves: sums and dialogue are made from
# templates, and JSON repeats its keys. The trained model is lower in every domain.
#
# ### Broken on purpose: a loss that is too good
#
# Here is a training loop with one slip. Read it and find the slip before you run it. This takes up to half a minute.
#
# **Predict:** after 60 steps, will its training loss be lower or higher than that of the right training?

# %% tags=["broken"]
broken = MoELanguageModel(config)
optimizer = torch.optim.AdamW(broken.parameters(), lr=2e-3)
generator = torch.Generator().manual_seed(0)
for _ in range(early):
    batch = data.sample_batch(corpora, 16, 128, generator)
    loss = broken(batch.ids, batch.ids).loss
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
right_loss = points[early - 1][1]
print(f"training loss after {early} steps: {loss.item():.2f}; the right training had {right_loss:.2f}")
broken_loss = evaluate.evaluate(broken, corpora, max_windows=2).mean_loss
print(f"loss on held-out text: {broken_loss:.2f}")
broken_text = continuation(broken, ids, 30, temperature=0)
print(f"after {line!r} it writes {broken_text!r}")

# %% tags=["holds", "full"]
holds("far lower in training", loss.item() < 1 < 3 < right_loss)
holds("worse than knowing nothing on held-out text", broken_loss > 7.62 + 0.5)
holds("its last token for ever", broken_text == 30 * "?")

# %% [markdown]
# **Answer.** Far lower, and that is the bad news. The targets are the inputs, `batch.ids` twice, not shifted by one. So the model
# learned to repeat the token that it is looking at. That is easy, and useless: on the real question its loss is higher than 7.62, worse than knowing nothing,
# and when it writes, it repeats its last token for ever.
#
# <!-- answered -->
# This happens to professionals. The first GPT-2 in Hugging Face's library
# [compared each position with its own token](https://github.com/huggingface/transformers/pull/404); in 2026 another of its models was found to
# [shift the targets twice](https://github.com/huggingface/transformers/issues/47394), and nothing had raised an error. A training loss that is too
# good is a reason to look for the mistake. What exposes it is a loss on held-out text, computed by *other code*.
#
# ### Choosing the next token
#
# A model gives probabilities, and some code has to choose a token. If you always take the most probable one, the text tends to run in circles. If you
# sample from the probabilities, now and then an improbable token comes, and the text follows it. The **temperature** lies between the two:
# divide all logits by the temperature before the softmax.
#
# **By hand:** the probabilities are 1/2, 1/4 and 1/4. A temperature of ½ doubles the logits, which squares the probabilities; softmax
# then makes them sum to 1 again. What are they now? And what does a temperature of 2 give, which takes square roots?

# %%
logits = torch.tensor([0.5, 0.25, 0.25]).log()  # (V,)
temperatures = (0.5, 1, 2, 10)
by_temperature = torch.stack([(logits / t).softmax(dim=-1) for t in temperatures])  # (4, V)
rows = [f"temperature {t}" for t in temperatures]
plots.table(by_temperature, "probabilities", rows=rows, columns=["first", "second", "third"])

# %% tags=["holds"]
_first = by_temperature[:, 0]
holds("2/3 and 1/6 each at ½", torch.allclose(by_temperature[0], torch.tensor([4.0, 1.0, 1.0]) / 6))
holds("the favourite loses as the temperature rises", bool((_first.diff() < 0).all()))
holds("the order stays", bool((_first > by_temperature[:, 1]).all()))

# %% [markdown]
# **Answer.** The squares are 1/4, 1/16 and 1/16; divided by their sum they are 2/3, 1/6 and 1/6. The square roots 0.71, 0.5 and 0.5, divided by
# their sum, are 0.41, 0.29 and 0.29.
# <!-- evidence: sqrt(1/2) -->
#
# <!-- answered -->
# Below a temperature of 1 the most probable token gains, above 1 it loses, and the order never changes. Dividing
# by 0 is impossible, so a temperature of 0 is taken to mean: always choose the most probable token.

# %% [markdown] tags=["exercise"]
# ### Exercise 1.4 — drawing a token
# *8 minutes · core · about 4 lines*
#
# **Given** `logits` (B, V), one row per text, `temperature` ≥ 0 and a `generator`. **Return** `token_ids` (B,) int64, one token per row, drawn with
# the probabilities softmax(logits / temperature); at temperature 0 the most probable one. All chance comes from `generator`: the same
# generator state gives the same tokens.
# **Allowed:** `softmax`, `argmax`, `torch.multinomial`.
#
# <!-- hints 1.4 -->


# %% tags=["stub"]
def sample_token(logits: torch.Tensor, temperature: float, generator: torch.Generator) -> torch.Tensor:
    """One token per row, drawn from softmax(logits / temperature); at 0 the most probable.

    logits (B, V) -> token_ids (B,) int64
    """
    ### BEGIN SOLUTION
    if temperature == 0:
        return logits.argmax(dim=-1)  # (B,)
    probabilities = (logits / temperature).softmax(dim=-1)  # (B, V)
    return torch.multinomial(probabilities, 1, generator=generator)[:, 0]  # (B,)
    ### END SOLUTION


# %% tags=["check"]
check.sample_token(sample_token)

# %% [markdown]
# **Predict, then move:** below, the trained model has to begin the answer to a sum. Is it sure of the first digit, and is its favourite
# right? (2/9 + 9/10 is 101/90.) What happens to the favourite's bar between temperature 0 and temperature 2? Then change the text: find one after
# which even temperature 2 changes hardly anything, and one after which the model has no idea.

# %% tags=["widget"]
my_sample = mine("1.4", sample_token, default=transformer.sample_token)
bars = NextTokens(trained, "Q: 2/9 + 9/10 = ?\nA: ", sample=my_sample)
bars.suggest({f"temperature {t:g}": {"temperature": t} for t in (0.0, 1.0, 2.0)})

# %% [markdown]
# How open is a place in a text? The exponential of the entropy, this time of the model's probabilities, gives a number of equally
# likely choices. Here it is for four texts, with what the favourite gets at temperatures 1 and 2.


# %%
def next_token(text, temperature=1.0):
    """The probabilities of the token after a text. (V,)"""
    with torch.no_grad():
        logits = trained(torch.tensor([data.encode(text)])).logits[0, -1]  # (V,)
    return (logits / temperature).softmax(dim=-1)


# %%
question = "Q: 2/9 + 9/10 = ?\nA:"
columns = ["favourite at 1, %", "the same at 2, %", "equal choices at 1"]
table, favourites = [], []
for text in (question, question + " ", "Agent: Hello", "Are we all"):
    p = next_token(text)
    best = p.argmax()
    entropy = -(p * p.log()).sum()
    table.append([100 * p[best], 100 * next_token(text, 2)[best], entropy.exp()])
    favourites.append(f"{text!r}: {data.token_pieces([best.item()])[0]!r}")
p_right = next_token(question + " ")[data.encode("1")[0]]
print(f"the right first digit of the sum, '1', has {p_right:.1%}")
plots.table(torch.tensor(table), "text: its favourite token, at temperature 1 and 2", rows=favourites, columns=columns)

# %% tags=["holds"]
_space, _digit, _greeting, _line = table
holds("surely a space: 90 % even at temperature 2", _space[0] > 99.9 and _space[1] > 89)
holds("the greeting falls to 63 %", _greeting[0] > 99 and _greeting[1] < 64)
holds("about seven at the sum", 6 < _digit[2] < 8)
holds("more than a hundred in a line of a play", _line[2] > 100)
holds("the favourite digit is 2, the right one second", next_token(question + " ").topk(2).indices.tolist() == [
    data.encode(digit)[0] for digit in "21"])  # fmt: skip

# %% [markdown]
# **Takeaway: temperature cannot turn a bad guess into a good one.** It moves probability between tokens, and their order stays as the model made
# it.
#
# **Answer.** The model is not sure of the first digit: the place is as open as a choice among about seven digits. Its favourite is 2, with 37 %, and that
# is wrong; the right digit, 1, is second with 17 %. At temperature 0 the favourite's bar takes everything, and at 2 it has shrunk to 20 %. After "A:"
# the model is sure of a space, and even temperature 2 leaves it 90 %. The greeting's comma is nearly as sure at temperature 1, but keeps only
# 63 % at 2. In the middle of a line of a play the place is as open as more than a hundred equal choices.
#
# <!-- answered -->
# To end, everything of yours at once: the model that you trained, with your SwiGLU in its four layers, and your function drawing the
# tokens.
#
# **Predict:** which of the three temperatures will look most like the untrained model of section 1.0?

# %%
written = {}
for temperature in (0, 0.8, 1.5):
    generator = torch.Generator().manual_seed(0)
    text = continuation(my_model, ids, 40, temperature=temperature, generator=generator, sample=my_sample)
    written[temperature] = text
    print(f"temperature {temperature}: {text!r}")

# %% tags=["holds", "full"]
_words = {temperature: text.split() for temperature, text in written.items()}
_repeated = {temperature: 1 - len({*words}) / len(words) for temperature, words in _words.items()}
holds("at 0 the same words come again and again", _repeated[0] > 0.25)
holds("at 1.5 few words come twice", _repeated[1.5] < _repeated[0])

# %% [markdown]
# **Answer.** The text at 1.5: it is close to the scattered tokens of the untrained model. (Some of them are the very same. Both texts use
# the same random numbers, so where two models are nearly as unsure, they draw the same tokens.) At temperature 0 the same words come again and
# again. In between you can recognise some of the nine kinds of text: after so short a training, a flavour rather than a language.
#
# ## 1.5 How attention keeps to the past (stretch)
#
# A mask is a small thing that fails silently: in [one public implementation](https://github.com/lucidrains/memory-compressed-attention/issues/2)
# it was filled with +∞ where −∞ was meant, until a reader noticed. Write one yourself, and you know what to look for.
#
# Section 1.2 explained queries, keys and values. Two things are still missing. The scores are divided by √S, because dot products of longer vectors
# are larger, and softmax would become too sure. And token i may use only the tokens j ≤ i. This is done by a **mask**: every score of
# a later token is replaced by −∞ *before* the softmax. exp(−∞) is 0, so that token gets the weight 0.
# <!-- reasoned: the size of a dot product of S terms -->
#
# **By hand:** three tokens, and all scores are equal. Which weights does each token give to the tokens up to its own position?

# %%
scores = torch.zeros(3, 3)  # (T, T) row i: scores of token i's query
allowed = torch.ones(3, 3, dtype=torch.bool).tril()  # (T, T) True where j ≤ i; `tril` keeps the lower triangle
weights = scores.masked_fill(~allowed, -torch.inf).softmax(dim=-1)  # (T, T)
names = [f"token {i}" for i in range(3)]
plots.table(weights, "weights: token i (row) takes from token j (column)", rows=names, columns=names, shade=True)

# %% tags=["holds"]
holds("1; ½ and ½; ⅓ each", torch.allclose(weights, torch.tensor([[6, 0, 0], [3, 3, 0], [2, 2, 2]]) / 6))

# %% [markdown]
# **Answer.** Token 0 has only itself. Token 1 gives ½ to each of two tokens, and token 2 gives ⅓ to each of three.

# %% [markdown] tags=["exercise"]
# ### Exercise 1.5 — causal attention
# *12 minutes · stretch · about 5 lines*
#
# **Given** `q`, `k` and `v`, each (B, H, T, S). **Return** `out` (B, H, T, S): for each token the sum of the values up to its own position,
# weighted by the softmax of q·k / √S over those positions. Large scores must not give nan. The gradient must reach all three.
# **Allowed:** matrix products, `tril` or comparisons, `masked_fill`, `softmax`.
#
# <!-- hints 1.5 -->


# %% tags=["stub"]
def causal_attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Each token's weighted sum of the values up to its own position.

    q, k, v (B, H, T, S) -> out (B, H, T, S)
    """
    ### BEGIN SOLUTION
    T, S = q.shape[-2:]
    scores = q @ k.transpose(-2, -1) / S**0.5  # (B, H, T, T)
    past = torch.ones(T, T, dtype=torch.bool, device=q.device).tril()  # (T, T)
    return scores.masked_fill(~past, -torch.inf).softmax(dim=-1) @ v  # (B, H, T, S)
    ### END SOLUTION


# %% tags=["check"]
check.causal_attention(causal_attention)

# %% [markdown]
# What does a trained head look at? Attention returns the mix, not the weights. But there is a trick: give token j the value (0, …, 1, …, 0), with
# the 1 at place j. Then number j of the weighted sum is the weight of token j. Here is the first head of layer 1, on "Are we all met?". The
# queries and keys are used without the rotation by position, so you see what the head looks for in tokens, wherever they stand.
#
# **Predict:** which part of the table must be zero, and what must each row sum to?


# %%
def package_attention(q, k, v):
    return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)


my_attention = mine("1.5", causal_attention, default=package_attention)
block, n = trained.blocks[0], len(pieces)
first_head = slice(0, config.d_head)
with torch.no_grad():
    h = block.attention_norm(trained.embed(ids))  # (1, T, D) what attention reads in the first block
    q = block.attention.query(h)[:, None, :, first_head]  # (1, 1, T, S)
    k = block.attention.key(h)[:, None, :, first_head]  # (1, 1, T, S)
v = torch.eye(n, config.d_head)[None, None]  # (1, 1, T, S) token j has its 1 at place j
weights = my_attention(q, k, v)[0, 0, :, :n]  # (T, T)
names = [repr(piece)[1:-1] for piece in pieces]
plots.table(weights, "layer 1, head 1: weight of each earlier token", rows=names, columns=names, shade=True)

# %% tags=["holds"]
holds("nothing above the diagonal", bool((weights.triu(1) == 0).all()))
holds("every row sums to 1", torch.allclose(weights.sum(dim=-1), torch.ones(n)))
holds("no weight of the last token reaches a third", bool(weights[-1].max() < 1 / 3))
holds("the largest of the last row is all", names[weights[-1].argmax()] == " all")

# %% [markdown]
# **Answer.** Everything above the diagonal is zero, because those tokens come later, and every row sums to 1. The last token, "?", takes most from
# " all", 0.31, and something from each of the others: this head spreads its attention.
#
# ## Open task
#
# *20 to 60 minutes, no check.* You have the FLOPs of the course's model to spend: 1.84 million per token, at a context of 256. That model spends them
# on four layers with F = 128. Use `count_dense` to find a model with only two layers that costs no more, by making F wider. Train
# both as in section 1.4, with the same seed, and compare their losses on held-out text. Which shape is better? How sure are you, and what would you
# do to become surer?
# <!-- evidence: 2 * (4 * (3 * 128 * 128 + 3 * 128 * 128) + 2048 * 128) + 4 * 4 * 128 * 256 -->
#
# <details><summary>What a good answer contains</summary>
#
# With two layers, F = 552 is the widest multiple of 8 that fits: 1,830,912 FLOPs per token. The parameters are not equal then, 1,047,168
# against 918,656, and a good answer says so. When we tried it with two seeds, the model with two layers had the lower held-out loss
# both times, by nearly two tenths of a nat, while two seeds of the same shape differed by a few hundredths. So at this size, after so short a
# training, the wider model with fewer layers was the better one.
# <!-- evidence: 69 * 8; 2 * (2 * (3 * 128 * 128 + 3 * 128 * 69 * 8) + 2048 * 128) + 4 * 2 * 128 * 256; 2 * (3 * 128 * 128 + 3 * 128 * 69 * 8) + 2 * 2048 * 128 + 5 * 128; data/checkpoints/dense.json parameters.total -->
#
# A good answer measures with `evaluate` on held-out text, not with the training loss; looks at the domains one by one; runs at least a second
# seed before it calls a difference real; and says what the result does not show. Both shapes were trained very briefly and with one learning rate, and a
# longer training may favour depth.
#
# </details>
#
# ## Now you know
#
# - A language model is charged −log p for each token that comes; a model that knows nothing is charged log V.
# - A block is attention, which looks back, and a feed-forward network, which works on each token alone.
# - A head is one search: queries meet keys, and the weights mix values. All heads together are as wide as the model, H·S = D.
# - Parameters and FLOPs follow from a few sizes: two FLOPs per weight, nothing for a lookup, and 4·H·S per layer for each token that is looked at.
# - In large models most parameters are in the feed-forward networks, and a dense model pays for all of them at every token.
# - A training loss that is too good is a reason to measure again, with other code and on other text.
#
# What passed here is in `my_moe.py`, in the course's folder: loss, attention and feed-forward network are your functions there.
# `import moe_lite; moe_lite.my_program()` shows the file.
#
# Must one network do everything?
#
# <!-- next -->

# %% tags=["holds"]
_widest, _next = (my_count(ModelConfig(n_experts=1, n_layers=2, d_expert=width), 256) for width in (552, 560))
holds("552 is the widest that fits", _widest == (1047168, 1830912) and _widest[1] < flops < _next[1])
