# %% [markdown]
# # 01 · A dense baseline
# *Part 1 — A model that uses a part of itself · about 70 minutes · four exercises and one stretch*
#
# **What does it cost when every parameter works on every token?**
#
# Before a model can use a part of itself, there has to be one that uses all of itself. This lesson builds it, trains it, lets it speak,
# and counts what it holds and what a token costs. It is the yardstick: every sparse model of this course is compared with it.
#
# **Builds on** Python and a first neural network in PyTorch; [lesson 00](00_start_here.ipynb) shows how checks, hints and widgets
# work. In shape comments, B is the batch, T time, N = B·T tokens, D the model's width, F the feed-forward's width, L layers, V the
# vocabulary, H heads and S their size.

# %% tags=["setup"]
import torch

from moe_lite import ModelConfig, MoELanguageModel, TrainConfig, checkpoint, data, evaluate, experts
from moe_lite import metrics, model_diagram, plots, timing, train, transformer
from moe_lite.checks import lesson01 as check, mine
from moe_lite.widgets import BudgetExplorer, NextTokens

# %% [markdown]
# The line below is the whole model. A text comes in as numbers, each becomes a vector (*embed*); four blocks work on the vectors, one
# after the other; the *head* turns the last vectors into a guess at the next token. Today's parts are marked.

# %% tags=["diagram"]
model_diagram(today=1)

# %% [markdown]
# ## 1.0 A model that knows nothing
#
# A text is cut into **tokens**, pieces that are frequent in the texts that the tokenizer has seen: the course's tokenizer knows 2,048.
# A language model reads some tokens and gives every token of its vocabulary a number, its **logit**: how much that one would fit as the
# next. Here are two models of the same shape: one fresh from its random start, one that has been trained for ten minutes. Both go on
# from the same line.
# <!-- evidence: len(data/tokenizer.json model.vocab) -->
#
# **Predict:** what will the fresh one write? Letters, words, or something in between?

# %%
config = ModelConfig(n_experts=1, d_expert=128)  # one "expert" in each layer: a plain dense transformer
fresh, trained = MoELanguageModel(config).eval(), checkpoint.pretrained(1)
line = "Are we all met?"
ids = torch.tensor([data.encode(line)])  # (1, T)
print("tokens ", data.token_pieces(ids[0].tolist()))
for name, model in [("fresh", fresh), ("trained", trained)]:
    drawn = [token.item() for token, _ in model.generate(ids, 40, generator=torch.Generator().manual_seed(0))]
    print(f"\n{name:8}{''.join(data.token_pieces(drawn))!r}")

# %% [markdown]
# The fresh model strews its vocabulary: whole words, word ends, a stray control character, with no order. The trained one writes lines of
# a play, in German that nobody speaks. (It has read *Faust*, among eight other kinds of text.) Both are wrong, but not equally. To make a
# model better, you need a number for how wrong it is.
#
# ## 1.1 One number for being wrong
#
# Softmax turns the logits into probabilities. Then the text says which token really came, and the model is charged for the
# probability that it gave to that one: −log p, called **cross-entropy**. Sure and right costs almost nothing. Sure and wrong costs
# much, without limit.
#
# **By hand:** four tokens in the vocabulary, and logits log 1, log 2, log 4 and log 1. Which probabilities are these? What does the model
# pay if token 2 comes next, and what if token 0 does? (The logarithm is the natural one; its unit is the *nat*. log 2 is 0.69.)

# %%
logits = torch.tensor([1.0, 2.0, 4.0, 1.0]).log()  # (V,)
probabilities = logits.softmax(dim=-1)  # (V,)
rows = ["logit", "probability", "cost if it comes next"]
names = [f"token {i}" for i in range(4)]
plots.table(torch.stack([logits, probabilities, -probabilities.log()]), "four tokens", rows=rows, columns=names)

# %% [markdown]
# Half the probability costs log 2 = 0.69 nats, an eighth costs three times that. The model's **loss** is the mean over all positions of a
# text, and every position is a question: the token after it is the answer. So the **targets** are the same text, shifted by one.

# %%
pieces = data.token_pieces(ids[0].tolist())
for t in range(len(pieces) - 1):
    print(f"after {''.join(pieces[: t + 1])!r:18} comes {pieces[t + 1]!r}")

