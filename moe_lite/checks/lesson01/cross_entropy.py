"""Exercise 1.1, cross_entropy: what the targets cost, in nats."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.compare import close, decimals_that_differ, number, shape_text
from moe_lite.checks.engine.exercise import FORM, GRADIENT, INPUT, REPEAT, Attempt, Case, Exercise, Output, Trial
from moe_lite.checks.engine.mistakes import ruled, seen

F32, F64 = torch.float32, torch.float64
IGNORED = -100


def reference(logits: Tensor, targets: Tensor) -> Tensor:
    """logits (N, V), targets (N,) int64, -100 where nothing is asked -> loss ()."""
    counted = targets != IGNORED  # (N,)
    return costs(logits[counted], targets[counted]).mean()


def costs(logits: Tensor, targets: Tensor) -> Tensor:
    """-log softmax(logits)[target] of each row. (N, V), (N,) -> (N,)."""
    return -log_softmax(logits)[torch.arange(len(targets)), targets]


def log_softmax(logits: Tensor, dim: int = 1) -> Tensor:
    lowered = logits - logits.detach().amax(dim=dim, keepdim=True)  # at most 0
    return lowered - lowered.exp().sum(dim=dim, keepdim=True).log()


def cases() -> tuple[Case, ...]:
    plain = (_random(1, 7, 5), _random(2, 5, 9, F32), _random(3, 12, 8))
    ignored = (_random(4, 6, 130, n_ignored=2), _random(5, 11, 7, n_ignored=4), _random(6, 5, 12, F32, n_ignored=1))
    gradient = Trial(ignored[2].args, ignored[2].note, gradient=(0,))
    whole_gradient = Trial(plain[0].args, plain[0].note, gradient=(0,))
    return (
        Case("shapes and types", plain, (FORM,)),
        Case("input unchanged, no memory", (plain[0], ignored[0]), (INPUT, REPEAT)),
        Case("mean of -log p", plain, ("loss",)),
        Case("targets of -100", ignored, ("loss",)),
        Case("large logits", _large(), ("loss",)),
        Case("gradient", (whole_gradient, gradient), (GRADIENT,)),
    )


def _random(seed: int, n_tokens: int, n_classes: int, dtype: torch.dtype = F64, n_ignored: int = 0) -> Trial:
    """Every row has another target as far as there are classes; class 0 is among them, and never ignored."""
    g = inputs.generator(seed)
    targets = torch.arange(n_tokens) % n_classes  # (N,)
    targets = targets[torch.randperm(n_tokens, generator=g)]
    places = (targets != 0).nonzero().flatten()
    targets[places[torch.randperm(len(places), generator=g)[:n_ignored]]] = IGNORED
    note = inputs.note(seed, dtype) + (f", {n_ignored} of {n_tokens} targets are -100" if n_ignored else "")
    logits = torch.randn(n_tokens, n_classes, dtype=F64, generator=g).mul(1.5).round(decimals=4)
    return Trial((logits.to(dtype), targets), note)


def _large() -> tuple[Trial, ...]:
    """Logits far above 0, far below, and far from each other, in float32.

    The losses are large as well: next to 10,000, float32 keeps three decimals.
    """
    near = _random(7, 6, 5, F32).args[0] * 15  # exp of any difference is still above 0 in float32
    targets = torch.tensor([3, 0, 4, 1, 2, 0])
    apart = torch.tensor([[0.0, -250.0, -9000.0], [-300.0, -1.0, 0.0], [-10_000.0, 0.0, -400.0], [0.0, -1.5, -2.0]])
    return (
        Trial((near + 10_000, targets), "logits near 10,000, float32"),
        Trial((near - 10_000, targets), "logits near -10,000, float32"),
        Trial((apart, torch.tensor([0, 1, 1, 2])), "logits from -10,000 to 0, float32"),
        Trial((apart, torch.tensor([1, 0, 2, 1])), "unlikely targets, float32"),
    )


def _got(attempt: Attempt) -> float:
    """The learner's loss, if it is one number."""
    got = attempt.got["loss"]
    return float(got) if got.numel() == 1 and not got.is_complex() else float("nan")


