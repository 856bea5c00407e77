# %% [markdown]
# # 04 · Dispatch and combine
# *Part 1 — A model that uses a part of itself · about 75 minutes · four exercises and one stretch*
#
# **How does a sparse layer save work?**
#
# A router's choice says which few experts each token needs. It does not say how to compute them together: a processor wants large
# products of neighbouring rows, and tokens that chose the same expert stand anywhere. You write the two ways of bringing them
# together, see the permutation that one of them makes, and measure what each costs beside what it should cost.
#
# **Builds on** [lesson 03](03_router.ipynb): weights and expert numbers of each token. Nothing from another notebook has to be in
# memory. In shape comments, N is tokens, D the model's width, F an expert's, E experts, K experts a token.

# %% tags=["setup"]
import torch
import torch.nn.functional as F

from moe_lite import (
    checkpoint, claims, costs, data, dispatch, evaluate, experts, metrics, model_diagram, plots, timing, train,
)  # fmt: skip
from moe_lite.checks import lesson04 as check, mine
from moe_lite.widgets import DispatchView

# %% tags=["diagram"]
model_diagram(today=4)

# %% [markdown]
# ## 4.0 Two of sixteen: an eighth of the work?
#
# Lesson 03 ended with a cheat. To mix the experts' answers it computed *all* of them for *all* tokens, and multiplied most by zero.
# Here is that cheat once more, on the last layer of the shipped model with sixteen experts and two a token, and beside it the layer
# itself, which computes only what was chosen. The tokens are real: one stretch from each domain.

# %%
model = checkpoint.pretrained(16)
layer = model.blocks[-1].feed_forward
corpora = data.load_corpora()
batches = data.validation_batches(corpora, 256, max_windows=1)
seen = []
hook = layer.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].flatten(0, 1)))
for batch in batches.values():
    model(batch.ids)
hook.remove()
x = torch.cat(seen).detach()  # (N, D) what this layer gets to see


# %%
def all_on_all(x, weights, expert_ids, gate_up, down):
    """Every expert on every token, most of it multiplied by zero: x (N, D) -> (N, D)"""
    mix = torch.zeros(len(x), len(gate_up)).scatter(1, expert_ids, weights)  # (N, E)
    everyone = torch.stack([expert(x) for expert in dispatch.swiglu_calls(gate_up, down)])  # (E, N, D)
    return torch.einsum("ne,end->nd", mix, everyone)  # (N, D)


# %% [markdown]
# **Predict:** two of sixteen experts work for a token. The sparse layer should need about an eighth of the arithmetic. And of the
# time?

# %%
chosen = [tensor.detach() for tensor in layer.router(x).top_k]  # weights (N, K), expert_ids (N, K)
matrices = [layer.experts.gate_up.detach(), layer.experts.down.detach()]  # (E, 2F, D), (E, D, F)
works = {"all experts on all": lambda: all_on_all(x, *chosen, *matrices), "the sparse layer": lambda: layer(x[None])[0]}
with torch.no_grad():
    times = timing.interleaved(works, rounds=9)
for name, work in works.items():
    millions = metrics.counted_flops(work) / len(x) / 1e6
    print(f"{name}: {millions:.2f} million FLOPs a token, {1e3 * times[name].median:.1f} ms for {len(x):,} tokens")

# %% [markdown]
# The arithmetic falls as it should (the router adds a little). The time falls too, on most machines not quite as far. What stands
# between the two is this lesson: rows have to be found, copied together, computed in small pieces, and put back.

# %% [markdown]
# ## 4.1 One expert after the other
#
# The plain way: go through the experts, and let each compute the tokens that chose it.
#
# **By hand:** four tokens of width 1, with values 1, 2, 3 and 4. Three experts: one multiplies by 10, one by 100, one by 1,000.
# Which tokens does expert 1 compute, and with which weights do its answers count? What does each token receive?

