"""What a layer costs: measured time beside counted FLOPs."""

from collections.abc import Mapping
from itertools import cycle, pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from moe_lite.lab.timing import Timing
from moe_lite.look.picture import Picture
from moe_lite.plots.figure import FG, LABEL, label, picture, spread_labels

_STYLES = ("-", "--", ":", "-.")


def times(timings: Mapping[str, Mapping[int, Timing]], flops: Mapping[str, Mapping[int, float]], x: str) -> Picture:
    """Time and FLOPs as multiples of a dense layer's, side by side, against what was varied; all axes logarithmic.

    timings: {name: {value of x: ratios to the dense layer, round by round}}, drawn as median and quartiles
    flops:   {name: {value of x: ratio}}; x: what was varied, in words
    """
    figure = Figure(figsize=(8.4, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    read = []
    for (name, by_x), style in zip(timings.items(), cycle(_STYLES), strict=False):
        values, medians = [*by_x], [timing.median for timing in by_x.values()]
        spread = [[abs(t.median - t.quartiles[end]) for t in by_x.values()] for end in (0, 1)]
        left.errorbar(values, medians, spread, linestyle=style, color=FG, linewidth=1.2, marker="o", markersize=3)
        label(left, name, (values[-1], medians[-1]))
        read.append(f"{name}: time {medians[0]:.2f} at {values[0]}, {medians[-1]:.2f} at {values[-1]}")
    for (name, by_x), style in zip(flops.items(), cycle(_STYLES), strict=False):
        values, ratios = [*by_x], [*by_x.values()]
        right.plot(values, ratios, style, color=FG, linewidth=1.2, marker="o", markersize=3)
        label(right, name, (values[-1], ratios[-1]))
        read.append(f"{name}: FLOPs {ratios[0]:.2f} at {values[0]}, {ratios[-1]:.2f} at {values[-1]}")
    for axes, title in (left, "measured time, dense layer = 1"), (right, "counted FLOPs, dense layer = 1"):
        _logarithmic(axes, [*next(iter(timings.values()))], x)
        axes.set_title(title, loc="left", color=FG, fontsize=9)
    for axes in (left, right):
        spread_labels(axes)
    return picture(figure, f"Time and FLOPs against {x}. " + "; ".join(read) + ".")


def lines(panels: Mapping[str, Mapping[str, Mapping[int, float]]], x: str) -> Picture:
    """One panel for each measure, its lines against what was varied, on a logarithmic axis. Each is named at its end,
    or in a legend beside the figure where two end too close to each other.

    panels: {measure: {name of a line: {value of x: value}}}; x: what was varied, in words
    """
    figure = Figure(figsize=(8.4, 3.0), layout="constrained")
    read = []
    for axes, (measure, by_name) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        for (name, by_x), style in zip(by_name.items(), cycle(_STYLES), strict=False):
            values, heights = [*by_x], [*by_x.values()]
            axes.plot(values, heights, style, color=FG, linewidth=1.2, marker="o", markersize=3, label=name)
            read.append(f"{measure}, {name}: " + ", ".join(f"{y:.2f} at {value}" for value, y in by_x.items()))
        axes.set_xscale("log", base=2)
        every = values[:: 1 + len(values) // 7]
        axes.set_xticks(every, [f"{value:,}" for value in every])
        axes.set_ylim(bottom=0)
        axes.margins(y=0.1)
        axes.set_xlabel(x)
        axes.set_title(measure, loc="left", color=FG, fontsize=9)
        _name(axes)
    return picture(figure, f"Against {x}. " + "; ".join(read) + ".")


def _name(axes: Axes) -> None:
    """The names of the lines at their ends, or in a legend, the highest end first."""
    ends = {line: line.get_xydata()[-1] for line in sorted(axes.lines, key=lambda line: -line.get_ydata()[-1])}
    places = [axes.transData.transform(end)[1] * 72 / axes.figure.dpi for end in ends.values()]  # points
    if all(upper - lower >= LABEL for upper, lower in pairwise(places)):
        for line, end in ends.items():
            label(axes, line.get_label(), tuple(end))
    else:
        axes.legend(handles=[*ends], loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, labelcolor=FG,
                    handlelength=3.5)  # fmt: skip


def _logarithmic(axes: Axes, values: list[int], x: str) -> None:
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    axes.set_xticks(values, [str(value) for value in values])
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xlabel(x)
