# %% [markdown]
# # 04 · Dispatch and combine
# *Part 1 — A model that uses a part of itself · about 100 minutes · four exercises and one stretch*
#
# **How does a sparse layer save work?**

# %% tags=["opening"]
import torch

from moe_lite import checkpoint, data, plots

text = "The king said nothing, and the old man left. def add(a, b): return a + b"
ids = torch.tensor([data.encode(text)])  # (1, T)
with torch.no_grad():
    routings = checkpoint.pretrained(16)(ids).routing  # one for each layer
chosen = {f"layer {i + 1}": routings[i].top_k[1] for i in (0, 3)}  # (T, K) expert numbers
works = {layer: torch.zeros(ids.numel(), 16).scatter(1, experts, 1.0) for layer, experts in chosen.items()}
plots.strips(works, ids.numel(), "one row per expert, one column per token: filled where it works", "tokens")

# %% [markdown]
# A model with sixteen experts reads a sentence and a line of Python. Each token uses two experts per layer. Everything empty is work that nobody asked for.
#
# A router says which few experts each token needs. It does not say how to compute them together. A processor is fast at large
# products of neighbouring rows, but the tokens that chose the same expert are scattered over the whole text. So a layer has to
# collect each expert's tokens, compute them, and bring the answers back. If it does this badly, the saving is gone: one user of
# a fast MoE library [reported](https://github.com/databricks/megablocks/issues/166) that a mixture with 8 of 48 experts per token
# trained more slowly than a dense model of corresponding size.
#
# You will write the two usual ways of doing it, see the permutation that one of them makes, and measure what each costs.
#
# **Builds on** [lesson 03](03_router.ipynb): the weights and expert numbers of each token. Nothing from another notebook has to be
# in memory. In shape comments, N is the number of tokens, D the model's width, F an expert's width, E the number of experts, and
# K the number of experts per token.

# %% tags=["diagram"]
from moe_lite import lesson_header

lesson_header(today=4)

# %% tags=["setup"]
import torch
import torch.nn.functional as F

from moe_lite import checkpoint, claims, costs, data, dispatch, evaluate, experts
from moe_lite import guess, metrics, plots, timing, train
from moe_lite.checks import lesson04 as check, mine
from moe_lite.widgets import DispatchView

# %% [markdown]
# ## 4.0 Two of sixteen: an eighth of the work?
#
# To **dispatch** tokens is to send each one to the experts that its router chose. To **combine** is to bring the experts' answers back and to
# add them up, each times its weight. Between the two, only chosen experts compute.
#
# Two more words stand on every page about this. To **gather** is to copy values *out of* a tensor, from the positions that an
# index lists. To **scatter** is the way back: to write values *into* a tensor, at the positions that an index lists. You will meet
# both in two forms. The first moves single numbers. Here are three tokens and four experts, with two choices per token:
#
# ```
# expert_ids      weights             torch.zeros(3, 4).scatter(1, expert_ids, weights)
#
#                                     expert     0     1     2     3
# [[2, 0],        [[0.7, 0.3],   →    token 0   0.3    0    0.7    0
#  [1, 3],         [0.6, 0.4],        token 1    0    0.6    0    0.4
#  [2, 3]]         [0.9, 0.1]]        token 2    0     0    0.9   0.1
# ```
#
# `scatter(1, …)` means: stay in the row, and let the index name the column. Token 0's first weight, 0.7, belongs to expert 2, so it
# is written into column 2 of row 0.
#
# **Before you run it:** what does `gather` with the same index read from the matrix on the right?

# %%
few_weights = torch.tensor([[0.7, 0.3], [0.6, 0.4], [0.9, 0.1]])  # (N, K)
few_ids = torch.tensor([[2, 0], [1, 3], [2, 3]])  # (N, K)
spread = torch.zeros(3, 4).scatter(1, few_ids, few_weights)  # (N, E)
read = spread.gather(1, few_ids)  # (N, K)
print("gather gives the weights back:", torch.equal(read, few_weights))
plots.table(spread, "scatter: each weight in the column of its expert", chosen=few_ids)

# %% tags=["holds"]
holds("gather reads the weights back", torch.equal(read, few_weights))

# %% [markdown]
# **Answer.** It reads the weights back, in their old places: `gather` undoes this `scatter`.
#
# <!-- answered -->
# The second form moves whole rows. `x[token]` gathers rows: one copy for each entry of `token`. `index_add` scatters rows, and *adds*
# where several of them go to the same place:
#
# ```
#   x (3, 4)            rows = x[token]             torch.zeros(3, 4).index_add(0, token, rows)
#                       token
# 0 | 1  1  1  1         0 | 1  1  1  1           0 | 2  2  2  2     two rows went here: 1 + 1
# 1 | 2  2  2  2         2 | 3  3  3  3           1 | 2  2  2  2
# 2 | 3  3  3  3         0 | 1  1  1  1           2 | 3  3  3  3
#                        1 | 2  2  2  2
# ```
#
# **By hand:** take the same `x`, but `token = [2, 0, 2, 2]`. Which four rows are gathered? What does `index_add` make of them?

# %%
small = torch.tensor([[1.0], [2.0], [3.0]]).expand(3, 4)  # (N, D) as drawn
token = torch.tensor([2, 0, 2, 2])
rows = small[token]  # (4, D)
back = torch.zeros(3, 4).index_add(0, token, rows)  # (N, D)
print("first column of the gathered rows:", rows[:, 0].tolist())
print("first column after index_add:     ", back[:, 0].tolist())

# %% tags=["holds"]
holds("rows 3, 1, 3 and 3; then 1, 0 and 9", (rows[:, 0].tolist(), back[:, 0].tolist()) == ([3, 1, 3, 3], [1, 0, 9]))

# %% [markdown]
# **Answer.** The rows of token 2, of token 0, and twice more of token 2 are gathered. Adding them back gives token 2 three times
# its 3, which is 9. Token 0 gets its 1. Token 1 gets 0, because no row went there.
#
# <!-- answered -->
# Now the problem. Lesson 03 spread the weights over an (N, E) matrix, as in the first drawing. That matrix invites a cheat: let *every* expert answer *every* token, and multiply most of the answers by zero. The next cells do so for the last layer
# of the shipped model with sixteen experts, of which each token uses two. The tokens are real: one stretch of text from each domain.

# %%
model = checkpoint.pretrained(16)
layer = model.blocks[-1].feed_forward
corpora = data.load_corpora()
batches = data.validation_batches(corpora, 256, max_windows=1)  # 256 tokens from each domain
x = evaluate.tokens_into(layer, model, [batch.ids for batch in batches.values()])  # (N, D) what the layer is given


