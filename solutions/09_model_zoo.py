# %% [markdown]
# # 09 · The model zoo
# *Part 3 — What experts learn, and how models differ · about 120 minutes · four exercises and one stretch*
#
# **What do Switch, GShard, Mixtral, DBRX, Grok-1, OLMoE, Qwen, DeepSeek, Llama 4 and gpt-oss do differently?**

# %% tags=["opening"]
from moe_lite.widgets import FamilyExplorer

FamilyExplorer(left="mixtral", right="kimi_k2")

# %% [markdown]
# One token of a short text, one set of logits, two published rules. Each column is one of sixteen experts. The two rules start from
# the same numbers and end with different experts, and the sentence under the figure says what made the difference.
# <!-- reasoned: it says what the figure above draws -->
#
# Model cards describe a rule in one dense line, such as this one of [DeepSeek-V3](https://arxiv.org/abs/2412.19437): *sigmoid gating with an auxiliary-loss-free bias, 8 of 256 routed experts in 8
# groups, one shared expert, scaling factor 2.5*. After this lesson you can read such a line, turn it into settings, and say which
# problem each setting answers. The lesson takes the problems in the order in which they came up.
#
# You will split experts at a fixed budget, gate a shared expert, limit a token to few devices, and write the settings of
# a published model from its description in words.
#
# **Builds on** [lesson 03](03_router.ipynb) (scores, choice, weights), [lesson 05](05_moe_language_model.ipynb) (the whole model, and
# how trainings are compared) and [lesson 07](07_capacity_and_noise.ipynb) (capacity, and the bias that a rule moves). In shape comments, N is the
# number of tokens, E the number of experts, K the number of experts per token, F an expert's width, and D the model's.

# %% tags=["diagram"]
from moe_lite import lesson_header

lesson_header(today=9)

# %% tags=["setup"]
import math
from dataclasses import replace

import torch

from moe_lite import ModelConfig, balance, checkpoint, claims, data, experts, families, guess, plots, routing, runs
from moe_lite.checks import lesson09 as check, mine

# %% [markdown]
# ## 9.0 One function, many models
#
# In version 5.23.0 the library transformers has 76 classes that send tokens to experts. They were written for the models of many
# teams. `python -m moe_lite.families` gives each class random weights and looks for settings of this course's router that
# compute the same: for the same tokens, both must give every expert the same weight. For 69 of the classes it finds settings of
# `routing.route`, the function that you know from lesson 03. Six more follow a rule that no setting of `route` gives, and the course
# has a small router for each. One is left over: Doge, which returns neither its choice nor its weights. The largest difference among
# the 75 is 3 · 10⁻⁷, which is rounding. The result is kept in `data/families/routers.json`; `families.rules()` groups it by rule.
#
# **Predict:** how many different rules are there among the 75 classes? And how many classes compute exactly the rule of
# Mixtral, the one that you wrote in lesson 03?

# %% tags=["guess"]
my_guess = guess("9.0", different_rules=None, classes_with_the_rule_of_mixtral=None)

# %%
rules = families.rules()
same_as_mixtral = rules.shared_by[rules.of_class["MixtralTopKRouter"]]  # names of classes
without_factor = {rule.removesuffix("; divided by k").partition("; weights times")[0] for rule in rules.shared_by}
print(f"{len(rules.of_class)} classes, {len(rules.own_router)} of them with a router of their own")
print(f"{len(rules.shared_by)} rules, {len(without_factor)} without the factor at the end")
print(f"{len(same_as_mixtral)} classes with the rule of Mixtral")
rules.most_common(4)

# %% tags=["guess"]
my_guess.beside(different_rules=len(rules.shared_by), classes_with_the_rule_of_mixtral=len(same_as_mixtral))

# %% tags=["holds"]
holds(
    "75 classes, 27 rules, 20 of Mixtral",
    (len(rules.of_class), len(rules.shared_by), len(same_as_mixtral)) == (75, 27, 20),
)
_three = sum(len(_group) for _group in [*rules.shared_by.values()][:3])
holds("three rules cover more than half of the classes", _three > 75 / 2)
holds("without the factor 19", len(without_factor) == 19)
holds("six with a router of their own, so 69 by route", len(rules.own_router) == 6)

# %% [markdown]
# **Answer.** There are 27 rules. Twenty classes compute exactly Mixtral's, and the three most common rules cover more
# than half of the classes. Eight of the 27 differ from another one only in the factor by which the weights are multiplied at the end.
#
# <!-- answered -->
# So most families are not a new kind of layer. They are a few settings of one function. `families.preset` gives a small
# `ModelConfig` with a family's rule, and `families.difference` shows in which settings two rules differ (sizes and shared experts are left
# out).

# %%
for other in ("olmoe", "qwen3_moe", "deepseek_v3"):
    print(f"mixtral and {other}:", families.difference("mixtral", other) or "one rule")

# %% tags=["holds"]
holds("OLMoE: one setting", [*families.difference("mixtral", "olmoe")] == ["renorm"])
holds("Qwen3: none", families.difference("mixtral", "qwen3_moe") == {})
holds("DeepSeek-V3: score, bias, groups, scale, loss", len(families.difference("mixtral", "deepseek_v3")) == 6)

# %% [markdown]
# One setting parts OLMoE from Mixtral, and none parts Qwen3 from it. (Its class stands under another rule in the full list: the list has
# each class at its default settings, and Qwen3's released models set the division.) DeepSeek-V3 changes six.
#
# Here are the families of this lesson's question in the order in which they came, each with what it answered. In the symbols, W x
# are the dot products, z the logits, σ the sigmoid, s the scores, T the chosen experts and g their weights; b is a bias that only
# chooses, β a trained one, and e a learned scale. Numbers, such as "2 of 4 groups", are those of the small presets here.
# <!-- reasoned: it reads the output above aloud -->

# %%
families.timeline(
    "gshard", "switch", "mixtral", "deepseek_moe", "grok_1", "dbrx", "qwen2_moe", "deepseek_v2", "olmoe", "deepseek_v3",
    "llama4", "gpt_oss", "inkling",
)  # fmt: skip

