# %% [markdown]
# # 12 · Inference on your own machine
# *Part 4 — What it costs to run · about 145 minutes · three exercises and one stretch*
#
# **Which experts does a request touch?**

# %% tags=["opening"]
from moe_lite.widgets import CacheExplorer

CacheExplorer()

# %% [markdown]
# The model with 16 experts reads the text and then writes on, but only four experts of a layer fit into memory. Each column of the strip is a step and each row is an expert: tinted while it is in
# memory, full where it works, and with a dot where it had to be loaded first. Give it more room with the slider, and watch the dots disappear.
# <!-- reasoned: it says what the figure above draws -->
#
# A mixture needs few of its experts at a time, but all of them have to be somewhere. On a machine with too little memory they lie on a disk, and somebody has to decide which ones
# are worth the memory. Lesson 11 computed such things as if every token chose its experts at random. Here you will measure what a real text does.
# <!-- reasoned: lesson 11's formula assumes it -->
#
# You will write four small functions: how many experts a batch touches if some are more popular than others, a cache that forgets what was not used for the longest time, the smallest number of loads that any cache
# could reach, and the rounding of weights to few bits. At the end you will run a model whose experts really lie in a file.
# <!-- reasoned: it says what the lesson does -->
#
# **Builds on** [lesson 03](03_router.ipynb) (how a token gets its experts) and [lesson 11](11_parameters_memory_money.ipynb) (memory, and what a token waits for). E is the number of experts in a layer, K the number per
# token, L the number of layers.

# %% tags=["diagram"]
from moe_lite import lesson_header

lesson_header(today=12)

# %% tags=["setup"]
import torch

from moe_lite import (
    checkpoint, data, decoding, dispatch, evaluate, expert_cache, experts, guess, offloading, plots, quantise, serving
)  # fmt: skip
from moe_lite.checks import lesson12 as check, mine

# %% [markdown]
# ## 12.0 A request has two halves
#
# Whoever sends a text to a language model waits twice. First the model reads the text, all its tokens at the same time; engineers call that **prefill**. Then it writes, one token after the other, because
# each new token depends on the one before; that is **decode**. For a mixture the two halves look very different.
#
# The next cell gives our model with 16 experts the beginning of a chapter of a French book, 48 tokens. The reading itself gives the first new token, and then 64 steps of writing follow. For every step and layer the cell keeps which experts were needed.
#
# **Predict:** how many of the 16 experts in a layer does the model need to read the 48 tokens, and how many for all of the 64 steps of writing together? (Each layer has its own numbers; guess their mean.)

# %% tags=["guess"]
my_guess = guess("12.0", reading=None, writing_64_tokens=None)

# %%
model = checkpoint.pretrained(16)
E, K, L = model.config.n_experts, model.config.top_k, model.config.n_layers
corpora = data.load_corpora()
FRENCH, PYTHON = ("french", "python") if "french" in corpora else [*corpora][:2]  # two are there without a network
prompt = corpora[FRENCH].val[:48][None]  # (1, T)
asked = [[] for _ in range(L)]  # layer by layer and step by step, the experts that are needed
written = []
for token, output in model.generate(prompt, 65, temperature=0):
    written.append(int(token))
    for layer, routing in enumerate(output.routing):
        asked[layer].append(routing.expert_ids.unique().tolist())
print(data.tokenizer().decode(prompt[0].tolist()), "[…]", data.tokenizer().decode(written))

# %%
reading, *writing = zip(*asked, strict=True)  # steps, each with the experts of all layers
together = [{e for step in layer[1:] for e in step} for layer in asked]
book = expert_cache.choices(model, corpora[FRENCH].val[:112][None])[:, :, 48:]  # what the author wrote there
needs = {
    "reading 48 tokens": [len(layer) for layer in reading],
    "writing one token": [len(layer) for layer in writing[0]],
    "writing 64 tokens": [len(layer) for layer in together],
    "64 tokens of the real book": expert_cache.touched(book, E)[:, 0].tolist(),
}
layers = [f"layer {layer + 1}" for layer in range(L)]
plots.table(torch.tensor([*needs.values()]), f"experts needed, of {E}", rows=[*needs], columns=layers)

# %% tags=["guess"]
means = [sum(needs[name]) / L for name in ("reading 48 tokens", "writing 64 tokens")]
my_guess.beside(reading=means[0], writing_64_tokens=means[1])

# %% tags=["holds"]
holds("reading: 14 or all 16", sorted(set(needs["reading 48 tokens"])) == [14, 16])
holds("a token: 2", needs["writing one token"] == [2] * 4)
holds("64 tokens: 9 to 12", min(needs["writing 64 tokens"]) == 9 and max(needs["writing 64 tokens"]) == 12)
holds("the book: 14 to 16", sorted(needs["64 tokens of the real book"]) == [14, 15, 15, 16])

# %% [markdown]
# **Answer.** Reading takes 14 to 16 of the 16 experts at once. A token that is written takes two, and 64 of them take 9 to 12 different ones in a layer.
#
# <!-- answered -->
# **Takeaway: reading a text needs nearly all experts in one step, and writing needs two at a time.** So most experts could be absent while it writes, and there a small memory can be enough. (That the model's own 64 tokens get by with 9 to 12 experts has a dull reason: read what it wrote. A small model that always takes the
# most probable token soon repeats itself. The same stretch of the real book takes 14 to 16.)
#
# Why does writing a token not mean reading the whole text again? Because a token looks only backwards. What a layer computed for the first 48 tokens stays the same, whatever follows, so their keys
# and values can be kept. The next cell does it without keeping them, by hand, and counts how many tokens pass through the model.
# <!-- reasoned: attention is causal; the cell below compares the texts -->
#
# **By hand:** how many tokens pass through the model for 64 new ones, if nothing is kept?

# %% tags=["guess"]
my_guess = guess("12.0, no cache", tokens=None)

# %%
ids, n_read, without_cache = prompt, 0, []
with torch.no_grad():
    for _ in range(64):
        n_read += ids.shape[1]
        token = model(ids).logits[:, -1].argmax(dim=-1)  # (1,)
        without_cache.append(int(token))
        ids = torch.cat([ids, token[:, None]], dim=1)
print("the same text:", without_cache == written[:64])
print(f"{n_read:,} tokens pass through the model; with keys and values kept it is 48 + 63 = {48 + 63}")

