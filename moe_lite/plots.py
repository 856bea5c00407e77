"""Data -> figure: pure functions that return a Picture, for light and dark pages, with its reading as alt text."""

import io
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from itertools import cycle

import matplotlib
from matplotlib.figure import Figure
from torch import Tensor

from moe_lite.palette import css_variables, expert_class
from moe_lite.picture import Picture

# what matplotlib draws in these colours becomes a CSS variable, so that one SVG is right in both themes
_INK = {
    "#010101": "var(--fg)",
    "#020202": "var(--fg2)",
    "#030303": "var(--line)",
    "#040404": "var(--brand)",
    "#050505": "var(--bg)",
}
_FG, _FG2, _LINE, _BRAND, _BG = _INK
_HALO = {"facecolor": _BG, "edgecolor": "none", "pad": 1}  # behind a label: lines may cross it

_TABLE_CSS = """
.mx.tb{font:13px/1.4 var(--jp-ui-font-family,system-ui,sans-serif);color:var(--fg);font-variant-numeric:tabular-nums}
.tb table{border-collapse:separate;border-spacing:2px;margin:4px 0;font-size:12px;color:var(--fg);background:none}
.tb caption{caption-side:top;white-space:nowrap;text-align:left;color:var(--fg2);font-size:12px;padding:0 0 4px}
.tb tr,.tb tr:hover{background:none!important}
.tb td,.tb th{padding:2px 8px;text-align:right;min-width:36px;font-weight:400;border:0;background:none}
.tb th{color:var(--fg2);font-size:11px}.tb tbody th{text-align:left}
.tb td{box-shadow:inset 0 0 0 1px var(--line)}
.tb td.on{background:var(--t);color:var(--onTint);font-weight:600;box-shadow:inset 0 0 0 1px var(--m)}
.tb td.right{box-shadow:none;padding-left:16px;color:var(--fg2)}
.tb .n{display:inline-block;min-width:18px;border-radius:3px;background:var(--t);color:var(--onTint);font-weight:700;text-align:center}
"""  # noqa: E501 - CSS


