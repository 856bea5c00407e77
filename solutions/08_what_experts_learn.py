# %% [markdown]
# # 08 · What do experts learn?
# *Part 3 — What experts learn, and how models differ · about 140 minutes · five exercises*
#
# **Is there a "Python expert"?**

# %% tags=["opening"]
from moe_lite import checkpoint, data
from moe_lite.widgets import ExpertViewer

corpora, model = data.load_corpora(), checkpoint.pretrained(8)
ExpertViewer(model, corpora, text="Il faut cultiver notre jardin. for word in jardin: print(word)", layer=1, expert=1)

# %% [markdown]
# The figure shows one layer of the course's model with eight experts. Each row of the upper part is a kind of text, each column is
# an expert, and strong ink means that the expert gets more of this text than its share. Below stands a sentence that changes from French
# to Python in the middle. Click on an expert or on a token. The expert's card shows which tokens it gets most; its
# button mutes the expert and measures what that costs, beside what it costs to mute another expert that gets about as much of the same text.
# <!-- reasoned: it says what the figure above draws -->
#
# Many articles explain a mixture of experts in one picture: one expert for code, one for poetry, one for mathematics. Others
# answer that experts only follow single tokens. Both say it without a measurement. In this lesson you take the
# measurements, each beside its control, on a model that you can open.
#
# You will count which expert gets what, measure in bits how much an expert tells about a text, mute an expert inside the model, and write
# the rule that decides whether a kind of text has an expert of its own.
#
# **Builds on** [lesson 03](03_router.ipynb) (scores, choice, weights) and [lesson 05](05_moe_language_model.ipynb) (the whole model and its
# trainings). In shape comments, N is the number of tokens, E the number of experts, K the number of experts per token,
# L the number of layers, and C the number of labels.

# %% tags=["diagram"]
from moe_lite import lesson_header

lesson_header(today=8)

# %% tags=["setup"]
from dataclasses import replace

import torch

from moe_lite import (
    MoELanguageModel, claims, evaluate, expert_groups, expert_runs, guess, interventions, plots, runs, specialisation,
)  # fmt: skip
from moe_lite.checks import lesson08 as check, mine

# %% [markdown]
# ## 8.0 Who gets the Python?
#
# The course's nine kinds of text, its **domains**, are Shakespeare, three other languages, facts, JSON, Python, worked problems and
# customer service. `specialisation.read` lets the model read the same number of held-out tokens of each domain, and keeps
# which experts each layer chose for each token.

# %%
reading = specialisation.read(model, corpora, windows=8)  # 8 windows of 256 tokens from each domain
names, n_experts = reading.domain_names, reading.n_experts
print("tokens:", len(reading.token_ids), " experts (L, N, K):", tuple(reading.experts.shape))

# %% [markdown]
# One table is enough for most questions of this lesson: how many assignments of each kind of token went to each expert. An
# **assignment** is one choice of one token, so a token with two experts makes two.

# %% [markdown] tags=["exercise"]
# ### Exercise 8.1 — the table of experts and labels
# *6 minutes · core · about 2 lines*
#
# **Given** `expert_ids` (N, K) int64, the K different experts of each token, `labels` (N,) int64, one label per token, from 0 to
# `n_labels` − 1, and the numbers `n_experts` (E) and `n_labels` (C). **Return** `counts` (E, C) int64: in row e and column c, how many
# assignments of tokens with label c went to expert e. Experts that nobody chose and labels that no token has keep their row or column, filled with zeros.
# **Allowed:** everything in torch.
#
# <!-- hints 8.1 -->


# %% tags=["stub"]
def expert_table(expert_ids: torch.Tensor, labels: torch.Tensor, n_experts: int, n_labels: int) -> torch.Tensor:
    """How many assignments of each label went to each expert.

    expert_ids (N, K) int64, labels (N,) int64 -> counts (E, C) int64
    """
    ### BEGIN SOLUTION
    pairs = expert_ids * n_labels + labels[:, None]  # (N, K), one number per pair of expert and label
    return torch.bincount(pairs.flatten(), minlength=n_experts * n_labels).reshape(n_experts, n_labels)
    ### END SOLUTION


# %% tags=["check"]
check.expert_table(expert_table)

# %% [markdown]
# Your function now counts layer 4, with the domains as labels. Every domain has the same number of tokens, so with even loads each
# expert would get an eighth of a domain's assignments. At most it can get one half, for a token's two experts differ.
#
# **Predict:** in layer 4, which percentage of Python's assignments goes to the expert that gets most of them? And which
# percentage of that expert's own assignments is Python?

# %% tags=["guess"]
my_guess = guess("8.0", percent_of_python=None, percent_of_that_expert=None)

# %%
my_table = mine("8.1", expert_table, default=specialisation.expert_table)
counts = [my_table(ids, reading.domains, n_experts, len(names)) for ids in reading.experts]  # L × (E, C)
shares = 100 * counts[3] / counts[3].sum(dim=0)  # (E, C), each domain's assignments sum to 100
plots.table(shares.T.round(), "layer 4: percent of each domain's assignments by expert", rows=names, shade=True)

# %% [markdown]
# **Answer.** Python's strongest cells are those of experts 1 and 2, with 39 % each; expert 1 has eleven assignments more. The next cell adds what its own
# assignments are made of.

# %%
python = names.index("python") if "python" in names else 0  # without a network there are only two domains
most = int(counts[3][:, python].argmax())
own = 100 * counts[3][most] / counts[3][most].sum()  # (C,) what this expert's assignments are made of
print(f"expert {most} gets {shares[most, python]:.0f} % of Python's assignments")
print(f"of its own assignments {own[python]:.0f} % are Python")
print(
    "the rest of its own:", {name: f"{share:.0f} %" for name, share in zip(names, own, strict=True) if name != "python"}
)

# %% tags=["guess"]
my_guess.beside(percent_of_python=float(shares[most, python]), percent_of_that_expert=float(own[python]))

# %% tags=["holds"]
holds("expert 1, 39 % of Python", most == 1 and round(float(shares[1, python])) == 39)
holds("expert 2 as much, and the busiest", float(shares[2, python]) > 38 and int(counts[3].sum(dim=1).argmax()) == 2)
holds("eleven more than expert 2", int(counts[3][1, python] - counts[3][2, python]) == 11)
holds("nearly four of five", 0.75 < 2 * float(shares[1, python]) / 100 < 0.8)
holds("nearly every Italian token", float(shares[0, names.index("italian")]) > 49)
holds("36 % of its own", round(float(own[python])) == 36)
holds("three times an eighth", 2.9 < float(shares[1, python]) / 12.5 < 3.3)
holds(
    "expert 0 gets half of the Italian, more than half of its own",
    45 < float(shares[0, names.index("italian")]) < 55
    and counts[3][0, names.index("italian")] > counts[3][0].sum() / 2,
)

# %% [markdown]
# **Answer.** Expert 1 gets 39 % of Python's assignments, of 50 % that are possible, so it works for 78 % of Python's tokens. Of its own assignments only
# 36 % are Python. <!-- evidence: 2 * 39 -->
#
# <!-- answered -->
# **Takeaway: expert 1 works for nearly four of five Python tokens, and yet most of its work is not Python.** Expert 2 gets as much of Python; it is
# the busiest expert, and gets much of most domains. The clearest column is that of expert 0: it works for nearly every Italian token, and Italian is
# more than half of its work.
# <!-- reasoned: the cell above holds each of them -->
#
# What does expert 1 look for? `top_tokens` lists the tokens that an expert gets more often than tokens in general. The **lift** is the factor: with a
# lift of 4 the expert works for four times as large a share of this token's occurrences as of all tokens. Only tokens that occurred at least five
# times are listed.

