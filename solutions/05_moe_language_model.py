# %% [markdown]
# # 05 · The MoE language model
# *Part 1 — A model that uses a part of itself · about 75 minutes · three exercises*
#
# **Does it learn, and what did it cost?**
#
# You have a router and a dispatch. Here they become a layer, the layer becomes a language model, and the model is trained in front of you,
# beside a dense one that does the same work for every token. You can pause it, change it, start it again, and look into it at
# the end: same text, same experts, before and after.
#
# **Builds on** lessons [01](01_dense_baseline.ipynb), [03](03_router.ipynb) and [04](04_dispatch_and_combine.ipynb). What you wrote there is
# fetched where it passed; where not, the package's function stands in, and the page says so. In shape comments, B is batch, T time, N = B·T tokens,
# D width, F an expert's width, E experts, K experts a token.

# %% tags=["setup"]
import torch

import moe_lite as ml
from moe_lite import checkpoint, data, dispatch, evaluate, metrics, moe, plots, routing, runs, train
from moe_lite.checks import lesson05 as check, mine, progress, recall, verdict
from moe_lite.widgets import GenerationViewer, TokenViewer, TrainingDashboard

# %% tags=["diagram"]
ml.model_diagram(today=5)

# %% [markdown]
# ## 5.0 Before it has learned anything
#
# A model of the size that you are going to train: four layers, eight experts, two a token. Its weights are random. It can already write.
#
# **Predict:** what does it write? And what is its loss, if guessing blindly among 2,048 tokens costs log 2048 = 7.62 nats a token?
# <!-- evidence: len(data/tokenizer.json model.vocab); log(len(data/tokenizer.json model.vocab)) -->

# %%
corpora = data.load_corpora()
untrained = ml.MoELanguageModel(ml.ModelConfig(), seed=0)
prompt = torch.tensor([data.encode("The river")])  # (1, T)
generator = torch.Generator().manual_seed(0)
new = [int(token) for token, _ in untrained.generate(prompt, 24, generator=generator)]
print(repr("".join(data.token_pieces([*prompt[0].tolist(), *new]))))
print(f"loss {evaluate.evaluate(untrained, corpora, max_windows=2).mean_loss:.2f} nats a token")

# %% [markdown]
# Noise, at the price of blind guessing. Nothing in it knows a letter, and its routers prefer no expert for any reason. Attention, experts and
# routers all have to learn from one number, the loss, and at the same time: a router can only learn which expert is good at something once
# experts differ, and experts can only come to differ if routers send them different tokens. Whether that works out is not obvious at all.
# First, the layer.

# %% [markdown]
# ## 5.1 One layer, four steps
#
# A sparse layer gets a batch of texts (B, T, D). Its router wants it as it is and answers with a `Routing`: who goes where, with what weight.
# Experts want tokens in one long row (N, D), and that routing. Some models add a **shared expert**, a small network that every token passes
# through, beside the chosen ones. What comes out has the shape of what came in. The block around the layer adds the residual, not the layer.
#
# **By hand:** one text of three tokens of width 1, with values 1, 2 and 3. The router sends tokens 0 and 2 to expert 1, token 1 to expert 0, with
# weight 1. Expert 0 gives its input back, expert 1 gives ten times its input, the shared expert gives half of it. What is y?

# %%
x = torch.tensor([[[1.0], [2.0], [3.0]]])  # (B, T, D)
choice = routing.route(torch.tensor([[0.0, 9.0], [9.0, 0.0], [0.0, 9.0]]), 1, batch_shape=(1, 3))
print(choice.top_k[1].flatten().tolist(), choice.top_k[0].flatten().tolist())
factor = torch.tensor([1.0, 10.0])[choice.top_k[1]]  # (N, 1)
print("experts", (factor * x[0]).flatten().tolist(), "with shared", (factor * x[0] + 0.5 * x[0]).flatten().tolist())

# %% [markdown]
# 10.5, 3 and 31.5. The shared expert has no weight and no choice: it is a dense network that happens to stand here.