# %% [markdown]
# A model that knows nothing gives every token the same probability and pays log V at each position. For 2,048 tokens that is
# 7.62 nats. The exponential of the loss, the **perplexity**, turns this round: a loss of 7.62 is being as unsure as among 2,048 equals,
# a loss of 0.69 as among two.
# <!-- evidence: log(len(data/tokenizer.json model.vocab)) -->
#
# One trap lies in the arithmetic. exp(1000) is infinite in float32, and log(exp(−1000)) is −∞ where it should be −1000. Real
# logits can grow large, so the loss has to be worked out without ever writing down such an exponential: −log p is the *log of the sum of
# the exponentials* minus *the target's logit*, and the first of the two has a safe function of its own.

# %% [markdown] tags=["exercise"]
# ### Exercise 1.1 — cross-entropy
# *10 minutes · core · about 3 lines*
#
# **Given** `logits` (N, V) of any floating dtype and `targets` (N,) int64. A target of −100 marks a position that does not count.
# **Return** `loss` (), the mean of −log softmax(logits)[target] over the positions that count, in nats. Logits of ±10,000 must
# give a finite loss, and the gradient must reach `logits`.
# **Allowed:** `logsumexp`, indexing or `gather`, sums and means. (Not `F.cross_entropy`: it is what you are writing.)
#
# <!-- hints 1.1 -->


# %% tags=["stub"]
def cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The mean cost of the targets, in nats; positions with target −100 are left out.

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
# The package uses PyTorch's own, which does the same. Now let your function judge the two models on text that neither was
# trained on: a short sample of each of the nine domains.
#
# **Predict:** where does the fresh model stand? And for the trained one, which domain is easiest, which hardest?


# %%
def sample_losses(model, loss_fn):
    """loss_fn on a short held-out text of each domain -> nats a token, one for each."""
    losses = []
    for text in data.SAMPLES.values():
        tokens = torch.tensor([data.encode(text)])  # (1, T)
        with torch.no_grad():
            logits = model(tokens[:, :-1]).logits  # (1, T − 1, V)
        losses.append(loss_fn(logits[0], tokens[0, 1:]).item())
    return losses


my_loss = mine("1.1", cross_entropy, default=torch.nn.functional.cross_entropy)
rows = {"fresh": sample_losses(fresh, my_loss), "trained": sample_losses(trained, my_loss)}
caption = "loss on one short text each, nats a token"
plots.table(torch.tensor([*rows.values()]), caption, rows=[*rows], columns=data.SAMPLES)

# %% [markdown]
# The fresh model pays about log V everywhere, as one should who knows nothing. The trained one is good where the text repeats itself:
# dialogues made from templates, JSON, sums. It is poor at poetry and prose. Keep the spread in mind: a mean over such domains says little
# about any of them, and lessons report them one by one.
#
# ## 1.2 What happens to a token
#
# A block has two halves. **Attention** lets a token look back: it compares itself with every token up to its own position and takes in
# a weighted mean of what they offer. The **feed-forward network** then works on each token alone. Each half reads a normalised copy of the
# vectors and *adds* what it found, so the vectors run through the model like a conveyor belt on which everybody puts something.
#
# The normalising is **RMSNorm**: divide a vector by the root of its mean square.
#
# **By hand:** what is the mean square of (3, 4)? What comes out, and what for (300, 400)?

# %%
x = torch.tensor([[3.0, 4.0], [300.0, 400.0]])  # (N, D)
mean_square = x.square().mean(dim=-1, keepdim=True)  # (N, 1)
columns = ["first", "second", "mean square", "its root", "first, normalised", "second, normalised"]
parts = [x, mean_square, mean_square.sqrt(), x / mean_square.sqrt()]
plots.table(torch.cat(parts, dim=-1), "RMSNorm, two vectors", rows=["short", "long"], columns=columns)

# %% [markdown]
# The same twice: length is taken out, direction stays. (A weight for each feature, which is learned, lets some count more afterwards.)
#
# That attention looks *back* only can be seen from outside. If it did not, a model could read the answer off the next position, and its
# loss would mean nothing.
#
# **Predict:** the same text twice, with another last token. At which positions do the logits change?

