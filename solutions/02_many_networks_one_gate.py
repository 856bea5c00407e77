# %% [markdown]
# # 02 · Many small networks, one gate
# *Part 1 — A model that uses a part of itself · about 95 minutes · three exercises and one stretch*
#
# **Can several small networks share a problem?**

# %% tags=["opening"]
from moe_lite.widgets import ExpertPartition

shared = ExpertPartition(task="2-D", n_experts=3, steps=400)
await shared.start().done()  # a few seconds
shared

# %% [markdown]
# Three small networks have learned together which points are filled and which are open. Each colour is the part of the plane in which one of
# them decides: a *gate* has learned to divide the plane. You will write the gate, and the loss that makes them share. (Section 2.5 explains the rest of the
# picture.)
#
# A mixture of experts rests on two ideas. The first one is old: several small networks answer, and a *gate* looks at each input and decides
# how much each answer counts. The second one came later: compute only the few answers that count most. This lesson is about the first idea,
# so here every network still answers every input. Lesson 03 takes up the second.
#
# If only a few networks answer, each of them has to do without the others. You will see that the *loss* decides whether it can, and in 2.7
# you will see how the models of today go about it. You write the gate and the loss yourself, and then you train with them.
#
# Sections 2.11 to 2.13 are optional. Without them it is about 75 minutes.
#
# **Builds on** a first neural network in PyTorch and softmax; [lesson 00](00_start_here.ipynb) shows how checks, hints and widgets work. In
# shape comments, N is the number of inputs, D their width, E the number of experts. The paper is *Adaptive mixtures of local experts*
# ([Jacobs, Jordan, Nowlan and Hinton 1991](https://doi.org/10.1162/neco.1991.3.1.79)).

# %% tags=["diagram"]
from moe_lite import lesson_header

lesson_header(today=2)

# %% tags=["setup"]
from functools import partial

import torch

from moe_lite import claims, guess, metrics, mixture, plots, train
from moe_lite.checks import lesson02 as check, mine
from moe_lite.widgets import ExpertPartition

# %% [markdown]
# ## 2.0 One network, two jobs
#
# Fine-tune a model on a new task, and it often gets worse at the old one. This is known as *catastrophic forgetting*, and people have
# looked for remedies for decades ([Kirkpatrick and others 2017](https://arxiv.org/abs/1612.00796) is one of them). A tiny network is enough
# to see the cause.
#
# Our problem has two halves. Left of x = 0 the targets lie on a falling line. Right of it they lie on a wave, and at 0 they jump. A network
# with three hidden units is asked to learn both. (`start()` trains in the background, so that a figure can follow the training, and `await`
# with `done()` waits until it is over.)
#
# **Predict:** which half will the network get right? What will its curve do at 0, where the targets jump?

# %% tags=["figure"]
steps = train.budgeted(ci=20, normal=600, long=600)
single = ExpertPartition(n_experts=1, steps=steps)
await single.start().done()
single

# %% tags=["holds", "full"]
_test = mixture.line_and_wave(1024, seed=1)
_x, _y = _test.x[:, 0], single.mixture(_test.x).y.detach()
_gap = (_y - _test.targets).abs()
holds("it gets the line right", _gap[_x < -0.1].mean() < 0.08)
holds("and the first crest", _gap[(_x > 0.1) & (_x < 0.3)].mean() < 0.2)
holds("but not the rest of the wave", _gap[_x > 0.4].mean() > 0.25)
holds("there its curve is flat", _y[_x > 0.4].max() - _y[_x > 0.4].min() < 0.15)
holds("the jump has become a slope", 0.2 < single.mixture(torch.zeros(1, 1)).y.item() + 0.9 < 1.1)

# %% [markdown]
# **Answer.** It gets the line right, and the first crest of the wave. The rest of the wave is lost: there the curve is flat. The jump at 0
# has become a slope.
#
# <!-- answered -->
# Three units have to do all of the work, and both halves pull at each of them. We can measure how strong that pull is. Teach the halves one
# after the other, first the left and then the right, and measure the error on the left half each time. *Error* means the root of the mean
# square, on points that training never saw. The targets contain noise of 0.05, so no network can get below that.
#
# `mixture.trained` changes the network that it is given. Called a second time, it goes on from where the network is.
#
# **Predict:** after the right half has been taught, is the left one forgotten a little, or altogether? Does a network with four times as
# many units forget less?

# %%
problem = mixture.line_and_wave(noise=0.05)
left, right = problem.halves()
unseen_left, _ = mixture.line_and_wave(1024, seed=1).halves()


def left_errors(network, lessons):
    """Train the network on one data set after the other; its error on the left half after each."""
    errors = []
    for data in lessons:
        mixture.trained(network, data, steps=steps)
        errors.append(unseen_left.error(network(unseen_left.x).y))
    return errors


# %%
errors = []
for hidden in (3, 12):
    for seed in range(4):
        in_turn = left_errors(mixture.Mixture(n_inputs=1, n_experts=1, hidden=hidden, seed=seed), [left, right])
        at_once = left_errors(mixture.Mixture(n_inputs=1, n_experts=1, hidden=hidden, seed=seed), [problem])
        errors.append(in_turn + at_once)
errors = torch.tensor(errors).view(2, 4, 3)  # (sizes, starts, 3)
caption = "error on the left half; least and most of 4 random starts"
columns = ["after the left half", "then after the right half", "both halves at once"]
plots.ranges(*errors.aminmax(dim=1), caption, rows=["3 units", "12 units"], columns=columns)

# %% tags=["holds", "full"]
holds("even at best the error is more than ten times what it was", (errors[..., 1] > 10 * errors[..., 0]).all())
holds("at once, worse than the left alone", (errors[..., 2] > 1.3 * errors[..., 0]).all())
holds("at once, it is kept", (errors[..., 2] < 0.4 * errors[..., 1]).all())

# %% [markdown]
# **Answer.** It is forgotten altogether: even in the best start the error is more than ten times what it was. The wider network forgets as
# well: its best start is no better, only its worst one is less bad.
#
# <!-- answered -->
# A network that is taught both halves at once keeps both, but it does the left half less well than one that learned nothing else.
#
# The name for this is **interference**. Every weight serves both halves, so a step that helps one half moves the other.
#
# The remedy that Jacobs and others proposed in 1991 is to use several networks, so that each can keep to its part, and a **gate** that
# knows which part it is looking at. From here on such a network is called an **expert**.
#
# ## 2.1 A gate that reads the input
#
# The gate is a matrix and a bias, nothing more; in the models of today it is called the *router*. For each input it computes a logit per
# expert, and softmax turns the logits into shares that sum to 1: the **gates**. All experts answer, each answer is multiplied by its gate,
# and the sum is the **blend**.
#
# **By hand:** there are two experts. Expert 0 always answers 10, expert 1 always 0. The gate's weights are 2 and −2, without a bias. What
# are the two gates at x = 0? And about what is the blend at x = 1, where the logits are 2 and −2? (e⁴ is about 55.)