# %% [markdown] tags=["exercise"]
# ### Exercise 5.1 — the layer
# *8 minutes · core · about 5 lines*
#
# **Given** `x` (B, T, D) and three modules: `router`, called with `x`, returns a `Routing`; `experts`, called with the tokens in one row (N, D) and
# that routing, returns (N, D); `shared`, called with (N, D), returns (N, D), or is None. **Return** `y` (B, T, D) and `routing`, the router's answer. Each module is
# called once.
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
# These lines are what a paper means by "we replace the feed-forward network by a mixture-of-experts layer". Everything else of the
# transformer stays. In the package the same steps are `moe.MoELayer`, where one more stands between the first two: with a capacity limit, some tokens
# are dropped (lesson 07).
#
# ## 5.2 The same work
#
# To compare two models you have to hold something equal. Here: the work on a token. A dense SwiGLU of width 120 has three matrices, with
# 120 numbers for each of the D inputs. If two experts work on every token, each may be half as wide.
#
# **By hand:** a dense network of width 120; eight experts, three a token, and one shared of the same width. How wide is an expert? And how much work does the router
# add, with its one product of D numbers for each of eight experts, next to 3 · 120 products of D numbers?

# %%
active, dense_width, n_experts = 3 + 1, 120, 8
print(f"width {dense_width // active}, the router adds {n_experts / (3 * dense_width):.1%}")

# %% [markdown]
# The width D cancels: every product is as long as the token is wide. The router adds little, and it adds more where experts are many and narrow:
# with hundreds of them it would no longer be small change.

# %% [markdown] tags=["exercise"]
# ### Exercise 5.2 — how wide is an expert?
# *8 minutes · core · about 4 lines*
#
# **Given** ints `d_model`, `d_dense` (the width of the dense SwiGLU network), `n_experts`, `top_k`, `n_shared` (shared experts, as wide as the others). **Return**
# `d_expert`, an int: the widest experts whose active ones, `top_k` chosen and `n_shared` shared, do not cost more FLOPs a token than the dense network, router aside; and `ratio`, a float: the
# sparse layer's FLOPs a token, router included, over the dense network's.
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
# The next cell asks it for layers that all do the work of a dense network of width 128.
#
# **Predict:** where is the router's share largest?


# %%
my_width = mine("5.2", expert_width, default=metrics.expert_width)
shapes = {"4 experts, 2 a token": (4, 2), "8, 2": (8, 2), "16, 2": (16, 2), "32, 8": (32, 8), "128, 8": (128, 8)}
widths = [my_width(128, 128, n_experts, top_k, 0) for n_experts, top_k in shapes.values()]
plots.table(
    torch.tensor(widths), "as wide as 128, dense", rows=[*shapes], columns=["expert's width", "work over dense"]
)

# %% [markdown]
# With eight experts the router costs two hundredths more. With 128 narrow ones it costs a third: fine-grained experts are not free, and papers that
# count "active parameters" count this one, too, or should.

# %% [markdown]
# ## 5.3 What it holds, what it uses
#
# Three numbers describe the size of a sparse model: **total** parameters (what must be in memory), **active** parameters (what works on one token), and FLOPs a token.
# For a dense model the first two are the same.
#
# **By hand:** one layer, D = 10, four experts of width 5, one a token, and the router. How many parameters are in the layer, and how many work on a
# token?

# %%
d, width, n_experts, top_k = 10, 5, 4, 1
expert, router = 3 * d * width, n_experts * d
print(
    f"an expert {expert}, the router {router}; in all {n_experts * expert + router}, active {top_k * expert + router}"
)

# %% [markdown]
# An expert has 3 · 10 · 5 = 150 parameters, the router 4 · 10 = 40. The router's count in full, for every token: it has to score all experts to leave most
# of them out.

# %% [markdown] tags=["exercise"]
# ### Exercise 5.3 — count the model
# *15 minutes · core · about 10 lines*
#
# **Given** `config`, a `ModelConfig`, and `context`, the tokens to attend to. **Return** three ints: `total` and `active` parameters, and `flops`, the FLOPs
# of the forward pass for one token. Two vocabulary matrices of `vocab_size` × `d_model` (embedding and head); in each of `n_layers` blocks attention (query and out `d_model` × `n_heads`·`d_head`,
# key and value `d_model` × `n_kv_heads`·`d_head`), two norm vectors of `d_model`, and the feed-forward part: if `n_experts` is 1, one SwiGLU of width `d_expert`; else a router, `n_experts` of which `top_k` work, and `n_shared_experts` that
# always do. One norm vector at the end. FLOPs: 2 for each active number of a matrix; the embedding is a lookup and norms do not count; and
# 4 · `n_heads` · `d_head` · `context` for attention in each block.
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
# Now put real numbers through it. The first rows are models of this course: the dense one, yours to be, and one with 32 finer experts and a shared one. The last is Mixtral 8x7B,
# from its published configuration.
#
# **Predict:** "8x7B" has eight experts and uses two. How many billions does it hold, how many does it use?


