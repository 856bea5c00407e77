"""What the expert partition shows: one training, and the mixture looked at on a grid of inputs."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from moe_lite.lab.live import LiveRun
from moe_lite.lessons.mixture import PROBLEMS, Loss, Measures, Mixture, MixtureLog, Problem, measure

LINE, CELLS, FEW_CELLS = 161, 48, 20  # points of a curve; cells a side of the plane, and of each expert's small one
N_TEST, TEST_SEED = 1024, 1  # points that training never sees


@dataclass(eq=False)
class Fit:
    """One training: what it was asked for, what it trains, and how it runs."""

    task: str  # a key of PROBLEMS
    loss: str  # a key of LOSSES
    seed: int
    mixture: Mixture
    responsible: Loss
    total: int  # steps
    live: LiveRun[MixtureLog] | None = None
    problem: Problem = field(init=False)
    test: Problem = field(init=False)

    def __post_init__(self):
        self.problem, self.test = PROBLEMS[self.task](), PROBLEMS[self.task](N_TEST, TEST_SEED)

    @property
    def n_experts(self) -> int:
        return len(self.mixture.b_gate)

    @property
    def step(self) -> int:
        return self.live.logs[-1].step if self.live and self.live.logs else 0

    @property
    def state(self) -> str:
        return self.live.state if self.live else "ready"


@dataclass(frozen=True)
class View:
    """A mixture on a grid, and on the data it learns from."""

    x: Tensor  # (G, D), the grid
    outputs: Tensor  # (G, E)
    gates: Tensor  # (G, E)
    y: Tensor  # (G,)
    claimed_by: Tensor  # (N,), the most responsible expert of each training point
    measures: Measures
    wrong: float  # share of the test points on the wrong side; for classes only


@torch.no_grad()
def look(fit: Fit) -> View:
    x = line() if fit.task == "1-D" else plane(CELLS)
    there, data = fit.mixture(x), fit.mixture(fit.problem.x)
    h = fit.responsible(data.log_gates, data.outputs, fit.problem.targets, fit.problem.sigma)  # (N, E)
    missed = (fit.mixture(fit.test.x).y > 0) != (fit.test.targets > 0)
    return View(
        x, there.outputs, there.log_gates.exp(), there.y, h.argmax(dim=-1), measure(fit.mixture, fit.test),
        missed.float().mean().item(),
    )  # fmt: skip


def line() -> Tensor:
    return torch.linspace(-1, 1, LINE)[:, None]  # (G, 1)


def plane(cells: int) -> Tensor:
    """The middles of cells × cells squares, row by row, the first row at the top. (G, 2)"""
    middles = (torch.arange(cells) + 0.5) / cells * 2 - 1
    down, right = torch.meshgrid(-middles, middles, indexing="ij")
    return torch.stack([right.flatten(), down.flatten()], dim=1)
