# %% [markdown]
# # 11 · Parameters, memory, money
# *Part 4 — What it costs to run · about 140 minutes · four exercises*
#
# **Why is a 46.7B model priced like a 13B one?**
# <!-- evidence: moe_lite/families/published_models.toml Mixtral-8x7B.published_total -->

# %% tags=["opening"]
from moe_lite.widgets import ServingExplorer

ServingExplorer(model="Qwen3-30B-A3B", batch=8, context=1024)

# %% [markdown]
# The figure computes how fast a mixture can generate text at most, beside two dense models: one that is as large as the part of the mixture that works on
# a token, and one that is as large as the whole. Move the batch, the number of texts that are generated at the same time. The strip below the lines
# says how many times as long the mixture needs for a token as the smaller dense model. Words in it that are new to you come later, in 11.2 and 11.3.
# <!-- reasoned: it says what the figure above draws -->
#
# This lesson is about another mixture. Mixtral 8x7B has 46.7 billion parameters, of which 12.9 billion work on a token. Its makers
# [wrote](https://mistral.ai/news/mixtral-of-experts/) that it therefore runs "at the same speed and for the same cost as a 12.9B model". Ever since, articles have
# priced mixtures by their active parameters. Is that right? You will count the parameters, the bytes, the seconds and the dollars yourself, and find out under
# which conditions the sentence holds. <!-- evidence: moe_lite/families/published_models.toml Mixtral-8x7B.published_active -->
#
# You will write four small functions: parameters from a config.json, the memory that a model takes, the tokens per second that a machine allows, and
# the point from which a machine of your own is cheaper than an API.
# <!-- reasoned: it says what the lesson does -->
#
# **Builds on** [lesson 01](01_dense_baseline.ipynb) (parameters and FLOPs) and [lesson 05](05_moe_language_model.ipynb) (total and active). E is the number of
# experts and K the number of experts per token.

# %% tags=["diagram"]
from moe_lite import lesson_header

lesson_header(today=11)

# %% tags=["setup"]
import json
import math

import torch

from moe_lite import claims, experts, families, guess, hosting, plots, serving, timing
from moe_lite.checks import lesson11 as check, mine

# %% [markdown]
# ## 11.0 What a seller charges
#
# Before any theory, look at a price list. Sellers of open models charge by the million tokens. In 2024 one of them put every model into a class by its size, and
# had two classes for mixtures. Mixtral 8x7B was one of the models they were made for.
# <!-- cited: fireworks.ai/pricing, 2024; data/prices.toml has it -->
#
# **Predict:** a dense model of up to 16 billion parameters cost 0.20 dollars per million tokens, and one of 16.1 to 80 billion cost
# [0.90](https://fireworks.ai/pricing). What did Mixtral cost, with 12.9 billion active parameters and 46.7 in all?

# %% tags=["guess"]
my_guess = guess("11.0", dollars_per_million_tokens=None)

# %%
offers = hosting.offers()
prices = torch.tensor([*offers.classes.values()])
plots.table(
    prices[:, None], f"{offers.seller}, {offers.date}", rows=[*offers.classes], columns=["dollars per million tokens"]
)

# %% tags=["guess"]
my_guess.beside(dollars_per_million_tokens=float(prices[2]))

# %% tags=["holds"]
holds("between the two", float(prices[0]) < float(prices[2]) < float(prices[1]))
holds("2.5 times the small class", round(float(prices[2] / prices[0]), 1) == 2.5)

# %% [markdown]
# **Answer.** 0.50 dollars. It is 2.5 times the price of a dense 13B model and a little more than half the price of a dense 46.7B one. <!-- evidence: 0.5 / 0.2 -->
#
# <!-- answered -->
# **Takeaway: this seller priced the mixture between its active and its whole size.** So neither number alone explains the price. The rest of the lesson looks for what does.
#
# (It is one seller's list of one year. You can read every price and every machine of this lesson, with its source and its date, in `data/prices.toml`, and put your own in.)
# <!-- reasoned: the cell above holds it -->
#
# ## 11.1 Two counts
#
# The name is the first trap: "8x7B" sounds like eight models of seven billion parameters each. You do not have to believe a name, because the sizes of an open
# model stand in its config.json. Here are the fields of Mixtral's that matter.

# %%
mixtral_config = {
    "vocab_size": 32000, "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
    "num_key_value_heads": 8, "intermediate_size": 14336, "num_local_experts": 8, "num_experts_per_tok": 2,
}  # fmt: skip
print(json.dumps(mixtral_config, indent=1))

# %% [markdown] tags=["exercise"]
# ### Exercise 11.1 — count from a config.json
# *12 minutes · core · about 9 lines*
#
# **Given** `config`, a dict with the fields of a config.json in Mixtral's format: `vocab_size`, `hidden_size`, `num_hidden_layers`, `num_attention_heads`,
# `num_key_value_heads`, `intermediate_size` (the width of one expert), `num_local_experts` and `num_experts_per_tok`. **Return** a tuple of two ints: how many parameters the
# model has in all, and how many of them are active, that is, work on one token. The model has an input embedding and a separate output head, both
# with `vocab_size` rows. Each layer has four attention matrices without bias (queries, keys, values and output; a head is hidden_size / num_attention_heads
# wide, and there are `num_key_value_heads` heads of keys and of values), a router with one vector per expert (all of it works on every token), the experts with three matrices each (gate, up and
# down), and two norms with one vector of `hidden_size` numbers each. After the last layer there is one more norm. The embedding counts as active, whole.
# Everything else in `config` can be ignored.
# **Allowed:** arithmetic on Python ints.
#
# <!-- hints 11.1 -->