# %%
my_count = mine("5.3", count_moe, default=metrics.count)
mixtral = ml.ModelConfig(vocab_size=32_000, n_layers=32, d_model=4096, n_heads=32, n_kv_heads=8, d_expert=14_336)
sizes = {
    "dense": ml.ModelConfig(n_experts=1, top_k=1, d_expert=128),
    "8 experts, top-2": ml.ModelConfig(),
    "32 finer, top-7, 1 shared": ml.ModelConfig(n_experts=32, top_k=7, d_expert=16, n_shared_experts=1),
    "Mixtral 8x7B": mixtral,
}
counts = torch.tensor([my_count(config, 256) for config in sizes.values()]).double() / 1e6  # (4, 3)
share = counts[:, 1] / counts[:, 0]
print(
    f"Mixtral 8x7B: {counts[-1, 0] / 1e3:.1f} billion in all, {counts[-1, 1] / 1e3:.1f} billion active, {share[-1]:.0%}"
)
columns = ["total, millions", "active, millions", "million FLOPs a token"]
plots.table(counts, "four models", rows=[*sizes], columns=columns, right=("active / total", share))

# %% [markdown]
# Mixtral holds 46.7 billion parameters, not 8 · 7 billion, because only the feed-forward parts are eightfold; and uses 12.9 billion, 28 % of them. In our small models
# the vocabulary is so large a part that the active share is well above a half. That is a property of small models, and one reason why what you are going to measure here
# may not hold for large ones.

# %% [markdown]
# ## 5.4 Train it
#
# Your parts come together. `recall` fetches what passed in lessons 03 and 04; your layer goes into every block. Each sparse layer is then: your router's choice, your
# dispatch, in your four steps.


# %%
def four_steps(x, router, experts, shared):
    return moe.MoELayer(router, experts, shared)(x)


my_route = recall("3.2", default=routing.top_k_route)
my_sparse = recall("4.4", default=dispatch.sparse_forward)
my_layer = mine("5.1", moe_layer, default=four_steps)


# %%
class MyLayer(moe.MoELayer):
    """The package's layer, its steps done by `my_layer`."""

    def forward(self, x, **options):
        return my_layer(x, lambda x: self.router(x, **options), self.experts, self.shared)


# %% [markdown]
# The class keeps the package's parameters and replaces what is done with them; `dispatch_fn` does the same for the experts. `build` makes a whole model: your width decides how wide its experts are, and your parts go into
# every block. With one expert it is the dense model of lesson 01.


# %%
def build(n_experts, top_k, choose=my_route):
    """A model with your parts in every block; dense if there is one expert."""
    width, _ = my_width(128, 128, n_experts, top_k, 0)
    settings = ml.ModelConfig(n_experts=n_experts, top_k=top_k, d_expert=width)
    if settings.is_dense:
        return ml.MoELanguageModel(settings, seed=0)
    model = ml.MoELanguageModel(settings, top_k_fn=choose, dispatch_fn=my_sparse, seed=0)
    for block in model.blocks:
        block.feed_forward = MyLayer(block.feed_forward.router, block.feed_forward.experts)
    return model


print(metrics.count_parameters(build(8, 2)))

# %% [markdown]
# Below is the dashboard. Start trains a model on all nine domains, a domain drawn in proportion to the square root of its size. While it trains you can pause it, resume it,
# stop it, and drag the line under the curve back to an earlier step to see the load of every expert *then*. The sliders choose the next model; starting it
# leaves the old curve in place. The training loss is smoothed a little, and it is that of the language model alone; the balancing term, a
# hundredth of which is added while training, stands beside it (lesson 06 is about that term).
#
# **Predict**, before you start: (1) after how many steps does the loss fall below what knowing each token's frequency alone gives (lesson 01: about 6 nats)? (2) At the start every
# expert gets about its fair share. Does that stay so while they learn?

# %% tags=["widget"]
settings = ml.TrainConfig(steps=train.budgeted(ci=12, normal=400, long=2000), validate_every=100)
dashboard = TrainingDashboard(build, corpora, settings, n_experts=8, top_k=2)
dashboard

# %% [markdown]
# Press Start, or let the next cell do it: it starts the training and waits for its end, so that *Run All* finds a trained model. Pause, Stop and the sliders answer
# while the cell waits.

# %%
run = dashboard.start()
await run.done()
training = dashboard.runs[-1].training  # model, optimizer, and where it is
sparse = training.model
dashboard.picture()