# %%
for token in specialisation.top_tokens(reading, layer=3, expert=1, n=12):  # layers count from 0 in the package
    print(f"{token.text!r:12} {token.count:3} times, {100 * token.share:3.0f} % of this token, lift {token.lift:.1f}")

# %% tags=["holds"]
_top = [_token.text for _token in specialisation.top_tokens(reading, layer=3, expert=1, n=12)]
holds("signs of Python and words of other texts", {"=", "):", " return"} <= {*_top} and " Yes" in _top)

# %% [markdown]
# Many of these are signs and words of Python: `=`, `):`, `return`. Others, such as ` Yes` and ` No`, are not. (⟨c3⟩ is the first
# byte of a letter such as é.) So there are two
# explanations for the strong cell. The expert may have learned a kind of text, or it may have learned some tokens that are
# frequent in it. A table cannot separate the two. The next sections do.
#
# ## 8.1 How much does an expert tell?
#
# To compare domains with tokens, the table has to become one number. Suppose somebody tells you which expert got a token.
# How much do you now know about the token's label? **Mutual information** measures this in bits. One bit is the answer to one
# yes-or-no question. For a table of counts it is
#
# $$I = \sum_{e,c} p(e,c)\,\log_2 \frac{p(e,c)}{p(e)\,p(c)}$$
#
# where p(e, c) is a cell's share of all assignments, p(e) its row's share and p(c) its column's. It is symmetric: what the expert tells about
# the label, the label tells about the expert. If the two have
# nothing to do with each other, every cell holds p(e) · p(c), every logarithm is 0, and so is the sum.
# <!-- reasoned: the definition of mutual information (Shannon 1948), worked out for a product -->
#
# **By hand:** two experts, two labels, 100 assignments. How many bits are in the table [[50, 0], [0, 50]], and how many in
# [[25, 25], [25, 25]]? <!-- evidence: 50 + 50 -->

# %% [markdown] tags=["exercise"]
# ### Exercise 8.2 — mutual information
# *10 minutes · core · about 4 lines*
#
# **Given** `counts` (E, C) int64 with at least one assignment. Some cells, rows or columns may be 0, and counts may be in the billions.
# **Return** the mutual information of expert and label in bits, a Python float, computed in float64. An empty cell adds nothing.
# **Allowed:** sums, division, `log2`, masks.
#
# <!-- hints 8.2 -->


# %% tags=["stub"]
def mutual_information(counts: torch.Tensor) -> float:
    """I(expert; label) in bits of a table of counts.

    counts (E, C) int64 -> float
    """
    ### BEGIN SOLUTION
    p = counts.double() / counts.sum()  # (E, C)
    expected = p.sum(dim=1, keepdim=True) * p.sum(dim=0, keepdim=True)  # (E, C)
    seen = p > 0
    return (p[seen] * (p[seen] / expected[seen]).log2()).sum().item()
    ### END SOLUTION


# %% tags=["check"]
check.mutual_information(mutual_information)

# %% [markdown]
# Now the two tables that you worked out, and the four layers with the domains as labels.

# %%
my_bits = mine("8.2", mutual_information, default=specialisation.mutual_information)
for table in (torch.tensor([[50, 0], [0, 50]]), torch.tensor([[25, 25], [25, 25]])):
    print(table.tolist(), f"{my_bits(table):.2f} bits")
print("domain, layers 1 to 4:", [f"{my_bits(table):.2f}" for table in counts])
print("the most that is possible:", [f"{specialisation.ceiling(table, top_k=2):.2f}" for table in counts])

# %% tags=["holds"]
holds("1 bit and 0 bits", mutual_information(torch.tensor([[50, 0], [0, 50]])) == 1)
holds("0.48 bits in layer 1, 0.38 in layer 4", [round(mutual_information(_t), 2) for _t in counts][::3] == [0.48, 0.38])
holds("less in between", max(mutual_information(_t) for _t in counts[1:3]) < 0.3)
_most = [specialisation.ceiling(_t, top_k=2) for _t in counts]
holds("about 2 bits at most", all(1.85 < _m < 2.05 for _m in _most))
holds("a quarter in layer 1", 0.23 < mutual_information(counts[0]) / _most[0] < 0.27)

# %% [markdown]
# **Answer.** One bit: the expert names the label. In the second table it says nothing, so 0 bits.
#
# <!-- answered -->
# In layer 1 the expert tells 0.48 bits about the domain, in layer 4 0.38, and less in between. The second line is the most that any label could
# reach, about 2 bits. It takes 3 bits to name one of eight experts. But a token has two, and even a label that names both leaves open which of
# the two an assignment went to. That is one bit. So layer 1 has a
# quarter of what is possible.
#
# ## 8.2 Compared with what?
#
# A number of bits means little by itself, for two reasons. First, a table of few tokens looks informative by accident: if every
# token id occurs once, it "tells" the expert perfectly. Second, any router that looks at tokens will tell something about texts, trained or not.
# The first needs a **chance level**: shuffle the labels among the tokens, and measure again. What is left is accident.
# The second needs an untrained model.
#
# **Broken on purpose:** the next cell deals the choices of layer 4 out to other tokens at random, so that no expert can have a favourite
# token any more. Then it lists the favourites of expert 1 without asking how often a token occurred.
#
# **Predict:** how large is the largest lift in this noise? (In the real list above it was 4.1.)

# %% tags=["broken"]
order = torch.randperm(len(reading.token_ids), generator=torch.Generator().manual_seed(0))
noise = replace(reading, experts=reading.experts[:, order])  # each token has the experts of another token
print(f"expert 1 works for {int(reading.load[3][1]) / len(reading.token_ids):.1%} of the tokens")
for token in specialisation.top_tokens(noise, layer=3, expert=1, n=8, least=1):
    print(f"{token.text!r:12} {token.count:3} times, {100 * token.share:3.0f} % of this token, lift {token.lift:.1f}")

# %% tags=["holds"]
_noise = specialisation.top_tokens(noise, layer=3, expert=1, n=8, least=1)
holds("all eight with the largest lift that is possible", all(_token.share == 1 for _token in _noise))
holds("of tokens that came once to five times", all(_token.count <= 5 for _token in _noise))
holds("24.3 % of the tokens", round(int(reading.load[3][1]) / len(reading.token_ids), 3) == 0.243)
holds("as in the real list", abs(_noise[0].lift - specialisation.top_tokens(reading, layer=3, expert=1)[0].lift) < 0.01)

# %% [markdown]
# **Answer.** It is 4.1 again. Expert 1 works for 24.3 % of all tokens, so a token that always goes to it has a lift of 1 / 0.243, and no lift can
# be larger. All of it is accident: these tokens occurred a few times only. A list of
# favourite tokens proves nothing unless it says how often they came, and what chance would give. So compare the two again, with tokens that came at least
# five times.

# %%
for title, one in {"the model's choices": reading, "the noise": noise}.items():
    listed = specialisation.top_tokens(one, layer=3, expert=1, n=1000)  # at least five times each
    print(f"{title}: {sum(token.share == 1 for token in listed)} tokens always go to expert 1, "
          f"the largest lift is {listed[0].lift:.1f}")  # fmt: skip

# %% tags=["holds"]
_always = [
    sum(_t.share == 1 for _t in specialisation.top_tokens(_one, layer=3, expert=1, n=1000)) for _one in (reading, noise)
]
holds("27, and none by chance", _always == [27, 0])

# %% [markdown]
# That is a comparison: 27 such tokens in the model and none by chance. The next function gives every measurement its chance level.