def _beside(attempt: Attempt) -> str:
    """`Yours is −1.92, expected 1.92`, with as many digits as tell the two apart."""
    mine, right = _got(attempt), float(attempt.expected["loss"])
    decimals = decimals_that_differ([(mine, right)])
    return f"Yours is {number(mine, decimals)}, expected {number(right, decimals)}"


def _counted(rule: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """A rule on the rows that count."""
    return lambda z, t: rule(z[t != IGNORED], t[t != IGNORED])


def _all_rows(rule: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """A rule on all rows first; then those that count are picked and averaged."""
    return lambda z, t: _picked(rule(z, t), t)[t != IGNORED].mean()


def _picked(table: Tensor, targets: Tensor) -> Tensor:
    """Each row's value at its target; at 0 for ignored ones, whose value is not used."""
    return table[torch.arange(len(targets)), targets.clamp(min=0)]


def _shift(logits: Tensor, targets: Tensor) -> Tensor:
    """Row i is asked for the target of row i + 1."""
    return reference(logits[:-1], targets[1:])


def _shift_back(logits: Tensor, targets: Tensor) -> Tensor:
    return reference(logits[1:], targets[:-1])


def _without_class_0(logits: Tensor, targets: Tensor) -> Tensor:
    return costs(logits[targets > 0], targets[targets > 0]).mean()


def _index_from_the_end(logits: Tensor, targets: Tensor) -> Tensor:
    """What `table[rows, targets]` does with -100 where there are so many classes; else a remainder, as % gives."""
    return costs(logits, targets % logits.shape[1]).mean()


def _by_all_rows(logits: Tensor, targets: Tensor) -> Tensor:
    counted = targets != IGNORED
    return costs(logits[counted], targets[counted]).sum() / len(targets)


def _probability(logits: Tensor, targets: Tensor) -> Tensor:
    """The probabilities of the targets. (N,)"""
    return (-costs(logits, targets)).exp()


def _entropy(logits: Tensor, targets: Tensor) -> Tensor:
    return -(log_softmax(logits).exp() * log_softmax(logits)).sum(dim=1).mean()


def _one_softmax(logits: Tensor, targets: Tensor) -> Tensor:
    return -_picked(log_softmax(logits.flatten()[None]).view_as(logits), targets).mean()


def _hits(logits: Tensor, targets: Tensor) -> Tensor:
    return (logits.argmax(dim=1) == targets).to(logits.dtype).mean()


def _overflows(attempt: Attempt) -> bool:
    """nan is inf / inf, 0 / 0 or inf − inf; −inf is the log of no exp at all; inf where no target is that unlikely."""
    loss = attempt.got["loss"]
    return loss.dim() == 0 and not bool(loss.isfinite()) and (_got(attempt) != math.inf or not _unlikely(attempt))


def _unlikely(attempt: Attempt) -> bool:
    """Whether a target's probability is 0 in float32."""
    logits, targets = attempt.args
    return bool(_counted(_probability)(logits.float(), targets).min() == 0)


def _overflow_sentence(attempt: Attempt) -> str:
    least, largest = (number(float(end), 0) for end in attempt.args[0].aminmax())
    return (
        f"Your loss is {number(_got(attempt))}: logits here run from {least} to {largest}, and in float32 `exp` is inf "
        "above 88 and 0 below −104. Take each row's largest logit away first: the loss stays the same. `logsumexp` "
        "does it."
    )


def _log_of_zero(attempt: Attempt) -> bool:
    return attempt.got["loss"].dim() == 0 and _got(attempt) == math.inf and _unlikely(attempt)


def _has_a_ceiling(attempt: Attempt) -> bool:
    """Far too small where the loss should be large, as after a clamp or with a small number inside the logarithm."""
    right = float(attempt.expected["loss"])
    return attempt.got["loss"].dim() == 0 and right > 5 and 0 < _got(attempt) < right


def _one_each(attempt: Attempt) -> bool:
    """A loss for each target: of all rows with 0 for ignored ones, or of the rows that count."""
    logits, targets = attempt.args
    each = torch.where(targets != IGNORED, -_picked(log_softmax(logits), targets), 0)
    flat = attempt.got["loss"].squeeze()
    return attempt.got["loss"].dim() > 0 and (close(flat, each) or close(flat, each[targets != IGNORED]))


def _not_bare(attempt: Attempt) -> bool:
    """The right number in brackets: (1,) or (1, 1)."""
    got = attempt.got["loss"]
    return got.dim() > 0 and got.numel() == 1 and close(got.reshape(()), attempt.expected["loss"])


MISTAKES = (
    ruled("The sign is missing", lambda z, t: -reference(z, t), lambda a:
          f"{_beside(a)}: the logarithm of a probability is below 0, and a cost counts it with a minus."),
    ruled("Bits, not nats", lambda z, t: reference(z, t) / math.log(2), lambda a:
          f"{_beside(a)}: yours is counted with the logarithm to base 2. The natural one, `log`, counts in nats."),
    ruled("The logarithm to base 10", lambda z, t: reference(z, t) / math.log(10), lambda a:
          f"{_beside(a)}: take the natural logarithm, `log`."),
    ruled("A sum, not a mean", _counted(lambda z, t: costs(z, t).sum()), lambda a:
          f"{_beside(a)}: all {int((a.args[1] != IGNORED).sum())} costs were added. Their mean does not grow with the "
          "length of the text."),
    ruled("Divided by the targets that do not count, too", _by_all_rows, lambda a:
          f"{_beside(a)}: the sum is right, but {len(a.args[1])} targets divide it, and only "
          f"{int((a.args[1] != IGNORED).sum())} of them count."),
    ruled("Divided by the number of classes", _counted(lambda z, t: costs(z, t).mean() / z.shape[1]), lambda a:
          f"{_beside(a)}: a mean over all {a.args[0].numel()} cells of the table, zeros included, is "
          f"{a.args[0].shape[1]} times too small. One cell a row counts."),
    ruled("Divided by the number of classes", _counted(lambda z, t: costs(z, t).sum() / z.shape[1]), lambda a:
          f"{_beside(a)}: the sum is divided by the {a.args[0].shape[1]} classes, not by the targets."),
    ruled("−100 used as an index", _index_from_the_end, lambda a:
          f"{_beside(a)}: −100 means that nothing is asked there. Python counts it from the end, so among "
          f"{a.args[0].shape[1]} classes it became class {IGNORED % a.args[0].shape[1]}. Leave these rows out."),
    ruled("−100 counted as class 0", lambda z, t: costs(z, t.clamp(min=0)).mean(), lambda a:
          f"{_beside(a)}: rows whose target is −100 do not count at all. A target clamped to 0 is a question again."),
    ruled("Class 0 is left out", _without_class_0, lambda a:
          f"{_beside(a)}: your mask drops targets of 0 as well. 0 is a class; only −100 is none."),
    ruled("Softmax over the positions", _all_rows(lambda z, t: -log_softmax(z, dim=0)), lambda a:
          f"{_beside(a)}: each row, one position, shares its probability among the classes: `dim=-1`."),
    ruled("Softmax over the positions", _counted(lambda z, t: -_picked(log_softmax(z, dim=0), t).mean()), lambda a:
          f"{_beside(a)}: each row, one position, shares its probability among the classes: `dim=-1`."),
    ruled("One softmax over the whole table", _counted(_one_softmax), lambda a:
          f"{_beside(a)}: every row has probabilities of its own, which sum to 1."),
    ruled("Softmax was applied twice", lambda z, t: reference(log_softmax(z).exp(), t), lambda a:
          f"{_beside(a)}: the function that takes the logarithm also takes the softmax. Give it the logits, not "
          "probabilities."),
    ruled("The log-sum-exp is missing", _counted(lambda z, t: -_picked(z, t).mean()), lambda a:
          f"{_beside(a)}: that is minus the logit of the target. A logit is no log probability until the log of the "
          "sum of all exps is taken from it."),
    ruled("The target's logit is missing", _counted(lambda z, t: (costs(z, t) + _picked(z, t)).mean()), lambda a:
          f"{_beside(a)}: that is the log of the sum of exps alone, the same whatever the target."),
    ruled("The logit was added, not taken away", _counted(lambda z, t: (costs(z, t) + 2 * _picked(z, t)).mean()),
          lambda a: f"{_beside(a)}: −log p is the log of the sum of exps minus the target's logit."),
    ruled("The logarithm is missing", _counted(lambda z, t: _probability(z, t).mean()), lambda a:
          f"{_beside(a)}: yours is the mean probability of the targets. The cost of a target is minus its logarithm."),
    ruled("The logarithm is missing", _counted(lambda z, t: -_probability(z, t).mean()), lambda a:
          f"{_beside(a)}: yours is minus the mean probability of the targets. The cost is minus its logarithm."),
    ruled("The logarithm is missing", _counted(lambda z, t: 1 - _probability(z, t).mean()), lambda a:
          f"{_beside(a)}: yours is 1 minus the mean probability of the targets. The cost is minus its logarithm."),
    ruled("The mean comes before the logarithm", _counted(lambda z, t: -_probability(z, t).mean().log()), lambda a:
          f"{_beside(a)}: that is the cost of the mean probability. Each target has its own cost; average those."),
    ruled("That is the perplexity", lambda z, t: reference(z, t).exp(), lambda a:
          f"{_beside(a)}: yours is exp of the loss, as if the model chose among {number(_got(a))} tokens. The loss is "
          "its logarithm."),
    ruled("Targets are shifted by one", _shift, lambda a:
          f"{_beside(a)}: row i was asked for target i + 1. Here the targets already belong to their rows."),
    ruled("Targets are shifted by one", _shift_back, lambda a:
          f"{_beside(a)}: row i was asked for target i − 1. Here the targets already belong to their rows."),
    ruled("That is the accuracy", _counted(_hits), lambda a:
          f"{_beside(a)}: yours is the share of rows whose largest logit is the target. The loss counts how sure."),
    ruled("That is the share of misses", _counted(lambda z, t: 1 - _hits(z, t)), lambda a:
          f"{_beside(a)}: yours is the share of rows whose largest logit is another class. The loss counts how sure."),
    ruled("The best class, not the target", _counted(lambda z, t: costs(z, z.argmax(dim=1)).mean()), lambda a:
          f"{_beside(a)}: yours is the cost of the class with the largest logit, whatever the target is."),
    ruled("That is the entropy", _counted(_entropy), lambda a:
          f"{_beside(a)}: yours weighs every class by the model's own probability. Only the target's counts."),
    ruled("Sigmoid, not softmax", _counted(lambda z, t: -_picked(z, t).sigmoid().log().mean()), lambda a:
          f"{_beside(a)}: a sigmoid looks at the target's logit alone. Softmax measures it against all classes."),
    seen("One loss for each target", _one_each, lambda a:
         f"`loss` is {shape_text(a.got['loss'])}: the costs are right, their mean is missing."),
    seen("A number in brackets", _not_bare, lambda a:
         f"`loss` is {shape_text(a.got['loss'])}: right, but a scalar has no dimension, `()`."),
    seen("`exp` overflows", _overflows, _overflow_sentence),
    seen("The logarithm of 0", _log_of_zero, lambda a:
         f"Your loss is {number(_got(a))}: a probability this small is 0 in float32, and its logarithm is −inf. Do not "
         "go by way of the probability: `logsumexp` minus the target's logit stays finite."),
    seen("The loss has a ceiling", _has_a_ceiling, lambda a:
         f"{_beside(a)}: a clamp, or a small number inside the logarithm, hides how wrong the model is. `logsumexp` "
         "minus the target's logit needs neither."),
)  # fmt: skip

CROSS_ENTROPY = Exercise(
    id="1.1",
    name="cross_entropy",
    parameters=("logits", "targets"),
    sizes="NV",
    outputs=(Output("loss", strict_dtype=False),),
    reference=reference,
    cases=cases,
    mistakes=MISTAKES,
    hints=(
        "−log of a softmax is a difference: the log of the sum of all exps, minus the target's own logit. Written so, "
        "nothing overflows. Rows whose target is −100 go before anything else happens.",
        "Three steps: a mask of the rows that count, applied to `logits` and to `targets`; each row's own logit, found "
        "with its target as the column; the mean of `logsumexp` along the classes minus that.",
    ),
    minutes=10,
    lines="about 3 lines",
    done="One number says how surprised a model is. Every training run of this course lowers it.",
)