# %%
other = ids.clone()
other[0, -1] = data.encode("!")[0]
with torch.no_grad():
    change = (trained(ids).logits - trained(other).logits).abs().amax(dim=-1)  # (1, T)
plots.table(change, "largest change of a logit, by position", rows=["last token replaced"], columns=pieces)

# %% [markdown]
# At the last position only. (How the mask inside does that is exercise 1.5, for those who want to write it.) The two halves are not
# equally important, and here is a way to ask which matters more: take one out.
#
# **Predict:** without attention no token sees another. Without the feed-forward networks nothing works on a token alone. Which model is worse, and
# is either as bad as one that knows nothing (7.62)?


# %%
def silenced(layers, part):
    """The trained model with one half of some blocks writing nothing."""
    model = checkpoint.pretrained(1)
    for layer in layers:
        block = model.blocks[layer]
        torch.nn.init.zeros_(block.attention.out.weight if part == "attention" else block.feed_forward.down)
    return model


corpora = data.load_corpora()
which = {"none": [], "layer 1": [0], "layer 2": [1], "layer 3": [2], "layer 4": [3], "all four": range(4)}
losses = [
    [evaluate.evaluate(silenced(layers, part), corpora, max_windows=2).mean_loss for layers in which.values()]
    for part in ("attention", "feed-forward")
]

# %%
caption = "loss, nats a token, mean over the domains, without a part of the trained model"
plots.table(torch.tensor(losses), caption, rows=["no attention in", "no feed-forward in"], columns=which)

# %% [markdown]
# Without attention the model guesses from a single token. Without feed-forward networks it is worse than knowing nothing: the head reads
# vectors that it was not made for, and gives the right token less than an even share. Most of that is the work of the first layer. So the half that
# works on each token alone is no decoration. What does it do?
#
# In Llama, Mixtral and here it is a **SwiGLU** ([Shazeer 2020, arXiv 2002.05202](https://arxiv.org/abs/2002.05202)), with three matrices. The first makes F
# *gates*, the second F *values*, and each value passes through its gate: silu(gate) · value, where silu(z) = z · sigmoid(z). Far above zero
# silu is z itself, far below it is 0. The third matrix leads from width F back to D.
#
# **By hand:** the token (1, −1), gates that read ten times each feature, values that read twice the first and three times the second.
# Which of the two gates is open? What passes?

# %%
x = torch.tensor([[1.0, -1.0]])  # (N, D)
w_gate = torch.tensor([[10.0, 0.0], [0.0, 10.0]])  # (F, D)
w_up = torch.tensor([[2.0, 0.0], [0.0, 3.0]])  # (F, D)
gate, value = x @ w_gate.T, x @ w_up.T  # (N, F), (N, F)
silu = gate * gate.sigmoid()  # (N, F)
rows = ["gate", "silu(gate)", "value", "what passes"]
plots.table(torch.cat([gate, silu, value, silu * value]), "F = 2", rows=rows, columns=["first", "second"])

# %% [markdown]
# The first gate reads 10, stands open, and multiplies its value by 10. The second reads −10 and is shut: of its value, nothing is left
# but a trace. Which of the F values count is decided anew for each token. Remember that: a router will do the same with whole networks.

# %% [markdown] tags=["exercise"]
# ### Exercise 1.2 — the feed-forward network
# *8 minutes · core · about 2 lines*
#
# **Given** `x` (N, D), `w_gate` (F, D), `w_up` (F, D) and `w_down` (D, F). **Return** `y` (N, D): silu of the gates, times the values, led
# back to width D by `w_down`. Matrices are stored as PyTorch's linear layers store them: (out, in). The gradient must reach all four.
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
# The package's is `moe_lite.experts.swiglu`; it keeps gate and value matrix in one tensor, to multiply once. Put yours into the trained
# model, in all four layers. If it is the same function, the loss stays what it was.


# %%
class MyFeedForward(experts.SwiGLU):
    def forward(self, x):  # (B, T, D)
        return my_swiglu(x.flatten(0, 1), *self.gate_up.chunk(2), self.down).view_as(x)  # (B, T, D)


