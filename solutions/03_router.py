# %% [markdown]
# # 03 · The router
# *Part 1 — A model that uses a part of itself · about 75 minutes · four exercises and one stretch*
#
# **How does a token choose its experts?**
#
# A sparse layer has several experts and lets each token use a few of them. Something has to say which. That something is one
# matrix and a handful of lines, and most of the differences between Mixtral, OLMoE, gpt-oss and DeepSeek-V3 sit in those lines.
# You write them here, and at the end a trained model runs on yours.
#
# **Builds on** indexing and softmax in PyTorch; [lesson 00](00_start_here.ipynb) shows how checks, hints and widgets work.
# Nothing from another notebook has to be in memory. In shape comments, N is tokens, D the model's width, E experts, K experts a token.

# %% tags=["setup"]
import torch

from moe_lite import checkpoint, claims, data, evaluate, experts, metrics, model_diagram, plots, routing
from moe_lite.checks import lesson03 as check, mine
from moe_lite.widgets import RouterStepper, TokenViewer

# %% tags=["diagram"]
model_diagram(today=3)

# %% [markdown]
# ## 3.0 Does it matter who is chosen?
#
# The course ships a small language model with four sparse layers of eight experts, trained on nine kinds of text. Each token uses
# two experts a layer. Here is a rule that treats every expert fairly and costs nothing: token *n* goes to experts *n* and *n* + 1,
# counted round the circle, half and half.
#
# **Predict:** the experts are the trained ones, the attention is untouched, two experts work on every token as before. By how much
# does the loss rise? The model's vocabulary has 2,048 entries, so guessing blindly costs log 2048 = 7.62 nats a token (nats: the logarithm is the natural one).
# <!-- evidence: len(data/tokenizer.json model.vocab); log(len(data/tokenizer.json model.vocab)) -->


# %%
def take_turns(scores, k):
    """Ignore the scores (N, E): token n goes to experts n, n + 1, … modulo E, with equal weights."""
    n_tokens, n_experts = scores.shape
    expert_ids = (torch.arange(n_tokens)[:, None] + torch.arange(k)) % n_experts  # (N, k)
    return torch.full(expert_ids.shape, 1 / k), expert_ids  # (N, k), (N, k)


# %%
def half_and_half(scores, k):
    """A control: the router's own choice, but its weights ignored."""
    expert_ids = scores.topk(k).indices  # (N, k)
    return torch.full(expert_ids.shape, 1 / k), expert_ids  # (N, k), (N, k)


corpora = data.load_corpora()
rules = {"its own router": None, "own choice, equal weights": half_and_half, "taking turns": take_turns}
models = [checkpoint.pretrained(8, top_k_fn=rule) for rule in rules.values()]
losses = [evaluate.evaluate(model, corpora, max_windows=4).mean_loss for model in models]
plots.table(
    torch.tensor([losses]),
    "loss, nats a token, mean over the domains (4 stretches of text each)",
    rows=["8 experts"],
    columns=rules,
)

# %% tags=["holds"]
_own, _equal_weights, _in_turn = losses
holds("Taking turns costs 2.1 nats", round(_in_turn - _own, 1) == 2.1)
holds("own choice, equal weights: the loss hardly rises, not by a tenth", 0 < _equal_weights - _own < 0.1)

# %% [markdown]
# Taking turns costs 2.1 nats. The control says why: with the router's own choice and its weights ignored the loss hardly rises, so what
# hurts is the *choice*. The experts are not interchangeable. What the model knows is partly *who knows it*, and that is stored in the
# router. So let us look at how it decides, one token first.
# <!-- evidence: 4.72 - 2.61 -->

# %% [markdown]
# ## 3.1 Scores: one dot product an expert
#
# The router holds one vector for each expert. A token's **logit** for an expert is the dot product of the two: how well they
# point the same way. Softmax over the experts turns the logits into **scores** that sum to 1.
#
# **Before you run the next cell:** two tokens of width 2, (1, 2) and (3, 0), and three experts: one likes the first feature, one the
# second, one both alike. Work out the six dot products on paper. Which expert does
# each token like best? Which token is surer of it?