# %%
toy_x = torch.tensor([[1.0], [2.0], [3.0], [4.0]])  # (N, D)
toy_experts = [lambda rows: 10 * rows, lambda rows: 100 * rows, lambda rows: 1000 * rows]
weights = torch.tensor([[0.5, 0.5], [0.75, 0.25], [1.0, 0.0], [0.5, 0.5]])  # (N, K)
expert_ids = torch.tensor([[0, 2], [1, 0], [0, 1], [1, 0]])  # (N, K)
for e in range(3):
    token, choice = (expert_ids == e).nonzero(as_tuple=True)  # (n,), (n,)
    print(
        f"expert {e}: tokens {token.tolist()}, as choice {choice.tolist()}, weights {weights[token, choice].tolist()}"
    )
one_by_one = [[weights[n, j] * toy_experts[expert_ids[n, j]](toy_x[n]) for j in range(2)] for n in range(4)]
print("token by token, choice by choice:", [sum(answers).item() for answers in one_by_one])

# %% [markdown]
# `nonzero` answers two questions at once: *which token* asks for this expert, and *as which of its choices*. The second is needed
# to find the weight: token 1 takes expert 1 as its first choice (0.75), token 2 as its second (0). The last line goes token by
# token instead: token 0 receives 0.5 · 10 + 0.5 · 1,000 = 505. It is right and slow: an expert is asked for one row at a time.
#
# One trap before you write it. Two experts answer for the same token, and both answers have to be *added* to its row.
#
# **Before you run it:** row 0 gets 1 added twice, in one statement. What does each way give?

# %%
first, second = torch.zeros(3), torch.zeros(3)
first[torch.tensor([0, 0])] += 1
second.index_add_(0, torch.tensor([0, 0]), torch.ones(2))
print("y[index] += 1:", first.tolist(), "  index_add_:", second.tolist())

# %% [markdown]
# `y[index] += …` reads, adds and writes back: where a row occurs twice, one of the two is lost without a word. Within *one* expert
# no token occurs twice, so the loop may use either. Sorted dispatch, later, may not.

# %% [markdown] tags=["exercise"]
# ### Exercise 4.1 — the loop
# *12 minutes · core · about 6 lines*
#
# **Given** `x` (N, D), `weights` (N, K), `expert_ids` (N, K), and `experts`, a list of E functions that turn (n, D) into (n, D).
# **Return** `y` (N, D): for each token the sum of its K experts' answers, each times its weight. Call an expert at most once, with
# its own tokens and no others. The gradient must reach `x` and `weights`.
# **Allowed:** a loop over experts, comparisons, `nonzero`, indexing, `index_add`.
#
# <!-- hints 4.1 -->


# %% tags=["stub"]
def moe_loop(x: torch.Tensor, weights: torch.Tensor, expert_ids: torch.Tensor, experts: list) -> torch.Tensor:
    """Each expert in turn, on the tokens that chose it.

    x (N, D), weights (N, K), expert_ids (N, K), experts: E functions (n, D) -> (n, D); returns y (N, D)
    """
    ### BEGIN SOLUTION
    y = torch.zeros_like(x)  # (N, D)
    for e, expert in enumerate(experts):
        token, choice = (expert_ids == e).nonzero(as_tuple=True)  # (n,), (n,)
        if len(token):
            answer = expert(x[token]) * weights[token, choice, None]  # (n, D)
            y = y.index_add(0, token, answer)
    return y
    ### END SOLUTION


# %% tags=["check"]
check.moe_loop(moe_loop)

# %% [markdown]
# On to real experts. `mine` hands out your loop if its check passes, and the package's if not. The layer's own routing of the
# tokens from
# 4.0 goes in. What comes out has to be what the cheat of 4.0 gives, and what the layer itself gives.
#
# **Predict:** how large are the differences, exactly 0 or a little more? And how far is the loop from itself, done with twice as
# many digits?

