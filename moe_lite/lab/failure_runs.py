"""Recorded trainings of the failure gallery: each failure and a healthy model, on eight seeds."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from moe_lite.data import data_dir
from moe_lite.lab.failures import HEALTHY
from moe_lite.lab.recording import recorded
from moe_lite.lab.symptoms import Symptoms
from moe_lite.model.config import ModelConfig
from moe_lite.train import TrainConfig

FORMAT, VERSION = "moe-lite-failures", 1
BIN = 10  # steps
DESIGN_SEEDS = (0, 1, 2)  # the rules of diagnosis.py were written from these
UNSEEN_SEEDS = (3, 4, 5, 6, 7)  # and these were recorded afterwards


@dataclass(frozen=True, eq=False)
class FailureRun:
    """One training: what was planted (a name of FAILURES, or HEALTHY), and what a dashboard shows of it."""

    name: str
    seed: int
    symptoms: Symptoms
    load: Tensor  # (S, L, E) int64, assignments in each bin of BIN steps, before any is dropped


@dataclass(frozen=True, eq=False)
class FailureRuns:
    """All that is recorded, and with what settings."""

    model: ModelConfig
    train: TrainConfig
    torch: str
    machine: str
    runs: tuple[FailureRun, ...]

    def run(self, name: str, seed: int) -> FailureRun:
        """Raises ValueError, naming what there is, for one that was not recorded."""
        found = next((run for run in self.runs if (run.name, run.seed) == (name, seed)), None)
        if found is None:
            names, seeds = ({getattr(run, key) for run in self.runs} for key in ("name", "seed"))
            raise ValueError(
                f"No recorded training {name!r} with seed {seed}; recorded are {', '.join(sorted(names))}, "
                f"seeds {sorted(seeds)}."
            )
        return found

    def healthy_range(self, symptom: str) -> tuple[float, float]:
        """Lowest and highest value over the seeds of the healthy training."""
        values = [getattr(run.symptoms, symptom) for run in self.runs if run.name == HEALTHY]
        return min(values), max(values)


def path() -> Path:
    return data_dir() / "failures.json"


@cache
def failure_runs() -> FailureRuns:
    """Those that the course ships. Raises ValueError that names the file if it is none of this version."""
    with recorded(path(), FORMAT, VERSION) as values:
        return FailureRuns(runs=tuple(_run(row) for row in values.pop("rows")), **values)


def _run(row: dict) -> FailureRun:
    return FailureRun(row["name"], row["seed"], Symptoms(**row["symptoms"]), torch.tensor(row["load"]))
