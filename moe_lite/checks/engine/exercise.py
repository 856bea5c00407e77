"""What an exercise is: its text, the inputs it is tried on, the right answer, and the mistakes it knows by name."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from moe_lite.checks.engine.compare import close
from moe_lite.checks.engine.rows import padded

# what a case can look at, besides the outputs by their names
FORM, INPUT, REPEAT, GRADIENT, QUIET = "form", "input", "repeat", "gradient", "quiet"


@dataclass(frozen=True)
class Output:
    """One thing that the learner's function returns: a tensor, a number, or what `tensor_of` makes a tensor of."""

    name: str
    shape: str = ""  # in the letters of the dimension key: "N, k"; empty for a scalar
    whole: bool = False  # a Python int, kept here as an int64 tensor ()
    real: bool = False  # a Python float, kept here as a float64 tensor ()
    rows: bool = False  # a list of lists of ints, kept here as `rows.padded` lays it out; a flat list has one dimension
    kind: type | None = None  # neither a tensor nor a number, but one of these
    tensor_of: Callable[[Any], Tensor] | None = None  # what is compared of such a thing
    strict_dtype: bool = True  # False: any floating type will do
    new: bool = False  # a tensor of its own, so that changing it changes no argument
    among: bool = False  # one of the given numbers itself, with all its digits
    expert_columns: bool = False  # drawn with one column an expert
    expert_values: bool = False  # its values are expert numbers, of as many experts as the first argument has columns


@dataclass(frozen=True, eq=False)
class Trial:
    """One call of the learner's function."""

    args: tuple[Any, ...]
    note: str  # "seed 2, float64"
    gradient: tuple[int, ...] = ()  # positions of the arguments that the gradient is taken for
    calls: int = 1  # called so often in a row with the same arguments; the answers are joined
    random: bool = False  # the answer is drawn at random, so its values are not compared
    draws: int = 0  # with `random`: so many answers for each row of the exercise's `draws`, whose shares are compared
    kind: str = ""  # of a trial of the sweep
    code: str = ""  # how to have the same input in a cell, where it cannot be written out
    before: tuple[Any, ...] | None = None  # of a call before this one, in the same tensors: then `args` are written in
    kinks: bool = False  # where an input is 0, its gradient has only to be finite: |x| is as good as x there
    after: tuple[Any, ...] | None = None  # of a call after this one, which comes before the gradient is taken

    @property
    def tensors(self) -> list[Tensor]:
        """Those among the arguments, and in lists among them."""
        parts = [part for value in self.args for part in (value if isinstance(value, list) else [value])]
        return [part for part in parts if isinstance(part, Tensor)]


@dataclass(frozen=True)
class Case:
    """A property with a name, looked at in several trials."""

    name: str
    trials: tuple[Trial, ...]
    parts: tuple[str, ...]  # FORM, INPUT, REPEAT, GRADIENT, QUIET or names of outputs


@dataclass(frozen=True)
class Note:
    """What to tell a learner: a title and a sentence or two. `general` notes name no particular mistake."""

    title: str
    sentence: str
    general: bool = False
    show: str = ""  # the output that the sentence speaks of, to be drawn first


