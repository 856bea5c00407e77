# %% [markdown]
# # 05 · The MoE language model
# *Part 1 — A model that uses a part of itself · about 120 minutes · three exercises*
#
# **Does it learn, and what did it cost?**

# %% tags=["opening"]
from moe_lite.checkpoint import pretrained
from moe_lite.widgets import GenerationViewer

GenerationViewer(pretrained(8), "The", n_tokens=40).run()

# %% [markdown]
# This is where the lesson leads: a mixture of experts writes, token by token. Each new token carries the number of its first expert in layer 2; the
# bars count how much each expert has worked. The model is small, so expect broken words. This one came with the course, and yours will have
# the same size.
#
# You have a router and a dispatch. In this lesson they become a layer, and the layer becomes a language model. You train the model and
# watch it learn, beside a dense model that does the same amount of work per token. At the end you know what the mixture gained and
# what it cost in parameters, in arithmetic and in time.
#
# Comparisons of this kind often go wrong in practice. Somebody trained a mixture of 198 million parameters and a dense model of 64 million,
# and the mixture [came out worse](https://github.com/jingyaogong/minimind/issues/858), because of a slip in its router. One training
# framework [counted the FLOPs of all experts](https://github.com/AI-Hypercomputer/maxtext/pull/678), also of those that rest, and so
# reported more than three times the work that was really done. You will count and compare for yourself.
#
# **Builds on** lessons [01](01_dense_baseline.ipynb), [03](03_router.ipynb) and [04](04_dispatch_and_combine.ipynb). If your functions from
# there passed their checks, this lesson uses them. If not, it uses the package's, and a line under the cell tells you so. In shape
# comments, B is the batch, T the time, N = B·T the number of tokens, D the model's width, F an expert's width, E the number of experts and
# K the number of experts per token.

# %% tags=["diagram"]
from moe_lite import lesson_header

lesson_header(today=5)

# %% tags=["setup"]
import torch

import moe_lite as ml
from moe_lite import checkpoint, data, dispatch, evaluate, metrics, moe, plots, routing, runs, timing, train
from moe_lite.checks import lesson05 as check, mine, progress, recall, verdict
from moe_lite.widgets import GenerationViewer, TokenViewer, TrainingDashboard

# %% [markdown]
# ## 5.0 Before it has learned anything
#
# Look at a model before its training, so that you can tell later what training did. This one has the size that you are going to train: four
# layers of eight experts, two experts per token. Its weights are random. It can already write.
#
# **Predict:** what does it write? And what is its loss? For comparison: guessing blindly among 2,048 tokens costs log 2048 = 7.62 nats
# per token.
# <!-- evidence: len(data/tokenizer.json model.vocab); log(len(data/tokenizer.json model.vocab)) -->

# %%
corpora = data.load_corpora()
untrained = ml.MoELanguageModel(ml.ModelConfig(), seed=0)
prompt = torch.tensor([data.encode("The river")])  # (1, T)
generator = torch.Generator().manual_seed(0)
new = [int(token) for token, _ in untrained.generate(prompt, 24, generator=generator)]
untrained_loss = evaluate.evaluate(untrained, corpora, max_windows=2).mean_loss
print(repr("".join(data.token_pieces([*prompt[0].tolist(), *new]))))
print(f"loss {untrained_loss:.2f} nats per token")

# %% tags=["holds"]
holds("the loss is that of blind guessing, within a twentieth of a nat", abs(untrained_loss - 7.62) < 0.05)

# %% [markdown]
# **Answer.** It writes noise, and its loss is that of blind guessing, within a twentieth of a nat. The model has no idea which tokens
# follow which. Its routers do prefer some experts to others, but only because of the random numbers that they started with.
#
# <!-- answered -->
# Attention, experts and routers all have to learn from one number, the loss, and they have to do it at the same time. That is a
# chicken-and-egg problem. A router can only learn which expert is good at something when the experts differ. Experts only come to differ when
# the router sends them different tokens. So it is not obvious that this training works at all.

# %% [markdown]
# ## 5.1 One layer, four steps
#
# First the layer. Papers say "we replace the feed-forward network by a mixture-of-experts layer", and you can write that layer in five
# lines. It gets a batch of texts `x` (B, T, D) and works in four steps:
#
# 1. **Route.** The router reads `x` as it is and returns a `Routing`, the record of who goes where. (`routing.top_k` holds the weights and
#    the expert numbers, both (N, K).) The router needs to know which tokens belong to one text (lesson 07 uses this), so
#    give it `x` unflattened.
# 2. **Compute.** The experts do not care which text a token comes from. They take all tokens in one long row (N, D), and the `Routing`.
# 3. **Add the shared expert.** Some models have one: a small network that every token passes through, beside its chosen experts. It
#    has no weight, and nobody chooses it.
# 4. **Restore the shape.** The result has the shape of `x`.
#
# The layer does not add `x` itself to the result. The block around the layer does that: it is the residual connection of lesson 01.
#
# **By hand:** one text of three tokens of width 1, with the values 1, 2 and 3. The router sends tokens 0 and 2 to expert 1, and token 1 to
# expert 0, all with weight 1. Expert 0 returns its input. Expert 1 returns ten times its input. The shared expert returns half of its input.
# What is y?

# %%
x = torch.tensor([[[1.0], [2.0], [3.0]]])  # (B, T, D)
logits = torch.tensor([[0.0, 9.0], [9.0, 0.0], [0.0, 9.0]])  # (N, E)
weights, expert_ids = routing.route(logits, 1, batch_shape=(1, 3)).top_k  # (N, K), (N, K)
flat = x.flatten(0, 1)  # (N, D)
times = torch.tensor([1.0, 10.0])[expert_ids]  # (N, K): what the chosen expert multiplies by
chosen, shared = weights * times * flat, 0.5 * flat  # (N, D), (N, D)
print("expert of each token:", expert_ids.flatten().tolist())
print("chosen experts", chosen.flatten().tolist(), "with shared", (chosen + shared).flatten().tolist())

# %% tags=["holds"]
holds("y is 10.5, 3 and 31.5", (chosen + shared).flatten().tolist() == [10.5, 3, 31.5])

# %% [markdown]
# **Answer.** y is 10.5, 3 and 31.5. The chosen experts give 10, 2 and 30, and the shared expert adds half of the input to each.

# %% [markdown] tags=["exercise"]
# ### Exercise 5.1 — the layer
# *8 minutes · core · about 5 lines*
#
# **Given** `x` (B, T, D) and three modules: `router`, called with `x`, returns a `Routing`; `experts`, called with the tokens in one row
# (N, D) and that routing, returns (N, D); `shared`, called with (N, D), returns (N, D), or is None. **Return** `y` (B, T, D) and `routing`, what
# the router returned. Call each module once, and change none of their answers in place.
# **Allowed:** `flatten`, `view`, `+`.
#
# <!-- hints 5.1 -->


# %% tags=["stub"]
def moe_layer(x: torch.Tensor, router: object, experts: object, shared: object) -> tuple[torch.Tensor, object]:
    """Route, compute, add the shared expert, restore the shape.

    x (B, T, D) -> y (B, T, D), routing
    """
    ### BEGIN SOLUTION
    routing = router(x)
    flat = x.flatten(0, 1)  # (N, D)
    y = experts(flat, routing)  # (N, D)
    if shared is not None:
        y = y + shared(flat)
    return y.view(x.shape), routing
    ### END SOLUTION


# %% tags=["check"]
check.moe_layer(moe_layer)