# %%
x = torch.tensor([[-1.0], [0.0], [1.0], [50.0]])  # (N, D)
w_gate = torch.tensor([[2.0], [-2.0]], requires_grad=True)  # (E, D)
answers = torch.tensor([10.0, 0.0])  # (E,), the same for every input
logits = x @ w_gate.T  # (N, E)
gates = logits.softmax(dim=-1).detach()  # (N, E)
names = [f"x = {value:g}" for value in x[:, 0].tolist()]
plots.table(gates, "gates", rows=names, right=("blend", (gates * answers).sum(dim=-1)))

# %% [markdown]
# **Answer.** At 0 both gates are ½, so the blend is 5. At 1 the shares are 55 to 1, and the blend is almost 10.
#
# <!-- answered -->
# Now look at x = 50. The table shows 0 for expert 1, but the true share is e to the power of −200, a number that float32 cannot hold.
# Losses need the *logarithm* of the gates, and the logarithm of this share is harmless: −200. So it matters how you get there.
#
# **Predict:** what does the logarithm of that 0 do to the gradient of the gate's weights?

# %%
last = logits[3]  # (E,), at x = 50
for name, log_gates in (("softmax, then log", last.softmax(dim=-1).log()), ("log_softmax", last.log_softmax(dim=-1))):
    (gradient,) = torch.autograd.grad(log_gates.sum(), w_gate, retain_graph=True)
    print(f"{name:17}: log of the gates {log_gates.tolist()}, gradient {gradient.flatten().tolist()}")

# %% [markdown]
# **Answer.** It makes the gradient nan. One such input is enough, because the next step writes that nan into the weights.
#
# <!-- answered -->
# `log_softmax`
# computes the same logarithms without computing the shares first, and nothing goes wrong. So the logarithm is what your gate will return.

# %% [markdown] tags=["exercise"]
# ### Exercise 2.1 — a soft gate
# *8 minutes · core · about 2 lines*
#
# **Given** `x` (N, D), `w_gate` (E, D), `b_gate` (E,) and the experts' answers `outputs` (N, E). **Return** `log_gates` (N, E), the natural
# logarithms of the gates, and `y` (N,), the blend. The gate's logits are x · w + b for each expert, and the gates are their softmax over
# the experts. The logarithms must be finite also where a gate is too small for float32.
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
# ## 2.2 Two ways to score a mixture
#
# A mixture can be right although none of its experts is: one answers 1 too low, the other 1 too high. Whether that is good enough is for
# you to decide, and you decide it with the loss. There are two candidates.
#
# The **cooperative** loss looks at the blend y only. It is ½(t − y)²/σ², where t is the target.
#
# The **competitive** loss looks at each expert's own answer o. First it computes how well that answer *fits*: exp(−½(t − o)²/σ²), which is
# 1 for a hit and near 0 for a miss. Then it multiplies each fit by the expert's gate, sums over the experts, and takes −log of the sum.
#
# The number **σ** (sigma) sets how far off an answer may be and still count as near. You choose it; it is not learned. The table shows the
# fit for three choices. Do not confuse it with the noise in the data. In this lesson σ is 0.5 on the curve and 1 on the plane, unless the
# page says otherwise.

# %%
distance, sigma = torch.tensor([0.0, 0.25, 0.5, 1.0, 2.0]), torch.tensor([0.1, 0.5, 20.0])
fits = (-0.5 * (distance / sigma[:, None]) ** 2).exp()  # (sigmas, distances)
rows = [f"σ = {value:g}" for value in sigma.tolist()]
columns = [f"{value:g} off" for value in distance.tolist()]
plots.table(fits.round(decimals=2), "fit of an answer, by its distance from the target", rows=rows, columns=columns)

# %% tags=["holds"]
holds("with 0.1, a quarter off is a miss", fits[0, 1] < 0.05)
holds("with 20, two off still counts as a hit", fits[2, 4] > 0.99)
holds("what σ is in this lesson", [make().sigma for make in mixture.PROBLEMS.values()] == [0.5, 1.0])

# %% [markdown]
# With σ = 0.1 an answer that is 0.25 off counts as a miss. With σ = 20 an answer that is 2 off still counts as a hit.
#
# **By hand:** the target is 1, both gates are ½, and σ is 1. In a first case the experts say 0 and 2. In a second case they say 1 and 5.
# What is each loss in the first case? And in the second case, in which direction will the cooperative loss push the expert that is *right*?

# %%
answers = torch.tensor([[0.0, 2.0], [1.0, 5.0]], requires_grad=True)  # (N, E), two cases
gates, targets = torch.full((2, 2), 0.5), torch.ones(2)  # (N, E), (N,)
blend = (gates * answers).sum(dim=-1)  # (N,)
cooperative = 0.5 * (targets - blend) ** 2  # (N,)
gap = targets[:, None] - answers  # (N, E): the targets as a column, so that each meets both answers of its row
fit = (-0.5 * gap**2).exp()  # (N, E)
competitive = -(gates * fit).sum(dim=-1).log()  # (N,)


# %%
def with_pushes(losses):
    """The losses (N,), and beside them where gradient descent pushes each answer: minus their slopes. (N, 1 + E)"""
    (slopes,) = torch.autograd.grad(losses.sum(), answers, retain_graph=True)  # (N, E)
    return torch.cat([losses.detach()[:, None], -slopes], dim=1)


scored = torch.cat([with_pushes(cooperative), with_pushes(competitive)])  # (2 N, 1 + E)
rows = [f"{name}, answers {pair}" for name in ("cooperative", "competitive") for pair in ("0 and 2", "1 and 5")]
columns = ["loss", "push on expert 0", "push on expert 1"]
plots.table(scored, "target 1: the losses, and where they push each answer", rows=rows, columns=columns)

# %% tags=["holds"]
holds("cooperative, 0 and 2: nothing to correct", (scored[0] == 0).all())
holds("cooperative, 1 and 5: both are pushed down", (scored[1, 1:] == -1).all())
holds("competitive, 0 and 2: both are pushed towards 1", scored[2, 1] > 0 > scored[2, 2])
holds("competitive, 1 and 5: expert 0 does not move, expert 1 hardly", scored[3, 1] == 0 and -0.01 < scored[3, 2] < 0)

# %% [markdown]
# **Answer.** In the first case the cooperative loss is 0, because the blend is 1. The competitive loss is 0.5: both fits are exp(−½), and
# so is their sum with the gates. In the second case the cooperative loss pushes both answers down, also the one that is right.
#
# <!-- answered -->
# This is the difference that matters. The cooperative loss sees only the sum, so it is content with errors that cancel. Experts trained
# this way become **partners who correct each other's mistakes**. The competitive loss pushes every answer towards the target. In the second
# case it does not move expert 0, and it hardly moves expert 1: expert 0 has explained the target, so there is little left for the other to
# learn from it.
#
# One expert alone has no partner. With E = 1 the two losses are the same number.
# <!-- reasoned: with one expert g = 1 and o = y, and −log exp(−z) = z -->