# %% tags=["stub"]
def count_parameters(config: dict) -> tuple[int, int]:
    """Parameters of a model in Mixtral's format: in all, and those that work on one token."""
    ### BEGIN SOLUTION
    width, layers = config["hidden_size"], config["num_hidden_layers"]
    head = width // config["num_attention_heads"]
    attention = 2 * width * width + 2 * width * config["num_key_value_heads"] * head
    expert = 3 * width * config["intermediate_size"]
    router = width * config["num_local_experts"]
    common = 2 * config["vocab_size"] * width + layers * (attention + router + 2 * width) + width
    total = common + layers * config["num_local_experts"] * expert
    active = common + layers * config["num_experts_per_tok"] * expert
    return total, active
    ### END SOLUTION


# %% tags=["check"]
check.count_parameters(count_parameters)

# %% [markdown]
# **Predict:** how many billion parameters does one of the eight experts have, its parts in all layers together? And how many belong to no expert?

# %% tags=["guess"]
my_guess = guess("11.1", billion_per_expert=None, billion_of_no_expert=None)


# %%
def by_package(config):
    """What the package counts for the same fields."""
    counted = families.count(families.from_hf_config({"model_type": "mixtral"} | config))
    return counted.total.all, counted.active.all


my_count = mine("11.1", count_parameters, default=by_package)
total, active = my_count(mixtral_config)
sizes = [mixtral_config[name] for name in ("hidden_size", "intermediate_size", "num_hidden_layers")]
one_expert = 3 * math.prod(sizes)
no_expert = total - 8 * one_expert
print(f"{total / 1e9:.1f} billion in all, {active / 1e9:.1f} active: {100 * active / total:.1f} %")
print(f"one expert: {one_expert / 1e9:.2f} billion; of no expert: {no_expert / 1e9:.2f} billion")

# %% tags=["guess"]
my_guess.beside(billion_per_expert=one_expert / 1e9, billion_of_no_expert=no_expert / 1e9)

# %% tags=["holds"]
holds(
    "46.7, 12.9, 27.6 %",
    (round(total / 1e9, 1), round(active / 1e9, 1), round(100 * active / total, 1)) == (46.7, 12.9, 27.6),
)
holds("5.64 and 1.61", (round(one_expert / 1e9, 2), round(no_expert / 1e9, 2)) == (5.64, 1.61))

# %% [markdown]
# **Answer.** An expert has 5.64 billion parameters, and 1.61 billion belong to none.
#
# <!-- answered -->
# **Takeaway: eight experts are not eight models.** Attention, vocabulary and norms are there only once, and every token uses them. Therefore the total is below 56 billion, and the active
# share, 27.6 %, is above 2 of 8. And "an expert" is only a way of counting: expert 1 of one layer has nothing to do with expert 1 of the next. <!-- evidence: 7 * 8 -->
#
# How is it in other models? `families.count` does what you did, for every layout that lesson 09 went through.
#
# **Predict:** articles often say that 10 to 25 % of a mixture's parameters are active. Of nine well-known models, how many lie in that range?

# %% tags=["guess"]
my_guess = guess("11.1, others", models_in_that_range=None)

# %%
models = ["Mixtral-8x7B", "DBRX", "Grok-1", "OLMoE-1B-7B", "Qwen3-30B-A3B", "gpt-oss-120b", "Llama-4-Maverick",
          "DeepSeek-V3", "Kimi-K2"]  # fmt: skip
counts = {name: families.count(name) for name in models}
sizes = [[c.total.all / 1e9, c.active.all / 1e9, 100 * c.active.all / c.total.all] for c in counts.values()]
columns = ["total, billion", "active, billion", "active, percent"]
values = torch.tensor(sizes, dtype=torch.float64)
plots.table(values, "counted from published sizes, all of it", rows=models, columns=columns, decimals=1)

# %% tags=["guess"]
my_guess.beside(models_in_that_range=sum(10 <= share <= 25 for *_, share in sizes))

# %% tags=["holds"]
_inside = [_name for _name, _row in zip(models, values, strict=True) if 10 <= _row[2] <= 25]
holds("two of nine lie between 10 and 25", len(models) == 9 and _inside == ["OLMoE-1B-7B", "Qwen3-30B-A3B"])
holds(
    "three above, four below",
    [_n for _n, _r in zip(models, values, strict=True) if _r[2] > 25] == models[:3]
    and [_n for _n, _r in zip(models, values, strict=True) if _r[2] < 10] == models[5:],
)
holds("from 3 to 28", (round(float(values[:, 2].min())), round(float(values[:, 2].max()))) == (3, 28))

# %% [markdown]
# **Answer.** Of these nine models, two lie in that range. Three use more, and four use less, down to 3 %.
#
# <!-- answered -->
# So an article's percentage says little about the next model. Read the config.json.
# <!-- reasoned: the table above -->
#
# A published figure can differ from your count by what it includes. Some leave the input embedding out, since it is only looked up, and
# some leave out everything that belongs to the vocabulary. Here are the three conventions for the active parameters of gpt-oss-120b.

# %%
gpt_oss = families.count("gpt-oss-120b")
print("active, in billions:", ", ".join(f"{name} {n / 1e9:.1f}" for name, n in gpt_oss.active._asdict().items()))
print(f"published: {gpt_oss.model.published_active:.1f}")

# %% tags=["holds"]
_three = [round(_n / 1e9, 1) for _n in gpt_oss.active]
holds("5.7, 5.1, 4.6", _three == [5.7, 5.1, 4.6] and round(gpt_oss.model.published_active, 1) == 5.1)

# %% [markdown]
# They make 5.7, 5.1 or 4.6 billion, and its makers print the one in the middle. So before you compare two models, ask what was counted.
# <!-- reasoned: the cell above prints the four numbers -->

# %% [markdown]
# ## 11.2 What must be in memory
#
# A token uses two experts per layer. Which two, is not known before the router of that layer has seen the token, and the next token will choose others. So all experts have to be at hand.
# Several tools that tell people which models fit on their computer have got this wrong: they reserved memory for the active parameters only
# ([one of them](https://github.com/ollama/ollama/issues/10546)).
# <!-- cited: ollama issue 10546 -->
#
# Weights are not all. While it generates, a model keeps the keys and values of every token that it has read, for each text. And weights that are stored
# with few bits need scales: a group of, say, 32 weights shares one number by which they are multiplied when they are used.

