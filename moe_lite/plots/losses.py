"""Loss against what was spent on it, or against top-k."""

from collections.abc import Mapping, Sequence
from itertools import cycle

from matplotlib.figure import Figure

from moe_lite.lab.runs import Recording
from moe_lite.look.picture import Picture
from moe_lite.plots.figure import BRAND, FG, FG2, HALO, label, picture, spread_labels


def loss_by_top_k(losses: Mapping[int, Mapping[int | str, float]], trained_at: int) -> Picture:
    """Validation loss against the number of experts per token at inference, one line for each expert count.

    losses: {n_experts: {top_k: nats per token}}, as `pretrained_record(E)["val_loss_by_top_k"]` holds them.
    """
    figure = Figure(figsize=(6.4, 3.4))
    axes = figure.add_subplot()
    best = []
    for (n_experts, by_k), style in zip(losses.items(), cycle(("-", "--", ":")), strict=False):
        k, last = [int(key) for key in by_k], [*by_k][-1]
        y = list(by_k.values())
        axes.plot(k, y, style, color=FG, linewidth=1.2, marker="o", markersize=3)
        others = [other[last] for other in losses.values() if last in other]  # the lines that get as far, this one too
        label(axes, f"{n_experts} experts", (k[-1], y[-1]), above=y[-1] == max(others) and len(others) > 1)
        low, at_home = min(range(len(k)), key=y.__getitem__), k.index(trained_at)
        compared = ", as trained" if low == at_home else f"; {y[at_home]:.2f} at {trained_at}"
        best.append(f"{n_experts} experts are lowest at top-{k[low]} ({y[low]:.2f}{compared})")
    axes.axvline(trained_at, color=BRAND, linewidth=1)
    axes.annotate(f"trained at {trained_at}", (trained_at, 1), (4, -4), xycoords=("data", "axes fraction"),
                  textcoords="offset points", va="top", color=BRAND)  # fmt: skip
    axes.set_xlabel("experts per token at inference, top-k (logarithmic)")
    axes.set_ylabel("validation loss, nats per token")
    axes.set_xscale("log", base=2)
    ticks = [1, 2, 4, 8, 16]
    axes.set_xticks(ticks, [str(k) for k in ticks])
    axes.set_xlim(0.9, 26)
    return picture(figure, "Validation loss by experts per token: " + "; ".join(best) + ".")


def loss_curves(
    runs: Mapping[str, Sequence[tuple[int, float]]], levels: Mapping[str, float] | None = None, window: int = 10
) -> Picture:
    """Training loss against tokens seen, a line a run: the mean of the last `window` points, the points behind it.

    runs: {name: [(tokens, nats per token), …]}; levels: losses to compare with, drawn across.
    """
    figure = Figure(figsize=(6.4, 3.4))
    axes = figure.add_subplot()
    read = []
    for (name, points), style in zip(runs.items(), cycle(("-", "--", ":")), strict=False):
        tokens, loss = [t for t, _ in points], [y for _, y in points]
        smooth = [sum(loss[max(0, i + 1 - window) : i + 1]) / min(i + 1, window) for i in range(len(loss))]
        axes.plot(tokens, loss, color=FG2, linewidth=0.5, alpha=0.5)
        axes.plot(tokens, smooth, style, color=FG, linewidth=1.4)
        label(axes, name, (tokens[-1], smooth[-1]))
        read.append(f"{name}: from {loss[0]:.2f} to {smooth[-1]:.2f} after {tokens[-1]:,} tokens")
    for name, level in (levels or {}).items():
        axes.axhline(level, color=BRAND, linewidth=1)
        axes.annotate(f"{name}: {level:.2f}", (1, level), (-2, 4), xycoords=("axes fraction", "data"), bbox=HALO,
                      textcoords="offset points", ha="right", color=BRAND)  # fmt: skip
        read.append(f"{name}: {level:.2f}")
    axes.set_xlabel("tokens seen")
    axes.set_ylabel("loss, nats per token")
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    return picture(figure, "Training loss. " + "; ".join(read) + ".")


def recorded(recordings: Sequence[Recording], last: float = 1.0) -> Picture:
    """Validation loss against tokens of recorded trainings: a line for the mean over seeds, a band from worst to best.

    last: the share of the training that is drawn, counted from its end; all of it if 1.
    """
    figure = Figure(figsize=(6.4, 3.6))
    axes = figure.add_subplot()
    read = []
    for recording, style in zip(recordings, cycle(("-", "--", ":", "-.")), strict=False):
        tokens = recording.runs[0].validation_tokens
        shown = [i for i, t in enumerate(tokens) if t >= (1 - last) * recording.tokens]
        by_seed = [[run.validation[i] for i in shown] for run in recording.runs]  # (seeds, points)
        x, points = [tokens[i] for i in shown], [*zip(*by_seed, strict=True)]
        mean = [sum(point) / len(point) for point in points]
        axes.fill_between(x, [*map(min, points)], [*map(max, points)], color=FG2, alpha=0.18, linewidth=0)
        axes.plot(x, mean, style, color=FG, linewidth=1.4)
        label(axes, recording.title, (x[-1], mean[-1]))
        read.append(f"{recording.title}: {mean[0]:.2f} to {mean[-1]:.2f}, {len(by_seed)} seeds")
    spread_labels(axes)
    axes.set_xlabel("tokens seen, millions")
    axes.set_ylabel("validation loss, nats per token")
    axes.xaxis.set_major_formatter(lambda x, _: f"{x / 1e6:g}")
    return picture(figure, "Recorded validation loss, mean and range over seeds. " + "; ".join(read) + ".")
