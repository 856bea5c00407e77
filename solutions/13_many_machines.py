# %% [markdown]
# # 13 · Experts on many machines
# *Part 4 — What it costs to run · about 120 minutes · three exercises and one stretch*
#
# **What travels between devices?**

# %% tags=["opening"]
from moe_lite.widgets import TrafficExplorer

TrafficExplorer()

# %% [markdown]
# The experts of one layer live on four devices, and so do the texts. A cell of the matrix says how much one device sends to another: the vectors of its tokens that need an expert over there. The bars below show how
# much each device has to compute. Change the number of devices, and watch how much is left on the diagonal, where nothing has to travel.
# <!-- reasoned: it says what the figure above draws -->
#
# A large mixture does not fit into one device, so its experts are spread over many, and every token has to visit its own. Whether such a model is fast is decided by what travels, by who waits for whom, and by
# where the experts stand.
# <!-- reasoned: it says what the lesson is about -->
#
# You will write what a process needs before it can send its tokens, the weights that make the gradients of many processes that of one, the bytes from device to device, and a placement of
# experts by their load. Two real processes on your machine run it, and a simulator takes it to thousands of devices.
# <!-- reasoned: it says what the lesson does -->
#
# **Builds on** [lesson 04](04_dispatch_and_combine.ipynb) (sorting tokens by expert) and [lesson 11](11_parameters_memory_money.ipynb) (why one device is not enough). M is the number of devices, E that of experts in a
# layer, K that of experts per token, N that of tokens.

# %% tags=["diagram"]
from moe_lite import lesson_header

lesson_header(today=13)

# %% tags=["setup"]
import inspect

import torch

from moe_lite import (
    ModelConfig, MoELanguageModel, checkpoint, claims, data, evaluate, expert_cache, guess, hosting, parallel, plots,
    routing, traffic, train
)  # fmt: skip
from moe_lite.checks import lesson13 as check, mine

# %% [markdown]
# ## 13.0 Tokens travel, experts stay
#
# There are two ways to put a large layer on many devices. A dense layer is cut into pieces, and every token needs every piece. A mixture has a natural cut: each device keeps whole experts. This is called
# **expert parallelism**. An expert has millions of weights, and a token is one vector, so it is the token that travels: out to its experts (**dispatch**) and back with their answers (**combine**).
# Each of the two is an **all-to-all**, because every device may have something for every other one.
#
# Now eight devices hold two of our model's 16 experts each, and every text lives on one of them. A vector is sent to a device only once, even if both of its experts are there.
#
# **Predict:** how many copies of a token's vector leave its device, per token and layer? (At most it could be two. The figure above starts with four devices.)

# %% tags=["guess"]
my_guess = guess("13.0", copies_that_leave=None)

# %%
model = checkpoint.pretrained(16)
E, K, L, M = model.config.n_experts, model.config.top_k, model.config.n_layers, 8
corpora = data.load_corpora()
texts = {name: batch.ids for name, batch in data.validation_batches(corpora, 128, max_windows=16).items()}
choices = {name: expert_cache.choices(model, ids) for name, ids in texts.items()}  # (L, B, T, K) each
mixed = torch.cat([*choices.values()], dim=1)  # texts of all kinds
mixed = mixed[:, torch.randperm(mixed.shape[1], generator=torch.Generator().manual_seed(0))]  # shuffled
homes = (torch.arange(mixed.shape[1]) % M).repeat_interleave(128)  # (N,) the device of every token
places = traffic.spread(E, M)  # (E,) the device of every expert: neighbours together
matrices = [traffic.sent(layer.flatten(0, 1), homes, places, M) for layer in mixed]  # L × (M, M)

# %%
copies = [traffic.crossing(matrix) / len(homes) for matrix in matrices]
devices = [f"device {device}" for device in range(M)]
print("copies that leave, layer by layer:", [round(n, 2) for n in copies])
print(f"at random: {traffic.expected_crossing(K, M, n_experts=E):.2f}")
print(f"a dense layer cut into {M} pieces: {2 * (M - 1)} vectors per token, sent by all devices together")
per_100 = 100 * matrices[0] / torch.bincount(homes)[:, None]
caption = "layer 1: vectors per 100 tokens, from row to column; the diagonal stays"
plots.table(per_100.round(), caption, rows=devices, columns=devices, shade=True)

# %% tags=["guess"]
my_guess.beside(copies_that_leave=sum(copies) / L)

# %% tags=["holds"]
holds("1.69, as at random", round(sum(copies) / L, 2) == 1.69)
holds("and 1.69 at random", round(traffic.expected_crossing(K, M, n_experts=E), 2) == 1.69)

# %% [markdown]
# **Answer.** 1.69, as many as random choices would send.
#
# <!-- answered -->
# **Takeaway: most of what a token needs is elsewhere.** Its choices are not random, as lesson 08 showed, but with neighbours on a device and shuffled texts, the borders of devices mean nothing to a router. So on average over the layers, as many copies leave as with random choices; single layers differ by a few hundredths.
# <!-- reasoned: the printed numbers -->
#
# Would it help if every device had texts of one kind only? Then its tokens would want the same few experts.
#
# **Predict:** do fewer copies leave than with random choices, if each device has its own kind of text? Run the cell, and read the first two numbers beside the matrix.