# %% [markdown]
# The loss falls below that of mere frequency early on. And the loads do not stay even: in some layers an expert gets well over its share, another less, and the balancing
# term keeps them from drifting far. Drag the line under the curve to see when that began.
#
# Now the dense one, on the same texts in the same order. It does the same work for a token, and has one feed-forward network a layer instead of eight smaller ones.
#
# **Predict:** which of the two has the lower loss at the end? By how much? And which one gets through more tokens a second?

# %%
run = dashboard.start(n_experts=1)
await run.done()
dense = dashboard.model
dashboard.picture()

# %%
windows = train.budgeted(ci=1, normal=16, long=64)  # of 256 tokens, from each domain
measured = {
    name: evaluate.evaluate(model, corpora, max_windows=windows)
    for name, model in (("dense", dense), ("yours", sparse))
}
losses = torch.tensor([[*m.loss.values(), m.mean_loss] for m in measured.values()])  # (2, domains + 1)
losses = torch.cat([losses, losses[1:] - losses[:1]])  # (3, domains + 1)
columns = [*measured["dense"].loss, "mean"]
plots.table(losses, "validation loss, nats a token", rows=[*measured, "difference"], columns=columns)

# %% [markdown]
# One training each. Whatever your difference is, remember how it came about: one seed, one learning rate, a few hundred steps. If you start again with another seed, both
# losses move. How far? That is what decides whether the difference means anything.

# %% [markdown]
# ## 5.5 Three seeds, and a rate for each
#
# So here are recorded runs: four models, more than twice as many steps as yours, three seeds each. For each model three learning rates were tried and the best one is used, with a
# schedule that ends where the training ends. Two of the models you know. One has 32 finer experts of which seven work, and a shared one. The fourth is dense with as many parameters
# *in all* as the eight experts have, so it does far more work on each token.
#
# **Predict:** order the four by their final loss.

# %%
names = ["dense-equal-active", "moe-8-top2", "moe-32-shared", "dense-equal-total"]
recorded = [runs.recording(name) for name in names]
found = [runs.interval(recording.losses) for recording in recorded]
rows = [[f.mean, f.low, f.high, r.flops_per_token / 1e6, r.lr * 1e3] for f, r in zip(found, recorded, strict=True)]
columns = ["mean", "95 % from", "to", "million FLOPs a token, rows of 128", "learning rate, 1e-3"]
plots.table(torch.tensor(rows), "final validation loss", rows=[r.title for r in recorded], columns=columns)

# %% tags=["figure"]
plots.recorded(recorded, last=0.6)

# %% [markdown]
# Grey bands go from the worst seed to the best. Both mixtures end below the dense model that does the same work: eight experts at 2.869 nats
# instead of 2.919, the finer ones at 2.807. The dense model with as many parameters in all ends at 2.826, and spends 1.75 times the FLOPs on every token.
# <!-- evidence: data/runs/summary.json moe-8-top2.loss.mean; data/runs/summary.json dense-equal-active.loss.mean;
# data/runs/summary.json moe-32-shared.loss.mean; data/runs/summary.json dense-equal-total.loss.mean;
# data/runs/summary.json dense-equal-total.flops_per_token / data/runs/summary.json dense-equal-active.flops_per_token -->
#
# How sure is that? A seed fixes the texts and their order, so the models can be compared **seed by seed**: what is easy about a seed is then easy for both.

# %%
dense_active, eight, finer, dense_total = recorded
pairs = {
    "8 experts − dense, equal active": (eight, dense_active),
    "32 finer − dense, equal active": (finer, dense_active),
    "dense, equal total − dense, equal active": (dense_total, dense_active),
    "32 finer − dense, equal total": (finer, dense_total),
}
leads = [runs.interval(runs.differences(*pair)) for pair in pairs.values()]
values = torch.tensor([[lead.mean, lead.low, lead.high] for lead in leads])  # (4, 3)
plots.table(values, "difference of the final losses", rows=[*pairs], columns=["mean", "95 % from", "to"])

