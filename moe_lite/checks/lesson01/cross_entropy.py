"""Exercise 1.1, cross_entropy: what the targets cost, in nats."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.compare import close, number
from moe_lite.checks.engine.exercise import Attempt, Case, Drawn, Exercise, Output, Trial
from moe_lite.checks.engine.inputs import F32, F64
from moe_lite.checks.engine.mistakes import sign, wrong
from moe_lite.checks.engine.say import said

IGNORED = -100
Rule = Callable[[Tensor, Tensor], Tensor]  # of logits (N, V) and targets (N,)


def reference(logits: Tensor, targets: Tensor) -> Tensor:
    """logits (N, V), targets (N,) int64, -100 where nothing is asked -> loss ()."""
    counted = targets != IGNORED  # (N,)
    return costs(logits[counted], targets[counted]).mean()


def costs(logits: Tensor, targets: Tensor) -> Tensor:
    """-log softmax(logits)[target] of each row. (N, V), (N,) -> (N,)."""
    return -log_softmax(logits)[torch.arange(len(targets)), targets]


def log_softmax(logits: Tensor, dim: int = -1) -> Tensor:
    lowered = logits - logits.detach().amax(dim=dim, keepdim=True)  # at most 0
    return lowered - lowered.exp().sum(dim=dim, keepdim=True).log()


# ---- inputs ----------------------------------------------------------------------------------------------------------


def cases() -> tuple[Case, ...]:
    plain = (random(1, 7, 5), random(2, 5, 9, F32), random(3, 12, 8))
    ignored = (random(4, 6, 130, n_ignored=2), random(5, 11, 7, n_ignored=4), random(6, 5, 12, F32, n_ignored=1))
    first, last = inputs.usual(
        plain, plain, gradient=(0,), again=(plain[0], ignored[0]), through=(plain[0], ignored[2])
    )
    return (
        *first,
        Case("mean of -log p", plain, ("loss",)),
        Case("targets of -100", ignored, ("loss",)),
        Case("large logits", large(), ("loss",)),
        *last,
    )


def random(seed: int, n_tokens: int, n_classes: int, dtype: torch.dtype = F64, n_ignored: int = 0) -> Trial:
    """Every row has another target as far as there are classes; class 0 is among them, and never ignored."""
    g = inputs.generator(seed)
    targets = torch.arange(n_tokens) % n_classes  # (N,)
    targets = targets[torch.randperm(n_tokens, generator=g)]
    places = (targets != 0).nonzero().flatten()
    targets[places[torch.randperm(len(places), generator=g)[:n_ignored]]] = IGNORED
    note = inputs.note(seed, dtype) + (f", {n_ignored} of {n_tokens} targets are -100" if n_ignored else "")
    logits = torch.randn(n_tokens, n_classes, dtype=F64, generator=g).mul(1.5).round(decimals=4)
    return Trial((logits.to(dtype), targets), note)


def large() -> tuple[Trial, ...]:
    """Logits far above 0, far below, and far from each other, in float32.

    The losses are large as well: next to 10,000, float32 keeps three decimals.
    """
    near = random(7, 6, 5, F32).args[0] * 15  # exp of any difference is still above 0 in float32
    targets = torch.tensor([3, 0, 4, 1, 2, 0])
    apart = torch.tensor([[0.0, -250.0, -9000.0], [-300.0, -1.0, 0.0], [-10_000.0, 0.0, -400.0], [0.0, -1.5, -2.0]])
    return (
        Trial((near + 10_000, targets), "logits near 10,000, float32"),
        Trial((near - 10_000, targets), "logits near -10,000, float32"),
        Trial((apart, torch.tensor([0, 1, 1, 2])), "logits from -10,000 to 0, float32"),
        Trial((apart, torch.tensor([1, 0, 2, 1])), "unlikely targets, float32"),
    )


def drawn(seed: int, N: int, V: int) -> tuple:
    targets = torch.randint(0, V, (N,), generator=inputs.generator(seed))  # (N,)
    targets[1::3] = IGNORED
    return inputs.distinct(seed, N, V), targets


def extremes(seed: int) -> tuple[Trial, ...]:
    logits, targets = drawn(seed, 7, 5)
    return (
        Trial((torch.zeros_like(logits), targets), "all logits 0"),
        Trial((logits + 1e7, targets), "logits near ten million, float64"),
        Trial((logits * 1e4, targets), "logits far from each other, float64"),
        Trial((logits, torch.where(targets == IGNORED, 0, IGNORED)), "other targets of -100"),
    )


DRAWN = Drawn(drawn, {"N": 7, "V": 5}, wide="V", gradient=(0,), extremes=extremes)


# ---- mistakes --------------------------------------------------------------------------------------------------------


def counted(rule: Rule) -> Rule:
    """A rule on the rows that count."""
    return lambda z, t: rule(z[t != IGNORED], t[t != IGNORED])


def of_each(rule: Rule) -> Rule:
    """The mean of a rule that gives a number for each row that counts."""
    return counted(lambda z, t: rule(z, t).mean())


def n_counted(a: Attempt) -> int:
    return int((a.args[1] != IGNORED).sum())


def picked(table: Tensor, targets: Tensor) -> Tensor:
    """Each row's value at its target; at 0 for ignored ones, whose value is not used."""
    return table[torch.arange(len(targets)), targets.clamp(min=0)]