# %%
x = torch.tensor([[1.0, 2.0], [3.0, 0.0]])  # (N, D)
w_router = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])  # (E, D): likes feature 0, feature 1, both alike
logits = x @ w_router.T  # (N, E)
plots.table(logits, "logits, tokens × experts")

# %%
plots.table(logits.softmax(dim=-1), "scores: softmax over the experts")

# %% tags=["holds"]
_scores = logits.softmax(dim=-1)
holds("expert 2 wins with two thirds of the score", _scores[0].argmax() == 2 and abs(_scores[0, 2] - 2 / 3) < 0.01)
holds("Token 1: a tie between experts 0 and 2", _scores[1, 0] == _scores[1, 2] > _scores[1, 1])

# %% [markdown]
# Token 0 gives 1, 2 and 3: expert 2 wins with two thirds of the score. Token 1 gives 3, 0 and 3: a tie between experts 0 and 2, and
# softmax can only split what it is given. Keep the tie in mind; 3.2 has to decide it.
#
# One more thing decides who wins: **precision**. Models compute in bfloat16 to save memory and time, and bfloat16 keeps two to
# three significant digits. Two experts that are close can come out equal, or swapped. The next cell takes the tokens of nine short texts
# as the trained model's router sees them, in its last layer, and routes them twice.
#
# **Predict:** of a hundred tokens, how many get another pair of experts? And if 64 experts compete for 8 places, more or fewer?

# %%
model = checkpoint.pretrained(8)
last = model.blocks[-1].feed_forward.router
seen = []
hook = last.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].flatten(0, 1)))
for text in data.SAMPLES.values():
    model(torch.tensor([data.encode(text)]))
hook.remove()
tokens = torch.cat(seen).detach()  # (N, D)


# %%
def set_changes(x, w, k):
    """The share of tokens x (N, D) whose k experts are other ones when the logits are computed in bfloat16."""
    exact = (x @ w.T).topk(k).indices.sort().values  # (N, k)
    rounded = (x.bfloat16() @ w.bfloat16().T).topk(k).indices.sort().values  # (N, k)
    return (exact != rounded).any(dim=-1).float().mean().item()


noise = torch.Generator().manual_seed(0)
wide_x, wide_w = (torch.randn(n, 512, generator=noise) for n in (4096, 64))
shares = [set_changes(tokens, last.weight, 2)]
shares += [set_changes(wide_x, wide_w[:n_experts], k) for n_experts, k in [(8, 2), (64, 2), (64, 8)]]
columns = ["real tokens, 2 of 8", "random, 2 of 8", "random, 2 of 64", "random, 8 of 64"]
caption = f"tokens whose set of experts changes, % (of {len(tokens)} real and {len(wide_x):,} random ones)"
plots.table(100 * torch.tensor([shares]), caption, rows=["bfloat16"], columns=columns)

# %% [markdown]
# Two of the 652 real tokens: few, but the random vectors (4,096 of them, width 512) show where it goes: more experts in the race, and
# more places to win, leave more close finishes. Each of these tokens is sent to an expert that exact arithmetic would not have chosen.
# The cure costs next to nothing, because the router is the smallest matrix of the layer: do its arithmetic in float32, whatever the rest
# computes in. How much it can matter, Switch Transformers measured: trained with everything in bfloat16 it diverged; with only the router
# in float32 it matched full float32 ([arXiv 2101.03961](https://arxiv.org/abs/2101.03961), section 2.4, *selective precision*).

# %% [markdown] tags=["exercise"]
# ### Exercise 3.1 — scores
# *8 minutes · core · about 2 lines*
#
# **Given** `x` (N, D) and `w_router` (E, D), both of any floating dtype. **Return** `scores` (N, E) in float32, every row summing
# to 1. Everything is float32 from the product on: cast first, then multiply.
# **Allowed:** `.float()`, matrix products, `softmax`.
#
# <!-- hints 3.1 -->