# %% [markdown] tags=["exercise"]
# ### Exercise 11.2 — the memory it takes
# *8 minutes · core · about 5 lines*
#
# **Given** `model`, an object with three fields: `model.total`, how many parameters the model has; `active`, how many of them work on one token; and `cached`, how many numbers
# (keys and values, in all layers together) the model keeps for every token that it has read. `bits` is the size of one stored weight: 32, 16, 8 or 4. At 8 and at 4
# bits, weights are stored in groups of `group`, and each group has one scale of 16 bits beside it; `group` divides the number of weights. Keys and values have
# 16 bits each, whatever the weights have. There are `batch` texts of `context` tokens. **Return** how many bytes the model needs while it generates for
# these texts, an int.
# **Allowed:** arithmetic.
#
# <!-- hints 11.2 -->


# %% tags=["stub"]
def memory_bytes(model: object, bits: int, group: int, context: int, batch: int) -> int:
    """Bytes that a model needs while it generates for `batch` texts of `context` tokens."""
    ### BEGIN SOLUTION
    stored = model.total * bits // 8
    if bits <= 8:
        stored += model.total // group * 2
    return stored + batch * context * model.cached * 2
    ### END SOLUTION


# %% tags=["check"]
check.memory_bytes(memory_bytes)

# %% [markdown]
# For Mixtral, a token leaves 2 · 32 · 8 · 128 = 65,536 numbers behind: keys and values, in 32 layers, from 8 heads of 128 numbers. <!-- evidence: 2 * 32 * 8 * 128 -->
#
# A common accelerator in data centres has 80 GiB of memory, and a good graphics card for the home has 24. (1 GiB is 2³⁰ bytes, and 1 GB is 10⁹.) An **accelerator** is a processor with memory of its own that is made for large products, such as a GPU.
#
# **Predict:** how many gigabytes (GB) does Mixtral take with 16 bits, and how many with 4 bits, each for one text of 4,096 tokens?

# %% tags=["guess"]
my_guess = guess("11.2", gigabytes_with_16_bits=None, gigabytes_with_4_bits=None)

# %%
my_memory = mine("11.2", memory_bytes, default=serving.memory_bytes)
cached = 2 * 32 * 8 * 128
mixtral = serving.Sizes(total, active, cached)
dense_13b = serving.Sizes(active, active, cached)  # a dense model of the active size
print("80 and 24 GiB, in GB:", [round(n * 2**30 / 1e9, 1) for n in (80, 24)])
loads = {"one text of 4,096 tokens": (4096, 1), "one text of 32,768": (32768, 1), "64 texts of 4,096": (4096, 64)}
rows = [f"{name}, {bits} bits" for name in ("Mixtral", "dense, active size") for bits in (32, 16, 8, 4)]
values = torch.tensor([[my_memory(model, bits, 32, *load) / 1e9 for load in loads.values()]
                       for model in (mixtral, dense_13b) for bits in (32, 16, 8, 4)])  # fmt: skip
plots.table(values, "GB while generating", rows=rows, columns=[*loads], decimals=1)

# %% tags=["guess"]
my_guess.beside(gigabytes_with_16_bits=float(values[1, 0]), gigabytes_with_4_bits=float(values[3, 0]))

# %% tags=["holds"]
holds("93.9 and 26.8 GB", [round(float(values[_i, 0]), 1) for _i in (1, 3)] == [93.9, 26.8])
holds("64 texts: 34 GB more", round(float(values[1, 2] - values[1, 0] + 0.5)) == 34)
holds("dense 26.3", round(float(values[5, 0]), 1) == 26.3)
holds("4 bits is above 24 GiB", float(values[3, 0]) * 1e9 > 24 * 2**30 and float(values[1, 0]) * 1e9 > 80 * 2**30)

# %% [markdown]
# **Answer.** 93.9 GB with 16 bits, too much for one accelerator of 80 GiB (85.9 GB), and 26.8 GB with 4 bits, a little too much for a card of 24 GiB (25.8 GB).
# <!-- evidence: 80 * 2**30 / 10**9; 24 * 2**30 / 10**9 -->
#
# <!-- answered -->
# **Takeaway: in memory, Mixtral is a 46.7B model.** A dense model of its active size takes 26.3 GB with 16 bits. And three things in the table are easy to forget:
#
# - The scales: half a bit per weight here, so "4 bits" are 4.5. <!-- evidence: 4 + 16 / 32 -->
# - The cache: one long text is harmless, but 64 texts of 4,096 tokens make the 93.9 GB into 127.8, and storing the weights with fewer bits (**quantising** them) does nothing about it.
# - What "full precision" means. Articles say that Mixtral needs about 90 GB in full precision; that is 16 bits. With 32 bits it is twice as much.
#   <!-- reasoned: the table above has both rows -->
#
# Can a mixture with [117 billion parameters](https://arxiv.org/abs/2508.10925) run on one accelerator of 80 GiB? gpt-oss-120b is published with its experts at 4 bits and a scale of 8 bits per 32 weights, and everything else at 16.

# %%
stored = gpt_oss.weights_bytes(16, expert_bits=4, group=32, scale_bits=8)
print(f"gpt-oss-120b: {stored / 2**30:.1f} GiB as published, {gpt_oss.weights_bytes(16) / 2**30:.1f} GiB with 16 bits")

# %% tags=["holds"]
holds("60.8 and 217.6 GiB", (round(stored / 2**30, 1), round(gpt_oss.weights_bytes(16) / 2**30, 1)) == (60.8, 217.6))