# %% [markdown]
# The first two are from the time when an expert had a fixed number of rows, the capacity of lesson 07. GShard sends a token to two
# experts, and Switch to one. The other rows have no such limit here, and the question became how large an expert should be.
# <!-- reasoned: the table's column "beside it", and lesson 07 -->
#
# ## 9.1 Cut the experts finer, and share some of them
#
# Mixtral's eight experts are as wide as the feed-forward network of a dense model. Whatever a token needs, it gets it
# from two of eight. DeepSeekMoE ([arXiv 2401.06066](https://arxiv.org/abs/2401.06066)) asked what happens if every expert
# is cut into smaller ones, and each token chooses as many more. The layer holds the same weights, and a token uses the same
# arithmetic. What grows is the number of sets that a token can choose from.
#
# **By hand:** how many different pairs can a token choose from 8 experts? Cut each expert into two halves, and let a token
# choose 4 of the 16: how many sets are there then?

# %%
choices = {"Mixtral": (8, 2), "halves": (16, 4), "quarters": (32, 8), "OLMoE": (64, 8)}  # name: (E, K)
for name, (n_experts, top_k) in choices.items():
    print(f"{name:9} {top_k} of {n_experts}: {math.comb(n_experts, top_k):>13,} sets of experts")

# %% tags=["holds"]
holds("28 pairs; 1,820 sets of four, 65 times as many", math.comb(8, 2) == 28 and math.comb(16, 4) == 1820 == 65 * 28)
holds("OLMoE: more than four billion", math.comb(64, 8) > 4e9)

# %% [markdown]
# **Answer.** There are 28 pairs, and 1,820 sets of four halves: 65 times as many. OLMoE's 8 of 64 are more than four
# billion sets.
#
# <!-- answered -->
# Grok-1 and DBRX came in the same month, on the two sides of this step: 2 of 8 and 4 of 16.
#
# Finer experts still have to learn the same basics again and again, because every token needs them, whichever experts it
# chooses. The paper's second idea answers that: some of the parts become **shared experts**, which every token uses. The
# router does not choose them. What is left of a token's budget goes to the **routed experts**.

# %% [markdown] tags=["exercise"]
# ### Exercise 9.1 — split at a fixed budget
# *8 minutes · core · about 5 lines*
#
# **Given** a `ModelConfig` `config` without shared experts and with K smaller than E, and whole numbers `parts` (m, at least 1) and
# `shared` (s, from 0 to m · K − 1). Every expert is cut into m parts of equal width; m divides `config.d_expert`. Of all parts, s become shared experts that
# every token uses; the others are routed experts. A token uses as much expert width as before, shared experts included, and the layer
# holds as much as before. **Return** the new `ModelConfig`; every other setting stays as it is.
# **Allowed:** `dataclasses.replace` (imported as `replace`), arithmetic.
#
# <!-- hints 9.1 -->


# %% tags=["stub"]
def split_experts(config: ModelConfig, parts: int, shared: int) -> ModelConfig:
    """Cut every expert into `parts`, and let every token use `shared` of the parts.

    config: n_experts, top_k and d_expert as they are before, no shared experts -> ModelConfig
    """
    ### BEGIN SOLUTION
    return replace(
        config,
        n_experts=config.n_experts * parts - shared,
        top_k=config.top_k * parts - shared,
        d_expert=config.d_expert // parts,
        n_shared_experts=shared,
    )
    ### END SOLUTION


# %% tags=["check"]
check.split_experts(split_experts)

# %% [markdown]
# Does it pay? Three models were trained here, on 2 million tokens each, with the best of three learning rates and three
# seeds. The first has Mixtral's eight experts, the second has them cut into halves, and the third into quarters, one of them
# shared. (The third has one routed expert more than your function gives, 32 in place of 31, so it holds 3 % more of them.)
# <!-- evidence: 1 / 32 -->
#
# The figure shows the final validation loss minus that of the eight uncut experts, seed by seed: the mean and its 95 %
# interval. An open dot means that the interval contains 0. <!-- evidence: 1 - 1 / 20 -->
#
# **Predict:** do halves lower the loss? Do quarters with a shared one? Does an interval contain 0?

# %% tags=["figure"]
uncut = runs.recording("moe-8-top2")
# recorded as "qwen3_moe", because Qwen3's preset is Mixtral's rule with 4 of 16
cut = {"halves: 4 of 16": "qwen3_moe", "quarters: 7 of 32, and one shared": "moe-32-shared"}
gaps = [runs.interval(runs.differences(runs.recording(name), uncut)) for name in cut.values()]
values = torch.tensor([[gap.mean, gap.low, gap.high] for gap in gaps])  # (2, 3)
plots.intervals(values, "final loss minus that of eight uncut experts, nats per token", rows=[*cut])

# %% tags=["holds"]
_halves, _quarters = gaps
holds(
    "halves: 0.04 lower, the interval reaches above 0",
    round(_halves.mean, 2) == -0.04 and _halves.low < 0 < _halves.high,
)
holds("quarters: 0.06 lower, all below 0", round(_quarters.mean, 2) == -0.06 and _quarters.high < 0)

# %% [markdown]
# **Answer.** With halves the loss was 0.04 nats lower on average, but the interval reaches just above 0: three seeds cannot tell.
# Quarters with a shared one lowered it by 0.06 nats, and the interval stays below 0. Whether the finer cut did this or the shared
# expert, this comparison cannot say: both changed, and a little was added.
#
# ## 9.2 A gate for the shared expert
#
# Some models let a token turn the shared expert down. Qwen1.5-MoE, and Qwen3-Next after it, give it a gate of its own: one
# number per token, the sigmoid of a dot product, as the router's scores are dot products.
#
# **By hand:** a layer of width 2 has the gate vector (2, −1). Token 0 is (1, 2), token 1 is (3, 0). How much of the shared
# expert's answer does each token get?

# %%
x, w_gate = torch.tensor([[1.0, 2.0], [3.0, 0.0]]), torch.tensor([2.0, -1.0])  # (N, D), (D,)
print("dot products:", (x @ w_gate).tolist(), " gates:", [round(g, 3) for g in (x @ w_gate).sigmoid().tolist()])