@dataclass(frozen=True, eq=False)
class Attempt:
    """What one trial gave, beside what it should have given."""

    trial: Trial
    expected: dict[str, Tensor]
    parameters: tuple[str, ...] = ()  # names of the arguments
    expected_gradients: dict[str, Tensor] = field(default_factory=dict)
    got: dict[str, Tensor] = field(default_factory=dict)  # empty if the answer cannot be read at all
    gradients: dict[str, Tensor | None] = field(default_factory=dict)
    fault: Note | None = None  # the answer cannot be read: None, a list, the wrong number of things
    changed: tuple[str, ...] = ()  # arguments that the function wrote to
    shared: tuple[tuple[str, str], ...] = ()  # outputs that should be new, and the arguments whose memory they lie in
    repeated: dict[str, Tensor] | None = None  # what a second call with the same input gave
    drew_globally: bool = False  # torch's global generator was moved or seeded
    returned: dict[str, Tensor] = field(default_factory=dict)  # as the function gave it; `got` is a copy
    left_behind: str = ""  # a setting of torch's that is another one after the call
    used: frozenset[str] = frozenset()  # what of the exercise's `left_to_you` the function called
    within: dict[str, float] = field(default_factory=dict)  # how far an output may be off, where rounding is not it

    @property
    def args(self) -> tuple[Any, ...]:
        return self.trial.args

    def right(self, name: str) -> bool:
        """Whether output `name` has the expected shape and values; where any value will do, shape and type."""
        return self._rights[name]

    @cached_property
    def _rights(self) -> dict[str, bool]:
        """For each output; every mistake asks."""
        return {name: self._is_right(name) for name in self.expected}

    def _is_right(self, name: str) -> bool:
        got, expected, within = self.got.get(name), self.expected[name], self.within.get(name)
        if got is None or (within == float("inf") and got.dtype != expected.dtype):
            return False
        return close(got, expected, within, self.exact)

    @cached_property
    def exact(self) -> bool:
        """Whether there is no room for an eps: in the sweep, where float64 came in."""
        return bool(self.trial.kind) and any(tensor.dtype == torch.float64 for tensor in self.trial.tensors)

    @property
    def all_right(self) -> bool:
        return all(self._rights.values())

    def equals(self, *outputs: Tensor | None) -> bool:
        """Whether the answer is `outputs`; None stands for the expected one."""
        wanted = dict(zip(self.expected, outputs, strict=True))
        return bool(self.got) and all(
            close(self.got[name], self.expected[name] if value is None else value, self.within.get(name))
            for name, value in wanted.items()
        )


@dataclass(frozen=True)
class Mistake:
    """A mistake with a name. `recognise` says what to tell if a trial shows it.

    `fits` says whether a trial that went well goes with it too: a rule that would have gone wrong there is not the one.
    `answer(names, args)` is the mistake made on purpose, where it can be written down: a value for each output named,
    None where it is right. Tests run it as a learner's function, and it must be told `title`.
    """

    recognise: Callable[[Attempt], Note | None]
    fits: Callable[[Attempt], bool] = lambda attempt: True
    title: str = ""
    answer: Callable[[tuple[str, ...], tuple], tuple] | None = None
    all_or_none: bool = False  # told only if it explains all that went wrong


AsMatrix = Callable[[Attempt, dict[str, Tensor]], Tensor | None]  # None if these outputs cannot be drawn so


@dataclass(frozen=True)
class Draws:
    """For answers that are drawn at random: compared is how often each comes, not which one came.

    A trial with `draws` gets one more output of this name. By Hoeffding's inequality a share of n draws is further
    than 3.5/√n from its probability with a chance below 5e-11, so a right answer does not fail by bad luck.
    """

    name: str  # "shares"
    shape: str  # "row, V"
    probabilities: Callable[..., Tensor]  # of the trial's arguments
    shares: Callable[[Trial, dict[str, Tensor]], Tensor | None]  # of the answers; None if they cannot be counted

    def within(self, trial: Trial) -> float:
        return 3.5 / trial.draws**0.5


@dataclass(frozen=True)
class Watch:
    """What is measured while the function runs, and compared like an output: what it asked of its arguments, and how.

    `on(args)` is entered before the call; the dict that it gives is filled when it is left.
    """

    outputs: tuple[Output, ...]
    on: Callable[[tuple], AbstractContextManager[dict[str, Tensor]]]