# %% tags=["widget"]
explorer = TrafficExplorer(devices=8, texts="kinds")
explorer

# %% tags=["holds"]
holds("1.79 against 1.69", "1.79 copies" in explorer.reading and "0.10 more than" in explorer.reading)

# %% [markdown]
# **Answer.** Not by itself: 1.79 in layer 1, where random choices give 1.69. <!-- reasoned: the figure, held below it -->
#
# <!-- answered -->
# The favourites of a kind of text stand anywhere, because nobody has put them near it; which device a kind got here is luck. Move the slider to the other layers to see it change.
# <!-- reasoned: the figure has all layers -->
#
# Is that more than a dense layer sends? It depends on which one. A dense layer on one device sends nothing. One that is cut into eight pieces has to add up what the pieces answer for every token (an **all-reduce**), and with the usual method all devices together send 14 vectors per token for that. The mixture sends 1.69 out and as many back.
# <!-- reasoned: a ring over M devices sends 2 · (M − 1) / M from each of them -->
#
# ## 13.1 Rows, counts and two real processes
#
# In lesson 04, the tokens of a batch were sorted by expert, so that every expert got one block of rows. Now the blocks go to other processes. A process has to know how many rows it sends to each one, and the others have to know
# how many will come, because memory is reserved before anything arrives.

# %% [markdown] tags=["exercise"]
# ### Exercise 13.1 — rows for an all-to-all
# *10 minutes · core · about 3 lines*
#
# **Given** `expert_ids` (A,) int64, the expert that each of a process's rows needs, from 0 to `n_experts` − 1; and `n_ranks`, the number of processes, which divides `n_experts`. Every process holds the same number of experts
# that are neighbours: process 0 the first n_experts / n_ranks of them, process 1 the next ones, and so on. **Return** `order` (A,) int64 and `send` (n_ranks,) int64. `order` are the row numbers in the order in which the rows are
# sent: by expert, and rows for the same expert in the order in which they stand. `send` says how many rows go to each process, the own one included; a process that gets none has a 0.
# **Allowed:** sorting, `bincount`, arithmetic.
#
# <!-- hints 13.1 -->