# %% [markdown] tags=["exercise"]
# ### Exercise 2.2 — the competitive loss
# *12 minutes · core · about 3 lines*
#
# **Given** `log_gates` (N, E), `outputs` (N, E), `targets` (N,) and `sigma`, a number above 0. **Return** `loss` (), the mean over the N
# inputs of −log Σ g · exp(−½(t − o)²/σ²). The sum runs over the experts, and g is the exponential of `log_gates`. The loss must stay finite
# for targets thousands of σ away from every answer, and for gates too small for float32.
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
# ## 2.3 Which expert explained the target?
#
# Why does the competitive loss leave some experts alone? Its gradient contains a number that says which expert a case belongs to. Every
# expert learns from a case in proportion to that number, so it is worth computing.
#
# Before the target is known, the gates are the best guess at who should answer. Once it is known, the guess can be corrected. The terms of
# the sum, g · exp(−½(t − o)²/σ²), say how much each expert contributed to the explanation. Divided by their sum they are the
# **responsibilities** h. They sum to 1, like the gates.
#
# **By hand:** two experts with equal gates say 0 and 2; the target is 2, and σ is 1. The fits are exp(−2), about a seventh, and 1. What are
# the responsibilities? And what are they if the gates are 0.99 and 0.01?

# %%
answers = torch.tensor([[0.0, 2.0], [0.0, 2.0]], requires_grad=True)  # (N, E), twice the same answers
gate_logits = torch.tensor([[0.5, 0.5], [0.99, 0.01]]).log().requires_grad_()  # (N, E)
g = gate_logits.softmax(dim=-1)  # (N, E), the gates
gap = 2 - answers  # (N, E)
term = g * (-0.5 * gap**2).exp()  # (N, E)
h = term / term.sum(dim=-1, keepdim=True)  # (N, E)
names = ["gates 0.5 and 0.5", "gates 0.99 and 0.01"]
plots.table(h.detach(), "responsibilities for the target 2", rows=names)

# %% [markdown]
# **Answer.** With equal gates they are 12 % and 88 %: one seventh to one. With a gate that is nearly sure of the wrong expert, 93 % stay
# with expert 0.
#
# <!-- answered -->
# One case is not enough evidence to tip the balance, so the gate has to learn. The next cell shows how.
#
# **Predict:** the push on an expert's answer contains its gap t − o, multiplied by something. By what? And in which direction is the gate
# pushed in the second row?

# %%
loss = -term.sum(dim=-1).log().sum()
on_answer, on_logit = torch.autograd.grad(-loss, [answers, gate_logits])  # (N, E), (N, E)
told = torch.cat([on_answer, (h * gap).detach(), on_logit, (h - g).detach()], dim=1)  # (N, 4 E)
columns = [f"{what} {e}" for what in ("push on answer", "h · gap,", "push on gate logit", "h − g,") for e in (0, 1)]
plots.table(told, "how the competitive loss pushes experts and gate", rows=names, columns=columns)

# %% tags=["holds"]
holds("the push on an answer is h times gap", torch.allclose(on_answer, (h * gap).detach(), atol=1e-6))
holds("the push on a logit is h − g", torch.allclose(on_logit, (h - g).detach(), atol=1e-6))
holds("towards the expert that was right", (on_logit[:, 1] > 0).all() and (on_logit[:, 0] < 0).all())

# %% [markdown]
# **Answer.** The push on an answer is responsibility times gap. The push on a gate's logit is h − g: it rises for an expert that fits the
# target better than its gate predicted. So the gate learns to trust expert 1, in both rows.
#
# <!-- answered -->
# Now you can say why experts can end interference. An expert learns from each case in proportion to its h. A case that is another expert's has an h
# near 0 and does not move it. And there is a feedback: an expert that explains a case gets a larger gate for it, then a larger h, and so it
# gets better at this kind of case. <!-- reasoned: both pushes are in the table above -->

# %% [markdown] tags=["exercise"]
# ### Exercise 2.3 — responsibilities
# *8 minutes · core · about 2 lines*
#
# **Given** `log_gates` (N, E), `outputs` (N, E), `targets` (N,) and `sigma`, as in 2.2. **Return** `h` (N, E), each row summing to 1: g ·
# exp(−½(t − o)²/σ²) of each expert, divided by the sum over the experts. There must be no nan, however far the targets are; and gradients
# flow through `h` to `log_gates` and `outputs`, so detach nothing.
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
# Nobody tells the experts how to divide the problem. Do they find the two halves by themselves? Before you look, two terms. The **top
# expert** of an input is the one with its largest gate. The **effective number of experts** says how many experts an input really uses: it
# is 1 if one gate has everything, and E if all gates are equal. (It is the exponential of the gates' entropy.) Four examples:

# %%
gates = torch.tensor([[1.0, 0, 0, 0], [0.9, 0.1, 0, 0], [0.5, 0.5, 0, 0], [0.25, 0.25, 0.25, 0.25]])  # (N, E)
effective = torch.special.entr(gates).sum(dim=-1).exp()  # (N,); entr(g) = −g · log g
plots.table(gates, "gates", rows=[f"example {i}" for i in range(4)], right=("effective experts", effective))

# %% [markdown]
# Now train four experts of three units each, with your gate, your loss and your responsibilities. In the figure each point has the colour
# of the expert that is most responsible for it. An expert's curve is thick where it is the top expert. The strip below shows the gates. You
# can change the loss, the number of experts and the task; *Start again* begins from another random start.
#
# **Predict:** the two halves meet at 0. Where will the border between two top experts lie? And how many of the four get a part at all?

# %% tags=["guess"]
my_guess = guess("2.4", first_border_at_x=None, experts_with_a_part=None)  # numbers in place of None

# %% tags=["widget"]
my_gate = mine("2.1", soft_gate, default=mixture.soft_gate)
my_nll = mine("2.2", mixture_nll, default=mixture.mixture_nll)
my_h = mine("2.3", responsibilities, default=mixture.responsibilities)
partition = ExpertPartition(gate=my_gate, nll=my_nll, responsible=my_h, steps=steps)
await partition.start().done()
learned = partition.mixture
partition

# %% tags=["guess"]
grid = torch.linspace(-1, 1, 401)[:, None]  # (401, 1)
top = learned(grid).log_gates.argmax(dim=-1)  # (401,) the expert with the largest gate
borders = grid[1:, 0][top.diff() != 0].tolist()
my_guess.beside(first_border_at_x=borders[0] if borders else 1.0, experts_with_a_part=len(top.unique()))