def with_mine(model):
    """The same weights, your arithmetic, in every block."""
    for block in model.blocks:
        yours = MyFeedForward(config.d_model, config.d_expert)
        yours.load_state_dict(block.feed_forward.state_dict())
        block.feed_forward = yours
    return model


my_swiglu = mine("1.2", swiglu, default=lambda x, gate, up, down: experts.swiglu(x, torch.cat([gate, up]), down))
models = trained, with_mine(checkpoint.pretrained(1))
before, after = (evaluate.evaluate(model, corpora, max_windows=2).mean_loss for model in models)
print(f"loss before {before:.6f}, with your function {after:.6f} nats a token")

# %% [markdown]
# ## 1.3 Count before you build
#
# How large is this model, and what does a token cost? Both follow from a handful of sizes, and both can be worked out on paper, for this model and
# for one that no laptop could hold.
#
# **Parameters** are the entries of all matrices. **FLOPs** are counted in additions and multiplications: a matrix of size a × b,
# applied to one vector, costs a·b multiplications and as many additions, 2·a·b. So each weight of a matrix costs two FLOPs a token. Two things
# break the rule. The embedding is a table in which a row is looked up: many parameters, no FLOPs. And attention compares a token with all
# those before it: FLOPs that grow with the text, without any parameters.
#
# **By hand:** a vocabulary of 10, width D = 4, feed-forward width F = 6. How many parameters has the embedding, how many the SwiGLU, and what
# does the SwiGLU cost a token?

# %%
V, D, F = 10, 4, 6
small = experts.SwiGLU(D, F)
cost = metrics.counted_flops(lambda: small(torch.zeros(1, D)))  # PyTorch's own count, for one token
print(f"embedding: {V * D} parameters")
print(f"SwiGLU: {sum(p.numel() for p in small.parameters())} parameters, {cost} FLOPs a token")

# %% [markdown]
# Three matrices of 4 × 6, and twice as many FLOPs as weights. Attention has four matrices: *query* and *out* between the width D and
# all heads together, H·S, and *key* and *value*, which are smaller if several heads share them: D to H_kv·S each (*grouped-query
# attention*). Its comparing and mixing costs 4·H·S FLOPs for each token that it looks at.

# %% [markdown] tags=["exercise"]
# ### Exercise 1.3 — parameters and FLOPs
# *12 minutes · core · about 8 lines*
#
# **Given** a dense `config` (a `ModelConfig`) and `context`, the tokens that attention looks at. **Return** two whole numbers:
# `n_parameters`, all that the model holds, and `flops`, what the forward pass costs for one token.
# Sizes: `vocab_size` V, `d_model` D, `n_layers` L, `n_heads` H, `n_kv_heads` H_kv, `d_head` S, `d_expert` F (the feed-forward's width).
# The model: an embedding V × D; L blocks with four attention matrices, a SwiGLU, and two RMSNorm vectors of D weights; one more such
# vector; a head V × D of its own. No biases. FLOPs: 2 a weight of every matrix but the embedding, nothing for the vectors, and
# 4·H·S·`context` in each layer.
# **Allowed:** arithmetic.
#
# <!-- hints 1.3 -->