@dataclass(frozen=True, eq=False)
class Drawn:
    """How the input of an exercise is drawn for sizes that no author chose, for the sweep that follows its cases.

    `args(seed, **sizes)` gives the arguments, with floating tensors in float64. A size that the others bound is
    fitted: `at_most=(("k", "E"),)` says that k is at most E, `at_least={"E": 2}` that one expert is too few.
    """

    args: Callable[..., tuple]
    sizes: dict[str, int]  # usual ones, all different
    at_most: tuple[tuple[str, str], ...] = ()
    at_least: Mapping[str, int] = field(default_factory=dict)
    long: str = "N"  # the size that comes in thousands; empty if there is none
    thousands: int = 3001  # a prime: what cuts rows into equal parts loses some
    wide: str = "E"  # the number of experts; empty if there is none
    gradient: tuple[int, ...] = ()  # positions of the arguments that a gradient is taken for
    float32: bool = True  # whether floating arguments may be of another type
    not_expanded: tuple[int, ...] = ()  # positions of tensors whose rows must differ
    extremes: Callable[[int], tuple[Trial, ...]] | None = None  # extreme and zero values, by a seed
    steep: bool = False  # gradients at the extremes multiply what rounding leaves, so none is taken there

    def fitted(self, sizes: dict[str, int], chosen: tuple[str, ...]) -> dict[str, int]:
        """The sizes, with the one that was not `chosen` moved where a pair does not fit."""
        sizes = {letter: max(size, self.at_least.get(letter, 0)) for letter, size in sizes.items()}
        for small, large in self.at_most:
            if sizes[small] > sizes[large]:
                sizes |= {small: sizes[large]} if large in chosen else {large: sizes[small]}
        return sizes


@dataclass(frozen=True)
class Exercise:
    """A graded exercise. `reference` and mistakes get the arguments of a trial, never the learner's copies.

    `sizes` has a letter for each size among the arguments that can differ: "NEk". A test holds that they do differ in
    the trials of the first case, for there a function that mixes up two of them must fail.
    `differentiable` is False where outputs are real numbers that nobody learns through, such as a gradient itself:
    then no case looks at the gradient. That of counts, kinds and draws is none anyway.
    """

    id: str
    name: str
    parameters: tuple[str, ...]
    sizes: str
    outputs: tuple[Output, ...]
    reference: Callable[..., Any]
    cases: Callable[[], tuple[Case, ...]]
    mistakes: tuple[Mistake, ...]
    hints: tuple[str, ...]  # code in `backticks`; the lesson shows the same text
    minutes: int
    lines: str  # "about 3 lines"
    done: str  # what the card says on passing
    stretch: bool = False
    differentiable: bool = True
    picture: tuple[str, AsMatrix] | None = None  # label; what to draw in place of the outputs
    draws: Draws | None = None
    watch: Watch | None = None
    drawn: Drawn | None = None
    in_program: bool = (
        True  # False: `my_moe.py` does without it; it makes settings of the package, or calls other answers
    )
    causes: tuple[tuple, ...] = ()  # of errors in its answers, looked up before `causes.CAUSES`
    left_to_you: tuple[str, ...] = ()  # torch functions that would do the exercise; their use is told on passing

    @property
    def lesson(self) -> int:
        return int(self.id.split(".")[0])

    @property
    def call(self) -> str:
        """As the check calls the learner's function: `top_k_route(scores, k)`."""
        return f"{self.name}({', '.join(self.parameters)})"

    @property
    def kind(self) -> str:
        return "stretch" if self.stretch else "core"

    def named(self, answer: Any) -> dict[str, Tensor]:
        """The reference's answer, by the names of the outputs."""
        values = answer if isinstance(answer, tuple) else (answer,)
        return {output.name: _as_tensor(output, value) for output, value in zip(self.outputs, values, strict=True)}


def _as_tensor(output: Output, value: Any) -> Tensor:
    if output.rows:
        return padded(value)
    if output.tensor_of:
        return output.tensor_of(value)
    dtype = torch.float64 if output.real else None
    return value if isinstance(value, Tensor) else torch.tensor(value, dtype=dtype)