# %% tags=["holds", "full"]
_test = mixture.line_and_wave(1024, seed=1)
_found = mixture.measure(partition.mixture, _test)
_grid = torch.linspace(-1, 1, 401)[:, None]
_top = partition.mixture(_grid).log_gates.argmax(dim=-1)
_at = _grid[1:, 0][_top.diff() != 0]
holds("two experts divide the x axis, one border", _found.used == 2 and len(_at) == 1 and len(_top.unique()) == 2)
holds("the border is right of the first crest", 0.3 < _at.item() < 0.8)
_near = (_test.x[:, 0] - _at).abs() > 0.1
_y, _alone = partition.mixture(_test.x).y.detach(), partition.mixture.only_top(_test.x).detach()
holds("where its curve is thick, the blend lies on it", (_y - _alone)[_near].square().mean().sqrt() < 0.1)

# %% [markdown]
# **Answer.** Two experts divide the x axis, and the other two get no part. The border is not at 0: one expert has the whole left half *and*
# the first crest of the wave, the other has the rest. Where a curve is thick, the blend (the strong line) lies on it, except close to the border. So
# the top expert could answer alone.
#
# **Predict** what the cooperative loss makes of the same random start. Will the thick curves still lie on the data?

# %% tags=["figure"]
partners = ExpertPartition(loss="cooperative", gate=my_gate, nll=my_nll, responsible=my_h, steps=steps)
await partners.start().done()
partners

# %% tags=["holds", "full"]
_test = mixture.line_and_wave(1024, seed=1)
_x = _test.x[:, 0]
_alone = (partners.mixture.only_top(_test.x).detach() - _test.targets).abs()
_blend = (partners.mixture(_test.x).y.detach() - _test.targets).abs()
holds("on the left they do", _alone[_x < -0.3].mean() < 0.1)
holds("around 0 and on the first crest the top expert is off", _alone[(_x > 0.0) & (_x < 0.5)].mean() > 0.2)
holds("there the blend is right", _blend[(_x > 0.1) & (_x < 0.5)].mean() < 0.15)

# %% [markdown]
# **Answer.** On the left they do. Around 0, on the first crest, and most of all beside the border in the right half they do not: the thick
# curve misses the data there, and the blend is right only because the other experts correct it.
#
# <!-- answered -->
# One random start proves little. So here are four, each measured on unseen points. A bar goes from the least to the most of the four
# starts. "Of the top expert alone" is the error if each input asks its top expert and no other.
#
# **Predict:** which loss gives the better blend? By how much does the error rise when the top expert is alone?

# %%
data = {task: make() for task, make in mixture.PROBLEMS.items()}
unseen = {task: make(1024, seed=1) for task, make in mixture.PROBLEMS.items()}


def four_starts(task, loss, sigma=None):
    """Four experts and a gate, trained from each of four random starts."""
    n_inputs = data[task].x.shape[1]
    networks = [mixture.Mixture(n_inputs, n_experts=4, seed=seed, gate=my_gate) for seed in range(4)]
    return [mixture.trained(network, data[task], loss=loss, sigma=sigma, steps=steps) for network in networks]


# %%
losses = {"competitive": my_nll, "cooperative": mixture.cooperative_loss}
curve = {name: four_starts("1-D", loss) for name, loss in losses.items()}
least, most = mixture.ranges(curve, unseen["1-D"])  # (losses, 3), (losses, 3)
caption = "line and wave: error on unseen points; least and most of 4 random starts"
plots.ranges(least, most, caption, rows=[*curve], columns=mixture.MEASURED)

# %% tags=["holds", "full"]
_found = {name: [mixture.measure(n, unseen["1-D"]) for n in networks] for name, networks in curve.items()}
_rise = {name: [m.alone / m.error for m in found] for name, found in _found.items()}
holds("the ranges of the blends overlap", least[:, 0].max() < most[:, 0].min())
holds("competitive: within a twentieth", max(_rise["competitive"]) < 1.05)
holds("cooperative: more than half as much again in every start", min(_rise["cooperative"]) > 1.5)
holds("in one start more than ten times", max(_rise["cooperative"]) > 10)
holds("competitive mixtures use fewer effective experts", most[0, 2] < least[1, 2])

# %% [markdown]
# **Answer.** The blends are equally good: their ranges overlap. The difference is in the second panel. A competitive top expert can be
# left alone: in every start its error is within a twentieth of the blend's. A cooperative one cannot: in every start its error is more than half above the
# blend's, and in one start more than ten times the blend's.
#
# <!-- answered -->
# You may read that competition makes the mixture learn *better*. In these four starts it does not. What it gives you is experts that can
# stand alone. The third panel agrees: with the competitive loss an input uses fewer effective experts.
#
# And where are the borders in the four competitive mixtures? They are where the top expert changes.

# %%
grid = torch.linspace(-1, 1, 401)[:, None]  # (G, 1)
for seed, network in enumerate(curve["competitive"]):
    top = network(grid).log_gates.argmax(dim=-1)  # (G,)
    borders = grid[1:, 0][top[1:] != top[:-1]].tolist()
    print(f"start {seed}: border at x =", ", ".join(f"{x:.2f}" for x in borders))

# %% tags=["holds", "full"]
_tops = [network(grid).log_gates.argmax(dim=-1) for network in curve["competitive"]]
holds("in none at zero", all(not (top[190:211].diff() != 0).any() for top in _tops))
holds("every start has a border", all(len(top.unique()) > 1 for top in _tops))

# %% [markdown]
# In none of the four starts is there a border at 0. We see two halves because we wrote two formulas. The networks divide the work where it
# suits *them*, and the jump at 0 is no reason for a border: a single tanh unit with a large weight can draw it.
#
# This matters far beyond our toy. People look into large models for "the Python expert" or "the maths expert", that is, for a division that
# makes sense to *us*. Nothing in the training asks for one. Lesson 08 checks what is there.
#
# ## 2.5 On a plane
#
# One input and a curve could be a special case. So here is a second problem, with two inputs and two classes. The targets are +1 and −1,
# and the blend's sign is the class. In the left half +1 lies above a slope; in the right half it lies inside a disc. The small squares show
# what each expert would answer if it were asked everywhere. The outline in a square bounds the part where that expert is the top expert.
#
# **Predict:** what will an expert answer *outside* its outline? Is it right there?

# %% tags=["figure"]
on_a_plane = ExpertPartition(task="2-D", gate=my_gate, nll=my_nll, responsible=my_h, steps=steps)
await on_a_plane.start().done()
on_a_plane

