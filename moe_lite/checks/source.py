"""The source of a learner's function, complete enough to be run again in another notebook."""

import ast
import builtins
import inspect
import textwrap
from collections.abc import Iterable
from types import FunctionType, ModuleType
from typing import Any

import torch

SIMPLE = (int, float, str, bool, type(None))


def kept_source(fn: Any, name: str) -> str | None:
    """Text that defines `name` again, with the imports, constants and helpers that it uses; None if it cannot be had.

    What a function uses and only its notebook has, such as a tensor made there, is left out; `missing_names` finds it.
    """
    fn = inspect.unwrap(fn) if callable(fn) else fn
    if not isinstance(fn, FunctionType):
        return None
    pieces: dict[str, str] = {}
    if not _collect(fn, pieces):
        return None
    text = "\n".join(["from __future__ import annotations", *sorted(pieces.values(), key=_imports_first)])
    return text + ("" if fn.__name__ == name else f"\n{name} = {fn.__name__}\n")


def missing_names(text: str, known: Iterable[str]) -> list[str]:
    """Names that kept text reads, and that neither it nor `known` has."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return []
    defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            defined |= {alias.asname or alias.name.split(".")[0] for alias in node.names}
    return [name for name in _free_names(tree) if name not in defined | {*known}]


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
    for name in _free_names(tree):
        if name not in (fn.__name__, *pieces, *fn.__code__.co_freevars) and name in fn.__globals__:
            _keep(name, fn, pieces)
    del pieces[fn.__name__]
    pieces[fn.__name__] = source
    return True


def _free_names(tree: ast.Module) -> list[str]:
    """Names that the text reads and that are neither built in nor the function's own; annotations are not run."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        elif isinstance(node, ast.arg | ast.AnnAssign):
            node.annotation = ast.Constant(None)
    read = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    own = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    own |= {n.arg for n in ast.walk(tree) if isinstance(n, ast.arg)}
    return sorted(read - own - set(dir(builtins)))


def _keep(name: str, fn: FunctionType, pieces: dict[str, str]) -> None:
    """Put what defines `name` into `pieces`, if text can."""
    value = fn.__globals__[name]
    value = inspect.unwrap(value) if callable(value) else value
    if isinstance(value, ModuleType):
        pieces[name] = f"import {value.__name__} as {name}\n"
    elif isinstance(value, SIMPLE):
        pieces[name] = f"{name} = {value!r}\n"
    elif isinstance(value, torch.dtype):
        pieces[name] = f"import torch; {name} = {value!r}\n"
    elif isinstance(value, FunctionType) and value.__globals__ is fn.__globals__:
        if _collect(value, pieces) and value.__name__ not in (name, "<lambda>"):
            pieces[name] = f"{name} = {value.__name__}\n"
    elif _importable(value):
        pieces[name] = f"from {value.__module__} import {value.__name__} as {name}\n"


def _importable(value: Any) -> bool:
    module = inspect.getmodule(value)
    return module is not None and module.__name__ != "__main__" and hasattr(module, getattr(value, "__name__", ""))