# %% [markdown]
# It can: 60.8 GiB, as [its model card](https://arxiv.org/abs/2508.10925) says, too. With 16 bits it would take three of them.
#
# ## 11.3 What a token waits for
#
# (If you want to do this lesson in two sittings, this is the place for the break: what comes now is about time and money.)
#
# Memory is paid once for all texts. Time is paid for every token. To generate one, the processor has to do two things: read the weights from
# memory, and multiply. How many bytes per second it can read is called its **bandwidth**. Both things happen at the same time, so the slower one decides. Which one is it?
#
# Try it on your machine. The cell with the table times a dense feed-forward network with 88 megabytes of weights, with one token, with two, and so on up to 128. The weights
# are read once for all tokens of a batch. The arithmetic grows with every token. (There are four such networks with different weights, which take turns, so that no cache near the
# processor has the weights ready.)
#
# **Predict:** how many times as long do 16 tokens take as one?

# %% tags=["guess"]
my_guess = guess("11.3", times_as_long=None)

# %%
D, F, E, K = 2048, 1792, 8, 2  # width of the model and of an expert, experts, experts per token
generator = torch.Generator().manual_seed(0)
gate_up = torch.randn(E, 2 * F, D, generator=generator) / D**0.5
down = torch.randn(E, D, F, generator=generator) / F**0.5
megabytes = 4 * K * (gate_up[0].numel() + down[0].numel()) / 1e6
print(f"{megabytes:.0f} megabytes of weights in each network")
pairs = [slice(i, i + K) for i in range(0, E, K)]
wide = [(gate_up[two].flatten(0, 1), torch.cat([*down[two]], dim=1)) for two in pairs]  # four dense networks
batches = [1, 2, 4, 8, 16, 32, 64, 128]
tokens = {n: torch.randn(n, D, generator=generator) for n in batches}
dense = {n: lambda x=tokens[n], net=wide[i % 4]: experts.swiglu(x, *net) for i, n in enumerate(batches)}

# %%
with torch.no_grad():
    taken = timing.interleaved(dense, rounds=7)
milliseconds = torch.tensor([1e3 * taken[n].median for n in batches])
each = milliseconds / torch.tensor(batches)
rows, columns = [f"{n} token{'s' * (n > 1)}" for n in batches], ["milliseconds", "milliseconds per token"]
plots.table(torch.stack([milliseconds, each], dim=1), "a dense network", rows=rows, columns=columns)

# %% tags=["guess"]
my_guess.beside(times_as_long=float(milliseconds[4] / milliseconds[0]))

# %% tags=["holds", "full"]
holds("16 tokens take less than 8 times as long as one", milliseconds[4] < 8 * milliseconds[0])
holds("per token, 128 are cheaper than one by more than half", each[-1] < 0.5 * each[0])

# %% [markdown]
# **Answer.** Far less than 16 times as long. Your own factor is in the table.
#
# <!-- answered -->
# Is it really the reading that a token waits for? A control: how fast can this machine move bytes when it does nothing else?

# %%
there = torch.empty_like(gate_up)
with torch.no_grad():
    copied = timing.interleaved({"copy": lambda: there.copy_(gate_up), "one token": dense[1]}, rounds=7)
rates = {"one token": megabytes / 1e3 / copied["one token"].median}  # GB per second
rates["copy"] = 2 * 4 * gate_up.numel() / 1e9 / copied["copy"].median  # read and written
print(f"one token reads its weights at {rates['one token']:.1f} GB/s; a plain copy moves {rates['copy']:.1f} GB/s")

# %% [markdown]
# If one token reads its weights about as fast as a copy moves bytes, then it takes all that the memory can give, and only more tokens per reading can make it cheaper. If it
# reads them much more slowly, then something else is slow in a product with one token, too.
# <!-- reasoned: two rates of one machine, printed above -->
#
# **Takeaway: a token alone waits for the weights, so many tokens together take far less time per token.** In the table the way there has steps, because a library changes its method of
# computing as a batch grows. In theory there is one bend only: up to it reading takes longer, and further tokens are free; beyond it the arithmetic takes longer, and each further token takes
# its full time. That picture, the slower of two times, is called the **roofline**. With one text at a time, a token takes as long as the bytes that have to be read for it.
# <!-- reasoned: the table above has the times per token -->
#
# For a mixture it means something new. One token reads two of eight experts. But two tokens choose different experts, and both tokens' experts have to be read. One token leaves a given expert alone with probability 1 − K/E, and n tokens do with the n-th power of it. So if every token
# chooses at random, a batch of n tokens touches E · (1 − (1 − K/E)ⁿ) different experts on average. For Mixtral that is 3.5 of 8 with two tokens, and 7.9 with 16. <!-- evidence: 8 * (1 - (1 - 2 / 8) ** 2); 8 * (1 - (1 - 2 / 8) ** 16) -->
# So as the batch grows, a mixture reads as much as a dense model of its whole size, although it computes with two experts per token.
# <!-- reasoned: the formula, and lesson 03's router -->

# %% [markdown] tags=["exercise"]
# ### Exercise 11.3 — tokens per second
# *12 minutes · core · about 7 lines*
#
# **Given** `model`, with these fields: `common_bytes`, the weights that every token uses; `expert_bytes`, the weights of one expert (its part in every layer
# together); `cache_bytes`, the keys and values of one text; `common_flops`, the FLOPs per token without experts; `expert_flops`, those per token and expert;
# `n_experts` (E) and `top_k` (K). And `machine`, with `bandwidth` in bytes per second and `flops` in FLOPs per second. In one step, every one of
# `batch` texts gets one more token. Weights are read from memory once per step, however many tokens use them; an expert that no token of the batch chose is not
# read; a text's cache is read for its own token. If every token chooses its K experts at random, the batch touches E · (1 − (1 − K/E)^batch) different experts on
# average. Moving bytes and computing overlap, so the step takes as long as the slower of the two. **Return** the tokens per second of the whole
# batch, a Python float. A dense model has E = 0 and K = 0: no expert is read or computed.
# **Allowed:** arithmetic, min and max.
#
# <!-- hints 11.3 -->