# %% tags=["holds"]
holds("half for token 0", (x @ w_gate).sigmoid()[0] == 0.5)
holds("nearly all for token 1, 0.998", round((x @ w_gate).sigmoid()[1].item(), 3) == 0.998)

# %% [markdown]
# **Answer.** The dot products are 0 and 6. Token 0 gets half of the shared expert's answer, and token 1 gets nearly all of
# it, 0.998.

# %% [markdown] tags=["exercise"]
# ### Exercise 9.2 — a gated shared expert
# *6 minutes · core · about 2 lines*
#
# **Given** `x` (N, D), the tokens; `routed` (N, D), the sum of what each token's chosen experts answered, already weighted; `shared`
# (N, D), what the shared expert answered; and `w_gate` (D,). **Return** `y` (N, D): the routed answers plus the shared one times a
# gate. The gate is one number per token, the sigmoid of the dot product of the token and `w_gate`. Inputs stay unchanged; the gradient
# must reach all four, and stays finite for large `x`.
# **Allowed:** `sigmoid`, products, sums.
#
# <!-- hints 9.2 -->


# %% tags=["stub"]
def gated_shared_expert(
    x: torch.Tensor, routed: torch.Tensor, shared: torch.Tensor, w_gate: torch.Tensor
) -> torch.Tensor:
    """The layer's answer where a token can turn the shared expert down (Qwen1.5-MoE).

    x, routed, shared (N, D), w_gate (D,) -> y (N, D)
    """
    ### BEGIN SOLUTION
    gate = (x @ w_gate).sigmoid()  # (N,)
    return routed + gate[:, None] * shared  # (N, D)
    ### END SOLUTION


# %% tags=["check"]
check.gated_shared_expert(gated_shared_expert)

# %% [markdown]
# Does a shared expert help? DeepSeekMoE's authors found that setting one apart
# [lowers the loss](https://arxiv.org/abs/2401.06066). OLMoE's authors trained a model with a shared expert and one without, and the one
# with it came out [slightly worse](https://arxiv.org/abs/2409.02060). The two start from different models. A third number needs
# care: in a *trained* DeepSeekMoE the shared expert was switched off, one more routed expert worked in its place, and the
# loss rose [from 1.808 to 2.414](https://arxiv.org/abs/2401.06066). That says how much a trained model leans on its shared expert. It
# does not say whether it was worth having.
#
# ## 9.3 Few devices per token
#
# [DeepSeek-V2](https://arxiv.org/abs/2405.04434) has 160 experts, and they do not fit on one device. A token's vector has to travel to every device that
# holds one of its experts, and back. With finer experts a token has more of them, so it visits more devices.
#
# The remedy ([arXiv 2405.04434](https://arxiv.org/abs/2405.04434)) is **group-limited routing**. The experts of one device are a
# group. The router first picks the few best groups for the token, and then chooses its experts from these groups only.
#
# We can count the visits. The shipped model with 16 experts reads 2,304 tokens, and each token takes the 4 experts with the
# largest scores. (The model was trained with 2. Here only the choice is looked at.) Experts 0 to 3 are on the first device,
# 4 to 7 on the second, and so on. <!-- evidence: 9 * 256 -->
#
# **Predict:** how many of the four devices does a token visit on average? If only the two best groups are open (best by the sum of
# their two largest scores), how many percent of the tokens get another set of experts?

# %% tags=["guess"]
my_guess = guess("9.3", devices_without_a_limit=None, percent_with_other_experts=None)

# %%
model, corpora = checkpoint.pretrained(16), data.load_corpora()
batches = data.validation_batches(corpora, 256, max_windows=1)  # 256 tokens from each of nine domains
ids = torch.cat([batch.ids for batch in batches.values()])  # (B, T)
with torch.no_grad():
    logits = [layer.logits for layer in model(ids).routing]  # (N, E) of each layer