# %% tags=["stub"]
def split_sizes(expert_ids: torch.Tensor, n_experts: int, n_ranks: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows in the order in which they are sent, and how many go to each process.

    expert_ids (A,) int64 -> order (A,) int64, send (n_ranks,) int64
    """
    ### BEGIN SOLUTION
    order = expert_ids.argsort(stable=True)
    rank = expert_ids // (n_experts // n_ranks)  # (A,) the process that holds the expert
    return order, torch.bincount(rank, minlength=n_ranks)
    ### END SOLUTION


# %% tags=["check"]
check.split_sizes(split_sizes)

# %% [markdown]
# Now for real. `parallel.run` starts new Python processes, which talk to each other as the machines of a cluster do, through PyTorch's `torch.distributed`, where a process is called a **rank**. Each gets four of a small model's eight experts, a copy of everything else, and its own half of a
# batch. It sends its rows, computes with its own experts what arrives, and sends the answers back; backward, the gradients go the same way in the other direction. (The first time takes some seconds: on Linux a process loads PyTorch once and is then copied, elsewhere each loads its own.)
#
# **Predict:** how far is the loss of the two processes from the loss that one process computes for the whole batch?

# %% tags=["guess"]
my_guess = guess("13.1", difference_in_nats=None)

# %%
config = ModelConfig(n_layers=2)
batch = data.sample_batch(corpora, 8, 64, torch.Generator().manual_seed(0))
halves = parallel.shares_of((batch.ids, batch.targets), [4, 4])
results = parallel.run(parallel.work, 2, config, [halves])  # real processes
losses, gradients = parallel.alone(config, [halves])  # the same on this one
difference = abs(results[0].losses[0] - losses[0])
print(f"loss {results[0].losses[0]:.6f}, on one process {losses[0]:.6f}")
largest = max(float(gradient.abs().max()) for gradient in gradients.values())
difference_of_gradients = parallel.largest_difference(results, gradients)
print(f"gradients: largest difference {difference_of_gradients:.0e}, largest number {largest:.3f}")

# %% tags=["guess"]
my_guess.beside(difference_in_nats=difference)

# %% tags=["holds"]
holds("equal to 1e-5", difference < 1e-5 and parallel.largest_difference(results, gradients) < 1e-5)

# %% [markdown]
# **Answer.** By nothing but rounding, which shows in the gradients: sums are taken in another order.
#
# <!-- answered -->
# **Takeaway: expert parallelism changes where things are computed, and up to rounding nothing else.** If your processes disagree with one process, there is a mistake. Did your function say the right numbers? The processes counted what they sent.

# %%
my_split = mine("13.1", split_sizes, default=parallel.split_sizes)
whole = MoELanguageModel(config, seed=0).eval()
with torch.no_grad():
    first = [whole(ids).routing[0] for ids, _ in halves]  # layer 1, for the part of each process
by_yours = torch.stack([my_split(layer.expert_ids, 8, 2)[1] for layer in first])
counted = torch.stack([result.sent[0, 0] for result in results])
processes = ["process 0", "process 1"]
print("your function and the processes agree:", torch.equal(by_yours, counted))
plots.table(counted, "layer 1: rows sent, from row to column", rows=processes, columns=processes)

# %% tags=["holds"]
holds("agree", torch.equal(by_yours, counted) and int(counted.sum()) == 2 * 8 * 64)

# %% [markdown]
# This is the function of the package that sends the rows. It calls PyTorch's all-to-all with two lists of sizes: how many rows go to each process, as you computed it, and how many come from each. The second list has come before, by an all-to-all of the counts.

# %%
print(inspect.getsource(parallel._exchanged))

# %% [markdown]
# There are 1,024 rows in all, two for each of 512 tokens. Our processes send one row per chosen expert; an engine that sends once per device would save a few. <!-- evidence: 2 * 8 * 64; 8 * 64 -->
#
# What if a process has no tokens at all, or if nobody needs its experts? It still has to take part in every exchange, forward and backward, or the others wait for it forever. Exactly this
# [hung real trainings](https://github.com/microsoft/DeepSpeed/issues/5066). (The command at the end of this lesson has such a process; for it a part without tokens is fine.) And if a process dies, the others must not wait, either: `parallel.run` ends them and says which one it was. Here we break process 1 on purpose: its entry is missing from the list of parts, which is an error.
# <!-- cited: DeepSpeed issue 5066 -->

# %%
try:
    parallel.run(parallel.work, 2, config, [[halves[0]]], timeout=60)  # process 1 finds no part for itself
except parallel.RankError as error:
    ended = str(error)
    print(ended)

# %% tags=["holds"]
holds("the process has a name", ended.startswith("Process 1 of 2 failed: IndexError"))

# %% [markdown]
# ## 13.2 Whose gradient is it?
#
# Everything that is not an expert, such as attention and routers, exists on every process, and each process computes a gradient from its own tokens. These gradients are added up. An expert exists once. Its tokens came from everywhere, and so do the gradients, so its sum is complete without anybody's help.
#
# What exactly is added up? Every process computes the *mean* loss of its own tokens, and the parts can be unequal: texts end, and batches do not divide evenly.

# %% [markdown] tags=["exercise"]
# ### Exercise 13.2 — the same gradient as one process
# *5 minutes · core · about 1 line*
#
# **Given** `n_tokens` (n_ranks,) int64, how many tokens each process has in its part of the batch; some can be 0, not all. Every process computes the mean loss of its own tokens (0 if it has none), multiplies it with a number of its own, and
# goes backward. Then the gradients of all processes are added up. **Return** `weights` (n_ranks,), floats: the number for each process with which the sum is the gradient of the mean loss over all tokens.
# **Allowed:** arithmetic on tensors.
#
# <!-- hints 13.2 -->


# %% tags=["stub"]
def loss_weights(n_tokens: torch.Tensor) -> torch.Tensor:
    """What each process multiplies its mean loss with. n_tokens (n_ranks,) int64 -> (n_ranks,)"""
    ### BEGIN SOLUTION
    return n_tokens / n_tokens.sum()
    ### END SOLUTION


# %% tags=["check"]
check.loss_weights(loss_weights)

# %% [markdown]
# Are they right? The next cell computes the gradient of a batch in two parts, five rows and three, with your weights and with two others, and compares it with the gradient of the whole batch.

# %%
my_weights = mine("13.2", loss_weights, default=parallel.loss_weights)
generator = torch.Generator().manual_seed(2)
steps = [data.sample_batch(corpora, 8, 64, generator) for _ in range(20)]
parts = [parallel.shares_of((step.ids, step.targets), [5, 3]) for step in steps]


def gradient(batches, weights):
    """All gradients in one row: each batch's cross-entropy times its weight, added up."""
    model = MoELanguageModel(config, seed=0)
    for (ids, targets), weight in zip(batches, weights, strict=True):
        (model(ids, targets).cross_entropy * float(weight)).backward()
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters()])


# %%
whole_batch = gradient([(steps[0].ids, steps[0].targets)], [1])
yours = my_weights(torch.tensor([5 * 64, 3 * 64]))
off = {}
for name, weights in {"your weights": yours, "a half each": (0.5, 0.5), "1 each": (1, 1)}.items():
    off[name] = 100 * float((gradient(parts[0], weights) - whole_batch).norm() / whole_batch.norm())
    print(f"{name}: {off[name]:.1f} % away from the gradient of the whole batch")

# %% tags=["holds"]
holds("yours 0", off["your weights"] < 0.01)
holds("others", off["1 each"] > 90 and off["a half each"] > 5)

# %% [markdown]
# One part of the loss is no mean over tokens: the balancing loss multiplies each expert's share of the assignments with its mean score (lesson 06). If every process took its own shares, the sum would be another loss than that of the whole batch. So the processes add up their loads first (`parallel.balance_over_all`).
#
# Here two processes train for 20 steps with everything in place, five rows of each batch on one and three on the other, beside one process that has the whole batch.

# %%
by_two = parallel.run(parallel.work, 2, config, parts, 3e-3)[0].losses  # AdamW, learning rate 0.003
by_one, _ = parallel.alone(config, parts, 3e-3)
for step in (0, 4, 9, 14, 19):
    print(f"step {step + 1:2}: loss {by_two[step]:.5f} on two processes, {by_one[step]:.5f} on one")

# %% tags=["holds"]
holds("the same curve", max(abs(_a - _b) for _a, _b in zip(by_two, by_one, strict=True)) < 1e-3)
holds("it learns", by_two[-1] < by_two[0] - 1)

