"""The template with the learner's functions put in.

A slot is an exercise's function under a comment that says whose it is. Exercises without a slot are not part of this
model; what passed of them stands in a section of its own, but for those that make settings of the package.
"""

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from moe_lite.checks.own_functions import NO_SOURCE, USUAL, missing_names, only_in_notebook
from moe_lite.checks.program.trial import trial
from moe_lite.checks.registry import exercises

TEMPLATE = Path(__file__).with_name("template.py")
SLOT = re.compile(
    r"^# (?P<id>\d+\.\d+) (?P<name>\w+): the package's\n(?P<code>.+?)(?=\n\n\n)", re.MULTILINE | re.DOTALL
)
LIBRARIES = ("torch", "numpy")  # beside Python's own
BROKEN = "yours passed, but as it was kept it does not run: run its check again"
LAST_IMPORT = "from torch import Tensor, nn\n"
END = '\n\nif __name__ == "__main__":\n'


@dataclass(frozen=True)
class Part:
    """One exercise in the program. Where `instead` says why, it is the package's, or left out if there is no slot."""

    id: str
    name: str
    instead: str = ""
    in_model: bool = True

    @property
    def mine(self) -> bool:
        return not self.instead


@dataclass(frozen=True)
class Program:
    """The text of `my_moe.py`, and whose its parts are."""

    text: str
    parts: tuple[Part, ...]


@dataclass
class _Draft:
    """A text being made: the names that it has so far, each with what it stands for, and the imports to be added."""

    names: dict[str, str]
    imports: list[str] = field(default_factory=list)


@cache
def slots() -> dict[str, re.Match]:
    """The template's slots by exercise, in the order in which they stand."""
    return {match["id"]: match for match in SLOT.finditer(TEMPLATE.read_text(encoding="utf-8"))}


def assemble(entries: dict[str, dict], data: str) -> Program:
    """The program for the learner's progress `entries`; `data` is code for the folder of the course's texts.

    A function that needs moe_lite or its notebook is left out, and so is one that stops in the program or computes
    other numbers there; the comment above its slot says so.
    """
    entries = {id: entry for id, entry in entries.items() if id not in _made_of_settings()}
    passed = {id: entry for id, entry in entries.items() if entry["status"] == "pass"}
    refused = {id: reason for id, entry in passed.items() if (reason := refusal(entry["name"], entry.get("source")))}
    own = {id: entry for id, entry in passed.items() if id not in refused}
    text = _text(own, entries, refused, data)
    if trial(text):
        for id in own:
            if reason := trial(_text({id: own[id]}, {}, {}, data)):
                refused[id] = f"in this file {reason}"
        own = {id: entry for id, entry in own.items() if id not in refused}
        text = _text(own, entries, refused, data)
    if reason := trial(text):
        refused |= {id: f"beside your other functions {reason}" for id in own}
        text = _text({}, entries, refused, data)
    return Program(text, _parts(entries, refused))


def _made_of_settings() -> set[str]:
    return {id for id, exercise in exercises().items() if not exercise.in_program}


def refusal(name: str, source: str | None) -> str:
    """Why this function cannot stand in a file that does without moe_lite and without its notebook; "" if it can."""
    if not source:
        return f"yours passed, but {NO_SOURCE}"
    try:
        tree = ast.parse(source)
        compile(source, name, "exec")
    except (SyntaxError, ValueError):
        return BROKEN
    if name not in _bound(tree) or not all(isinstance(node, Statement) for node in tree.body):
        return BROKEN
    for module, what in _imported(tree):
        if module == "moe_lite":
            return f"yours uses `{what}` of moe_lite, which this file does without"
        if module not in sys.stdlib_module_names and module not in LIBRARIES:
            return f"yours uses `{what}` of {module}; this file imports only {', '.join(LIBRARIES)} and Python's own"
    missing = missing_names(source, USUAL)
    return f"yours passed, but {only_in_notebook(missing)}" if missing else ""


Statement = ast.FunctionDef | ast.Assign | ast.Import | ast.ImportFrom


def _imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Package and name of everything imported, also inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name.split(".")[0], alias.asname or alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." if node.level else node.module.split(".")[0]
            yield from ((module, alias.asname or alias.name) for alias in node.names)


# ---- the text --------------------------------------------------------------------------------------------------------


def _parts(entries: dict[str, dict], refused: dict[str, str]) -> tuple[Part, ...]:
    def in_course(id: str) -> list[int]:
        return [int(number) for number in id.split(".")]

    def part(id: str, name: str, in_model: bool) -> Part:
        status = entries.get(id, {}).get("status")
        open_ = "you skipped this exercise" if status == "skipped" else "yours has not passed yet"
        return Part(id, name, refused.get(id, "" if status == "pass" else open_), in_model)

    in_model = [part(id, slot["name"], True) for id, slot in slots().items()]
    beside = [id for id, entry in entries.items() if id not in slots() and entry["status"] == "pass"]
    return (*in_model, *(part(id, entries[id]["name"], False) for id in sorted(beside, key=in_course)))