# %% tags=["holds", "full"]
_plane = mixture.slope_and_disc(1024, seed=1)
_says = on_a_plane.mixture(_plane.x)
_right = (_says.outputs > 0) == (_plane.targets > 0)[:, None]
_asked = torch.nn.functional.one_hot(_says.log_gates.argmax(dim=-1), 4).bool()
_used = _asked.float().mean(dim=0) > 0.02
_inside = torch.stack([_right[_asked[:, e], e].float().mean() for e in range(4) if _used[e]])
_outside = torch.stack([_right[~_asked[:, e], e].float().mean() for e in range(4) if _used[e]])
holds("three experts have a part", _used.sum() == 3)
holds("outside, each is wrong more than three times as often as inside", (1 - _outside > 3 * (1 - _inside)).all())

# %% [markdown]
# **Answer.** Outside its outline an expert answers whatever follows from its own part: a slope, for example, goes on to the edge. It is wrong
# there more than three times as often as inside. This costs nothing, because its gate is small there. The border of the blend is made of pieces,
# and each piece is the work of one expert.
#
# <!-- answered -->
# Does the comparison of the two losses come out as it did on the curve? Again four starts:

# %%
plane = {name: four_starts("2-D", loss) for name, loss in losses.items()}
least, most = mixture.ranges(plane, unseen["2-D"])  # (losses, 3), (losses, 3)
caption = "slope and disc: error on unseen points; least and most of 4 random starts"
plots.ranges(least, most, caption, rows=[*plane], columns=mixture.MEASURED)

# %% tags=["holds", "full"]
_found = {name: [mixture.measure(n, unseen["2-D"]) for n in networks] for name, networks in plane.items()}
_rise = {name: [m.alone / m.error for m in found] for name, found in _found.items()}
holds("competitive: within a twentieth", max(_rise["competitive"]) < 1.05)
holds("cooperative: more than 1.4 times in every start", min(_rise["cooperative"]) > 1.4)
holds("less than on the curve at worst", max(_rise["cooperative"]) < 8)
holds("the ranges of the blends overlap", least[:, 0].max() < most[:, 0].min())
holds("in some start worse than always 0", sum(m.alone > 1 for m in _found["cooperative"]) >= 1)

# %% [markdown]
# The pattern is the same. In every start the competitive top expert alone is within a twentieth of its blend. The cooperative one is much
# worse in every start, though less so than in the worst start on the curve. Its largest error is above 1, which is what answering 0
# everywhere would give. The blends' ranges overlap once more, so four starts show no price for standing alone.
#
# ## 2.6 Does a gate cure forgetting?
#
# The lesson began with forgetting, and experts that keep to their part should help. In practice you may hope for the same: the new task
# goes to other experts, and the old ones stay as they are.
#
# To see which part of the mixture forgets, the next cell also mixes old and new. It keeps the answers and the gates from before the right
# half was taught, and combines the old answers with the new gates, and the new answers with the old gates.
#
# **Predict:** teach four competitive experts the left half and then the right. Will the left half survive? If not, is it the gates that
# changed, or the answers?

# %%
old, networks = [], []
for seed in range(4):
    network = mixture.trained(mixture.Mixture(n_inputs=1, n_experts=4, seed=seed), left, steps=steps)
    old.append(network(unseen_left.x))
    networks.append(mixture.trained(network, right, steps=steps))
new = [network(unseen_left.x) for network in networks]


def left_error(answers, gates):
    """The error on the left half with the answers of one time and the gates of one time."""
    return unseen_left.error((gates.log_gates.exp() * answers.outputs).sum(dim=-1))


# %%
errors = []
for before, after in zip(old, new, strict=True):
    errors.append([left_error(a, g) for a, g in ((before, before), (after, after), (before, after), (after, before))])
columns = ["after the left half", "then after the right half", "old answers, new gates", "new answers, old gates"]
starts = [f"start {seed}" for seed in range(4)]
plots.table(torch.tensor(errors), "4 competitive experts: error on the left half", rows=starts, columns=columns)

# %% tags=["holds", "full"]
_errors = torch.tensor(errors)
holds("forgotten in every start: more than five times the error", (_errors[:, 1] > 5 * _errors[:, 0]).all())
holds("the old answers with the new gates are as good as before", (_errors[:, 2] < 1.2 * _errors[:, 0]).all())
holds("the new answers are bad with the old gates too", (_errors[:, 3] > 5 * _errors[:, 0]).all())

# %% [markdown]
# **Answer.** The left half does not survive: in every start its error is more than five times what it was. The gates are not to blame,
# because the old answers under the new gates are as good as before. It is the answers that changed.
#
# <!-- answered -->
# Why were the experts of the left half retrained, with others at hand? Look at the gates after the second training, averaged over each
# half.

# %%
_, unseen_right = mixture.line_and_wave(1024, seed=1).halves()
mean_gates = []
for network in networks:
    for half in (unseen_left, unseen_right):
        mean_gates.append(network(half.x).log_gates.exp().mean(dim=0).detach())  # (E,)
mean_gates = torch.stack(mean_gates).round(decimals=2)  # (2 starts, E)
rows = [f"{start}, {half} half" for start in starts for half in ("left", "right")]
plots.table(mean_gates, "mean gates after the right half was taught", rows=rows)

# %% tags=["holds", "full"]
_left, _right = mean_gates[0::2], mean_gates[1::2]
_of_the_left = _left.argmax(dim=1)
holds("one expert has most of the left half", (_left.amax(dim=1) > 0.5).all())
holds("and more than a quarter of the right", (_right.gather(1, _of_the_left[:, None]) > 0.25).all())

# %% [markdown]
# In every start the expert that has most of the left half also has more than a quarter of the right half. It was retrained there. This is
# no wonder: while the left half was taught, the gate never saw the right half, so nothing taught it to keep the two apart.
#
# So experts divide only what they are shown *at the same time*. If a new task comes later, something else has to protect the old one, for
# example freezing the old experts. Lesson 14 does that.
#
# ## 2.7 What it costs
#
# Today's models use mixtures because of their price, so let us compute it. A soft gate gives every expert a share above zero, so every
# expert has to be computed for every input. If an input needs only one of them, the rest is wasted. `only_top` asks the gate first, and
# then computes the top expert alone.
#
# **Predict:** the number of experts goes from 1 to 8. How does the work for one input grow if all answers are blended? And with the top
# expert alone?

# %%
x = torch.zeros(1, 2)  # (N, D), one input
blended, alone = [], []
for n_experts in (1, 2, 4, 8):
    network = mixture.Mixture(n_inputs=2, n_experts=n_experts)
    blended.append(metrics.counted_flops(partial(network, x)))
    alone.append(metrics.counted_flops(partial(network.only_top, x)))
columns = ["1 expert", "2 experts", "4 experts", "8 experts"]
rows = ["all experts, blended", "the top expert alone"]
plots.table(torch.tensor([blended, alone]), "FLOPs for one input", rows=rows, columns=columns)

# %% tags=["holds"]
holds("blending costs eight times as much for eight experts", blended[3] == 8 * blended[0])
holds("alone: an expert, and the gate's row for each", [n - alone[0] for n in alone] == [0, 4, 12, 28])

