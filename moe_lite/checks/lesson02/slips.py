"""What lesson 02's checks have in common: trials of a mixture, its parts written plainly, and the same with a slip."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.compare import first_difference, shape_text
from moe_lite.checks.engine.exercise import Attempt, Drawn, Mistake, Trial
from moe_lite.checks.engine.inputs import F32, F64
from moe_lite.checks.engine.mistakes import one_wrong, wrong
from moe_lite.checks.engine.say import Beside
from moe_lite.checks.lesson01.cross_entropy import log_softmax

# ---- a mixture -------------------------------------------------------------------------------------------------------


def logsumexp(values: Tensor, dim: int = -1) -> Tensor:
    most = values.detach().amax(dim=dim, keepdim=True)
    return (values - most).exp().sum(dim=dim).log() + most.squeeze(dim)


def gaps(outputs: Tensor, targets: Tensor) -> Tensor:
    """t − o of each expert. (N, E)"""
    return targets[:, None] - outputs


def costs(outputs: Tensor, targets: Tensor, sigma: float) -> Tensor:
    """½(t − o)²/σ² of each expert. (N, E)"""
    return 0.5 * (gaps(outputs, targets) / sigma) ** 2


def joint(log_gates: Tensor, outputs: Tensor, targets: Tensor, sigma: float) -> Tensor:
    """log(g · exp(−½(t − o)²/σ²)). (N, E)"""
    return log_gates - costs(outputs, targets, sigma)


# `joint` with a slip in it: the title, the rule, what to say
OTHER_EXPONENTS = (
    ("The half is missing", lambda g, o, t, s: g - 2 * costs(o, t, s), "the exponent is −½(t − o)²/σ²."),
    ("σ is not squared", lambda g, o, t, s: g - 0.5 * gaps(o, t) ** 2 / s, "the distance is divided by σ before it is "
     "squared, so σ² stands below."),
    ("σ multiplies", lambda g, o, t, s: g - 0.5 * (gaps(o, t) * s) ** 2, "distances are divided by σ: with a large σ "
     "an answer far away still counts as near."),
    ("σ is ignored", lambda g, o, t, s: g - 0.5 * gaps(o, t) ** 2, "yours is right for σ = 1 only."),
    ("The distance is not squared", lambda g, o, t, s: g - 0.5 * gaps(o, t).abs() / s, "the exponent is "
     "−½(t − o)²/σ², with a square."),
    ("The exponent has the wrong sign", lambda g, o, t, s: g + costs(o, t, s), "an answer far from the target must "
     "count less: exp of *minus* ½(t − o)²/σ²."),
    ("The gates are missing", lambda g, o, t, s: -costs(o, t, s), "all experts count equally in yours. The gate g "
     "multiplies, so its logarithm is added."),
    ("Gates were added, not their logarithms", lambda g, o, t, s: g.exp() - costs(o, t, s), "`log_gates` was turned "
     "into gates and then added to an exponent. A product of g and exp(…) is a sum of *logarithms*."),
)  # fmt: skip

NEAR_SIGMA = [lambda s, eps=eps: (s**2 + eps) ** 0.5 for eps in (1e-6, 1e-8, 1e-9, 1e-10, 1e-12)]
NEAR_SIGMA += [lambda s, eps=eps: s + eps for eps in (1e-6, 1e-8, 1e-9)]


def beside_sigma(reference: Callable) -> tuple[Mistake, ...]:
    """The right answer for a σ that is a little larger, as from a small number added to σ or σ²."""
    sentence = (
        "With σ = {sigma} your answer is that for a slightly larger σ: a small number is added to σ or to σ². σ is "
        "above 0, so nothing has to be added."
    )
    rules = (lambda g, o, t, s, near=near: reference(g, o, t, near(s)) for near in NEAR_SIGMA)
    # not made on purpose: a rule gives no gradient, and that would be told first
    return tuple(replace(wrong("A small number is added to σ", rule, sentence), answer=None) for rule in rules)


# ---- inputs ----------------------------------------------------------------------------------------------------------


def plain_trials() -> tuple[Trial, ...]:
    return random(1, 6, 4, 0.5), random(2, 5, 3, 2.0, F32), random(3, 4, 7, 0.8)


def one_expert() -> Trial:
    return random(4, 6, 1, 0.6)


def random(seed: int, n: int, e: int, sigma: float, dtype: torch.dtype = F64) -> Trial:
    """log_gates (N, E), outputs (N, E), targets (N,), σ; answers within a few σ of the target."""
    g = inputs.generator(seed)
    log_gates = log_softmax(torch.randn(n, e, dtype=F64, generator=g).round(decimals=2))
    targets = torch.randn(n, dtype=F64, generator=g).round(decimals=2)
    away = (1.5 * sigma * torch.randn(n, e, dtype=F64, generator=g)).round(decimals=2)
    args = (log_gates.to(dtype), (targets[:, None] + away).to(dtype), targets.to(dtype), sigma)
    return Trial(args, f"{inputs.note(seed, dtype)}, σ = {sigma:g}")


def far_trials() -> tuple[Trial, ...]:
    """Where exp gives 0 in float32: targets far from every answer, and gates that are all but shut."""
    gates = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]]).log()  # (2, 3)
    outputs = torch.tensor([[0.0, 0.5, 1.0], [-1.0, 0.25, 2.0]])
    shut = torch.tensor([[-120.0, 0.0, -300.0], [0.0, -240.0, -110.0]])  # (2, 3)
    near = torch.tensor([[1.0, 40.0, 30.0], [-60.0, 2.5, 3.0]])
    return (
        Trial((gates, outputs, torch.tensor([100.0, -70.0]), 0.5), "targets far from all answers, float32"),
        Trial((gates, outputs, torch.tensor([3000.0, 2500.0]), 0.1), "targets very far, float32"),
        Trial((shut, near, torch.tensor([1.0, 3.0]), 1.0), "the near expert's gate almost shut, float32"),
    )


# ---- sentences -------------------------------------------------------------------------------------------------------


def drawn(seed: int, N: int, E: int) -> tuple:
    """log_gates, outputs, targets and σ of 2.2, 2.3 and 2.4."""
    targets = inputs.distinct(3 * seed + 1, N)
    outputs = targets[:, None] + inputs.distinct(3 * seed + 2, N, E)
    return log_softmax(inputs.distinct(3 * seed, N, E)), outputs, targets, 0.7


def extremes(seed: int) -> tuple[Trial, ...]:
    log_gates, outputs, targets, sigma = drawn(seed, 6, 4)
    shut, far = log_gates.clone(), outputs + 200
    shut[:, 0], far[:, 0] = -5000.0, targets + 0.5
    return (
        Trial((log_gates, targets[:, None].expand_as(outputs).clone(), targets, sigma), "every answer right"),
        Trial((log_gates, outputs * 0, targets * 0, sigma), "answers and targets 0"),
        Trial((log_gates, outputs + 1e6, targets + 1e6, sigma), "answers and targets near a million, float64"),
        Trial((log_gates, targets[:, None] + (outputs - targets[:, None]) * 1e-4, targets, 1e-4), "σ = 0.0001"),
        Trial((log_gates, outputs + 100, targets, sigma), "every answer far from the target, float64"),
        Trial((log_gates, torch.full_like(outputs, 100.0), targets * 0, sigma), "equal answers, far from the target"),
        Trial((log_softmax(shut), far, targets, sigma), "the near expert's gate all but shut, float64"),
        Trial((log_gates, outputs, targets, 1e4), "σ = 10,000"),
    )


def drawn_with(gradient: tuple[int, ...] = ()) -> Drawn:
    return Drawn(drawn, {"N": 6, "E": 4}, gradient=gradient, extremes=extremes)


def about(output: str, title: str, rule: Callable[..., Tensor], sentence: str, other_shape: bool = False) -> Mistake:
    """One output made by a rule, whatever the other is: "`y`: row 0 has 0.31, expected 0.27: the gates are missing"."""
    return one_wrong(output, title, rule, lambda a: f"`{output}`: {first_cell(a, output)}: {sentence}", other_shape)


def first_cell(a: Attempt, output: str) -> str:
    """`expert 0 of row 0 has 0.31, expected 0.27`, at the first cell that differs."""
    got, expected = a.got[output], a.expected[output]
    if got.shape != expected.shape:
        return f"it is {shape_text(got)}, expected {shape_text(expected)}"
    row, *expert = index = first_difference(got, expected)
    where = f"expert {expert[0]} of row {row}" if expert else f"row {row}"
    return f"{where} has {Beside(got[index], expected[index])}"
