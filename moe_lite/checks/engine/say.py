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
        return str(self.tensor.tolist()) if self.tensor.dim() else number(plain(self.tensor), int(decimals or 2))

    @property
    def beside(self) -> "Beside":
        """A number beside the right one: `−1.92, expected 1.92`."""
        return Beside(self.tensor, self.right)

    @property
    def first(self) -> "Beside":
        """The first number that is wrong: "`y[0, 2]` is 0.31, expected −0.20"."""
        return Beside(self.tensor[self.at], self.right[self.at], f"`{self.name}[{', '.join(map(str, self.at))}]` is ")

    @property
    def at(self) -> tuple[int, ...]:
        """Where the first number stands that is wrong: `Weight {weights.at[1]} of token {weights.at[0]}`."""
        return first_difference(self.tensor, self.right)

    @property
    def wrong(self) -> "Quoted":
        """That number itself."""
        return Quoted(self.tensor[self.at], right=self.right[self.at])

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


@dataclass(frozen=True)
class Beside:
    """`−1.92, expected 1.92`: two numbers with as many decimals as tell them apart; in `{y.first:4}` at least 4."""

    mine: Tensor
    right: Tensor
    lead: str = ""

    def __format__(self, least: str) -> str:
        pair = plain(self.mine), plain(self.right)
        decimals = decimals_that_differ([pair], int(least or 2))
        return f"{self.lead}{number(pair[0], decimals)}, expected {number(pair[1], decimals)}"


def plain(tensor: Tensor) -> float:
    """A single number; a whole one stays an int, which is written without decimals."""
    whole = not tensor.is_floating_point() and not tensor.is_complex()
    return int(tensor) if whole else as_float(tensor).item()


def words(sentence: Sentence, attempt: Attempt) -> str:
    """A sentence of either kind, about this attempt. A plain one that quotes nothing stays as it is."""
    if callable(sentence):
        return sentence(attempt)
    return said(sentence, attempt) if "{" in sentence else sentence


def said(sentence: str, attempt: Attempt, **more: object) -> str:
    """Filled with the arguments by name, each output by name, `right`, what the outputs should be, the trial's `note`,
    and `more`.

    "{weights[0][1]} for k = {k}, expected {right.weights[0][1]:4}": 4 decimals in place of 2.
    """
    got = {name: Quoted(value, name, attempt.expected.get(name)) for name, value in attempt.got.items()}
    right = SimpleNamespace(**{name: Quoted(value) for name, value in attempt.expected.items()})
    given = {
        name: Quoted(value) if isinstance(value, Tensor) else value
        for name, value in zip(attempt.parameters, attempt.args, strict=True)
    }
    text = sentence.format(**({"note": attempt.trial.note} | given | got | more), right=right)
    return text[:1].upper() + text[1:]