# %% [markdown]
# Everything else of the transformer stays as it was. In the package the same function is `moe.moe_layer`. (With a capacity limit, the
# router that it is given also drops some tokens; lesson 07 is about that.)
#
# ## 5.2 The same work
#
# Is a mixture better than a dense model? The question means nothing until you say what the two models have in common. A mixture that gets more
# arithmetic should win, and that is no news. Here both get the same *work per token*.
#
# A dense SwiGLU network of width 120 (lesson 01: three matrices, gate, up and down) takes 3 · 120 dot products of length D per token. If two
# experts work on every token, each may be half as wide, and together they do the same work. A shared expert works on every token too, so it
# also takes its part of the width.
#
# **By hand:** the dense network has width 120. The mixture has eight experts of which three work per token, and one shared expert of the
# same width. (1) How wide is an expert? (2) The router takes 8 dot products of length D, one per expert; the network takes 3 · 120. How
# much is that in percent?

# %%
active, dense_width, n_experts = 3 + 1, 120, 8
print(f"width {dense_width // active}, the router adds {n_experts / (3 * dense_width):.1%}")

# %% tags=["holds"]
holds(
    "30 wide, the router adds about 2 %", dense_width // active == 30 and 0.02 < n_experts / (3 * dense_width) < 0.025
)

# %% [markdown]
# **Answer.** (1) Four experts work on each token, so each gets a quarter of the width: 30. (2) The router adds 2.2 %. The width D cancels,
# because every dot product is as long as the token is wide.

# %% [markdown] tags=["exercise"]
# ### Exercise 5.2 — how wide is an expert?
# *8 minutes · core · about 4 lines*
#
# **Given** ints `d_model`, `d_dense` (the width of the dense SwiGLU network), `n_experts`, `top_k`, `n_shared` (shared experts, as wide as
# the others). **Return** `d_expert`, an int: the largest whole width at which the `top_k` chosen and `n_shared` shared experts together cost at
# most the dense network's FLOPs per token (leave the router out here); and `ratio`, a float: the sparse layer's FLOPs per token, router
# included, divided by the dense network's.
# **Allowed:** arithmetic. A SwiGLU network of width F has three matrices of D × F numbers, the router one of E × D.
#
# <!-- hints 5.2 -->


# %% tags=["stub"]
def expert_width(d_model: int, d_dense: int, n_experts: int, top_k: int, n_shared: int) -> tuple[int, float]:
    """The experts' width at equal work, and what the layer then costs beside the dense one.

    returns d_expert, ratio
    """
    ### BEGIN SOLUTION
    active = top_k + n_shared
    d_expert = d_dense // active
    sparse = 3 * active * d_expert * d_model + n_experts * d_model
    return d_expert, sparse / (3 * d_dense * d_model)
    ### END SOLUTION


# %% tags=["check"]
check.expert_width(expert_width)

# %% [markdown]
# The next cell asks your function about five layers. All of them do the work of a dense network of width 128. They have 4, 8 or 16 experts,
# two of which work per token, or 32 or 128 experts, eight of which work per token. `mine` takes your function if it passes its check, and the
# package's if not.
#
# **Predict:** in which of the five is the router's share of the work largest?


# %%
my_width = mine("5.2", expert_width, default=metrics.expert_width)
shapes = {"4 experts, 2 per token": (4, 2), "8, 2": (8, 2), "16, 2": (16, 2), "32, 8": (32, 8), "128, 8": (128, 8)}
widths = [my_width(128, 128, n_experts, top_k, 0) for n_experts, top_k in shapes.values()]
caption = "layers that do the work of a dense one of width 128"
plots.table(torch.tensor(widths), caption, rows=[*shapes], columns=["expert's width", "work over dense"])

# %% tags=["holds"]
_over = {name: width[1] - 1 for name, width in zip(shapes, widths, strict=True)}
holds("with eight experts the router adds 2 %", 0.015 < _over["8, 2"] < 0.025)
holds("with 128 narrow ones it adds a third", max(_over, key=_over.get) == "128, 8" and 0.32 < _over["128, 8"] < 0.34)
holds(
    "it grows with the number of experts, at 2 per token",
    _over["4 experts, 2 per token"] < _over["8, 2"] < _over["16, 2"],
)

# %% [markdown]
# **Answer.** In the last one. With eight experts the router adds 2 %. With 128 narrow ones it adds a third.
#
# **Takeaway: many narrow experts are not free, because the router has to score all of them.** So when a paper compares "active parameters",
# check whether the router is among them.

# %% [markdown]
# ## 5.3 What it holds, what it uses
#
# People who want to run a mixture ask two questions: does it fit into my memory, and how fast will it be? One number does not answer both.
# One user expected a model of 30 billion parameters, 3 billion of them active, to fit into a laptop, and was [told that it needs more than 20
# GB](https://github.com/ollama/ollama/issues/10546): all experts have to be there, also those that the next token does not use. Three numbers
# describe the size of a sparse model:
#
# - **total** parameters: all that must be in memory,
# - **active** parameters: those that work on one token,
# - **FLOPs per token**: the arithmetic of the forward pass.
#
# For a dense model the first two are the same.
#
# **By hand:** one layer with D = 10 and four experts of width 5, one expert per token, and the router. How many parameters are in the
# layer? How many work on one token?

# %%
d, width, n_experts, top_k = 10, 5, 4, 1
expert, router = 3 * d * width, n_experts * d
print(f"one expert: {expert}, the router: {router}")
print(f"in all: {n_experts * expert + router}, active: {top_k * expert + router}")

# %% tags=["holds"]
holds("640 in all, 190 active", (n_experts * expert + router, top_k * expert + router) == (640, 190))

# %% [markdown]
# **Answer.** An expert has 3 · 10 · 5 = 150 parameters and the router has 4 · 10 = 40. The layer holds 4 · 150 + 40 = 640, of which 150 +
# 40 = 190 work on one token. The router counts in full, for every token: it has to score all experts to leave most of them out.

# %% [markdown] tags=["exercise"]
# ### Exercise 5.3 — count the model
# *15 minutes · core · about 10 lines*
#
# **Given** `config`, a `ModelConfig`, and `context`, the number of tokens to attend to. **Return** three ints: `total` and `active`
# parameters, and `flops`, the FLOPs of the forward pass for one token.
#
# - *Vocabulary:* two matrices of `vocab_size` × `d_model`, embedding and head. Both count as active. (This is a convention: an embedding only
#   looks up one row per token, and some model cards leave it out.)
# - *In each of `n_layers` blocks:* attention (query and out `d_model` × `n_heads`·`d_head`, key and value `d_model` × `n_kv_heads`·`d_head`),
#   two norm vectors of `d_model`, and the feed-forward part.
# - *The feed-forward part:* if `n_experts` is 1, the model is dense: one SwiGLU of width `d_expert`, no router, and `top_k` and
#   `n_shared_experts` mean nothing. Otherwise a router, `n_experts` experts of which `top_k` work, and `n_shared_experts` that always work.
# - *At the end:* one norm vector.
#
# FLOPs: 2 for each active number of a matrix, where the embedding (a lookup) and the norms do not count; and 4 · `n_heads` · `d_head` ·
# `context` for attention in each block.
# **Allowed:** arithmetic; what you wrote in exercise 1.3 is most of it.
#
# <!-- hints 5.3 -->