# %%
def all_on_all(x, weights, expert_ids, gate_up, down):
    """Every expert on every token, most of it multiplied by zero: x (N, D) -> (N, D)"""
    mix = torch.zeros(len(x), len(gate_up)).scatter(1, expert_ids, weights)  # (N, E)
    answers = [expert(x) for expert in dispatch.swiglu_calls(gate_up, down)]  # E of (N, D)
    everyone = torch.stack(answers)  # (E, N, D)
    return torch.einsum("ne,end->nd", mix, everyone)  # (N, D) for each token n: the sum over e of mix · answer


# %% [markdown]
# `dispatch.swiglu_calls` turns the layer's matrices into a list of sixteen functions, one per expert. Beside the cheat stands the
# layer itself, which computes only what was chosen.
#
# **Predict:** two of sixteen experts work for a token, so the sparse layer should need about an eighth of the arithmetic. Does it?
# And what becomes of the time?

# %%
with torch.no_grad():
    chosen = layer.router(x).top_k  # weights (N, K), expert_ids (N, K)
    matrices = layer.experts.gate_up.detach(), layer.experts.down.detach()  # (E, 2F, D), (E, D, F)
    works = {
        "all experts on all": lambda: all_on_all(x, *chosen, *matrices),
        "the sparse layer": lambda: layer(x[None]),
    }
    times = timing.interleaved(works, rounds=9)
flops = [metrics.counted_flops(work) / len(x) / 1e6 for work in works.values()]
took = [1e3 * times[name].median for name in works]
columns = ["million FLOPs per token", "milliseconds"]
plots.table(torch.tensor([flops, took]).T, f"one layer, {len(x):,} tokens", rows=[*works], columns=columns)

# %% tags=["holds"]
holds("nearly a factor of eight in arithmetic", 7.5 < flops[0] / flops[1] < 8)

# %% tags=["holds", "full"]
holds("the time falls too: to less than half", took[1] < 0.5 * took[0])

# %% [markdown]
# **Answer.** The arithmetic falls as it should: nearly by a factor of eight. (Not quite, because the sparse layer runs its router as
# well.) The time falls too, to less than half.
#
# <!-- answered -->
# Divide your two times, and compare
# the quotient with eight: the rest of this lesson stands between the two numbers. Rows have to be found, copied together, computed in small pieces, and put back.

# %% [markdown]
# ## 4.1 One expert after the other
#
# The plain way is a loop over the experts: each one computes the tokens that chose it. You find this loop in
# [Hugging Face's Mixtral](https://github.com/huggingface/transformers/blob/main/src/transformers/models/mixtral/modeling_mixtral.py),
# for example. It is easy to get right, so it is the reference to which you compare every faster way.
#
# **By hand:** four tokens of width 1. Expert 0 multiplies by 10, expert 1 by 100, expert 2 by 1,000.
#
# | token | its number | first choice | second choice |
# |---|---|---|---|
# | 0 | 1 | expert 0, weight 0.5 | expert 2, weight 0.5 |
# | 1 | 2 | expert 1, weight 0.75 | expert 0, weight 0.25 |
# | 2 | 3 | expert 0, weight 1 | expert 1, weight 0 |
# | 3 | 4 | expert 1, weight 0.5 | expert 0, weight 0.5 |
#
# Which tokens does expert 1 compute, and with which weights do its answers count? What does each token receive in the end?

# %%
toy_x = torch.tensor([[1.0], [2.0], [3.0], [4.0]])  # (N, D)
toy_experts = [lambda rows: 10 * rows, lambda rows: 100 * rows, lambda rows: 1000 * rows]
toy_weights = torch.tensor([[0.5, 0.5], [0.75, 0.25], [1.0, 0.0], [0.5, 0.5]])  # (N, K)
toy_ids = torch.tensor([[0, 2], [1, 0], [0, 1], [1, 0]])  # (N, K)
for e in range(3):
    token, choice = (toy_ids == e).nonzero(as_tuple=True)  # (n,), (n,)
    found = toy_weights[token, choice]  # (n,)
    print(f"expert {e}: tokens {token.tolist()}, as choice {choice.tolist()}, weights {found.tolist()}")

# %%
received = [0.0] * 4
for n in range(4):
    for j in range(2):
        expert = toy_experts[toy_ids[n, j]]
        received[n] += toy_weights[n, j].item() * expert(toy_x[n]).item()
print("each token receives", received)

# %% tags=["holds"]
_token, _choice = (toy_ids == 1).nonzero(as_tuple=True)
holds("Expert 1 computes tokens 1, 2 and 3", _token.tolist() == [1, 2, 3])
holds("with weights 0.75, 0 and 0.5", toy_weights[_token, _choice].tolist() == [0.75, 0.0, 0.5])
holds("token 0 receives 505", received[0] == 505)

# %% [markdown]
# **Answer.** Expert 1 computes tokens 1, 2 and 3, and its answers count with weights 0.75, 0 and 0.5. Token 0 receives
# 0.5 · 10 + 0.5 · 1,000 = 505; the last line has the others.
#
# <!-- answered -->
# Look at the two numbers that `nonzero` gives for each hit: *which token* asks for this expert, and *as which of its choices*. You
# need the second one to find the weight. Token 1 takes expert 1 as its first choice, token 2 as its second. (Token 2 gives expert 1
# the weight 0. Compute it all the same: the weight's gradient depends on that answer.)
#
# The second cell went token by token instead. It is right, but slow, because it asks an expert for one row at a time.
#
# There is one trap before you write the loop. The answers of two experts to one token have to be *added*. DeepSeek-V3's published
# loop does this with `y[idx] += …`. A reader [reported that line as a bug](https://github.com/deepseek-ai/DeepSeek-V3/issues/942):
# if a row number occurs twice in `idx`, one of the two additions is lost.
#
# **Before you run it:** row 0 gets 1 added twice, in one statement. What does each way give? And is the reader right about the loop?

# %%
first, second = torch.zeros(3), torch.zeros(3)
first[torch.tensor([0, 0])] += 1
second.index_add_(0, torch.tensor([0, 0]), torch.ones(2))
print("y[idx] += 1:", first.tolist(), "  index_add_:", second.tolist())

# %% tags=["holds"]
holds("one of the two additions is lost; index_add keeps both", (first[0], second[0]) == (1, 2))

