"""Many small networks and one gate: the mixture of experts of 1991, on problems that fit on a page.

Jacobs, Jordan, Nowlan, Hinton: Adaptive mixtures of local experts, Neural Computation 3 (1991), doi
10.1162/neco.1991.3.1.79. Every expert works on every input here: nothing is sparse yet.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Problem:
    """Inputs x (N, D) and targets (N,); with `classes` the targets are −1 and +1. sigma: a width that suits them."""

    x: Tensor
    targets: Tensor
    sigma: float
    classes: bool = False

    def error(self, y: Tensor) -> float:
        """How far the answers y (N,) are from the targets: the root of the mean square."""
        return (y.detach() - self.targets).square().mean().sqrt().item()

    def halves(self) -> tuple["Problem", "Problem"]:
        """The inputs left of 0, where one thing is asked, and those right of it, where it is another."""
        left = self.x[:, 0] < 0  # (N,)
        return tuple(replace(self, x=self.x[half], targets=self.targets[half]) for half in (left, ~left))


def line_and_wave(n: int = 256, seed: int = 0, noise: float = 0.05) -> Problem:
    """1-D: left of 0 the targets lie on a falling line, right of it on a wave."""
    generator = torch.Generator().manual_seed(seed)
    x = 2 * torch.rand(n, generator=generator) - 1  # (N,)
    clean = torch.where(x < 0, -1.2 * x - 0.9, 0.5 * (9 * x).sin() + 0.3)
    return Problem(x[:, None], clean + noise * torch.randn(n, generator=generator), sigma=0.5)


def slope_and_disc(n: int = 256, seed: int = 0, noise: float = 0.03) -> Problem:
    """2-D, two classes: on the left +1 lies above a slope, on the right inside a disc."""
    generator = torch.Generator().manual_seed(seed)
    x = 2 * torch.rand(n, 2, generator=generator) - 1  # (N, 2)
    above = x[:, 1] - 0.9 * (x[:, 0] + 0.5)
    inside = 0.4 - (x - torch.tensor([0.5, 0.0])).norm(dim=-1)
    margin = torch.where(x[:, 0] < 0, above, inside) + noise * torch.randn(n, generator=generator)
    return Problem(x, 2 * (margin > 0).float() - 1, sigma=1.0, classes=True)


PROBLEMS: dict[str, Callable[..., Problem]] = {"1-D": line_and_wave, "2-D": slope_and_disc}

Gate = Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]  # as soft_gate
Loss = Callable[[Tensor, Tensor, Tensor, float], Tensor]  # as mixture_nll


def soft_gate(x: Tensor, w_gate: Tensor, b_gate: Tensor, outputs: Tensor) -> tuple[Tensor, Tensor]:
    """x (N, D), w_gate (E, D), b_gate (E,), outputs (N, E) -> the gates' logarithms (N, E), the blended answer (N,)."""
    log_gates = (x @ w_gate.T + b_gate).log_softmax(dim=-1)  # (N, E)
    return log_gates, (log_gates.exp() * outputs).sum(dim=-1)


def exponents(log_gates: Tensor, outputs: Tensor, targets: Tensor, sigma: float) -> Tensor:
    """log(g_i · exp(−½(t − o_i)²/σ²)): an expert's gate, times how well its own answer fits. (N, E)"""
    return log_gates - 0.5 * ((targets[:, None] - outputs) / sigma).square()


def mixture_nll(log_gates: Tensor, outputs: Tensor, targets: Tensor, sigma: float) -> Tensor:
    """The competitive loss () of (N, E), (N, E), (N,): mean −log Σ g_i exp(−½(t − o_i)²/σ²); equation 1.3 has σ = 1."""
    return -exponents(log_gates, outputs, targets, sigma).logsumexp(dim=-1).mean()


def cooperative_loss(log_gates: Tensor, outputs: Tensor, targets: Tensor, sigma: float) -> Tensor:
    """The blend's error () in the same unit, mean ½(t − Σ g_i o_i)²/σ²; equation 1.1. Equal to the other if E is 1."""
    blend = (log_gates.exp() * outputs).sum(dim=-1)  # (N,)
    return 0.5 * ((targets - blend) / sigma).square().mean()


LOSSES: dict[str, Loss] = {"competitive": mixture_nll, "cooperative": cooperative_loss}


def responsibilities(log_gates: Tensor, outputs: Tensor, targets: Tensor, sigma: float) -> Tensor:
    """The gates once the target is known, (N, E), (N, E), (N,) -> h (N, E): each share weighed by its expert's fit."""
    return exponents(log_gates, outputs, targets, sigma).softmax(dim=-1)


