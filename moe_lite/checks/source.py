"""The source of a learner's function, complete enough to be run again in another notebook."""

import ast
import builtins
import inspect
import textwrap
from types import FunctionType, ModuleType
from typing import Any

SIMPLE = (int, float, str, bool, type(None))


def kept_source(fn: Any, name: str) -> str | None:
    """Text that defines `name` again, with the imports, constants and helpers that it uses; None if it cannot be had.

    It cannot if the function closes over variables, or uses something of the notebook that is no module, function or
    plain constant.
    """
    if not isinstance(fn, FunctionType) or fn.__closure__:
        return None
    pieces: dict[str, str] = {}
    if not _collect(fn, pieces):
        return None
    text = "\n".join(["from __future__ import annotations", *sorted(pieces.values(), key=_imports_first)])
    return text + ("" if fn.__name__ == name else f"\n{name} = {fn.__name__}\n")


def _imports_first(piece: str) -> int:
    return 0 if piece.startswith(("import ", "from ")) else 1


def _collect(fn: FunctionType, pieces: dict[str, str]) -> bool:
    """Put the source of `fn` and of all that it uses into `pieces`, by name; False if something cannot be kept."""
    try:
        source = textwrap.dedent(inspect.getsource(fn))
        tree = ast.parse(source)
    except (OSError, TypeError, SyntaxError):  # no source (typed at a prompt), or cut out of a longer line
        return False
    pieces[fn.__name__] = ""  # holds its place while its helpers are collected: they may call each other
    if not all(_keep(name, fn, pieces) for name in _global_names(tree, fn)):
        return False
    del pieces[fn.__name__]
    pieces[fn.__name__] = source
    return True


def _global_names(tree: ast.Module, fn: FunctionType) -> list[str]:
    """Names that the text reads and that are neither built in nor the function's own; annotations are not run."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        elif isinstance(node, ast.arg | ast.AnnAssign):
            node.annotation = ast.Constant(None)
    read = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    own = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    own |= {n.arg for n in ast.walk(tree) if isinstance(n, ast.arg)} | {fn.__name__}
    return sorted(read - own - set(dir(builtins)))


def _keep(name: str, fn: FunctionType, pieces: dict[str, str]) -> bool:
    if name in pieces:
        return True
    if name not in fn.__globals__:
        return False
    value = fn.__globals__[name]
    if isinstance(value, ModuleType):
        pieces[name] = f"import {value.__name__} as {name}\n"
    elif isinstance(value, SIMPLE):
        pieces[name] = f"{name} = {value!r}\n"
    elif isinstance(value, FunctionType) and value.__globals__ is fn.__globals__ and not value.__closure__:
        return _collect(value, pieces)
    elif _importable(value):
        pieces[name] = f"from {value.__module__} import {value.__name__} as {name}\n"
    else:
        return False
    return True


def _importable(value: Any) -> bool:
    module = inspect.getmodule(value)
    return module is not None and module.__name__ != "__main__" and hasattr(module, getattr(value, "__name__", ""))
