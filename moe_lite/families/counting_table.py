"""All published models counted, beside what was published about them."""

from dataclasses import dataclass

from moe_lite.families import counting_text
from moe_lite.families.counting import count
from moe_lite.families.published_models import published

# What a figure counts, as the table says it
COUNTS = {"all": "all", "without_embedding": "no embedding", "body": "body"}
HEADING = (
    "model", "total", "published", "off", "counts", "active", "no emb.", "body", "published active", "off", "counts",
)  # fmt: skip


LEGEND = (
    "counts: what the published figure counts. no emb.: without the input embedding; body: without the head, too.",
    "active: parameters that work on one token.",
)


@dataclass(frozen=True, repr=False)
class CountingTable:
    """One row per published model, plain values that JSON can hold; printed, a table in billions of parameters."""

    rows: tuple[dict[str, str | int | float | None], ...]

    @property
    def text(self) -> str:
        return counting_text.as_text(*self._shown())

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return counting_text.as_html(*self._shown())

    def _shown(self):
        caption = "Published models, parameters in billions; off: the count above the figure, both counted alike"
        notes = [f"{row['name']}: {row['note']}" for row in self.rows if row["note"]]
        return caption, HEADING, [_cells(row) for row in self.rows], [*LEGEND, *notes]


def counting_table() -> CountingTable:
    """Every published model: its count in the three conventions, what was published, and how far apart they are."""
    return CountingTable(tuple(map(_row, published())))


def _row(name: str) -> dict[str, str | int | float | None]:
    found, m = count(name), published(name)
    total_error, active_error = found.published_errors
    return {
        "name": name, "total": found.total.all, "active": found.active.all,
        "active_without_embedding": found.active.without_embedding, "active_body": found.active.body,
        "vision": m.vision, "mtp": found.mtp,
        "published_total": m.published_total, "total_as": m.total_as, "total_with": m.total_with,
        "total_error": total_error,
        "published_active": m.published_active, "active_as": m.active_as, "active_error": active_error,
        "source": m.source, "note": m.note,
    }  # fmt: skip


def _cells(row: dict) -> tuple[str, ...]:
    total_as = COUNTS[row["total_as"]] + (f" + {row['total_with']}" if row["total_with"] else "")
    active_as = "" if row["published_active"] is None else COUNTS[row["active_as"]]
    active = (row["active"], row["active_without_embedding"], row["active_body"])
    return (
        row["name"], _billions(row["total"]), _figure(row["published_total"]), _off(row["total_error"]), total_as,
        *map(_billions, active), _figure(row["published_active"]), _off(row["active_error"]), active_as,
    )  # fmt: skip


def _billions(n: int) -> str:
    return f"{n / 1e9:.3f}"


def _figure(figure: float | None) -> str:
    return "" if figure is None else f"{figure:g}"


def _off(error: float | None) -> str:
    """0.0016 -> "+0.2 %"; what rounds to 0 has no sign."""
    if error is None:
        return ""
    tenths = round(1000 * error)
    return f"{tenths / 10:+.1f} %".replace("-", "−") if tenths else "0.0 %"