# %% [markdown]
# Data parallelism usually does something else: it leaves the losses as they are and *averages* the gradients over n processes. The loss of each process is a mean over its own tokens only, so with equal parts every token counts n times too much, and averaging repairs that. An expert's gradient is a sum over the tokens of all processes. Nobody averages it, so it keeps the factor n and has to be divided by it. This was forgotten in
# [one](https://github.com/databricks/megablocks/pull/20) [library](https://github.com/NVIDIA/Megatron-LM/pull/5956) after another, and [a question about it](https://github.com/databricks/megablocks/issues/86) got the clearest explanation.
# <!-- cited: megablocks PR 20 and issue 86, Megatron-LM PR 5956 -->
#
# ### Broken on purpose: experts with four times their gradient
#
# Here is what four processes would do that forget to divide: experts get four times their gradient, and everything else the right one. We train a small model with it, once with plain gradient descent with momentum (SGD), and once with AdamW.
#
# **Predict:** after 20 steps, how many times as far have the experts' weights moved as in the right training, with SGD and with AdamW?

# %% tags=["guess"]
my_guess = guess("13.2", times_as_far_with_sgd=None, times_as_far_with_adamw=None)


# %%
def learn(make_optimizer, experts_times, seed):
    """Train with the experts' gradients multiplied; the last loss, and how far the experts moved."""
    model = MoELanguageModel(ModelConfig(n_layers=2, d_model=64, d_expert=32), seed=seed).train()
    experts = [parameter for name, parameter in model.named_parameters() if parallel.is_expert(name)]
    start = [parameter.detach().clone() for parameter in experts]
    optimizer, generator = make_optimizer(model.parameters()), torch.Generator().manual_seed(seed)
    for _ in range(train.budgeted(ci=5, normal=20, long=20)):
        batch = data.sample_batch(corpora, 8, 64, generator)
        output = model(batch.ids, batch.targets)
        optimizer.zero_grad()
        output.loss.backward()
        for parameter in experts:
            parameter.grad.mul_(experts_times)
        optimizer.step()
    moved = [(now.detach() - then).flatten() for now, then in zip(experts, start, strict=True)]
    return float(output.cross_entropy.detach()), float(torch.cat(moved).norm())


# %% tags=["broken"]
optimizers = {
    "SGD": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9),
    "AdamW": lambda parameters: torch.optim.AdamW(parameters, lr=3e-3),
}
apart, far = {}, {}
uniform = torch.log(torch.tensor(2048.0))  # the loss of a model that knows nothing
for name, make in optimizers.items():
    pairs = [(learn(make, 1, seed), learn(make, 4, seed)) for seed in range(3)]
    apart[name] = [wrong[0] - right[0] for right, wrong in pairs]
    far[name] = sum(wrong[1] / right[1] for right, wrong in pairs) / 3
    worse = ", ".join(f"{difference:+.3f}" for difference in apart[name])
    learned = f"from {uniform:.2f} to {pairs[0][0][0]:.2f}"
    print(f"{name}: experts moved {far[name]:.1f} times as far; loss, wrong minus right: {worse} ({learned})")

# %% tags=["guess"]
my_guess.beside(times_as_far_with_sgd=far["SGD"], times_as_far_with_adamw=far["AdamW"])

# %% tags=["holds"]
holds("4 and 1", 3.5 < far["SGD"] < 4.5 and 0.9 < far["AdamW"] < 1.1)
holds("less than a hundredth", all(abs(_d) < 0.01 for _differences in apart.values() for _d in _differences))

# %% [markdown]
# **Answer.** 4.1 times as far with SGD, and 1.0 times with AdamW.
#
# <!-- answered -->
# **Takeaway: this mistake can be invisible in the loss.** AdamW divides every gradient by its usual size, so four times as large is the same to it. SGD takes steps four times as long. And in this short training the loss shows neither: it differs by less than a hundredth of a nat, of about one nat that was learned. (The same was [reported](https://github.com/pytorch/pytorch/issues/160285) of gradients twice too large in a real library: the loss curves were the same.) What finds the mistake is the comparison of section 13.1. If its experts had four times their gradient, it would say:
# <!-- reasoned: the printed losses and distances; AdamW (arXiv 1711.05101) normalises each parameter's gradient -->

# %%
wrong = [
    result._replace(gradients={n: 4 * g if parallel.is_expert(n) else g for n, g in result.gradients.items()})
    for result in results
]
found = parallel.largest_difference(wrong, gradients)
print(f"gradients: largest difference {found:.0e}, where it was {difference_of_gradients:.0e}")

# %% tags=["holds"]
holds("found", found > 1e-3)

# %% [markdown]
# ## 13.3 Bytes
#
# How much is it? For each copy of a vector that leaves its device, D numbers go out, and D come back. So the traffic of a layer is a matter of counting: who sends how many vectors to whom.

# %% [markdown] tags=["exercise"]
# ### Exercise 13.3 — bytes from device to device
# *12 minutes · core · about 6 lines*
#
# **Given** `expert_ids` (N, K) int64, the K different experts of each token; `homes` (N,) int64, the device on which each token lives; `places` (E,) int64, the device of each expert; `n_devices` (M); and
# `vector_bytes`, the size of one token's vector. A token's vector is sent to every other device that holds at least one of its experts, once, however many of its experts are there. **Return** `matrix` (M, M) int64: how many bytes row
# i's device sends to column j's. A device sends nothing to itself.
# **Allowed:** everything in torch.
#
# <!-- hints 13.3 -->