# %% tags=["stub"]
def tokens_per_second(model: object, machine: object, batch: int) -> float:
    """Tokens per second of all texts of the batch together, at most."""
    ### BEGIN SOLUTION
    touched = 0.0
    if model.n_experts:
        touched = model.n_experts * (1 - (1 - model.top_k / model.n_experts) ** batch)
    read = model.common_bytes + touched * model.expert_bytes + batch * model.cache_bytes
    flops = batch * (model.common_flops + model.top_k * model.expert_flops)
    return batch / max(read / machine.bandwidth, flops / machine.flops)
    ### END SOLUTION


# %% tags=["check"]
check.tokens_per_second(tokens_per_second)

# %% [markdown]
# (In a real model the input embedding is kept but not read, because a token needs one row of it only. So it is no part of `common_bytes`.)
#
# Now for Mixtral with 16 bits. Its weights need two accelerators of 80 GiB. We take the A100, which the seller of section 11.0 rented out. It reads 2,039 GB and computes 312 · 10¹² FLOPs
# per second, by [its vendor's figures](https://www.nvidia.com/content/dam/en-zz/Solutions/Data-Center/a100/pdf/nvidia-a100-datasheet-us-nvidia-1758950-r4-web.pdf). Two of them are taken as one machine with twice the memory, bandwidth and FLOPs, as if they never waited for each other. Beside Mixtral stands a dense model of the same shape
# whose feed-forward networks are as wide as two experts: 12.9 billion parameters.
#
# **Predict:** with one text at a time, how many times as long does the mixture need for a token as that dense model? At which batch is it worst, and how many times as long
# does it need there?

# %% tags=["guess"]
my_guess = guess("11.3, the mixture", one_text=None, worst_batch=None, worst=None)

# %%
my_speed = mine("11.3", tokens_per_second, default=serving.tokens_per_second)
two_a100 = hosting.accelerator("A100 80 GB").machine.times(2)
mixtral_by_context = {
    context: hosting.footprint("Mixtral-8x7B", bits=16, context=context) for context in (256, 1024, 4096)
}


def times_as_long(model, experts, batch):
    """A token's time, over that of a dense model which is as large as `model` with so many experts."""
    return my_speed(model.as_dense(experts), two_a100, batch) / my_speed(model, two_a100, batch)


longer = {}
for context, model in mixtral_by_context.items():
    longer[context] = {n: times_as_long(model, 2, n) for n in hosting.BATCHES}
    worst = max(longer[context], key=longer[context].get)
    one, at_worst, many = (longer[context][n] for n in (1, worst, 2048))
    print(f"texts of {context:,} tokens: {one:.2f} with one, {at_worst:.2f} with {worst}, {many:.2f} with 2,048")

# %% tags=["figure"]
shown = {f"texts of {context:,} tokens": by_batch for context, by_batch in longer.items()}
plots.lines({"time per token over the dense 12.9B model's": shown}, x="texts at the same time")

# %% tags=["guess"]
short = longer[256]
my_guess.beside(one_text=short[1], worst_batch=max(short, key=short.get), worst=max(short.values()))

# %% tags=["holds"]
holds("1 at one text", all(abs(_by[1] - 1) < 0.01 for _by in longer.values()))
holds("worst at 16 texts of 256", max(short, key=short.get) == 16)
holds("the longer, the lower", [round(max(_by.values()), 2) for _by in longer.values()] == [3.56, 3.41, 2.97])
holds("1 again at 2,048 short texts only", [round(_by[2048], 2) for _by in longer.values()] == [1.0, 1.06, 1.06])

# %% [markdown]
# **Answer.** Exactly as long with one text. With texts of 256 tokens it is worst with 16 of them, 3.56 times as long. Then it gets better, and with very many such texts the two are equal again.
#
# <!-- answered -->
# **Takeaway: one text at a time takes as long as with a dense model of the active size, and a few dozen take up to 3.6 times as long.**
#
# - With one text, both models read the same bytes: two experts and what is common.
# - From about 16 texts on, nearly all experts are touched, and are read for few tokens each. Now Mixtral moves as many bytes as a model of its whole size.
#   <!-- reasoned: the formula above gives 7.9 of 8 -->
# - With very many short texts, both wait for the arithmetic, which is the same for both.
#
# (Both speeds are bounds, and their ratio is an estimate. Real texts prefer some experts, as lesson 08 showed, so a batch touches fewer of them than chance would, and the real hump is
# lower.) <!-- reasoned: lesson 08 measures preferences; fewer experts touched are fewer bytes -->
#
# But how many texts fit? Keys and values stand beside the weights in memory, and a tenth of it is kept free here for everything else.
#
# **Predict:** with texts of 1,024 tokens, and as many of them as fit: how many times as long does Mixtral need as the dense 12.9B model in the same situation? And as a dense model of its whole size?

# %% tags=["guess"]
my_guess = guess("11.3, full", over_active_size=None, over_whole_size=None)

# %%
one_a100 = hosting.accelerator("A100 80 GB").machine
full = {}
for context, model in mixtral_by_context.items():
    fits = serving.largest_batch(model, two_a100)
    small = model.as_dense(2)  # fits into one machine: how fast is that one, full?
    alone = my_speed(small, one_a100, serving.largest_batch(small, one_a100))
    per_dollar = 2 * alone / my_speed(model, two_a100, fits)
    full[context] = [fits, times_as_long(model, 2, fits), per_dollar, times_as_long(model, 8, fits)]

# %%
asked = [float(prices[2] / prices[i]) for i in (0, 1)]
print(f"the seller asked {asked[0]:.2f} times the price of the small class, and {asked[1]:.2f} of the large one's")
columns = ["texts that fit", "time over the active size's", "rent per token over the active size's",
           "time over the whole size's"]  # fmt: skip
rows = [f"texts of {context:,} tokens" for context in full]
values = torch.tensor([*full.values()], dtype=torch.float64)
plots.table(values, "Mixtral on two full A100", rows=rows, columns=columns)

# %% tags=["guess"]
my_guess.beside(over_active_size=full[1024][1], over_whole_size=full[1024][3])

