"""What balancing does and costs, against the coefficient of its loss."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

from matplotlib.figure import Figure
from torch import Tensor

from moe_lite.look.picture import Picture
from moe_lite.plots.figure import BRAND, FG, FG2, picture
from moe_lite.plots.tables import number


def against_coefficient(values: Mapping[str, Tensor], coefficients: Sequence[float], x: str = "coefficient") -> Picture:
    """One small panel for each measure: a dot for every seed, a line through their means.

    values: {measure: (C, S)}, coefficients C, rising, on a logarithmic axis; a 0 stands apart at its left.
    x: what the coefficients are, in words.
    """
    n_panels = len(values)
    figure = Figure(figsize=(8.4, 2.6), layout="constrained")
    read = []
    for axes, (name, by_seed) in zip(figure.subplots(1, n_panels, squeeze=False)[0], values.items(), strict=True):
        if by_seed.shape[0] != len(coefficients):
            raise ValueError(f"{name}: {by_seed.shape[0]} rows for {len(coefficients)} coefficients.")
        places = _places(coefficients)
        means = by_seed.double().mean(dim=1).tolist()
        for place, seeds in zip(places, by_seed.tolist(), strict=True):
            axes.plot([place] * len(seeds), seeds, "o", color=FG2, markersize=2.5)
        first = 1 if coefficients[0] == 0 else 0  # no line from a real 0 to the next: the axis breaks there
        axes.plot(places[first:], means[first:], "-", color=BRAND, linewidth=1.4)
        if first:
            axes.plot([0], means[:1], "_", color=BRAND, markersize=12, markeredgewidth=1.6)
            axes.axvline(0.5, color=FG2, linewidth=0.8, linestyle=":")
        axes.set_xticks(places, [f"{i % 2 * chr(10)}{c:g}" for i, c in enumerate(coefficients)])  # in two rows
        axes.set_title(name, loc="left", color=FG, fontsize=9)
        axes.set_xlabel(x)
        read.append(f"{name}: {number(means[0])} at {coefficients[0]:g}, {number(means[-1])} at {coefficients[-1]:g}")
    return picture(figure, "Means over seeds. " + "; ".join(read) + ".")


def _places(coefficients: Sequence[float]) -> list[float]:
    """Logarithms of what is rising and not negative, the nearest two of them 1 apart; a 0 is 1 before the first."""
    logs = [math.log(c) for c in coefficients if c > 0]
    least = min((b - a for a, b in pairwise(logs)), default=1.0)
    return [0.0] * (coefficients[0] == 0) + [1 + (log - logs[0]) / least for log in logs]