# %% [markdown] tags=["exercise"]
# ### Exercise 8.3 — information, and its chance level
# *6 minutes · core · about 4 lines*
#
# **Given** `expert_ids` (N, K), `labels` (N,), `n_experts`, `n_labels` as in exercise 8.1, and `orders` (rounds, N) int64: in each row a permutation of
# the tokens. In round r, token n gets the label of token `orders[r, n]`; its K experts stay its own. **Return** two Python floats, in bits: `information`, the mutual information
# of expert and label, and `chance`, the mean over the rounds of the mutual information of expert and shuffled label. Nothing is taken
# off the first.
# **Allowed:** your functions of exercises 8.1 and 8.2.
#
# <!-- hints 8.3 -->


# %% tags=["stub"]
def information_and_chance(
    expert_ids: torch.Tensor, labels: torch.Tensor, orders: torch.Tensor, n_experts: int, n_labels: int
) -> tuple[float, float]:
    """Mutual information of expert and label, and its mean over shuffled labels, in bits.

    expert_ids (N, K), labels (N,), orders (rounds, N) -> information, chance
    """
    ### BEGIN SOLUTION
    information = mutual_information(expert_table(expert_ids, labels, n_experts, n_labels))
    rounds = [mutual_information(expert_table(expert_ids, labels[order], n_experts, n_labels)) for order in orders]
    return information, sum(rounds) / len(rounds)
    ### END SOLUTION


# %% tags=["check"]
check.information_and_chance(information_and_chance)

# %% [markdown]
# Four labels are compared: the domain, the class of the token (starts a word, goes on with a word, digit, sign, space), the token id itself, and the position in
# the window in eight parts.
#
# **Predict:** about which of the four does the expert tell most? For which of them is the chance level not near 0?

# %%
my_both = mine("8.3", information_and_chance, default=specialisation.information_and_chance)
generator = torch.Generator().manual_seed(0)
orders = torch.stack([torch.randperm(len(reading.token_ids), generator=generator) for _ in range(5)])  # (rounds, N)