# %% tags=["stub"]
def count_moe(config: ml.ModelConfig, context: int) -> tuple[int, int, int]:
    """Total and active parameters, and forward FLOPs for one token.

    returns total, active, flops
    """
    ### BEGIN SOLUTION
    c = config
    vocabulary, expert = c.vocab_size * c.d_model, 3 * c.d_model * c.d_expert
    attention = 2 * c.d_model * (c.n_heads + c.n_kv_heads) * c.d_head
    held, used, router = c.n_experts + c.n_shared_experts, c.top_k + c.n_shared_experts, c.n_experts * c.d_model
    if c.n_experts == 1:
        held, used, router = 1, 1, 0
    norms = (2 * c.n_layers + 1) * c.d_model
    common = 2 * vocabulary + norms + c.n_layers * (attention + router)
    total, active = (common + c.n_layers * n * expert for n in (held, used))
    flops = 2 * (active - vocabulary - norms) + 4 * c.n_layers * c.n_heads * c.d_head * context
    return total, active, flops
    ### END SOLUTION


# %% tags=["check"]
check.count_moe(count_moe)


# %% [markdown]
# Now put real models through your function. The first three belong to this course: the dense one, the one that you will train, and one with
# 32 finer experts and a shared one. The fourth is Mixtral 8x7B, with the settings that [Mistral
# published](https://huggingface.co/mistralai/Mixtral-8x7B-v0.1): 32 layers of width 4,096, eight experts of width 14,336. FLOPs are counted
# with 128 tokens to attend to, because the trainings below use texts of 128 tokens.
#
# **Predict:** the name "8x7B" says eight experts, and two of them work per token. How many billion parameters does the model hold, and how
# many does it use?

# %% tags=["guess"]
my_guess = ml.guess("5.3", billions_held=None, billions_used_per_token=None)  # numbers in place of None


# %%
my_count = mine("5.3", count_moe, default=metrics.count)
mixtral = ml.ModelConfig(
    vocab_size=32_000, n_layers=32, d_model=4096, n_heads=32, n_kv_heads=8, d_expert=14_336, n_experts=8, top_k=2
)
sizes = {
    "dense": ml.ModelConfig(n_experts=1, top_k=1, d_expert=128),
    "8 experts, top-2": ml.ModelConfig(),
    "32 finer, top-7, 1 shared": ml.ModelConfig(n_experts=32, top_k=7, d_expert=16, n_shared_experts=1),
    "Mixtral 8x7B": mixtral,
}
counts = torch.tensor([my_count(config, 128) for config in sizes.values()]).double() / 1e6  # (4, 3)
share = counts[:, 1] / counts[:, 0]
total, active, _ = (counts[-1] / 1e3).tolist()
print(f"Mixtral 8x7B: {total:.1f} billion in all, {active:.1f} billion active, {share[-1]:.0%}")
columns = ["total, millions", "active, millions", "million FLOPs per token"]
plots.table(counts, "four models", rows=[*sizes], columns=columns, right=("active / total", share))

# %% tags=["guess"]
my_guess.beside(billions_held=total, billions_used_per_token=active)

# %% tags=["holds"]
holds(
    "46.7 billion, 12.9 active, 28 %",
    (round(total, 1), round(active, 1), round(share[-1].item(), 2)) == (46.7, 12.9, 0.28),
)
holds("the three small ones do the same work, within 3 %", counts[:3, 2].max() < 1.03 * counts[:3, 2].min())
holds("the active share of our sparse models is well above a half", share[1:3].min() > 0.55)
_c = sizes["8 experts, top-2"]
_vocabulary = 2 * _c.vocab_size * _c.d_model / 1e6
holds("vocabulary 2048, D = 128", (_c.vocab_size, _c.d_model) == (2048, 128))
holds("0.52 of 0.92 million", (round(_vocabulary, 2), round(counts[1, 1].item(), 2)) == (0.52, 0.92))

# %% [markdown]
# **Answer.** Mixtral holds 46.7 billion parameters and uses 12.9 billion per token, which is 28 % of them. Memory has to hold the first
# number; the arithmetic follows the second. It does not hold 8 · 7 = 56 billion, because only the feed-forward parts exist eight times;
# attention and vocabulary exist once.
# <!-- evidence: 8 * 7 -->
#
# <!-- answered -->
# The first three rows do the same work per token, up to the routers. In our two sparse models the active share is well above a half. The
# reason is the vocabulary: its two matrices have 2 · 2,048 · 128 = 0.52 million parameters, more than half of the 0.92 million that work on a
# token. That is typical of small models, and it is one reason why results from them may not hold for large ones.
# <!-- evidence: 2 * 2048 * 128 / 10**6 -->

# %% [markdown]
# ## 5.4 Train it
#
# Now your parts come together in a whole model. `recall` fetches your functions of lessons 03 and 04, if they passed. In each sparse layer
# your router then chooses, your dispatch computes, and your four steps hold both together.
#
# `MoELanguageModel` takes such functions as arguments: `top_k_fn` and `dispatch_fn`, as in lessons 03 and 04, and `layer_fn` for the whole
# layer. It calls them in every block, with its own parameters.


# %%
my_route = recall("3.2", default=routing.top_k_route)
my_sparse = recall("4.4", default=dispatch.sparse_forward)
my_layer = mine("5.1", moe_layer, default=moe.moe_layer)


# %%
def build(n_experts, top_k, choose=my_route):
    """An untrained model with your parts in every block. With one expert it is dense, as in lesson 01."""
    width, _ = my_width(128, 128, n_experts, top_k, 0)  # dense: the dashboard gives top_k = 1, so the width is 128
    settings = ml.ModelConfig(n_experts=n_experts, top_k=top_k, d_expert=width)
    if settings.is_dense:
        return ml.MoELanguageModel(settings, seed=0)
    return ml.MoELanguageModel(settings, top_k_fn=choose, dispatch_fn=my_sparse, layer_fn=my_layer, seed=0)


counted = metrics.count_parameters(build(8, 2))
print(f"{counted.total:,} parameters, {counted.active:,} of them active")

# %% [markdown]
# Below is the dashboard. Start trains a model on all nine domains; each text comes from a domain drawn in proportion to the square root of
# its size. While it trains you can pause it, resume it or stop it. Drag the vertical line back to an earlier step to see every expert's
# load *at that time*; the slider under it does the same. The two sliders at the top set up the next model, and its curve is drawn beside
# the old one. The grey curve is recorded: a model of
# this size, the first 400 of its 1,000 steps.
#
# What the numbers mean: the pale curve shows single steps, and it jumps, because each step draws other texts (16 of 128 tokens, 2,048 in
# all). The strong one is the mean of ten steps, and so is the *training loss* above it. The circles and the *validation* line
# below are measured every 100 steps on a small part of the held-out text, with equal weight for all nine domains, so they lie at another
# height than the curve. The *balancing term* keeps the load even. The dashboard shows the term itself: 1 means an even
# load; a hundredth of it is added to the loss. Lesson 06 is about it. *Load entropy* is 1 where all experts get the same load, and 0 where one gets
# everything. An expert is *dead* if it gets less than 1 % of a fair share, over the last 20 steps.
# <!-- evidence: 16 * 128; 1 / 100 -->
#
# **Predict**, before you start: (1) The recorded training was below 6 nats after 40 steps. That is about the loss of a model that knows how
# frequent each token is, and nothing else (lesson 01). Will yours be about as fast? (2) How even is the load in the first steps, and how
# even at the end?