# %% [markdown]
# **Answer.** `y[idx] += 1` gives 1, and `index_add_` gives 2. The first one reads all rows, adds, and writes all of them back, so of
# two equal row numbers only one write survives. The reader is right about the statement and wrong about the loop: *within one
# expert* no token occurs twice, so there is nothing to lose.
#
# <!-- answered -->
# In a loop you may use either. In sorted dispatch, later in this lesson,
# all experts' rows go back in one statement, and `+=` would be wrong.

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
# Now let your loop drive real experts. `mine` hands out your function if its check passes, and the package's if not, so the cells
# below run either way. The input is the layer's own routing of the tokens from 4.0. The result has to be what the cheat gives, and
# what the layer itself gives.
#
# **Predict:** how large are the differences, exactly 0 or a little more? And how far is the loop from *itself*, computed in float64,
# which has twice as many digits?

# %%
my_loop = mine("4.1", moe_loop, default=dispatch.moe_loop)
weights, expert_ids = chosen  # (N, K), (N, K)
y = my_loop(x, weights, expert_ids, dispatch.swiglu_calls(*matrices))  # (N, D)
in_float64 = dispatch.swiglu_calls(matrices[0].double(), matrices[1].double())
with torch.no_grad():
    others = {"all experts on all": works["all experts on all"](), "the sparse layer": layer(x[None])[0][0]}
    others["the loop in float64"] = my_loop(x.double(), weights.double(), expert_ids, in_float64)
for name, other in others.items():
    print(f"{name}: largest difference {(y - other).abs().max():.0e}, of values up to {y.abs().max():.1f}")

# %% tags=["holds"]
_off = [(y - other).abs().max().item() for other in others.values()]
holds("to the other two ways: 0, or a rounding error", max(_off[:2]) < 1e-5)
holds("to float64: more than 0, about a millionth", 1e-8 < _off[2] < 1e-5)

# %% [markdown]
# **Answer.** Against the other two ways the difference is 0 or close to it: they form the same products, add them expert by expert,
# and the zeros of the cheat change no sum. Against float64 it is not 0, but about a millionth: this is how far *every* float32 result
# is from the exact one. Code that adds in another order lands somewhere else within that distance.
#
# <!-- answered -->
# So when you compare two ways to
# compute one thing, do not ask for *equal*. Ask for *close*, and know how close.

# %% [markdown]
# ## 4.2 Sort once
#
# The loop looks through all N · K choices once for each expert, gathers that expert's rows, and scatters its answers. With sixteen
# experts that is sixteen searches, sixteen gathers and sixteen scatters; DeepSeek-V3 has
# [256 experts](https://arxiv.org/abs/2412.19437) per layer. There is a better way: **sort** the choices by expert, once. Then each
# expert's rows stand side by side, in one contiguous slice per expert, and one gather and one scatter serve all of them. Libraries
# such as [MegaBlocks](https://github.com/databricks/megablocks) begin with this step.
#
# To sort the choices, each one needs an address. Count them token by token, from left to right:
#
# ```
# expert_ids              places
# token 0   [[2, 0],      [[0, 1],
# token 1    [0, 3],       [2, 3],       place = token · K + choice
# token 2    [2, 3]]       [4, 5]]
# ```
#
# A **place** is a choice's index in `expert_ids.flatten()`. Place 3, for example, is token 1's second choice.
#
# **By hand:** there are five experts, 0 to 4. In which order do the six places come when they are sorted by expert? (Among equal
# experts, the lower place comes first.) How many places does each of the five experts have? And how do you get from a place back to
# its token?

