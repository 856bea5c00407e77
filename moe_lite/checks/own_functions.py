"""The learner's own functions in later cells and lessons: `mine` from this notebook, `recall` from what was kept."""

import ast
import builtins
import inspect
import linecache
import math
import re
import textwrap
from collections.abc import Callable, Iterable
from types import FunctionType, ModuleType
from typing import Any

import torch

from moe_lite.checks.engine.exercise import Exercise
from moe_lite.checks.engine.grade import grade
from moe_lite.checks.engine.result import CheckResult
from moe_lite.checks.registry import exercise_or_none
from moe_lite.course import progress

SIMPLE = (int, float, str, bool, type(None))


def kept_source(fn: Any, name: str) -> str | None:
    """Text that defines `name` again, with the imports, constants and helpers that it uses; None if it cannot be had.

    What a function uses and only its notebook has, such as a tensor made there, is left out; `missing_names` finds it.
    """
    fn = inspect.unwrap(fn) if callable(fn) else fn
    if not isinstance(fn, FunctionType):
        return None
    pieces: dict[str, str] = {}
    own = _collect(fn, pieces)
    if not own:
        return None
    text = "\n".join(["from __future__ import annotations", *sorted(pieces.values(), key=_imports_first)])
    return text + ("" if own == name else f"\n{name} = {own}\n")


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


def _collect(fn: FunctionType, pieces: dict[str, str]) -> str:
    """Put the source of `fn` and of all that it uses into `pieces`, by name; the name that it defines, or ""."""
    try:
        source = _source(fn)
        tree = ast.parse(source)
    except (OSError, TypeError, SyntaxError):  # no source (typed at a prompt), or cut out of a longer line
        return ""
    own = _defined(tree)
    if not own or own in pieces:
        return own
    pieces[own] = ""  # holds its place while its helpers are collected: they may call each other
    for name in _free_names(tree):
        if name not in (own, *pieces, *fn.__code__.co_freevars) and name in fn.__globals__:
            _keep(name, fn, pieces)
    del pieces[own]
    pieces[own] = source
    return own


def _source(fn: FunctionType) -> str:
    """The text of a function; where a cell magic such as %%time hides it from Python, as it stands in the cell."""
    try:
        return textwrap.dedent(inspect.getsource(fn))
    except OSError:
        for cell in reversed(fn.__globals__.get("_ih", [])):  # what was run, as IPython keeps it
            if source := _defined_under_a_magic(fn, cell):
                return source
        raise


def _defined_under_a_magic(fn: FunctionType, cell: str) -> str:
    """The text of `fn` in a cell that IPython kept as a call of a magic; empty if it is not there."""
    magic = re.search(r"run_cell_magic\(.*\)", cell, re.DOTALL)
    try:
        text = ast.literal_eval(ast.parse(magic[0]).body[0].value.args[2]) if magic else ""
        found = [n for n in ast.parse(text).body if isinstance(n, ast.FunctionDef) and n.name == fn.__name__]
    except (SyntaxError, ValueError, IndexError, AttributeError):
        return ""
    source = ast.get_source_segment(text, found[-1]) if found else None
    if source is None:
        return ""
    made: dict[str, Any] = {}
    exec(compile(source, "<again>", "exec"), dict(fn.__globals__), made)
    return source + "\n" if made[fn.__name__].__code__.co_code == fn.__code__.co_code else ""


def _defined(tree: ast.Module) -> str:
    """The name in `def name` or `name = lambda`; "" for a lambda inside a call, say: running that text does more."""
    first = tree.body[0] if len(tree.body) == 1 else None
    if isinstance(first, ast.FunctionDef):
        return first.name
    if isinstance(first, ast.Assign) and isinstance(first.value, ast.Lambda) and isinstance(first.targets[0], ast.Name):
        return first.targets[0].id
    return ""


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
        if (own := _collect(value, pieces)) and own != name:
            pieces[name] = f"{name} = {own}\n"
    elif _importable(value):
        pieces[name] = f"from {value.__module__} import {value.__name__} as {name}\n"


def _importable(value: Any) -> bool:
    module = inspect.getmodule(value)
    return module is not None and module.__name__ != "__main__" and hasattr(module, getattr(value, "__name__", ""))


USUAL = {"torch": torch, "F": torch.nn.functional, "nn": torch.nn, "Tensor": torch.Tensor, "math": math}


def mine(id: str, fn: Any, default: Callable) -> Callable:
    """`fn` if it passes the check of exercise `id`, else `default`; prints which. Never raises."""
    exercise = exercise_or_none(id)
    if exercise is None:
        return _take(default, f"{id}: there is no such exercise; the package's function is used here.")
    result = grade(exercise, fn)
    if result.status == "pass":
        return _take(fn, f"{id} {exercise.name}: your function is used here.")
    skipped = result.status != "pass" and progress.load().entries.get(id, {}).get("status") == "skipped"
    why = "you skipped this exercise" if skipped else _why(result)
    return _take(default, f"{id} {exercise.name}: the package's function is used here; {why}.")


def recall(id: str, default: Callable) -> Callable:
    """The learner's function that passed exercise `id` before, else `default`; prints which. Never raises.

    Its kept source is run again and checked again before it is used.
    """
    exercise = exercise_or_none(id)
    if exercise is None:
        return _take(default, f"{id}: there is no such exercise; the package's function is used here.")
    label, instead = f"{id} {exercise.name}", "the package's function is used here"
    entry = progress.exercises().get(id, {})
    if entry.get("status") != "pass":
        why = "you skipped this exercise" if entry.get("status") == "skipped" else "yours has not passed yet"
        return _take(default, f"{label}: {instead}; {why}.")
    source = entry.get("source")
    fn = _run_again(exercise, source)
    if fn is None or grade(exercise, fn).status != "pass":
        return _take(default, f"{label}: {instead}; yours passed, but {_obstacle(source)}.")
    return _take(fn, f"{label}: your function is used here, as it passed in lesson {exercise.lesson:02d}.")


NO_SOURCE = "its source could not be kept: define it with `def` in a cell and run its check again"


def only_in_notebook(names: list[str]) -> str:
    listed = ", ".join(f"`{name}`" for name in names)
    return f"it uses {listed}, which only its notebook has: put that inside the function and run its check again"


def _obstacle(source: str | None) -> str:
    """Why a function that passed cannot be used outside its notebook."""
    if not source:
        return NO_SOURCE
    if missing := missing_names(source, USUAL):
        return only_in_notebook(missing)
    return "as it was kept it does not pass any more: run its check again"


def _take(fn: Callable, message: str) -> Callable:
    print(message)
    return fn


def _why(result: CheckResult) -> str:
    if result.status == "open":
        return "yours is not attempted yet"
    if result.status == "stopped":
        return f"in yours, {result.failure.what.replace('your code', 'the code')}"
    return f"yours passes {result.passed} of {result.total}"


def _run_again(exercise: Exercise, source: str | None) -> Callable | None:
    """The function that the kept source defines, or None."""
    if not source:
        return None
    filename = f"<your {exercise.name}, as kept>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    namespace: dict[str, Any] = USUAL | {"__name__": "kept"}
    try:
        exec(compile(source, filename, "exec"), namespace)
    except Exception as error:  # kept text may be from another version or edited by hand; the caller says so
        print(f"{exercise.id} {exercise.name}: the kept source does not run ({type(error).__name__}).")
        return None
    return namespace.get(exercise.name)
