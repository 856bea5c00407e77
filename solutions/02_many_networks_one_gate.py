# %% [markdown]
# # 02 · Many small networks, one gate
# *Part 1 — A model that uses a part of itself · about 60 minutes · three exercises and one stretch*
#
# **Can several small networks share a problem?**
#
# The idea is older than most of its users and fits on a page: a handful of small networks, and a gate that looks at each input and says
# how much each of them counts. Nothing is sparse yet. But who learns what, and whether an expert can be left alone with its part, is
# decided here, by the loss. You write the gate and that loss, and then train with them.
#
# **Builds on** a first neural network in PyTorch and softmax; [lesson 00](00_start_here.ipynb) shows how checks, hints and widgets
# work. In shape comments, N is inputs, D their width, E experts. The paper is *Adaptive mixtures of local experts*
# ([Jacobs, Jordan, Nowlan and Hinton 1991](https://doi.org/10.1162/neco.1991.3.1.79)).

# %% tags=["setup"]
from functools import cache

import torch

from moe_lite import claims, metrics, mixture, model_diagram, plots, train
from moe_lite.checks import lesson02 as check, mine
from moe_lite.widgets import ExpertPartition

# %% tags=["diagram"]
model_diagram(today=2)

# %% [markdown]
# ## 2.0 One network, two jobs
#
# Here is a problem with two halves. Left of zero the targets lie on a falling line; right of it, on a wave. A network with three hidden
# units is asked to learn both.
#
# **Predict:** which half will it get right, and what does it do where they meet?

# %% tags=["figure"]
steps = train.budgeted(ci=60, normal=600, long=600)
single = ExpertPartition(n_experts=1, steps=steps)
await single.start().done()
single.picture()

# %% [markdown]
# The line fits, the wave is smeared, and the jump at zero has become a slope. Three units have to do for all of it, and each of them is
# pulled at by both halves. To see that pull in numbers, teach the halves one after the other: first the left, then the right, and look
# at what is left of the left. The error is the root of the mean square, on points that training never saw; the noise in the data is
# 0.05, so nothing can do better than that.
#
# **Predict:** after the right half has been taught, is the left one forgotten a little, or altogether? Does a network four times as wide
# forget less?

# %%
problem = mixture.line_and_wave(noise=0.05)
(left, right), (unseen_left, _) = problem.halves(), mixture.line_and_wave(1024, seed=1).halves()


def left_errors(hidden, seed, n_experts=1):
    """The error on the left half after: the left alone; then the right as well; both at once."""
    network, other = (mixture.Mixture(1, n_experts, hidden, seed=seed) for _ in range(2))
    taught = [mixture.trained(network, part, steps=steps)(unseen_left.x).y for part in (left, right)]
    taught.append(mixture.trained(other, problem, steps=steps)(unseen_left.x).y)
    return [unseen_left.error(y) for y in taught]


# %%
errors = torch.tensor([[left_errors(hidden, seed) for seed in range(4)] for hidden in (3, 12)])  # (2, seeds, 3)
plots.table(
    torch.cat([errors.amin(dim=1), errors.amax(dim=1)]),
    "error on the left half, best and worst of 4 random starts",
    rows=["3 units, best", "12 units, best", "3 units, worst", "12 units, worst"],
    columns=["the left alone", "then the right", "both at once"],
)

# %% [markdown]
# Taught one after the other, the left half is gone: even at best the error is more than ten times what it was. A wider network forgets as
# well. Taught both at once it can do both, but not the left as well as alone. That is **interference**: every weight serves both
# halves, so whatever helps one moves the other.
#
# The paper's remedy: several networks, so that each can keep to its part, and a **gate** that knows which part it is looking at. From here
# on such a network is called an **expert**.
#
# ## 2.1 A gate that reads the input
#
# The gate is one matrix and a bias. It turns an input into a logit for each expert, and softmax turns those into shares that sum to 1:
# the **gates**. All experts answer; the gates say how much each answer counts. The sum is the **blend**.
#
# **By hand:** two experts, gate weights 2 and −2, no bias. Expert 0 always answers 10, expert 1 always 0. What are the gates at x = 0,
# and about what is the blend at x = 1, where the logits are 2 and −2? (e to the fourth is about 55.)