# %%
three_ids = torch.tensor([[2, 0], [0, 3], [2, 3]])  # (N, K)
order, counts = dispatch.dispatch_order(three_ids, n_experts=5)  # (N·K,), (E,): what you are about to write
print("places of each expert:", counts.tolist())
columns = [f"row {i}" for i in range(6)]
sorted_choices = torch.stack([three_ids.flatten()[order], order, order // 2])  # (3, N·K)
plots.table(sorted_choices, "the six choices, sorted by expert", rows=["expert", "place", "token"], columns=columns)

# %% tags=["holds"]
holds("the places come in the order 1, 2, 0, 4, 3, 5", order.tolist() == [1, 2, 0, 4, 3, 5])
holds("the counts are 2, 0, 2, 2 and 0", counts.tolist() == [2, 0, 2, 2, 0])
holds("row 3 is place 4, token 2, for expert 2", sorted_choices[:, 3].tolist() == [2, 4, 2])

# %% [markdown]
# **Answer.** The places come in the order 1, 2, 0, 4, 3, 5, the counts are 2, 0, 2, 2 and 0, and `place // K` is the token.
#
# <!-- answered -->
# Read the table column by column; each column is one row of work. Row 0 belongs to expert 0; it is place 1, so it is token 0's second
# choice. Row 1 belongs to expert 0 as well; it is place 2, token 1's first choice. These two rows are expert 0's slice. Rows 2 and 3
# are expert 2's slice, rows 4 and 5 expert 3's. The middle line of the table is called `order`: it says for each sorted row *where
# it comes from*.
#
# Experts 1 and 4 were chosen by nobody. Each of them has a slice of length 0, and has to keep its 0 in the counts. Without expert 1's
# 0, expert 2's slice would go to expert 1, and every later expert would get its neighbour's rows.
#
# Sorting that keeps equals in their old order is called **stable**. PyTorch's `argsort` promises it only if you ask, with
# `argsort(stable=True)`. (`sort` takes it too, but then wants the dimension by name: `sort(dim=-1, stable=True)`.) Without it the
# rows of one expert may come in another order on another machine, and sums of rounded numbers depend on the order.

# %% [markdown] tags=["exercise"]
# ### Exercise 4.2 — order and counts
# *10 minutes · core · about 4 lines*
#
# **Given** `expert_ids` (N, K) int64 and `n_experts`. **Return** `order` (N·K,) int64, the places (token n's choice j is place
# n·K + j) expert by expert and rising within an expert; and `counts` (E,) int64, how many places each expert has, zeros included.
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
# Here is the permutation that your function makes, for a short text of 14 tokens and the routing of the trained models. The tokens
# stand on top, the sorted rows in the middle, and the tokens again below. Select a token, and its paths stand out.
#
# **Predict, then move the sliders:** how many rows stand in the middle with top-k = 2? How many with top-k = 1? How many when you go
# from 8 experts to 16? And where do the additional rows of a second choice go: to the end of the middle line, or in between?

# %% tags=["widget"]
my_order = mine("4.2", dispatch_order, default=dispatch.dispatch_order)
shipped = {n: checkpoint.pretrained(n) for n in (4, 8, 16)}
view = DispatchView("def area(r): return 3.14 * r", models=shipped, n_experts=8, layer=1, top_k=2, order=my_order)
settings = {"8 experts, top-2": (8, 2), "8 experts, top-1": (8, 1), "16 experts, top-2": (16, 2)}
view.suggest({words: {"n_experts": e, "top_k": k} for words, (e, k) in settings.items()})

# %% tags=["holds"]
_ids = torch.tensor([data.encode("def area(r): return 3.14 * r")])
holds("a text of 14 tokens", _ids.shape == (1, 14))
with torch.no_grad():
    _loads = [shipped[8](_ids, top_k=k).routing[0].load for k in (1, 2)]
    _wide = shipped[16](_ids).routing[0].load
holds("28 rows with two choices, 14 with one", [load.sum().item() for load in _loads] == [14, 28])
holds("28 with 16 experts as well", _wide.sum() == 28)
holds("expert 3 has no row in either case", all(load[3] == 0 for load in _loads))

# %% [markdown]
# **Answer.** N · K rows: 28 with two choices, 14 with one, and 28 again with 16 experts. The additional rows of a second choice go
# *between* the others, each into the slice of its expert, because rows are ordered by expert first.
#
# <!-- answered -->
# So more experts do not mean more rows. They cut the same rows into more and shorter slices. This is the saving in one picture, and
# also the trouble: a short slice is a small product, which processors handle badly. Expert 3's slice is empty here with one choice
# and with two: this text does not use it in this layer.

# %% [markdown]
# ## 4.3 Put it back
#
# After the experts have worked, row i of their output is the answer for place `order[i]`. The place tells you everything else: the
# token is `order[i] // K`, and the weight is the one at that place. Each token has K rows somewhere in the output, and receives their
# weighted sum.
#
# **By hand:** two tokens, K = 2, and `order` is 1, 2, 0, 3. The sorted rows came back as 10, 20, 30 and 40. Token 0 gives its first
# choice the weight 0.5 and its second 2; token 1 gives 1 and 0.25. For each row, write down place, token, weight and answer. What
# does each token receive?

# %%
by_hand = torch.tensor(
    [
        [1, 2, 0, 3],  # place: `order`
        [0, 1, 0, 1],  # token: place // 2
        [2.0, 1.0, 0.5, 0.25],  # weight at this place
        [10, 20, 30, 40],  # answer
    ]
)
weighted = by_hand[2] * by_hand[3]  # (N·K,)
names = ["place", "token", "weight", "answer", "weight · answer"]
columns = [f"row {i}" for i in range(4)]
plots.table(torch.cat([by_hand, weighted[None]]), "each sorted row", rows=names, columns=columns)

# %% tags=["holds"]
_order, _weights = by_hand[0].long(), torch.tensor([[0.5, 2.0], [1.0, 0.25]])
holds("the table's tokens and weights follow from the places", torch.equal(by_hand[1], (_order // 2).float()))
holds("the table's weights follow from the places", torch.equal(by_hand[2], _weights.flatten()[_order]))
holds("35 and 30", dispatch.combine(by_hand[3][:, None], _order, _weights).flatten().tolist() == [35, 30])

# %% [markdown]
# **Answer.** Token 0 receives 35: row 0 gives it 2 · 10 = 20, and row 2 gives it 0.5 · 30 = 15. Token 1 receives 30: row 1 gives it
# 20, and row 3 gives it 10.
#
# Take row 0 to see how the columns are made. It answers place 1. That is token 1 // 2 = 0, and token 0's *second* choice, because
# places 0 and 1 are its first and second. So its weight is 2. The answer of the row is 10.
#
# <!-- answered -->
# Note that the weights laid out by place
# are 0.5, 2, 1, 0.25, and that the rows need them in another order: 2, 1, 0.5, 0.25.
#
# Here a token's answers go back in *one* statement, so `index_add` has to add them up. On a GPU that has a price: the additions happen
# in any order, and the last digits change from run to run. Hugging Face therefore
# [replaced it](https://github.com/huggingface/transformers/pull/43362): undo the permutation, then sum the K rows of each token. You
# may write either.

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
# Now put the steps together: sort, gather, compute slice by slice, put back.
#
# The experts are real ones here. Each is a **SwiGLU** (lesson 01 builds one): two matrices, *gate* and *up*, read the token;
# silu(z) = z · sigmoid(z) turns the gate's numbers into soft switches; the switches multiply what *up* gives; a third matrix, *down*,
# leads back to width D. The weights of all experts are stacked: `gate_up[e]` (2F, D) has expert e's gate matrix in its first F rows
# and its up matrix below, and `down[e]` is (D, F).
#
# Some tools that you may not know: `F.linear(rows, w)` is `rows @ w.T`.
# `x.index_select(0, token)` is `x[token]`. `chunk(2, dim=-1)` cuts a tensor into two halves. `split([2, 0, 3])` cuts a tensor into
# slices of these lengths. `unbind(0)` turns a stack of E matrices into E matrices.
#
# **Before you write it:** which of the steps (sort, count, gather, compute, weighted sum) pass a gradient back, and to which of
# `x`, `weights`, `gate_up` and `down`? The check will ask for all four.

# %% [markdown] tags=["exercise"]
# ### Exercise 4.4 — sorted dispatch
# *15 minutes · core · about 9 lines*
#
# **Given** `x` (N, D), `weights` (N, K), `expert_ids` (N, K), `gate_up` (E, 2F, D) whose first F rows are the gate, `down`
# (E, D, F).
# **Return** `y` (N, D), equal to the loop's in value and in all four gradients. Expert e computes down · (silu(gate · x) ⊙ (up · x))
# for its own rows only: N · K rows in all. One sort finds all rows: no search per expert, and no copy of a matrix per row.
# **Allowed:** the steps of 4.2 and 4.3 written out (lesson 05 takes this function alone into its model), `index_select`, `split`,
# `unbind`, `F.linear`, `F.silu`, `chunk`, `torch.cat`.
#
# <!-- hints 4.4 -->


# %% tags=["stub"]
def sparse_forward(
    x: torch.Tensor, weights: torch.Tensor, expert_ids: torch.Tensor, gate_up: torch.Tensor, down: torch.Tensor
) -> torch.Tensor:
    """Sort by expert, compute one slice per expert, put back.

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
# **Answer.** Sorting and counting pass no gradient. They give whole numbers, which say *where* values go, and a position cannot be
# changed by a little. Gathering passes the gradient on to `x`. Computing passes it to the rows, `gate_up` and `down`, and the
# weighted sum to the answers and to `weights`. PyTorch knows the way back of each: the way back of a gather is a scatter that adds,
# and the way back of a scatter is a gather.
#
# <!-- answered -->
# Values can agree while gradients do not, and training depends on the gradients. So the next cell sends eleven tokens through the
# layer's real experts in both ways, and compares the gradients that reach the experts' weights. (A gradient needs a single number to
# start from. We take the sum of the squares of y; any other would do.)
#
# **Predict:** eleven tokens have 22 choices among sixteen experts. What gradient does an expert get that nobody chose?

# %%
my_sparse = mine("4.4", sparse_forward, default=dispatch.sparse_forward)
eleven = x[:11], weights[:11], expert_ids[:11]  # (N, D), (N, K), (N, K)
gate_up, down = matrices[0].clone().requires_grad_(), matrices[1].clone()  # (E, 2F, D), (E, D, F)


def gradient_sizes(y):
    """How large a gradient each expert's gate and up matrices get from y (N, D): (E,)"""
    gradient = torch.autograd.grad(y.square().sum(), gate_up)[0]  # (E, 2F, D)
    return gradient.flatten(1).norm(dim=1)


by_loop = gradient_sizes(my_loop(*eleven, dispatch.swiglu_calls(gate_up, down)))  # (E,)
by_sorting = gradient_sizes(my_sparse(*eleven, gate_up, down))  # (E,)
counts = torch.bincount(eleven[2].flatten(), minlength=16)  # (E,)
table = torch.stack([counts, by_loop, by_sorting])  # (3, E)
plots.table(table, "size of each expert's gradient", rows=["its tokens", "by the loop", "by sorting"])

# %% tags=["holds"]
holds("the two lines of gradients agree", torch.allclose(by_loop, by_sorting, rtol=1e-4))
holds("some experts have no tokens", (counts == 0).any())
holds("an expert without tokens gets exactly 0", (by_sorting[counts == 0] == 0).all())
holds("an expert with tokens gets more than 0", (by_sorting[counts > 0] > 0).all())

# %% [markdown]
# **Answer.** Exactly 0. Nothing that this expert computed took part in the result, so nothing tells it how to change. Keep that in
# mind for lesson 06: it is what kills experts. And the two lines of gradients agree, so your sorted dispatch can be trained with.

# %% [markdown]
# ## 4.5 What it costs
#
# Do not trust a FLOP count until you have seen what it counts. A training library once counted all eight experts of Mixtral 8x7B
# where two work: after the [correction](https://github.com/AI-Hypercomputer/maxtext/pull/678) it reported 79.98 TFLOPs where it had
# reported 287.78. And do not take FLOPs for seconds. A team that [trained both kinds](https://github.com/databricks/megablocks/issues/57)
# measured 106,000 tokens per second per GPU with one expert per layer, where a token uses 87 million parameters, but only 66,600 with
# eight experts of which two work, where a token uses 97 million.
#
# So measure for yourself: one layer with random weights, 1,024 tokens, width 128, and experts of width 128, forward and backward
# together as in training. The baseline is a dense network of width K · 128, which does the same arithmetic per token. We time the
# three ways and the baseline alternately, seven rounds, and divide each time by the baseline's time in that round: a slow moment of
# your machine then slows down both. The sorted way is the package's, so that your picture and this text speak of the same code.


# %%
def loop_over_matrices(x, weights, expert_ids, gate_up, down):
    """Your loop, called like the other ways."""
    return my_loop(x, weights, expert_ids, dispatch.swiglu_calls(gate_up, down))


ways = {"all on all": all_on_all, "loop": loop_over_matrices, "sorted": dispatch.sparse_forward}
size = {"n_tokens": train.budgeted(ci=128, normal=1024, long=1024), "width": 128}
size["rounds"] = train.budgeted(ci=1, normal=7, long=21)

# %% [markdown]
# **Predict:** each token uses two experts, while the number of experts doubles from 2 to 64. The FLOPs, on the right: which curves
# rise, which stay flat? The time, on the left: do the curves that are flat on the right stay flat here, too?
#
# The next cell takes between ten seconds and two minutes, depending on your machine.

# %% tags=["figure"]
by_experts = costs.compare(ways, {e: (e, 2) for e in (2, 4, 8, 16, 32, 64)}, **size)
plots.times(*by_experts, x="experts E, two per token")

# %% tags=["holds"]
_flops = by_experts[1]
holds(
    "all on all: the arithmetic grows with E",
    all(abs(_flops["all on all"][e] / (e / 2) - 1) < 0.05 for e in (2, 8, 64)),
)
holds("the sparse ways: the baseline's arithmetic at every E", all(abs(_flops[w][e] - 1) < 0.02 for w in ("loop", "sorted") for e in (2, 16, 64)))  # fmt: skip

# %% tags=["holds", "full"]
_time = {name: {e: timing_.median for e, timing_ in by_e.items()} for name, by_e in by_experts[0].items()}
holds("at 64 experts all on all takes more than five times the time of the sorted way", _time["all on all"][64] > 5 * _time["sorted"][64])  # fmt: skip
holds("the sparse ways take longer at 64 experts than at 2", all(_time[w][64] > 1.1 * _time[w][2] for w in ("loop", "sorted")))  # fmt: skip

# %% [markdown]
# **Answer.** **Takeaway: more experts cost a sparse layer no arithmetic, but they do cost time.** On the right, "all on all" grows
# with E, while the loop and the sorted way stay at 1, the baseline's arithmetic. On the left they do not stay flat: both take longer
# with 64 experts than with 2, because the same rows are cut into more and smaller products. Still, at 64 experts "all on all" takes
# more than five times as long as the sorted way.
#
# (The bars are the quartiles over the rounds. Compare your loop with the sorted way at 64 experts: the loop searches, gathers and
# scatters once per expert, 64 times. How much that costs depends on your machine.)
#
# **Predict** the other direction: sixteen experts, and K from 1 to 16. The baseline grows along; it is dense, of width K · 128. Where
# do the three ways meet, and why?
#
# The next cell takes up to a minute.

# %% tags=["figure"]
by_top_k = costs.compare(ways, {k: (16, k) for k in (1, 2, 4, 8, 16)}, **size)
plots.times(*by_top_k, x="experts per token K, of sixteen")

# %% tags=["holds"]
_flops = by_top_k[1]
holds("At K = 16 all three do the same arithmetic", all(abs(_flops[w][16] - 1) < 0.05 for w in ways))
holds(
    "FLOPs by E/K", all(abs(_flops["all on all"][k] / _flops["sorted"][k] / (16 / k) - 1) < 0.05 for k in (1, 2, 4, 8))
)

# %% tags=["holds", "full"]
_time = {name: {k: timing_.median for k, timing_ in by_k.items()} for name, by_k in by_top_k[0].items()}
holds("time by less than E/K, with one expert per token", _time["all on all"][1] < 0.95 * 16 * _time["sorted"][1])
holds("two of sixteen experts: the sorted layer takes longer than the dense network", _time["sorted"][2] > 1.1)

# %% [markdown]
# **Answer.** They meet at K = 16, where every expert is chosen and all three ways compute the same. **Takeaway: the fewer experts a
# token uses, the more is saved, in FLOPs by exactly E/K.** In time it is less: with one of sixteen experts per token, the sorted way is
# less than 16 times as fast as "all on all". And look at the sorted way at K = 2: a sparse layer with two of sixteen experts takes
# longer than a dense network that does the same arithmetic.
#
# So "two of sixteen experts" tells you what is *computed*. How many seconds that saves depends on how many tokens share an expert. Here
# 1,024 tokens with two choices give each expert 128 rows on average. With fewer tokens in the batch the slices get shorter. Lesson 12
# looks at the extreme case, a batch of one.
# <!-- evidence: 1024 * 2 / 16 -->

# %% [markdown]
# ## 4.6 Broken on purpose: the wrong slice, and the slow index
#
# Two mistakes that no shape reveals. Both happen in practice.
#
# The first is a permutation that does not fit its data. PyTorch's own training library once had to
# [take back a change](https://github.com/pytorch/torchtitan/pull/1340) to its permutation code, because its Llama 4 layer
# had permuted rows and token numbers wrongly from the start. Here is a simple case: the choices are flattened the other
# way round, all first choices first, then all second ones. It is a permutation, every row is computed once, and nothing crashes.
#
# **Predict:** `order` now counts places choice by choice, while the rest of the layer counts them token by token. What will the picture
# show?


# %% tags=["broken", "widget"]
def choices_first(expert_ids, n_experts):
    """Like dispatch_order, but places are counted choice by choice."""
    flat = expert_ids.T.flatten()  # (K·N,)
    return flat.argsort(stable=True), torch.bincount(flat, minlength=n_experts)


DispatchView("def area(r): return 3.14 * r", models=shipped, n_experts=8, layer=1, top_k=2, order=choices_first)

# %% tags=["holds"]
with torch.no_grad():
    _, _few_ids = shipped[8](torch.tensor([data.encode("def area(r): return 3.14 * r")])).routing[0].top_k  # (N, K)
_order, _counts = choices_first(_few_ids, 8)
_slice, _owner = torch.arange(8).repeat_interleave(_counts), _few_ids.flatten()[_order]  # (N·K,), (N·K,)
holds("20 of the 28 rows are framed", ((_slice != _owner).sum(), len(_order)) == (20, 28))
holds("row 7 belongs to token 2's choice of expert 2", (_order[7] // 2, _owner[7], _slice[7]) == (2, 2, 1))
holds("and token 2 did choose expert 1, too", sorted(_few_ids[2].tolist()) == [1, 2])

# %% [markdown]
# **Answer.** 20 of the 28 rows are framed: they stand in the slice of another expert than the one that this choice named. Sometimes
# that is an expert which the token chose as well. Row 7, for example, belongs to token 2's choice of expert 2 and stands in the slice of
# expert 1. Token 2 chose expert 1 with its other choice, so expert 1's answer is now counted with expert 2's weight.
#
# <!-- answered -->
# What does this do to a whole model? `checkpoint.pretrained` takes a function with the signature of your `sparse_forward`, as
# `dispatch_fn`, and lets it compute every sparse layer. The cell compares three models: as shipped, with this mistake, and with the
# rule of lesson 03 that ignores the router and lets the experts take turns.
#
# **Predict:** the model as shipped has a loss of about 2.6. One that gives all 2,048 tokens of its vocabulary the same probability has
# log 2,048, about 7.6. Where between the two is the model with rows in wrong slices?

# %% tags=["guess"]
my_guess = guess("4.6", loss_with_rows_in_wrong_slices=None)  # a number in place of None


# %%
def wrong_slices(x, weights, expert_ids, gate_up, down):
    order, counts = choices_first(expert_ids, len(gate_up))  # (N·K,), (E,)
    slices = x[order // expert_ids.shape[1]].split(counts.tolist())  # E of (n, D)
    answers = [expert(rows) for expert, rows in zip(dispatch.swiglu_calls(gate_up, down), slices, strict=True)]
    return dispatch.combine(torch.cat(answers), order, weights)


def take_turns(scores, k):
    """The rule of lesson 03: token n goes to experts n, n + 1, … modulo E, whatever the scores (N, E) are."""
    n_tokens, n_experts = scores.shape
    expert_ids = (torch.arange(n_tokens)[:, None] + torch.arange(k)) % n_experts  # (N, k)
    return torch.full(expert_ids.shape, 1 / k), expert_ids


# %%
sent_wrong = checkpoint.pretrained(8, dispatch_fn=wrong_slices)
models = {"as shipped": shipped[8], "rows in wrong slices": sent_wrong}
models["experts take turns"] = checkpoint.pretrained(8, top_k_fn=take_turns)
losses = [evaluate.evaluate(m, corpora, max_windows=4).mean_loss for m in models.values()]
losses.append(torch.tensor(2_048.0).log().item())
plots.table(
    torch.tensor([losses]), "validation loss", rows=["nats per token"], columns=[*models, "all tokens equally likely"]
)

# %% tags=["guess"]
my_guess.beside(loss_with_rows_in_wrong_slices=losses[1])

# %% tags=["holds"]
_shipped, _wrong, _turns, _uniform = losses
holds(
    "about 2.6; nearly as bad as taking turns: within half a nat",
    round(_shipped, 1) == 2.6 and 0 < _turns - _wrong < 0.5,
)
holds("it lost about a third of what there is to lose", 0.3 < (_wrong - _shipped) / (_uniform - _shipped) < 0.37)

# %% [markdown]
# **Answer.** 4.30, about a third of the way from the shipped model to one that knows nothing. This small slip is nearly as bad as
# ignoring the router altogether (4.72). The loss tells you *that* something is wrong. The picture tells you *what*.
#
# <!-- answered -->
# Could training repair it? It could lower the loss, but not in a way that helps. In this layer, which slice a row lands in depends on the choices of all other tokens, and some
# of them come *later* in the text.
#
# **Before you run it:** the next cell changes the last token of a text. By how much may the predictions *before* it change, in a
# language model that is right?

# %%
ids = torch.tensor([data.encode("def area(r): return 3.14 * r")])  # (1, T)
changed = ids.clone()
changed[0, -1] = data.encode("x")[0]  # another last token
for name in ("as shipped", "rows in wrong slices"):
    with torch.no_grad():
        before, after = models[name](ids).logits[0, :-1], models[name](changed).logits[0, :-1]  # (T - 1, V)
    print(f"{name}: the earlier logits change by up to {(before - after).abs().max():.1e}")

# %% tags=["holds"]
with torch.no_grad():
    _early = [(m(ids).logits[0, :-1] - m(changed).logits[0, :-1]).abs().max() for m in (shipped[8], sent_wrong)]
holds("as shipped: not at all, up to rounding", _early[0] < 1e-4)
holds("rows in wrong slices: clearly", _early[1] > 0.1)

# %% [markdown]
# **Answer.** Not at all, up to rounding, and so it is in the shipped model. In the broken one they do change: information leaks from
# later tokens to earlier ones.
#
# <!-- answered -->
# A model trained this way could learn to read the next token from its experts. Its loss would look
# fine, but the texts that it writes would be bad: while it writes, there is no later token to read. Lesson 07 meets this leak again.
# <!-- reasoned: the leak is shown above; what a training would make of it is an argument, and said to be one ("could") -->
#
# The second mistake gives right numbers, slowly. In a loop over experts it is natural to write `gate_up[e]` for expert e's matrices.
# The plain loop of
# [Hugging Face's Mixtral](https://github.com/huggingface/transformers/blob/main/src/transformers/models/mixtral/modeling_mixtral.py)
# does it (`self.gate_up_proj[expert_idx]`). On the way back, PyTorch has to undo the indexing. To pass expert e's gradient on to
# `gate_up`, it builds a tensor as large as *all* experts' weights, filled with zeros except for expert e. With E experts, E such tensors are made and added.
# `unbind(0)` takes the stack apart once, and its way back puts it together once.
#
# You can see which of the two your code uses: every computed tensor carries the name of its way back, in `grad_fn`.
#
# **Before you run it:** if you write `for w in gate_up:`, which of the two is that?

# %%
gate_up = matrices[0].clone().requires_grad_()  # (E, 2F, D)
first_of = {
    "gate_up[0]": gate_up[0],
    "gate_up.unbind(0)[0]": gate_up.unbind(0)[0],
    "for w in gate_up": next(iter(gate_up)),
}
for name, matrix in first_of.items():
    print(f"{name}: {matrix.grad_fn.name()}")

# %% tags=["holds"]
_ways_back = [matrix.grad_fn.name().rstrip("0") for matrix in first_of.values()]
holds("for w in gate_up unbinds", _ways_back == ["SelectBackward", "UnbindBackward", "UnbindBackward"])

# %% [markdown]
# **Answer.** It unbinds, and so does `zip(…, gate_up, down)`: Python asks the tensor for its parts, and PyTorch splits it once. Only
# `gate_up[e]` is the slow one.
#
# <!-- answered -->
# Here is the sorted way with the slow index, beside the package's, beside yours. As in 4.5, times are multiples of the dense baseline's.
#
# **Predict:** from 8 experts to 64, with the same rows and the same arithmetic, which of the first two slows down by the larger factor?
# And which of them does yours resemble?


# %%
def sorted_with_index(x, weights, expert_ids, gate_up, down):
    """The package's sorted dispatch, except that it takes the matrices out by index."""
    order, counts = dispatch.dispatch_order(expert_ids, len(gate_up))  # (N·K,), (E,)
    slices = x.index_select(0, order // expert_ids.shape[1]).split(counts.tolist())  # E of (n, D)
    answers = [experts.swiglu(rows, gate_up[e], down[e]) for e, rows in enumerate(slices)]
    return dispatch.combine(torch.cat(answers), order, weights)


# %%
contest = {"gate_up[e]": sorted_with_index, "unbind(0)": dispatch.sparse_forward, "my_sparse": my_sparse}
measured, _ = costs.compare(contest, {8: (8, 2), 64: (64, 2)}, **size)
table = torch.tensor([[measured[name][e].median for e in (8, 64)] for name in contest])  # (3, 2)
factor = ("64 over 8", table[:, 1] / table[:, 0])
plots.table(table, "time, dense layer = 1", rows=[*contest], columns=["8 experts", "64 experts"], right=factor)

# %% tags=["holds", "full"]
holds("the index slows down by the larger factor", factor[1][0] > 1.2 * factor[1][1])
holds("with 64 experts the index takes clearly longer than unbind", table[0, 1] > 1.3 * table[1, 1])

# %% [markdown]
# **Answer.** The index slows down by the larger factor, and with 64 experts it takes clearly longer than `unbind`, for the same rows,
# the same arithmetic and the same results.
#
# <!-- answered -->
# No test of values finds this. Only a clock does, or a look at `grad_fn`. If the third row
# resembles the first, exchange `gate_up[e]` in your answer to 4.4 for `unbind`, run 4.4 and these cells again, and keep the faster one.

# %% [markdown]
# ## 4.7 One product for all (stretch)
#
# *This section is optional; nothing below needs it.*
#
# A graphics processor would rather do one large product than E small ones. But one product needs slices of the same length. The oldest
# remedy is **padding**: make every slice as long as the fullest one, and fill the shorter ones with rows of zeros.
#
# **By hand:** sixteen rows for four experts, in slices of 7, 4, 3 and 2. How many rows are computed with padding? How many of them are
# computed for nothing?

# %% [markdown] tags=["exercise"]
# ### Exercise 4.5 — padded dispatch
# *15 minutes · stretch · about 10 lines*
#
# **Given** `x` (N, D), `weights` (N, K), `expert_ids` (N, K), `gate_up` (E, 2F, D), `down` (E, D, F), as in 4.4. **Return**
# `y` (N, D), the same as in 4.4, and `n_rows`, an int: the rows computed, E times the largest count. Use one batched product for all
# gates and ups, and one for all downs.
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
# **Answer.** Four slices of 7 are 28 rows. Sixteen are needed, so 12 are computed for nothing.
#
# <!-- answered -->
# How much is wasted on real tokens? The next table takes the routing of the model with sixteen experts and divides the rows with padding
# by the rows needed.
#
# **Predict:** what is the smallest value that this ratio can have, with sixteen experts and two choices per token? What is the largest?
# These models were trained to spread their tokens evenly: where between the two do you expect them?

# %%
load = evaluate.evaluate(model, corpora, max_windows=1).load  # (L, E) choices of each expert, in each layer
needed = load.sum(dim=1)  # (L,)
padded = load.max(dim=1).values * 16  # (L,)
waste = torch.stack([needed / 1e3, padded / 1e3, padded / needed])  # (3, L)
names = ["rows needed, thousands", "rows with padding, thousands", "padded over needed"]
plots.table(waste, "sixteen experts, two per token", rows=names, columns=[f"layer {i}" for i in (1, 2, 3, 4)])

# %% tags=["holds"]
holds("From one and a half to more than two and a half times", waste[2].min() > 1.45 and 2.5 < waste[2].max() < 2.65)
holds("most in layer 4", waste[2].argmax() == 3)
holds("in every layer at least 1.5", (waste[2] > 1.495).all())
_blocks = ((load + 31) // 32 * 32).sum(dim=1) / needed  # (L,) the open task's answer
holds("blocks of 32: at most a fifteenth more than needed, in every layer", (_blocks < 1 + 1 / 15).all())

# %% [markdown]
# **Answer.** The smallest is 1, when all experts have equally many rows. The largest is 8: if all tokens chose the same two experts, each
# of the sixteen slices would have N rows, 16 · N where 2 · N are needed. These layers lie between 1.5 and 2.6, with layer 4 the most
# wasteful.
#
# <!-- answered -->
# So padding throws away a third of the work or more, even in models that were trained to balance.
#
# The first large sparse models drew a line instead: an expert takes a fixed number of tokens, its **capacity**, and what comes after that
# is dropped ([GShard](https://arxiv.org/abs/2006.16668), [Switch Transformer](https://arxiv.org/abs/2101.03961)). Lesson 07 is about what
# this does to the dropped ones. [MegaBlocks](https://arxiv.org/abs/2211.15841) showed a way
# without dropping and without padding to the fullest. Its successors are called **grouped** products: one call that takes slices of
# different lengths.

# %% [markdown]
# ## 4.8 Your dispatch in the real model
#
# Now every layer of the shipped model with eight experts is computed by `my_sparse`: your function, if it passed.
#
# **Predict** the model's loss; 4.6 shows that of the model as shipped. Then predict the verdicts (true, true with conditions, false) on three sentences of
# popular articles:
#
# 1. The chosen experts' answers are added, each times the router's weight.
# 2. With two of eight experts at work, three quarters of the computing is saved.
# 3. A mixture runs as fast as a dense model with as many parameters as it activates.

# %%
yours = checkpoint.pretrained(8, dispatch_fn=my_sparse)
loss = [evaluate.evaluate(m, corpora, max_windows=4).mean_loss for m in (yours, shipped[8])]
print(f"validation loss {loss[0]:.4f} with my_sparse, {loss[1]:.4f} as shipped")

# %% tags=["diagram"]
claims(lesson=4)

# %% tags=["holds"]
holds("the same loss", abs(loss[0] - loss[1]) < 1e-4)

# %% [markdown]
# **Answer.** The loss is the same in all digits shown: what you wrote *is* a sparse layer.
#
# The first sentence is true with a condition, because one published model (Llama 4) weighs what goes into the expert instead. The
# second is true of the experts' own arithmetic, but attention, router and vocabulary are computed in full, and 4.5 showed that time
# is another matter. The third is false, and you have measured it: in 4.5 the sorted layer with two of sixteen experts took longer
# than a dense network that does the same arithmetic.

# %% [markdown]
# ## Open task: padding in blocks
#
# *20 to 60 minutes, without a check.* Sorted dispatch wastes no rows but makes E small products. Padded dispatch makes one product but
# wastes many rows. Find the middle: cut each expert's slice into **blocks** of b rows, and pad only its last block. All blocks have the
# same length, so one batched product computes them, if each block finds its own expert's matrices. Write
# `blocked_forward(x, weights, expert_ids, gate_up, down, b)`, and see that it equals `my_sparse` in value and in gradients. How many rows
# does it waste on the layers of 4.7 for b = 8, 32 and 128? How many on a text of 14 tokens? Is it faster than the sorted way? What does
# it pay in memory?
#
# <details><summary>What a good answer contains</summary>
#
# - *The address.* Expert e has ⌈counts[e] / b⌉ blocks. A cumulative sum gives each expert's first block; a sorted row goes to row
#   (first block · b + its position in the slice) of a buffer of zeros, and its answer is read at the same row.
#   `torch.repeat_interleave(torch.arange(E), n_blocks)` names the expert of each block. `torch.autograd.gradcheck` in float64 passes.
# - *The waste.* It is at most b − 1 rows per expert, whatever the balance. On the layers of 4.7, blocks of 32 compute at most a fifteenth
#   more than needed, where full padding computes half as much again and more. On 14 tokens it is the other way round: a block of 32 for
#   each expert in use is more than full padding needs. The best b depends on the batch.
# - *The price.* `gate_up[expert_of_block]` copies a matrix for every block. With small blocks the copies are many times as large as all
#   experts together, and in the author's run on a CPU no block size beat the sorted way. So the idea only pays when the product reads
#   each block's matrices where they are, without copying. That is the kernel that MegaBlocks wrote.
# - *A check.* The result does not depend on b. If it does, padding rows are added to some token.
#
# </details>

# %% tags=["holds"]
_short = torch.bincount(expert_ids[:14].flatten(), minlength=16)  # (E,) of 14 tokens
holds("on 14 tokens, blocks of 32 need more rows than full padding", 32 * (_short > 0).sum() > 16 * _short.max())
holds("at most b - 1 rows of padding per expert", ((((load + 31) // 32) * 32 - load) <= 31).all())

# %% [markdown]
# ## Now you know
#
# - To gather is to copy values from listed positions, to scatter is to write them there; each is the other's way back.
# - The loop lets each expert search for its tokens. Sorted dispatch sorts the choices once and gives each expert one contiguous slice.
# - A place is n · K + j; `order // K` is the token, `order` finds the weight, and the counts keep their zeros.
# - Both ways compute N · K rows, whatever E is; all experts on all tokens compute N · E.
# - FLOPs fall as K / E. Time falls less, because slices get short and rows must be moved.
#   <!-- reasoned: it repeats what 4.5 holds -->
# - A wrong permutation has the right shapes, and a slow index has the right numbers: look at pictures, gradients and clocks, too.
#
# In `my_moe.py` your order and your combine now take the tokens to their experts and back, if their checks passed. `moe_lite.my_program()`,
# after `import moe_lite`, shows the file.
#
# You have the parts now: attention, router, dispatch, experts. Put together, they are a sparse language model.
#
# <!-- next -->
