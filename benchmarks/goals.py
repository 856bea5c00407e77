"""What moe-lite aims at, in one table, compared with what a run measured. Missing a goal is a result, no error."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.report import Row


@dataclass(frozen=True)
class Goal:
    """A limit for one row: for its ratio, or for its value in the row's unit."""

    section: str
    case: str
    name: str
    limit: float
    best_peer: str = ""  # what the best of other libraries reached when it was last measured
    at_least: bool = False  # else at most
    of: str = "ratio"

    def measured(self, row: Row) -> float:
        return row.ratio if self.of == "ratio" else row.value

    def met(self, row: Row) -> bool:
        return self.measured(row) >= self.limit if self.at_least else self.measured(row) <= self.limit

    def verdict(self, row: Row) -> str:
        """Such as "goal ≤ 1.2: missed"."""
        return f"goal {self.text}: {'met' if self.met(row) else 'missed'}"

    @property
    def text(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.limit:g}"


BOTH = "forward+backward"
GOALS = (
    Goal("train", "training step", "own sorted", 1.08, "1.2–1.3 (transformers grouped_mm, makeMoE)"),
    Goal("layers", f"S1 {BOTH}", "own sorted", 1.20, "1.35 (transformers grouped_mm)"),
    Goal("layers", f"S2 {BOTH}", "own sorted", 1.10, "1.30 (LLMs-from-scratch)"),
    Goal("layers", f"S4 {BOTH}", "own sorted", 1.80, "2.7 (transformers grouped_mm)"),
    Goal("growth", "8 → 64 experts, K = 2", "own sorted", 1.20, "1.20 (transformers grouped_mm)"),
    Goal("decode", "speed over generate of transformers", "own sorted", 2.0, at_least=True),
    Goal("decode", "time over dense", "own sorted", 1.25),
    Goal("memory", "peak of a training step", "sparse", 1.2),
    Goal("start", "import after torch", "moe_lite and its model", 0.1, of="value"),
    Goal("start", "second load", "corpora and tokenizer", 0.5, of="value"),
    Goal("watch", "20 training steps", "dashboard", 1.05),
)


def goal_of(row: Row) -> Goal | None:
    return next((g for g in GOALS if (g.section, g.case, g.name) == (row.section, row.case, row.name)), None)


def summary(rows: Sequence[Row], sections: Iterable[str]) -> list[str]:
    """One line for each goal of these sections and each number of threads."""
    lines = []
    for goal in (goal for goal in GOALS if goal.section in sections):
        found = [row for row in rows if goal_of(row) is goal]
        start = f"{goal.section}: {goal.case}, {goal.name}"
        peer = f"; best peer {goal.best_peer}" if goal.best_peer else ""
        lines += [
            f"{start}, {row.threads_text}: {goal.measured(row):.3f}, {goal.verdict(row)}{peer}" for row in found
        ] or [f"{start}: goal {goal.text}, not measured"]
    return lines
