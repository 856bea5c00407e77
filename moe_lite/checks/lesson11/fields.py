"""What a learner is told who asks an argument for a field that it does not have, or in the wrong way."""

import difflib
import re

from moe_lite.checks.engine.causes import Line
from moe_lite.checks.engine.exercise import Exercise, Note


def of_dict(name: str, fields: tuple[str, ...]) -> tuple[tuple, ...]:
    """Causes of errors for a dict with these fields."""

    def unknown(match: re.Match, line: Line, exercise: Exercise) -> Note:
        return Note("No such field", f"`{name}` has no field `{match[1]}`. {_guess(match[1], fields)}")

    def dotted(match: re.Match, line: Line, exercise: Exercise) -> Note:
        sentence = f'`{name}` is a dict. Its fields are read with brackets: `{name}["{match[1]}"]`. '
        return Note("A dict is read with brackets", sentence + ("" if match[1] in fields else _listed(fields)))

    return ((KeyError, r"^'(\w+)'$", unknown), (AttributeError, r"'dict' object has no attribute '(\w+)'", dotted))


def of_record(kind: type, name: str, fields: tuple[str, ...]) -> tuple[tuple, ...]:
    """Causes of errors for a record with these fields."""

    def unknown(match: re.Match, line: Line, exercise: Exercise) -> Note:
        return Note("No such field", f"`{name}` has no field `{match[1]}`. {_guess(match[1], fields)}")

    def in_brackets(match: re.Match, line: Line, exercise: Exercise) -> Note:
        return Note("Fields are read with a dot", f"Write `{name}.{fields[0]}`, not `{name}[...]`. {_listed(fields)}")

    return (
        (AttributeError, rf"'{kind.__name__}' object has no attribute '(\w+)'", unknown),
        (TypeError, rf"'{kind.__name__}' object is not subscriptable", in_brackets),
    )


def _guess(asked: str, fields: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(asked, fields, n=1, cutoff=0.5)
    return f"Did you mean `{near[0]}`?" if near else _listed(fields)


def _listed(fields: tuple[str, ...]) -> str:
    return f"Its fields are {', '.join(f'`{field}`' for field in fields[:-1])} and `{fields[-1]}`."