# %% tags=["stub"]
def router_scores(x: torch.Tensor, w_router: torch.Tensor) -> torch.Tensor:
    """How much each token would like each expert.

    x (N, D), w_router (E, D) -> scores (N, E) float32, rows summing to 1
    """
    ### BEGIN SOLUTION
    logits = x.float() @ w_router.float().T  # (N, E)
    return logits.softmax(dim=-1)  # (N, E)
    ### END SOLUTION


# %% tags=["check"]
check.router_scores(router_scores)

# %% [markdown]
# ## 3.2 Keep the best, drop the rest
#
# Four tokens, three experts, scores that sum to 1. Running all three experts would cost as much as a dense layer, so each token
# keeps only its best two.
#
# **Before you run the next cell:** token 1 has a tie for second place. Which of the two does `topk` keep? And what do the two kept scores
# sum to, for each token?

# %%
scores = torch.tensor(
    [
        [0.60, 0.30, 0.10],  # token 0
        [0.20, 0.20, 0.60],  # token 1: a tie for second place
        [0.45, 0.10, 0.45],  # token 2: a tie for first place
        [0.04, 0.95, 0.01],  # token 3: the router is nearly certain
    ]
)
kept, chosen = scores.topk(2, dim=-1)  # (N, K), (N, K)
plots.table(scores, "scores; the kept ones are filled", chosen=chosen, right=("kept", kept.sum(dim=-1)))

# %% [markdown]
# Here `topk` kept expert 0, the first of the two. Ask it for two of *twenty* equals:

# %%
print(torch.full((1, 20), 0.05).topk(2).indices)

# %% [markdown]
# PyTorch promises no order among equals: which ones come back depends on how many there are, and may depend on the machine. Two runs of
# one model would disagree, so a rule is needed. Ours: **the lower expert number first**.
#
# The second thing to read off the table needs one fact first: a layer's output for a token is the sum of its experts' answers, each times
# its weight. The kept scores sum to 0.90, 0.80, 0.90 and 0.99. What was dropped is gone: the layer's output shrinks by a tenth for
# token 0 and hardly at all for token 3. Mixtral **renormalises**: it divides the kept scores by their sum, so that weights always
# sum to 1. OLMoE does not: a token whose scores are spread thin then gets a smaller output. Both train. You
# write Mixtral's.

# %% [markdown] tags=["exercise"]
# ### Exercise 3.2 — renormalised top-k
# *10 minutes · core · about 3 lines*
#
# **Given** `scores` (N, E), each row non-negative, and `k`. **Return** `weights` (N, k), rows summing to 1, and `expert_ids` (N, k)
# int64, best first; among equal scores the lower expert number first. The input stays unchanged.
# **Allowed:** sorting, indexing, sums, division.
#
# <!-- hints 3.2 -->