def probability(logits: Tensor, targets: Tensor) -> Tensor:
    """The probabilities of the targets. (N,)"""
    return (-costs(logits, targets)).exp()


def hits(logits: Tensor, targets: Tensor) -> Tensor:
    """1 where the largest logit is the target's, 0 elsewhere. (N,)"""
    return (logits.argmax(dim=1) == targets).to(logits.dtype)


def entropies(logits: Tensor, targets: Tensor) -> Tensor:
    return -(log_softmax(logits).exp() * log_softmax(logits)).sum(dim=1)  # (N,)


def one_softmax(logits: Tensor, targets: Tensor) -> Tensor:
    return -picked(log_softmax(logits.flatten()).view_as(logits), targets)  # (N,)


def over_positions(logits: Tensor, targets: Tensor) -> Tensor:
    return -picked(log_softmax(logits, dim=0), targets)  # (N,)


def index_from_the_end(logits: Tensor, targets: Tensor) -> Tensor:
    """What `table[rows, targets]` does with -100 where there are so many classes; else a remainder, as % gives."""
    return costs(logits, targets % logits.shape[1]).mean()


def unlikely(a: Attempt) -> bool:
    """Whether a target's probability is 0 in float32."""
    logits, targets = a.args
    return bool(counted(probability)(logits.float(), targets).min() == 0)


def overflows(a: Attempt) -> bool:
    """nan is inf / inf, 0 / 0 or inf − inf; −inf is the log of no exp at all; inf where no target is that unlikely."""
    loss = a.got["loss"]
    return loss.dim() == 0 and not bool(loss.isfinite()) and (float(loss) != math.inf or not unlikely(a))


def log_of_zero(a: Attempt) -> bool:
    return a.got["loss"].dim() == 0 and float(a.got["loss"]) == math.inf and unlikely(a)


def has_a_ceiling(a: Attempt) -> bool:
    """Far too small where the loss should be large, as after a clamp or with a small number inside the logarithm."""
    loss, right = a.got["loss"], float(a.expected["loss"])
    return loss.dim() == 0 and right > 5 and 0 < float(loss) < right


def one_each(a: Attempt) -> bool:
    """A loss for each target: of all rows with 0 for ignored ones, or of the rows that count."""
    logits, targets = a.args
    each = torch.where(targets != IGNORED, -picked(log_softmax(logits), targets), 0)
    flat = a.got["loss"].squeeze()
    return a.got["loss"].dim() > 0 and (close(flat, each) or close(flat, each[targets != IGNORED]))


def in_brackets(a: Attempt) -> bool:
    """The right number, but as (1,) or (1, 1)."""
    got = a.got["loss"]
    return got.dim() > 0 and got.numel() == 1 and close(got.reshape(()), a.expected["loss"])


IN_BRACKETS = sign("A number in brackets", in_brackets, "`loss` is {loss.shape}: right, but a scalar has no "
                   "dimension, `()`.")  # fmt: skip


def counted_from_the_end(a: Attempt) -> str:
    return said(
        "Yours is {loss.beside}: −100 means that nothing is asked there. Python counts it from the end, so among "
        "{logits.size[1]} classes it became class {became}. Leave these rows out.",
        a, became=IGNORED % a.args[0].shape[1],
    )  # fmt: skip