# %% tags=["stub"]
def count_dense(config: ModelConfig, context: int) -> tuple[int, int]:
    """What a dense model holds, and what it costs for one token that looks at `context` tokens.

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
# Does the formula describe the real model? Count the numbers in its tensors, and let PyTorch count the FLOPs of a real forward pass over
# 256 tokens. (In its plain form attention works out the whole square of comparisons, the masked ones too: each token looks at 256.)


# %%
def package_count(config, context):
    budget = metrics.budget(config, context)
    return budget.total_parameters, budget.total_flops


my_count = mine("1.3", count_dense, default=package_count)
n_parameters, flops = my_count(config, 256)
counted = metrics.counted_flops(lambda: trained(torch.zeros(1, 256, dtype=torch.int64)))
print(f"parameters: formula {n_parameters:,}, tensors {sum(p.numel() for p in trained.parameters()):,}")
print(f"FLOPs a token: formula {flops:,}, counted {counted // 256:,}")

# %% [markdown]
# Now use the formula where no model has to exist. The explorer takes your function's totals beside its own.
#
# **Predict, then move:** in the course's model, which part holds the most parameters? If you only widen the model (D), whose share grows
# and whose shrinks? Then take the shape of a large published model: how much of it is feed-forward?

# %% tags=["widget"]
BudgetExplorer(config, count=my_count)

# %% [markdown]
# Here are the shares once more, for the course's model, the same with D four times as wide, and a dense model of the shape of Mixtral 8x7B.

# %%
wider = ModelConfig(n_experts=1, d_expert=128, d_model=512)
large = ModelConfig(n_experts=1, vocab_size=32000, d_model=4096, n_layers=32, n_heads=32, n_kv_heads=8, d_expert=14336)
parts = [metrics.budget(each, 256).parameters for each in (config, wider, large)]
shares = torch.tensor([list(part.values()) for part in parts], dtype=torch.float64)  # (3, parts)
shares = 100 * shares / shares.sum(dim=1, keepdim=True)
plots.table(shares, "share of the parameters, %", rows=["course", "D = 512", "Mixtral's shape"], columns=parts[0])

# %% [markdown]
# In a model this small most parameters are vocabulary: two tables of 2,048 × 128. If only D grows, these tables and the SwiGLU (3·D·F)
# grow in step with it, attention with D²: its share rises, the others shrink. Published models widen F as well, to several times D, and then the
# feed-forward networks take nearly four fifths of the parameters. Their share of the FLOPs is much the same, as long as the context is short. That is
# the first reason for all that follows: who wants to save, saves there. The second you have seen: the feed-forward half works on each token
# alone, so it can be cut up without any token noticing the others' cut.
#
# And in a dense model, what it holds and what it costs are one number. Make the feed-forward networks 4 and 16 times as wide:
#
# **Predict:** parameters rise. Does a token's time rise as much?

# %%
many = torch.zeros(8, 256, dtype=torch.int64)  # (B, T) 2,048 tokens
configs = [ModelConfig(n_experts=1, d_expert=width) for width in (128, 512, 2048)]
models = {f"F = {each.d_expert}": MoELanguageModel(each) for each in configs}
rounds = train.budgeted(ci=1, normal=5, long=5)
taken = timing.interleaved({name: lambda model=model: model(many) for name, model in models.items()}, rounds)
counts = torch.tensor([my_count(each, 256) for each in configs]) / 1e6  # (3, 2)
milliseconds = torch.tensor([[1000 * timed.median] for timed in taken.values()])  # (3, 1)
columns = ["parameters, millions", "FLOPs a token, millions", "milliseconds for 2,048 tokens"]
plots.table(torch.cat([counts, milliseconds], 1), "one dense model, three widths", rows=[*models], columns=columns)

# %% [markdown]
# From the narrowest to the widest: four times the FLOPs, and about four times the time. Whatever the model learns to know, every token pays for all of it, also for the parts that have nothing to
# say about it. Could a model hold much and pay for little? That is the question of this course.
#
# ## 1.4 Train it, then let it speak
#
# Training is the loop that you know: a batch, the loss, its gradient, a step. `train` yields one record a step, and your SwiGLU is in all
# four layers. A minute is not enough for a good model, but it shows what is learned first.
#
# For comparison, a very simple model: it knows how frequent each token is, and nothing else. What it pays is the *entropy* of the
# frequencies, the mean of −log p over tokens drawn from p itself.
#
# **Predict:** the loss starts at 7.62. After 60 of the 300 steps, is more than half of the way done? And which level is reached first: that of
# the frequencies, or that of the model that was trained ten times as long?

# %%
seen = data.sample_batch(corpora, 2000, 128, torch.Generator().manual_seed(0)).targets  # (2000, 128)
counts = torch.bincount(seen.flatten(), minlength=config.vocab_size)  # (V,)
frequencies_only = torch.special.entr(counts / counts.sum()).sum().item()

mine_trained = with_mine(MoELanguageModel(config))
steps = train.budgeted(ci=8, normal=300, long=1500)
points = [(log.tokens, log.cross_entropy) for log in train.train(mine_trained, corpora, TrainConfig(steps=steps))]

# %% tags=["figure"]
shipped = checkpoint.pretrained_record(1)["val_loss_mean"]
levels = {"knows nothing": 7.62, "frequencies only": frequencies_only, "shipped model, held-out text": shipped}
plots.loss_curves({"this run": points}, levels)

# %% [markdown]
# How frequent tokens are is learned within the first 40 steps, about 80,000 tokens; it is worth a nat and a half. By step 60 most of the way is
# done: what the domains made of templates repeat is easy to pick up. What follows is slow: words, then what fits
# together. (The thin line jumps because each batch is another mixture of domains.)
# <!-- evidence: 40 * len(data/tokenizer.json model.vocab) -->
#
# ### Broken on purpose: a loss that is too good
#
# Here is a training loop with one slip. Read it and find the slip before you run it.
#
# **Predict:** will the loss be lower or higher than that of the right training after the same 60 steps?

# %% tags=["broken"]
broken = MoELanguageModel(config)
optimizer = torch.optim.AdamW(broken.parameters(), lr=2e-3)
chance = torch.Generator().manual_seed(0)
for _ in range(min(60, steps)):
    batch = data.sample_batch(corpora, 16, 128, chance)
    loss = broken(batch.ids, batch.ids).loss
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"training loss at the end {loss.item():.2f}; the right training had {points[min(60, steps) - 1][1]:.2f} there")
measured = evaluate.evaluate(broken, corpora, max_windows=2).mean_loss
drawn = [token.item() for token, _ in broken.generate(ids, 30, temperature=0)]
print(f"loss on held-out text {measured:.2f}")
print(f"it goes on from {line!r} with {''.join(data.token_pieces(drawn))!r}")

# %% [markdown]
# The targets are the inputs, not shifted. So the model learned to say the token that it is looking at, which is easy, and tells you nothing
# about the next one: on the real question it is worse than knowing nothing, and what it writes is its last token for ever. A training loss that is
# too good is a finding, not a success. What gave it away is a loss measured by *other code*, on text held out.
#
# ### Choosing the next token
#
# A model gives probabilities; somebody has to choose. Always taking the most probable token makes text that circles. Drawing lots by the
# probabilities makes text that wanders. The **temperature** T lies between: divide all logits by T before the softmax.
#
# **By hand:** probabilities 1/2, 1/4 and 1/4. Dividing logits by T = ½ doubles them, which squares the probabilities (and softmax makes
# them sum to 1 again). What comes out? And for T = 2, which takes square roots?

# %%
logits = torch.tensor([0.5, 0.25, 0.25]).log()  # (V,)
rows = {f"T = {T}": (logits / T).softmax(dim=-1) for T in (0.5, 1, 2, 10)}
plots.table(torch.stack([*rows.values()]), "probabilities", rows=[*rows], columns=["first", "second", "third"])

# %% [markdown]
# Below 1 the favourite gains, above 1 it loses, and the order never changes. T → 0 leaves only the favourite, and T = 0 is taken to mean
# just that, since nobody can divide by it.

# %% [markdown] tags=["exercise"]
# ### Exercise 1.4 — drawing a token
# *8 minutes · core · about 4 lines*
#
# **Given** `logits` (B, V), one row a text, `temperature` ≥ 0 and a `generator`. **Return** `token_ids` (B,) int64, one token for each row, drawn with
# the probabilities softmax(logits / temperature); at temperature 0 the most probable one. All chance comes from `generator`: the same
# generator state gives the same tokens.
# **Allowed:** `softmax`, `argmax`, `torch.multinomial`.
#
# <!-- hints 1.4 -->


# %% tags=["stub"]
def sample_token(logits: torch.Tensor, temperature: float, generator: torch.Generator) -> torch.Tensor:
    """One token a row, drawn from softmax(logits / temperature); at 0 the most probable.

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
# **Predict, then move:** below, the model has to begin the answer to a sum. Is it sure of the first digit? What does the bar of the favourite do
# between T = 0 and T = 2? Then change the text: find one after which even T = 2 hardly changes anything, and one after which the model has no idea.