# %% tags=["stub"]
def bytes_between(
    expert_ids: torch.Tensor, homes: torch.Tensor, places: torch.Tensor, n_devices: int, vector_bytes: int
) -> torch.Tensor:  # fmt: skip
    """Bytes that each device sends to each other one.

    expert_ids (N, K), homes (N,), places (E,), all int64 -> (M, M) int64
    """
    ### BEGIN SOLUTION
    to = places[expert_ids]  # (N, K)
    there = torch.zeros(len(to), n_devices, dtype=torch.int64).scatter(1, to, 1)  # (N, M) 1 where a vector goes
    matrix = torch.zeros(n_devices, n_devices, dtype=torch.int64).index_add(0, homes, there)
    return matrix.fill_diagonal_(0) * vector_bytes
    ### END SOLUTION


# %% tags=["check"]
check.bytes_between(bytes_between)

# %% [markdown]
# DeepSeek-V3 has 256 experts in a layer, eight per token, and vectors of 7,168 numbers. Its makers sent them out with one byte per number, and back with two. They also did not want a token to go everywhere: its experts may come from at most four nodes, that is, machines with eight GPUs each
# ([the paper](https://arxiv.org/abs/2412.19437), sections 2.1.2 and 3.2). By [the same paper](https://arxiv.org/abs/2412.19437), a GPU sends 160 GB per second inside of a node, and 50 GB per second to other nodes.
#
# **Predict:** the layer's experts stand on 64 GPUs in eight nodes, and tokens choose at random. To how many *other nodes* does a token travel, without the limit and with it?

# %% tags=["guess"]
my_guess = guess("13.3", nodes_without_limit=None, nodes_with_limit=None)