# %% tags=["holds"]
holds("1,824, 456, 114", [_row[0] for _row in full.values()] == [1824, 456, 114])
holds("1.78 and 0.55 at 1,024", [round(_x, 2) for _x in full[1024][1:]] == [1.78, 1.69, 0.55])
holds("at 256: 1.00, 1.00, 0.27", [round(_x, 2) for _x in full[256][1:]] == [1.0, 1.0, 0.27])
holds("at 4,096: 1.78, 1.69, 1.00", [round(_x, 2) for _x in full[4096][1:]] == [1.78, 1.69, 1.0])
holds("prices: 2.5 and 0.56", [round(_x, 2) for _x in asked] == [2.5, 0.56])

# %% [markdown]
# **Answer.** 1.78 times as long as the model of its active size, and 0.55 times as long as one of its whole size.
#
# <!-- answered -->
# **Takeaway: on a full machine Mixtral takes 1 to 1.8 times as long as a model of its active size.** With texts of 256 tokens so many fit that arithmetic decides, and the two are equal. With
# longer texts, reading decides. Then Mixtral reads everything that is in memory, and the small model the same without six of the eight experts; that makes 1.78 times, whatever the length. The third
# column is fairer to the small model: it needs one machine only, which it fills with its own texts. Then Mixtral's rent per token is 1.69 times as high.
# <!-- reasoned: the table above holds the numbers -->
#
# Against a dense model of its whole size Mixtral wins as long as arithmetic decides for that one: 0.55 with texts of 1,024 tokens. With texts of 4,096 both read the same bytes, and it wins nothing.
# <!-- reasoned: the last column of the table -->
#
# And the seller's prices? They stand between the two sizes, too: 2.5 times the small class, and 0.56 of the large one. The second number is close to the table's 0.55, and the first is not
# close to 1.7. That is no proof of anything. Classes are wide, so that a dense 70B model costs what a 17B one costs; sellers do not publish their batches; and a price is not a cost. But it
# tells you what to ask for when somebody prices a mixture by its active parameters: the batch, and the length of the texts. <!-- evidence: 0.5 / 0.2 -->
#
# ### Broken on purpose: all experts counted
#
# Engineers watch the fraction of a machine's peak FLOPs that a model really uses. To get it, they multiply the tokens per second by the FLOPs per token. A training library for mixtures once
# [counted the FLOPs of all experts](https://github.com/AI-Hypercomputer/maxtext/pull/678), as if every token used all of them; after the repair it reported 79.98 TFLOP/s in place of 287.78. The test did not catch
# it, because it [counted the same way](https://github.com/AI-Hypercomputer/maxtext/pull/4017). Here is that mistake, for texts of 256 tokens on the two A100.
# <!-- cited: maxtext PR 678 and PR 4017 -->
#
# **Predict:** what percentage of the peak does the wrong count report with 1,024 texts at the same time?

# %% tags=["guess"]
my_guess = guess("11.3, broken", percent_reported=None)

# %% tags=["broken"]
model = mixtral_by_context[256]
all_experts = model.common_flops + model.n_experts * model.expert_flops  # wrong: a token uses top_k of them
speed = {n: my_speed(model, two_a100, n) for n in hosting.BATCHES}
reported = {n: 100 * speed[n] * all_experts / two_a100.flops for n in hosting.BATCHES}
true = {n: 100 * speed[n] * model.flops / two_a100.flops for n in hosting.BATCHES}
for n in (128, 1024):
    print(f"{n:,} texts: reported {reported[n]:.0f} %, in truth {true[n]:.0f} %")

# %% tags=["figure"]
plots.lines({"percent of the peak FLOPs": {"all experts counted": reported, "right": true}}, x="texts at the same time")

# %% tags=["guess"]
my_guess.beside(percent_reported=reported[1024])

# %% tags=["holds"]
holds("364 % at 1,024, in truth 100", (round(reported[1024]), round(true[1024])) == (364, 100))
holds("80 % at 128, in truth 22", (round(reported[128]), round(true[128])) == (80, 22))

# %% [markdown]
# **Answer.** 364 %, which no machine can do, so there the mistake shows. With 128 texts it would not: 80 % looks like very good engineering. In truth the machines compute at 22 %
# of their peak there, because they wait for memory.
#
# <!-- answered -->
# Such a report looks plausible exactly where a machine is used badly. And a test that computes the expected number with the same formula cannot find it.
# <!-- reasoned: the cell above holds the four numbers -->
#
# ### Does your machine do that, too?
#
# The formula knows nothing of how a product is computed, or of the time it takes to sort tokens. The next cell measures the real thing, at the size of your processor: eight experts, two per
# token chosen at random, against the dense network from above, which is as wide as two experts.
#
# **Predict** the shape of the line before you run the cell.

# %%
chosen = {n: torch.rand(n, E, generator=generator).topk(K).indices for n in batches}  # (n, K)


def mixture(n):
    """Each expert that the batch touched, on its own tokens."""
    y = torch.zeros(n, D)
    for e in chosen[n].unique():
        its_own = (chosen[n] == e).any(dim=1).nonzero().squeeze(1)
        y.index_add_(0, its_own, experts.swiglu(tokens[n][its_own], gate_up[e], down[e]))
    return y


# %% tags=["figure"]
works = {("mixture", n): lambda n=n: mixture(n) for n in batches}
works |= {("dense", n): dense[n] for n in batches}
with torch.no_grad():
    taken = timing.interleaved(works, rounds=7)
measured = {n: taken["mixture", n].over(taken["dense", n]).median for n in batches}
read = {n: len(chosen[n].unique()) / K for n in batches}  # experts touched, over the two of the dense network
plots.lines({"mixture over dense": {"bytes read": read, "time, measured": measured}}, x="tokens at the same time")

# %% tags=["holds", "full"]
holds("a hump: in between more than at the start", max(measured.values()) > 1.5 * measured[1])
holds("and less at the end than at its highest", measured[128] < 0.9 * max(measured.values()))