def _text(own: dict[str, dict], entries: dict[str, dict], refused: dict[str, str], data: str) -> str:
    template = TEMPLATE.read_text(encoding="utf-8")
    draft = _Draft(_bound(ast.parse(template)))
    for entry in own.values():  # the names of exercises are taken by what will stand there
        draft.names[entry["name"]] = _bound(ast.parse(entry["source"]))[entry["name"]]
    parts = _parts(entries, refused) if entries else ()
    instead = {part.id: part.instead for part in parts}

    def fill(match: re.Match) -> str:
        id, name = match["id"], match["name"]
        if id in own:
            return f"# {id} {name}: mine\n{_own_code(draft, name, own[id]['source'])}"
        return f"# {id} {name}: the package's; {instead.get(id, '')}\n{match['code']}"

    text = SLOT.sub(fill, template)
    beside = [_beside(draft, part, own) for part in parts if not part.in_model]
    if beside:
        title = "# ---- also mine: not part of this model ".ljust(120, "-")
        text = text.replace(END, "\n\n" + "\n\n\n".join([title, *beside]) + "\n" + END)
    text = re.sub(r"^DATA = .*$", lambda _: f"DATA = {data}", text, count=1, flags=re.MULTILINE)
    text = text.replace(LAST_IMPORT, LAST_IMPORT + "".join(f"{line}\n" for line in draft.imports), 1)
    return text.replace('"""\n\nfrom', f'"""\n{_summary(parts)}\nfrom', 1)


def _summary(parts: tuple[Part, ...]) -> str:
    mine = sum(part.mine and part.in_model for part in parts)
    return (
        f"# {mine} of the model's {len(slots())} exercises are mine here. When another one passes, the course writes\n"
        "# this file anew; if it was changed by hand, the changed file is kept beside it under another name.\n"
    )


def _beside(draft: _Draft, part: Part, own: dict[str, dict]) -> str:
    head = f"# {part.id} {part.name}: mine"
    if part.mine:
        return f"{head}\n{_own_code(draft, part.name, own[part.id]['source'])}"
    return f"{head}, but left out; {part.instead}"


def _own_code(draft: _Draft, name: str, source: str) -> str:
    """The learner's function with its helpers. Those that stand in the text already are not repeated; if a name
    stands for something else there, all of it goes into a function of its own."""
    tree = ast.parse(source)
    new, imports, names = [], [], {}
    for node in tree.body:
        found = _bound(ast.Module([node], []))
        fresh = {bound: what for bound, what in found.items() if draft.names.get(bound) != what}
        if clash := sorted(bound for bound in fresh if bound in draft.names):
            return _enclosed(name, source, clash)
        if isinstance(node, ast.Import | ast.ImportFrom):
            imports += [_import_line(bound, what) for bound, what in fresh.items()]
        elif fresh or name in found:
            new.append(_source_of(source, node))
        names |= fresh
    draft.names |= names
    draft.imports += imports
    return "\n\n\n".join(new)


def _enclosed(name: str, source: str, clash: list[str]) -> str:
    """The source inside a function, so that its names are its own."""
    named = ", ".join(f"`{one}`" for one in clash)
    nodes = [n for n in ast.parse(source).body if not (isinstance(n, ast.ImportFrom) and n.module == "__future__")]
    inner = "\n".join(_indented(_source_of(source, node)) for node in nodes)
    why = f"# in a function of its own: its {named} is not the one that stands elsewhere in this file"
    return f"def _{name}():\n    {why}\n{inner}\n    return {name}\n\n\n{name} = _{name}()"


def _indented(code: str) -> str:
    """Four spaces before each line that does not begin inside a text of several lines."""
    texts = [n for n in ast.walk(ast.parse(code)) if isinstance(n, ast.Constant | ast.JoinedStr)]
    inside = {line for n in texts for line in range(n.lineno + 1, n.end_lineno + 1)}
    lines = code.splitlines()
    return "\n".join(f"    {x}" if x.strip() and i not in inside else x for i, x in enumerate(lines, start=1))


def _source_of(source: str, node: ast.stmt) -> str:
    """The text of one statement, with its decorators."""
    if isinstance(node, ast.FunctionDef):
        start = min([node.lineno, *(d.lineno for d in node.decorator_list)])
        return "\n".join(source.splitlines()[start - 1 : node.end_lineno])
    return ast.get_source_segment(source, node)


def _import_line(bound: str, what: str) -> str:
    module, _, name = what.removeprefix("import ").rpartition(".")
    if not module:
        return f"import {name}" if bound == name else f"import {name} as {bound}"
    return f"from {module} import {name}" if bound == name else f"from {module} import {name} as {bound}"


def _bound(tree: ast.Module) -> dict[str, str]:
    """What each name at the top of a text stands for: `import torch.nn`, or a statement without its layout."""
    names = {}
    for node in tree.body:
        if isinstance(node, ast.Import):
            names |= {a.asname or a.name.split(".")[0]: f"import {a.name if a.asname else a.name.split('.')[0]}"
                      for a in node.names}  # fmt: skip
        elif isinstance(node, ast.ImportFrom) and node.module != "__future__":
            names |= {a.asname or a.name: f"import {node.module}.{a.name}" for a in node.names}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names[node.name] = ast.dump(node)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {t.id: ast.dump(node) for target in targets for t in ast.walk(target) if isinstance(t, ast.Name)}
    return names
