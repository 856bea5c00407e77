"""Next-token bars as a picture: HTML that needs no script and no kernel."""

import html


def bars_html(figure: dict) -> str:
    """The bars of `figure`, as the widget sends it to its script, as a table."""
    rows = "".join(_row(*row, "code") for row in figure["rows"])
    if figure["others"]:
        rows += _row(*figure["others"], "span")
    moved = any(was is not None for *_, was in figure["rows"])
    key = '<th><span class="key"><u></u>before the move</span></th>' if moved else "<td></td>"
    return f'<table class="nt"><tr><th>next token</th><th>probability</th>{key}</tr>{rows}</table>'


def _row(name: str, printed: str, share: float, was: float | None, tag: str) -> str:
    tick = "" if was is None else f'<u style="left:{100 * was:.1f}%"></u>'
    look = "bar" if tag == "code" else "bar open"
    bar = f'<span class="{look}"><i style="width:{100 * share:.1f}%"></i>{tick}</span>'
    return f"<tr><td><{tag}>{html.escape(name)}</{tag}></td><td>{html.escape(printed)}</td><td>{bar}</td></tr>"


def text_html(line: dict, text: str) -> str:
    """The text and, underlined, what was drawn after it; under it what the last draw was."""
    drawn = "".join(f'<u title="{html.escape(facts)}">{html.escape(shown)}</u>' for shown, facts in line["drawn"])
    last = f'<div class="facts">{html.escape(line["drawn"][-1][1])}</div>' if line["drawn"] else ""
    return f'<div class="sofar">{html.escape(text)}{drawn}</div>{last}'
