"""A small matrix as an HTML table, its experts in their colours."""

import math
from collections.abc import Callable, Iterable, Sequence
from html import escape

from torch import Tensor

from moe_lite.look.palette import expert_class
from moe_lite.look.picture import Picture
from moe_lite.look.svg import framed

DARKEST = 45  # percent of the ink in the darkest cell: its number must still be read
_TABLE_CSS = """
font:13px/1.4 var(--jp-ui-font-family,system-ui,sans-serif);color:var(--fg);font-variant-numeric:tabular-nums;
table{border-collapse:separate;border-spacing:2px;margin:4px 0;font-size:12px;color:var(--fg);background:none}
caption{caption-side:top;white-space:nowrap;text-align:left;color:var(--fg2);font-size:12px;padding:0 0 4px}
tr,tr:hover{background:none!important}
td,th{padding:2px 8px;text-align:right;min-width:36px;font-weight:400;border:0;background:none}
th{color:var(--fg2);font-size:11px}tbody th{text-align:left}
td{box-shadow:inset 0 0 0 1px var(--line)}
td.on{background:var(--t);color:var(--onTint);font-weight:600;box-shadow:inset 0 0 0 1px var(--m)}
thead td{box-shadow:none}
td.sh{background:color-mix(in srgb,var(--brand) var(--s),transparent)}
td.right{box-shadow:none;padding-left:16px;color:var(--fg2)}
.n{display:inline-block;min-width:18px;border-radius:3px;background:var(--t);color:var(--onTint);font-weight:700;text-align:center}
"""  # noqa: E501 - CSS


def table(
    values: Tensor,
    caption: str,
    *,
    to: Tensor | None = None,
    chosen: Tensor | None = None,
    rows: Sequence[str] | None = None,
    columns: Iterable | None = None,
    right: tuple[str, Tensor] | None = None,
    shade: bool = False,
    decimals: int = 2,
) -> Picture:
    """A small matrix, drawn: one row per token, one column per expert, unless `rows` and `columns` name them otherwise.

    values (R, C); to (R, C): makes each cell a range, "0.10 to 0.12"; chosen (R, k): columns to fill in the expert's
    colour; right: a name and a number for each row; shade: the larger a value from 0 on, the darker its cell; decimals:
    of columns that are not all whole numbers.
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
    if to is not None and to.shape != values.shape:
        raise ValueError(
            f"values are {n_rows} × {n_columns}, but the upper ends `to` have the shape {tuple(to.shape)}."
        )
    if right is not None:
        heads.append(f"<th>{escape(right[0])}</th>")
    ends = [values] if to is None else [values, to]
    shows = [column_format([v for end in ends for v in end[:, e].tolist()], decimals) for e in range(n_columns)]
    show_right = column_format([] if right is None else right[1].tolist(), decimals)
    darkest = values.max().item() if shade else 0.0
    body = []
    for i, name in enumerate(names):
        picked = set() if chosen is None else set(chosen[i].tolist())
        cells = [f"<th>{escape(name)}</th>"]
        for e, show in enumerate(shows):
            on = f' class="on {expert_class(e, n_columns)}"' if e in picked else ""
            if shade and values[i, e] > 0:
                on = f' class="sh" style="--s:{DARKEST * values[i, e].item() / darkest:.0f}%"'
            cells.append(f"<td{on}>{' to '.join(show(end[i, e].item()) for end in ends)}</td>")
        if right is not None:
            cells.append(f'<td class="right">{show_right(right[1][i].item())}</td>')
        body.append(f"<tr>{''.join(cells)}</tr>")
    made = (
        f"<table><caption>{escape(caption)}</caption>"
        f"<thead><tr><td></td>{''.join(heads)}</tr></thead><tbody>{''.join(body)}</tbody></table>"
    )
    return Picture(framed("tb", _TABLE_CSS, made), f"Table, {n_rows} × {n_columns}: {caption}")


def column_format(values: Sequence[float], decimals: int = 2) -> Callable[[float], str]:
    """How the numbers of one column are written: whole numbers if all are whole, else all with as many decimals."""
    if all(value == round(value) for value in values if math.isfinite(value)):
        return number
    return lambda value: number(value, decimals)


def number(value: float, decimals: int | None = None) -> str:
    """`decimals` decimals; None: two, and none for whole numbers. What that would hide has its first digit, below a
    ten-thousandth in powers of ten; thousands have a comma."""
    whole = value == round(value) if math.isfinite(value) else False
    if decimals is None and whole and abs(value) < 1e9:
        text = f"{value:,.0f}"
    elif 0 < abs(value) < 0.005:
        text = f"{value:.0e}"
        if abs(float(text)) >= 1e-4:
            text = f"{float(text):.{-math.floor(math.log10(abs(float(text))))}f}"
    else:
        text = f"{value:,.{2 if decimals is None else decimals}f}"
    return "0" if text == "-0" else text.replace("-", "−")
