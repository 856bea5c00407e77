"""Which classes of the installed `transformers` route: found in its source, with a reason for each that is left out.

Nothing is imported here, so that looking through some 500 models takes seconds.
"""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

NAMED_ROUTER = re.compile(r"(Router|Routing|Gate|Gating)$")
NAMED_EXPERTS = re.compile(r"Expert|MoE|Moe(?![a-z])")
MAYBE = re.compile(r"(?i:expert)|^class \w+(Router|Routing|Gate|Gating)\b", re.MULTILINE)
CHOOSING = {"topk", "argmax"}


@dataclass(frozen=True)
class Found:
    """A class that routes, or, with a reason, one that looks like it and does not."""

    family: str
    name: str
    path: Path
    reason: str = ""  # why it is left out; empty: it routes
    owner: str = ""  # the class that completes its choice, where it does not choose itself


def models_folder() -> Path:
    """Where the installed `transformers` keeps its models. ModuleNotFoundError that says how to install it."""
    try:
        import transformers
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "moe_lite.families compares with transformers: pip install -c constraints.txt -e '.[test]'"
        ) from error
    return Path(transformers.__file__).parent / "models"


def find(folder: Path | None = None) -> list[Found]:
    """All classes in `folder`/<family>/modeling_*.py that route or look like it, by family; the reason says which.

    A class looks like a router if it is named one (…Router, …Gate, …Gating), or if its code names experts and calls
    topk or argmax. A family that has experts and no class that routes is listed by its experts' class.
    """
    found = []
    for path in sorted((folder or models_folder()).glob("*/modeling_*.py")):
        text = path.read_text(encoding="utf-8")
        if MAYBE.search(text):
            found += _in_file(path, ast.parse(text))
    return found


def _in_file(path: Path, tree: ast.Module) -> list[Found]:
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    words = {name: _words(node) for name, node in classes.items()}
    named = {name for name in classes if NAMED_ROUTER.search(name)}
    choosing = {name for name in classes if _experts(words[name]) and words[name] & CHOOSING}
    looks = {name: _reason(classes[name], words[name], named) for name in classes if name in named | choosing}
    if not any(reason == "" for reason in looks.values()):
        looks |= {
            name: "runs experts, but no class of its family chooses among them: the caller says which"
            for name in classes
            if NAMED_EXPERTS.search(name) and _experts(words[name]) and "Module" in " ".join(_bases(classes[name]))
        }
    owners = {part: name for name in choosing for part in words[name] & named - {name}}
    return [Found(path.parent.name, name, path, reason, owners.get(name, "")) for name, reason in looks.items()]


def _reason(node: ast.ClassDef, words: set[str], named: set[str]) -> str:
    """Why this class is no router; empty if it is one. The first of the rules that holds."""
    if not _experts(words):
        return "names no expert: it opens, sorts or weighs something else"
    if any("PreTrainedModel" in base or "GenerationMixin" in base for base in _bases(node)):
        return "a whole model: what it picks of its routers' output goes into a loss"
    if parts := sorted((words & named) - {node.name}):
        return f"completes the choice of its {parts[0]}, and is tried together with it"
    return ""


def _bases(node: ast.ClassDef) -> list[str]:
    return [ast.unparse(base) for base in node.bases]


def _experts(words: set[str]) -> bool:
    return any("expert" in word.lower() for word in words)


def _words(node: ast.ClassDef) -> set[str]:
    """Every name that the code of a class uses: variables, attributes, arguments. Comments and texts do not count."""
    words = set()
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            words.add(part.id)
        elif isinstance(part, ast.Attribute):
            words.add(part.attr)
        elif isinstance(part, ast.arg | ast.keyword):
            words.add(part.arg or "")
    return words