# %% [markdown]
# **Answer.** Blending eight experts costs eight times as much as one. The top expert alone costs one expert and the gate, which adds 4
# FLOPs per expert. In a real model an expert has millions of weights, and the gate is next to nothing.
# <!-- reasoned: the gate has one weight per input and expert, an expert many more -->
#
# <!-- answered -->
# The figures of 2.4 and 2.5 show who may save this way: experts that learned to stand alone. Now you may expect that today's language models
# are trained with the competitive loss. **They are not.** A language model's only target is the next token, and its loss sees what comes
# out of the last layer. Inside a layer such as [Mixtral's](https://arxiv.org/abs/2401.04088) the answers of the chosen experts are
# multiplied by their gates and added. That is the *blend*, so the loss is the cooperative one.
#
# What survives of the idea is the gate, one matrix and a softmax, and the weighted sum. What took the place of competition is choosing: a
# model computes only its top K experts *during training as well*. The experts of a token are trained as the same small group that answers
# later, so it does not matter what one of them would answer without the others. You can try this in the open task below. Lesson 03 builds
# the choice.
#
# ## 2.8 Broken on purpose: all alike
#
# Where does the division come from? From the random start. An expert that happens to be a little better somewhere gets a larger h there,
# and the feedback of 2.3 does the rest. An engineer can lose this without noticing, for example by giving every expert the same seed, or a
# copy of one trained network. Below, all four experts begin as copies of one.
#
# **Predict:** will they drift apart during the training? Will the loss fall? What will the error be like?


# %% tags=["broken"]
def trained_with_losses(network):
    """The network after training on line and wave, and its losses in the first and the last step."""
    logs = list(mixture.train(network, data["1-D"], loss=my_nll, steps=steps))
    return network, (logs[0].loss, logs[-1].loss)


copies = [trained_with_losses(mixture.Mixture(1, n_experts=4, seed=seed, equal_start=True)) for seed in range(4)]
single = [trained_with_losses(mixture.Mixture(1, n_experts=1, seed=seed)) for seed in range(4)]
test = unseen["1-D"]
for seed, (network, (first, last)) in enumerate(copies):
    outputs = network(test.x).outputs  # (N, E)
    apart = (outputs.amax(dim=-1) - outputs.amin(dim=-1)).max()
    print(f"start {seed}: loss {first:.2f} to {last:.2f}, largest difference between two equal experts {apart:.1f}")

# %%
rows = {"four equal experts": [network for network, _ in copies], "one expert": [network for network, _ in single]}
rows["four different experts"] = curve["competitive"]
errors = [[test.error(network(test.x).y) for network in networks] for networks in rows.values()]
plots.table(torch.tensor(errors), "line and wave: error on unseen points", rows=[*rows], columns=starts)

# %% tags=["holds"]
_outputs = [network(test.x).outputs for network, _ in copies]
holds("they stay equal to the last bit", all((o == o[:, :1]).all() for o in _outputs))
holds("the loss falls in every start", all(last < first for _, (first, last) in copies))

# %% tags=["holds", "full"]
_errors = torch.tensor(errors)
holds("four equal experts do what one does", torch.allclose(_errors[0], _errors[1], atol=0.02))
holds("in no start better than four different ones", (_errors[0] > _errors[2]).all())
holds("in three of four starts about twice the error", ((_errors[0] / _errors[2]) > 1.7).sum() == 3)

# %% [markdown]
# **Answer.** They stay equal to the last bit. Equal experts have equal fits, so their h are equal, so they get equal pushes. The mixture of
# four is one network, computed four times, and it has the error of one: in three of the four starts about twice that of four different
# experts.
#
# Nothing crashes, and the loss falls in every start. On a dashboard this looks like a training that works.
#
# <!-- answered -->
# What gives it away is the
# difference between the experts' answers, so log it.
#
# ## 2.9 Your functions at work
#
# Everything you wrote runs below: your gate decides, your loss trains, and your responsibilities keep the record. First a comparison. Does
# a training with your functions go the same way as one with the package's?

# %%
settings = {"with mine": (my_gate, my_nll, my_h)}
settings["the package's"] = (mixture.soft_gate, mixture.mixture_nll, mixture.responsibilities)
ends = {}
for name, (gate, nll, h) in settings.items():
    network = mixture.Mixture(n_inputs=2, n_experts=8, gate=gate)
    logs = list(mixture.train(network, data["2-D"], loss=nll, steps=steps, responsible=h))
    ends[name] = torch.tensor([logs[-1].loss, *logs[-1].claimed.tolist()])
    shares = ", ".join(f"{share:.2f}" for share in logs[-1].claimed.tolist())
    print(f"{name:14} loss {logs[0].loss:.3f} to {logs[-1].loss:.3f}; mean responsibilities: {shares}")

# %% [markdown]
# **Answer.** It does: the losses and the shares agree. So the widget below runs on your functions too.
#
# **Predict, then move:** with eight experts on the plane, how many will get a region?

# %% tags=["holds"]
holds("they agree", (ends["with mine"] - ends["the package's"]).abs().max() < 1e-3)

# %% tags=["widget"]
final = ExpertPartition(task="2-D", n_experts=8, gate=my_gate, nll=my_nll, responsible=my_h, steps=steps)
await final.start().done()
final.suggest({"the cooperative loss": {"loss": "cooperative"}})

# %% [markdown]
# **Answer.** Only three of the eight. Nobody arranged that. The experts that were ahead got more cases, and so more practice.
#
# <!-- answered -->
# In a large
# model such idle experts are parameters that are paid for and not used; lesson 06 is about them.
#
# **Predict, then move:** what changes in the small squares when you choose the cooperative loss? The cell below puts a number on it: how
# many of the experts' answers lie beyond ±1.5, although all targets are +1 or −1.

# %% tags=["holds", "full"]
holds("three of the eight get a region", mixture.measure(final.mixture, unseen["2-D"]).used == 3)

# %%
beyond = {}
for name, loss in losses.items():
    shares = []
    for seed in range(4):
        network = mixture.trained(mixture.Mixture(2, n_experts=8, seed=seed), data["2-D"], loss=loss, steps=steps)
        shares.append((network(unseen["2-D"].x).outputs.abs() > 1.5).float().mean().item())
    beyond[name] = shares
    print(f"{name}: {min(shares):.0%} to {max(shares):.0%} of all answers lie beyond ±1.5")

# %% tags=["holds", "full"]
holds("competitive: less than a tenth", max(beyond["competitive"]) < 0.1)
holds("cooperative: more than a third in every start", min(beyond["cooperative"]) > 1 / 3)