# %%
my_loop = mine("4.1", moe_loop, default=dispatch.moe_loop)
y = my_loop(x, *chosen, dispatch.swiglu_calls(*matrices))  # (N, D)
doubled = (x.double(), chosen[0].double(), chosen[1], dispatch.swiglu_calls(*(matrix.double() for matrix in matrices)))
others = {name: work().detach().view_as(y) for name, work in works.items()} | {"the loop in float64": my_loop(*doubled)}
for name, other in others.items():
    print(f"{name}: largest difference {(y - other).abs().max():.0e}, of values up to {y.abs().max():.1f}")

# %% [markdown]
# The first two may well be exactly 0: the same products, added expert by expert, and zeros in between change no sum. The third
# shows how far all of them are from the exact result: rounding, in the seventh digit. Code that adds in another order lands
# somewhere else within that. So when you compare ways to compute one thing, ask for *close*, and know how close.

# %% [markdown]
# ## 4.2 Sort once
#
# The loop looks at all N · K choices once for each expert, gathers that expert's rows, and scatters its answers. With sixteen
# experts that is sixteen searches, sixteen gathers and sixteen scatters. The other way looks once: **sort** the choices by expert.
# Then each expert's rows stand side by side, one contiguous slice an expert, and one gather and one scatter do for all.
#
# Sorting needs an address for every choice. Count them token by token: choice j of token n has **place** n · K + j, its index in
# `expert_ids.flatten()`.
#
# **By hand:** three tokens with two choices each have places 0 to 5. In which order do the places come when they are sorted by
# expert, and how many belong to each of five experts? How do you get from a place back to its token?

