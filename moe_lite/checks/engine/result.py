"""What a check says, as data and as one line of text that never varies; `checks.card` draws it."""

from dataclasses import dataclass, field

from torch import Tensor

from moe_lite.checks.engine.compare import constant_factor, decimals_that_differ, number
from moe_lite.checks.engine.exercise import Note
from moe_lite.look.terminal import printable


@dataclass(frozen=True, eq=False)
class Evidence:
    """The failing trial: where it is, its input as code, and, if they can be laid side by side, expected and yours."""

    where: str  # "case 4 of 8, seed 2, float64"
    input_code: str
    label: str = ""  # "weights (N, k)"
    expected: Tensor | None = None
    got: Tensor | None = None
    index: tuple[int, ...] = ()  # of the first cell that differs
    n_wrong: int = 0
    expert_columns: bool = False
    expert_values: int = 0  # the values are numbers of so many experts
    within: float | None = None  # how far a cell may be off, where rounding is not it
    exact: bool = False  # compared without room for an eps
    given: dict[str, dict[str, int | float | str]] = field(default_factory=dict)  # the input, where it is a few numbers

    @property
    def pinned(self) -> str:
        """One cell pinned down: `expected 0.6200, yours 0.4526, ratio 0.73`."""
        if self.expected is None:
            return ""
        right, mine = self.expected[self.index].item(), self.got[self.index].item()
        decimals = decimals_that_differ([(right, mine)], start=4)
        text = f"expected {number(right, decimals)}, yours {number(mine, decimals)}"
        whole = not (self.expected.is_floating_point() and self.got.is_floating_point())
        if whole or not right or constant_factor(self.got[self.index], self.expected[self.index]) is None:
            return text
        return f"{text}, ratio {number(mine / right)}"


@dataclass(frozen=True)
class Failure:
    """Code that raised, or did not end."""

    what: str  # "your code raised RuntimeError", "no answer after 10 s"
    note: Note
    message: str = ""  # "RuntimeError: The size of tensor a …"
    lines: tuple[tuple[int, str, bool], ...] = ()  # number, text, whether it is the one that failed
    traceback: str = ""


@dataclass(frozen=True, eq=False)
class CheckResult:
    """The result of one check. `status` is "pass", "not yet", "open" or "stopped"."""

    id: str
    name: str
    passed: int
    total: int
    status: str
    mistake: Note | None = None
    cases: tuple[tuple[str, bool | None], ...] = ()  # None: not reached
    evidence: Evidence | None = None
    failure: Failure | None = None  # what stopped it; beside a mistake, what came after it
    failed_case: int = 0
    hints: tuple[str, ...] = ()
    remark: str = ""  # on passing, or on how to begin
    printed: str = ""  # what the learner's code printed

    @property
    def headline(self) -> str:
        """The line without the mistake: `3.2 top_k_route: 3 of 5 pass`."""
        if self.status == "open":
            text = "not attempted yet"
        elif self.status == "stopped":
            text = self.failure.what + (f" in case {self.failed_case} of {self.total}" if self.failed_case else "")
        else:
            text = f"{self.passed} of {self.total} pass"
        return f"{self.id} {self.name}: {text}"

    @property
    def line(self) -> str:
        """The one line of text that stands for the result, the same in every run."""
        return f"{self.headline} — {self.mistake.title}." if self.status == "not yet" else self.headline

    def __repr__(self) -> str:
        return printable(self.line)


class CheckFailed(AssertionError):
    """A check that did not pass, where checks raise (under pytest): a short message and no traceback of ours."""

    def __init__(self, result: CheckResult):
        self.result = result
        super().__init__(result.line)

    def _render_traceback_(self) -> list[str]:
        """What IPython prints in place of a traceback; nbval reports it."""
        note, evidence, failure = self.result.mistake, self.result.evidence, self.result.failure
        stopped = self.result.status == "stopped"
        facts = [self.result.line, failure.message if stopped else "", note.sentence if note else ""]
        if evidence and evidence.pinned:
            facts.append(f"{evidence.where}: {evidence.pinned}")
        return [fact for fact in facts if fact]