def pulls(log_gates: Tensor, outputs: Tensor, targets: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
    """Minus the slope of each input's own loss by each answer: cooperative (N, E), competitive (N, E)."""
    gates, own_gap = log_gates.exp(), targets[:, None] - outputs  # (N, E), (N, E)
    blend_gap = targets[:, None] - (gates * outputs).sum(dim=-1, keepdim=True)  # (N, 1)
    h = responsibilities(log_gates, outputs, targets, sigma)  # (N, E)
    return gates * blend_gap / sigma**2, h * own_gap / sigma**2


@dataclass(frozen=True)
class Answer:
    """What a mixture says to N inputs."""

    outputs: Tensor  # (N, E), every expert's answer
    log_gates: Tensor  # (N, E)
    y: Tensor  # (N,), the blend


class Mixture(nn.Module):
    """E networks of F tanh units with one output each, stacked, and a gate that is one matrix and a bias.

    equal_start: all experts begin as copies of one. gate: takes and gives what `soft_gate` does.
    """

    def __init__(
        self, n_inputs: int, n_experts: int, hidden: int = 3, *, seed: int = 0, equal_start: bool = False,
        gate: Gate = soft_gate,
    ):  # fmt: skip
        super().__init__()
        generator, drawn = torch.Generator().manual_seed(seed), 1 if equal_start else n_experts

        def draw(*shape: int, scale: float) -> nn.Parameter:  # (E, …)
            values = scale * torch.randn(drawn, *shape, generator=generator)
            return nn.Parameter(values.expand(n_experts, *shape).clone())

        self.w_in, self.b_in = draw(n_inputs, hidden, scale=2.0), draw(1, hidden, scale=1.0)  # (E, D, F), (E, 1, F)
        self.w_out, self.b_out = draw(hidden, 1, scale=hidden**-0.5), draw(1, 1, scale=0.1)  # (E, F, 1), (E, 1, 1)
        self.w_gate, self.b_gate = draw(n_inputs, scale=0.0), draw(scale=0.0)  # (E, D), (E,): equal gates at first
        self.gate = gate

    def learn(self, *, gate: bool = True, experts: bool = True) -> "Mixture":
        """Say which parts training may change; returns the mixture itself."""
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(gate if name.endswith("gate") else experts)
        return self

    def forward(self, x: Tensor) -> Answer:
        """All experts answer all inputs x (N, D), and the gate blends."""
        copies = x.expand(len(self.w_in), *x.shape)  # (E, N, D)
        hidden = torch.baddbmm(self.b_in, copies, self.w_in).tanh()  # (E, N, F)
        outputs = torch.baddbmm(self.b_out, hidden, self.w_out)[:, :, 0].T  # (N, E)
        return Answer(outputs, *self.gate(x, self.w_gate, self.b_gate, outputs))

    def only_top(self, x: Tensor) -> Tensor:
        """The answer (N,) if only the top expert of each input x (N, D) is computed: the one with the largest gate."""
        top = (x @ self.w_gate.T + self.b_gate).argmax(dim=-1)  # (N,)
        hidden = torch.baddbmm(self.b_in[top], x[:, None], self.w_in[top]).tanh()  # (N, 1, F)
        return torch.baddbmm(self.b_out[top], hidden, self.w_out[top])[:, 0, 0]  # (N,)


@dataclass(frozen=True)
class MixtureLog:
    """One step of training, before its update."""

    step: int  # 1 is the first
    loss: float
    error: float  # of the blend, root of the mean square
    claimed: Tensor  # (E,), mean responsibility of each expert, sums to 1; (0,) if it was not asked for


def train(
    mixture: Mixture, problem: Problem, *, loss: Loss = mixture_nll, steps: int = 600, lr: float = 0.03,
    sigma: float | None = None, responsible: Loss | None = responsibilities,
) -> Iterator[MixtureLog]:  # fmt: skip
    """Train with Adam on all of the problem at once; one log per step. sigma: the problem's own unless given."""
    width = problem.sigma if sigma is None else sigma
    optimizer = torch.optim.Adam([p for p in mixture.parameters() if p.requires_grad], lr=lr)
    for step in range(1, steps + 1):
        with torch.enable_grad():  # also inside a cell's no_grad, and in another thread
            answer = mixture(problem.x)
            value = loss(answer.log_gates, answer.outputs, problem.targets, width)
            optimizer.zero_grad()
            value.backward()
        claimed = torch.empty(0)
        if responsible is not None:
            with torch.no_grad():
                claimed = responsible(answer.log_gates, answer.outputs, problem.targets, width).mean(dim=0)  # (E,)
        optimizer.step()
        yield MixtureLog(step, value.item(), problem.error(answer.y), claimed)


def trained(mixture: Mixture, problem: Problem, **settings) -> Mixture:
    """Take all steps of `train` with these settings. Changes the mixture, and returns it."""
    for _ in train(mixture, problem, responsible=None, **settings):
        pass
    return mixture


@dataclass(frozen=True)
class Measures:
    """How a mixture does on a problem; errors are roots of mean squares, in the unit of the targets."""

    error: float  # of the blend
    alone: float  # when the top expert of each input answers alone
    effective: float  # number of experts, exp of the gates' mean entropy: 1 if one gate has it all, E if all are equal
    used: int  # experts that have the largest gate for at least 2 % of the inputs


@torch.no_grad()
def measure(mixture: Mixture, problem: Problem) -> Measures:
    answer = mixture(problem.x)
    gates = answer.log_gates.exp()  # (N, E)
    effective = torch.special.entr(gates).sum(dim=-1).mean().exp().item()
    used = int((gates.argmax(dim=-1).bincount() >= 0.02 * len(gates)).sum())
    return Measures(problem.error(answer.y), problem.error(mixture.only_top(problem.x)), effective, used)


MEASURED = ("error of the blend", "of the top expert alone", "effective experts")  # the columns of `ranges`


def ranges(rows: dict[str, list[Mixture]], problem: Problem) -> tuple[Tensor, Tensor]:
    """The least and the most of each measure over the mixtures of a row, which differ by their start. (R, 3), (R, 3)"""
    least, most = [], []
    for mixtures in rows.values():
        found = [measure(mixture, problem) for mixture in mixtures]
        values = torch.tensor([(m.error, m.alone, m.effective) for m in found])  # (starts, 3)
        least.append(values.amin(dim=0))
        most.append(values.amax(dim=0))
    return torch.stack(least), torch.stack(most)