# %% tags=["widget"]
# budgeted: 400 steps, unless $MOE_LITE_BUDGET asks for a short test (ci) or a long run
settings = ml.TrainConfig(steps=train.budgeted(ci=12, normal=400, long=2000), validate_every=100)
grey = {"8 experts, top-2": runs.recording("moe-8-top2")}
dashboard = TrainingDashboard(build, corpora, settings, n_experts=8, top_k=2, beside=grey)
dashboard

# %% [markdown]
# Press Start, or let the next cell do it. That cell waits for the end of your first training, which takes one to five minutes. Watch the
# dashboard above meanwhile: Pause, Stop and the sliders keep working while the cell waits.

# %%
if not dashboard.runs:  # you have not pressed Start
    dashboard.start()
run = dashboard.runs[0]
await run.live.done()  # the training runs in the background; wait here until it has ended
training = run.training  # its model, its optimizer, and where it is
sparse = training.model

# %% [markdown]
# The dashboard shows the last step now, unless you have dragged the line: then *follow* brings it back. The next cell compares the beginning with the end. The load is given in multiples of the fair share: 1 is a
# fair load, and 0 is an expert without a token.

# %%
logs = run.logs  # one record per step
below = next((log.step for log in logs if log.cross_entropy < 6), None)
print("first step with a loss below 6 nats:", below)
extremes = {}
for name, part in (("first 10 steps", logs[:10]), ("last 10 steps", logs[-10:])):
    load = torch.stack([log.load for log in part]).sum(dim=0)  # (L, E)
    multiples = metrics.fair_multiples(load)  # (L, E)
    extremes[f"fullest expert, {name}"] = multiples.amax(dim=1)  # (L,)
    extremes[f"emptiest expert, {name}"] = multiples.amin(dim=1)  # (L,)
layers = [f"layer {i}" for i in range(1, 5)]
plots.table(torch.stack([*extremes.values()]), "load, fair share = 1", rows=[*extremes], columns=layers)

# %% tags=["holds", "full"]
holds("below 6 nats in fewer than 60 steps", below < 60)
_recorded = dashboard.beside["8 experts, top-2"]
holds(
    "the recorded one after 40",
    next(_s for _s, _y in zip(_recorded.steps, _recorded.loss, strict=True) if _y < 6) == 40,
)
_first, _last = (
    (extremes[f"fullest expert, {part} 10 steps"], extremes[f"emptiest expert, {part} 10 steps"])
    for part in ("first", "last")
)
holds("layer 4, first steps: about twice the fair share, about a third", (
    1.7 < _first[0][3] < 2.2 and 0.25 < _first[1][3] < 0.4 and _first[0].argmax() == 3))  # fmt: skip
holds("end: in every layer the fullest gets over a quarter more than fair", _last[0].min() > 1.25)
holds("end: every expert has more than a quarter of its fair share", _last[1].min() > 0.25)
holds("no layer is as uneven at the end as layer 4 was at first", _last[0].max() < _first[0][3])

# %% [markdown]
# **Answer.** (1) Yes: the loss falls below 6 nats in fewer than 60 of the 400 steps, as in lesson 01.
#
# (2) **The load is uneven from the first steps to the last, but every expert works.** In layer 4, one expert gets about twice its fair share
# in the first ten steps, and another one about a third. Random weights do not make an even router: equal tokens have equal vectors, so they
# go to the same expert.
#
# At the end the load is still uneven. In every layer the fullest expert gets over a quarter more than its fair share. But no layer is as
# uneven as layer 4 was at first, and no expert has died: each has more than a quarter of its share. Lesson 06 shows what the balancing term
# has to do with that.
#
# <!-- answered -->
# So the training that section 5.0 doubted does work, at least in this sense: the loss falls, and every expert gets tokens. Section 5.7 asks
# whether the routers have learned anything.
#
# Now the dense model, on the same texts in the same order. It does the same work per token, with one feed-forward network per block in place
# of eight smaller ones. This takes as long again.
#
# **Predict:** which of the two has the lower loss at the end, and by how much?

# %% tags=["widget"]
grey = {run.name: run}
dense_dashboard = TrainingDashboard(build, corpora, settings, n_experts=1, beside=grey)
run = dense_dashboard.start()
dense_dashboard

# %% [markdown]
# The grey curve is your mixture's. The next cell waits for the end of this training and measures both models on held-out text.

# %%
await run.done()
dense = dense_dashboard.model
windows = train.budgeted(ci=1, normal=16, long=64)  # of 256 tokens, from each domain
measured = {
    name: evaluate.evaluate(model, corpora, max_windows=windows)
    for name, model in (("dense", dense), ("yours", sparse))
}
losses = torch.tensor([[*m.loss.values(), m.mean_loss] for m in measured.values()])  # (2, domains + 1)
losses = torch.cat([losses, losses[1:] - losses[:1]])  # (3, domains + 1)
columns = [*measured["dense"].loss, "mean"]
plots.table(losses, "validation loss, nats per token", rows=[*measured, "yours − dense"], columns=columns)

# %% tags=["holds", "full"]
_difference = losses[2]  # (domains + 1,)
holds("the mean differs by less than a twentieth of a nat", _difference[-1].abs() < 0.05)
holds("yours is better in some domains and worse in others", _difference[:-1].min() < 0 < _difference[:-1].max())

# %% [markdown]
# **Answer.** After 400 steps there is no winner. The means differ by less than a twentieth of a nat, and your model is better in some domains
# and worse in others.
#
# <!-- answered -->
# Time is measured separately. The next cell runs one step of each model in turn (forward and backward, without changing any weight), so that
# whatever else your machine does slows down both. The quotient of the two times is taken in every round, and the last column shows its
# median.
#
# **Predict:** which of the two is faster, in seconds per step?

# %%
batch = data.sample_batch(corpora, 16, 128, torch.Generator().manual_seed(0))


def one_step(model):
    model(batch.ids, batch.targets).loss.backward()
    model.zero_grad()


works = {"dense": lambda: one_step(dense), "yours": lambda: one_step(sparse)}
times = timing.interleaved(works, rounds=train.budgeted(ci=1, normal=9, long=25))
quotient = times["yours"].over(times["dense"]).median
milliseconds = torch.tensor([[1e3 * times[name].median for name in works]])  # (1, 2)
plots.table(
    milliseconds,
    "one step, milliseconds",
    rows=["median"],
    columns=works,
    right=("yours / dense", torch.tensor([quotient])),
)

# %% tags=["holds", "full"]
holds("a step of the mixture takes longer", quotient > 1)

# %% [markdown]
# **Answer.** The dense model trains faster: a step of the mixture takes longer, although both do the same arithmetic. Lesson 04
# showed why. Rows have to be sorted and copied, and eight small products are slower than one large one.
#
# **Takeaway: at equal work, the mixture costs more parameters and more time, and after this short training it has gained nothing yet.**
#
# <!-- answered -->
# But this is one training of each, with one seed, one learning rate and a few hundred steps. With another seed both losses move. How far?
# That decides whether a difference of this size means anything.

# %% [markdown]
# ## 5.5 Three seeds, and a rate for each
#
# Many comparisons on the web stop where we stopped: one run of each model. A better experiment takes more time, so it is recorded for you.
# There are four models. Each was trained on 2 million tokens, more than twice as many as yours, and with three seeds. For each model the
# learning rates 0.001, 0.002 and 0.004 were tried on one seed, and the best one was used for all. Where 0.004 was the best, 0.008 was tried,
# too, so no best rate lies at the edge of those tried.
# <!-- evidence: data/runs/summary.json moe-8-top2.tokens / 1e6; 1 / 1000; 2 / 1000; 4 / 1000; 8 / 1000 -->
#
# You know three of the models from 5.3. The fourth is dense and has as many parameters *in all* as the mixture with eight experts, so it
# does far more work per token.
#
# **Predict:** order the four by their final loss.