# %% [markdown]
# **Answer.** The squares stop looking like pieces of the picture. With the cooperative loss more than a third of the answers lie beyond
# ±1.5 in every start, because only their sum has to be right. With the competitive loss it is less than a tenth.
#
# ## 2.10 What popular articles say
#
# Two sentences about the idea's origin. **Predict** the verdicts: "mixture of experts is an idea of 1991", and "a mixture of experts is
# not an ensemble of models".

# %% tags=["diagram"]
claims(lesson=2)

# %% [markdown]
# **Answer.** The first is true with a condition: the soft gate is from 1991, and running only a few experts came later. The second is true,
# and the next section measures what the difference is worth.
#
# ## 2.11 Optional: is it an ensemble?
#
# *About 15 minutes. The rest of the course does not need 2.11 to 2.13.*
#
# An **ensemble** is several networks, each trained by itself on the whole problem, whose answers are averaged. It is a standard way to
# lower an error. If a mixture were one, we could train the experts on different machines and never let them meet. Two things set them
# apart: a mixture has a *gate*, and its experts are trained *together*. Each can be had without the other:
#
# | | average, no gate | with a gate |
# |---|---|---|
# | **experts trained apart**, each on its own error | the ensemble | a gate trained afterwards |
# | **experts trained together** | on the error of the average | the mixtures of this lesson |
#
# All of them begin from the same four networks. An untrained gate gives each expert ¼, so its blend is the average. As a yardstick there is
# a single network of 15 units, which has as many parameters as four networks and a gate. The trainings take up to a minute.
#
# **Predict:** start at the ensemble, at the upper left. What helps more, a gate or training together?


# %%
def apart(log_gates, outputs, targets, sigma):
    """Every expert by itself on everything: an ensemble's loss. The gates have no part in it."""
    return (0.5 * ((targets[:, None] - outputs) / sigma) ** 2).sum(dim=-1).mean()


def ensemble(task, seed):
    """Four networks trained apart; the gate stays untrained, so the blend is their average."""
    network = mixture.Mixture(data[task].x.shape[1], n_experts=4, seed=seed)
    return mixture.trained(network.learn(gate=False), data[task], loss=apart, steps=steps)


def gate_afterwards(task, seed):
    return mixture.trained(ensemble(task, seed).learn(gate=True, experts=False), data[task], steps=steps)


def averaged_together(task, seed):
    network = mixture.Mixture(data[task].x.shape[1], n_experts=4, seed=seed)
    return mixture.trained(network.learn(gate=False), data[task], loss=mixture.cooperative_loss, steps=steps)


def one_network(task, seed):
    network = mixture.Mixture(data[task].x.shape[1], n_experts=1, hidden=15, seed=seed)
    return mixture.trained(network, data[task], steps=steps)


# %% [markdown]
# Train all of these designs. The mixtures were trained in 2.4 and 2.5.

# %%
designs = {"trained apart, averaged: the ensemble": ensemble, "trained apart, then a gate": gate_afterwards}
designs |= {"trained together, averaged": averaged_together, "one network of 15 units": one_network}
made = {name: [[make(task, seed) for seed in range(4)] for task in data] for name, make in designs.items()}
made["mixture, competitive loss"] = [curve["competitive"], plane["competitive"]]
made["mixture, cooperative loss"] = [curve["cooperative"], plane["cooperative"]]
for name in ("mixture, competitive loss", "one network of 15 units"):
    sizes = [sum(parameter.numel() for parameter in networks[0].parameters()) for networks in made[name]]
    print(f"{name}: {sizes[0]} parameters on the curve, {sizes[1]} on the plane")

# %%
errors = []
for by_task in made.values():
    for test, networks in zip(unseen.values(), by_task, strict=True):
        errors.append([test.error(network(test.x).y) for network in networks])
errors = torch.tensor(errors).view(len(made), 2, 4)  # (designs, tasks, starts)
caption = "error on unseen points; least and most of 4 random starts"
columns = ["line and wave", "slope and disc"]
plots.ranges(*errors.aminmax(dim=2), caption, rows=[*made], columns=columns)

# %% tags=["holds", "full"]
_low, _high = errors.amin(dim=2), errors.amax(dim=2)
_ensemble, _gate, _together, _one, _competitive, _cooperative = range(6)
holds("even the best ensemble is behind all that are trained together", (_low[0] > _high[2:].amax(dim=0)).all())
holds("its worst start is the worst of all", (_high[0] >= _high.amax(dim=0)).all())
holds("a gate closes the gap on the curve", _high[_gate, 0] < _low[_ensemble, 0])
holds("on the plane by a small part only", _low[_gate, 1] > _high[_together, 1] + 0.05)
holds("together is as good as the mixtures on both", (_high[_together] <= _high[_competitive] + 0.02).all())
holds("one plain network does as well as any mixture", (_high[_one] <= _high[_competitive] + 0.01).all())

# %% [markdown]
# **Answer.** Training together helps on both problems, a gate added afterwards on one. The ensemble is behind on both, and training together
# closes the gap, even though the answers are merely averaged. A gate added afterwards closes it on the curve and only a small part of it on the plane: it can do no more
# than choose among networks of which none is a specialist. Whether a trained gate *adds* something to training together, four starts cannot
# tell.
#
# <!-- answered -->
# Then why is it not enough to average networks that were trained apart? An average removes only the errors that differ between the networks. How alike are they? Here is the
# correlation of the members' errors: 1 means that all members are wrong in the same way, 0 that their errors have nothing in common.

# %%
for task, networks in zip(data, made["trained apart, averaged: the ensemble"], strict=True):
    found = []
    for network in networks:
        off = network(unseen[task].x).outputs.detach() - unseen[task].targets[:, None]  # (N, E), the members' errors
        correlation = torch.corrcoef(off.T)  # (E, E), 1 on the diagonal
        found.append((correlation.sum().item() - 4) / 12)  # the mean of the other 12
    print(f"{task}: correlation of the members' errors {min(found):.2f} to {max(found):.2f}")

# %% [markdown]
# They are wrong in much the same way, because each of them tried to do everything with three units. A mixture is no ensemble: what lowers
# the error here is that its experts are trained together.
#
# The sobering bar is that of the plain network: with as many parameters it does as well as any mixture. So a small error is no reason for a mixture
# at this size. What it has and the others lack is a *division*. With the competitive loss an input needs one expert of four.
#
# ## 2.12 Optional: how wide is σ?
#
# *About 5 minutes.* So far σ was given. A setting that nobody explains is a setting that somebody will get wrong, so let us get it wrong on
# purpose, on the line and the wave.
#
# **Predict:** what happens if σ is far too small? And if it is far too large?

# %%
widths = {f"σ = {sigma:g}": four_starts("1-D", my_nll, sigma) for sigma in (0.02, 0.1, 20)}
widths["σ = 0.5, as above"] = curve["competitive"]
least, most = mixture.ranges(widths, unseen["1-D"])  # (sigmas, 3), (sigmas, 3)
caption = "line and wave, competitive loss: error on unseen points; least and most of 4 random starts"
plots.ranges(least, most, caption, rows=[*widths], columns=mixture.MEASURED)

