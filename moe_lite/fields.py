"""Checking the fields of settings where they are made."""

from dataclasses import fields


def from_dict(kind: type, values: dict):
    """`kind(**values)`, refusing names that `kind` does not have (a checkpoint of another version)."""
    known = {field.name for field in fields(kind)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ValueError(f"{kind.__name__} has no field {', '.join(unknown)}; it has {', '.join(sorted(known))}.")
    return kind(**values)


def is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def is_positive_int(value: object) -> bool:
    return is_whole(value) and value >= 1


def is_positive(value: float) -> bool:
    return 0 < value < float("inf")


def is_not_negative(value: float) -> bool:
    return 0 <= value < float("inf")


def require(config: object, name: str, fits, expected: str) -> None:
    value = getattr(config, name)
    try:
        good = fits(value)
    except TypeError:
        good = False
    if not good:
        raise ValueError(f"{type(config).__name__}: {name} is {value!r}, expected {expected}.")