# %%
names = ["dense-equal-active", "moe-8-top2", "moe-32-shared", "dense-equal-total"]
recorded = [runs.recording(name) for name in names]
for r in recorded:
    more_work = r.flops_per_token / recorded[0].flops_per_token
    print(f"{r.title}: mean loss {sum(r.losses) / 3:.3f}, {more_work:.2f} times the FLOPs of the first")
rows = [[r.flops_per_token / 1e6, r.parameters["total"] / 1e6, r.lr * 1e3, *r.losses] for r in recorded]
columns = ["million FLOPs per token", "million parameters", "learning rate, 1e-3", "seed 0", "seed 1", "seed 2"]
plots.table(torch.tensor(rows), "final validation loss of each seed", rows=[r.title for r in recorded], columns=columns)

# %% tags=["holds"]
_tried = [[*_r.learning_rates] for _r in recorded]
holds("0.001, 0.002, 0.004, and 0.008 where 0.004 was best", all(
    _rates == [0.001, 0.002, 0.004] + [0.008] * (_r.lr == 0.004) for _r, _rates in zip(recorded, _tried, strict=True)))  # fmt: skip
holds("no best rate at the edge", all(
    min(_rates) < _r.lr < max(_rates) for _r, _rates in zip(recorded, _tried, strict=True)))  # fmt: skip

# %% tags=["figure"]
plots.recorded(recorded, last=0.6)

# %% tags=["holds"]
_dense_active, _eight, _finer, _dense_total = (sum(_r.losses) / 3 for _r in recorded)
holds("finer, dense with equal total, eight, dense with equal active", _finer < _dense_total < _eight < _dense_active)
holds(
    "both mixtures end below the dense model in every seed",
    all(_m < _d for _r in recorded[1:3] for _m, _d in zip(_r.losses, recorded[0].losses, strict=True)),
)
holds("1.75 times the FLOPs", round(recorded[3].flops_per_token / recorded[0].flops_per_token, 2) == 1.75)
holds(
    "the curves lie higher than the table, by a few hundredths",
    all(0.01 < _run.validation[-1] - _run.loss < 0.06 for _r in recorded for _run in _r.runs),
)

# %% [markdown]
# **Answer.** The finer experts are first with a mean of 2.807 nats, then the dense model with as many parameters in all (2.826), then the
# eight experts (2.869), then the dense model that does the same work per token (2.919). Both mixtures end below that last one in every seed.
# The dense model with as many parameters in all spends 1.75 times the FLOPs on every token.
# <!-- evidence: data/runs/summary.json moe-8-top2.loss.mean; data/runs/summary.json dense-equal-active.loss.mean;
# data/runs/summary.json moe-32-shared.loss.mean; data/runs/summary.json dense-equal-total.loss.mean;
# data/runs/summary.json dense-equal-total.flops_per_token / data/runs/summary.json dense-equal-active.flops_per_token -->
#
# <!-- answered -->
# In the figure, grey bands go from the worst seed to the best. Its curves lie a few hundredths higher than the table, because they were
# measured during the training on a part of the held-out text. The table was measured at the end, on all of it.

# %% [markdown]
# ### How sure are these differences?
#
# One seed fixes the texts and their order for all models. If a seed draws easy texts, all models benefit. So compare the models *seed by
# seed*: take the difference within each seed, and look at how much the three differences vary.
#
# To judge three differences one computes a 95 % interval: their mean ± t · s / √3. Here s is their standard deviation, and t = 4.3 comes from
# a table for three values (Student's t). Suppose the differences between seeds are normally distributed. Then about 95 of 100 intervals
# computed in this way contain the true difference.
# <!-- evidence: 1 - 1 / 20; 5 * 20 -->
#
# **Before you run it:** if the interval of a difference contains 0, what may you conclude? And is the lead of the eight experts over the
# dense model (equal active) safe from that?

# %%
dense_active, eight, finer, dense_total = recorded
leads = torch.tensor(runs.differences(eight, dense_active))  # (3,) one per seed
mean, half = leads.mean(), runs.T_975[2] * leads.std() / 3**0.5
print("8 experts − dense, seed by seed:", [round(lead, 3) for lead in leads.tolist()])
print(f"t = {runs.T_975[2]}: {mean:.2f} ± {half:.2f}, so from {mean - half:.2f} to {mean + half:.2f}")

# %% [markdown]
# The same for five pairs of models, by the package's `runs.interval`. Below 0, the model named first is better. An open dot marks an interval
# that contains 0.

# %%
pairs = {
    "8 experts − dense, equal active": (eight, dense_active),
    "32 finer − dense, equal active": (finer, dense_active),
    "32 finer − 8 experts": (finer, eight),
    "dense, equal total − dense, equal active": (dense_total, dense_active),
    "32 finer − dense, equal total": (finer, dense_total),
}
found = [runs.interval(runs.differences(*pair)) for pair in pairs.values()]
values = torch.tensor([[lead.mean, lead.low, lead.high] for lead in found])  # (5, 3)
print(f"32 finer: {finer.flops_per_token / dense_total.flops_per_token:.0%} of the FLOPs of dense, equal total")
plots.intervals(values, "difference of the final losses, nats per token: mean and 95 % interval", rows=[*pairs])

# %% tags=["holds"]
holds("eight experts lead by 0.05, the interval stays below 0", round(found[0].mean, 2) == -0.05 and found[0].high < 0)
holds("the finer ones by 0.11, the interval stays below 0", round(found[1].mean, 2) == -0.11 and found[1].high < 0)
holds("and over the eight by 0.06, below 0, too", round(found[2].mean, 2) == -0.06 and found[2].high < 0)
holds("dense with equal total leads too", found[3].high < 0)
holds("finer against dense, equal total: contains 0", found[4].low < 0 < found[4].high)
holds("the finer ones do less than 60 % of its work", finer.flops_per_token < 0.6 * dense_total.flops_per_token)
holds("by hand and runs.interval agree", abs(mean + half - found[0].high) < 1e-4)

# %% [markdown]
# **Answer.** If the interval contains 0, three seeds cannot tell which of the two is better. The lead of the eight experts is safe from that:
# 0.05 nats, and the interval stays below 0.
#
# **Takeaway: at equal work per token, both mixtures beat the dense model; the eight experts by little, the finer ones by more.**
#
# - *Eight experts* lead by 0.05 nats.
# - *32 finer ones* lead by 0.11. Compared with the eight experts, seed by seed, they lead by 0.06, and that interval stays below 0, too.
# - *The dense model with equal total parameters* leads as well. It does more work per token, so that is no surprise.
# - *The finer experts against that larger dense model:* the interval contains 0. Three seeds cannot tell which is better. But the mixture
#   does less than 60 % of the work.
#
# <!-- answered -->
# A lead in nats says little to somebody who pays for the training. Ask it the other way round: what part of its training did each mixture
# need to reach the dense model's final loss? (The dense model is the one of equal active parameters. The losses of a training were measured
# at 20 points, so the answers come in steps of 5 %.)


# %%
def share_needed(model):
    """Percent of its tokens until its validation curve was where the dense model's ended, seed by seed."""
    ends = [run.validation[-1] for run in dense_active.runs]
    # tokens_to(end): the tokens after which the curve was first at the loss `end` or below it
    return [100 * run.tokens_to(end) / model.tokens for run, end in zip(model.runs, ends, strict=True)]


