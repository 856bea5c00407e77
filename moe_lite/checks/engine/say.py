"""A mistake's sentence quotes the learner's own numbers: "Yours sum to {weights.rows}" is filled from the attempt."""

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace

from torch import Tensor

from moe_lite.checks.engine.compare import dtype_text, listed, number, shape_text
from moe_lite.checks.engine.exercise import Attempt

Sentence = str | Callable[[Attempt], str]  # "Yours sum to {weights.rows}", or a function that writes it


@dataclass(frozen=True)
class Quoted:
    """A tensor inside a sentence: `{y[0]}` is its first row, `{y[0][2]}` a number, `{y.shape}` its shape."""

    tensor: Tensor

    def __getitem__(self, place: int) -> "Quoted":
        return Quoted(self.tensor[place])

    def __format__(self, decimals: str) -> str:
        values = self.tensor.tolist()
        return str(values) if self.tensor.dim() else number(values, int(decimals or 2))

    @property
    def shape(self) -> str:
        return shape_text(self.tensor)

    @property
    def size(self) -> tuple[int, ...]:
        """`{y.size[1]}` is the number of columns."""
        return tuple(self.tensor.shape)

    @property
    def dtype(self) -> str:
        return dtype_text(self.tensor)

    @property
    def min(self) -> "Quoted":
        return Quoted(self.tensor.min())

    @property
    def max(self) -> "Quoted":
        return Quoted(self.tensor.max())

    @property
    def sum(self) -> "Quoted":
        return Quoted(self.tensor.sum())

    @property
    def rows(self) -> str:
        """Sums of the first rows: `0.73, 0.73 and 0.66`; a fourth digit where two would show 1."""
        sums = self.tensor.sum(dim=-1).tolist()[:3]
        nearly = any(f"{s:.2f}" == "1.00" and abs(s - 1) > 1e-6 for s in sums)
        return listed(sums, 4 if nearly else 2)

    @property
    def columns(self) -> str:
        return listed(self.tensor.sum(dim=0).tolist())


def words(sentence: Sentence, attempt: Attempt) -> str:
    """A sentence of either kind, about this attempt. A plain one that quotes nothing stays as it is."""
    if callable(sentence):
        return sentence(attempt)
    return said(sentence, attempt) if "{" in sentence else sentence


def said(sentence: str, attempt: Attempt, **more: object) -> str:
    """Filled with the arguments by name, each output by name, `right`, what the outputs should be, and `more`.

    "{weights[0][1]} for k = {k}, expected {right.weights[0][1]:4}": 4 decimals in place of 2.
    """
    got = {name: Quoted(value) for name, value in attempt.got.items()}
    right = SimpleNamespace(**{name: Quoted(value) for name, value in attempt.expected.items()})
    given = {
        name: Quoted(value) if isinstance(value, Tensor) else value
        for name, value in zip(attempt.parameters, attempt.args, strict=True)
    }
    text = sentence.format(**(given | got | more), right=right)
    return text[:1].upper() + text[1:]