# %% [markdown]
# Eight experts lead by 0.05 nats, and the interval stays below 0: a small lead, and with three seeds hardly to be explained by chance. The finer ones lead by
# 0.11. The last row reaches across 0: whether the finer experts beat the dense model that uses as many parameters, all of them for every token, three seeds
# cannot tell. They get there with little more than half of its FLOPs. In tokens: eight experts were where the dense model *ended* after 85 to 90 % of the training, the finer ones after 75 to 80 %. In seconds
# less is left of it, as the speeds in your dashboard say.
# <!-- evidence: data/runs/summary.json dense-equal-active.loss.mean - data/runs/summary.json moe-8-top2.loss.mean;
# data/runs/summary.json dense-equal-active.loss.mean - data/runs/summary.json moe-32-shared.loss.mean;
# data/runs/summary.json moe-8-top2.reached.0; data/runs/summary.json moe-32-shared.reached.0 -->
#
# What this does not say: that it holds for large models, for long training, or for other texts. Why finer experts do so much better here, with a shared one and seven
# a token, is a question with several candidates (finer choice, shared expert, weights spread over more experts). Lessons 09 and 10 take them apart.

# %% [markdown]
# ## 5.6 Broken on purpose: a router that does not look
#
# Here is a router that passes every test of shapes: two different experts for each token, weights that sum to 1. It always chooses the last two experts.
#
# **Predict:** does the model still learn? What does its loss say, and what does its load say?


# %% tags=["broken"]
def always_the_same(scores, k):
    """The last k experts for everyone, with equal weights."""
    n_tokens, n_experts = scores.shape
    return torch.full((n_tokens, k), 1 / k), torch.arange(n_experts - k, n_experts).expand(n_tokens, k)


short = ml.TrainConfig(steps=train.budgeted(ci=8, normal=100, long=400))
blind = TrainingDashboard(lambda n_experts, top_k: build(n_experts, top_k, choose=always_the_same), corpora, short)
blind

# %%
run = blind.start()
await run.done()
blind.picture()

# %% [markdown]
# It learns. Nothing in the loss curve looks wrong: two experts that always work are a dense network, and a dense network learns. The load tells: six of eight
# experts are dead in every layer. You would have paid for eight and trained two.
#
# **Predict:** what does the check of exercise 3.2 say to this router?

# %%
verdict("3.2", always_the_same)

# %% [markdown]
# A loss alone does not show whether a mixture is one. That is why the dashboard shows loads, and why a check looks at values and not at shapes.

# %% [markdown]
# ## 5.7 Look into it
#
# The model that you trained, and the same model at step 0: one text, both at once.
#
# **Predict, then look:** at step 0, do neighbouring tokens share an expert? After training, do tokens of one kind (digits, spaces and breaks, beginnings of words)
# go together? In which layer?

# %% tags=["widget"]
before = build(8, 2)
steps = f"step {settings.steps}"
TokenViewer(sparse, domains=["python", "math"], before=before, names=("step 0", steps), source=f"your model · {steps}")

# %% [markdown]
# Random routers send a token somewhere because of what its random vector happens to be, so equal tokens tend to go together from the start. What training adds can be seen where *different*
# tokens of one kind share an expert. Lesson 08 measures that instead of eyeing it.
#
# Now let it write. Each new token appears with the experts that made it, and the bars show how the shares build up.
#
# **Predict:** the prompt is Python. Do the bars of the new tokens come to look like those of the prompt, or like the fair share?

# %% tags=["widget"]
GenerationViewer(sparse, "def area(r):\n    return", n_tokens=40, temperature=0.8).run()

# %% [markdown]
# Keep it: the file holds your model, its optimizer and the place in the training, so that you can go on from here, also after a restart. `python -m moe_lite.train --resume` and
# `train.resume` read it.

# %%
path = training.save(progress.path().with_name("lesson05.safetensors"))
again = checkpoint.load(path)
before, after = (evaluate.evaluate(model, corpora, max_windows=2).loss for model in (sparse, again))
print(f"{path.stat().st_size / 1e6:.1f} MB, the same losses after loading: {before == after}")

# %% [markdown]
# Loaded back, it runs with the package's router, dispatch and layer, and gives the same losses: your parts are those of the field. What do the articles say about models like this one?
# **Predict** the verdicts.

# %%
ml.claims(lesson=5)

# %% [markdown]
# ## Now you know
#
# - A sparse layer is four steps: route, compute, add the shared expert, restore the shape. The block adds the residual.
# - At equal work an expert is as wide as the dense network over the number of experts that work; the router comes on top.
# - Total parameters must be kept, active ones work: 46.7 and 12.9 billion in Mixtral.
# - At the same work a token, eight experts beat the dense model by 0.05 nats after 2 million tokens, finer ones by 0.11: three seeds, one size.
# - A router that never looks trains without an error, and its loss looks well at first. Watch the loads.
#
# The balancing term kept your experts at work.
#
# <!-- next -->
