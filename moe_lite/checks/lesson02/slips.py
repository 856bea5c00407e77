"""What lesson 02's checks have in common: trials of a mixture, its parts written plainly, and the same with a slip."""

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.compare import close, decimals_that_differ, number, shape_text
from moe_lite.checks.engine.exercise import Attempt, Trial

F32, F64 = torch.float32, torch.float64


def log_softmax(logits: Tensor, dim: int = -1) -> Tensor:
    lowered = logits - logits.detach().amax(dim=dim, keepdim=True)  # at most 0
    return lowered - lowered.exp().sum(dim=dim, keepdim=True).log()


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


# Exponents with a slip in them, each of the same arguments as `joint`.
EXPONENTS = {
    "The half is missing": lambda g, o, t, s: g - 2 * costs(o, t, s),
    "σ is not squared": lambda g, o, t, s: g - 0.5 * gaps(o, t) ** 2 / s,
    "σ multiplies": lambda g, o, t, s: g - 0.5 * (gaps(o, t) * s) ** 2,
    "σ is ignored": lambda g, o, t, s: g - 0.5 * gaps(o, t) ** 2,
    "The distance is not squared": lambda g, o, t, s: g - 0.5 * gaps(o, t).abs() / s,
    "The exponent's sign is turned": lambda g, o, t, s: g + costs(o, t, s),
    "The gates are missing": lambda g, o, t, s: -costs(o, t, s),
    "The gates are no logarithms here": lambda g, o, t, s: g.exp() - costs(o, t, s),
}
ADVICE = {
    "The half is missing": "the exponent is −½(t − o)²/σ².",
    "σ is not squared": "the distance is divided by σ before it is squared, so σ² stands below.",
    "σ multiplies": "distances are divided by σ: with a large σ an answer far away still counts as near.",
    "σ is ignored": "yours is right for σ = 1 only.",
    "The distance is not squared": "the exponent is −½(t − o)²/σ², with a square.",
    "The exponent's sign is turned": "an answer far from the target must weigh less: exp of *minus* ½(t − o)²/σ².",
    "The gates are missing": "every expert counts alike in yours. Its gate g multiplies, so its logarithm is added.",
    "The gates are no logarithms here": "`log_gates` was turned into gates and then added to an exponent. A product "
    "of g and exp(…) is a sum of *logarithms*.",
}


def random_trial(
    seed: int, n: int, e: int, sigma: float, dtype: torch.dtype = F64, scale: float = 1.0, note: str = ""
) -> Trial:
    """log_gates (N, E), outputs (N, E), targets (N,), σ; answers within a few σ of the target."""
    g = inputs.generator(seed)
    log_gates = log_softmax(torch.randn(n, e, dtype=F64, generator=g).round(decimals=2))
    targets = torch.randn(n, dtype=F64, generator=g).round(decimals=2)
    away = (1.5 * scale * sigma * torch.randn(n, e, dtype=F64, generator=g)).round(decimals=2)
    args = (log_gates.to(dtype), (targets[:, None] + away).to(dtype), targets.to(dtype), sigma)
    return Trial(args, f"{inputs.note(seed, dtype)}, σ = {sigma:g}{note}")


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


def first_cell(attempt: Attempt, name: str, row: bool = True) -> str:
    """`expert 0 of row 0 has 0.31, expected 0.27`, at the first cell that differs."""
    got, expected = attempt.got[name], attempt.expected[name]
    if got.shape != expected.shape:
        return f"it is {shape_text(got)}, expected {shape_text(expected)}"
    wrong = [i for i in range(got.numel()) if not close(got.flatten()[i], expected.flatten()[i])]
    at = wrong[0] if wrong else 0
    mine, right = float(got.flatten()[at]), float(expected.flatten()[at])
    decimals = decimals_that_differ([(mine, right)])
    where = f"expert {at % expected.shape[1]} of row {at // expected.shape[1]}" if row else f"row {at}"
    return f"{where} has {number(mine, decimals)}, expected {number(right, decimals)}"
