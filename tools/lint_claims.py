"""What counts as a number that the prose claims, and the markers that name its evidence.

A number of the prose is one with decimals, a percentage, or a whole number of 100 and more. Code, formulas, links,
years of papers, versions, and the numbers of sections and exercises claim nothing.

A marker is arithmetic on entries of the course's .json and .toml files, on numbers that cells give, and on small whole
numbers:

    <!-- evidence: data/checkpoints/moe-e8.json val_loss_by_top_k.2 -->
    <!-- evidence: data/checkpoints/moe-e8.json val_loss_mean - data/checkpoints/moe-e16.json val_loss_mean -->
    <!-- evidence: 4.72 - 2.61; log(len(data/tokenizer.json model.vocab)) -->
"""

import ast
import json
import math
import operator
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lint_lesson import blank

NUMBER = re.compile(
    r"(?P<about>\b(?:about|roughly|nearly|almost|around) )?(?<![\w.,/·^−-])(?<!\w\()"
    r"(?P<digits>\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?P<decimals>\.\d+)?(?!\.?\d)"
    r"(?P<unit>\s?(?:%|billion\b|million\b|B\b|M\b))?(?![\w/])"
)
YEAR = re.compile(r"\b(?:[A-Z]\w+(?: et al\.)?,? |in |since |until )(?:19|20)\d\d\b")
VERSION = re.compile(r"\b(?:Python|PyTorch|JupyterLab|CUDA|version|Llama|Qwen|Phi|GPT|ERNIE) \d[\d.]*\d")
UNITS = ("nats", "nat", "bits", "times", "percent", "points", "seconds", "s", "ms", "GB", "MB", "tokens", "FLOPs")
SCALES = {"%": (1.0, 100.0), "million": (1.0, 1e-6), "M": (1.0, 1e-6), "billion": (1.0, 1e-9), "B": (1.0, 1e-9)}
MARKER = re.compile(r"<!-- evidence: (.*?) -->", re.DOTALL)
POINTER = re.compile(r"([\w./-]+\.(?:json|toml)) ([\w-]+(?:\.[\w-]+)*)")
FUNCTIONS = {f.__name__: f for f in (math.log, math.log2, math.exp, math.sqrt, len, sum, min, max, abs)}
OPERATORS = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}  # fmt: skip


class EvidenceError(Exception):
    """A marker that leads nowhere."""


@dataclass(frozen=True)
class Claim:
    """A number as the prose prints it."""

    text: str
    value: float
    half: float  # half of the last printed place: what rounding may have taken
    scales: tuple[float, ...] = (1.0,)  # 12.5 % may be 12.5 or 0.125

    def supported_by(self, values: list[float]) -> bool:
        near = self.half * (1 + 1e-9) + 1e-12
        return any(abs(abs(value) * scale - self.value) <= near for value in values for scale in self.scales)


def claims(prose: str, references: set[str]) -> Iterator[tuple[int, Claim]]:
    """Every claim with its line, counted from 0. `references` are numbers of sections: "3.2 has to decide it"."""
    prose = blank(prose, YEAR, VERSION)
    for match in NUMBER.finditer(prose):
        after = re.match(r"\s*(\w*)", prose[match.end() :])[1]
        refers = match["digits"] + (match["decimals"] or "") in references and after not in UNITS and not match["unit"]
        if not refers and (claim := _claim(match)):
            yield prose.count("\n", 0, match.start("digits")), claim


def _claim(match: re.Match) -> Claim | None:
    """The claim that a number makes, if it makes one."""
    digits, decimals, unit = match["digits"].replace(",", ""), match["decimals"] or "", (match["unit"] or "").strip()
    if not (decimals or unit in ("%", "million", "billion") or int(digits) >= 100):
        return None
    places = len(decimals) - 1 if decimals else 0
    if match["about"] and not decimals:
        places = -(len(digits) - len(digits.rstrip("0")))
    text = match[0].removeprefix(match["about"] or "").strip()
    return Claim(text, float(digits + decimals), 0.5 * 10.0**-places, SCALES.get(unit, (1.0,)))


def markers(text: str) -> Iterator[tuple[int, str]]:
    """The parts of a paragraph's markers, with their lines, counted from 0."""
    for match in MARKER.finditer(text):
        for part in match[1].split(";"):
            yield text.count("\n", 0, match.start()), " ".join(part.split())


def worked_out(text: str, known: list[float], root: Path) -> float:
    """The value of one part of a marker; `known` is what cells give. Raises EvidenceError if it leads nowhere."""
    entries: list[Any] = []

    def put(match: re.Match) -> str:
        entries.append(_entry(root, match[1], match[2]))
        return f"_[{len(entries) - 1}]"

    try:
        value = _value(ast.parse(POINTER.sub(put, text), mode="eval").body, entries, known)
    except (SyntaxError, ArithmeticError, ValueError, TypeError) as error:
        raise EvidenceError(f"it cannot be worked out ({error}); expected FILE KEY.KEY, or arithmetic.") from error
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise EvidenceError(f"it is a {type(value).__name__}, not a number; name one entry, such as load.0.3.")
    return float(value)


def _entry(root: Path, name: str, key: str) -> Any:
    path = (root / name).resolve()
    if not path.is_file() or root.resolve() not in path.parents:
        raise EvidenceError(f"there is no file {name} in the course.")
    text = path.read_text(encoding="utf-8")
    entry = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    for step in key.split("."):
        try:
            entry = entry[int(step)] if isinstance(entry, list) else entry[step]
        except (KeyError, IndexError, ValueError, TypeError):
            has = f"keys {', '.join([*entry][:12])}" if isinstance(entry, dict) else str(entry)[:60]
            raise EvidenceError(f"{name} has no {step} for {key}; there is {has}.") from None
    return entry


def _value(node: ast.expr, entries: list[Any], known: list[float]) -> Any:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        claim = _claim(NUMBER.fullmatch(f"{node.value}"))
        if claim and not claim.supported_by(known):
            raise EvidenceError(f"nothing shows {claim.text}.")
        return node.value
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        return OPERATORS[type(node.op)](_value(node.left, entries, known), _value(node.right, entries, known))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS:
        return FUNCTIONS[node.func.id](*(_value(argument, entries, known) for argument in node.args))
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "_":
        return entries[ast.literal_eval(node.slice)]
    raise EvidenceError(f"`{ast.unparse(node)}` is no number, no entry of a file and no arithmetic.")