def four_labels(reading):
    """The labels (N,) of each token, and how many different ones there are."""
    classes = specialisation.token_classes()  # (V,)
    return {
        "domain": (reading.domains, len(names)),
        "token class": (classes[reading.token_ids], len(specialisation.TOKEN_CLASSES)),
        "token id": (reading.token_ids, len(classes)),
        "position": (reading.positions * 8 // 256, 8),
    }


def bits(reading):
    """Information and chance level, (label, layer, 2)."""
    each = four_labels(reading).values()
    return torch.tensor([[my_both(ids, label, orders, n_experts, n) for ids in reading.experts] for label, n in each])


# %%
trained = bits(reading)  # (4, L, 2)
columns = [f"layer {layer}" for layer in range(1, 5)]
plots.table(
    trained[:, :, 0].round(decimals=2),
    "bits about the expert",
    rows=[*four_labels(reading)],
    columns=columns,
    shade=True,
)

# %% [markdown]
# **Answer.** The token id has the most bits. Here is the same table with shuffled labels. <!-- reasoned: held below the second table -->

# %%
plots.table(
    trained[:, :, 1].round(decimals=2),
    "chance level: the same with shuffled labels",
    rows=[*four_labels(reading)],
    columns=columns,
)

# %% tags=["holds"]
_above = trained[:, :, 0] - trained[:, :, 1]  # (4, L)
holds("token id most, in every layer", (_above[2] > _above[[0, 1, 3]].amax(dim=0)).all())
holds("chance of token id about 0.2, others below 0.01", ((trained[2, :, 1] - 0.2).abs() < 0.05).all()
      and (trained[[0, 1, 3], :, 1] < 0.01).all())  # fmt: skip
holds("position within 0.001 of chance", (_above[3].abs() < 0.002).all())
holds("about 1 bit in layers 1 and 2, 0.6 to 0.8 above chance in 3 and 4", (_above[2, :2] > 0.9).all()
      and (_above[2, 2:] > 0.55).all() and (_above[2, 2:] < 0.8).all())  # fmt: skip
holds("domain more than token class", (_above[0] > _above[1]).all())

# %% [markdown]
# **Answer.** Above chance, the expert tells about 1 bit about the token id in layers 1 and 2, and 0.6 to 0.8 in layers 3 and 4. Only
# for the token id is the chance level not near 0, because most of the 2,048 ids occur a few times only. About the position the
# expert tells nothing. <!-- evidence: 2**11; 0.95 - 0.2; 0.81 - 0.2 -->
#
# <!-- answered -->
# Now the second control: a model of the same shape whose weights are still the random ones of step 0.
#
# **Predict:** does the choice of the untrained model depend on the token id more than that of the trained model, or less? And on
# the domain?

# %%
untrained_reading = specialisation.read(MoELanguageModel(model.config, seed=0), corpora, windows=8)
untrained = bits(untrained_reading)  # (4, L, 2)
above = torch.cat([values[[0, 2], :, 0] - values[[0, 2], :, 1] for values in (untrained, trained)])  # (4, L)
rows = ["domain, untrained", "token id, untrained", "domain, trained", "token id, trained"]
plots.table(above, "bits about the expert, above chance", rows=rows, columns=columns, shade=True)

# %% tags=["holds"]
holds("the token id tells more before training, in every layer", (above[1] > above[3]).all())
holds("the domain less, in every layer", (above[0] < above[2] / 2).all())
holds("domain below 0.1 before", (above[0] < 0.1).all())

# %% [markdown]
# **Answer.** It depends on the token id *more*, in every layer, and on the domain much less.
#
# <!-- answered -->
# **Takeaway: training makes the choice depend less on the token and more on the kind of text.** This is easy to miss. An untrained
# router already sends equal tokens to equal experts, because every occurrence of a token starts from the same embedding vector. If you only see that a
# trained expert has favourite tokens, you have seen nothing that training made.
# <!-- reasoned: the cell above holds both directions; equal tokens begin with the same embedding -->
#
# ## 8.3 Take the token out
#
# Python has tokens that French has not. Is the domain more than a shadow of the token id? Look at one token that occurs in
# all nine domains: the comma.
#
# **Predict:** in layer 1, does a comma in Python get the same two experts as a comma in Shakespeare?

# %%
comma = reading.token_ids == data.encode(",")[0]  # (N,)
table = my_table(reading.experts[0][comma], reading.domains[comma], n_experts, len(names))  # (E, C)
n_commas = table.sum(dim=0) // 2  # (C,)
shown = (100 * table / table.sum(dim=0)).T.round()  # (C, E)
caption = "layer 1: percent of the commas' assignments by expert"
plots.table(shown, caption, rows=names, right=("commas", n_commas), shade=True)

# %% tags=["holds"]
_shares = 100 * table / table.sum(dim=0)  # (E, C)
_second = {_name: int(_shares[:7, _c].argmax()) for _c, _name in enumerate(names)}
holds("at least 30 commas in each domain", int(n_commas.min()) >= 30)
holds("expert 7 has a half in every domain, French aside", all(
    float(_shares[7, _c]) > 49 for _c, _name in enumerate(names) if _name != "french"))  # fmt: skip
holds("second: 3 for the languages and facts", all(_second[_n] == 3 for _n in (
    "shakespeare", "french", "german", "italian", "facts")))  # fmt: skip
holds("always: 6, 1, 4, 4", all(float(_shares[_e, names.index(_n)]) > 49.9 for _e, _n in (
    (6, "json"), (1, "python"), (4, "math"), (4, "dialogue"))))  # fmt: skip
holds("facts: 3 and 0 share; French: 1 takes a few of 7's", float(_shares[[3, 0], names.index("facts")].sum()) > 49.9
      and min(_shares[[3, 0], names.index("facts")].tolist()) > 20
      and float(_shares[[1, 7], names.index("french")].sum()) > 49.9 and float(_shares[1, names.index("french")]) < 12)  # fmt: skip
holds("6 for JSON, 1 for Python, 4 for math and dialogue", [_second[_n] for _n in ("json", "python", "math", "dialogue")]
      == [6, 1, 4, 4])  # fmt: skip

# %% [markdown]
# **Answer.** One of the two is the same, the other is not. Expert 7 takes nearly every comma, whatever the text (50 % is every one). The other
# expert depends on the text: mostly expert 3 in prose and verse, always expert 6 in JSON, expert 1 in Python, and expert 4 in the worked problems and the
# customer service. (In the facts, experts 3 and 0 share the commas, and in French expert 1 takes a few of expert 7's.)
#
# <!-- answered -->
# So one choice follows the token, and the other follows the text. The router can do this already in layer 1, because attention has
# mixed the neighbours into the token's vector before the router sees it.
# <!-- reasoned: in a block attention stands before the router, as in lesson 05 -->
#
# To do this for all tokens at once, shuffle the domains again, but only among tokens *of the same id*. A comma then gets the domain of
# another comma. What the token id tells about the domain survives this shuffle; what the neighbours tell does not.

# %%
observed = [specialisation.mutual_information(table) for table in counts]  # L
through_token = [
    specialisation.shuffled_information(ids, reading.domains, n_experts, len(names), n=5, within=reading.token_ids)
    .mean()
    .item()
    for ids in reading.experts
]
for layer in range(4):
    part = through_token[layer] / observed[layer]
    through = through_token[layer]
    print(f"layer {layer + 1}: {observed[layer]:.2f} bits, {through:.2f} of them through the token id: {part:.0%}")

# %% tags=["holds"]
_parts = [_t / _o for _t, _o in zip(through_token, observed, strict=True)]
holds("about a third in each layer", all(0.25 < _part < 0.45 for _part in _parts))

# %% [markdown]
# **Takeaway: about a third of what an expert tells about the domain comes from the token itself.** The rest comes from the
# neighbours. In this model neither "experts only follow tokens" nor
# "experts are subjects" is right.
# <!-- reasoned: the cell above holds the third; the rest is what is left -->
#
# ## 8.4 Mute it
#
# So far you looked at choices. A choice may matter or not: perhaps every expert could do the work of expert 1. To find out,
# you take it away and measure what the model loses. When an expert is muted, the token's next best expert takes over.

# %% [markdown] tags=["exercise"]
# ### Exercise 8.4 — choose without some experts
# *6 minutes · core · about 3 lines*
#
# **Given** `scores` (N, E), not negative, in which the chosen ones of a row are never all 0, `k`, and `muted`, a list of different expert numbers, perhaps empty. At least k experts are not muted, and which
# of them are best is never decided between equal scores. **Return** `weights` (N, k) and `expert_ids` (N, k) int64, best first: each token's k best experts among those that
# are not muted, under their usual numbers, and their scores divided by the sum of the k. `scores` stays as it is, and the weights
# pass on a gradient to it.
# **Allowed:** everything in torch.
#
# <!-- hints 8.4 -->


# %% tags=["stub"]
def top_k_without(scores: torch.Tensor, k: int, muted: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """The k best experts of each token among those that are not muted.

    scores (N, E) -> weights (N, k), expert_ids (N, k) int64
    """
    ### BEGIN SOLUTION
    allowed = scores.clone()
    allowed[:, muted] = float("-inf")
    values, expert_ids = allowed.topk(k, dim=-1)  # (N, k) each
    return values / values.sum(dim=-1, keepdim=True), expert_ids
    ### END SOLUTION


# %% tags=["check"]
check.top_k_without(top_k_without)

# %% [markdown]
# A router of the package takes such a function as its `top_k_fn`. `interventions.twin_of` makes a second model that shares all
# weights, and your function goes into one of its layers. The first model stays as it was.
#
# The loss without expert 1 means nothing until you compare it with the loss without another expert
# that does as much: a **control**. As much of what? The cell tries two. One is the expert whose load is nearest. The other has the nearest number
# of *Python's* assignments.
#
# **Predict:** by how many nats per token does Python's loss rise without expert 1 in layer 4? And without each of the two controls?

# %% tags=["guess"]
my_guess = guess("8.4", without_expert_1=None, without_equal_load=None, without_equal_python=None)

# %%
my_choice = mine("8.4", top_k_without, default=interventions.top_k_without)


def losses(model):
    """Validation loss of each domain, (C,), nats per token."""
    return torch.tensor([*evaluate.evaluate(model, corpora, max_windows=8).loss.values()])


def muted(expert, layer):
    """A twin of the model in which one expert of one layer cannot be chosen; layers from 1."""
    twin = interventions.twin_of(model)
    twin.blocks[layer - 1].feed_forward.router.options["top_k_fn"] = lambda scores, k: my_choice(scores, k, [expert])
    return twin


# %%
equal_load = interventions.control(reading.load[3], [1])[0]
equal_python = interventions.control(counts[3][:, python], [1])[0]
muted_experts = [1, equal_load, equal_python]
columns_muted = ["expert 1", f"expert {equal_load}: nearest load", f"expert {equal_python}: nearest in Python"]
print("load:", reading.load[3][muted_experts].tolist(), " of it Python:", counts[3][muted_experts, python].tolist())
whole = losses(model)
rise = torch.stack([losses(muted(expert, layer=4)) - whole for expert in muted_experts])  # (3, C)
plots.table(rise.T.round(decimals=2), "rise of the loss in nats per token, without", rows=names, columns=columns_muted)

# %% tags=["guess"]
my_guess.beside(
    without_expert_1=float(rise[0, python]), without_equal_load=float(rise[1, python]),
    without_equal_python=float(rise[2, python]),
)  # fmt: skip

# %% tags=["holds"]
holds("0.15 nats without expert 1", round(float(rise[0, python]), 2) == 0.15)
_others = torch.arange(len(names)) != python
holds("no other domain more than 0.03", round(float(rise[0, _others].max()), 2) <= 0.03)
holds("the same load: nothing, expert 5", equal_load == 5 and abs(float(rise[1, python])) < 0.005)
holds("few Python tokens there", int(counts[3][5, python]) < 200 < 1500 < int(counts[3][1, python]))
holds("as much Python: expert 2, 0.05, a third", equal_python == 2 and round(float(rise[2, python]), 2) == 0.05
      and 0.3 < float(rise[2, python] / rise[0, python]) < 0.36)  # fmt: skip
holds(
    "French, German and facts 0.10, Shakespeare 0.07, the others less than Python",
    [round(float(rise[2, names.index(_n)]), 2) for _n in ("french", "german", "facts", "shakespeare")]
    == [0.1, 0.1, 0.1, 0.07]
    and int((rise[2] > rise[2, python]).sum()) == 4,
)

# %% [markdown]
# **Answer.** Without expert 1 Python's loss rises by 0.15 nats per token, and no other domain's by more than 0.03. Without expert 5, which has nearly the same load,
# it does not rise. Without expert 2, which has nearly as many Python tokens, it rises by 0.05.
#
# <!-- answered -->
# The first control is too easy: expert 5 has few Python tokens, so there is little that Python could miss. The second one counts. Expert 2 works
# for nearly as many Python tokens as expert 1, but without it Python's loss rises only a third as much, and four other domains lose more than Python: French, German and facts 0.10 nats, and Shakespeare 0.07.
#
# This is what a Python expert would look like: its absence hurts Python, more than any other domain, and more than the absence of an expert
# that does as much for Python. But these are means over eight windows of text. Would other Python have said the same? And what in Python is
# it whose loss rises: its signs, or its words? The next cell takes sixteen windows one by one, those eight among them, and keeps operators and punctuation
# apart from words, which are all tokens with letters, `return` too. A loss belongs to the token that is predicted, so tokens are sorted by that one here, and not, as in 8.0, by the one that the router saw.
# <!-- reasoned: counts and effects are held above; the rest asks -->
#
# **Predict:** in how many of sixteen windows does the loss of operators and punctuation rise more without expert 1 than without expert 2? And the loss of words?

# %% tags=["guess"]
my_guess = guess("8.4, sixteen windows", signs=None, words=None)

# %%
text = data.validation_batches(corpora, 256, max_windows=16)[names[python]]  # ids, targets (16, 256)
kinds = specialisation.token_classes()[text.targets]  # (16, 256), indices into specialisation.TOKEN_CLASSES
parts = {"tokens": kinds >= 0, "operators and punctuation": kinds == 3, "words": kinds < 2}


@torch.no_grad()
def token_losses(model):
    """The loss of each token of Python's sixteen windows, (16, 256), nats."""
    logits = model(text.ids).logits.flatten(0, 1)  # (4096, V)
    return torch.nn.functional.cross_entropy(logits, text.targets.flatten(), reduction="none").view(16, 256)


before = token_losses(model)
lost = [token_losses(muted(expert, layer=4)) - before for expert in (1, equal_python)]  # two of (16, 256)

# %%
rows, costs, ahead = [], [], {}
for name, part in parts.items():
    one, two = ((each * part).sum(dim=1) / part.sum(dim=1) for each in lost)  # (16,) each: by window
    for title, by_window in (("expert 1", one), (f"expert {equal_python}", two), ("difference", one - two)):
        rows.append(title if len(costs) % 3 else f"{int(part.sum()):,} {name}: {title}")
        found = runs.interval(by_window.tolist())  # lesson 05 worked one out by hand
        costs.append([found.mean, found.low, found.high])
    ahead[name] = int((one > two).sum())
caption = "rise of Python's loss without an expert: mean and 95 % interval over sixteen windows"
plots.intervals(torch.tensor(costs), caption, rows=rows, together=3)

# %% tags=["guess"]
my_guess.beside(signs=ahead["operators and punctuation"], words=ahead["words"])

# %% tags=["holds"]
holds("16 and 12 of 16", [ahead[_name] for _name in parts][1:] == [16, 12])
holds("signs: 0.21 and nothing", round(costs[3][0], 2) == 0.21 and costs[4][1] < 0 < costs[4][2])
holds("words: by 0.06, from 0.00 to 0.11", [round(_x, 2) for _x in costs[8]] == [0.06, 0.0, 0.11] and costs[8][1] > 0)
holds("words without 2: above 0", costs[7][1] > 0)
_words, _signs = int((kinds < 2).sum()), int((kinds == 3).sum())
holds("twice as many words", 2 < _words / _signs < 2.2)

# %% [markdown]
# **Answer.** In all sixteen for operators and punctuation, and in twelve for words.
#
# <!-- answered -->
# So the signs are sure. Without expert 1 their loss rises by 0.21 nats, and without expert 2 by nothing that sixteen windows can tell. The loss of words rises
# whichever of the two is muted; without expert 1 by 0.06 nats more, and the interval of that difference begins just above 0.
#
# How much of the whole difference between the two experts lies in each kind?

# %%
between = lost[0] - lost[1]  # (16, 256): how much more it costs each token to be without expert 1
for name, part in parts.items():
    print(f"{name}: {float(100 * (between * part).sum() / between.sum()):.1f} % of the difference")

# %% tags=["holds"]
_parts = [float((between * _part).sum() / between.sum()) for _part in parts.values()]
holds("60 % signs and 32 % words", [round(100 * _x) for _x in _parts] == [100, 60, 32])

# %% [markdown]
# There are twice as many words as signs, and still
# 60 % of the difference between the two experts lies in the signs, and 32 % in the words. So what makes expert 1 special is mostly how Python is punctuated.
#
# The intervals speak of other text of this kind and of this one model. All of the course's Python is the source of one library, NetworkX, and another
# training is another matter. Besides, one expert of one layer was picked because it looked promising. So a rule has to be applied to all of them.
# <!-- reasoned: data/README.md names the source; the rest says what an interval over windows leaves out -->
#
# ## 8.5 A verdict that could have come out the other way
#
# Write the rule down before you look any further. A domain **has an expert of its own** in a layer, if one expert passes two
# tests. The candidate is found in the counts alone: it is the expert with the largest share of this domain in its work. First, muting it must cost the domain more than it costs to mute its control, the expert
# that comes nearest in how much it does for this domain. Second, it must cost the domain more than it costs any other domain.

# %% [markdown] tags=["exercise"]
# ### Exercise 8.5 — does a domain have an expert of its own?
# *12 minutes · core · about 8 lines*
#
# **Given** `counts` (E, C) int64 of one layer, as in exercise 8.1 with the domains as labels; `effect` (E, C), where `effect[e, c]` is the rise of domain c's loss with expert e
# muted, in nats per token (below 0 where the loss falls); and `domain`, a whole number. E and C are at least 2. **Return** `expert`, `control` and `holds`: two ints and a bool.
#
# * `expert` is the candidate: the expert with the largest share of this domain *in its own assignments* (an expert without
#   assignments has a share of 0).
# * `control` is the other expert whose number of assignments *of this domain* is nearest to the candidate's. Among equals, both times, the
#   lower number.
# * `holds` is True if muting the candidate costs this domain more than muting the control does, and more than it costs every other domain. As
#   much is not more.
#
# **Allowed:** everything in torch, loops.
#
# <!-- hints 8.5 -->


# %% tags=["stub"]
def domain_expert(counts: torch.Tensor, effect: torch.Tensor, domain: int) -> tuple[int, int, bool]:
    """Whether a domain has an expert of its own in a layer.

    counts (E, C) int64, effect (E, C) in nats -> expert, control, holds
    """
    ### BEGIN SOLUTION
    load = counts.sum(dim=1)  # (E,)
    expert = int((counts[:, domain] / load.clamp(min=1)).argmax())
    here = counts[:, domain]  # (E,)
    distance = (here - here[expert]).abs()  # (E,)
    distance[expert] = distance.max() + 1  # never its own control
    control = int(distance.argmin())
    mine, elsewhere = effect[expert, domain], effect[expert][torch.arange(effect.shape[1]) != domain]  # (), (C − 1,)
    return expert, control, bool(mine > effect[control, domain] and (mine > elsewhere).all())
    ### END SOLUTION


# %% tags=["check"]
check.domain_expert(domain_expert)

# %% [markdown]
# Muting every expert of every layer takes a few minutes, so the effects were recorded, for this model and for five others: two more trainings with eight experts and
# other seeds, two with 16 experts, and one with 32 finer experts, seven per token beside a shared one. All were measured on eight windows of each domain, and your rule judges them all.
# <!-- reasoned: it says what was recorded -->
#
# **Predict:** in how many of the four layers does Python have an expert of its own, in the model that you looked at? Does a training with
# another seed give the same answer?

# %%
my_verdict = mine("8.5", domain_expert, default=interventions.domain_expert)
recorded = [expert_runs.expert_run(name, seed) for name, seed in expert_runs.runs()]
its_python = recorded[0].domains.index("python")
verdicts = torch.tensor([
    [[my_verdict(*tables, c)[2] for c in range(9)] for tables in zip(run.counts, run.effect, strict=True)]
    for run in recorded
])  # (runs, L, C)  # fmt: skip
rows = [f"{expert_runs.TITLES[run.name]}, seed {run.seed}" for run in recorded]
plots.table(
    verdicts[:, :, its_python].int(),
    "Python has an expert of its own: 1, or not: 0",
    rows=rows,
    columns=columns,
    shade=True,
)

# %% [markdown]
# **Answer.** In two of four layers, the first and the last. Another seed gives another answer: with seed 1 it is the last layer only, with seed 2 layers 2 and 4.
#
# <!-- answered -->
# The next table counts all domains. Its last two columns have the sum, of 36 pairs of a layer and a domain, and the sum to be expected if the
# candidate were drawn at random instead of found in the counts.

# %%
held = verdicts.sum(dim=(1, 2))  # (runs,)
drawn = torch.stack([run.drawn_verdicts().sum() for run in recorded])  # (runs,)
table = torch.cat([verdicts.sum(dim=1), held[:, None], drawn[:, None]], dim=1)  # (runs, C + 2)
plots.table(
    table,
    "in how many of four layers a domain has an expert of its own",
    rows=rows,
    columns=[*recorded[0].domains, "all", "if drawn"],
)

# %% [markdown]
# How clearly do they pass? The next table has Python's experts one by one, and the line above it counts all pairs.

# %%
found, passed = {}, []  # passed: margin, cost for an assignment minus the control's, and part of its work, of each pair
for run, row in zip(recorded, rows, strict=True):
    for layer, judged in enumerate(run.verdicts()):
        work, effect = run.counts[layer].double(), run.effect[layer]  # (E, C) each
        for c, own in [(c, own) for c, own in enumerate(judged) if own.holds]:
            costs, pair = effect[own.expert].clone(), [own.expert, own.control]
            costs[c] = effect[own.control, c]  # what the cost has to exceed
            per = effect[:, c] / work[:, c].clamp(min=1)  # (E,) nats for one assignment
            share, less = 100 * work[pair, c] / torch.stack([work[own.expert].sum(), work[own.expert, c]])
            passed.append([effect[own.expert, c] - costs.max(), per[own.expert] - per[own.control], share])
            if c == its_python:
                found[f"{row}, layer {layer + 1}"] = [share.round(), *effect[pair, c], less.round(), *1000 * per[pair]]
passed = torch.tensor(passed)  # (pairs, 3)

# %%
print(f"{len(passed)} pairs of a layer and a domain pass, {int((passed[:, 0] < 0.01).sum())} by less than 0.01 nats")
print(f"{int((passed[:, 1] > 0).sum())} of them cost more than their control for each assignment, too")
print(f"an expert's domain is at most {float(passed[:, 2].max()):.0f} % of its work")
caption = (
    "Python's own experts: rise of Python's loss in nats, whole and per 1,000 of Python's assignments to the muted one"
)
heads = ["Python in its work, %", "expert muted", "control muted", "control's Python, % of expert's",
         "expert, per 1,000", "control, per 1,000"]  # fmt: skip
plots.table(torch.tensor([*found.values()]), caption, rows=[*found], columns=heads)

# %% tags=["holds"]
_python = verdicts[:, :, python].int().tolist()  # (runs, L)
holds(
    "the first and the last; seed 1: the last; seed 2: 2 and 4",
    _python[:3] == [[1, 0, 0, 1], [0, 0, 0, 1], [0, 1, 0, 1]],
)
holds("in the last layer of all five with 8 or 16 experts", all(_row[3] for _row in _python[:5]))
holds("in layer 2 of the one with 32", _python[5] == [0, 1, 0, 0])
holds("nearly every domain in some layer, 50 of 54", int((verdicts.sum(dim=1) > 0).sum()) == 50)
holds("14 to 19 of 36", int(held.min()) == 14 and int(held.max()) == 19)
holds("about 3 if drawn", all(2.5 < float(_d) < 4 for _d in drawn))
holds("four to six times as many", all(4 < float(_h / _d) < 6.5 for _h, _d in zip(held, drawn, strict=True)))
_of_python = torch.tensor([*found.values()])  # (found, 6)
holds("Python's: 23 to 66 % of their work", [round(float(_f(_of_python[:, 0]))) for _f in (min, max)] == [23, 66])
holds("0.02 to 0.33 nats", [round(float(_f(_of_python[:, 1])), 2) for _f in (min, max)] == [0.02, 0.33])
holds("two not for each assignment, one of them in a last layer", [
    _name.rpartition("layer ")[2] for _name, _row in found.items() if _row[4] <= _row[5]] == ["1", "4"])  # fmt: skip
holds("none more than two thirds", float(passed[:, 2].max()) < 200 / 3)
holds("controls 21 to 108 %", [round(float(_f(_of_python[:, 3]))) for _f in (min, max)] == [21, 108])
holds(
    "86 of 96 also for each assignment, 19 by less than 0.01",
    [int((passed[:, 1] > 0).sum()), len(passed), int((passed[:, 0] < 0.01).sum())] == [86, 96, 19],
)

# %% [markdown]
# **Takeaway: by this rule, Python does have experts of its own.** In the last layer all five models with 8 or 16 experts have a Python expert; the model with 32
# finer ones has one in layer 2. Of 36 pairs 14 to 19 pass, where a drawn candidate would pass in about 3. But it is not what the picture
# promises. In the other layers it depends on the seed: with eight experts there is a second one in layer 1, or in layer 2, or none. No such expert does more than two thirds of its work for its domain, and Python's do 23 to 66 % of theirs.
# And without one, Python's loss rises by as little as 0.02 nats, or as much as 0.33.
#
# Three limits of this rule are worth knowing. First, the nearest control is often not near: Python's do 21 to 108 % as much for Python. If each cost is divided by the number
# of the domain's assignments that the muted expert gets, 86 of the 96 pairs that pass still cost more than their controls. Two of Python's do not, layer 1 of your model and the last layer of the one with seed 2. Second, the rule compares means, and 8.4 showed that such a cost depends on
# the text. Of the 96 pairs, 19 pass by less than a hundredth of a nat, so other text might have turned some of them round. Third, the rule cannot tell a kind of text from its tokens: an expert of `return` and `):` would pass as well. What 8.3 found, a third for the token and
# the rest for the neighbours, is about choices and not about losses.
# <!-- reasoned: the cell above holds the numbers; the limits follow from how the rule is written -->
#
# ## 8.6 What is a choice worth?
#
# Muting takes an expert away. You can also leave all experts in place and take the *choice* away. In one layer, another rule now names
# each token's experts, and the router only weighs them. Four rules were tried: **random** draws two experts per token; **frozen** is a
# router with fresh random weights, so equal vectors still get equal experts; the **table of token ids** gives each token id the two
# experts that it got most often in training text, so it knows the token and nothing else; **renumbered** is the router's own choice, with
# 1, 2 or 3 added to every expert's number (behind the last number comes 0), so that the same tokens stay together but at other experts.
#
# **Predict:** how many nats per token does a random choice cost in layer 1, and how many in layer 3?

# %% tags=["guess"]
my_guess = guess("8.6", random_in_layer_1=None, random_in_layer_3=None)

# %%
run = expert_runs.expert_run("e8", seed=0)  # the model of this lesson
costs = {
    rule: found.mean(dim=(0, 2)) for rule, found in run.swapped.items()
}  # rule -> (L + 1,), over draws and domains
caption = "rise of the loss with another choice, nats per token, mean of the domains"
plots.table(torch.stack([*costs.values()]), caption, rows=[*costs], columns=[*columns, "all layers"], shade=True)

# %% tags=["guess"]
my_guess.beside(random_in_layer_1=float(costs["random"][0]), random_in_layer_3=float(costs["random"][2]))

# %% tags=["holds"]
_random, _frozen, _table, _renumbered = (costs[_n] for _n in ("random", "frozen", "table of token ids", "renumbered"))
holds("layer 1: 1.5, layers 2 to 4: 0.10 to 0.24", round(float(_random[0]), 1) == 1.5 and bool((_random[1:4] > 0.095).all())
      and bool((_random[1:4] < 0.245).all()))  # fmt: skip
holds("frozen about as bad as random, in each layer", bool(((_frozen - _random).abs()[:4] < 0.15 * _random[:4]).all()))
holds(
    "the table: a tenth to a third of that",
    bool((_table[:4] < 0.35 * _random[:4]).all()) and bool((_table[:4] > 0.1 * _random[:4]).all()),
)
holds("renumbered worse, in each layer", bool((_renumbered[:4] > _random[:4]).all()))
holds("the last more than twice the middle", all(2 < float(_random[3] / _random[_l]) < 2.5 for _l in (1, 2)))
holds("all layers by table 0.32", round(float(_table[4]), 2) == 0.32)

# %% [markdown]
# **Answer.** In layer 1 a random choice costs 1.5 nats, in layers 2 to 4 between 0.10 and 0.24. A frozen router is about as bad.
#
# <!-- answered -->
# **Takeaway: a token has to reach the experts that were trained on it.** That equal tokens stay together is not enough: renumbered experts
# cost more than random ones, in every layer. The token id says most of where a token belongs: a fixed table costs only a tenth to a third of what a random
# choice costs, and with tables in all four layers the model loses 0.32 nats, and not 2.
#
# A paper ([arXiv 2605.06665](https://arxiv.org/abs/2605.06665)) reports that random routing in deep layers costs large models little, 1.0 to 1.6
# points. **At our size the direction holds:** every later layer costs less than the first one, though the last costs more than twice as much as either layer in the
# middle. **Whether it is little cannot be told,** since points and nats do not compare. 0.1 nats is twice what eight experts gained over their
# dense twin in lesson 05, 0.05 nats. <!-- evidence: 0 - data/runs/summary.json moe-8-top2.difference.mean -->
#
# One caveat decides what this measures. These experts were trained with the router's own choice. A model that is *trained* with
# another choice adapts to it: lesson 09 trains one with a fixed table of token ids.
# <!-- reasoned: the swap is done after training -->
#
# ## 8.7 Early or late, and alike or not
#
# The next two questions need more than the final model. When is a choice made? Four of the trainings were stopped at six moments and asked to
# route the same tokens; the table has one of them. **Router saturation** is the share of the final choices that were made already.
# <!-- reasoned: it says how it was recorded -->
#
# **Predict:** after 1 % of the training, 30 steps, which percentage of the final choices is made, as the mean of the four layers? And after 30 %? By
# chance it is 25 %, two of eight. <!-- evidence: 2 / 8 -->

# %% tags=["guess"]
my_guess = guess("8.7", percent_after_1_percent=None, percent_after_30_percent=None)

# %%
later = expert_runs.expert_run("e8", seed=1)  # the first model was not kept on the way
rows = [f"after {100 * moment:.0f} % of the training" for moment in expert_runs.MOMENTS]
plots.table(
    (100 * later.saturation).round(),
    "percent of the final choices, 8 experts, seed 1",
    rows=rows,
    columns=columns, right=("mean", (100 * later.saturation).mean(dim=1).round()), shade=True,
)  # fmt: skip

# %% tags=["guess"]
_after = 100 * later.saturation.mean(dim=1)
my_guess.beside(percent_after_1_percent=float(_after[1]), percent_after_30_percent=float(_after[4]))

# %% tags=["holds"]
_made = later.saturation  # (moments, L)
holds("42 % in layer 1 before training, about 30 in the others", round(float(_made[0, 0]), 2) == 0.42
      and bool((_made[0, 1:] < 0.32).all()))  # fmt: skip
holds("start: 33, 1 %: 31, 30 %: 74", [round(100 * float(_made[_m].mean())) for _m in (0, 1, 4)] == [33, 31, 74])
holds("10 %: 57 to 70", round(float(_made[3].min()), 2) == 0.57 and round(float(_made[3].max()), 2) == 0.70)
holds("30 %: 71 to 82", round(float(_made[4].min()), 2) == 0.71 and round(float(_made[4].max()), 2) == 0.82)
holds("layer 1 first, at every moment", bool((_made[:5, :1] >= _made[:5]).all()))

# %% [markdown]
# **Answer.** After 1 % it is 31 %, no more than before the training, where it is 33 %. After 30 % it is 74 %.
#
# <!-- answered -->
# In layer 1 the random start already makes 42 % of the final choices, so training did not move that router away from all of its first
# preferences. After 10 % of the training 57 to 70 % are made, so more than half of what is chosen then stays to the end.
#
# Does a second training with another seed find the same experts? Their numbers mean nothing, so the experts of one model are first matched with
# those of the other: of all one-to-one matchings, the one under which most assignments agree.
#
# **Predict:** which percentage of the assignments agrees, in layer 1 and in layer 4?

# %%
pairs = [pair for pair in expert_runs.pairs() if pair.name == "e8"]
alike = torch.cat([torch.stack([pair.share for pair in pairs]), torch.stack([pair.chance for pair in pairs])])
rows = [f"seeds {a} and {b}" for a, b in (pair.seeds for pair in pairs)]
rows += [f"{row}, by chance" for row in rows]
plots.table(
    (100 * alike).round(),
    "8 experts: percent of assignments that agree after matching",
    rows=rows,
    columns=columns,
    shade=True,
)

# %% tags=["holds"]
holds("34 to 38 % in layer 1, 43 to 45 in layer 4", [round(100 * float(_f(alike[:3, _l]))) for _l in (0, 3) for _f in (min, max)]
      == [34, 38, 43, 45])  # fmt: skip
holds("26 to 30 by chance", round(100 * float(alike[3:].min())) == 26 and round(100 * float(alike[3:].max())) == 30)

# %% [markdown]
# **Answer.** In layer 1 34 to 38 % agree, in layer 4 43 to 45 %. By chance it would be 26 to 30 %.
#
# <!-- answered -->
# **Takeaway: two trainings divide the work differently.** More agrees than by chance, but most does not. So a sentence such as "expert 1 is for Python"
# is about one training, and not about an architecture.
# <!-- reasoned: the cell above holds the shares; all are below one half -->
#
# ## 8.8 Always the same few? Never some?
#
# Two more claims can be tested. The first: a **standing committee** of two to five experts carries up to
# 70 % of the routing weight, whatever the domain ([arXiv 2601.03425](https://arxiv.org/abs/2601.03425)). We test the upper end: does a small set of
# experts have 70 % of the weights in *every* domain? `committee` finds the smallest such set. With even loads, 6 of 8 experts
# would be needed, and 12 of 16. <!-- reasoned: 0.7 times the number of experts, rounded up -->
#
# **Predict:** how many of the eight experts are needed?

# %%
for run in (expert_runs.expert_run("e8", 0), expert_runs.expert_run("e16", 0)):
    print(
        f"{expert_runs.TITLES[run.name]}, layers 1 to 4:", [len(found.experts) for found in run.committees(share=0.7)]
    )

# %% tags=["holds"]
_sizes = {_n: [len(_c.experts) for _c in expert_runs.expert_run(_n, 0).committees()] for _n in ("e8", "e16")}
holds("6, 7, 7, 7 of 8; 10 or 11 of 16", _sizes == {"e8": [6, 7, 7, 7], "e16": [11, 11, 11, 10]})

# %% [markdown]
# **Answer.** Six or seven of eight: as many as with even loads, or one more. Of sixteen it takes 10 or 11, a little fewer than even loads would. **At our
# size the claim fails:** no two to five experts have 70 % in every domain.
#
# <!-- answered -->
# These models were trained with a balancing loss and with all nine domains in every batch. Without them it may come out differently.
# <!-- reasoned: how the models were trained, in lesson 05; "may" is all that it says -->
#
# The second claim: in any short prompt, a quarter of the experts stays silent. Cut the domains into prompts of 16
# tokens, and count. The last column is the control: the same for tokens that draw their two experts at random.
#
# **Predict:** in what part of the short prompts does at least a quarter of the eight experts get no token? With 16 experts, is it more?


# %%
def quiet(experts, n):
    """Whether at least a quarter of n experts gets none of the tokens (length, K) of a prompt."""
    return expert_groups.silent(experts, n)[0] >= 0.25


rows, cells, by_chance = [], [], []
for n, length in ((8, 16), (8, 32), (16, 16), (16, 32)):
    prompts = specialisation.read(checkpoint.pretrained(n), corpora, windows=32, length=length)
    ids = prompts.experts.view(4, -1, length, 2)  # (L, prompts, length, K)
    even = torch.rand(1000, length, n, generator=generator).topk(2).indices  # (1000, length, K)
    cells.append([100 * sum(quiet(prompt, n) for prompt in layer) / len(layer) for layer in ids])
    by_chance.append(100 * sum(quiet(prompt, n) for prompt in even) / len(even))
    rows.append(f"{n} experts, prompts of {length} tokens")
cells, by_chance = torch.tensor(cells), torch.tensor(by_chance)  # (4, L), (4,)
caption = "percent of prompts in which at least a quarter of the experts is silent"
plots.table(cells.round(), caption, rows=rows, columns=columns, right=("by chance", by_chance.round()), shade=True)

# %% tags=["holds"]
_eight, _eight_long, _sixteen, _sixteen_long = cells
holds(
    "8 experts: 8 to 36 %, longer 0 to 13",
    [round(float(_f(_c))) for _c in (_eight, _eight_long) for _f in (min, max)] == [8, 36, 0, 13],
)
holds(
    "16: 74 to 91, longer 16 to 49",
    [round(float(_f(_c))) for _c in (_sixteen, _sixteen_long) for _f in (min, max)] == [74, 91, 16, 49],
)
holds(
    "by chance 0 to 9 %, below 1 but for 16 experts and short prompts",
    bool((by_chance[[0, 1, 3]] < 1).all()) and 4 < float(by_chance[2]) < 11,
)
holds("more than by chance", bool((cells > by_chance[:, None]).flatten()[[0, 1, 2, 3, *range(8, 16)]].all()))
holds("more with 16", bool((_sixteen > _eight).all() and (_sixteen_long > _eight_long).all()))
holds("fewer in longer prompts", bool((_eight_long < _eight).all() and (_sixteen_long < _sixteen).all()))

# %% [markdown]
# **Answer.** With eight experts it is so in 8 to 36 % of the prompts, depending on the layer, and with sixteen in 74 to 91 %. In prompts
# twice as long it is rarer, below one half everywhere.
#
# <!-- answered -->
# So the sentence is false: with its "any" it promises every prompt. Something weaker holds. By chance, with even loads, it would be so in less than 1 % of the prompts, or 9 % with sixteen experts and 16 tokens. Nearly everywhere it
# happens more often than that, because the tokens of a short text resemble each other. How many experts stay silent depends on the number of experts and on the length.
#
# ## 8.9 What popular articles say
#
# Four sentences that many articles print:
#
# 1. The router reads your question and sends it to the expert in charge, a Python question to the Python expert.
# 2. A given word always goes to the same expert.
# 3. Experts specialise in subjects, such as mathematics, law or code.
# 4. In any short prompt a quarter of the experts stays silent.
#
# **Predict** the verdicts: true, true with conditions, misleading, false or unknown.

# %% tags=["diagram"]
claims(lesson=8)

# %% tags=["holds"]
from moe_lite.course.ledger import read_ledger as _read_ledger

_rows = [_row for _row in _read_ledger() if 8 in _row.lessons]
holds(
    "four sentences",
    [_row.id for _row in _rows] == ["question-routed", "same-word-same-expert", "topics", "a-quarter-silent"],
)
holds(
    "false, false, conditions, false",
    [_row.verdict for _row in _rows] == ["false", "false", "true with conditions", "false"],
)

# %% [markdown]
# **Answer.** The third is true with conditions, and the other three are false.
#
# ## Take it with you
#
# `python -m moe_lite.lab.expert_runs` prints the tables of this lesson for all recorded models, and one more: which two experts share
# tokens far more often than their loads let expect. The last figure has three models and a
# text of your own: type a sentence, click on a token, mute its expert. Each domain then has its control, chosen as in 8.5, and a
# percentage says how near that one comes. (It measures on four windows of each domain and 8.4 on eight, so the numbers differ.)
#
# **Predict:** SQL was in no training text. Will its tokens go to the experts of Python, of JSON, or of English?

# %% tags=["widget"]
models = {8: model, 16: checkpoint.pretrained(16), 32: checkpoint.pretrained(32)}
sql = "SELECT name FROM plays WHERE author = 'Shakespeare';"
viewer = ExpertViewer(models, corpora, text=sql, layer=4, expert=2)
viewer.suggest({"Python's expert": {"domain": names[python]}, "mute it": {"muted": True}})

# %% tags=["holds"]
_first = specialisation.read_ids(model, torch.tensor([list(data.encode(sql))])).experts[3][:, 0]
holds(
    "expert 2 first for 11 of 28, expert 1 for one",
    (len(_first), int((_first == 2).sum()), int((_first == 1).sum())) == (28, 11, 1),
)
holds("expert 2's lift for French and facts is near Python's", all(abs(float(shares[2, names.index(_n)] / shares[2, python]) - 1) < 0.1
      for _n in ("french", "facts")))  # fmt: skip

# %% [markdown]
# **Answer.** To none of the three alone. With eight experts, expert 2 is the first choice most often in layer 4, for 11 of 28 tokens. It is the busiest expert, and
# Python is only one of the kinds of text that use it: its lift for French and for the facts is nearly the same. Python's own expert 1 is the first choice of one token. <!-- reasoned: the cell above holds the counts; 8.0 shows expert 2's column -->

# %% [markdown]
# ## Now you know
#
# - Kinds of text spread unevenly over experts. In our models nearly every domain has an expert of its own in at least one layer, one whose absence costs
#   it more than the absence of its nearest control; but that expert works for other texts as well, and the domain uses other experts, too.
#   <!-- reasoned: 8.0 and 8.5 hold it -->
# - An expert tells about the token id and about the text. Most of what it tells about the domain comes from the neighbours, and yet most of
#   what a choice is *worth* is in the token id: a table of token ids loses 0.3 nats, a random choice 2.
#   <!-- reasoned: 8.3 and 8.6 hold it -->
# - Training makes the choice depend less on the token: an untrained router has favourite tokens as well.
#   <!-- reasoned: 8.2 holds it -->
# - A measurement needs its control: shuffled labels, an untrained model, an expert that does as much, a drawn candidate, another seed. Lists of
#   favourite tokens have none.
# - Two trainings divide the work differently. The number of an expert means nothing outside of its training.
#   <!-- reasoned: 8.7 holds it -->
#
# You know what a choice is worth in a model that was trained with it. Whether the experts were worth their memory is a
# question of its own.
#
# <!-- next -->