# %%
x = torch.tensor([[-1.0], [0.0], [1.0], [50.0]])  # (N, D)
w_gate, b_gate = torch.tensor([[2.0], [-2.0]]), torch.zeros(2)  # (E, D), (E,)
outputs = torch.tensor([10.0, 0.0]).expand(4, 2)  # (N, E)
gates = (x @ w_gate.T + b_gate).softmax(dim=-1)  # (N, E)
names = [f"x = {value:g}" for value in x[:, 0].tolist()]
plots.table(gates, "gates", rows=names, right=("blend", (gates * outputs).sum(dim=-1)))

# %% [markdown]
# At 0 half and half, so the blend is 5. At 1 the shares are 55 to 1. At 50 expert 1 gets 0, and that is a lie: its share is e to the
# power of −200, which float32 cannot hold. A share of 0 is also a trap: its logarithm is −∞, its slope is gone, and the expert can never
# come back. Losses need the *logarithm* of the gates, which is the harmless number −200. So that is what the gate hands on:

# %%
print("log of the gates   ", gates[3].log().tolist())
print("log_softmax instead", (x @ w_gate.T + b_gate)[3].log_softmax(dim=-1).tolist())

# %% [markdown] tags=["exercise"]
# ### Exercise 2.1 — a soft gate
# *8 minutes · core · about 2 lines*
#
# **Given** `x` (N, D), `w_gate` (E, D), `b_gate` (E,) and the experts' answers `outputs` (N, E). **Return** `log_gates` (N, E), the
# natural logarithms of the gates, finite also where a gate is too small for float32, and `y` (N,), the blend. The gate's logits are
# x · w + b for each expert, its shares are their softmax over the experts.
# **Allowed:** matrix products, `log_softmax`, `exp`, sums.
#
# <!-- hints 2.1 -->


