"""The failure gallery's cases: recorded trainings under letters, the answers given, and how many of them are right."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import copysign, inf
from random import Random
from string import ascii_uppercase

from moe_lite.lab.diagnosis import RULES, Clue
from moe_lite.lab.failure_runs import DESIGN_SEEDS, UNSEEN_SEEDS, FailureRun, FailureRuns
from moe_lite.lab.failures import FAILURES, HEALTHY

NAMES = (HEALTHY, *FAILURES)
BELOW, ABOVE = 3, 40  # widths of the healthy range that the figure shows on either side of it
Answers = Sequence[Sequence[str]]  # (letter, name), in the order in which they were given


@dataclass(frozen=True)
class Score:
    """How the learner stands."""

    cases: int
    answered: int
    right: int  # by the latest answer to each case
    first_right: int  # by the first


def title_of(name: str) -> str:
    return HEALTHY if name == HEALTHY else FAILURES[name].title


def deal(runs: FailureRuns, seed: int) -> dict[str, FailureRun]:
    """Letter -> training: every name once, in an order and from recorded unseen seeds that `seed` decides."""
    chance, names = Random(seed), list(NAMES)
    chance.shuffle(names)
    unseen = {name: [run for run in runs.runs if run.name == name and run.seed in UNSEEN_SEEDS] for name in names}
    if missing := [name for name in NAMES if not unseen[name]]:
        raise ValueError(f"No training with a seed of {UNSEEN_SEEDS} is recorded of {', '.join(missing)}.")
    return {letter: chance.choice(unseen[name]) for letter, name in zip(ascii_uppercase, names, strict=False)}


def healthy_run(runs: FailureRuns) -> FailureRun:
    """The one that stands beside every case; never a case itself."""
    return runs.run(HEALTHY, DESIGN_SEEDS[0])


def is_answer(answer: Sequence[str], cases: dict[str, FailureRun]) -> bool:
    return len(answer) == 2 and answer[0] in cases and answer[1] in NAMES


def latest(answers: Answers) -> dict[str, str]:
    """Letter -> the name last answered."""
    return {letter: name for letter, name in answers}


def scored(cases: dict[str, FailureRun], answers: Answers) -> Score:
    """Every case counts once, whatever the number of its answers."""
    now, first = latest(answers), latest([*reversed(answers)])
    right, first_right = (sum(cases[letter].name == name for letter, name in given.items()) for given in (now, first))
    return Score(len(cases), len(now), right, first_right)


def given_away_by(run: FailureRun) -> tuple[Clue, ...]:
    """The numbers that tell what the training is; none of a healthy one does."""
    return () if run.name == HEALTHY else RULES[run.name].clues


def against(run: FailureRun, name: str) -> Clue | None:
    """The first clue of `name` that this training does not show; None for "healthy" and where all fit."""
    clues = () if name == HEALTHY else RULES[name].clues
    return next((clue for clue in clues if not clue.fits(run.symptoms)), None)


def widths_away(value: float, low: float, high: float) -> float:
    """How far a value lies outside the healthy range, in widths of that range: 0 inside, negative below it. Infinite
    where all healthy seeds are alike, so that the range has no width."""
    beyond = value - high if value > high else min(value - low, 0.0)
    return beyond / (high - low) if high > low else copysign(inf, beyond) if beyond else 0.0


def off_scale(widths: float) -> bool:
    """Whether the figure has no room for what lies this far outside."""
    return not -BELOW <= widths <= ABOVE


def side(value: float, low: float, high: float) -> str:
    return "inside" if low <= value <= high else "below" if value < low else "above"
