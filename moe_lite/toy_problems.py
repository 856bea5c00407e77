"""Two problems that one page can show: what is asked left of 0 is another thing than right of it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor


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