# %% tags=["widget"]
my_sample = mine("1.4", sample_token, default=transformer.sample_token)
NextTokens(trained, "Q: 2/9 + 9/10 = ?\nA: ", sample=my_sample)

# %% [markdown]
# The bars say how *open* a place in a text is. The exponential of their entropy puts a number on it: as open as a choice among so many
# equals.

# %%
for text in ("Agent: Hello", "Q: 2/9 + 9/10 = ?\nA: ", "Are we all"):
    with torch.no_grad():
        p = trained(torch.tensor([data.encode(text)])).logits[0, -1].softmax(dim=-1)  # (V,)
    favourite, openness = data.token_pieces([p.argmax().item()])[0], torch.special.entr(p).sum().exp()
    print(f"{text!r:28} favourite {favourite!r:6} {p.max():6.1%}   as open as among {openness:5.1f} equals")

# %% [markdown]
# After the greeting of a dialogue there is hardly a choice; at the first digit of the sum among about seven; in a line of verse among more than a hundred.
# Temperature cannot turn a bad guess into a good one: it moves probability between tokens whose order the model has fixed.
#
# To end, everything of yours at once: the model that you trained, with your SwiGLU in its four layers, and your function drawing.

# %%
for T in (0, 0.8, 1.5):
    chance = torch.Generator().manual_seed(0)
    drawn = mine_trained.generate(ids, 40, temperature=T, generator=chance, sample=my_sample)
    text = "".join(data.token_pieces([token.item() for token, _ in drawn]))
    print(f"T = {T}: {text!r}")