# %%
expert_ids = torch.tensor([[2, 0], [0, 3], [2, 3]])  # (N, K)
by_place = sorted((expert, place, place // 2) for place, expert in enumerate(expert_ids.flatten().tolist()))
table = torch.tensor(by_place).T  # (3, N·K)
print("places of each expert:", [expert_ids.flatten().tolist().count(e) for e in range(5)])
plots.table(table, "sorted by expert", rows=["expert", "place", "token"], columns=[f"row {i}" for i in range(6)])

# %% [markdown]
# Places 1 and 2 chose expert 0, places 0 and 4 expert 2, places 3 and 5 expert 3. Counts: 2, 0, 2, 2 and 0. An expert that nobody
# chose has a slice of length 0, and it must keep its 0 in the counts, or every later expert gets its neighbour's rows. And `place
# // K` is the token: that is all the bookkeeping there is.
#
# Within an expert the places rise. Sorting that keeps equals in their order is called **stable**; with it the same tokens give the
# same order on every machine, and sums are added in the same sequence.

# %% [markdown] tags=["exercise"]
# ### Exercise 4.2 — order and counts
# *10 minutes · core · about 4 lines*
#
# **Given** `expert_ids` (N, K) int64 and `n_experts`. **Return** `order` (N·K,) int64, the places (token n's choice j is place n·K
# + j) expert by expert and rising within an expert; and `counts` (E,) int64, how many places each expert has, zeros included.
# **Allowed:** `flatten`, sorting, `bincount`.
#
# <!-- hints 4.2 -->


# %% tags=["stub"]
def dispatch_order(expert_ids: torch.Tensor, n_experts: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Where each expert's rows come from, and how many it has.

    expert_ids (N, K) -> order (N·K,) int64, counts (E,) int64
    """
    ### BEGIN SOLUTION
    flat = expert_ids.flatten()  # (N·K,)
    order = flat.argsort(stable=True)  # (N·K,)
    counts = torch.bincount(flat, minlength=n_experts)  # (E,)
    return order, counts
    ### END SOLUTION


# %% tags=["check"]
check.dispatch_order(dispatch_order)

# %% [markdown]
# Here is the permutation that your function makes, for a short text and the trained models' own routing. Tokens stand above, sorted
# rows in the middle, and below them the tokens again. Focus a token and its paths stand out.
#
# **Predict, then move:** at top-k = 1, how many of the eight slices are empty? When you raise top-k, what happens to the rows in
# the middle, and to their order? And when you go from 8 experts to 16, does the number of rows change?

# %% tags=["widget"]
my_order = mine("4.2", dispatch_order, default=dispatch.dispatch_order)
shipped = {n: checkpoint.pretrained(n) for n in (4, 8, 16)}
DispatchView("def area(r): return 3.14 * r", models=shipped, n_experts=8, layer=1, top_k=2, order=my_order)

# %% [markdown]
# At top-k = 1 one slice stays empty, expert 3's. Each further choice adds N rows, and they go *between* the others, into the slices
# of their experts: the order is by expert first, not by choice. Rows are N · K, whatever E is: more experts cut the same rows into
# more and shorter slices. That is the saving in one picture. It is also the trouble: short slices make small products, and empty
# ones are experts that this text never uses.

# %% [markdown]
# ## 4.3 Put it back
#
# After the experts have worked, row i of their output answers place `order[i]`. The token is `order[i] // K`, the weight is the one
# at that place. Every token has K rows somewhere in the output, and gets their weighted sum.
#
# **By hand:** two tokens, K = 2, order 1, 2, 0, 3. The sorted rows came back as 10, 20, 30 and 40. Token 0 has weights 0.5 and 2,
# token 1 has weights 1 and 0.25. What does each receive?

# %%
out = torch.tensor([[10.0], [20.0], [30.0], [40.0]])  # (N·K, D)
order = torch.tensor([1, 2, 0, 3])  # (N·K,)
weights = torch.tensor([[0.5, 2.0], [1.0, 0.25]])  # (N, K)
rows = torch.stack([order, order // 2, weights.flatten()[order], out[:, 0]])  # (4, N·K)
names = ["place", "token", "weight", "answer"]
print("token 0:", 2.0 * 10 + 0.5 * 30, "  token 1:", 1.0 * 20 + 0.25 * 40)
plots.table(rows, "each sorted row", rows=names, columns=[f"row {i}" for i in range(4)])

# %% [markdown]
# Token 0 has the rows with answers 10 (weight 2) and 30 (weight 0.5): 35. Token 1 has 20 (weight 1) and 40 (weight 0.25): 30. Read
# the table's first line again: `order` tells for each sorted row where it came from, and everything else follows from the place.

# %% [markdown] tags=["exercise"]
# ### Exercise 4.3 — combine
# *10 minutes · core · about 4 lines*
#
# **Given** `out` (N·K, D), whose row i answers place `order[i]`; `order` (N·K,) int64; `weights` (N, K). **Return** `y` (N, D): for
# each token the sum of its K rows, each times its weight. The gradient must reach `out` and `weights`.
# **Allowed:** indexing, `//`, `index_add`, sorting, `view`, sums.
#
# <!-- hints 4.3 -->


# %% tags=["stub"]
def combine(out: torch.Tensor, order: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Sorted answers back to their tokens, weighted and summed.

    out (N·K, D), order (N·K,), weights (N, K) -> y (N, D)
    """
    ### BEGIN SOLUTION
    n_tokens, k = weights.shape
    weighted = out * weights.flatten()[order, None]  # (N·K, D)
    y = out.new_zeros(n_tokens, out.shape[1])  # (N, D)
    return y.index_add(0, order // k, weighted)
    ### END SOLUTION


# %% tags=["check"]
check.combine(combine)

# %% [markdown]
# ## 4.4 The whole way
#
# Sort, gather, compute slice by slice, put back. An expert here is a SwiGLU, as in lesson 01, and all experts' weights are stacked:
# `gate_up[e]` (2F, D) holds expert e's gate matrix above its up matrix, `down[e]` (D, F) leads back.
#
# **Before you write it:** which steps need a gradient? Sorting and counting have none: they decide *where* numbers go. Gathering,
# the experts and the sum have one, and PyTorch knows the way back for each of them.

# %% [markdown] tags=["exercise"]
# ### Exercise 4.4 — sorted dispatch
# *15 minutes · core · about 9 lines*
#
# **Given** `x` (N, D), `weights` (N, K), `expert_ids` (N, K), `gate_up` (E, 2F, D) whose first F rows are the gate, `down`
# (E, D, F).
# **Return** `y` (N, D), equal to the loop's in value and in all four gradients. Expert e computes down · (silu(gate · x) ⊙ (up · x))
# for its own rows only: N · K rows in all.
# **Allowed:** the steps of 4.2 and 4.3 written out (lesson 05 takes this function alone into its model), `index_select`, `split`,
# `unbind`, `F.linear`, `F.silu`, `chunk`, `torch.cat`.
#
# <!-- hints 4.4 -->


# %% tags=["stub"]
def sparse_forward(
    x: torch.Tensor, weights: torch.Tensor, expert_ids: torch.Tensor, gate_up: torch.Tensor, down: torch.Tensor
) -> torch.Tensor:
    """Sort by expert, compute one slice an expert, put back.

    x (N, D), weights (N, K), expert_ids (N, K), gate_up (E, 2F, D), down (E, D, F) -> y (N, D)
    """
    ### BEGIN SOLUTION
    flat = expert_ids.flatten()  # (N·K,)
    order = flat.argsort(stable=True)  # (N·K,)
    token = order // expert_ids.shape[1]  # (N·K,)
    sizes = torch.bincount(flat, minlength=len(gate_up)).tolist()  # E integers
    answers = []
    for rows, w_in, w_out in zip(x.index_select(0, token).split(sizes), gate_up.unbind(0), down.unbind(0), strict=True):
        gate, up = F.linear(rows, w_in).chunk(2, dim=-1)  # (n, F), (n, F)
        answers.append(F.linear(F.silu(gate) * up, w_out))  # (n, D)
    weighted = torch.cat(answers) * weights.flatten()[order, None]  # (N·K, D)
    return torch.zeros_like(x).index_add(0, token, weighted)  # (N, D)
    ### END SOLUTION


# %% tags=["check"]
check.sparse_forward(sparse_forward)

# %% [markdown]
# Values can agree while gradients do not, and training only ever sees gradients. The next cell sends a short text's routing through
# the layer's real experts both ways, and compares what comes back to the experts' matrices.
#
# **Predict:** the text has eleven or so tokens and sixteen experts to choose from. What gradient does an expert get that nobody
# chose?

# %%
my_sparse = mine("4.4", sparse_forward, default=dispatch.sparse_forward)
few, weights, expert_ids = x[:11], chosen[0][:11], chosen[1][:11]  # (N, D), (N, K), (N, K)
gate_up, down = (matrix.clone().requires_grad_() for matrix in matrices)
by_loop = my_loop(few, weights, expert_ids, dispatch.swiglu_calls(gate_up, down))  # (N, D)
by_sorting = my_sparse(few, weights, expert_ids, gate_up, down)  # (N, D)
norms = [torch.autograd.grad(y.square().sum(), gate_up)[0].flatten(1).norm(dim=1) for y in (by_loop, by_sorting)]
counts = torch.bincount(expert_ids.flatten(), minlength=16)  # (E,)
plots.table(torch.stack([counts, *norms]), "size of each expert's gradient", rows=["tokens", "loop", "sorted"])

# %% [markdown]
# The two rows of gradients agree. An expert without tokens gets exactly 0: nothing that it computes took part, so nothing tells it
# how to change. Keep this in mind for lesson 06, where experts die of it.

# %% [markdown]
# ## 4.5 What it costs
#
# Now measure. One layer with random weights, 1,024 tokens, width 128, experts of width 128; forward and backward together, as in
# training. The yardstick is a dense network of width K · 128, which does the same arithmetic for a token. Three ways and the
# yardstick take turns, seven rounds, and each way is divided by the yardstick *of the same round*: a slow moment of your machine
# then slows both. The sorted way is the package's, so that you and the text below see the same code; put `my_sparse` in its place
# when you have read on to 4.6.


# %%
def loop_over_matrices(x, weights, expert_ids, gate_up, down):
    """Your loop with the signature of the others."""
    return my_loop(x, weights, expert_ids, dispatch.swiglu_calls(gate_up, down))


ways = {"all on all": all_on_all, "loop": loop_over_matrices, "sorted": dispatch.sparse_forward}
size = {"n_tokens": train.budgeted(ci=128, normal=1024, long=1024), "width": 128}

# %% [markdown]
# **Predict:** two experts a token, and the number of experts doubles from 2 to 64. The FLOPs on the right: which curve rises, which
# stay flat? Then the time on the left: by what factor does each way slow down from 2 experts to 64?

# %% tags=["figure"]
by_experts = costs.compare(ways, {e: (e, 2) for e in (2, 4, 8, 16, 32, 64)}, **size)
plots.times(*by_experts, x="experts E, two a token")

# %% [markdown]
# Bars are quartiles over the rounds. Computing all on all grows with E, in arithmetic and in time. The two sparse ways do the same
# arithmetic at every E. In time the sorted way begins close to the dense network and rises as the same rows are cut into more and
# smaller products. The loop rises faster: it searches, gathers and scatters once for every expert.
#
# **Predict** the other direction: sixteen experts, and top-k from 1 to 16. The yardstick grows along: dense of width K · 128. Where
# do "all on all" and the sparse ways meet?

# %% tags=["figure"]
by_top_k = costs.compare(ways, {k: (16, k) for k in (1, 2, 4, 8, 16)}, **size)
plots.times(*by_top_k, x="experts a token K, of sixteen")

# %% [markdown]
# At K = E everything is chosen, and all three compute the same. From right to left the saving grows, in FLOPs exactly as E / K, in
# time less. So "two of sixteen experts" says what is *computed*. What it saves in seconds depends on how many tokens share an
# expert: on the batch. Lesson 12 comes back to that with a batch of one.

# %% [markdown]
# ## 4.6 Broken on purpose: the wrong slice, and the slow index
#
# Two mistakes that no shape reveals. The first: the choices are flattened the other way round, all first choices, then all second
# ones. It is a permutation, every row is computed once, and nothing crashes.
#
# **Predict:** what does the picture show, and what does it do to the loss when all layers of the model work this way?


# %% tags=["broken", "widget"]
def choices_first(expert_ids, n_experts):
    """Like dispatch_order, but places are counted choice by choice."""
    flat = expert_ids.T.flatten()  # (K·N,)
    return flat.argsort(stable=True), torch.bincount(flat, minlength=n_experts)


DispatchView("def area(r): return 3.14 * r", models=shipped, n_experts=8, layer=1, top_k=2, order=choices_first)

# %% [markdown]
# Framed rows stand in a slice of an expert that their token never chose. In the next cell every layer of the model with eight
# experts dispatches this way, through a small class that puts a function where the package's experts were.


# %%
class DispatchedBy(experts.Experts):
    """Experts whose tokens are sent by `forward_fn`, a function with the signature of `sparse_forward`."""

    def forward(self, x, routing, *, gate_on="output"):
        return self.forward_fn(x, *routing.top_k, self.gate_up, self.down)


def with_dispatch(model, forward_fn):
    """The same model, every sparse layer computed by `forward_fn`."""
    for block in model.blocks:
        block.feed_forward.experts.__class__ = DispatchedBy
        block.feed_forward.experts.forward_fn = forward_fn
    return model


# %%
def wrong_slices(x, weights, expert_ids, gate_up, down):
    order, counts = choices_first(expert_ids, len(gate_up))  # (N·K,), (E,)
    slices = x[order // expert_ids.shape[1]].split(counts.tolist())  # E of (n, D)
    answers = [expert(rows) for expert, rows in zip(dispatch.swiglu_calls(gate_up, down), slices, strict=True)]
    return dispatch.combine(torch.cat(answers), order, weights)


sent_wrong = with_dispatch(checkpoint.pretrained(8), wrong_slices)
losses = [evaluate.evaluate(m, corpora, max_windows=4).mean_loss for m in (checkpoint.pretrained(8), sent_wrong)]
guess = torch.tensor(2_048.0).log()
print(f"validation loss {losses[0]:.2f}, with rows in wrong slices {losses[1]:.2f}; all 2,048 tokens alike {guess:.2f}")

# %% [markdown]
# The loss says that something is wrong. The picture says what. How bad is it, by the way? A model that gives all 2,048 tokens of
# its vocabulary the same probability has a loss of log 2,048, about 7.62. Do not hope that training would mend it, either. Which
# slice a row lands in now depends on the choices of all *other* tokens of the batch, later ones too: the model could read in them
# what it is about to predict. Lesson 07 meets this again.
#
# The second mistake gives right numbers. In a loop over experts it is natural to write `gate_up[e]` for expert e's matrices.
# PyTorch then has to undo an indexing on the way back, and the gradient of `gate_up[e]` is a tensor as large as *all* experts'
# weights, zero but for one expert. With E experts, E such tensors are made and added.
#
# **Predict:** from 8 to 64 experts at the same work, by what factor does forward and backward slow down with `gate_up[e]`, and with
# `gate_up.unbind(0)`, which splits once?


# %%
def slice_by_slice(n_experts, pick):
    """Forward and backward of a few rows an expert, its matrices taken out by `pick(stack)`, a list of E."""
    (x, _, _, gate_up, down), _ = costs.random_layer(n_experts, 2, **size)
    parts = zip(x.split(len(x) // n_experts), pick(gate_up), pick(down), strict=True)
    sum(experts.swiglu(*part).sum() for part in parts).backward()


# %%
picks = {"gate_up[e]": lambda stack: [stack[e] for e in range(len(stack))], "unbind(0)": lambda stack: stack.unbind(0)}
works = {(name, e): lambda e=e, p=pick: slice_by_slice(e, p) for name, pick in picks.items() for e in (8, 64)}
measured = timing.interleaved(works, rounds=5)
table = torch.tensor([[1e3 * measured[name, e].median for e in (8, 64)] for name in picks])  # (2, 2)
plots.table(table, "milliseconds, median of 5", rows=[*picks], columns=["8 experts", "64 experts"])

# %% [markdown]
# Both rise: the same rows in 64 small products cost more than in 8. The indexed way rises further, and with 64 experts it takes two
# to three times as long as the other, for the same rows, the same arithmetic and the same results. No test of values finds this;
# only a clock does, or a look at what the backward pass has to build. It is found in published code, too. Is it in your answer to
# 4.4?

# %% [markdown]
# ## 4.7 One product for all (stretch)
#
# A graphics processor would rather do one large product than E small ones. For that all slices need the same length: as long as the
# fullest, and shorter ones are filled with zeros.
#
# **By hand:** sixteen rows for four experts, in slices of 7, 4, 3 and 2. How many rows are computed with padding, and how many of
# them are wasted? The answer is 4 · 7 = 28, so 12 rows are computed for nothing.

# %% [markdown] tags=["exercise"]
# ### Exercise 4.5 — padded dispatch
# *15 minutes · stretch · about 10 lines*
#
# **Given** `x` (N, D), `weights` (N, K), `expert_ids` (N, K), `gate_up` (E, 2F, D), `down` (E, D, F), as in 4.4. **Return**
# `y` (N, D), the same as in 4.4, and `n_rows`, an int: the rows computed, E times the largest count. Use one batched product for all gates
# and ups, and one for all downs.
# **Allowed:** everything from 4.4, `new_zeros`, `index_put` or indexed assignment, `@` on (E, n, D) tensors, `cumsum`.
#
# <!-- hints 4.5 -->


# %% tags=["stub"]
def padded_forward(
    x: torch.Tensor, weights: torch.Tensor, expert_ids: torch.Tensor, gate_up: torch.Tensor, down: torch.Tensor
) -> tuple[torch.Tensor, int]:
    """Every expert computes as many rows as the fullest one; what is padding is thrown away.

    x (N, D), weights (N, K), expert_ids (N, K), gate_up (E, 2F, D), down (E, D, F) -> y (N, D), n_rows
    """
    ### BEGIN SOLUTION
    flat, k = expert_ids.flatten(), expert_ids.shape[1]  # (N·K,)
    order, counts = flat.argsort(stable=True), torch.bincount(flat, minlength=len(gate_up))  # (N·K,), (E,)
    longest = int(counts.max())
    expert, start = flat[order], counts.cumsum(0) - counts  # (N·K,), (E,)
    place = torch.arange(len(order)) - start[expert]  # (N·K,) row in the expert's own block
    block = x.new_zeros(len(gate_up), longest, x.shape[1])  # (E, longest, D)
    block = block.index_put((expert, place), x[order // k])
    gate, up = (block @ gate_up.mT).chunk(2, dim=-1)  # (E, longest, F), (E, longest, F)
    out = ((F.silu(gate) * up) @ down.mT)[expert, place] * weights.flatten()[order, None]  # (N·K, D)
    return torch.zeros_like(x).index_add(0, order // k, out), len(gate_up) * longest
    ### END SOLUTION


# %% tags=["check"]
check.padded_forward(padded_forward)

# %% [markdown]
# How much is wasted on real tokens? **Predict:** in which of the four layers of the model with sixteen experts is the fullest
# expert furthest above the average?

# %%
with torch.no_grad():
    loads = sum(torch.stack([r.load for r in model(batch.ids).routing]) for batch in batches.values())  # (L, E)
padded = loads.max(dim=1).values * 16  # (L,)
waste = torch.stack([loads.sum(dim=1) / 1e3, padded / 1e3, padded / loads.sum(dim=1)])  # (3, L)
names = ["rows needed, thousands", "rows with padding, thousands", "padded over needed"]
plots.table(waste, "sixteen experts, two a token", rows=names, columns=[f"layer {i}" for i in (1, 2, 3, 4)])

# %% [markdown]
# Padding to the fullest expert computes well above what is needed, in every layer, although these models were trained to spread
# their tokens. The first large sparse models drew a line instead: an expert takes a fixed number of tokens, its **capacity**, and
# what comes after that is dropped. What it does to the dropped ones is the subject of lesson 07.

# %% [markdown]
# ## 4.8 Your dispatch in the real model
#
# Every layer of the shipped model with eight experts, computed by `my_sparse`: yours, if it passed. **Predict** its loss. Then
# three sentences of popular articles that touch on this lesson. **Predict** their verdicts (true, true with conditions, false):
#
# 1. The chosen experts' answers are added, each times the router's weight.
# 2. With two of eight experts at work, three quarters of the computing is saved.
# 3. A mixture runs as fast as a dense model with as many parameters as it activates.

# %%
yours = with_dispatch(checkpoint.pretrained(8), my_sparse)
loss = [evaluate.evaluate(m, corpora, max_windows=4).mean_loss for m in (yours, checkpoint.pretrained(8))]
print(f"validation loss {loss[0]:.4f} with my_sparse, {loss[1]:.4f} as shipped")

# %%
claims(lesson=4)

# %% [markdown]
# The same loss: what you wrote is a sparse layer.
#
# ## Now you know
#
# - The loop lets each expert search for its tokens; sorted dispatch sorts the choices once and gives every expert one contiguous slice.
# - A place is n · K + j; `order // K` is the token, `order` finds the weight, counts keep their zeros.
# - Both ways do N · K rows of work, whatever E is; all experts on all tokens do N · E.
# - FLOPs fall as K / E; time falls less, because slices get short, and rows must be moved.
# - A wrong permutation has right shapes, and a slow index has right numbers: look at pictures, gradients and clocks, too.
#
# The parts are there: attention, router, dispatch, experts. Put together, they are a sparse language model.
#
# <!-- next -->