# %% [markdown]
# **Answer.** A hump here, too: slower in between than with one token, and nearer to the dense network again with many.
#
# <!-- answered -->
# **Takeaway: a hump, but later and rougher than the formula's.** Where the line is below the bytes, a processor's own cache, a small memory next to it, has some of the weights ready. Where it is above them, small products use the processor badly: a batch that is split over eight experts
# loses time in arithmetic, too. And the dense network has its steps, which show as dips. This is why everything computed in this lesson is called a bound, and why engineers measure.
# <!-- reasoned: the cell above holds the hump; lesson 04 measures small products -->
#
# ## 11.4 Money
#
# A machine is paid by the hour, busy or idle. So a token costs the price of an hour over the tokens that the hour brought. The fraction of the time in
# which the machine works at full load is its **utilisation**.

# %% [markdown] tags=["exercise"]
# ### Exercise 11.4 — break-even
# *6 minutes · core · about 4 lines*
#
# **Given** `dollars_per_hour`, what a machine costs, busy or idle; `tokens_per_second`, what it generates at full load; and `api_price`, what an API charges, in
# dollars per million tokens. The machine is used for a fraction u of the time, at full load then, and otherwise idle. **Return** the smallest u at which a token
# from the machine costs no more than one from the API, a Python float. If the machine is dearer even at u = 1, return `float("inf")`.
# **Allowed:** arithmetic.
#
# <!-- hints 11.4 -->


# %% tags=["stub"]
def break_even(dollars_per_hour: float, tokens_per_second: float, api_price: float) -> float:
    """The smallest utilisation at which a machine is no dearer than an API; inf if there is none."""
    ### BEGIN SOLUTION
    dollars_of_api = api_price / 1e6 * tokens_per_second * 3600  # what a full hour's tokens would cost there
    u = dollars_per_hour / dollars_of_api
    return u if u <= 1 else float("inf")
    ### END SOLUTION


# %% tags=["check"]
check.break_even(break_even)

# %% [markdown]
# The seller of section 11.0 rented out one A100 with 80 GB for [3.89 dollars per hour](https://fireworks.ai/pricing). So its two offers can be compared: two machines, or 0.50 dollars per million tokens.
# As speed we take the bound of section 11.3, with as many texts as fit. The last column of the table is for half of that bound, because an **engine**, the program that serves a model, does not reach all
# of it.
#
# Three things are left out, and you should know them before you trust the numbers. Every text has its full length all the time; in truth it starts short and grows. Nothing is counted for reading prompts.
# And an API bills the tokens of the prompt, too, which a machine reads much faster than it writes. With long prompts and short answers, your own machines will look better than here.
# <!-- reasoned: the formula of 11.3 has one length for all texts, and no prompt -->
#
# **Predict:** what percentage of the time must the two machines be busy until they are no dearer than the API, with texts of 1,024 tokens, at the bound?

# %% tags=["guess"]
my_guess = guess("11.4", percent_busy=None)

# %%
my_break_even = mine("11.4", break_even, default=serving.break_even)
api_price = offers.classes["mixture, up to 56B (Mixtral 8x7B)"]
per_hour = 2 * offers.accelerator_dollars_per_hour
print(f"{per_hour:.2f} dollars per hour, or {api_price:.2f} per million tokens")
fits = {context: serving.largest_batch(model, two_a100) for context, model in mixtral_by_context.items()}
speeds = {context: my_speed(model, two_a100, fits[context]) for context, model in mixtral_by_context.items()}

# %%
busy, rows = {}, []
for context, speed in speeds.items():
    busy[context] = [100 * my_break_even(per_hour, part * speed, api_price) for part in (1, 0.5)]
    rows.append([speed, serving.price_per_million(per_hour, speed), *busy[context]])
columns = ["tokens per second", "dollars per million, at best", "must be busy, %", "the same at half the bound"]
names = [f"texts of {context:,} tokens" for context in busy]
plots.table(torch.tensor(rows, dtype=torch.float64), "two A100 with Mixtral", rows=names, columns=columns)

# %% tags=["guess"]
my_guess.beside(percent_busy=busy[1024][0])

# %% tags=["holds"]
holds("36 and 72 % at 1,024", [round(_x) for _x in busy[1024]] == [36, 72])
holds("never at 4,096", busy[4096] == [math.inf, math.inf])
holds("0.72 dollars", round(rows[2][1], 2) == 0.72)

# %% [markdown]
# **Answer.** 36 %, and 72 % if the engine reaches half of the bound. (inf: at these prices the machines never pay. If all texts have 4,096 tokens, a million costs 0.72 dollars even at best.)
#
# <!-- answered -->
# **Takeaway: whether hosting pays hangs on three numbers that no parameter count knows: how long your texts are, how busy your machines are, and how near to the bound your engine gets.**
# A fourth is the rent: in 2026 the same accelerator was offered for 1.30 dollars per hour, as `data/prices.toml` says. Compare it with an API's price of the same year.
# <!-- evidence: data/prices.toml accelerators.1.dollars_per_hour -->
#
# Real demand is no constant, either. Here is a day of an imaginary product: quiet nights, busy days, and a peak in the evening. You can own no machines and buy
# everything from the API; own enough for the peak; or own some, and buy what they cannot take. The next cells compute what an average hour costs, for three sizes of the
# product, at the bound and at half of it.

# %%
day = [4] * 8 + [24] * 8 + [60] * 4 + [24] * 4  # million tokens per hour
print(f"one pair: at most {3600 * speeds[1024] / 1e6:.0f} million tokens per hour, for {per_hour:.2f} dollars")

# %% [markdown]
# **Predict:** how many pairs of machines are cheapest for the product as it is, at the bound?

# %% tags=["guess"]
my_guess = guess("11.4, the plan", pairs=None)

# %%
bound = 3600 * speeds[1024] / 1e6  # of one pair of machines, million tokens per hour


