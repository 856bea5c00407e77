"""What the balance lab shows, kept: a long table, and a picture."""

import csv
import io
from collections.abc import Sequence

from matplotlib.figure import Figure

from moe_lite.widgets.balance_lab.view import MEASURES, Column, figures, multiples
from moe_lite.widgets.balance_lab.words import final, subtitle, title

FIELDS = ("run", "source", "step", "layer", "expert", "load", "times_fair", *MEASURES, "validation_loss")


def csv_text(columns: Sequence[Column]) -> str:
    """One line for each run, bin of steps, layer and expert; layers and experts by the numbers that the lab shows."""
    buffer = io.StringIO()
    table = csv.writer(buffer, lineterminator="\n")
    table.writerow(FIELDS)
    for column in columns:
        run = column.run
        for layer in range(run.load.shape[1]):
            shares, numbers = multiples(column, layer), figures(column, layer)
            for place, step in enumerate(run.steps):
                measured = [round(numbers.by_name[name][place], 4) for name in MEASURES]
                for expert, load in enumerate(run.load[place, layer].tolist()):
                    fair = round(shares[place, expert].item(), 4)
                    row = [run.name, run.source, step, layer + 1, expert, load, fair, *measured, run.final_loss]
                    table.writerow(row)
    return buffer.getvalue()


def png_bytes(columns: Sequence[Column], layer: int) -> bytes:
    """Strips and measures of one layer, drawn for paper."""
    shown = [column for column in columns if column.run.steps]
    if not shown:
        raise ValueError("There is nothing to save yet: no column has a step.")
    names = ("CV", "dead experts", "training loss")
    figure = Figure(figsize=(3.2 * len(shown), 6.4), layout="constrained", dpi=150)
    grid = figure.subplots(1 + len(names), len(shown), squeeze=False, height_ratios=[3, 1, 1, 1])
    for i, column in enumerate(shown):
        steps, top = column.run.steps, grid[0][i]
        extent = (0, steps[-1], column.n_experts - 0.5, -0.5)
        image = top.imshow(
            multiples(column, layer).T.numpy(),
            aspect="auto",
            extent=extent,
            vmin=0,
            vmax=4,
            cmap="Greys",
            interpolation="none",
        )
        top.set_title(f"{title(column)}\n{subtitle(column)}", fontsize=8, loc="left")
        found = figures(column, layer)
        for axes, name in zip((row[i] for row in grid[1:]), names, strict=True):
            axes.plot(steps, found.by_name[name], linewidth=1)
            axes.set_ylabel(name, fontsize=7)
        grid[-1][i].set_xlabel(f"step; validation loss {final(found.losses)}", fontsize=7)
    grid[0][0].set_ylabel(f"expert, layer {layer + 1}", fontsize=7)
    figure.colorbar(image, ax=[row[-1] for row in grid[:1]], label="× fair share")
    for axes in grid.flat:
        axes.tick_params(labelsize=6)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
