"""A trial's input as code that can be copied into a cell."""

from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn

from moe_lite.checks.engine.exercise import Exercise, Trial

LONG = 64  # rows; a longer tensor that repeats a few rows is written as these rows and how often they come


def input_code(exercise: Exercise, trial: Trial) -> str:
    """The arguments, one assignment each, and the call; before them the imports that modules among them need."""
    if trial.code:
        return trial.code
    needs = {value.code_needs: None for value in trial.args if isinstance(value, nn.Module)}
    lines = [*needs, *(assignment(name, value) for name, value in zip(exercise.parameters, trial.args, strict=True))]
    call = f"{exercise.name}({', '.join(exercise.parameters)})"
    return "\n".join([*lines, f"[{call} for _ in range({trial.calls})]" if trial.calls > 1 else call])


def assignment(name: str, value: Any) -> str:
    """`scores = torch.tensor([[...]], dtype=torch.float64)`, exact to the last digit."""
    if isinstance(value, torch.Generator):
        return f"{name} = torch.Generator().manual_seed({value.initial_seed()})"
    if is_dataclass(value):
        return f"{name} = {type(value).__name__}({_changed_fields(value)})"
    if isinstance(value, list):
        between = ",\n" + " " * len(f"{name} = [")
        return f"{name} = [{between.join(map(repr, value))}]"
    if isinstance(value, nn.Module):
        return f"{name} = {value.as_code}"  # a check that gives a module says how it made it
    if not isinstance(value, Tensor):
        return f"{name} = {value!r}"
    if period := _period(value):
        return f"{assignment(name, value[:period])}.repeat({len(value) // period}, 1)"
    rows = value.tolist() if value.dim() > 1 else [value.tolist()]
    start = f"{name} = torch.tensor([" if value.dim() > 1 else f"{name} = torch.tensor("
    end = "]" if value.dim() > 1 else ""
    return start + (",\n" + " " * len(start)).join(str(row) for row in rows) + f"{end}, dtype={value.dtype})"


def _changed_fields(config: Any) -> str:
    return ", ".join(
        f"{f.name}={getattr(config, f.name)!r}" for f in fields(config) if getattr(config, f.name) != f.default
    )


def _period(value: Tensor) -> int:
    """After how many rows a long matrix begins again and again; 0 if it does not."""
    if value.dim() == 2 and len(value) > LONG:
        for period in range(1, 9):
            if len(value) % period == 0 and torch.equal(value[:-period], value[period:]):
                return period
    return 0