# %% tags=["guess"]
my_guess.beside(tokens=n_read)

# %% tags=["holds"]
holds("the same, 5,088 and 111", without_cache == written[:64] and n_read == 5088)

# %% [markdown]
# **Answer.** 5,088. With keys and values kept it is 111: every token once, except for the last new one, which nobody has to read.
#
# <!-- answered -->
# ## 12.1 How many experts does a batch touch?
#
# An engine writes many texts at the same time, because one reading of the weights then serves many tokens. Lesson 11 computed how many experts a step touches: E · (1 − (1 − K/E)ⁿ), if n tokens choose at random. For our model and 16 texts
# that is 14.1 of 16. <!-- evidence: 16 * (1 - (1 - 2 / 16) ** 16) -->
#
# But lesson 08 showed that real texts have preferences: in a layer, some experts are far more popular with French than others. A popular expert is touched by nearly every batch, and an
# unpopular one rarely. How does that change the number?

# %% [markdown] tags=["exercise"]
# ### Exercise 12.1 — experts that a batch touches
# *6 minutes · core · about 2 lines*
#
# **Given** `shares` (E,), the probability that a token has each expert among its K experts, so that they sum to K; any of them can be 0 or 1. And `n_tokens`, at least 1. Every token
# chooses independently of the others. **Return** how many different experts are chosen by at least one of the `n_tokens` tokens, on average: a Python float.
# **Allowed:** arithmetic on tensors, `sum`.
#
# <!-- hints 12.1 -->


# %% tags=["stub"]
def expected_touched(shares: torch.Tensor, n_tokens: int) -> float:
    """How many different experts n tokens choose on average. shares (E,)"""
    ### BEGIN SOLUTION
    left_alone = (1 - shares) ** n_tokens  # (E,) the probability that no token chooses the expert
    return float((1 - left_alone).sum())
    ### END SOLUTION


# %% tags=["check"]
check.expected_touched(expected_touched)

# %% [markdown]
# Now the model reads held-out texts, 32 stretches of 128 tokens from each of the course's domains, and we keep every choice. A batch of n texts in decode is one token from each of n stretches, at the same position.
#
# **Predict:** with 16 French texts at the same time, how many of the 16 experts does a step touch, on average over the layers? And 16 French tokens that follow each other in one text?

# %% tags=["guess"]
my_guess = guess("12.1", sixteen_texts=None, sixteen_tokens_of_one_text=None)

# %%
my_touched = mine("12.1", expected_touched, default=expert_cache.expected_touched)
texts = {name: batch.ids for name, batch in data.validation_batches(corpora, 128, max_windows=32).items()}
choices = {name: expert_cache.choices(model, ids) for name, ids in texts.items()}  # (L, B, T, K) each


def mean_touched(chosen):
    """chosen (..., n, K): over all groups of n tokens, how many different experts they have."""
    return float(expert_cache.touched(chosen, E).double().mean())


def by_shares(chosen, n):
    """What exercise 12.1 computes from how popular each expert is in the other half of the texts; mean over layers."""
    return sum(my_touched(expert_cache.shares(layer[1::2], E), n) for layer in chosen) / L


# %%
mixed = torch.cat([*choices.values()], dim=1)  # texts of all domains
mixed = mixed[:, torch.randperm(mixed.shape[1], generator=torch.Generator().manual_seed(0))]  # shuffled
rows = []
for n in (1, 2, 4, 8, 16):
    many = [mean_touched(expert_cache.of_many_texts(chosen[:, ::2], n)) for chosen in choices.values()]
    one = [mean_touched(expert_cache.of_one_text(chosen, n)) for chosen in choices.values()]
    shares = [by_shares(chosen, n) for chosen in choices.values()]
    means = [sum(values) / len(choices) for values in (shares, many, one)]
    rows.append([serving.experts_touched(E, K, n), mean_touched(expert_cache.of_many_texts(mixed, n)), *means])
columns = ["at random", "texts of all kinds", "of one kind, by shares", "of one kind, counted", "tokens of one text"]
names = [f"{n} token{'s' * (n > 1)}" for n in (1, 2, 4, 8, 16)]
plots.table(torch.tensor(rows), f"experts touched, of {E}", rows=names, columns=columns, decimals=1)

# %% [markdown]
# That is the mean over nine domains. Now French alone:

# %%
french = choices[FRENCH]
counted = [mean_touched(f(french, 16)) for f in (expert_cache.of_many_texts, expert_cache.of_one_text)]
print(f"French, 16 tokens: {counted[0]:.1f} from 16 texts, {counted[1]:.1f} from one text")
print(f"by shares {by_shares(french, 16):.1f}, at random {serving.experts_touched(E, K, 16):.1f}")

# %% tags=["guess"]
my_guess.beside(sixteen_texts=counted[0], sixteen_tokens_of_one_text=counted[1])

# %% tags=["holds"]
holds("French: 11.0 and 10.6", [round(_x, 1) for _x in counted] == [11.0, 10.6])
holds("by shares 10.9, at random 14.1", round(by_shares(french, 16), 1) == 10.9 and round(rows[4][0], 1) == 14.1)
holds("at random, mixed, one kind, one text: falling", all(_r[0] > _r[1] > _r[3] > _r[4] for _r in rows[2:]))
holds("shares tell one kind within a tenth", all(abs(_r[2] - _r[3]) < 0.1 for _r in rows))

# %% [markdown]
# **Answer.** 11.0 experts for 16 French texts, and 10.6 for 16 tokens of one French text. The formula for random choices gives 14.1.
#
# <!-- answered -->
# **Takeaway: a batch of one kind of text touches fewer experts than random choices would, and the popularity of each expert tells how many.** Read a row of the table from left to right:
#
# - Texts of all kinds together come close to random choices, because what French likes, Python does not.
#   <!-- reasoned: the second column beside the first; lesson 08 measures the preferences -->
# - Texts of one kind touch fewer, and the number by shares agrees with the counted one to a tenth, although the shares were taken from other texts of the same kind. So these texts choose as if each threw the same loaded dice.
# - Tokens of one text touch a little fewer still. A text has its own subject and its own words, and neighbours are alike.
#   <!-- reasoned: the last column beside the one before it -->
#
# Does it make generating faster? In every step, the weights that all tokens use are read once, and the experts that are touched. Suppose that nothing but these bytes counted (4 per weight: the model computes in float32). Then you can compute how many tokens per second a batch brings, over those of one text. The next cell does, and
# measures it beside.
#
# **Predict** before you run it: 32 texts at the same time bring how many times the tokens per second of one?