# %% tags=["holds", "full"]
_small, _smaller, _large, _usual = 1, 0, 2, 3
holds("0.02 and 0.1: every blend is worse than the usual", (least[:2, 0] > most[_usual, 0]).all())
holds("0.02 and 0.1: more effective experts", (least[:2, 2] > most[_usual, 2]).all())
holds("0.1: near the noise in one start, poor in another", least[_small, 1] < 0.08 and most[_small, 1] > 0.13)
holds("20 does no harm", most[_large, 0] < most[_usual, 0] + 0.03 and most[_large, 1] < most[_usual, 1] + 0.03)

# %% [markdown]
# **Answer.** Too small does harm: with 0.02 and 0.1 every blend is worse than with 0.5, and an input uses more effective experts. The
# likely reason is that each point then belongs wholly to the expert that happens to be nearest. The experts hold scattered points, and no
# gate can tell those apart. In the row for 0.1 the top expert alone is very good in one start, with an error near the noise, and poor in
# another, so this is luck.
#
# Too large does no harm here. If all fits are close to 1, the loss comes near to Σ g · ½(t − o)²/σ², and that still compares each expert's
# own answer with the target. <!-- reasoned: exp(−z) is near 1 − z for small z, and −log(1 − z) near z -->
#
# ## 2.13 Optional: pulls by hand (stretch)
#
# *About 15 minutes.* In 2.2 autograd found where the losses push. Both pushes have a short formula, and with the formulas you can see what
# an expert is taught. Call minus the slope of one input's loss by an expert's answer its **pull**.
#
# **By hand:** the cooperative loss of one input is ½(t − y)²/σ² with y = Σ g · o. If one answer grows by 1, by how much does y grow?

# %%
gates = torch.tensor([0.2, 0.8])  # (E,)
for answers in ([3.0, 1.0], [4.0, 1.0], [3.0, 2.0]):
    y = (gates * torch.tensor(answers)).sum().item()
    print(f"gates 0.2 and 0.8, answers {answers}: blend {y:.1f}")

# %% [markdown]
# **Answer.** By that expert's gate: 0.2 for the first answer and 0.8 for the second.

# %% [markdown] tags=["exercise"]
# ### Exercise 2.4 — both pulls
# *12 minutes · stretch · about 4 lines*
#
# **Given** `log_gates` (N, E), `outputs` (N, E), `targets` (N,) and `sigma`. **Return** two tensors: `cooperative` (N, E), for each input
# minus the slope of ½(t − y)²/σ² by each answer, and `competitive` (N, E), minus the slope of −log Σ g · exp(−½(t − o)²/σ²). Do not average
# over the inputs. As in 2.2 and 2.3 there must be no nan, however far the targets are.
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
# The cooperative pull is gate times the *blend's* gap. The competitive pull is responsibility times the expert's *own* gap. With the
# formulas one can count. (If you left the exercise out, the next cell takes the package's.)
#
# **Predict:** in a trained cooperative mixture, how often is an answer pulled *away* from its target? And in a competitive one?

# %%
my_pulls = mine("2.4", pulls, default=mixture.pulls)
test, away = unseen["1-D"], {}
for place, name in enumerate(["cooperative", "competitive"]):
    away[name] = []
    for network in curve[name]:
        answer = network(test.x)
        log_gates, outputs = answer.log_gates.detach(), answer.outputs.detach()  # (N, E), (N, E)
        pull = my_pulls(log_gates, outputs, test.targets, test.sigma)[place]  # (N, E)
        gap = test.targets[:, None] - outputs  # (N, E)
        away[name].append((pull * gap < 0).float().mean().item())  # opposite signs
    print(f"{name}: {min(away[name]):.0%} to {max(away[name]):.0%} of the pulls lead away from the target")

# %% tags=["holds"]
holds("competitive: never", max(away["competitive"]) == 0)

# %% tags=["holds", "full"]
holds("cooperative: between a third and a half", 0.33 < min(away["cooperative"]) and max(away["cooperative"]) < 0.5)

# %% [markdown]
# **Answer.** Between a third and a half of the cooperative pulls lead away from the target. This loss does not teach an expert to be right;
# it teaches it to make the sum right. The competitive pulls never lead away: h is positive, so pull and gap have the same sign.
#
# ## Open task
#
# *20 to 60 minutes, without a check.* Section 2.7 said that today's models are trained with the loss of the blend, but compute only the top
# K experts in training. Try it here. Write a gate that keeps the K largest gates of each input, makes them sum to 1 again and gives the
# others none. Train four experts with `mixture.cooperative_loss` and your gate, for K = 2 and K = 1, on both problems and from four starts.
# Compare blend and top expert with the figures of 2.4 and 2.5. Then look at `w_gate` after the training with K = 1.
#
# <details><summary>What a good answer contains</summary>
#
# - The gate: replace the logits that are not among the K largest by −∞ *before* `log_softmax`. Then the kept gates sum to 1 again, the
#   others are exactly 0, and no nan appears.
# - K = 2: the blend is about as good as with all four experts. The top expert alone is worse than the blend in every start, on both
#   problems. The two chosen experts are partners. That does no harm, because they always answer together, in use as in training.
# - K = 1: `w_gate` has not moved from 0. A single gate that is made to sum to 1 is 1, whatever the logits are, so its gradient is 0. One
#   expert does everything, and on the plane the error is clearly above that of every mixture. People have run into this in real trainings
#   ([minimind](https://github.com/jingyaogong/minimind/issues/858)). The error of the top expert means nothing here: all logits are equal,
#   and `argmax` may pick another expert than your `topk`.
# - A repair for K = 1, with its numbers: leave the kept gate as it is, as the Switch Transformer does ([Fedus and others
#   2021](https://arxiv.org/abs/2101.03961)). Now the gate learns, and several experts get a part.
# - What four starts cannot tell, said as such.
#
# </details>

# %% [markdown]
# ## Now you know
#
# - One network with two jobs mixes them up: interference. Taught one after the other, the first is forgotten, and a gate does not prevent
#   it.
# - A gate is a matrix, a bias and a softmax. Losses need the logarithms of its shares, taken in one step.
# - The cooperative loss judges the blend, so experts correct each other and cannot stand alone. The competitive loss judges each expert by
#   its own answer, weighed by its responsibility.
# - The experts divide a problem where it suits them, not where we see a border. From equal starts they do not divide it at all.
# - Today's language models use the loss of the blend. Of the old idea they keep the gate and the weighted sum; in place of competition they
#   compute only the top K experts, in training too.
# - One top expert costs a fraction of the blend. That, and not a smaller error, is the gain.
#
# What passed here stands in `my_moe.py` as well, beside its model: a language model of today has no use for the losses of 1991.
#
# <!-- next -->
