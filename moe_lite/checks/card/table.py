"""Draw two arrays side by side as HTML tables: expected and yours, the cells that differ framed."""

import re
from dataclasses import dataclass
from html import escape

from torch import Tensor

from moe_lite.checks.engine.compare import as_float, decimals_that_differ, differing, number
from moe_lite.checks.engine.result import Evidence
from moe_lite.look import palette

MOST_ROWS, MOST_COLUMNS = 6, 8
NAMES_PER_ROW = 5


@dataclass(frozen=True, eq=False)
class Sheet:
    """What both tables have in common: the part that is shown, the cells that differ, how numbers are printed."""

    rows: range
    columns: range
    n_rows: int
    n_columns: int
    wrong: Tensor  # (rows, columns) bool
    decimals: int
    evidence: Evidence


def side_by_side(evidence: Evidence) -> str:
    """Both arrays; larger ones are cut to 6 x 8 around the first difference, with `…` where something is left out."""
    expected, got = _as_matrix(evidence.expected), _as_matrix(evidence.got)
    sheet = _sheet(evidence, expected, got)
    differ = f"yours: {evidence.n_wrong} of {expected.numel()} differ, first at {list(evidence.index)}"
    left = _table(f"expected <code>{escape(evidence.label)}</code>", expected, sheet, frames=False)
    return f'<div class="mm">{left}{_table(differ, got, sheet, frames=True)}</div>'


def given_tables(given: dict[str, dict[str, int | float | str]]) -> str:
    """An input of a few numbers: a table for each argument that has fields, and one for the plain numbers."""
    tables = "".join(_given(name, values) for name, values in given.items())
    return f'<div class="mm" style="align-items:flex-start">{tables}</div>'


def _given(name: str, values: dict[str, int | float | str]) -> str:
    """Names above their numbers, a few beside each other."""
    lines, fields = [], list(values)
    for start in range(0, len(fields), NAMES_PER_ROW):
        part = fields[start : start + NAMES_PER_ROW]
        heads = "".join(f'<th scope="col">{escape(field)}</th>' for field in part)
        cells = "".join(f"<td>{_given_number(values[field])}</td>" for field in part)
        lines += [f"<tr>{heads}</tr>", f"<tr>{cells}</tr>"]
    caption = f"input <code>{escape(name)}</code>" if name else "input"
    return f"<table><caption>{caption}</caption>{''.join(lines)}</table>"


def _given_number(value: int | float | str) -> str:
    if isinstance(value, str):
        return escape(value)
    return (f"{value:,}" if isinstance(value, int) else f"{value:,.6g}").replace("-", "−")


def _as_matrix(tensor: Tensor) -> Tensor:
    return tensor.reshape(1, -1) if tensor.dim() == 1 else tensor


def _sheet(evidence: Evidence, expected: Tensor, got: Tensor) -> Sheet:
    wrong = differing(got, expected, evidence.within, evidence.exact)  # (rows, columns)
    row, column = wrong.nonzero()[0].tolist()
    rows, columns = _window(row, len(expected), MOST_ROWS), _window(column, expected.shape[1], MOST_COLUMNS)
    shown = (slice(rows.start, rows.stop), slice(columns.start, columns.stop))
    pairs = zip(expected[shown][wrong[shown]].tolist(), got[shown][wrong[shown]].tolist(), strict=True)
    return Sheet(rows, columns, *expected.shape, wrong, decimals_that_differ(list(pairs)), evidence)


def _window(at: int, size: int, most: int) -> range:
    """At most `most` indices around `at`, two of them before it where there are any."""
    start = max(min(at - 2, size - most), 0)
    return range(start, min(start + most, size))


def _table(caption: str, matrix: Tensor, sheet: Sheet, frames: bool) -> str:
    strongest = float(as_float(matrix).nan_to_num(0, 0, 0).abs().max()) or 1.0
    one_row = sheet.evidence.expected.dim() == 1
    left, right = _gap(sheet.columns.start > 0), _gap(sheet.columns.stop < sheet.n_columns)
    head = "".join(f'<th scope="col">{_column_head(c, sheet)}</th>' for c in sheet.columns)
    lines = [f"<tr>{'' if one_row else '<td></td>'}{left}{head}{right}</tr>"]
    for r in sheet.rows:
        name = "" if one_row else f'<th scope="row">{_row_letter(sheet.evidence.label)}{r}</th>'
        cells = "".join(_cell(matrix[r, c].item(), r, c, sheet, strongest, frames) for c in sheet.columns)
        lines.append(f"<tr>{name}{left}{cells}{right}</tr>")
    dots = '<tr><th scope="row">⋮</th></tr>'
    if sheet.rows.start > 0:
        lines.insert(1, dots)
    if sheet.rows.stop < sheet.n_rows:
        lines.append(dots)
    return f"<table><caption>{caption}</caption>{''.join(lines)}</table>"


def _row_letter(label: str) -> str:
    """`n=` for "weights (N, k)"; nothing where the label names no dimensions."""
    found = re.search(r"\((\w+), \w+\)", label)
    return f"{found[1].lower()}=" if found else ""


def _cell(value: float, row: int, column: int, sheet: Sheet, strongest: float, frames: bool) -> str:
    classes, strength = _look(value, column, sheet, strongest)
    classes += ["bad"] if frames and sheet.wrong[row, column] else []
    classes += ["zero"] if not value and not classes else []
    attributes = f' class="{" ".join(classes)}"' if classes else ""
    attributes += f' style="--o:{strength:.2f}"' if strength else ""
    return f"<td{attributes}>{number(value, sheet.decimals)}</td>"


def _column_head(column: int, sheet: Sheet) -> str:
    if not sheet.evidence.expert_columns:
        return str(column)
    return f'<b class="n {palette.expert_class(column, sheet.n_columns)}">{column}</b>'


def _look(value: float, column: int, sheet: Sheet, strongest: float) -> tuple[list[str], float]:
    """Classes and strength of the tint behind a value: by its size in an expert's column, full for an expert number."""
    n_experts = sheet.evidence.expert_values
    if n_experts and value in range(n_experts):
        return ["t", palette.expert_class(int(value), n_experts)], 1.0
    if sheet.evidence.expert_columns and value and value == value:
        strength = 0.25 + 0.75 * min(abs(value) / strongest, 1.0)
        return ["t", palette.expert_class(column, sheet.n_columns)], strength
    return [], 0.0


def _gap(there: bool) -> str:
    return '<td class="gap">…</td>' if there else ""
