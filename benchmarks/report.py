"""What a run found: rows, printed as one table and kept as JSON."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path

from benchmarks.machine import Machine
from moe_lite.lab.timing import Timing


@dataclass(frozen=True)
class Row:
    """One contender in one case. `ratio`, with its quartiles, is paired: round by round over the contender `over`."""

    section: str
    case: str
    name: str
    value: float  # the median
    unit: str
    threads: int
    over: str = ""
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    of_peak: float | None = None  # share of the machine's measured matmul peak
    note: str = ""  # what the case is

    @property
    def threads_text(self) -> str:
        return f"{self.threads} thread{'s' if self.threads > 1 else ''}"


@dataclass(frozen=True)
class Report:
    """A whole run."""

    machine: Machine
    rows: tuple[Row, ...]

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def read(cls, path: str | Path) -> "Report":
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        return cls(Machine.from_dict(found["machine"]), tuple(Row(**row) for row in found["rows"]))


def rows_of(
    timings: Mapping[str, Timing],
    *,
    section: str,
    case: str,
    threads: int,
    over: str,
    flops: Mapping[str, float] | None = None,
    peak: float | None = None,
    note: str = "",
) -> list[Row]:
    """A row in milliseconds for each timing. flops of one call and the peak in FLOP/s give the share of the peak."""
    rows = []
    for name, timing in timings.items():
        ratio = timing.over(timings[over]) if name != over else None
        low, high = ratio.quartiles if ratio else (None, None)
        share = flops[name] / timing.median / peak if flops and peak and name in flops else None
        rows.append(
            Row(
                section, case, name, 1e3 * timing.median, "ms", threads, over=over if ratio else "",
                ratio=ratio and ratio.median, low=low, high=high, of_peak=share, note=note,
            )
        )  # fmt: skip
    return rows


def table(rows: Iterable[Row], remark: Callable[[Row], str] = lambda row: "") -> str:
    """The rows under a heading for each case; `remark` fills the last column."""
    cases = groupby(rows, lambda row: (row.section, row.case, row.threads_text, row.note))
    return "\n".join(_block(" · ".join(filter(None, case)), list(group), remark) for case, group in cases)


def _block(title: str, rows: list[Row], remark: Callable[[Row], str]) -> str:
    over = next((f"over {row.over}" for row in rows if row.over), "")
    share = "of peak" if any(row.of_peak is not None for row in rows) else ""
    lines = [("", "median", "", over, share, ""), *(_cells(row, remark(row)) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    widths[0] = max(widths[0], 34)  # so that most blocks stand in line
    return "\n".join([title, *(_line(line, widths) for line in lines), ""])


def _cells(row: Row, remark: str) -> tuple[str, ...]:
    ratio = f"{row.ratio:.2f} [{row.low:.2f}–{row.high:.2f}]" if row.ratio is not None else ""
    share = f"{row.of_peak:.0%}" if row.of_peak is not None else ""
    return row.name, f"{row.value:,.2f}", row.unit, ratio, share, remark


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    name, value, unit, ratio, share, remark = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return f"  {name} {value.strip():>10} {unit}  {ratio}  {share.strip():>7}  {remark}".rstrip()
