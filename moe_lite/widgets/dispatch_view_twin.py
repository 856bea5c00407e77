"""What stands under the dispatch view's picture, as HTML, and the picture's numbers for pages that drop SVG."""

import html

from moe_lite.widgets.base import badge_html
from moe_lite.widgets.dispatch_view_data import Dispatch
from moe_lite.widgets.dispatch_view_work import CodeLine


def slices_html(now: Dispatch) -> str:
    """One line an expert: the tokens of its slice, and how many they are."""
    rows = ""
    for e, count in enumerate(now.counts):
        tokens = ", ".join(str(now.tokens[i]) for i, slice_ in enumerate(now.slices) if slice_ == e)
        rows += f"<tr><td>{badge_html(e, now.choices.n_experts)}</td><td>{tokens or '–'}</td><td>{count}</td></tr>"
    return f"<table><tr><th>expert</th><th>tokens in its slice</th><th>rows</th></tr>{rows}</table>"


def arrays_html(lines: list[CodeLine]) -> str:
    body = ""
    for line in lines:
        values = " ".join(f'<span class="{kind}">{text}</span>' if kind else text for text, kind in line.entries)
        body += f"<dt>{line.name}</dt><dd>{values}</dd>"
    return f'<dl class="arrays">{body}</dl>'


def table_html(rows: list[list[str]], chosen: int) -> str:
    """`chosen`: the row, from 0 below the head, that the picture shows."""
    head = "".join(f'<th scope="col">{html.escape(text)}</th>' for text in rows[0])
    body = ""
    for i, (way, *cells) in enumerate(rows[1:]):
        cells_html = "".join(f"<td>{cell}</td>" for cell in cells)
        body += f'<tr{" class=on" if i == chosen else ""}><th scope="row">{way}</th>{cells_html}</tr>'
    return f'<table class="ops"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