def options(scale, part):
    """Dollars per hour with the API alone, and with the cheapest number of pairs; that number; the API's part in it."""
    demand = [scale * million for million in day]
    plans = [serving.plan(demand, pairs, per_hour, part * bound, api_price) for pairs in range(21)]
    best = min(plans, key=lambda plan: plan.dollars_per_hour)
    return [plans[0].dollars_per_hour, best.dollars_per_hour, best.machines, 100 * best.share_of_api]


# %%
sizes = {"a tenth of it": 0.1, "as it is": 1, "ten times": 10}
table = torch.tensor([options(scale, part) for part in (1, 0.5) for scale in sizes.values()], dtype=torch.float64)
columns = ["API only: dollars per hour", "cheapest plan", "pairs in it", "API in it, % of tokens"]
rows = [f"{name}, {told}" for told in ("at the bound", "at half of it") for name in sizes]
caption = f"demand: {sum(day) / 24:.1f} million tokens per hour on average"
plots.table(table, caption, rows=rows, columns=columns)

# %% tags=["guess"]
my_guess.beside(pairs=float(table[1, 2]))

# %% tags=["holds"]
_tenth, _as_is, _ten, _half_tenth, _half_as_is, _half_ten = table.tolist()
holds("a tenth: no machine", _tenth[2] == _half_tenth[2] == 0)
holds("as it is: one pair, API for 12 %", _as_is[2] == 1 and round(_as_is[3]) == 12 and _as_is[1] < 0.8 * _as_is[0])
holds("ten times: six pairs, saves a third", _ten[2] == 6 and 0.6 < _ten[1] / _ten[0] < 0.67)
holds(
    "at half of it, less than 6 % is left to save",
    all(1 > _row[1] / _row[0] > 0.94 for _row in (_half_as_is, _half_ten)),
)

# %% [markdown]
# **Answer.** One pair. It takes the ordinary hours, and the API takes 12 % of the tokens, in the evening.
#
# <!-- answered -->
# **Takeaway: the cheapest plan can be both, machines of your own for what is always there and an API for the peak, if the engine is good.** A product with a tenth of the demand
# should own no machine, because it would be idle most of the time. One with ten times the demand saves a third, at the bound. But at half of the bound, less than 6 % is left to save, for either
# size, and that is soon spent on the people who run the engine. So measure your engine's speed before you plan.
# <!-- reasoned: the table above holds the plans -->
#
# Other reasons can weigh more than dollars: data that must not leave the house, or a model that no API offers. To try your own numbers, change `day`, `per_hour` or `api_price`, and run the
# two cells again.
#
# ## 11.5 Reading claims
#
# Money makes people quote numbers. These are sentences from articles about the size, the memory and the price of mixtures. You can now check most
# of them yourself.
#
# **Predict** their verdicts: true, true with conditions, misleading, false or unknown.

# %% tags=["diagram"]
claims(lesson=11)

# %% tags=["holds"]
from moe_lite.course.ledger import read_ledger as _read_ledger

_rows = [_row for _row in _read_ledger() if 11 in _row.lessons]
_by_verdict = {_v: [_r.id for _r in _rows if _r.verdict == _v] for _v in ("false", "unknown")}
holds("two about closed models are unknown", _by_verdict["unknown"] == ["gpt-4-size", "all-closed-models"])
holds("three are false", _by_verdict["false"] == ["eight-times-seven", "less-memory", "gpt-4-active"])

# %% [markdown]
# **Answer.** Three are false, and two are unknown: nobody outside knows how the closed models are built. One sentence about GPT-4 is false all the same, because it contradicts
# itself.
#
# ## Take it with you
#
# `python -m moe_lite.lab.hosting DeepSeek-V3 --bits 8 --context 8192` prints the lesson's table for any published model: how many accelerators it needs, how many
# texts fit, and what a token costs beside dense models, by batch. The figure does it with sliders.
#
# **Predict:** DeepSeek-V3 has 256 experts, eight per token. You know Mixtral's worst factor from section 11.3. What is that of DeepSeek-V3, with texts of 1,024 tokens? Guess, and then move the batch.

# %% tags=["widget"]
explorer = ServingExplorer(model="DeepSeek-V3", batch=1, context=1024, bits=8)
explorer

# %% tags=["holds"]
_v3 = hosting.footprint("DeepSeek-V3", bits=8, context=1024)
_one = hosting.accelerator("H100 SXM").machine
_machine = _one.times(serving.machines_needed(_v3.weights_bytes, _one))
_speeds = {_n: [serving.tokens_per_second(_m, _machine, _n) for _m in (_v3, _v3.as_dense(8))] for _n in hosting.BATCHES}
_ratio = {_n: _dense / _mixture for _n, (_mixture, _dense) in _speeds.items()}
holds("15 times at 128 texts", max(_ratio, key=_ratio.get) == 128 and round(_ratio[128]) == 15)

# %% [markdown]
# **Answer.** About 15, with 128 texts. A sparser model saves more where it is good, and loses more in between. That is why such models are served with very large batches, on many machines (lesson 13).
# <!-- reasoned: the cell above holds it -->

# %% [markdown]
# ## Now you know
#
# - Is a 46.7B model priced like a 13B one? By the seller of 11.0 it was not: it asked 2.5 times as much. Does it run like one? In arithmetic, yes. In time, with one text, or with very many short
#   ones. In memory, never.
# - In memory all parameters count, and the cache and the scales come on top.
# - A token alone waits for bytes. A batch touches nearly all experts, and then a mixture moves as many bytes as a model of its whole size: Mixtral takes up to 3.6 times as long as a model of its active
#   size, and on a full machine 1 to 1.8 times. <!-- reasoned: 11.3 holds them -->
# - Dollars per token are an hour's rent over an hour's tokens. The batch, the length of the texts, how busy the machine is and how good the engine is decide about it.
#   <!-- reasoned: 11.4 holds it -->
#
# You have assumed that every token chooses its experts at random. Real texts do not: lesson 08 showed how their tokens prefer some experts. The next lesson measures which experts a
# request really touches, and what an engine with too little memory can make of that. <!-- reasoned: lesson 08 measures it -->
#
# <!-- next -->
