"""Data -> figure: pure functions that return a Picture, for light and dark pages, with its reading as alt text."""

from moe_lite.plots.balance import against_coefficient
from moe_lite.plots.costs import lines, times
from moe_lite.plots.loads import loads
from moe_lite.plots.losses import loss_by_top_k, loss_curves, recorded
from moe_lite.plots.ranges import compared, intervals, ranges
from moe_lite.plots.strips import strips
from moe_lite.plots.tables import number, table

__all__ = [
    "against_coefficient",
    "compared",
    "intervals",
    "lines",
    "loads",
    "loss_by_top_k",
    "loss_curves",
    "number",
    "ranges",
    "recorded",
    "strips",
    "table",
    "times",
]