# %% tags=["guess"]
my_guess = guess("12.1, speed", times_as_many=None)

# %%
prompts = torch.cat([ids[:16, :16] for ids in texts.values()])  # of 16 tokens, of all kinds
batch = prompts[:: len(prompts) // 32][:32]
speeds = decoding.decoding_speeds(model, batch)
weights = dict(model.named_parameters())
one_expert = sum(w[0].numel() for name, w in weights.items() if ".experts." in name)  # its part in all layers
common = sum(w.numel() for name, w in weights.items() if ".experts." not in name and not name.startswith("embed"))
touched = {n: serving.experts_touched(E, K, n) for n in speeds}
moved = {n: 4 * (common + touched[n] * one_expert) for n in speeds}  # bytes per step, of float32
measured = {n: speed / speeds[1] for n, speed in speeds.items()}
by_bytes = {n: n * moved[1] / moved[n] for n in speeds}

# %%
values = torch.tensor([[touched[n], moved[n] / n / 1e6, by_bytes[n], measured[n]] for n in speeds])
columns = ["experts touched", "megabytes per token", "speed by bytes", "speed, measured"]
rows = [f"{n} text{'s' * (n > 1)}" for n in speeds]
plots.table(values, "speed: tokens per second, over those of one text", rows=rows, columns=columns)

# %% tags=["guess"]
my_guess.beside(times_as_many=measured[32])

# %% tags=["holds"]
holds("from 2.66 to 0.25 MB per token", [round(moved[_n] / _n / 1e6, 2) for _n in (1, 32)] == [2.66, 0.25])
holds("10.5 times by bytes", round(by_bytes[32], 1) == 10.5)

# %% tags=["holds", "full"]
holds("a batch pays", measured[32] > 4 * measured[1])

# %% [markdown]
# **Answer.** 10.5 times if only bytes counted (with choices at random, to which texts of all kinds come close). Your machine's own factor stands in the last column.
#
# <!-- answered -->
# Both columns rise, but they need not agree, because our model is tiny. Much of it fits into the small, fast memory inside of a processor. A likely reason for what you measured is another one: with one text, most of the time goes
# into calling some hundred small operations, and a batch pays for these calls once. Lesson 11 timed networks that are large enough to wait for memory.
# <!-- reasoned: 4.6 million bytes at 16 bits, 12.4 shows it; lesson 11 measures the large ones -->
#
# ## 12.2 A memory that is too small
#
# Mixtral does not fit into a graphics card for the home, not even with 4 bits, as lesson 11 computed. People run it all the same: the experts lie in the computer's main memory or on its disk, and the card holds
# [those that were used last](https://arxiv.org/abs/2312.17238). That is a **cache**. If it is full, some expert has to make room for the next one. A classical rule takes the one whose last use is longest ago
# (LRU, least recently used).
# <!-- cited: arXiv 2312.17238; lesson 11 section 11.2 -->

# %% [markdown] tags=["exercise"]
# ### Exercise 12.2 — an LRU cache
# *15 minutes · core · about 10 lines*
#
# **Given** `requests`, a list with one entry per step: a list of the different experts, at least one, that this step needs. And `slots`, how many experts fit into memory; no step needs more. At the start the memory is
# empty. In each step, every expert that it needs and that is not in memory is loaded. Where there is no room for it, the expert whose last use is longest ago makes room, but never one that
# the step itself needs. All experts that a step needs count as used in that step, whether they were loaded or there already. Of experts that were last used in the same step, the one with the lowest number
# makes room first. **Return** a list with one entry per step: the experts that were loaded in it, a list of ints in ascending order.
# **Allowed:** everything in Python.
#
# <!-- hints 12.2 -->


# %% tags=["stub"]
def lru(requests: list, slots: int) -> list:
    """Step by step, the experts that a cache loads if the least recently used one makes room."""
    ### BEGIN SOLUTION
    last_used, loads = {}, []  # last_used: step by expert, of those in memory
    for step, needed in enumerate(requests):
        loaded = sorted(e for e in needed if e not in last_used)
        for e in needed:
            last_used[e] = step
        while len(last_used) > slots:
            out = min(last_used, key=lambda e: (last_used[e], e))
            del last_used[out]
        loads.append(loaded)
    return loads
    ### END SOLUTION


# %% tags=["check"]
check.lru(lru)

# %% [markdown]
# Your function now serves the 64 tokens from section 12.0, in all four layers: 512 times an expert is needed. <!-- evidence: 64 * 2 * 4 -->
#
# **Predict:** which percentage of them has to be loaded if half of the experts fit, 8 per layer? (If every token chose at random, it would be a half.)

# %% tags=["guess"]
my_guess = guess("12.2", percent_loaded=None)

# %%
my_lru = mine("12.2", lru, default=expert_cache.lru)
needed = sum(len(step) for layer in asked for step in layer[1:])
loaded = {slots: sum(len(step) for layer in asked for step in my_lru(layer[1:], slots)) for slots in (2, 4, 8, 12, 16)}
for slots, n in loaded.items():
    print(f"room for {slots:2}: {n:3} of {needed} loaded, {100 * n / needed:.0f} %")

# %% tags=["guess"]
my_guess.beside(percent_loaded=100 * loaded[8] / needed)

# %% tags=["holds"]
holds("69 of 512, 13 %", (loaded[8], needed, round(100 * loaded[8] / needed)) == (69, 512, 13))
holds("43 at the least", loaded[12] == loaded[16] == 43 == sum(needs["writing 64 tokens"]))
holds("61 % with two", round(100 * loaded[2] / needed) == 61)

# %% [markdown]
# **Answer.** 13 %.
#
# <!-- answered -->
# **Takeaway: half of the memory was enough for 87 % of the requests.** With room for 12, only 43 loads are left, and those are the first use of each expert: the memory starts
# empty. Be careful with this example, though: a text that repeats itself asks for the same experts. Section 12.3 takes texts that people wrote.
# <!-- evidence: 100 - 13 -->
#
# Is it true that the rest need not be in memory? `offloading.offloaded` builds the model without its experts. They stay in their file, which is **mapped**: the program sees the file as if it were
# memory, and a part of it is read when it is touched. A copy is kept only of what is in the cache. (Systems keep a file in free memory after the first
# reading. `cold=True` asks the system to forget it, so that the disk is timed and not that memory.)
#
# **Predict:** with room for two experts per layer, will the text be the same, word for word?

# %%
print(f"{'room':>4}  {'loaded':>6}  {'kB per token':>12}  {'tokens per second':>17}  {'of it reading':>13}")
runs = {}
for slots in (2, 4, 8, 12, 16):
    run = runs[slots] = offloading.decode(offloading.offloaded(16, slots, cold=True), prompt, 64)
    kilobytes, share = run.bytes_read / len(run.ids) / 1e3, 100 * run.reading / run.seconds
    print(f"{slots:4}  {run.loaded:6}  {kilobytes:12.1f}  {run.tokens_per_second:17.0f}  {share:11.0f} %")
print("the same text:", all(run.ids == written[1:] for run in runs.values()))

# %% tags=["holds"]
holds("the same text", all(_run.ids == written[1:] for _run in runs.values()))
holds("311 of 512 with two", runs[2].loaded == 311)
holds(
    "fewer with more room",
    [_r.loaded for _r in runs.values()] == sorted((_r.loaded for _r in runs.values()), reverse=True),
)
holds("49 kB an expert", runs[2].bytes_read / runs[2].loaded == 49152)

# %% [markdown]
# **Answer.** It is the same. A cache changes when an expert is there, and never what it computes. (With much room, far fewer experts are loaded than in the table before: there the memory started empty, and here the prompt has filled it. While it is read, its 14 to 16 experts come and go one after the other, and the last ones stay. The file holds 2 bytes per weight. The speeds are rough:
# a difference of a tenth means nothing.)
#
# <!-- answered -->
# Where in the text does it happen? The figure below shows the same writing step by step. Point at a column, or go through them with the arrow keys.
#
# **Predict:** with room for 8, 59 experts are loaded in the 64 steps, in all layers together. How many of them in the first 16 steps?

# %% tags=["guess"]
my_guess = guess("12.2, early", in_the_first_16_steps=None)

# %%
by_step = [expert_cache.serve(expert_cache.LRU(8), layer)[1:] for layer in asked]  # without the prompt's own step
quarters = [sum(len(step.loaded) for layer in by_step for step in layer[i : i + 16]) for i in (0, 16, 32, 48)]
print("loads in each quarter of the text, all layers:", quarters)

# %% tags=["guess"]
my_guess.beside(in_the_first_16_steps=quarters[0])

# %% tags=["widget"]
explorer = CacheExplorer(data.tokenizer().decode(prompt[0].tolist()), slots=8, new=64)
explorer

# %% tags=["holds"]
holds("59 of 512 in the figure, too", "59 of 512" in explorer.reading)
holds("38, 4, 6, 11", quarters == [38, 4, 6, 11])

# %% [markdown]
# **Answer.** 38. In the figure's first layer nothing is loaded after that; layers 2 and 3 still load a few to the end. Change the layer to see it.
#
# <!-- answered -->
# An expert of one layer has 49 kB in our file, so the waiting is short. What would it be for a model that needs it? We come back to that when we know how often real texts miss.
#
# ## 12.3 Is there a better rule?
#
# LRU believes that what was used lately will be used again. Another rule counts: the expert with the fewest uses so far makes room (LFU, least frequently used). A third one looks at some text in advance and keeps the
# **favourites**, the experts that were chosen most often there. How good can a rule be at all? If you knew the whole text in advance, you could do the best that is possible.

# %% [markdown] tags=["exercise"]
# ### Exercise 12.3 — the fewest loads
# *12 minutes · stretch · about 10 lines*
#
# **Given** `requests` and `slots` as in exercise 12.2. An expert that a step needs must be in memory in that step, together with the step's other experts. **Return** the smallest number of loads with which all
# requests can be served, an int, by any rule, even by one that knows in advance what will be asked for.
# **Allowed:** everything in Python.
#
# <!-- hints 12.3 -->


# %% tags=["stub"]
def fewest_loads(requests: list, slots: int) -> int:
    """The smallest number of loads with which the requests can be served."""
    ### BEGIN SOLUTION
    memory, loads = set(), 0
    for step, needed in enumerate(requests):
        loads += len(set(needed) - memory)
        memory |= set(needed)
        coming = requests[step + 1 :]

        def next_use(e, coming=coming):
            return next((i for i, later in enumerate(coming) if e in later), len(coming))

        while len(memory) > slots:
            memory.remove(max(memory - set(needed), key=next_use))
    return loads
    ### END SOLUTION


# %% tags=["check"]
check.fewest_loads(fewest_loads)

# %% [markdown]
# Now for texts that people wrote: four stretches from each domain, read one token after the other as if the model were writing them, with room for 8 of 16 experts. "Own favourites" are counted on other texts of the same domain,
# "general favourites" on all domains together.
#
# **Predict:** which percentage does LRU load with French? And a cache with the domain's own favourites?

# %% tags=["guess"]
my_guess = guess("12.3", percent_lru=None, percent_own_favourites=None)


# %%
def loaded_percent(domain, make_cache, slots=8):
    """Of the experts that four texts of a domain need, how many are loaded; make_cache (layer, requests) -> cache."""
    n_loaded = n_needed = 0
    for layer, chosen in enumerate(choices[domain]):
        for text in chosen[:4]:  # (T, K)
            wanted = expert_cache.requests(text)
            steps = expert_cache.serve(make_cache(layer, wanted, slots), wanted)
            n_loaded, n_needed = n_loaded + expert_cache.loads(steps), n_needed + K * len(steps)
    return 100 * n_loaded / n_needed


def load_of(domains, layer):
    """(E,): how often each expert was chosen in other texts of these domains."""
    return sum(torch.bincount(choices[name][layer, 4:].flatten(), minlength=E) for name in domains)


# %%
rules = {
    "LRU": lambda layer, wanted, slots: expert_cache.LRU(slots),
    "LFU": lambda layer, wanted, slots: expert_cache.LFU(slots),
    "general favourites": lambda layer, wanted, slots: expert_cache.Favourites(slots, load_of(choices, layer)),
    "knows the future": lambda layer, wanted, slots: expert_cache.Belady(slots, wanted),
}
rows = []
for name in choices:
    own = lambda layer, wanted, slots, name=name: expert_cache.Favourites(slots, load_of([name], layer))  # noqa: E731
    rows.append([loaded_percent(name, rule) for rule in (*rules.values(), own)])
columns = [*rules, "own favourites"]
values = torch.tensor(rows)
plots.table(values, "percent loaded, room for 8 of 16", rows=[*choices], columns=columns, shade=True, decimals=0)

# %% [markdown]
# Why does LRU work at all? Two things could help it: that some experts are popular, or that neighbouring tokens are alike. Shuffling tells them apart. Within a text it destroys the order and keeps the text's popular experts. Within a domain it mixes the
# tokens of four texts, and over all domains it destroys even what is popular in a kind of text.

# %%
means = dict(zip(columns, values.mean(dim=0).tolist(), strict=True))
print("mean over domains:", {name: f"{mean:.1f} %" for name, mean in means.items()})
real = torch.stack([chosen[:, :4] for chosen in choices.values()], dim=1)  # (L, domains, 4 texts, T, K)
g = torch.Generator().manual_seed(0)


def shuffled(chosen, dims):
    """The tokens in another order, drawn over these dimensions of (L, domains, texts, T, K), equal in all layers."""
    flat = chosen.flatten(dims, 3)  # (L, …, n, K)
    return flat.index_select(dims, torch.randperm(flat.shape[dims], generator=g)).view(chosen.shape)


random_choices = torch.rand(real.shape[:-1] + (E,), generator=g).topk(K).indices
orders = {"as written": real, "shuffled within each text": shuffled(real, 3), "within each domain": shuffled(real, 2),
          "over all domains": shuffled(real, 1), "every token at random": random_choices}  # fmt: skip

# %%
by_order = {}
for name, chosen in orders.items():
    served = [expert_cache.serve(expert_cache.LRU(8), text.tolist()) for text in chosen.flatten(0, 2)]
    by_order[name] = 100 * sum(expert_cache.loads(steps) for steps in served) / chosen.numel()
    print(f"LRU, {name}: {by_order[name]:.1f} % loaded")

# %% tags=["guess"]
at = [*choices].index(FRENCH)
my_guess.beside(percent_lru=float(values[at, 0]), percent_own_favourites=float(values[at, 4]))

# %% tags=["holds"]
holds("French: 28 and 22", [round(float(values[at, _c])) for _c in (0, 4)] == [28, 22])
holds("27, 29, 31, 47, 51", [round(_v) for _v in by_order.values()] == [27, 29, 31, 47, 51])
holds(
    "2, 2, 16",
    [round(_b - _a) for _a, _b in zip([*by_order.values()][:3], [*by_order.values()][1:4], strict=True)] == [2, 2, 16],
)
holds("24 to 29", (round(float(values[:, 0].min())), round(float(values[:, 0].max()))) == (24, 29))
holds("38 and 36", [round(float(values[[*choices].index(_n), 2])) for _n in ("math", "json")] == [38, 36])
holds("LFU before LRU, general favourites behind, the bound before all", bool(
    ((values[:, 1] < values[:, 0]) & (values[:, 2] > values[:, 0]) & (values[:, 3] < values.min(dim=1).values + 1e-6)).all()
))  # fmt: skip
holds("own favourites best of what can be built", bool((values[:, 4] < values[:, :3].min(dim=1).values).all()))
holds("27.3, 23.6, 31.0, 16.2, 22.0", [round(_m, 1) for _m in means.values()] == [27.3, 23.6, 31.0, 16.2, 22.0])

# %% [markdown]
# **Answer.** LRU loads 28 % with French, and French's own favourites 22 %.
#
# <!-- answered -->
# **Takeaway: on these texts LRU loads 27 % of what is needed, where it would load half if tokens chose at random.** Look at the lines and the columns:
#
# - Shuffling a text costs 2 points, mixing the texts of a domain 2 more, and mixing the domains 16. So LRU lives on the experts that are popular in a *kind* of text; the order of the tokens hardly matters.
#   <!-- reasoned: the lines above the answer -->
# - Counting (LFU) beats LRU in every domain. A likely reason: the stretches are short and of one kind, so what was popular at the start stays popular.
#   <!-- reasoned: the two columns; why is not tested -->
# - No domain is much harder for LRU than another: it loads 24 to 29 % everywhere. But general favourites fail on math (38 %) and JSON (36 %). A likely reason: other texts rarely choose the experts that these two want.
#   <!-- reasoned: the first and the third column -->
# - Favourites depend on where they were counted. Those of all domains together are worse than LRU, which knows nothing in advance, and those of the same domain are better than LRU and LFU.
# - Even a rule that knows the future would load 16 %. No rule gets below that when the memory starts empty; only more room does, or fewer bits per expert, so that more of them fit.
#   <!-- reasoned: the last but one column is a bound, exercise 12.3 -->
#
# (All of this is for one text at a time. Eight texts of one kind touch more experts in a step than fit here, as the table in 12.1 shows.) <!-- reasoned: its row of 8 tokens -->
#
# So what would it mean for Mixtral? It has 8 experts in each of 32 layers, and a token needs 2 of them. We take the misses of our own model with 8 experts, with room for 4; nobody has promised that Mixtral's
# texts miss as often. An expert of one layer has 3 · 4,096 · 14,336 weights, 99 MB with 4 bits and half a bit for scales, which section 12.4 explains. And we take a disk that reads 3 gigabytes per second; put in the number of your own. Computing is left out.
#
# **Predict:** how many tokens per second can it write at most?

# %% tags=["guess"]
my_guess = guess("12.3, Mixtral", tokens_per_second=None)

# %%
eight = checkpoint.pretrained(8)
percent = {"every token at random": 50.0}  # of the experts needed, how many are loaded
for name, rule in {
    "LRU": lambda wanted: expert_cache.LRU(4),
    "knows the future": lambda w: expert_cache.Belady(4, w),
}.items():
    n_loaded = n_needed = 0
    for ids in texts.values():
        for text in expert_cache.choices(eight, ids[:4]).flatten(0, 1):  # (T, K) of each layer and text
            wanted = expert_cache.requests(text)
            n_loaded += expert_cache.loads(expert_cache.serve(rule(wanted), wanted))
            n_needed += text.numel()
    percent[name] = 100 * n_loaded / n_needed

# %%
disk = 3e9  # bytes per second
expert_bytes = 3 * 4096 * 14336 * 4.5 / 8  # 4 bits per weight and half a bit for scales
print(f"an expert of one layer: {3 * 4096 * 14336 / 1e6:.0f} million weights, {expert_bytes / 1e6:.0f} MB")
speeds = {}
for name, share in percent.items():
    loads_per_token = 2 * 32 * share / 100
    speeds[name] = disk / (loads_per_token * expert_bytes)
    print(f"{name}: {share:.1f} %, {loads_per_token:.1f} experts per token, {speeds[name]:.2f} tokens per second")

# %% tags=["guess"]
my_guess.beside(tokens_per_second=speeds["LRU"])

# %% tags=["holds"]
holds(
    "1.54, 0.95, 2.26",
    [round(speeds[_n], 2) for _n in ("LRU", "every token at random", "knows the future")] == [1.54, 0.95, 2.26],
)

# %% [markdown]
# **Answer.** 1.54, and 0.95 if its tokens chose at random.
#
# <!-- answered -->
# You read faster than that, and the experts have 4 bits already. Therefore programs for home computers keep them in main memory, which can be read several times as fast as a disk, and start to load the experts of the next layer before they are needed.
# <!-- cited: arXiv 2312.17238 does both -->
#
# ## 12.4 Fewer bits
#
# If an expert takes a quarter of the bytes, nearly four times as many fit, and each is loaded in little more than a quarter of the time. The price is that its weights are rounded. How much does a mixture suffer from that? There are two ways: an expert can answer something else, or
# the router can choose another expert.

# %% [markdown] tags=["exercise"]
# ### Exercise 12.4 — weights with few bits
# *10 minutes · core · about 6 lines*
#
# **Given** `weight` (R, C), `bits` from 2 to 8, and `group`, which divides C. A row is cut into groups of `group` neighbouring weights, and each group has one scale. A weight is stored as a code, a whole number from −m to m
# with m = 2^(bits − 1) − 1; the scale of a group is its largest absolute weight, divided by m; and the code of a weight is the whole number nearest to weight / scale. A group of zeros has the scale 1. **Return**
# `codes` (R, C) int8 and `scales` (R, C / group) float32. `weight` stays unchanged.
# **Allowed:** arithmetic on tensors, reshaping, `abs`, `amax`, `round`, `where`.
#
# <!-- hints 12.4 -->


# %% tags=["stub"]
def quantise_weights(weight: torch.Tensor, bits: int, group: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes of few bits and a scale for each group. weight (R, C) -> codes (R, C) int8, scales (R, C / group)"""
    ### BEGIN SOLUTION
    largest = 2 ** (bits - 1) - 1
    grouped = weight.float().unflatten(1, (-1, group))  # (R, G, group)
    scales = grouped.abs().amax(dim=2) / largest  # (R, G)
    scales = torch.where(scales == 0, 1.0, scales)
    codes = (grouped / scales[:, :, None]).round()
    return codes.flatten(1).to(torch.int8), scales
    ### END SOLUTION


# %% tags=["check"]
check.quantise_weights(quantise_weights)

# %% [markdown]
# Your function now rounds the model, part by part: the experts, the routers, the attention and the vocabulary (the input embedding and the output head). The rounded weights are put in place of the old ones, so products are
# computed as before, with other numbers. `quantise.rounded` does this for as long as the block under `with` runs. Then it puts the model's own weights back.
#
# **Predict:** with 4 bits in the experts alone, and a scale for 32 weights: how much does the loss rise, in nats per token? And which percentage of tokens gets other experts than before, on average over the layers?

# %% tags=["guess"]
my_guess = guess("12.4", loss_rises_by=None, percent_with_other_experts=None)

# %%
my_quantise = mine("12.4", quantise_weights, default=lambda weight, *how: quantise.quantise(weight, *how)[:2])
held_out = [batch for batch in data.validation_batches(corpora, 128, max_windows=8).values()]
ids, targets = (torch.cat([getattr(batch, name) for batch in held_out]) for name in ("ids", "targets"))


@torch.no_grad()
def loss_and_choices():
    """Nats per token, and the experts of every token, sorted: (L, B·T, K)."""
    output = model(ids, targets)
    chosen = torch.stack([routing.top_k[1] for routing in output.routing])
    return float(output.cross_entropy), chosen.sort(dim=-1).values


def round_to(bits):
    """A function that rounds a matrix as you do, with a scale for 32 weights."""
    return lambda weight: quantise.dequantise(quantise.Quantised(*my_quantise(weight, bits, 32), bits))


# %% [markdown]
# Each row of the table rounds one part, or everything, and leaves the rest at 16 bits.

# %%
loss, chosen = loss_and_choices()
everything = [*quantise.PARTS]
rows = {}
parts_of = {part: [part] for part in quantise.PARTS} | {"everything": everything}
for bits in (8, 4, 3, 2):
    for told, parts in parts_of.items():
        with quantise.rounded(model, parts, fn=round_to(bits)):
            its_loss, its_chosen = loss_and_choices()
        changed = 100 * float((its_chosen != chosen).any(dim=-1).float().mean())
        size = quantise.stored_bytes(model, parts, bits, 32) / 1e6
        rows[f"{told}, {bits} bits"] = [1000 * (its_loss - loss), changed, size]

# %%
columns = ["loss rises by, nats / 1,000", "tokens with other experts, %", "whole model, MB"]
values = torch.tensor([*rows.values()], dtype=torch.float64)
kilobytes = quantise.stored_bytes(model, [], 8) / 1e3  # at 16 bits
saved = kilobytes - quantise.stored_bytes(model, ["router"], 4, 32) / 1e3
print(f"16 bits: loss {loss:.3f}, {kilobytes:,.0f} kB; routers with 4 bits save {saved:.0f} of these")
plots.table(values, "some parts rounded, all else at 16 bits", rows=[*rows], columns=columns, decimals=1)

# %% tags=["guess"]
my_guess.beside(loss_rises_by=rows["experts, 4 bits"][0] / 1000, percent_with_other_experts=rows["experts, 4 bits"][1])

# %% tags=["holds"]
holds("experts, 4 bits: 10.4 and 7.5 %", [round(_x, 1) for _x in rows["experts, 4 bits"][:2]] == [10.4, 7.5])
holds("8 bits: below a thousandth", all(abs(rows[f"{_part}, 8 bits"][0]) < 1 for _part in parts_of))
holds(
    "the vocabulary suffers more",
    all(rows[f"vocabulary, {_b} bits"][0] > rows[f"experts, {_b} bits"][0] for _b in (4, 3, 2)),
)
holds("3 bits more, 2 broken", rows["everything, 3 bits"][0] > 100 and rows["everything, 2 bits"][0] > 2500)
holds("everything at 4 bits: nearly three times", 2.5 < rows["everything, 4 bits"][0] / rows["experts, 4 bits"][0] < 3)
holds("routers tiny", round(saved) == 12)

# %% [markdown]
# **Answer.** The loss rises by 10.4 thousandths of a nat, 0.0104, and 7.5 % of the tokens get other experts. <!-- evidence: 10.4 / 1000 -->
#
# <!-- answered -->
# **Takeaway: with 8 bits this model loses less than a thousandth of a nat, with 4 bits in the experts little, with 3 more, and with 2 it is broken.** Three things are worth knowing:
#
# - It is not the experts that suffer most: in this small model, rounding the vocabulary costs more than rounding all experts.
#   <!-- reasoned: two rows of the table -->
# - Rounding the experts changes the router's choices, too, although no router was touched: what an expert answers is what the next layer's router reads. (In layer 1 nothing changes. The table shows the mean over four layers.)
#   <!-- reasoned: the second column; layer 1 comes before any rounded expert -->
# - Rounding the routers saves next to nothing, because they are tiny. So leave them as they are.
#
# Which of the two ways does the damage, then: other answers, or other choices? Keep the choices of the model as it was, round the experts, and compare.
#
# **Predict:** how much of the loss is left if the experts have 3 bits, but every token keeps its own experts and weights: nearly all of it, a half, or little?

# %%
with torch.no_grad():
    own = [routing.top_k for routing in model(ids).routing]  # weights and experts of every token, before rounding
damage = {}
for bits in (4, 3, 2):
    with quantise.rounded(model, ["experts"], fn=round_to(bits)):
        free = loss_and_choices()[0] - loss
        for layer, (weights, chosen_then) in zip(model.moe_layers, own, strict=True):
            layer.experts.dispatch_fn = lambda x, _, __, gate_up, down, w=weights, e=chosen_then: (
                dispatch.sparse_forward(x, w, e, gate_up, down)
            )
        with torch.no_grad():
            fixed = float(model(ids, targets).cross_entropy) - loss
    for layer in model.moe_layers:
        layer.experts.dispatch_fn = None
    damage[bits] = (1000 * free, 1000 * fixed)
    print(f"{bits} bits: {damage[bits][0]:.1f} thousandths of a nat, with the old choices kept {damage[bits][1]:.1f}")

# %% tags=["holds"]
holds("nearly all of it", all(0.85 < _fixed / _free < 0.95 for _free, _fixed in damage.values()))

# %% [markdown]
# **Answer.** Nearly all of it.
#
# <!-- answered -->
# **Takeaway: most of the damage is in what the experts answer, and little in who answers.** Where two experts are almost equally good for a token, it matters little which one works.
# <!-- reasoned: the cell above; the reason is the likely one -->
#
# And what does a cache gain? With 4 bits and half a bit for scales, the memory of four experts holds 14.
# <!-- reasoned: 4 · 16 / 4.5 is 14.2 -->

# %%
for slots in (4, 8, 14):
    loads = [loaded_percent(name, rules["LRU"], slots) for name in choices]
    print(f"LRU with room for {slots:2}: {sum(loads) / len(loads):.1f} % loaded")

# %% tags=["holds"]
holds("8 %, at the end", round(sum(loads) / len(loads)) == 8)

# %% [markdown]
# Half of the experts that were needed had to be loaded before, and 8 % afterwards, each with little more than a quarter of the bytes. That is why programs with little memory round first.
# <!-- reasoned: two lines of the cell above -->
#
# ### Broken on purpose: calibrated without reaching every expert
#
# It is different where a method looks at data. If inputs are rounded, too, somebody has to find out how large they get: a text goes through the model, and the largest input of each expert gives its scale. That is called **calibration**. With a dense
# model any text will do. With a mixture, an expert that the text never reaches has no largest input. One library shipped [NaN as its scale](https://github.com/vllm-project/llm-compressor/pull/2826), which at least can be seen.
# <!-- cited: llm-compressor PR 2826 -->
#
# Here is a quieter relative of that accident. We calibrate on 64 tokens of Python, and round every expert's inputs to 8 bits.
#
# **Predict:** how many of the 16 experts of layer 4 does the text of 64 tokens not reach?

# %% tags=["guess"]
my_guess = guess("12.4, broken", not_reached_in_layer_4=None)


# %%
@torch.no_grad()
def largest_inputs(text):
    """(L, E): the largest absolute input that each expert got while the model read text (B, T); 0 where it got none."""
    found = torch.zeros(L, E)
    for layer, chosen in enumerate(expert_cache.choices(model, text)):
        x = evaluate.tokens_into(model.moe_layers[layer].experts, model, [text])  # (N, D)
        for e in chosen.unique().tolist():
            found[layer, e] = x[(chosen.flatten(0, 1) == e).any(dim=1)].abs().max()
    return found


# %% [markdown]
# With these numbers an expert's input can be rounded: it is divided by the scale, the largest input over 127, rounded, and multiplied with the scale again.


# %%
def eight_bit_inputs(scale):
    """A dispatch function as in lesson 04, with each expert's inputs rounded; scale (E,)."""

    def compute(x, weights, expert_ids, gate_up, down):
        y = torch.zeros_like(x)
        for e in expert_ids.unique().tolist():
            token, place = (expert_ids == e).nonzero(as_tuple=True)
            inputs = (x[token] / scale[e]).round().clamp(-127, 127) * scale[e]
            y.index_add_(0, token, experts.swiglu(inputs, gate_up[e], down[e]) * weights[token, place, None])
        return y

    return compute


# %%
def loss_by_domain(largest=None):
    """Nats per token; largest (L, E): round the experts' inputs with these."""
    for layer in range(L):
        own = None if largest is None else eight_bit_inputs(largest[layer] / 127)
        model.moe_layers[layer].experts.dispatch_fn = own
    try:
        return evaluate.evaluate(model, corpora, length=128, max_windows=4).loss
    finally:
        for layer in model.moe_layers:
            layer.experts.dispatch_fn = None


# %% [markdown]
# Now the calibration: once on 64 tokens of Python, once on a few texts of every domain.

# %% tags=["broken"]
short = corpora[PYTHON].val[:64][None]
largest = largest_inputs(short)
missing = (largest == 0).sum(dim=1).tolist()
longer = (largest_inputs(corpora[PYTHON].val[:256].view(2, 128)) == 0).sum().item()
every_domain = torch.cat([text[:1, :7] for text in texts.values()])  # seven tokens of each
filled = torch.where(largest > 0, largest, largest.amax(dim=1, keepdim=True))  # the others' largest in their layer
calibrated = {"16 bits": None, "64 tokens of Python": largest, "the same, filled in": filled,
              "63 tokens of all domains": largest_inputs(every_domain)}  # fmt: skip
losses = {name: loss_by_domain(found) for name, found in calibrated.items()}
print("experts that the 64 tokens do not reach, layer by layer:", missing)
mixed_missing = int((calibrated["63 tokens of all domains"] == 0).sum())
print(f"in all layers: 256 tokens of Python {longer}, 63 tokens of all domains {mixed_missing}")
plots.table(
    torch.tensor([[losses[name][domain] for name in losses] for domain in choices]), "loss, nats per token",
    rows=[*choices], columns=[*losses],
)  # fmt: skip

# %% tags=["guess"]
my_guess.beside(not_reached_in_layer_4=missing[3])

# %% tags=["holds"]
holds("longer and mixed reach all", longer == mixed_missing == 0)
holds("five in layer 4, none elsewhere", missing == [0, 0, 0, 5])
_rise = {_d: losses["64 tokens of Python"][_d] - losses["16 bits"][_d] for _d in choices}
holds(
    "dialogue from 0.32 to 0.63, Italian 0.26",
    [round(losses[_n]["dialogue"], 2) for _n in losses] == [0.32, 0.63, 0.32, 0.32]
    and [round(losses[_n]["italian"], 2) for _n in losses] == [3.47, 3.73, 3.47, 3.47],
)
holds(
    "Python, French, German, Shakespeare: nothing to see",
    all(abs(_rise[_d]) < 0.007 for _d in ("python", "french", "german", "shakespeare")),
)
holds(
    "repaired, both ways",
    all(abs(losses[_n][_d] - losses["16 bits"][_d]) < 0.005 for _n in [*losses][2:] for _d in choices),
)

# %% [markdown]
# **Answer.** Five.
#
# <!-- answered -->
# **Takeaway: experts that calibration did not reach are silent afterwards, and the text that you calibrated on does not show it.** Here their scale is 0. An input over 0 is infinite, it is clamped to 127, and 127 times 0 is 0: the expert answers nothing, and no error appears. Python, on which we calibrated, is as good
# as with every scale filled in. But the loss on dialogue rises from 0.32 to 0.63 nats, and that on Italian from 3.47 to 3.73. The third column proves the cause: it has the same 64 tokens, and only the five silent experts have got a scale, the largest of the others in their layer. The damage is gone, as it is with as many tokens of all domains.
#
# How long must a text be to reach every expert? Exercise 12.1 gives a first idea, because it says how many experts n tokens touch.

# %%
layer_4 = expert_cache.shares(choices[PYTHON][3], E)
for n in (64, 256, 1024, 4096):
    print(f"{n:5,} tokens of Python reach {my_touched(layer_4, n):.1f} of 16 experts in layer 4, on average")
stretches = expert_cache.of_one_text(choices[PYTHON][3], 64)  # 64 tokens that follow each other in one text
print(f"counted: 64 tokens of one text reach {mean_touched(stretches):.1f}")
print(f"the least popular expert gets one Python token in {1 / float(layer_4.min()):,.0f}")

# %% tags=["holds"]
holds("14.2 and 15.9", [round(my_touched(layer_4, _n), 1) for _n in (64, 256)] == [14.2, 15.9])
holds("one in 84", round(1 / float(layer_4.min())) == 84)

# %% [markdown]
# So 64 Python tokens, drawn from many texts, leave about two experts without a token. Taken from one text they leave more than three, and in the text that we happened to take they left five. The cell before printed that 256 tokens of that text reach every expert, and so do 63 tokens of all kinds. Do not rely on it: if you quantise a mixture, count how many tokens each expert got, and look at the smallest number.
#
# ## Take it with you
#
# `python -m moe_lite.lab.offloading --experts 8` prints the table of section 12.2 for another of the course's models, over texts of all domains, with the file in the system's own cache and without. And the figures work with your own text: write something in the field, change to layer 4, and compare the rules.

# %% [markdown]
# ## Now you know
#
# - Reading a prompt touches nearly all experts in one step. Writing touches K per token and layer.
# - A batch of one kind of text touches fewer experts than chance, and the popularity of the experts tells how many.
# - A cache works for a mixture because each kind of text has its favourites: with half of the experts in memory, LRU loads 27 % of what is needed, chance would load half, and a rule that knows the future 16 %. If Mixtral missed as often as our model with 8 experts, a disk of 3 GB/s would allow at most 1.5 tokens per second, with half of its experts in memory.
#   <!-- reasoned: 12.3 holds the three numbers, the shuffled control, and the estimate for Mixtral -->
# - Rounding to 8 bits costs less than a thousandth of a nat here, and 4 bits in the experts about a hundredth; rounding everything to 4 bits costs nearly three times as much. Other choices are not what does the damage. But what looks at data must reach every expert.
#   <!-- reasoned: 12.4 holds it -->
#
# One machine was too small. The next lesson takes many machines: then experts are somebody else's memory, and it is the tokens that travel.
# <!-- reasoned: it says what the next lesson does -->
#
# <!-- next -->
