"""A count as a small table: as text, and as HTML for Jupyter."""

from collections.abc import Sequence
from html import escape

Rows = list[Sequence[str]]  # each as long as the heading; an empty one is a line between


def as_text(caption: str, heading: Sequence[str], rows: Rows, below: Sequence[str] = ()) -> str:
    """Columns under each other, the first to the left and the others to the right."""
    widths = [max(len(row[i]) for row in [heading, *filter(None, rows)]) for i in range(len(heading))]
    lines = [caption, _line(heading, widths), "-" * (sum(widths) + 2 * len(widths) - 2)]
    lines += [_line(row, widths) if row else "" for row in rows]
    return "\n".join([*lines, *below])


def as_html(caption: str, heading: Sequence[str], rows: Rows, below: Sequence[str] = ()) -> str:
    """A plain table in the page's own style."""
    body = ""
    for row in rows:
        cells = "".join(f"<td{_style(1)}>{escape(text)}</td>" for text in row[1:])
        body += f'<tr><th scope="row"{_style(0)}>{escape(row[0])}</th>{cells}</tr>' if row else "</tbody><tbody>"
    heads = "".join(f'<th scope="col"{_style(i)}>{escape(text)}</th>' for i, text in enumerate(heading))
    table = f"<caption>{escape(caption)}</caption><thead><tr>{heads}</tr></thead><tbody>{body}</tbody>"
    return f"<table>{table}</table>" + "".join(f"<p>{escape(text)}</p>" for text in below)


def of_count(count) -> tuple[str, Sequence[str], Rows, Sequence[str]]:
    """What `as_text` and `as_html` take, of a `counting.Count`."""
    rows: Rows = []
    for part, held in count.parameters.items():
        rows.append((part, f"{held:,}", f"{count.active_parameters[part]:,}"))
    rows.append(())
    for convention, held, active in zip(count.total._fields, count.total, count.active, strict=True):
        name = {"all": "in all", "without_embedding": "without input embedding", "body": "without embedding and head"}
        rows.append((name[convention], f"{held:,}", f"{active:,}"))
    rows.append(())
    for kind in count.layers:
        rows.append((f"{kind.layers} × {kind.name}, each", f"{kind.parameters:,}", f"{kind.active:,}"))
    below = [
        f"Beside these: {text} {n:,}"
        for text, n in (("vision part", count.model.vision), ("layers for later tokens (MTP)", count.mtp))
        if n
    ]
    return count.model.name, ("part", "parameters", "for one token"), rows, below


def _line(row: Sequence[str], widths: list[int]) -> str:
    first, *others = row
    return "  ".join([first.ljust(widths[0]), *map(str.rjust, others, widths[1:])]).rstrip()


def _style(column: int) -> str:
    return f' style="text-align:{"right" if column else "left"};white-space:nowrap"'
