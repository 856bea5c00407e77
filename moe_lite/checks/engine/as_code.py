"""A trial's input as code that can be copied into a cell, and as the numbers that it is made of."""

from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn

from moe_lite.checks.engine.exercise import Exercise, Trial
from moe_lite.model.config import ModelConfig

FEW = 20  # lists that are read at a glance
LONG = 64  # rows; a longer tensor that repeats a few rows is written as these rows and how often they come


def input_code(exercise: Exercise, trial: Trial) -> str:
    """The arguments, one assignment each, and the call; before them the imports that modules and records need."""
    if trial.code:
        return trial.code
    needs = {needed: None for value in trial.args if (needed := _import_for(value))}
    lines = [*needs, *(assignment(name, value) for name, value in zip(exercise.parameters, trial.args, strict=True))]
    call = f"{exercise.name}({', '.join(exercise.parameters)})"
    return "\n".join([*lines, f"[{call} for _ in range({trial.calls})]" if trial.calls > 1 else call])


def given(exercise: Exercise, trial: Trial) -> dict[str, dict[str, int | float | str]]:
    """What can be read at a glance: the numbers of each argument by their names, and plain numbers under "".

    A list of a few lists of ints has each of them under its place, as text. Empty where an argument has more than a few
    numbers, as a tensor has.
    """
    found: dict[str, dict[str, int | float | str]] = {"": {}}
    for name, value in zip(exercise.parameters, trial.args, strict=True):
        if _is_number(value):
            found[""][name] = value
        elif _is_few_lists(value):
            found[name] = {str(place): ", ".join(map(str, row)) for place, row in enumerate(value)}
        elif (values := _by_name(value)) is not None:
            found[name] = {field: number for field, number in values.items() if _is_number(number)}
        else:
            return {}
    plain = found.pop("")
    return found | ({"": plain} if plain else {})


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_few_lists(value: Any) -> bool:
    return isinstance(value, list) and 0 < len(value) <= FEW and all(map(_is_list_of_ints, value))


def _is_list_of_ints(row: Any) -> bool:
    return isinstance(row, list) and all(type(number) is int for number in row)


def _by_name(value: Any) -> dict[str, Any] | None:
    """The fields of a dict, a named tuple or a dataclass, of the last without those at their default."""
    if isinstance(value, dict):
        return value
    if hasattr(value, "_asdict"):
        return value._asdict()
    if is_dataclass(value):
        return {f.name: getattr(value, f.name) for f in fields(value) if getattr(value, f.name) != f.default}
    return None


def _import_for(value: Any) -> str:
    """The line that makes the type of a module or a record known; empty where every notebook knows it."""
    if isinstance(value, nn.Module):
        return value.code_needs
    if hasattr(value, "_asdict") or is_dataclass(value) and not isinstance(value, ModelConfig):
        return f"from {type(value).__module__} import {type(value).__name__}"
    return ""


def assignment(name: str, value: Any) -> str:
    """`scores = torch.tensor([[...]], dtype=torch.float64)`, exact to the last digit."""
    if isinstance(value, torch.Generator):
        return f"{name} = torch.Generator().manual_seed({value.initial_seed()})"
    if is_dataclass(value):
        return f"{name} = {type(value).__name__}({_changed_fields(value)})"
    if isinstance(value, list):
        between = ",\n" + " " * len(f"{name} = [")
        return f"{name} = [{between.join(map(repr, value))}]"
    if isinstance(value, dict):
        return "\n".join([f"{name} = {{", *(f"    {key!r}: {part!r}," for key, part in value.items()), "}"])
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