# %% tags=["stub"]
def soft_gate(
    x: torch.Tensor, w_gate: torch.Tensor, b_gate: torch.Tensor, outputs: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """How much each expert counts for each input, as logarithms, and their answers blended.

    x (N, D), w_gate (E, D), b_gate (E,), outputs (N, E) -> log_gates (N, E), y (N,)
    """
    ### BEGIN SOLUTION
    log_gates = (x @ w_gate.T + b_gate).log_softmax(dim=-1)  # (N, E)
    return log_gates, (log_gates.exp() * outputs).sum(dim=-1)  # (N, E), (N,)
    ### END SOLUTION


# %% tags=["check"]
check.soft_gate(soft_gate)

# %% [markdown]
# ## 2.2 Two ways to be wrong
#
# A mixture can be blamed in two ways. The **cooperative** loss looks at the blend: ½(t − y)²/σ² for the target t. The **competitive** loss
# asks each expert for itself: how near is *your* answer o to the target, measured by exp(−½(t − o)²/σ²)? That is 1 for a hit and falls to
# 0 within a few σ. The fits are weighed by the gates and summed, and the loss is −log of the sum.
#
# **By hand:** the target is 1, both gates are ½, σ is 1. First the experts say 0 and 2, then they say 1 and 5. What does each loss say
# of the first pair? And in the second pair, in which direction will the cooperative loss push the expert that is *right*?

# %%
answers = torch.tensor([[0.0, 2.0], [1.0, 5.0]], requires_grad=True)  # (N, E)
log_gates, targets = torch.full((2, 2), 0.5).log(), torch.ones(2)  # (N, E), (N,)
fit = (-0.5 * (targets[:, None] - answers) ** 2).exp()  # (N, E)
losses = {
    "cooperative": 0.5 * (targets - (0.5 * answers).sum(dim=-1)) ** 2,  # (N,)
    "competitive": -(0.5 * fit).sum(dim=-1).log(),  # (N,)
}
pushes = [-torch.autograd.grad(loss.sum(), answers)[0] for loss in losses.values()]  # (N, E) each

# %%
columns = ["loss", "push on expert 0", "push on expert 1"]
table = torch.cat([torch.cat([loss[:, None], push], 1) for loss, push in zip(losses.values(), pushes, strict=True)])
rows = [f"{name}, answers {pair}" for name in losses for pair in ("0 and 2", "1 and 5")]
plots.table(table.detach(), "target 1: the losses, and where they push each answer", rows=rows, columns=columns)

# %% [markdown]
# The cooperative loss has nothing to say about 0 and 2: the errors cancel, the blend is right, everybody may stay. For 1 and 5 it pushes
# both down, also the one that is right, because only the sum counts. Experts that are trained so become **partners who correct each
# other's mistakes**. The competitive loss pushes every answer towards the target. And in the second pair it leaves expert 0 in peace and
# hardly touches expert 1: a case that one expert handles is no concern of the others.
#
# One expert alone has no partner, so with E = 1 the two losses are the same number.

# %% [markdown] tags=["exercise"]
# ### Exercise 2.2 — the competitive loss
# *12 minutes · core · about 3 lines*
#
# **Given** `log_gates` (N, E), `outputs` (N, E), `targets` (N,) and `sigma`, a number above 0. **Return** `loss` (), the mean over the N
# inputs of −log Σ g · exp(−½(t − o)²/σ²), where the sum runs over the experts and g is the exponential of `log_gates`. It must stay
# finite for targets thousands of σ away from every answer, and for gates too small for float32.
# **Allowed:** arithmetic, `logsumexp`, means.
#
# <!-- hints 2.2 -->


# %% tags=["stub"]
def mixture_nll(log_gates: torch.Tensor, outputs: torch.Tensor, targets: torch.Tensor, sigma: float) -> torch.Tensor:
    """How badly the experts, each for itself, explain the targets: mean of −log Σ g exp(−½(t − o)²/σ²).

    log_gates (N, E), outputs (N, E), targets (N,) -> loss ()
    """
    ### BEGIN SOLUTION
    gap = (targets[:, None] - outputs) / sigma  # (N, E)
    return -(log_gates - 0.5 * gap**2).logsumexp(dim=-1).mean()
    ### END SOLUTION


# %% tags=["check"]
check.mixture_nll(mixture_nll)

# %% [markdown]
# ## 2.3 Whose case was it?
#
# Before the target is known, the gates are the best guess at who should answer. Once it is known, the guess can be corrected: the terms of
# the sum, g · exp(…), say how much of the explanation each expert gave. Divided by their sum they are the **responsibilities** h.
#
# **By hand:** two experts with equal gates say 0 and 2; the target is 2, σ is 1. The fits are exp(−2), about a seventh, and 1. What are the
# responsibilities? And if the gates were 0.99 and 0.01?

# %%
answers = torch.tensor([[0.0, 2.0], [0.0, 2.0]], requires_grad=True)  # (N, E)
log_gates = torch.tensor([[0.5, 0.5], [0.99, 0.01]]).log().requires_grad_()  # (N, E)
term = log_gates.exp() * (-0.5 * (2 - answers) ** 2).exp()  # (N, E)
h = term / term.sum(dim=-1, keepdim=True)  # (N, E)
names = ["equal gates", "0.99 and 0.01"]
plots.table(h.detach(), "responsibilities for the target 2", rows=names)

# %% [markdown]
# With equal gates 12 % and 88 %. With a gate that is nearly sure of the wrong expert, the evidence is not enough to turn the balance: 93 %
# stay with expert 0. The gate will have to learn, and now watch how.
#
# **Predict:** the slope of −log Σ g exp(…) by an expert's answer contains its gap t − o, weighed with something. With what?

# %%
loss = -term.sum(dim=-1).log().sum()
by_answer, by_gate = torch.autograd.grad(loss, [answers, log_gates])  # (N, E), (N, E)
told = torch.cat([-by_answer, h * (2 - answers), -by_gate], dim=1).detach()  # (N, 3 E)
columns = [f"{what} {e}" for what in ("push on answer", "h · gap of", "push on log gate") for e in (0, 1)]
plots.table(told, "what the competitive loss tells experts and gate", rows=names, columns=columns)

# %% [markdown]
# The push on an answer *is* responsibility times gap. An expert learns each case in proportion to h: a case that is not its own does not
# move it, and interference ends there. The gate is pushed by h as well: whoever explained the target gets a larger share next time. (The
# shares of an input sum to 1, so through the softmax a logit is pushed by h − g: up where the gate was too small.) Good experts get more
# of the cases they are good at, and get better at them.

# %% [markdown] tags=["exercise"]
# ### Exercise 2.3 — responsibilities
# *8 minutes · core · about 2 lines*
#
# **Given** `log_gates` (N, E), `outputs` (N, E), `targets` (N,) and `sigma`, as in 2.2. **Return** `h` (N, E), each row summing to 1:
# g · exp(−½(t − o)²/σ²) of each expert, divided by the sum over the experts. No nan, however far the targets are.
# **Allowed:** arithmetic, `softmax`.
#
# <!-- hints 2.3 -->


# %% tags=["stub"]
def responsibilities(
    log_gates: torch.Tensor, outputs: torch.Tensor, targets: torch.Tensor, sigma: float
) -> torch.Tensor:
    """How much of each target each expert explains: its gate, corrected by how well it fits.

    log_gates (N, E), outputs (N, E), targets (N,) -> h (N, E), rows summing to 1
    """
    ### BEGIN SOLUTION
    gap = (targets[:, None] - outputs) / sigma  # (N, E)
    return (log_gates - 0.5 * gap**2).softmax(dim=-1)  # (N, E)
    ### END SOLUTION


# %% tags=["check"]
check.responsibilities(responsibilities)

# %% [markdown]
# ## 2.4 Who gets which part?
#
# Now train: four experts of three units each, on the line and the wave, with your gate, your loss and your responsibilities. Each point is
# coloured by the expert that is most responsible for it; a curve is thick where its expert has the largest gate; the strip below shows the
# gates. You can change the loss, the number of experts and the task; Start again begins from another random start.
#
# **Predict:** the two halves meet at zero. Where will the border between two experts lie? And how many of the four get a part at all?

# %% tags=["widget"]
my_gate = mine("2.1", soft_gate, default=mixture.soft_gate)
my_nll = mine("2.2", mixture_nll, default=mixture.mixture_nll)
my_h = mine("2.3", responsibilities, default=mixture.responsibilities)
partition = ExpertPartition(gate=my_gate, nll=my_nll, responsible=my_h, steps=steps)
await partition.start().done()
partition

# %% [markdown]
# Two experts share the line, and each is alone in its part: where its curve is thick, the black blend lies on it. The other two do nothing.
# But the border is not at zero. One expert took the line *and* the first crest of the wave. **Predict** what the cooperative loss makes
# of the same start: will the thick curves still lie on the data?

# %% tags=["figure"]
await partition.start(loss="cooperative", seed=0).done()
partition.picture()

# %% [markdown]
# The blend is as good, but no expert is: the curves pass beside the data, and only their sum hits it. One random start proves little, so
# here are four. Each mixture is measured twice on unseen points: as a blend, and with the expert of the largest gate answering alone.
#
# **Predict:** which loss gives the better blend? By how much does the error rise when the best expert is alone?

# %%
data = {task: make() for task, make in mixture.PROBLEMS.items()}
unseen = {task: make(1024, seed=1) for task, make in mixture.PROBLEMS.items()}
losses = {"competitive": my_nll, "cooperative": mixture.cooperative_loss}


@cache
def learned(task, loss, seed, sigma=None):
    """Four experts and a gate after training; the same settings give the same network."""
    network = mixture.Mixture(data[task].x.shape[1], 4, seed=seed, gate=my_gate)
    return mixture.trained(network, data[task], loss=losses[loss], sigma=sigma, steps=steps)


# %%
def compared(rows, test, caption):
    """Measures on unseen points for each row's networks, each as its least and its most."""
    found = [[mixture.measure(network, test) for network in networks] for networks in rows.values()]
    found = torch.tensor([[(m.error, m.alone, m.listened) for m in measures] for measures in found])  # (R, starts, 3)
    values = torch.stack([found.amin(dim=1), found.amax(dim=1)], dim=2).flatten(1)  # (R, 6)
    names = ["blend", "best expert alone", "experts listened to"]
    columns = [f"{name}, {end}" for name in names for end in ("least", "most")]
    return plots.table(values, caption, rows=[*rows], columns=columns)


four = {loss: [learned("1-D", loss, seed) for seed in range(4)] for loss in losses}
compared(four, unseen["1-D"], "line and wave: error on unseen points, and experts heard; 4 random starts")

# %% [markdown]
# The textbook's story is that competition learns *better*. Here it does not: within the spread of the starts the blends are equal. What
# differs is the second pair of columns. A competitive expert can be left alone with its part, at next to no cost. A cooperative one
# cannot: the error nearly doubles at best and grows more than tenfold at worst, because the others are not there to correct it.
#
# And the borders? They are where the largest gate changes hands.

# %%
grid = torch.linspace(-1, 1, 401)[:, None]  # (G, 1)
for seed, network in enumerate(four["competitive"]):
    best = network(grid).log_gates.argmax(dim=-1)  # (G,)
    print(f"start {seed}: border at x =", *(f"{x:.2f}" for x in grid[1:, 0][best.diff() != 0].tolist()))

# %% [markdown]
# In none of them at zero. We see two halves because we wrote them; the networks divide the work where it suits *them*. (The jump is no
# reason for a border: one tanh unit with a large weight draws it.) Keep this for lesson 08, which looks for "the Python expert" in a
# language model.
#
# ## 2.5 On a plane
#
# The same with two inputs and two classes, whose targets are +1 and −1; the blend's sign is the class. On the left +1 lies above a slope, on
# the right inside a disc. The small squares show what each expert would say if it were asked everywhere, and frame the part in which
# it is.
#
# **Predict:** what will an expert say *outside* its frame? Is it right there?

# %% tags=["figure"]
await partition.start(task="2-D", loss="competitive", seed=0).done()
partition.picture()

# %% [markdown]
# Outside its frame an expert says whatever follows from its part: a slope goes on for ever, and nobody minds, because nobody asks. The border
# of the blend is made of pieces, each the work of one expert. Again in numbers, over four starts:

# %%
four_2d = {loss: [learned("2-D", loss, seed) for seed in range(4)] for loss in losses}
compared(four_2d, unseen["2-D"], "slope and disc: error on unseen points, and experts heard; 4 random starts")

# %% [markdown]
# The same pattern, a little stronger: the cooperative blends are somewhat better, and their experts alone are off by 0.62 at best and 1.65
# at worst. Always answering 0 would be off by 1.
#
# One promise is still open. **Predict:** teach the mixture the left half and then the right, as in 2.0. Has the gate cured forgetting?

# %%
errors = torch.tensor([left_errors(3, seed, n_experts=4) for seed in range(4)])  # (seeds, 3)
plots.table(
    torch.stack([errors.amin(dim=0), errors.amax(dim=0)]),
    "4 experts, competitive: error on the left half",
    rows=["best of 4 starts", "worst"],
    columns=["the left alone", "then the right", "both at once"],
)

# %% [markdown]
# It has not. While only the right half is shown, the gate learns that the expert at hand is the right one *everywhere*, and that expert
# is retrained. A mixture divides what it sees together. What comes later is a different problem.
#
# ## 2.6 What it costs
#
# A soft gate gives every expert a share above zero, so every expert has to be computed for every input. If an input needs one expert
# only, the rest is work for nothing. `only_best` asks the gate first and then one expert.
#
# **Predict:** from 1 expert to 8, how does the work for an input grow, softly and with the best alone?

# %%
x, counts = torch.zeros(1, 2), {"all, blended": [], "the best alone": []}
for n_experts in (1, 2, 4, 8):
    network = mixture.Mixture(2, n_experts)
    for name, work in zip(counts, (network, network.only_best), strict=True):
        counts[name].append(metrics.counted_flops(lambda work=work: work(x)))
columns = ["1 expert", "2 experts", "4 experts", "8 experts"]
plots.table(torch.tensor([*counts.values()]), "FLOPs for one input", rows=[*counts], columns=columns)

# %% [markdown]
# Blending costs eight times as much for eight experts. Asking one costs an expert, whatever their number, and the gate, which is small. The
# table of 2.4 said who may do that: experts that were trained to stand alone. That is the road to the sparse layers of today: keep
# the gate, compute only the top few. Lesson 03 takes it.
#
# ## 2.7 Is it an ensemble?
#
# An **ensemble** is several networks, each trained by itself on the whole problem, whose answers are averaged. It has no gate and no common
# loss. Between it and a mixture lie two steps, and each can be taken alone: let a gate learn, and train the networks together.
#
# With `apart` below each expert is compared with the target, without regard to gates; as no weight is shared, that is training four
# networks separately. `learn` says which parts may change. The first five designs begin from the same four networks; the last is a single
# network with as many parameters as four networks and a gate. (Where there is no gate, its share of the parameters stays unused.)
#
# **Predict:** which of the two steps brings more?


# %%
def apart(log_gates, outputs, targets, sigma):
    """Every expert by itself on everything: an ensemble's loss."""
    return (0.5 * ((targets[:, None] - outputs) / sigma) ** 2).sum(dim=-1).mean()


def designs(task, seed):
    """Error on unseen points of networks of one size, trained in six ways."""
    given, test = data[task], unseen[task]
    width = given.x.shape[1]
    ensemble = mixture.trained(mixture.Mixture(width, 4, seed=seed).learn(gate=False), given, loss=apart, steps=steps)
    errors = [test.error(ensemble(test.x).y)]
    gated = mixture.trained(ensemble.learn(experts=False), given, steps=steps)
    together = mixture.Mixture(width, 4, seed=seed).learn(gate=False)
    mixture.trained(together, given, loss=mixture.cooperative_loss, steps=steps)
    single = mixture.trained(mixture.Mixture(width, 1, 15, seed=seed), given, steps=steps)
    networks = (gated, together, *(learned(task, loss, seed) for loss in losses), single)
    return errors + [test.error(network(test.x).y) for network in networks]


# %%
found = [torch.tensor([designs(task, seed) for seed in range(4)]) for task in data]  # (starts, 6) each
values = torch.cat([torch.stack([f.amin(dim=0), f.amax(dim=0)], dim=1) for f in found], dim=1)  # (6, 4)
names = ["ensemble: apart, averaged", "apart, then a gate", "together, averaged"]
names += ["mixture, competitive", "mixture, cooperative", "one network of 15 units"]
columns = ["line and wave, best", "worst", "slope and disc, best", "worst"]
plots.table(values, "error on unseen points, best and worst of 4 random starts", rows=names, columns=columns)

# %% [markdown]
# The ensemble is worst on both problems: four networks that all tried everything share mistakes, and averaging cannot remove what they
# share. A gate added afterwards closes the gap on the line and hardly on the plane: it can only choose among networks of which none is
# a specialist. Training together closes it on both, even when the answers are merely averaged. So a mixture is no ensemble, and what makes the
# difference to the error is the common training; that the learned gate adds to it, four starts do not show.
#
# The last row is the sober one: a single network with as many parameters does as well as any mixture. At this size a mixture is no
# better way to spend parameters. What it has and the others lack is a *division*: with the competitive loss, an input needs one expert of
# four.

# %% [markdown]
# ## 2.8 Pulls by hand (stretch)
#
# In 2.2 autograd found where the losses push. Both have a short formula, and it says more than the numbers do. Call minus the slope of an
# input's own loss by an expert's answer its **pull**.
#
# **By hand:** the cooperative loss of one input is ½(t − y)²/σ² with y = Σ g o. If one answer grows by 1, by how much does y grow?

# %%
gates = torch.tensor([0.2, 0.8])  # (E,)
for moved in ([3.0, 1.0], [4.0, 1.0], [3.0, 2.0]):
    print("answers", moved, " blend", round((gates * torch.tensor(moved)).sum().item(), 2))

# %% [markdown] tags=["exercise"]
# ### Exercise 2.4 — both pulls
# *12 minutes · stretch · about 4 lines*
#
# **Given** `log_gates` (N, E), `outputs` (N, E), `targets` (N,) and `sigma`. **Return** two tensors: `cooperative` (N, E), for each input
# minus the slope of ½(t − y)²/σ² by each answer, and `competitive` (N, E), minus the slope of −log Σ g · exp(−½(t − o)²/σ²). No mean is
# taken over the inputs.
# **Allowed:** arithmetic, `exp`, `softmax`, sums. (Not `autograd`: the formulas are what you are after.)
#
# <!-- hints 2.4 -->


# %% tags=["stub"]
def pulls(
    log_gates: torch.Tensor, outputs: torch.Tensor, targets: torch.Tensor, sigma: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Where the two losses draw each expert's answer: minus their slopes, input by input.

    log_gates (N, E), outputs (N, E), targets (N,) -> cooperative (N, E), competitive (N, E)
    """
    ### BEGIN SOLUTION
    gates, gap = log_gates.exp(), targets[:, None] - outputs  # (N, E), (N, E)
    h = (log_gates - 0.5 * (gap / sigma) ** 2).softmax(dim=-1)  # (N, E)
    blend_gap = targets[:, None] - (gates * outputs).sum(dim=-1, keepdim=True)  # (N, 1)
    return gates * blend_gap / sigma**2, h * gap / sigma**2  # (N, E), (N, E)
    ### END SOLUTION


# %% tags=["check"]
check.pulls(pulls)

# %% [markdown]
# Gate times the blend's gap; responsibility times one's own gap. With the formulas one can count. **Predict:** in a trained cooperative
# mixture, how often is an answer pulled *away* from its target? And in a competitive one?


# %%
def package_pulls(log_gates, outputs, targets, sigma):
    answers = outputs.clone().requires_grad_()
    losses = [loss(log_gates, answers, targets, sigma) * len(targets) for loss in mixture.LOSSES.values()]
    competitive, cooperative = (-torch.autograd.grad(loss, answers)[0] for loss in losses)
    return cooperative, competitive


# %%
my_pulls = mine("2.4", pulls, default=package_pulls)
test = unseen["1-D"]
for place, name in enumerate(["cooperative", "competitive"]):
    shares = []
    for network in four[name]:
        answer = network(test.x)
        pull = my_pulls(answer.log_gates.detach(), answer.outputs.detach(), test.targets, test.sigma)[place]  # (N, E)
        shares.append((pull * (test.targets[:, None] - answer.outputs) < 0).float().mean().item())
    print(f"{name}: {min(shares):.0%} to {max(shares):.0%} of the pulls lead away from the target")

# %% [markdown]
# Between a third and a half of the cooperative pulls lead away from the target: whether an expert's *own* answer is right is not what it
# is taught. The competitive ones never do; gap and pull have the same sign, because h is positive.
#
# ## 2.9 Broken on purpose: all alike
#
# Where does the division come from? From the random start: an expert that happens to be a little better somewhere gets a larger h there, and
# the rest follows. So take that away. Below, all four experts begin as copies of one.
#
# **Predict:** will they drift apart in the course of the training? What will the error be like?

# %% tags=["broken"]
copies = [mixture.Mixture(1, 4, seed=seed, equal_start=True) for seed in range(4)]
alone = [mixture.Mixture(1, 1, seed=seed) for seed in range(4)]
for network in [*copies, *alone]:
    mixture.trained(network, data["1-D"], loss=my_nll, steps=steps)
rows = {"four equal experts": copies, "one expert": alone, "four different experts": four["competitive"]}
errors = [[test.error(network(test.x).y) for network in networks] for networks in rows.values()]
answers = copies[0](test.x).outputs.detach()  # (N, E)
print("largest difference between two equal experts:", (answers.amax(dim=-1) - answers.amin(dim=-1)).max().item())
columns = [f"start {seed}" for seed in range(4)]
plots.table(torch.tensor(errors), "error on unseen points", rows=[*rows], columns=columns)

# %% [markdown]
# They stay equal to the last bit, and the mixture of four is one network, computed four times. Equal experts have equal fits, so h equals the
# gates and is equal too, and equal pushes keep them equal. Nothing crashes and the loss falls: what gives it away is the difference between
# the experts' answers. Log it.
#
# A gentler way to go wrong is σ, the distance at which an answer still counts as near. **Predict:** what happens with a σ far too small?
# And with one far too large?

# %%
widths = {f"σ = {s:g}": [learned("1-D", "competitive", n, s) for n in range(4)] for s in (0.02, 0.1, 0.5, 20)}
compared(widths, test, "line and wave, competitive: error on unseen points, and experts heard; 4 random starts")

# %% [markdown]
# Too small, and every point belongs wholly to whoever happens to be nearest: experts hold scattered points that no gate can tell apart.
# (At 0.1 the luckiest start has the sharpest specialists of all, close to the noise, and the others pay for it.) Too large does no
# harm here: when all fits are close to 1, the loss comes near to Σ g · ½(t − o)²/σ², and that still compares each expert's own
# answer with the target.
#
# ## 2.10 Your functions at work
#
# Everything you wrote runs below: your gate decides, your loss trains, your responsibilities keep the record. First a comparison: does
# the training with them go the same way as with the package's?

# %%
settings = {"with mine": (my_gate, my_nll, my_h)}
settings["the package's"] = (mixture.soft_gate, mixture.mixture_nll, mixture.responsibilities)
for name, (gate, nll, h) in settings.items():
    logs = [*mixture.train(mixture.Mixture(2, 8, gate=gate), data["2-D"], loss=nll, steps=steps, responsible=h)]
    shares = ", ".join(f"{share:.2f}" for share in logs[-1].claimed.tolist())
    print(f"{name:14} loss {logs[0].loss:.3f} to {logs[-1].loss:.3f}; cases claimed: {shares}")

# %% [markdown]
# **Predict, then move:** with eight experts on the plane, how many will get a region? What changes with the cooperative loss, in the
# small squares? And on the curve, is there any number of experts at which the border comes to lie at zero?

# %% tags=["widget"]
final = ExpertPartition(task="2-D", n_experts=8, gate=my_gate, nll=my_nll, responsible=my_h, steps=steps)
await final.start().done()
final

# %% [markdown]
# Most of the eight have nothing to do. Nobody arranged that: whoever was ahead got the cases, and with the cases the practice. In a large model such idle experts are parameters that are paid for and not used. Lesson 06 is about that.
#
# ## 2.11 What popular articles say
#
# Two sentences about the idea's origin. **Predict** the verdicts.

# %%
claims(lesson=2)

# %% [markdown]
# ## Now you know
#
# - One network with two jobs mixes them up: interference. Taught one after the other, the first is forgotten, with a gate as well.
# - A gate is a matrix, a bias and a softmax; losses need the logarithms of its shares.
# - The cooperative loss judges the blend: experts correct each other and cannot stand alone. The competitive one judges each expert by its
#   own answer, weighed by its responsibility.
# - The experts divide a problem where it suits them, not where we see a border; from equal starts they do not divide it at all.
# - An ensemble has no common loss and no gate. At equal size a mixture was no better than one plain network: its gain is that most of it
#   can be left out.
#
# One expert for each input, chosen by a gate, costs a fraction.
#
# <!-- next -->
