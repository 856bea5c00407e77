"""The Python domain: NetworkX's modules, their long docstrings cut to the first line."""

import ast
from collections.abc import Iterator

from moe_lite.corpora.sources import Wheel
from moe_lite.corpora.text import Document, tidy

MIN_CHARACTERS = 400  # shorter modules hold little but imports


def python(wheel: Wheel) -> Iterator[Document]:
    """A document a module; tests, packages' `__init__` and very short modules are left out."""
    for path in wheel.paths(r"networkx/.+\.py"):
        if "/tests/" in path or path.endswith(("__init__.py", "conftest.py")):
            continue
        source = tidy(shorten_docstrings(wheel.text(path)))
        if len(source) > MIN_CHARACTERS:
            yield Document(path, source)


def shorten_docstrings(source: str) -> str:
    """Cut every docstring of several lines to its first, by line numbers (`ast.unparse` differs between versions)."""
    lines = source.split("\n")
    for first, last, short in sorted(_long_docstrings(source, lines), reverse=True):
        lines[first : last + 1] = [short]
    return "\n".join(lines)


def _long_docstrings(source: str, lines: list[str]) -> Iterator[tuple[int, int, str]]:
    """First line, last line and replacement of each docstring that spans lines and shares its last with no code."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        text = ast.get_docstring(node, clean=False)
        if text is None:
            continue
        expression = node.body[0]
        first, last = expression.lineno - 1, expression.end_lineno - 1
        if first == last or lines[last][expression.end_col_offset :].strip():
            continue
        head = text.strip().split("\n")[0].strip().replace("\\", "").replace('"', "'")
        yield first, last, " " * expression.col_offset + f'"""{head or "..."}"""'