needed = torch.tensor([share_needed(eight), share_needed(finer)])  # (2, 3)
plots.table(
    needed, "% of the training tokens needed", rows=[eight.title, finer.title], columns=["seed 0", "seed 1", "seed 2"]
)

# %% tags=["holds"]
holds("eight experts: 85 to 90 %", (needed[0].min().round(), needed[0].max().round()) == (85, 90))
holds("finer ones: 75 to 80 %", (needed[1].min().round(), needed[1].max().round()) == (75, 80))

# %% [markdown]
# The mixture of eight experts needed 85 to 90 % of the tokens, the finer one 75 to 80 %. That is what articles mean by "cheaper to train".
#
# To get from tokens to *time*, multiply by the quotient of your two step times in 5.4. Is the quotient above 1.18 on your machine? Then the
# mixture of eight experts would have saved no time at all there, because 0.85 · 1.18 is already 1. (The finer model's step was not timed.)
# <!-- evidence: 17 / 20; 20 / 17 -->
#
# **What this does not say:** that it holds for large models, for long training, or for other texts. It also does not say *why* the finer
# experts do so much better. They differ from the eight in several things at once: finer choice, more experts per token, a shared expert. A
# comparison that changes one of them at a time is planned for lessons 09 and 10.

# %% [markdown]
# ## 5.6 Broken on purpose: a router that does not look
#
# Could you tell from the loss that a router does nothing? Here is one that passes every test of shapes: two different experts for each token,
# weights that sum to 1. But it never looks at its scores. It always chooses the last two experts.
#
# **Predict:** does the model still learn? How much worse is its loss after 100 steps than that of a model whose router works? And what does
# its load look like?


# %% tags=["broken"]
def always_the_same(scores, k):
    """The last k experts for everyone, with equal weights."""
    n_tokens, n_experts = scores.shape
    return torch.full((n_tokens, k), 1 / k), torch.arange(n_experts - k, n_experts).expand(n_tokens, k)


def build_blind(n_experts, top_k):
    return build(n_experts, top_k, choose=always_the_same)


short = ml.TrainConfig(steps=train.budgeted(ci=8, normal=100, long=400))
blind = TrainingDashboard(build_blind, corpora, short)
run = blind.start()
blind

# %% [markdown]
# To judge this curve you need the same 100 steps with a router that looks. The next cell trains that model too, without a dashboard. Both
# trainings of this section together take one to four minutes.

# %%
await run.done()
looking = train.train(build(8, 2), corpora, short)
looking_logs = list(looking)  # each element is one step
rows = []
for model, last in ((looking.model, looking_logs[-1]), (blind.model, blind.runs[-1].logs[-1])):
    result = evaluate.evaluate(model, corpora, max_windows=windows)
    at_work = (metrics.fair_multiples(result.load) > 0.01).sum()  # not dead, of 32 experts in four layers
    rows.append([result.mean_loss, last.balance_loss, at_work])
columns = ["validation loss", "balancing term", "experts that work, of 32"]
plots.table(
    torch.tensor(rows), f"after {short.steps} steps", rows=["a router that looks", "the blind one"], columns=columns
)

# %% tags=["holds"]
holds("two experts work in each of four layers", rows[1][2] == 8)

# %% tags=["holds", "full"]
holds("all 32 work with a router that looks", rows[0][2] == 32)
holds("the blind one is worse, by about a tenth of a nat", 0.04 < rows[1][0] - rows[0][0] < 0.13)
holds("its balancing term is far below 1, the other one's near 1", rows[1][1] < 0.5 and 0.98 < rows[0][1] < 1.15)

# %% [markdown]
# **Answer.** It learns. Two experts that always work are a dense network, and a dense network learns. After 100 steps it is worse by about a
# tenth of a nat. The curve alone would not make you suspicious; the count of dead experts beside it does. Of the 32 experts in four layers
# only eight work, two per layer. You would have paid for all of them in memory.
#
# <!-- answered -->
# Look at the balancing term, too, because here it misleads. For each expert, multiply its share of the load by its mean score; add these up,
# and multiply by the number of experts. An even router gets 1. With the blind router the term is far below 1, which looks like an excellent
# balance. In truth it is so low because the two experts that get all tokens have small scores, and this router chooses them whatever their
# scores are. So do not read balance off the balancing term. Look at the loads.
# <!-- reasoned: without tokens an expert adds 0 to the sum, so the two mean scores are all that is left of it -->
#
# **Predict:** what does the check of exercise 3.2 say to this router?

# %%
verdict("3.2", always_the_same)

# %% tags=["holds"]
holds("it names the fault", "Every token gets the same experts" in repr(verdict("3.2", always_the_same)))

# %% [markdown]
# **Answer.** It names the fault: every token gets the same experts. That is why a check looks at values and not only at shapes.
#
# **Takeaway: the loss does not show whether a mixture uses its experts. Watch the loads.**

# %% [markdown]
# ## 5.7 Look into it
#
# What did the routers learn in your 400 steps? The next widget shows one text twice: with the experts of your trained model, and with those
# of the same model at step 0.
#
# **Predict, then look:** (1) At step 0, do neighbouring tokens share their first expert more often than two tokens drawn at random from the
# text? And after training? (2) After training, do the digits of the text go to one expert, and in which layer most?

# %% tags=["widget"]
before = build(8, 2)
steps = f"step {settings.steps}"
viewer = TokenViewer(
    sparse, domains=["python", "math"], before=before, names=("step 0", steps), source=f"your model · {steps}"
)
views = {f"both, layer {layer}": {"shown": "both", "layer": layer} for layer in (1, 4)}
viewer.suggest(views | {f"{steps} alone, layer 1": {"shown": "after", "layer": 1}})

# %% [markdown]
# Your eye finds patterns everywhere, so let us count, with first choices only. Each count needs something to compare with.
#
# - *Neighbours:* the share of tokens with the same first expert as the token before. To compare: the same share for two tokens drawn at
#   random. If the experts have the shares p of all tokens, it is the sum of p². (For p = ½ and ½ it is ½.)
# - *Digits:* the share that goes to the expert which most of them choose. To compare: the largest share among *all* tokens. Digits may go
#   together only because everything goes there.


# %%
ids = torch.tensor([data.encode(data.SAMPLES["python"] + data.SAMPLES["math"])])  # (1, T)
is_digit = torch.tensor([piece.strip().isdigit() for piece in data.token_pieces(ids[0].tolist())])  # (T,)


def shares(expert_ids):
    """Each expert's share of some tokens (n,) -> (E,)."""
    return expert_ids.bincount(minlength=8) / len(expert_ids)


# %%
rows = {}
for name, model in (("step 0", before), (steps, sparse)):
    first = torch.stack([layer.top_k[1][:, 0] for layer in model(ids).routing])  # (L, T) first choices
    rows[f"{name}: neighbours"] = (first[:, 1:] == first[:, :-1]).float().mean(dim=1)  # (L,)
    rows[f"{name}: two at random"] = torch.stack([shares(layer).square().sum() for layer in first])
    rows[f"{name}: digits"] = torch.stack([shares(layer[is_digit]).max() for layer in first])
    rows[f"{name}: all tokens"] = torch.stack([shares(layer).max() for layer in first])
plots.table(
    torch.stack([*rows.values()]),
    f"{ids.shape[1]} tokens, {is_digit.sum()} of them digits",
    rows=[*rows],
    columns=layers,
)