# %% [markdown]
# At T = 0 it circles. At 1.5 it is close to the strewn tokens of the beginning. In between are the nine kinds of text, after a minute
# more a smell than a language.
#
# ## 1.5 How attention keeps to the past (stretch)
#
# In each head every token has a query q, a key k and a value v, vectors of size S. Token i compares its query with the key of each token
# j ≤ i: q·k / √S. Softmax makes weights of these, and the token takes the weighted sum of the values. "j ≤ i" is done by a **mask**: what may not
# be seen gets −∞ before the softmax, and exp(−∞) is 0.
#
# **By hand:** three tokens, all comparisons equal. What are the weights of each token?

# %%
equal = torch.zeros(3, 3)  # (T, T) all comparisons the same
past = torch.ones(3, 3, dtype=torch.bool).tril()  # (T, T) True where j ≤ i
weights = equal.masked_fill(~past, -torch.inf).softmax(dim=-1)  # (T, T)
plots.table(weights, "weights: token i looks at token j", columns=["token 0", "token 1", "token 2"])

# %% [markdown] tags=["exercise"]
# ### Exercise 1.5 — causal attention
# *12 minutes · stretch · about 5 lines*
#
# **Given** `q`, `k` and `v`, each (B, H, T, S). **Return** `out` (B, H, T, S): for each token the sum of the values up to its own position,
# weighted by the softmax of q·k / √S over those positions. The gradient must reach all three.
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
# Whom does a trained head look at? If each token's value is a unit vector of its own, the weighted sum *is* the weights. So your function
# can draw what it normally hides: here the first head of the first layer, on the line from the beginning (without the rotation by
# position that the model adds, so this is what the head looks for in tokens, wherever they stand).


# %%
def package_attention(q, k, v):
    return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)


my_attention = mine("1.5", causal_attention, default=package_attention)
with torch.no_grad():
    block = trained.blocks[0]
    h = block.attention_norm(trained.embed(ids))  # (1, T, D)
    q = block.attention.query(h)[..., : config.d_head][:, None]  # (1, 1, T, S) head 0
    k = block.attention.key(h)[..., : config.d_head][:, None]  # (1, 1, T, S) the key that it shares with head 1
    weights = my_attention(q, k, torch.eye(ids.shape[1])[None, None])[0, 0]  # (T, T)
names = [repr(piece)[1:-1] for piece in pieces]
plots.table(weights, "layer 1, head 1: weight of each earlier token", rows=names, columns=names)

# %% [markdown]
# Every row sums to 1, and nothing stands above the diagonal.
#
# ## Now you know
#
# - A language model is charged −log p for each token that comes; one that knows nothing pays log V.
# - A block is attention, which looks back, and a feed-forward network, which works on each token alone.
# - Parameters and FLOPs follow from a few sizes: two FLOPs a weight and token, nothing for a lookup.
# - In large models most of both are in the feed-forward networks, and a dense model pays for all of them at every token.
# - A training loss that is too good is a reason to measure again, with other code and other text.
#
# Must one network do everything?
#
# <!-- next -->