# %%
def devices(expert_ids):
    """How many groups of four experts each token's experts (N, K) are in, (N,)."""
    return torch.zeros(len(expert_ids), 4).scatter(1, expert_ids // 4, 1.0).sum(dim=1)


table = torch.zeros(4, 3)
for i, z in enumerate(logits):
    free = routing.route(z, 4).top_k[1]  # (N, 4)
    limited = routing.route(z, 4, n_groups=4, topk_groups=2).top_k[1]  # (N, 4)
    other_set = (free.sort().values != limited.sort().values).any(dim=1)  # (N,)
    table[i] = torch.stack([devices(free).mean(), devices(limited).mean(), 100 * other_set.float().mean()])
columns = ["devices without a limit", "devices, best 2 groups", "tokens with other experts, %"]
plots.table(table, "devices per token, by layer", rows=[f"layer {i}" for i in (1, 2, 3, 4)], columns=columns)

# %% tags=["guess"]
my_guess.beside(devices_without_a_limit=table[:, 0].mean(), percent_with_other_experts=table[:, 2].mean())

# %% tags=["holds"]
holds(
    "2.8 to 3.0 devices without a limit, about 2 with it",
    2.75 < table[:, 0].min() and table[:, 0].max() < 3.05 and (table[:, 1] - 2).abs().max() < 0.01,
)
holds("between 70 and 85 % of the tokens", 70 <= table[:, 2].min() and table[:, 2].max() < 85)
_random = 4 * (1 - math.comb(12, 4) / math.comb(16, 4))
holds("four experts drawn at random: 2.91 devices", round(_random, 2) == 2.91)

# %% [markdown]
# **Answer.** Without a limit a token visits about three of the four devices, which is what four experts drawn at random would
# do (2.91). With the limit it visits two. The price: 70 to 85 percent of the tokens get other experts than they would have
# taken. What that does to the loss was not measured here. (DeepSeek-V2's authors report [in the same paper](https://arxiv.org/abs/2405.04434) that three devices or more are about as good as no
# limit.) <!-- evidence: 4 * (1 - 12 * 11 * 10 * 9 / (16 * 15 * 14 * 13)) -->
#
# <!-- answered -->
# What is a group worth? DeepSeek-V2 takes its best expert's score, and DeepSeek-V3 the sum of its two best.
#
# **By hand:** six experts in three groups of two have the values 0.9, 0.1 · 0.6, 0.5 · 0.7, 0.2. One group may be open. Which
# two experts does the token get by the rule of V2, and which by that of V3?

# %%
values = torch.tensor([[0.9, 0.1, 0.6, 0.5, 0.7, 0.2]])  # (1, E)
by_group = values.view(1, 3, 2)  # (1, groups, experts of a group)
worth = torch.stack([by_group.amax(dim=-1)[0], by_group.sum(dim=-1)[0]], dim=1)  # (groups, 2)
columns = ["first", "second", "largest", "sum of two"]
plots.table(
    torch.cat([by_group[0], worth], dim=1), "values by group", rows=["group 0", "group 1", "group 2"], columns=columns
)

# %% tags=["holds"]
holds("V2: group 0, V3: group 1", by_group.amax(-1).argmax() == 0 and by_group.sum(-1).argmax() == 1)

# %% [markdown]
# **Answer.** By V2's rule group 0 is best, because it has the largest single value, and the token gets experts 0 and 1. By V3's
# rule group 1 is best with a sum of 1.1, and the token gets experts 2 and 3. Expert 0, which the token wanted most, is out.

# %% [markdown] tags=["exercise"]
# ### Exercise 9.3 — group-limited top-k
# *12 minutes · core · about 7 lines*
#
# **Given** `values` (N, E): what the experts are chosen by, such as score + bias, so they may be negative, however far. The experts
# stand in `n_groups` groups of equal size, at least two experts each: the first E / n_groups experts are group 0, and so on. For each token a
# group is worth the sum of its two largest values, and only experts of the `topk_groups` best groups may be chosen. **Return**
# `expert_ids` (N, k) int64: the k allowed experts with the largest values, best first. Among equals, the lower number comes first,
# for groups as for experts. The open groups always hold at least k experts. `values` stay unchanged.
# **Allowed:** sorting, reshaping, sums, `scatter`, masks.
#
# <!-- hints 9.3 -->


# %% tags=["stub"]
def group_limited_top_k(values: torch.Tensor, k: int, n_groups: int, topk_groups: int) -> torch.Tensor:
    """The k best experts of the best groups (DeepSeek-V3).

    values (N, E) -> expert_ids (N, k) int64
    """
    ### BEGIN SOLUTION
    grouped = values.view(len(values), n_groups, -1)  # (N, G, E / G)
    worth = grouped.topk(2, dim=-1).values.sum(dim=-1)  # (N, G)
    best_groups = worth.sort(dim=-1, descending=True, stable=True).indices[:, :topk_groups]  # (N, topk_groups)
    is_open = torch.zeros_like(worth, dtype=torch.bool).scatter(1, best_groups, True)  # (N, G)
    allowed = grouped.masked_fill(~is_open[:, :, None], -math.inf).flatten(1)  # (N, E)
    return allowed.sort(dim=-1, descending=True, stable=True).indices[:, :k]  # (N, k)
    ### END SOLUTION


# %% tags=["check"]
check.group_limited_top_k(group_limited_top_k)

# %% [markdown]
# Now your function takes part in a real choice. In a model that is balanced by a bias, score + bias can be negative. So we take the
# scores of the last layer and give every expert a bias of −1. Your function stands beside the package's `route`, and beside a version
# that fills closed groups with 0 in place of −∞, as [vLLM](https://github.com/vllm-project/vllm/pull/13474) and [code of DeepSeek-V3
# itself](https://github.com/deepseek-ai/DeepSeek-V3/issues/741) once did.
#
# **Predict:** for how many percent of the tokens does the 0 lead to a wrong set of experts?

# %% tags=["guess"]
my_guess = guess("9.3 zeros", percent_wrong_with_zeros=None)


# %%
def package_choice(values, k, n_groups, topk_groups, fill="-inf"):
    """The same choice by `routing.route`: values stand in for logits, and a sigmoid keeps their order."""
    options = {"n_groups": n_groups, "topk_groups": topk_groups, "group_fill": fill, "select_on": "logit"}
    return routing.route(values, k, score="sigmoid", **options).top_k[1]  # (N, k)


my_choice = mine("9.3", group_limited_top_k, default=package_choice)
values = logits[3].softmax(dim=-1) - 1  # (N, E) score + bias
answers = {"yours": my_choice(values, 4, 4, 2), "closed groups filled with 0": package_choice(values, 4, 4, 2, "zero")}
right = package_choice(values, 4, 4, 2).sort().values  # (N, 4)
for name, expert_ids in answers.items():
    wrong = 100 * (expert_ids.sort().values != right).any(dim=1).float().mean().item()
    print(f"{name}: other experts than the package's for {wrong:.0f} % of the tokens")

# %% tags=["guess"]
my_guess.beside(percent_wrong_with_zeros=wrong)

# %% tags=["holds"]
holds("yours is right, with 0 every token is wrong", [
    (_ids.sort().values != right).any(dim=1).float().mean().item() for _ids in answers.values()] == [0, 1])  # fmt: skip

# %% [markdown]
# **Answer.** For all of them. Every open expert has a value below 0, so the zeros of the closed groups win, and each token gets
# experts from the very groups that were closed to it. With positive scores and no bias the same code is right, which is why its tests
# passed. (One family, A.X K2, is trained with the zeros. There they belong to the rule, and the preset says `group_fill="zero"`.)
# <!-- reasoned: moe_lite/families/table.py, axk2 -->
#
# ## 9.4 Score, choose, weigh
#
# Three questions part most of the other rules. How is an expert scored? What is the choice made from? What do the weights sum to,
# and where do they act? Set two families side by side and look. Both rules get the same logits and the same K; the biases are
# made up for the figure, and the slider sets how strong they are.
#
# **Predict, then click:** (1) Mixtral divides the weights by their sum and OLMoE does not: does it change the experts, and do OLMoE's
# weights sum to more than 1, or to less? (2) gpt-oss keeps the best logits first and takes the softmax afterwards, and its logits have
# a trained bias. Which of these two makes the difference to Mixtral? (3) Kimi K2 was in the opening figure. With its bias at 0 it
# chooses Mixtral's experts: does it weigh them as Mixtral does? (4) Kimi K2 and DeepSeek-V3: what alone makes them choose differently?

# %% tags=["widget"]
explorer = FamilyExplorer(left="mixtral", right="dbrx")
explorer.suggest(
    {
        "(1) OLMoE": {"left": "mixtral", "right": "olmoe", "bias": 0.3},
        "(2) gpt-oss": {"left": "mixtral", "right": "gpt_oss", "bias": 0.3},
        "without bias": {"left": "mixtral", "right": "gpt_oss", "bias": 0.0},
        "(3) Kimi K2, bias 0": {"left": "mixtral", "right": "kimi_k2", "bias": 0.0},
        "(4) Kimi K2, DeepSeek-V3": {"left": "kimi_k2", "right": "deepseek_v3", "bias": 0.3},
    }
)


# %% tags=["holds"]
def _read(_left, _right, _bias=0.3):
    with torch.random.fork_rng():
        return FamilyExplorer(left=_left, right=_right, bias=_bias).reading


holds(
    "(1) the same experts, 1 against 0.42", "sum to 1.00 in Mixtral and to 0.42 in OLMoE" in _read("mixtral", "olmoe")
)
holds(
    "(2) the trained bias", "Without its trained bias, gpt-oss would give them the same" in _read("mixtral", "gpt_oss")
)
holds("(2) without it nothing", "with the same weights" in _read("mixtral", "gpt_oss", 0.0))
_kimi = _read("mixtral", "kimi_k2", 0.0)
holds("(3) bias 0: the same experts, sum 2.83", "both take experts" in _kimi and "to 2.83 in Kimi K2" in _kimi)
holds("(3) the sigmoid and the factor", "with softmax scores and without its factor 2.83" in _kimi)
holds("(4) the groups", "Without its groups, DeepSeek-V3" in _read("kimi_k2", "deepseek_v3"))

# %% [markdown]
# **Answer.** (1) Both choose the same experts. OLMoE's weights sum to less than 1, here to less than
# half, because the scores of the experts that were not chosen are missing. (2) The trained bias. With the bias at 0 the two rules compute the same, as lesson 03 showed. (3) No. The weights
# differ in two ways: they come from sigmoids, and they are multiplied by 2.83. (4) The groups.
#
# <!-- answered -->
# Llama 4 asks the last question, where the weight acts. Every other model in the list multiplies what an expert *answers*. Llama
# 4 multiplies what the expert is *given*: `expert(g · x)` in place of `g · expert(x)`.
#
# **Predict:** for a linear expert the two would be equal. The experts here are SwiGLU networks. With a weight of ½ on its input, how
# long is the expert's answer: half as long as its full answer, longer than half, or shorter than half?

# %% tags=["guess"]
my_guess = guess("9.4", length_with_half_the_input=None)  # 0.5 is half of the full length

# %%
layer = model.blocks[-1].feed_forward
gate_up, down = layer.experts.gate_up.detach()[0], layer.experts.down.detach()[0]  # of expert 0
x = torch.randn(512, gate_up.shape[1], generator=torch.Generator().manual_seed(0))  # (N, D)
whole, weights = experts.swiglu(x, gate_up, down), [0.25, 0.5, 0.75, 1.0]  # (N, D)
on_input = [(experts.swiglu(g * x, gate_up, down).norm() / whole.norm()).item() for g in weights]
columns = [f"g = {g}" for g in weights]
plots.table(torch.tensor([on_input, weights]), "length of the answer, relative to the full one",
            rows=["weight on the input", "weight on the output"], columns=columns)  # fmt: skip

# %% tags=["guess"]
my_guess.beside(length_with_half_the_input=on_input[1])

# %% tags=["holds"]
holds("less than a quarter, 0.23", round(on_input[1], 2) == 0.23)
holds(
    "near the square for small weights",
    all(abs(_got - _g**2) < 0.05 for _got, _g in zip(on_input[:2], weights, strict=False)),
)

# %% [markdown]
# **Answer.** Shorter: less than a quarter of the full answer, 0.23. SwiGLU multiplies two numbers that both come from the input, its
# gate and its values, so for small weights the answer shrinks about with the square of the weight.
#
# So a rule is not complete with its weights. Where they act is a part of it, and an engine that puts Llama 4's weight behind the
# expert computes another model.
#
# ## 9.5 From a description to settings
#
# New models come as prose. Here is the router of a small model that finds personal data in text, in our words:
#
# > The router is a linear layer with a trained bias, one number per expert that is part of the logits. Each token keeps the K
# > experts with the largest logits. A softmax over the kept logits gives the weights, and each weight is then divided by K.
#
# The fields that you may need are `score`, `order`, `renorm`, `router_bias` (trained, part of the logits), `selection_bias` (moved
# by a rule, only for choosing) and `routed_scale` (multiplies the weights). `help(routing.route)` tells more.

# %% [markdown] tags=["exercise"]
# ### Exercise 9.4 — a preset from words
# *8 minutes · core · about 3 lines*
#
# **Given** `n_experts` and `top_k`, at least 2. **Return** a `ModelConfig` with these two whose router does what the description says; leave
# everything else at its default. Any settings that compute the same are right: the check gives your configuration's router and the
# model's rule the same random weights and tokens and compares what each token gives each expert.
# **Allowed:** `ModelConfig` and its fields.
#
# <!-- hints 9.4 -->


# %% tags=["stub"]
def from_words(n_experts: int, top_k: int) -> ModelConfig:
    """The settings of the router described above, for any number of experts -> ModelConfig"""
    ### BEGIN SOLUTION
    return ModelConfig(
        n_experts=n_experts, top_k=top_k, order="topk_first", router_bias=True, routed_scale=1 / top_k
    )  # fmt: skip
    ### END SOLUTION


# %% tags=["check"]
check.from_words(from_words)

# %% [markdown]
# The description belongs to one of the families of this course. `families.describe` has it in words and in symbols, with the
# settings, and with what the rule was compared with.

# %%
families.describe("openai_privacy_filter")

# %% [markdown]
# Read the row *not built*, too: the layer multiplies its answer by K again, which takes the division back. A description of the router
# alone was half the truth about the layer. <!-- reasoned: moe_lite/families/table.py; tests/families/test_layers.py compares the layer -->
#
# Now the line from the top of the page: *sigmoid gating with an auxiliary-loss-free bias, 8 of 256 routed experts in 8 groups, one
# shared expert, scaling factor 2.5*.
#
# The next cell turns each of its phrases into a setting, compares with DeepSeek-V3, and lists the settings of the rule that the line does
# not mention.
#
# **Predict:** what does the line leave open, so that nobody could build the router from it?

# %%
from_the_line = {"score": "sigmoid", "selection_bias": True, "balance_coef": 0.0, "top_k": 8, "n_experts": 256}
from_the_line |= {"n_groups": 8, "n_shared_experts": 1, "routed_scale": 2.5}
real = families.preset("deepseek_v3", n_experts=256, top_k=8, n_groups=8, topk_groups=4)  # DeepSeek-V3's own numbers
for name, value in from_the_line.items():
    print(f"{name:17} {value!s:8} {'as in DeepSeek-V3' if getattr(real, name) == value else 'differs'}")
print("not mentioned:", {name: value for name, value in real.routing_options().items() if name not in from_the_line})

# %% tags=["holds"]
holds(
    "every phrase is as in DeepSeek-V3", all(getattr(real, _name) == _value for _name, _value in from_the_line.items())
)

# %% [markdown]
# **Answer.** Three things. The line does not say how many of the 8 groups are open (`topk_groups`, 4 in DeepSeek-V3), what a group is worth
# (`group_score`), and whether the weights are divided by their sum before the factor (`renorm`; they are). The other settings in the
# list are at values that do nothing. Where a model card leaves such a gap, read the code.
#
# ## 9.6 Broken on purpose: a loss that does not see the bias
#
# A model with a selection bias can be watched by a balancing loss as well. In transformers 5.23.0 the loss of such models is not
# given the router's choice. It takes the softmax of the logits and chooses again, without the bias. What does it see when something
# goes wrong with the bias?
#
# Let something go wrong. Lesson 07's rule moves the bias against the load. With one sign wrong, it moves *with* the load: full experts
# become fuller. The next cell runs both signs for 200 batches on the logits of the shipped model with 8 experts. It keeps the loads
# and three readings: how many experts still get tokens, what the loss reads if it chooses again, and what the same loss reads if it
# counts the choice that was really made. Here 1 means perfect balance.
#
# **Predict:** with the wrong sign, how many of the eight experts still get tokens after 200 batches?

# %% tags=["guess"]
my_guess = guess("9.6", experts_at_work=None)

# %% tags=["broken"]
with torch.no_grad():
    z = checkpoint.pretrained(8)(ids).routing[3].logits  # (N, 8) of the last layer


def moved_by(step):
    """200 batches of lesson 07's rule: loads (201, 8) and readings (201, 3)."""
    bias, loads, readings = torch.zeros(8), [], []
    for _ in range(201):
        real = routing.route(z, 2, score="sigmoid", bias=bias)
        again = routing.route(z, 2)  # a softmax and a choice of its own
        loss_again = balance.load_balancing_loss(again.scores, again.expert_ids)
        loss_real = balance.load_balancing_loss(again.scores, real.expert_ids)
        loads.append(real.load)
        readings.append(torch.stack([(real.load > 0).sum(), loss_again, loss_real]))
        bias = bias + step * (real.load.float().mean() - real.load).sign()
    return torch.stack(loads), torch.stack(readings)


(right_loads, _), (wrong_loads, readings) = moved_by(0.01), moved_by(-0.01)

# %% tags=["figure"]
loads = {"the right sign": right_loads[::4], "the wrong sign": wrong_loads[::4]}
plots.strips(loads, 200, "load of each expert: the stronger the ink, the more", unit="batches")

# %% tags=["guess"]
my_guess.beside(experts_at_work=readings[-1, 0])

# %% tags=["holds"]
holds("two of eight experts, each with every token", readings[-1, 0] == 2 and wrong_loads[-1].max() == len(z))
holds("the right sign evens the loads out", right_loads[-1].max() < 1.2 * right_loads[-1].float().mean())

# %% [markdown]
# **Answer.** Two, and each of them gets every token. Every expert above the mean rises and every one below it falls, by the same step. After
# some batches the difference is larger than any difference of scores, so each token takes its two experts among those that rose, and
# here two were left to rise. With the right sign the same rule evens the loads out.
#
# <!-- answered -->
# **Predict:** what does the loss read in the end if it chooses again, as those classes do? And what does it read if it counts the
# choice that was really made?

# %% tags=["guess"]
my_guess = guess("9.6 loss", loss_that_chooses_again=None, loss_of_the_real_choice=None)

# %%
by_logits = routing.route(torch.tensor([[60.0, 60.0] + [0.0] * 6]), 2)  # a router that collapsed without any bias
collapsed = balance.load_balancing_loss(by_logits.scores, by_logits.expert_ids)
print(f"the same loss for a collapse in the logits: {collapsed:.2f}")
shown = [0, 20, 50, 100, 200]
columns = ["experts at work", "loss, chooses again", "loss, counts the real choice"]
table = readings[shown]  # (5, 3)
plots.table(table, "with the wrong sign", rows=[f"batch {batch}" for batch in shown], columns=columns)

# %% tags=["guess"]
my_guess.beside(loss_that_chooses_again=table[-1, 1], loss_of_the_real_choice=table[-1, 2])

# %% tags=["holds"]
holds(
    "the loss that chooses again never moves: 1.12",
    (readings[:, 1] == readings[0, 1]).all() and round(table[0, 1].item(), 2) == 1.12,
)
holds("the other one rises to 1.36", [round(_v, 2) for _v in table[[0, -1], 2].tolist()] == [1.12, 1.36])
holds("a collapse in the logits reads 4", abs(collapsed - 4) < 1e-5)

# %% [markdown]
# **Answer.** The loss that chooses again does not move at all: it reads 1.12
# from the first batch to the last, because the logits stayed as they were, and it looks at nothing else. The loss that counts the
# real choice rises to 1.36, which few would call an alarm. When a router collapses by its *logits*, the same loss reads 4, because
# both its factors grow: the share of the tokens, f, and the mean score, P. A bias moves f alone.
#
# <!-- answered -->
# **Takeaway: where a bias chooses, watch the loads.** Take them from the indices that the router returned, and do not compute
# the choice again from its logits. We also built two of those models of transformers, MiniMax-M2 and ERNIE 4.5, with random weights,
# and set one expert's bias so high that every token chose this expert. Their loss stayed within one percent of perfect balance.
# <!-- reasoned: tests/hf/test_bias_blind_loss.py runs both classes -->
#
# ## 9.7 Eight models on one budget
#
# Do the rules differ in what they are for, the loss? Eight models were trained here on 2 million tokens each. For each of them the best of
# three learning rates was chosen on the first seed, and then two more seeds were trained. A layer holds 512 channels of routed experts (Llama
# 4: 448, and a shared 64; the two with 32 experts have a shared 16 on top), and each token uses 128. So the models differ in how these channels
# are cut, and in the rule. Three of the eight have Mixtral's rule, cut in three ways.
# <!-- evidence: 8 * 64; 7 * 64; 2 * 64; data/runs/summary.json switch.tokens -->

# %%
names = {
    "Switch: 1 of 4, wide": "switch",
    "hash layers: 1 of 4, wide": "hash_layers",  # each token id has a fixed expert; nothing is learned
    "Mixtral: 2 of 8": "moe-8-top2",
    "OLMoE: 4 of 16": "olmoe",
    "Qwen3: 4 of 16": "qwen3_moe",  # Mixtral's rule
    "Llama 4: 1 of 7, + 1 shared": "llama4",
    "Mixtral's rule: 7 of 32, + 1": "moe-32-shared",
    "DeepSeek-V3: 7 of 32, + 1": "deepseek_v3",
}
zoo = {title: runs.recording(name) for title, name in names.items()}

# %% [markdown]
# The left panel shows the final validation loss, from the lowest to the highest of the three seeds. The right one shows the loss minus
# that of *Mixtral: 2 of 8*, seed by seed: mean and 95 % interval. You know two of its rows from 9.1. <!-- evidence: 1 - 1 / 20 -->
#
# **Predict:** which model ends lowest? Where does the one end whose router learns nothing: last, or among the others? And how many of the
# seven differences from Mixtral can three seeds tell from 0?

# %% tags=["guess"]
my_guess = guess("9.7", differences_told_from_0=None)

# %% tags=["figure"]
losses = torch.tensor([[min(one.losses), max(one.losses)] for one in zoo.values()])  # (8, 2)
leads = [runs.interval(runs.differences(one, uncut)) for one in zoo.values()]
minus_mixtral = torch.tensor([[lead.mean, lead.low, lead.high] for lead in leads])  # (8, 3)
panels = {"final loss, nats per token": losses, "minus Mixtral's": minus_mixtral}
plots.compared(panels, "eight models, three seeds each", rows=[*zoo], reference=2)

# %% tags=["guess"]
my_guess.beside(differences_told_from_0=sum(not lead.low <= 0 <= lead.high for lead in leads))

# %% tags=["holds"]
_mean = {_name: sum(_one.losses) / 3 for _name, _one in zip(names.values(), zoo.values(), strict=True)}
_by_name = dict(zip(names.values(), leads, strict=True))
_told = [_name for _name, _lead in _by_name.items() if _name != "moe-8-top2" and not _lead.low <= 0 <= _lead.high]
holds("the finest cut with Mixtral's rule ends lowest", min(_mean, key=_mean.get) == "moe-32-shared")
holds("one of seven can be told from 0, the finest cut", _told == ["moe-32-shared"])
holds("hash layers: among the others", sorted(_mean, key=_mean.get).index("hash_layers") not in (0, 7))
holds("and 0.03 below Mixtral on average", round(_by_name["hash_layers"].mean, 2) == -0.03)
_best = min((min(_one.losses), _name) for _name, _one in zip(names.values(), zoo.values(), strict=True))
_worst = max((max(_one.losses), _name) for _name, _one in zip(names.values(), zoo.values(), strict=True))
holds("the best and the worst of 24 trainings are Switch's", _best[1] == _worst[1] == "switch" and 3 * len(zoo) == 24)

# %% [markdown]
# **Answer.** Mixtral's rule on the finest cut ends lowest on average, and it is the only one of the seven that three seeds can tell from
# Mixtral's eight experts. The hash layers, whose router learns nothing, end among the others: on average 0.03 nats below Mixtral, with
# an interval that contains 0. And look at Switch: one of its seeds is the best of all 24 trainings, and another one is the worst. With one
# seed each, Switch could have come out first or last.
#
# <!-- answered -->
# A fairer question is about two models that differ in the rule alone. Here are two such pairs. OLMoE and Qwen3 have the same sizes, and
# differ only in the division of the weights by their sum. The two models with 32 experts have the same sizes, too, and differ in score,
# bias, groups, factor and in what balances them.
#
# **Predict:** for which of the two pairs can three seeds tell a difference?

# %% tags=["figure"]
pairs = {
    "OLMoE − Qwen3": ("olmoe", "qwen3_moe"),
    "DeepSeek-V3 − Mixtral's rule, 32 experts": ("deepseek_v3", "moe-32-shared"),
}
found = [runs.interval(runs.differences(*map(runs.recording, pair))) for pair in pairs.values()]
values = torch.tensor([[gap.mean, gap.low, gap.high] for gap in found])  # (2, 3)
plots.intervals(values, "difference of the final losses, nats per token: mean and 95 % interval", rows=[*pairs])

# %% tags=["holds"]
_division, _everything = found
holds("the division: 0.011, all above 0", round(_division.mean, 3) == 0.011 and _division.low > 0)
holds(
    "everything else: 0.015, contains 0", round(_everything.mean, 3) == 0.015 and _everything.low < 0 < _everything.high
)

# %% [markdown]
# **Answer.** Their means are 0.01 and 0.02 nats, but only the first can be told from 0: without the division the model is about a hundredth of
# a nat worse with every seed. For the second pair three seeds cannot tell.
#
# <!-- answered -->
# **Takeaway: on this budget three seeds tell two things.** The finest cut with a shared expert is better than eight uncut experts, and dividing
# the weights is better than not dividing them. All else may differ or not. Some caveats: of nine such intervals, one may miss by
# chance; the seven differences share Mixtral's three seeds; and most rules answer problems that this model does not have. Nothing
# here travels between devices, and the balancing loss costs little. A rule has to be tested where its problem is.
# <!-- reasoned: it repeats what the cells above hold -->

# %% [markdown]
# ## 9.8 Shared experts that compete (stretch)
#
# *You can skip this section; nothing below needs it.* In 9.2 a gate turned the shared expert down. A recent
# family, Inkling, lets the router do it: the shared experts have logits, too. They are not chosen, since every token uses them, but their scores stand in the
# sum by which all weights are divided. So a token whose routed experts fit well takes less from the shared ones.
#
# **By hand:** two chosen experts have the scores 0.8 and 0.6, and one shared expert has 0.6. What are the three weights? And
# which weights do the two routed experts have where the shared one does not compete?

# %%
scores = torch.tensor([0.8, 0.6, 0.6])  # two chosen ones, one shared
weights = {"competing": scores / scores.sum(), "apart": scores / scores[:2].sum()}  # (3,) each
weights["apart"][2] = 1.0  # the shared one has its full weight
columns = ["chosen, first", "chosen, second", "shared"]
plots.table(torch.stack([*weights.values()]), "weights of one token", rows=[*weights], columns=columns)

# %% tags=["holds"]
holds("0.4, 0.3 and 0.3", (scores / scores.sum() - torch.tensor([0.4, 0.3, 0.3])).abs().max() < 1e-6)
holds("4/7, 3/7 and 1 apart", (weights["apart"] - torch.tensor([4 / 7, 3 / 7, 1])).abs().max() < 1e-6)

# %% [markdown]
# **Answer.** The sum is 2, so the weights are 0.4, 0.3 and 0.3. Apart, the routed experts have 4/7 and 3/7, and the shared one
# has 1.

# %% [markdown] tags=["exercise"]
# ### Exercise 9.5 — compete with the shared ones
# *12 minutes · stretch · about 6 lines*
#
# **Given** `logits` (N, E) of the routed experts, `shared_logits` (N, S) of the shared ones, `bias` (E,) and `k`. Every score is the
# sigmoid of its logit. The k routed experts with the largest score + bias are chosen, best first, among equals the lower number
# first. All S shared experts work for every token. **Return** `weights` (N, k), `expert_ids` (N, k) int64 and `shared_weights` (N, S):
# the scores, without the bias, of the chosen and of the shared experts, divided by the sum over both, so that the k + S weights of
# a token sum to 1. The gradient of the weights must reach both logits, and stays finite for large
# ones.
# **Allowed:** `sigmoid`, sorting, `gather`, sums, division.
#
# <!-- hints 9.5 -->


# %% tags=["stub"]
def compete_with_shared(
    logits: torch.Tensor, shared_logits: torch.Tensor, bias: torch.Tensor, k: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Weights that chosen and shared experts divide among them (Inkling, without its scales).

    logits (N, E), shared_logits (N, S), bias (E,) -> weights (N, k), expert_ids (N, k) int64, shared_weights (N, S)
    """
    ### BEGIN SOLUTION
    scores, shared = logits.sigmoid(), shared_logits.sigmoid()  # (N, E), (N, S)
    expert_ids = (scores + bias).sort(dim=-1, descending=True, stable=True).indices[:, :k]  # (N, k)
    weights = scores.gather(1, expert_ids)  # (N, k)
    total = weights.sum(dim=-1, keepdim=True) + shared.sum(dim=-1, keepdim=True)  # (N, 1)
    return weights / total, expert_ids, shared / total
    ### END SOLUTION


# %% tags=["check"]
check.compete_with_shared(compete_with_shared)

# %% [markdown]
# ## 9.9 What popular articles say
#
# Four sentences that many articles print:
#
# 1. Nobody tells the router where to send a token: routing is learned, together with the experts.
# 2. The router takes a softmax over the experts and keeps the best two.
# 3. The more experts, the better the model.
# 4. An expert that every token uses makes a mixture better.
#
# **Predict** the verdicts: true, true with conditions, misleading, false or unknown.

# %% tags=["diagram"]
claims(lesson=9)

# %% tags=["holds"]
from moe_lite.course.ledger import read_ledger as _read_ledger

_rows = [_row for _row in _read_ledger() if 9 in _row.lessons]
holds("four sentences, in the page's order", [_row.id for _row in _rows] == [
    "routing-is-learned", "softmax-top-2", "more-experts", "shared-expert"])  # fmt: skip
holds("one, three and four true with conditions, two misleading", [_row.verdict for _row in _rows] == [
    "true with conditions", "misleading", "true with conditions", "true with conditions"])  # fmt: skip

# %% [markdown]
# **Answer.** The second is misleading: it is the rule of some models only. The other three are true with conditions.
#
# ## The reference
#
# All rules of the 75 classes, and all families of this course. `families.describe(name)` tells more of each, and
# `families.preset(name)` makes it trainable.

# %% tags=["diagram"]
rules.most_common().folded()

# %% tags=["diagram"]
families.timeline().folded()

# %% [markdown]
# ## Now you know
#
# - A family is a few settings of one function: how experts are scored, what the choice is made from, which experts are open, what
#   the weights sum to, and where they act. Three rules cover more than half of the classes in transformers.
#   <!-- reasoned: 9.0 holds it -->
# - Finer experts cost the same arithmetic and multiply the sets that a token can choose from. Shared experts work for every token; whether
#   they pay is disputed. In 9.7 the finest cut with a shared one was better than eight uncut experts.
# - Groups limit the devices that a token visits. Closed groups must become −∞: values can be negative.
# - A bias that chooses is invisible to a loss that looks at logits. Watch the loads.
# - A line in a model card is settings with gaps. Write them down, compare with the class, and test the one that you changed.
#
# You know what the rules do. None of it says yet whether a mixture beats a dense model on the same budget.
#
# <!-- next -->
