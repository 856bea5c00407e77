"""A mistake's sentence quotes the learner's own numbers: "Yours sum to {weights.rows}" is filled from the attempt."""

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace

from torch import Tensor

from moe_lite.checks.engine.compare import as_float, decimals_that_differ, first_difference, listed, number, shape_text
from moe_lite.checks.engine.exercise import Attempt

Sentence = str | Callable[[Attempt], str]  # "Yours sum to {weights.rows}", or a function that writes it


@dataclass(frozen=True)
class Quoted:
    """A tensor inside a sentence: `{y[0]}` is its first row, `{y[0][2]}` a number, `{y.shape}` its shape."""

    tensor: Tensor
    name: str = ""
    right: Tensor | None = None  # what an output should be

    def __getitem__(self, place: int) -> "Quoted":
        paired = self.right is not None and self.right.shape == self.tensor.shape
        return Quoted(self.tensor[place], right=self.right[place] if paired else None)

    def __format__(self, decimals: str) -> str:
        values = self.tensor.tolist()
        return str(values) if self.tensor.dim() else number(values, int(decimals or 2))

    @property
    def beside(self) -> str:
        """A number beside the right one: `−1.92, expected 1.92`."""
        return beside(self.tensor, self.right)

    @property
    def first(self) -> str:
        """The first number that is wrong: "`y[0, 2]` is 0.31, expected −0.20"."""
        index = first_difference(self.tensor, self.right)
        place = ", ".join(map(str, index))
        return f"`{self.name}[{place}]` is {beside(self.tensor[index], self.right[index])}"

    @property
    def shape(self) -> str:
        return shape_text(self.tensor)

    @property
    def size(self) -> tuple[int, ...]:
        """`{y.size[1]}` is the number of columns."""
        return tuple(self.tensor.shape)

    @property
    def numel(self) -> int:
        return self.tensor.numel()

    @property
    def not_finite(self) -> int:
        """How many are nan or infinite."""
        return int((~self.tensor.isfinite()).sum())

    @property
    def listed(self) -> str:
        """The first of a row of numbers: `3, 0, 5, …`."""
        return listed(self.tensor.tolist())

    @property
    def sum(self) -> "Quoted":
        return Quoted(self.tensor.sum())

    @property
    def max(self) -> "Quoted":
        return Quoted(self.tensor.max())

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
    got = {name: Quoted(value, name, attempt.expected.get(name)) for name, value in attempt.got.items()}
    right = SimpleNamespace(**{name: Quoted(value) for name, value in attempt.expected.items()})
    given = {
        name: Quoted(value) if isinstance(value, Tensor) else value
        for name, value in zip(attempt.parameters, attempt.args, strict=True)
    }
    text = sentence.format(**(given | got | more), right=right)
    return text[:1].upper() + text[1:]


def beside(mine: Tensor, right: Tensor) -> str:
    """`−1.92, expected 1.92`: two numbers, with as many digits as tell them apart."""
    pair = as_float(mine).item(), as_float(right).item()
    decimals = decimals_that_differ([pair])
    return f"{number(pair[0], decimals)}, expected {number(pair[1], decimals)}"