# %% tags=["stub"]
def top_k_route(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The k best experts of each token and their weights, renormalised to sum to 1.

    scores (N, E) -> weights (N, k), expert_ids (N, k) int64
    """
    ### BEGIN SOLUTION
    values, expert_ids = scores.sort(dim=-1, descending=True, stable=True)  # (N, E), (N, E)
    values, expert_ids = values[:, :k], expert_ids[:, :k]  # (N, k), (N, k)
    return values / values.sum(dim=-1, keepdim=True), expert_ids
    ### END SOLUTION


# %% tags=["check"]
check.top_k_route(top_k_route)

# %% [markdown]
# The package's version of what you wrote is `moe_lite.routing.top_k_route`. `mine` gives you yours if its check passes and the
# package's if not, so you can go on either way. It says which.
#
# The next cell shows one token of a sentence on its way through the router, with that function choosing and weighing. The logits come
# from layer 2 of the trained model that has sixteen experts; with the slider at E you see its first E.
#
# **Predict, then move:** at top-k = E, what becomes of the weights? At top-k = 1, what is the weight, whatever the scores? And can
# the temperature T, by which the logits are divided, change *who* is chosen?

# %% tags=["widget"]
my_route = mine("3.2", top_k_route, default=routing.top_k_route)
RouterStepper(sentence="Are we all met? def area(r): return", layer=2, route=my_route)

# %% [markdown]
# At top-k = E nothing is dropped and renormalising divides by 1: the weights are the scores, and the layer is a soft mixture of all
# experts. At top-k = 1 the weight is always 1. Temperature stretches or squeezes the logits but keeps their order: it changes how
# much, never who. (Drag two logits to the same value and see what the tie rule does.)
#
# That constant weight at top-k = 1 has a consequence. The router learns only through the weights; choosing an index has no slope.
#
# **Predict:** one token, four experts. How does the first weight respond to each logit, with k = 1 renormalised, k = 1 as it is, and
# k = 2 renormalised?

# %%
logits = torch.tensor([[1.0, 0.5, -0.5, 0.0]], requires_grad=True)  # (1, E)
rows = {}
for name, k, renorm in [("k=1, renormalised", 1, True), ("k=1, as it is", 1, False), ("k=2, renormalised", 2, True)]:
    weight = routing.route(logits, k, renorm=renorm).top_k[0][0, 0]  # the first choice's weight
    rows[name] = torch.autograd.grad(weight, logits)[0][0]  # (E,)
plots.table(torch.stack([*rows.values()]).round(decimals=6), "slope of the first weight, by logit", rows=[*rows])

# %% [markdown]
# With k = 1 and renormalising, every slope is 0: the language-model loss can never tell this router anything. That is why Switch,
# which uses one expert a token, keeps the probability itself as the weight. With k = 2 renormalised, only the two chosen experts'
# logits matter, with opposite signs: what one gains the other loses.

# %% [markdown]
# ## 3.3 Softmax before or after?
#
# Mixtral's published code first keeps the two best *logits* and then takes the softmax of those two. Hugging Face's version takes
# the softmax of all and keeps the two best *scores*. Same model, two orders. Are they the same function?
#
# By hand, for logits log 6, log 3 and log 1: the softmax of all three is 6/10, 3/10, 1/10. Keep two: 0.6 and 0.3. The softmax of the
# best two alone is 6/9 and 3/9.
#
# **Before you run it:** what must you do to (0.6, 0.3) to get (6/9, 3/9)?

# %%
logits = torch.tensor([[6.0, 3.0, 1.0]]).log()  # (1, E)
before = logits.softmax(dim=-1).topk(2).values  # (1, 2) softmax, then top-k
after = logits.topk(2).values.softmax(dim=-1)  # (1, 2) top-k, then softmax
rows = ["softmax, then top-k", "top-k, then softmax", "softmax, top-k, then divided by its sum"]
both_ways = torch.cat([before, after, before / before.sum(dim=-1, keepdim=True)])  # (3, 2)
plots.table(both_ways, "weights of the two best experts", rows=rows, columns=["best", "second"])

# %% [markdown]
# Dividing by the sum is what the first order lacks. That is no accident of these numbers: a softmax is exponentials over their sum,
# and a second division cancels the first one. So the two orders agree *with* renormalising. Without it they part, and then the order
# is part of the model: OLMoE and Qwen1.5-MoE score first and do not renormalise; gpt-oss keeps the best logits first.

# %% [markdown] tags=["exercise"]
# ### Exercise 3.3 — both orders
# *10 minutes · core · about 6 lines*
#
# **Given** `logits` (N, E) with no ties, `k`, and `renorm` (bool). **Return** two tensors of weights, each (N, k), best expert first:
# `score_first`, the softmax over all E experts, of which the k largest are kept, and divided by their sum only if `renorm`;
# `topk_first`, the softmax over the k largest logits alone (`renorm` changes nothing there).
# **Allowed:** `topk` or sorting, `softmax`, sums, division.
#
# <!-- hints 3.3 -->


# %% tags=["stub"]
def two_orders(logits: torch.Tensor, k: int, renorm: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights of the k best experts: softmax before top-k, and top-k before softmax.

    logits (N, E) -> score_first (N, k), topk_first (N, k)
    """
    ### BEGIN SOLUTION
    score_first = logits.softmax(dim=-1).topk(k, dim=-1).values  # (N, k)
    if renorm:
        score_first = score_first / score_first.sum(dim=-1, keepdim=True)  # (N, k)
    topk_first = logits.topk(k, dim=-1).values.softmax(dim=-1)  # (N, k)
    return score_first, topk_first
    ### END SOLUTION


# %% tags=["check"]
check.two_orders(two_orders)

# %% [markdown]
# Now ask your function when they agree. The table shows the largest difference between the two, over the real tokens from 3.1 and
# their trained router, for every k.
#
# **Predict:** in the row without renormalising, at which k is the difference zero? Is it largest at k = 1?


# %%
def package_orders(logits, k, renorm):
    """The same two orders as settings of the package's one routing function."""
    return (
        routing.route(logits, k, order="score_first", renorm=renorm).top_k[0],
        routing.route(logits, k, order="topk_first").top_k[0],
    )


both = mine("3.3", two_orders, default=package_orders)
logits = (tokens @ last.weight.T).detach()  # (N, E)
gap = torch.tensor(
    [[(a - b).abs().max() for a, b in (both(logits, k, renorm) for k in range(1, 9))] for renorm in (False, True)]
)  # (2, 8)
plots.table(
    gap, "largest difference between the two orders, by k", rows=["as it is", "renormalised"], columns=range(1, 9)
)

# %% [markdown]
# Renormalised: equal at every k, up to rounding in the seventh digit. As it is: equal only at k = E, where nothing was dropped and the
# kept scores already sum to 1; the fewer are kept, the more is missing.

# %% [markdown]
# ## 3.4 The whole choice in one matrix
#
# `weights` and `expert_ids` are a compact way to write the choice. There is a plainer one: a matrix with a row for each token and a
# column for each expert, the weight where the token chose the expert and 0 elsewhere. It is called the **combine** matrix, because
# with it the layer's output is a matrix product: row n of *C* says how much of each expert's answer token n gets.
#
# **By hand:** three experts that give single numbers: expert 0 answers 10 to everyone, expert 1 answers 100, expert 2 answers 1,000.
# Token 0 takes three quarters of expert 0 and a quarter of expert 2; token 1 a half each of experts 2 and 1; token 2 only expert 1, with
# expert 0 as second choice at weight 0. What does each receive?

# %%
weights = torch.tensor([[0.75, 0.25], [0.5, 0.5], [1.0, 0.0]])  # (N, K), best first
expert_ids = torch.tensor([[0, 2], [2, 1], [1, 0]])  # (N, K)
C = torch.tensor([[0.75, 0.0, 0.25], [0.0, 0.5, 0.5], [0.0, 1.0, 0.0]])  # (N, E) the same, one column an expert
answers = torch.tensor([10.0, 100.0, 1000.0])  # (E,)
plots.table(C, "combine matrix C, and what each token receives", chosen=expert_ids, right=("C @ answers", C @ answers))

# %% [markdown]
# Note token 1: expert 2 stands first in its row of `expert_ids`, but in the matrix each weight stands in *its expert's* column. Putting
# every weight where it belongs is all there is to it; what was not chosen stays 0.

# %% [markdown] tags=["exercise"]
# ### Exercise 3.4 — the combine matrix
# *8 minutes · core · about 2 lines*
#
# **Given** `weights` (N, k), `expert_ids` (N, k) and `n_experts`. **Return** `combine` (N, E): the weight in the chosen expert's
# column, 0 elsewhere, in the dtype of `weights`. The gradient must reach `weights`.
# **Allowed:** `new_zeros`, `scatter` and its relatives, one-hot encodings.
#
# <!-- hints 3.4 -->


# %% tags=["stub"]
def combine_matrix(weights: torch.Tensor, expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    """One row a token, one column an expert: the weight where chosen, 0 elsewhere.

    weights (N, k), expert_ids (N, k) -> combine (N, E)
    """
    ### BEGIN SOLUTION
    combine = weights.new_zeros(len(weights), n_experts)  # (N, E)
    return combine.scatter(1, expert_ids, weights)  # (N, E)
    ### END SOLUTION


# %% tags=["check"]
check.combine_matrix(combine_matrix)

# %% [markdown]
# If the matrix is right, it must give what the real layer gives. The next cell runs *all eight* experts of the trained model's last
# layer on all the tokens from 3.1, mixes their answers with your matrix, and compares with the layer itself, which ran only two for
# each token.

# %%
layer = model.blocks[-1].feed_forward
choice = layer.router(tokens[None])  # a Routing: the package's record of who goes where
my_combine = mine("3.4", combine_matrix, default=lambda weights, expert_ids, n_experts: choice.combine)
C = my_combine(*choice.top_k, 8)  # (N, E)

# %%
everyone = [
    experts.swiglu(tokens, gate_up, down)
    for gate_up, down in zip(layer.experts.gate_up, layer.experts.down, strict=True)
]
mixed = torch.einsum("ne,end->nd", C, torch.stack(everyone))  # (N, D) every expert's answer, weighted
sparse = layer(tokens[None])[0][0]  # (N, D) the layer itself
print(f"largest difference {(mixed - sparse).abs().max():.0e}")
counted = metrics.counted_flops(lambda: layer(tokens[None]))
all_experts = (
    2 * (layer.experts.gate_up.numel() + layer.experts.down.numel()) * len(tokens)
)  # 2 FLOPs a weight and token
print(f"the layer computes {counted / all_experts:.1%} of what all experts on all tokens would")

# %% [markdown]
# The same numbers from a quarter of the work (and a little for the router). The matrix says *what* a sparse layer computes; how to compute only the part that is
# not zero is the subject of lesson 04.

# %% [markdown]
# ## 3.5 Judged alone: sigmoid scores (stretch)
#
# A softmax makes experts compete: one expert's score can only rise if others fall. DeepSeek-V3 scores each expert alone, with a
# sigmoid. And it adds something to the scores *before choosing*, a bias for each expert that a rule moves up when the expert has too
# little to do and down when it has too much. The bias decides who is chosen. It must not decide how much they count: the weights come
# from the scores without it.
#
# **By hand:** scores 0.5, 0.4 and 0.1, bias 0, 0 and 0.6, k = 2. Who is chosen? What are the weights if the bias stays out of them,
# and what would they be if it leaked in?

# %%
scores, bias = torch.tensor([[0.5, 0.4, 0.1]]), torch.tensor([0.0, 0.0, 0.6])
chosen = (scores + bias).topk(2).indices  # (1, 2)
right, leaked = scores.gather(1, chosen), (scores + bias).gather(1, chosen)  # (1, 2), (1, 2)
weights = torch.cat([right / right.sum(), leaked / leaked.sum()])  # (2, 2)
columns = [f"expert {e}" for e in chosen[0].tolist()]
plots.table(weights, "weights, first choice first", rows=["bias stays out", "bias leaks in"], columns=columns)

# %% [markdown]
# Expert 2 is let in by its bias, as first choice even, and gets a sixth of the weight, because 0.1 of the chosen 0.6 is what its score
# is worth here. With the leak it would dominate a token that hardly wants it. Lesson 07 shows what this bias is good for.

# %% [markdown] tags=["exercise"]
# ### Exercise 3.5 — sigmoid scores, biased choice
# *10 minutes · stretch · about 4 lines*
#
# **Given** `logits` (N, E), `k` and `bias` (E,). **Return** `weights` (N, k) and `expert_ids` (N, k) int64. Scores are the sigmoid of
# the logits. The k experts with the largest score + bias are chosen, in that order, among equals the lower expert number first. The
# weights are the chosen experts' scores *without* the bias, divided by their sum.
# **Allowed:** `sigmoid`, sorting, `gather`, sums, division.
#
# <!-- hints 3.5 -->


# %% tags=["stub"]
def sigmoid_route(logits: torch.Tensor, k: int, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """DeepSeek-V3's choice without its groups and scale: sigmoid scores, a bias that chooses and does not weigh.

    logits (N, E), bias (E,) -> weights (N, k), expert_ids (N, k) int64
    """
    ### BEGIN SOLUTION
    scores = logits.sigmoid()  # (N, E)
    expert_ids = (scores + bias).sort(dim=-1, descending=True, stable=True).indices[:, :k]  # (N, k)
    weights = scores.gather(1, expert_ids)  # (N, k)
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids
    ### END SOLUTION


# %% tags=["check"]
check.sigmoid_route(sigmoid_route)

# %% [markdown]
# ## 3.6 Broken on purpose: the forgotten division
#
# The easiest slip of this lesson is to leave out the renormalising. Shapes are right, nothing crashes, the function picks the best
# experts, with weights in the right proportion. Here it is, in every layer of a model that was trained with weights that sum to 1.
#
# **Predict:** does the loss stay, rise a little, or rise by a nat? In which domains most?


# %% tags=["broken"]
def forgot_to_divide(scores, k):
    values, expert_ids = scores.sort(dim=-1, descending=True, stable=True)
    return values[:, :k], expert_ids[:, :k]


broken = checkpoint.pretrained(8, top_k_fn=forgot_to_divide)
good_run, bad_run = (evaluate.evaluate(m, corpora, max_windows=4) for m in (checkpoint.pretrained(8), broken))
domains = [*corpora]
good, bad = ([run.loss[domain] for domain in domains] for run in (good_run, bad_run))
plots.table(
    torch.tensor([good, bad, [b - g for g, b in zip(good, bad, strict=True)]]),
    "validation loss, nats a token",
    rows=["sums to 1", "forgotten", "difference"],
    columns=domains,
)

# %% [markdown]
# The loss rises in every domain, by about a tenth of a nat, most for Python and Shakespeare. No error, no warning. (A model that is
# *trained* this way is not broken at all: OLMoE is.) Where would you have noticed? Two things can be logged: the sum of a token's weights, and
# how many tokens choose other experts than they should.

# %%
ids = torch.tensor([data.encode(data.SAMPLES["python"])])  # (1, T)
right, wrong = model(ids).routing, broken(ids).routing  # one Routing a layer
sums = [[r.top_k[0].sum(dim=-1).mean().item() for r in routings] for routings in (right, wrong)]
moved = [
    (a.combine.bool() != b.combine.bool()).any(dim=-1).float().mean().item() for a, b in zip(right, wrong, strict=True)
]
plots.table(
    torch.tensor([*sums, moved]),
    "mean sum of a token's weights, and the share of tokens that choose another pair",
    rows=["sum, right", "sum, forgotten", "other pair"],
    columns=["layer 1", "layer 2", "layer 3", "layer 4"],
)

# %% [markdown]
# In layer 1 everybody still goes where they should. From layer 2 on the routers read what a weakened layer has written, and choose
# differently: a slip in the weights becomes a slip in the choice.
#
# ## 3.7 Your router in the real model
#
# Three models, equal but for the number of experts: 4, 8 and 16, each trained with two experts a token on the same text in the same
# order. In the next cell all their layers choose with `my_route`: yours, if it passed. First a comparison: does it do the same work?

# %%
yours = {n: checkpoint.pretrained(n, top_k_fn=my_route) for n in (4, 8, 16)}
loss = {
    name: evaluate.evaluate(m, corpora, max_windows=4).mean_loss
    for name, m in {"with my_route": yours[8], "as shipped": checkpoint.pretrained(8)}.items()
}
print({name: round(value, 4) for name, value in loss.items()})

# %% [markdown]
# Now watch it choose. Type a sentence of your own; move the layer, the number of experts, and top-k.
#
# **Predict before you move:** (1) Is there one layer where Python and German use clearly different experts? Try the first and the last.
# (2) These models were trained with two experts a token. With top-k at 1, and at 4: does the measured loss beside the slider fall or
# rise?

# %% tags=["widget"]
records = {n: checkpoint.pretrained_record(n) for n in yours}
TokenViewer(yours, domains=["shakespeare", "german", "python"], records=records, layer=4)

# %% [markdown]
# A single text can mislead, so here is the first answer counted over all the text that was held out, for eight experts: what share of one
# domain's assignments would have to go to another expert, for it to spread over the experts as the other domain does? 0 is the same
# spread, 1 nothing in common. Three pairs of human languages stand beside it to compare with.


# %%
def apart(record, a, b):
    """Half the summed difference between the expert shares of domains a and b, by layer -> (L,)."""
    a, b = (torch.tensor(record["load_by_domain"][domain]).double() for domain in (a, b))  # (L, E), (L, E)
    return (a / a.sum(dim=1, keepdim=True) - b / b.sum(dim=1, keepdim=True)).abs().sum(dim=1) / 2  # (L,)


pairs = [("python", "german"), ("french", "german"), ("shakespeare", "german"), ("shakespeare", "french")]
differences = torch.stack([apart(records[8], a, b) for a, b in pairs])  # (pairs, L)
layers = ["layer 1", "layer 2", "layer 3", "layer 4"]
plots.table(
    differences, "how differently two domains use the experts", rows=[f"{a} – {b}" for a, b in pairs], columns=layers
)

# %% [markdown]
# Python and German part in every layer, and most in the first, where a token has looked at its neighbours only once. But look at the other
# rows before you speak of a "code expert": in layers 2 and 3 German is about as far from French, and from Shakespeare, as from Python.
#
# The second answer was recorded for each model, over the whole validation set and for every top-k. **Predict** it once more, now that
# you have moved the slider: where does each of the three curves stand lowest, and which model loses most with all its experts at work?

# %% tags=["figure"]
plots.loss_by_top_k({n: record["val_loss_by_top_k"] for n, record in records.items()}, trained_at=2)

# %% [markdown]
# All three models are best exactly where they were trained. One expert fewer costs about 0.2 nats a token. More experts compute more and
# help nothing: with all sixteen at work for every token the loss is 0.40 higher than with two. The weights still sum to 1, so each expert
# that joins takes weight from the two that learned to speak for this token. Top-k can be changed after training; it is not free.
# <!-- evidence: data/checkpoints/moe-e8.json val_loss_by_top_k.1 - data/checkpoints/moe-e8.json val_loss_by_top_k.2;
# data/checkpoints/moe-e16.json val_loss_by_top_k.16 - data/checkpoints/moe-e16.json val_loss_by_top_k.2 -->
#
# Is sixteen experts better than eight, at the same work a token? Here by 0.004 nats, with one training each. That is not a result.
# Lesson 10 repeats such comparisons until they are.
# <!-- evidence: data/checkpoints/moe-e8.json val_loss_mean - data/checkpoints/moe-e16.json val_loss_mean -->
#
# ## 3.8 What popular articles say
#
# Ten sentences about routers, as popular articles print them, with the verdict of this course and what decides it. **Predict:** you have
# met evidence for most of them. Which two are plainly false?

# %%
claims(lesson=3)

# %% [markdown]
# "True with conditions" is the most frequent verdict, and the conditions are what such articles leave out.
#
# ## Now you know
#
# - A router is one vector an expert; logits are dot products, scores their softmax or sigmoid, computed in float32.
# - Top-k keeps the best experts. Ties need a rule, or two machines disagree.
# - Softmax then top-k then divide equals top-k then softmax. Without the division they differ, and the order is part of the model.
# - The router learns through the weights only: one renormalised expert a token teaches it nothing.
# - The combine matrix says what a sparse layer computes; weights that no longer sum to 1 damage a model without any error.
#
# The combine matrix is mostly zeros, and we computed every answer to multiply most by 0.
#
# <!-- next -->