def out_of_range(a: Attempt) -> str:
    least, largest = ends(a)
    return said(
        "Your loss is {loss}: logits here run from {least} to {largest}, and in float32 `exp` is inf above 88 and 0 "
        "below −104. Take each row's largest logit away first: the loss stays the same. `logsumexp` does it.",
        a, least=least, largest=largest,
    )  # fmt: skip


def nothing_is_left(a: Attempt) -> bool:
    return a.got["loss"].dim() == 0 and float(a.got["loss"]) == -math.inf


def row_of_zeros(a: Attempt) -> str:
    least, largest = ends(a)
    return (
        f"Your loss is −inf: logits here run from {least} to {largest}, and in some row `exp` is 0 for every class, so "
        "that the logarithm of their sum is −∞. Take each row's *own* largest logit away first, not one number for all "
        "rows. `logsumexp` does it."
    )


def ends(a: Attempt) -> tuple[str, ...]:
    """The smallest and the largest logit."""
    return tuple(number(float(end), 0) for end in a.args[0].aminmax())


MISTAKES = (
    wrong("The sign is missing", lambda z, t: -reference(z, t), "Yours is {loss.beside}: the logarithm of a "
          "probability is below 0, and a cost counts it with a minus."),
    wrong("Bits, not nats", lambda z, t: reference(z, t) / math.log(2), "Yours is {loss.beside}: yours is counted with "
          "the logarithm to base 2. The natural one, `log`, counts in nats."),
    wrong("The logarithm to base 10", lambda z, t: reference(z, t) / math.log(10), "Yours is {loss.beside}: take the "
          "natural logarithm, `log`."),
    wrong("A sum, not a mean", counted(lambda z, t: costs(z, t).sum()), lambda a: said("Yours is {loss.beside}: all "
          "{n} costs were added. Their mean does not grow with the length of the text.", a, n=n_counted(a))),
    wrong("Divided by the targets that do not count, too", lambda z, t: counted(costs)(z, t).sum() / len(t),
          lambda a: said("Yours is {loss.beside}: the sum is right, but {targets.numel} targets divide it, and only "
          "{n} of them count.", a, n=n_counted(a))),
    wrong("Divided by the number of classes", of_each(lambda z, t: costs(z, t) / z.shape[1]), "Yours is {loss.beside}: "
          "a mean over all {logits.numel} cells of the table, zeros included, is {logits.size[1]} times too small. One "
          "cell a row counts."),
    wrong("Divided by the number of classes", counted(lambda z, t: costs(z, t).sum() / z.shape[1]), "Yours is "
          "{loss.beside}: the sum is divided by the {logits.size[1]} classes, not by the targets."),
    wrong("−100 used as an index", index_from_the_end, counted_from_the_end),
    wrong("−100 counted as class 0", lambda z, t: costs(z, t.clamp(min=0)).mean(), "Yours is {loss.beside}: rows whose "
          "target is −100 do not count at all. A target clamped to 0 is a question again."),
    wrong("Class 0 is left out", lambda z, t: costs(z[t > 0], t[t > 0]).mean(), "Yours is {loss.beside}: your mask "
          "drops targets of 0 as well. 0 is a class; only −100 is none."),
    wrong("Softmax over the positions", lambda z, t: over_positions(z, t)[t != IGNORED].mean(), "Yours is "
          "{loss.beside}: each row, one position, shares its probability among the classes: `dim=-1`."),
    wrong("Softmax over the positions", of_each(over_positions), "Yours is {loss.beside}: each row, one position, "
          "shares its probability among the classes: `dim=-1`."),
    wrong("One softmax over the whole table", of_each(one_softmax), "Yours is {loss.beside}: every row has "
          "probabilities of its own, which sum to 1."),
    wrong("Softmax was applied twice", lambda z, t: reference(log_softmax(z).exp(), t), "Yours is {loss.beside}: the "
          "function that takes the logarithm also takes the softmax. Give it the logits, not probabilities."),
    wrong("The log-sum-exp is missing", of_each(lambda z, t: -picked(z, t)), "Yours is {loss.beside}: that is minus "
          "the logit of the target. A logit is no log probability until the log of the sum of all exps is taken from "
          "it."),
    wrong("The target's logit is missing", of_each(lambda z, t: costs(z, t) + picked(z, t)), "Yours is {loss.beside}: "
          "that is the log of the sum of exps alone, the same whatever the target."),
    wrong("The logit was added, not taken away", of_each(lambda z, t: costs(z, t) + 2 * picked(z, t)), "Yours is "
          "{loss.beside}: −log p is the log of the sum of exps minus the target's logit."),
    wrong("The logarithm is missing", of_each(probability), "Yours is {loss.beside}: yours is the mean probability of "
          "the targets. The cost of a target is minus its logarithm."),
    wrong("The logarithm is missing", of_each(lambda z, t: -probability(z, t)), "Yours is {loss.beside}: yours is "
          "minus the mean probability of the targets. The cost is minus its logarithm."),
    wrong("The logarithm is missing", of_each(lambda z, t: 1 - probability(z, t)), "Yours is {loss.beside}: yours is 1 "
          "minus the mean probability of the targets. The cost is minus its logarithm."),
    wrong("The mean comes before the logarithm", counted(lambda z, t: -probability(z, t).mean().log()), "Yours is "
          "{loss.beside}: that is the cost of the mean probability. Each target has its own cost; average those."),
    wrong("That is the perplexity", lambda z, t: reference(z, t).exp(), "Yours is {loss.beside}: yours is exp of the "
          "loss, as if the model chose among {loss} tokens. The loss is its logarithm."),
    wrong("Targets are shifted by one", lambda z, t: reference(z[:-1], t[1:]), "Yours is {loss.beside}: row i was "
          "asked for target i + 1. Here the targets already belong to their rows."),
    wrong("Targets are shifted by one", lambda z, t: reference(z[1:], t[:-1]), "Yours is {loss.beside}: row i was "
          "asked for target i − 1. Here the targets already belong to their rows."),
    wrong("That is the accuracy", of_each(hits), "Yours is {loss.beside}: yours is the share of rows whose largest "
          "logit is the target. The loss counts how sure."),
    wrong("That is the share of misses", of_each(lambda z, t: 1 - hits(z, t)), "Yours is {loss.beside}: yours is the "
          "share of rows whose largest logit is another class. The loss counts how sure."),
    wrong("The best class, not the target", of_each(lambda z, t: costs(z, z.argmax(dim=1))), "Yours is {loss.beside}: "
          "yours is the cost of the class with the largest logit, whatever the target is."),
    wrong("That is the entropy", of_each(entropies), "Yours is {loss.beside}: yours weighs every class by the model's "
          "own probability. Only the target's counts."),
    wrong("Sigmoid, not softmax", of_each(lambda z, t: -picked(z, t).sigmoid().log()), "Yours is {loss.beside}: a "
          "sigmoid looks at the target's logit alone. Softmax measures it against all classes."),
    sign("One loss for each target", one_each, "`loss` is {loss.shape}: the costs are right, their mean is missing."),
    IN_BRACKETS,
    sign("`exp` is 0 in a whole row", nothing_is_left, row_of_zeros),
    sign("`exp` overflows", overflows, out_of_range),
    sign("The logarithm of 0", log_of_zero, "Your loss is {loss}: a probability this small is 0 in float32, and its "
         "logarithm is −inf. Do not go by way of the probability: `logsumexp` minus the target's logit stays finite."),
    sign("The loss has a ceiling", has_a_ceiling, "Yours is {loss.beside}: a clamp, or a small number inside the "
         "logarithm, hides how wrong the model is. `logsumexp` minus the target's logit needs neither."),
)  # fmt: skip

CROSS_ENTROPY = Exercise(
    id="1.1", name="cross_entropy", parameters=("logits", "targets"), sizes="NV",
    outputs=(Output("loss", strict_dtype=False),), reference=reference, cases=cases, mistakes=MISTAKES,
    drawn=DRAWN,
    hints=(
        "First drop the rows whose target is −100. For the others, −log of the softmax is a difference: the log of the "
        "sum of all exps, minus the target's own logit. In this form nothing overflows.",
        "Three steps: make a mask of the rows that count, and apply it to `logits` and `targets`; pick from each row "
        "the logit in its target's column; take the mean of `logsumexp` along the classes minus that logit.",
    ),
    minutes=10, lines="about 3 lines", left_to_you=("cross_entropy", "nll_loss"),
    done="This one number measures how surprised a model is by a text. Every training in this course lowers it.",
)  # fmt: skip