# %% tags=["holds"]
_more = rows["step 0: neighbours"] - rows["step 0: two at random"]
holds("step 0: less than a tenth apart in every layer, in layer 1 less often", _more.abs().max() < 0.1 and _more[0] < 0)
holds("layer 4: more than two thirds of the digits go to one expert", rows["step 0: digits"][3] > 2 / 3)
holds("which no expert has of all tokens: about a third at most", rows["step 0: all tokens"][3] < 0.36)

# %% tags=["holds", "full"]
_together = rows[f"{steps}: digits"] - rows[f"{steps}: all tokens"]
holds("layer 1: more than two thirds of the digits go to one expert", rows[f"{steps}: digits"][0] > 2 / 3)
holds("which no expert has of all tokens: not even half", rows[f"{steps}: all tokens"][0] < 0.5)
holds("most in layer 1", _together.argmax() == 0)
holds("before training it was less", rows["step 0: digits"][0] < rows[f"{steps}: digits"][0] - 0.1)
_closer = rows[f"{steps}: neighbours"] - rows[f"{steps}: two at random"]
holds("after training, layer 1: less than a tenth apart", _closer[0].abs() < 0.1)
holds("layer 4: more often, by more than a twentieth", _closer[3] > 0.05)
_apart = [float(rows[f"{_when}: digits"][3] - rows[f"{_when}: all tokens"][3]) for _when in ("step 0", steps)]
holds("layer 4: digits and all tokens nearer to each other than before", _apart[1] < _apart[0] - 0.05)

# %% [markdown]
# **Answer.** (1) Hardly. At step 0 the difference between neighbours and two tokens at random is less than a tenth in every layer, and in
# layer 1 neighbours share an expert *less* often. After training there is still hardly a difference in layer 1, but in layer 4 neighbours
# share an expert more often than two tokens at random, by more than a twentieth.
#
# (2) Yes, and most in layer 1. There more than two thirds of the digits go to one expert after training, while no expert has even half of all
# tokens. Before training it was clearly less.
#
# Layer 4 shows why you need the rows to compare with. Before training, more than two thirds of its digits already went to one expert, while no
# expert had more than about a third of all tokens. So random weights can bring digits together, too. After training, the two
# rows "step 400: digits" and "step 400: all tokens" lie nearer to each other than before: in this layer, training did not bring digits together.
#
# This is one text and one model. Whether experts specialise, and in what, is the question of lesson 08.
#
# <!-- answered -->
# Now let your model write. Each new token appears with the experts that made it. The bars at the side show how the load of the new tokens
# builds up, and ticks show the load of the prompt.
#
# **Predict:** the prompt is Python. Do the bars of the new tokens come to look like those of the prompt, or like the fair share?

# %% tags=["widget"]
viewer = GenerationViewer(sparse, "def area(r):\n    return", n_tokens=40, temperature=0.8)
viewer.run()

# %% [markdown]
# We measure it as in lesson 03: how much of the new tokens' load would have to move to match the prompt's, and how much to match the fair share?

# %%
made = viewer.generation
prompt_load, new_load = torch.tensor(made.prompt_load), torch.tensor(made.routing.load)  # (L, E), (L, E)
prompt_share = prompt_load / prompt_load.sum(dim=1, keepdim=True)  # (L, E)
new_share = new_load / new_load.sum(dim=1, keepdim=True)  # (L, E)
to_prompt = (new_share - prompt_share).abs().sum(dim=1) / 2  # (L,)
to_fair = (new_share - 1 / 8).abs().sum(dim=1) / 2  # (L,)
to_move = torch.stack([to_prompt, to_fair])  # (2, L)
plots.table(
    to_move,
    "share of the new tokens' load that would have to move",
    rows=["to match the prompt", "to match the fair share"],
    columns=layers,
)

# %% tags=["holds", "full"]
holds("in at least three of the four layers closer to the prompt", (to_prompt < to_fair).sum() >= 3)

# %% [markdown]
# **Answer.** Like the prompt: in at least three of the four layers the new tokens' load is closer to the prompt's than to the fair share. A
# likely reason is that the model goes on in Python, more or less, so its tokens need the experts that the prompt needed. Forty tokens are
# few, though: another seed in the widget may give a text for which one layer says otherwise.
#
# ## 5.8 Take it with you
#
# Two files keep your work. The first holds the trained model, its optimizer and the place in the training. `train.resume` and
# `python -m moe_lite.train --resume` go on from there, also after a restart.
#
# **Predict:** the file holds numbers and no code, so the package's layers will read it, without your functions. Will the loss be the same?

# %%
path = training.save(progress.path().with_name("lesson05.safetensors"))
again = checkpoint.load(path)
before_saving, after_loading = (evaluate.evaluate(model, corpora, max_windows=2).mean_loss for model in (sparse, again))
print(f"{path.stat().st_size / 1e6:.1f} MB; loss {before_saving:.4f}, after loading {after_loading:.4f}")

# %% tags=["holds"]
holds("the same loss", abs(before_saving - after_loading) < 1e-4)

# %% [markdown]
# **Answer.** The loss is the same in all digits shown. So your functions, where they were used, compute the
# same as the package's.
#
# <!-- answered -->
# The second file is `my_moe.py`, in the course's folder. It is a whole language model in one file, from text to text, and it does not import
# moe_lite. The course has been writing it for you: each function of yours that passed a check stands in it, and the package's function stands
# wherever yours is still missing. From this lesson on it is complete enough to train and to write.

# %%
program = ml.my_program()
program

# %% [markdown]
# The list says which parts are yours. To run the program, type `!{program.command}` in a new cell; or print `program.command`, and paste that
# line into a terminal. (With the course's Python active and in the course's folder, it is `python my_moe.py`.)
#
# It first prints its size. Then it trains on two of the texts, Shakespeare and dialogues, for one to several minutes, and prints its loss. At
# steps 1, 5 and 20 the package's loss stands beside its own: "equal to 1e-4" says that your functions compute the same as the package's. In
# the end it prints the load of each layer, and it continues the prompt "Customer:". In the author's run that was a half-sensible dialogue
# between a customer and an agent. `python my_moe.py --help` lists what you can change. Open the file in an editor and read it: you know every
# part by now, or will after lesson 07.
# <!-- reasoned: what the program prints; a test of the course runs it -->

# %% [markdown]
# ## 5.9 What popular articles say
#
# You can now judge three sentences that many articles print:
#
# 1. A mixture of experts matches a dense model with a fraction of the compute.
# 2. A mixture runs as fast as a dense model with as many parameters as it activates.
# 3. Only 10 to 25 % of the parameters are active.
#
# **Predict:** give each a verdict: true, true with conditions, misleading or false.

# %% tags=["diagram"]
ml.claims(lesson=5)

# %% tags=["holds"]
from moe_lite.course.ledger import read_ledger as _read_ledger

_rows = [_row for _row in _read_ledger() if 5 in _row.lessons]
holds(
    "three sentences, in the page's order",
    [_row.claim[:20] for _row in _rows] == ["A mixture of experts", "A mixture runs as fa", "Only 10 to 25 % of t"],
)
holds("the verdicts", [_row.verdict for _row in _rows] == ["true with conditions", "false", "misleading"])

