"""Recordings of trainings that never were, with losses that a test can reckon with."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from moe_lite.lab import runs

LIKE = runs.folder() / "moe-8-top2.json"  # settings of model and training; every number of a result is planted
TITLES = {
    "dense-equal-active": "dense, equal active parameters", "dense-equal-total": "dense, equal total parameters",
    "moe-8-top2": "8 experts, top-2", "moe-32-shared": "32 finer experts, top-7 and one shared",
}  # fmt: skip
STEP = 2048  # tokens of a training step
POINTS = 10  # of a curve
WARM = 0.2  # nats per token, until the last point of a curve


def plant(
    folder: Path,
    losses: Mapping[str, Mapping[str, Sequence[float] | Mapping[int, float]]],
    *,
    seconds: Mapping[str, float] | None = None,
    flops: Mapping[str, int] | None = None,
    parameters: Mapping[str, int] | None = None,
) -> Path:
    """Write data/runs into `folder`, and return what MOE_LITE_DATA has to be.

    losses: {"2M" or "718s": {name: the final loss of seeds 0, 1, …, or {seed: loss}}}; seconds: of a training step,
    flops: of training per token, parameters: all of them, each by name.
    """
    seconds, flops, parameters = seconds or {}, flops or {}, parameters or {}
    (folder / "runs").mkdir(parents=True, exist_ok=True)
    like = json.loads(LIKE.read_text(encoding="utf-8"))
    for budget, models in losses.items():
        to = folder / "runs" / ("" if budget == runs.BUDGET else budget)
        to.mkdir(parents=True, exist_ok=True)
        for name, ends in models.items():
            steps = float(budget[:-1]) / seconds[name] if runs.in_seconds(budget) else float(budget[:-1]) * 500
            steps = int(round(steps, 6))
            ends = ends if isinstance(ends, Mapping) else dict(enumerate(ends))
            values = like | {
                "name": name,
                "title": TITLES.get(name, name),
                "flops_per_token": flops.get(name, 300) // 3,
            }
            values |= {
                "train": like["train"] | {"steps": steps},
                "all_runs": [_run(*end, steps) for end in ends.items()],
            }
            values |= {"parameters": like["parameters"] | {"total": parameters.get(name, 1_000_000)}}
            (to / f"{name}.json").write_text(json.dumps(values), encoding="utf-8")
    (folder / "runs" / runs.SPEED).write_text(json.dumps({"seconds_per_step": seconds}), encoding="utf-8")
    return folder


def _run(seed: int, loss: float, steps: int) -> dict:
    """A curve that comes down to `loss` from 2 nats above it; all but its end is WARM higher than it would be."""
    at = [STEP * steps * (i + 1) // POINTS for i in range(POINTS)]
    curve = [loss + 3.0 * (1 - i / POINTS) ** 4 + WARM * (i < POINTS) for i in range(1, POINTS + 1)]
    return {
        "seed": seed, "lr": 0.002, "seconds": 1.0, "tokens": at, "train_loss": curve, "validation_tokens": at,
        "validation": curve, "final": {"math": loss - 0.5, "tales": loss + 0.5}, "load": [],
    }  # fmt: skip