def table(
    values: Tensor,
    caption: str,
    *,
    chosen: Tensor | None = None,
    rows: Sequence[str] | None = None,
    columns: Iterable | None = None,
    right: tuple[str, Tensor] | None = None,
) -> Picture:
    """A small matrix, drawn: one row a token, one column an expert, unless `rows` and `columns` name them otherwise.

    values (R, C); chosen (R, k): columns to fill in the expert's colour; right: a name and a number for each row.
    """
    n_rows, n_columns = values.shape
    names = list(rows) if rows is not None else [f"token {i}" for i in range(n_rows)]
    if columns is None:
        heads = [f'<th><span class="n {expert_class(e, n_columns)}">{e}</span></th>' for e in range(n_columns)]
    else:
        heads = [f"<th>{escape(str(column))}</th>" for column in columns]
    if len(names) != n_rows or len(heads) != n_columns:
        raise ValueError(
            f"values are {n_rows} × {n_columns}, but there are {len(names)} rows and {len(heads)} columns."
        )
    if right is not None:
        heads.append(f"<th>{escape(right[0])}</th>")
    body = []
    for i, name in enumerate(names):
        picked = set() if chosen is None else set(chosen[i].tolist())
        cells = [f"<th>{escape(name)}</th>"]
        for e, value in enumerate(values[i].tolist()):
            on = f' class="on {expert_class(e, n_columns)}"' if e in picked else ""
            cells.append(f"<td{on}>{number(value)}</td>")
        if right is not None:
            cells.append(f'<td class="right">{number(right[1][i].item())}</td>')
        body.append(f"<tr>{''.join(cells)}</tr>")
    html = (
        f'<style>{css_variables()}{_TABLE_CSS}</style><div class="mx tb"><table><caption>{escape(caption)}</caption>'
        f"<thead><tr><th></th>{''.join(heads)}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )
    return Picture(html, f"Table, {n_rows} × {n_columns}: {caption}")


def number(value: float) -> str:
    """Two decimals; whole numbers without any; what two decimals would hide in powers of ten."""
    if value == round(value) and abs(value) < 1e6:
        text = f"{value:.0f}"
    elif abs(value) < 0.005:
        text = f"{value:.0e}"
    else:
        text = f"{value:.2f}"
    return "0" if text == "-0" else text.replace("-", "−")


def loss_by_top_k(losses: Mapping[int, Mapping[int | str, float]], trained_at: int) -> Picture:
    """Validation loss against the number of experts a token at inference, one line for each expert count.

    losses: {n_experts: {top_k: nats a token}}, as `pretrained_record(E)["val_loss_by_top_k"]` holds them.
    """
    figure = Figure(figsize=(6.4, 3.4))
    axes = figure.add_subplot()
    best = []
    for (n_experts, by_k), style in zip(losses.items(), cycle(("-", "--", ":")), strict=False):
        k = [int(key) for key in by_k]
        y = list(by_k.values())
        axes.plot(k, y, style, color=_FG, linewidth=1.2, marker="o", markersize=3)
        _label(axes, f"{n_experts} experts", (k[-1], y[-1]))
        low, at_home = min(range(len(k)), key=y.__getitem__), k.index(trained_at)
        compared = ", as trained" if low == at_home else f"; {y[at_home]:.2f} at {trained_at}"
        best.append(f"{n_experts} experts are lowest at top-{k[low]} ({y[low]:.2f}{compared})")
    axes.axvline(trained_at, color=_BRAND, linewidth=1)
    axes.annotate(f"trained at {trained_at}", (trained_at, 1), (4, -4), xycoords=("data", "axes fraction"),
                  textcoords="offset points", va="top", color=_BRAND)  # fmt: skip
    axes.set_xlabel("experts a token at inference, top-k (logarithmic)")
    axes.set_ylabel("validation loss, nats a token")
    axes.set_xscale("log", base=2)
    ticks = [1, 2, 4, 8, 16]
    axes.set_xticks(ticks, [str(k) for k in ticks])
    axes.set_xlim(0.9, 26)
    return _picture(figure, axes, "Validation loss by experts a token: " + "; ".join(best) + ".")


def loss_curves(
    runs: Mapping[str, Sequence[tuple[int, float]]], levels: Mapping[str, float] | None = None, window: int = 10
) -> Picture:
    """Training loss against tokens seen, a line a run: the mean of the last `window` points, the points behind it.

    runs: {name: [(tokens, nats a token), …]}; levels: losses to compare with, drawn across.
    """
    figure = Figure(figsize=(6.4, 3.4))
    axes = figure.add_subplot()
    read = []
    for (name, points), style in zip(runs.items(), cycle(("-", "--", ":")), strict=False):
        tokens, loss = [t for t, _ in points], [y for _, y in points]
        smooth = [sum(loss[max(0, i + 1 - window) : i + 1]) / min(i + 1, window) for i in range(len(loss))]
        axes.plot(tokens, loss, color=_FG2, linewidth=0.5, alpha=0.5)
        axes.plot(tokens, smooth, style, color=_FG, linewidth=1.4)
        _label(axes, name, (tokens[-1], smooth[-1]))
        read.append(f"{name}: from {loss[0]:.2f} to {smooth[-1]:.2f} after {tokens[-1]:,} tokens")
    for name, level in (levels or {}).items():
        axes.axhline(level, color=_BRAND, linewidth=1)
        axes.annotate(f"{name}: {level:.2f}", (1, level), (-2, 4), xycoords=("axes fraction", "data"), bbox=_HALO,
                      textcoords="offset points", ha="right", color=_BRAND)  # fmt: skip
        read.append(f"{name}: {level:.2f}")
    axes.set_xlabel("tokens seen")
    axes.set_ylabel("loss, nats a token")
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    return _picture(figure, axes, "Training loss. " + "; ".join(read) + ".")


def _label(axes, text: str, at: tuple[float, float]) -> None:
    """`text` at the right of a line's end."""
    axes.annotate(
        text, at, (6, 0), textcoords="offset points", va="center", color=_FG, bbox=_HALO, annotation_clip=False
    )


def _picture(figure: Figure, axes, alt: str) -> Picture:
    """The figure as inline SVG whose inks follow the page's theme."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_FG2)
    axes.tick_params(colors=_FG2)
    axes.grid(axis="y", color=_LINE, linewidth=0.8)
    axes.xaxis.label.set_color(_FG2)
    axes.yaxis.label.set_color(_FG2)
    axes.minorticks_off()
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "moe-lite", "font.size": 9}):
        figure.savefig(
            buffer, format="svg", transparent=True, bbox_inches="tight", metadata={"Date": None, "Creator": None}
        )
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    for ink, variable in _INK.items():
        svg = svg.replace(ink, variable)
    svg = re.sub(r"font: ([\d.]+px) [^;\"]+", r"font: \1 var(--jp-ui-font-family,sans-serif)", svg)
    svg = svg.replace("<svg ", f'<svg role="img" aria-label="{escape(alt)}" style="max-width:100%;height:auto" ', 1)
    return Picture(f'<style>{css_variables()}</style><div class="mx">{svg}</div>', alt)