# %% [markdown]
# **Answer.** The first is true with conditions: counted in FLOPs or in tokens, and against a dense model of equal *active* size. You saw 75
# to 90 % of the tokens. In time the eight experts save less than in tokens, because their step takes longer; the finer ones were not timed.
# The second is false: your own step took longer. The third is misleading, because models
# differ widely: Mixtral's 28 % lies above the range.
#
# ## Open task: count three published mixtures
#
# *30 to 60 minutes, without a check.* Engineers plan memory with numbers from model cards. The next cell holds the published settings of
# three models: [OLMoE-1B-7B](https://huggingface.co/allenai/OLMoE-1B-7B-0924), [Qwen3-30B-A3B](https://huggingface.co/Qwen/Qwen3-30B-A3B) and
# [DeepSeekMoE 16B](https://huggingface.co/deepseek-ai/deepseek-moe-16b-base). All have routers without a bias, two vocabulary matrices and
# SwiGLU experts. In the third model the first layer is dense, with width 10,944, and the other layers have two shared experts.
#
# Count each with your function. For one model both numbers agree with the model card. For the other two, something in the settings does not
# fit into a `ModelConfig`. Find out what, correct the count by hand, and say by how much each correction changes the total and the active
# number. Then answer two questions. Which of the three fits into 24 GB with 2 bytes per parameter? And what would Qwen's active number be if
# its card left out the input embedding, as [the card of gpt-oss does](https://arxiv.org/abs/2508.10925)?

# %%
columns = ("layers", "D", "heads", "kv_heads", "head_size", "experts", "top_k", "width", "shared", "vocabulary")
published = {
    "OLMoE-1B-7B": (16, 2048, 16, 16, 128, 64, 8, 1024, 0, 50_304),
    "Qwen3-30B-A3B": (48, 2048, 32, 4, 128, 128, 8, 768, 0, 151_936),
    "DeepSeekMoE 16B": (28, 2048, 16, 16, 128, 64, 6, 1408, 2, 102_400),
}
dense_first_layer = {"DeepSeekMoE 16B": 10_944}  # its width
billions = {"OLMoE-1B-7B": (6.9, 1.3), "Qwen3-30B-A3B": (30.5, 3.3), "DeepSeekMoE 16B": (16.4, 2.8)}  # total, active

# %% [markdown]
# <details><summary>What a good answer contains</summary>
#
# - *OLMoE agrees:* 6.92 and 1.28 billion.
# - *Qwen3's heads are larger than D / H.* `ModelConfig` takes D / H = 64 as the head size, and the model uses 128. The plain count gives
#   30.08 and 2.90 billion. Attention with heads of 128 adds 0.45 billion to both numbers: 30.53 and 3.35. For the total that is 1.5 %, for
#   the active number 16 %.
# - *DeepSeekMoE's first layer is dense.* The plain count gives 16.88 and 2.83 billion. One layer fewer has experts, which takes 0.50 billion
#   off the total: 16.38. The active number hardly changes, because the dense layer's width of 10,944 is close to that of eight experts of
#   1,408, which is 11,264.
# - *Memory.* At 2 bytes per parameter they need 14, 61 and 33 GB. Only OLMoE fits, and the active numbers do not help: every expert has to be
#   there.
# - *Conventions.* Without the input embedding (151,936 · 2,048 = 0.31 billion) Qwen3 has 3.04 billion active parameters. So "A3B" and 3.3
#   billion can both be right. Ask which convention a card uses before you compare two of them.
#   <!-- evidence: (16 * 64 * 3 * 2048 * 1024 + 2 * 50304 * 2048 + 16 * 4 * 2048 * 2048) / 10**9;
#   (16 * 8 * 3 * 2048 * 1024 + 2 * 50304 * 2048 + 16 * 4 * 2048 * 2048) / 10**9;
#   (48 * 128 * 3 * 2048 * 768 + 2 * 151936 * 2048 + 48 * 2 * 2048 * 36 * 64 + 48 * 128 * 2048) / 10**9;
#   (48 * 8 * 3 * 2048 * 768 + 2 * 151936 * 2048 + 48 * 2 * 2048 * 36 * 64 + 48 * 128 * 2048) / 10**9;
#   48 * 2 * 2048 * 36 * 64 / 10**9; 30.08 + 0.45; 2.90 + 0.45; 0.45 / 30.08; 0.45 / 2.90;
#   (28 * 66 * 3 * 2048 * 1408 + 2 * 102400 * 2048 + 28 * 4 * 2048 * 2048 + 28 * 64 * 2048) / 10**9;
#   (28 * 8 * 3 * 2048 * 1408 + 2 * 102400 * 2048 + 28 * 4 * 2048 * 2048 + 28 * 64 * 2048) / 10**9;
#   (66 * 3 * 2048 * 1408 + 64 * 2048 - 3 * 2048 * 10944) / 10**9; 16.88 - 0.50; 8 * 1408; 151936 * 2048 / 10**9;
#   3.35 - 0.31 -->
#
# </details>


# %% tags=["holds"]
def _plain_count(name):
    _layers, _d, _heads, _kv, _, _experts, _k, _width, _shared, _vocabulary = published[name]
    _config = ml.ModelConfig(
        vocab_size=_vocabulary, n_layers=_layers, d_model=_d, n_heads=_heads, n_kv_heads=_kv, d_expert=_width,
        n_experts=_experts, top_k=_k, n_shared_experts=_shared,
    )  # fmt: skip
    return metrics.count(_config, 1)[:2]


_olmoe, _qwen, _deepseek = (_plain_count(_name) for _name in published)
_in_billions = [[round(n / 1e9, 2) for n in counts_] for counts_ in (_olmoe, _qwen, _deepseek)]
holds("the plain counts", _in_billions == [[6.92, 1.28], [30.08, 2.9], [16.88, 2.83]])
_more_heads = 48 * 2 * 2048 * (32 + 4) * 64
_qwen_right = [n + _more_heads for n in _qwen]
holds("Qwen3 corrected", [round(n / 1e9, 2) for n in (*_qwen_right, _more_heads)] == [30.53, 3.35, 0.45])
holds(
    "1.5 % of the total, 16 % of the active",
    (round(_more_heads / _qwen[0], 3), round(_more_heads / _qwen[1], 2)) == (0.015, 0.16),
)
_expert, _dense = 3 * 2048 * 1408, 3 * 2048 * 10944
_deepseek_right = [_deepseek[0] - 66 * _expert - 64 * 2048 + _dense, _deepseek[1] - 8 * _expert - 64 * 2048 + _dense]
holds("DeepSeekMoE corrected", [round(n / 1e9, 2) for n in _deepseek_right] == [16.38, 2.83])
holds("14, 61 and 33 GB", [round(2 * n / 1e9) for n in (_olmoe[0], _qwen_right[0], _deepseek_right[0])] == [14, 61, 33])
holds("3.04 without the input embedding", round((_qwen_right[1] - 151936 * 2048) / 1e9, 2) == 3.04)

# %% [markdown]
# ## Now you know
#
# - A sparse layer is four steps: route, compute, add the shared expert, restore the shape. The block adds the residual.
# - At equal work, an expert is as wide as the dense network divided by the number of experts that work. The router comes on top.
# - All parameters must be in memory, and the active ones work: 46.7 and 12.9 billion in Mixtral.
# - At equal work per token, eight experts beat the dense model by 0.05 nats after 2 million tokens, and finer ones by 0.11: three seeds, one
#   size. A step of the eight experts takes longer.
# - A router that never looks trains without an error, and its loss looks fine at first. Watch the loads.
# - `python my_moe.py` trains and writes with your functions, without the course.
#
# In your training the balancing term kept all experts at work.
#
# <!-- next -->