# %%
network = hosting.networks()["DeepSeek-V3's cluster (H800)"]
my_bytes = mine("13.3", bytes_between, default=traffic.bytes_between)
generator = torch.Generator().manual_seed(0)
gpus, n_tokens, out, back = 64, 64 * 128, 7168, 2 * 7168  # bytes of a vector on its way out and back
logits = torch.randn(n_tokens, 256, generator=generator)
homes_there, experts_there = torch.arange(n_tokens) % gpus, traffic.spread(256, gpus)
limits = {"no limit": {}, "from 4 of 8 nodes": {"n_groups": 8, "topk_groups": 4}}
rows = {}
for name, options in limits.items():
    ids = routing.route(logits, 8, **options).top_k[1]  # (N, K)
    to_gpus = my_bytes(ids, homes_there, experts_there, gpus, 1)  # vectors
    to_nodes = my_bytes(ids, homes_there // 8, experts_there // 8, 8, 1)  # as if a node were a device
    rows[name] = [int(to_gpus.sum()) / n_tokens, int(to_nodes.sum()) / n_tokens]

# %%
values = torch.tensor([[gpus_, nodes, nodes * (out + back) / 1e3] for gpus_, nodes in rows.values()])
columns = ["other GPUs", "other nodes", "kB per token between nodes, out and back"]
plots.table(values, "DeepSeek-V3, one layer, 64 GPUs, random choices", rows=[*rows], columns=columns)

# %% tags=["guess"]
with_limit = rows["from 4 of 8 nodes"][1]  # nodes
my_guess.beside(nodes_without_limit=rows["no limit"][1], nodes_with_limit=with_limit)

# %% tags=["holds"]
holds("4.64 and 3.48", [round(_row[1], 2) for _row in rows.values()] == [4.64, 3.48])
holds("other GPUs hardly", 0.95 < rows["from 4 of 8 nodes"][0] / rows["no limit"][0] < 1)
holds("a quarter", 0.73 < rows["from 4 of 8 nodes"][1] / rows["no limit"][1] < 0.77)

# %% [markdown]
# **Answer.** To 4.64 other nodes without the limit, and to 3.48 with it.
#
# <!-- answered -->
# **Takeaway: the limit saves a quarter of what goes over the slow connections, if a vector is sent to a node once and passed on inside.** It hardly changes the number of GPUs that a token visits.
#
# Does it hurt? DeepSeek report for their models that limits of three devices or more are [close to no limit](https://arxiv.org/abs/2405.04434). Here is what happens to our model with 32 experts, seven per token, on eight devices. It was trained without a limit, so this is harder for it.
# <!-- cited: arXiv 2405.04434 section 2.2.2 -->

# %%
fine = checkpoint.pretrained(32)
rows = {}
for limit in (8, 4, 3, 2):
    for layer in fine.moe_layers:
        layer.router.options |= {"n_groups": 8, "topk_groups": limit, "group_score": "max"}
    loss = evaluate.evaluate(fine, corpora, length=128, max_windows=4).mean_loss
    ids = torch.cat([expert_cache.choices(fine, text[:4]) for text in texts.values()], dim=1)  # (L, B, T, K)
    there = (torch.arange(ids.shape[1]) % 8).repeat_interleave(128)  # (N,) the device of every token
    sent = [traffic.sent(layer.flatten(0, 1), there, traffic.spread(32, 8), 8) for layer in ids]
    copies = sum(traffic.crossing(matrix) for matrix in sent) / ids[..., 0].numel()
    rows[f"at most {limit} devices" if limit < 8 else "no limit"] = [copies, loss]

# %%
values = torch.tensor([*rows.values()])
plots.table(values, "32 experts on 8 devices", rows=[*rows], columns=["copies that leave", "loss"], decimals=3)

# %% tags=["holds"]
holds("4.55 to 1.74 copies", [round(_x, 2) for _x in values[:, 0].tolist()] == [4.55, 3.49, 2.61, 1.74])
holds(
    "0.013 nats for a quarter; 0.138 for two",
    round(float(values[1, 1] - values[0, 1]), 3) == 0.013 and 0.12 < float(values[3, 1] - values[0, 1]) < 0.15,
)
holds("23 %", 0.75 < float(values[1, 0] / values[0, 0]) < 0.78)

# %% [markdown]
# **Takeaway: with at most four of eight devices nearly a quarter of the copies is saved, and the loss rises from 2.525 to 2.538; a limit of two is expensive.** A model that is trained with its limit can learn to live with it.
#
# ### How long does it take?
#
# `traffic.exchange` is a simulator of one all-to-all. A vector goes to each GPU that has one of its experts, over the fast connection if that is in the same node, and over the slow one otherwise. All GPUs send at the same time; the table takes the bytes as shared out evenly over them. Nothing is
# counted for starting up or for collisions. `traffic.forwarded` is the other way: a vector goes to a node once and is passed on inside, which takes up to two hops.
#
# **Predict:** each GPU has 4,096 tokens. How many milliseconds does one dispatch take on 64 GPUs? (From the table above: a token visits 7.55 other GPUs. Nearly nine of ten are in other nodes, to which a GPU sends 50 GB per second, and a vector takes 7,168 bytes.)

# %% tags=["guess"]
my_guess = guess("13.3, time", milliseconds=None)

# %%
sizes = {"8 GPUs, one node": (8, 256, 8), "64 GPUs": (64, 256, 8), "256 GPUs": (256, 256, 8),
         "2,048 GPUs, 2,048 experts, top-1": (2048, 2048, 1)}  # fmt: skip
rows = {}
for name, (gpus, n_experts, k) in sizes.items():
    per_gpu = 32 if gpus > 64 else 256  # tokens drawn for each; the times are scaled to 4,096
    drawn = torch.rand(gpus * per_gpu, n_experts, generator=generator).topk(k).indices
    here, there = torch.arange(len(drawn)) % gpus, traffic.spread(n_experts, gpus)
    matrix = traffic.sent(drawn, here, there, gpus)
    even = traffic.exchange(matrix, network, n_bytes=out * 4096 / per_gpu)
    passed_on = traffic.forwarded(drawn, here, there, gpus, network, n_bytes=out * 4096 / per_gpu)
    copies = traffic.crossing(matrix) / len(drawn)
    times = [1e3 * found.mean_seconds for found in (even, passed_on)]
    rows[name] = [copies, 100 * even.between / even.bytes, *times, passed_on.hops]

# %%
flops = 4096 * 8 * 6 * 7168 * 2048  # of a GPU's tokens in their experts, each 2,048 wide
print(f"computing: {1e3 * flops / hosting.accelerator('H100 SXM').machine.flops:.1f} ms at the peak of an H100")
limited = 1e3 * with_limit * out * 4096 / network.between
print(f"64 GPUs, once per node, experts from 4 of 8 nodes: {limited:.1f} ms")
values = torch.tensor([*rows.values()])
columns = ["copies that leave", "between nodes, %", "milliseconds", "once per node, ms", "its hops"]
plots.table(values, "one dispatch of 4,096 tokens per GPU", rows=[*rows], columns=columns, decimals=1)

# %% tags=["guess"]
my_guess.beside(milliseconds=float(values[1, 2]))

# %% tags=["holds"]
holds("0.9, 3.9, 4.5, 0.6 ms", [round(_x, 1) for _x in values[:, 2].tolist()] == [0.9, 3.9, 4.5, 0.6])
holds("once per node 2.7, with the limit 2.0", (round(float(values[1, 3]), 1), round(limited, 1)) == (2.7, 2.0))

# %% [markdown]
# **Answer.** 3.9 milliseconds. The way back takes twice as long, because answers have two bytes per number. <!-- reasoned: two bytes for one -->
#
# <!-- answered -->
# **Takeaway: what leaves the node decides.** On 64 GPUs 89 % of the copies go between nodes, over connections with less than a third of the speed. Sending a vector once per node, and passing it on inside, brings the dispatch from 3.9 to 2.7 milliseconds, and the limit on nodes from there to 2.0. The experts' arithmetic takes 2.9 at the 16-bit peak. Out, back and computing together
# take about five times as long as computing alone, and about four times if vectors are sent once per node, unless one is hidden behind the other. <!-- reasoned: 3.9 + 7.9 + 2.9 over 2.9, and 2.7 + 5.4 + 2.9 -->
#
# With 256 GPUs, sending once per node has lost most of its gain, because a token's eight experts are then on nearly eight nodes. (The last row has as many experts as [Switch's largest layer](https://arxiv.org/abs/2101.03961), 2,048, and one per token, with DeepSeek-V3's vectors.)
# <!-- cited: arXiv 2101.03961; 4.1 against 4.5 in the table -->
#
# ## 13.4 Who waits for whom
#
# The times above assume that everybody has the same to do. But the experts' loads are uneven, and a layer is finished when its busiest device is. The ratio of the busiest device's load to the mean says about how many times as long the experts' computing takes as with equal loads. What is above 1 is waiting.
#
# You can watch it on two processes. The first batch is ordinary text. In the second one, every token is the same, so all of them want the same expert.

# %%
wide = ModelConfig(n_layers=1, d_expert=4096, top_k=1, renorm=False)  # one expert per token
ordinary = data.sample_batch(corpora, 16, 128, torch.Generator().manual_seed(1))
same = torch.full_like(ordinary.ids, 300)
batches = {"ordinary text": (ordinary.ids, ordinary.targets), "one token, repeated": (same, same)}
print(f"{'':20}  {'':9}  {'rows':>6}  {'computing':>9}")
by_name = {}
for name, whole_batch in batches.items():
    parts = [parallel.shares_of(whole_batch, [8, 8])] * 2
    timed = parallel.run(parallel.work, 2, wide, parts)
    rows_of = sum(result.sent[0, 0] for result in timed)  # (2,) rows that each process computes
    by_name[name] = rows_of / rows_of.sum()
    for rank, result in enumerate(timed):
        print(f"{name:20}  process {rank}  {rows_of[rank]:6}  {result.computing:7.2f} s")

# %% tags=["holds"]
holds("uneven: one has everything", float(by_name["one token, repeated"].max()) == 1)
holds("text: both work", float(by_name["ordinary text"].min()) > 0.3)

# %% [markdown]
# In the second batch one process computes every row, and the other has nothing to do but wait for its answers.
# <!-- reasoned: the rows above -->
#
# Where should experts stand, then, so that every device has as much to do? A simple rule takes the experts one after the other, the busiest first, and gives each to the device that has the least so far.

# %% [markdown] tags=["exercise"]
# ### Exercise 13.4 — experts placed by their load
# *12 minutes · stretch · about 8 lines*
#
# **Given** `load` (E,) int64, how many tokens each expert gets, and `n_devices`, which divides E. Every device holds E / n_devices experts. The experts are placed one after the other, the one with the largest load first
# (of equals, the one with the lower number): each goes to the device whose experts so far have the smallest load in all (of equals, again the lower number), among those that have room left. **Return** `places` (E,) int64, the device of each expert.
# **Allowed:** everything in torch and Python.
#
# <!-- hints 13.4 -->


# %% tags=["stub"]
def places_by_load(load: torch.Tensor, n_devices: int) -> torch.Tensor:
    """The device of each expert. load (E,) int64 -> places (E,) int64"""
    ### BEGIN SOLUTION
    room = [len(load) // n_devices] * n_devices
    busy = [0] * n_devices
    places = torch.empty_like(load)
    for e in sorted(range(len(load)), key=lambda e: (-int(load[e]), e)):
        device = min((d for d in range(n_devices) if room[d]), key=lambda d: (busy[d], d))
        places[e] = device
        busy[device] += int(load[e])
        room[device] -= 1
    return places
    ### END SOLUTION


# %% tags=["check"]
check.places_by_load(places_by_load)

# %% [markdown]
# A placement is made from loads that were seen, and used for those that come. So we count the loads on one half of each domain's texts, place the experts, and look at the other half. As a control, we also place them by the loads of French, whatever comes. A third way is DeepSeek's: give each device room for one more expert, and put **copies** of the hottest ones there, which share the tokens
# ([EPLB](https://github.com/deepseek-ai/EPLB)).
#
# **Predict:** the busiest device over the mean, averaged over domains and layers: for neighbours, for your placement, and with copies?

# %% tags=["guess"]
my_guess = guess("13.4", neighbours=None, by_load=None, with_copies=None)

# %%
M = 4  # devices
my_places = mine("13.4", places_by_load, default=traffic.places_by_load)


def held_by(places):
    """The experts of each device."""
    return [(places == device).nonzero().flatten().tolist() for device in range(M)]


def load_of(chosen):
    """chosen (B, T, K) -> (E,) int64"""
    return torch.bincount(chosen.flatten(), minlength=E)


# %% [markdown]
# Five ways for each kind of text: neighbours, two placements, and two times copies.

# %%
kinds = choices | {"all kinds, mixed": mixed[:, :16]}
french = [load_of(layer[:8]) for layer in choices["french" if "french" in choices else next(iter(choices))]]
rows = {}
for name, chosen in kinds.items():
    ratios = []
    for layer, known in zip(chosen, french, strict=True):
        seen, coming = load_of(layer[:8]), load_of(layer[8:])
        ways = [held_by(traffic.spread(E, M)), held_by(my_places(known, M)), held_by(my_places(seen, M))]
        ways += [traffic.balanced(load, M, E // M + 1).experts for load in (known, seen)]  # with copies
        ratios.append([traffic.placed(coming, way).imbalance for way in ways])
    rows[name] = torch.tensor(ratios).mean(dim=0)

# %%
columns = ["neighbours", "by French loads", "by the domain's loads", "copies, French loads", "with copies"]
values = torch.stack([*rows.values(), torch.stack([rows[name] for name in choices]).mean(dim=0)])
others = torch.stack([rows[name] for name in choices if name != "french"]).mean(dim=0).tolist()
print(f"mean without French: placed by French loads {others[1]:.2f}, copies by French loads {others[3]:.2f}")
hottest = [float(load_of(layer[8:]).max()) * M / layer[8:].numel() for layer in choices.get("french", mixed)]
print("French, hottest expert over a device's fair share, by layer:", [round(share, 2) for share in hottest])
names = [*rows, "mean of the nine domains"]
plots.table(values, "busiest device over the mean, 4 devices", rows=names, columns=columns, shade=True)

# %% tags=["guess"]
by = dict(zip(columns, values[-1].tolist(), strict=True))
my_guess.beside(neighbours=by["neighbours"], by_load=by["by the domain's loads"], with_copies=by["with copies"])

# %% tags=["holds"]
holds("1.61, 1.55, 1.27, 1.40, 1.09", [round(_x, 2) for _x in values[-1].tolist()] == [1.61, 1.55, 1.27, 1.4, 1.09])
holds("1.57 and 1.44", [round(others[_i], 2) for _i in (1, 3)] == [1.57, 1.44])
holds(
    "one expert above a device's fair share, in two layers",
    [round(_share, 2) for _share in hottest] == [1.42, 0.77, 0.79, 1.73],
)

# %% [markdown]
# **Answer.** 1.61 for neighbours, 1.27 placed by load, and 1.09 with copies.
#
# <!-- answered -->
# **Takeaway: on average, placing by load removes more than half of the waiting, and copies remove most of the rest, if the loads are those of the kind of text that comes.** The columns of French loads are the control. For the other eight kinds of text, experts placed for French are hardly better than neighbours (1.57), and copies of what is hot in French leave 1.44. So engines count loads all the time, and move experts when the texts change.
# <!-- reasoned: 0.27 of 0.61, and 0.09 -->
#
# If texts of all kinds come together, more than half of the waiting is gone before anybody places anything, as the row above the mean shows. Placement matters where one kind of text comes at a time.
# <!-- reasoned: the row of mixed texts -->
#
# Copies cost memory, a fifth slot on each device here. They help where placing cannot: French placed by its own loads stays at 1.42: in two of the four layers one expert alone has 1.4 and 1.7 times a device's fair share, as the cell printed, and no placement of whole experts can mend that.
# <!-- reasoned: the last line printed above the table -->
#
# Balancing can also be learned. DeepSeek-V2 was trained with two more losses of the form that lesson 06 knows, with devices in the place of experts: one for what a device computes, and one for what it receives ([section 2.2.3](https://arxiv.org/abs/2405.04434)).
# <!-- cited: arXiv 2405.04434 -->
#
# ## 13.5 Where to find it in real engines
#
# What you built is small, but its parts have the same places in the programs that train and serve large models.
#
# - **Counts first, then rows, then the way back**: `MoEAlltoAllTokenDispatcher` in [Megatron-LM](https://github.com/NVIDIA/Megatron-LM/blob/main/megatron/core/transformer/moe/token_dispatcher.py), and `_AllToAll` in [DeepSpeed](https://github.com/deepspeedai/DeepSpeed/blob/master/deepspeed/moe/sharded_moe.py).
# - **Sending once per node, with one byte per number**: [DeepEP](https://github.com/deepseek-ai/DeepEP), DeepSeek's own communication library.
# - **Placement and copies by load**: [EPLB](https://github.com/deepseek-ai/EPLB), which [vLLM](https://github.com/vllm-project/vllm/tree/main/vllm/distributed/eplb) runs while it serves.
#
# One sentence of the articles is about all this.
#
# **Predict** its verdict: true, true with conditions, misleading, false or unknown.

# %% tags=["diagram"]
claims(lesson=13)

# %% [markdown]
# **Answer.** True with conditions. With the experts on several devices, a mixture sends its tokens out and back, where a dense model whose layers fit on one device sends none. Beside a dense layer that is cut over as many devices it sends less, as 13.0 counted.
# <!-- reasoned: 13.0, 14 vectors per token against twice 1.69 -->
#
# ## Take it with you
#
# `python -m moe_lite.lessons.parallel --processes 4` starts four processes on your machine, gives each two of eight experts, and compares loss and gradients with one process: for equal parts, for unequal ones (one process gets nothing), and with a capacity.
#
# ## Now you know
#
# - Experts stay and tokens travel: out to their experts and back, in every sparse layer. First the counts are exchanged, then the rows.
# - Expert parallelism computes what one process computes, up to rounding. If gradients are scaled wrongly, AdamW can hide it, and a comparison with one process finds it.
#   <!-- reasoned: 13.1 and 13.2 hold it -->
# - The slow connections decide: with random choices, a limit on nodes saves a quarter of what crosses them, if each vector is sent to a node once.
#   <!-- reasoned: 13.3 holds it -->
# - Everybody waits for the busiest device. Mixing texts helps, and placing by load does if the load is that of the texts that come.
#   <!-- reasoned: 13.4 holds it -->
#
# This was the last lesson of part 4. The next part changes the experts themselves: it adds some, splits some, and takes some away.
# <!-- reasoned: it says what the next lesson does -->
#
# <!-- next -->
