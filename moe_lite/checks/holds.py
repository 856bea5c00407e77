"""What the prose of a lesson says of an output, held against that output: `holds(sentence, condition)`.

Such calls stand in cells tagged holds, which no reader's notebook has (lesson_cells.py). They run when the solved
notebook is built and tested, with the lesson's variables, and change nothing: see `run_holds`.
"""

import ast
import random
from typing import Any

import numpy as np
import torch
from IPython.utils.capture import capture_output

from moe_lite.checks.lesson_cells import line_in


class HoldsError(Exception):
    """A sentence that does not hold, or a holds cell that cannot say so. In a notebook only the message is shown."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


def holds(sentence: str, condition: Any) -> None:
    """Nothing if `condition` is true: a bool, or a single one of NumPy or PyTorch; else HoldsError with `sentence`."""
    if not isinstance(sentence, str) or not sentence.strip():
        raise HoldsError(f"holds got {sentence!r} as its sentence; expected the words that the lesson claims.")
    if not _is_truth(condition):
        kind, came = type(condition).__name__, f"{condition!r}"[:60]
        if isinstance(condition, torch.Tensor | np.ndarray):
            came = f"shape {tuple(condition.shape)}, {condition.dtype}"
        told = "expected one True or False; compare it, and for many values say .all() or .any()"
        raise HoldsError(f"holds({sentence!r}, …) got a {kind} ({came}); {told}.")
    if not condition:
        raise HoldsError(f"it does not hold: {sentence}")


def run_holds(variables: dict[str, Any], where: str, text: str) -> None:
    """Run the text of a holds cell with a copy of the lesson's variables, so that no name of the lesson changes.

    where: "03_router.py, line 132 (cell holds-…)". Raises HoldsError, which names the line and the sentence, if
    something does not hold, raises, shows anything, or draws from a random generator that the lesson uses.
    """
    names = {**variables, "holds": holds}
    before = _random_states(variables)
    for statement in ast.parse(text).body:
        here = line_in(where, statement.lineno)
        code = compile(ast.Module([statement], []), here, "exec")
        with capture_output() as shown:
            try:
                exec(code, names)
            except HoldsError as error:
                raise HoldsError(f"{here}: {error}") from None
            except Exception as error:
                said = ast.unparse(statement)
                raise HoldsError(f"{here}: `{said}` raises {type(error).__name__}: {error}") from error
        if shown.stdout or shown.stderr or shown.outputs:
            raise HoldsError(f"{here}: a holds cell shows something: {(shown.stdout or shown.stderr)[:80]!r}.")
    if _random_states(variables) != before:
        told = "the cells below would get other numbers; use a generator of its own."
        raise HoldsError(f"{where}: a holds cell draws from a random generator of the lesson; {told}")


def _is_truth(condition: Any) -> bool:
    if isinstance(condition, torch.Tensor):
        return condition.dtype == torch.bool and condition.shape == ()
    return isinstance(condition, bool | np.bool_)


def _random_states(variables: dict[str, Any]) -> list[Any]:
    """Where each random generator stands: those of PyTorch, NumPy and Python, and those among the variables."""
    own = {name: value for name, value in variables.items() if isinstance(value, torch.Generator)}
    states = [torch.get_rng_state(), *(generator.get_state() for generator in own.values())]
    return [[state.tolist() for state in states], repr(np.random.get_state()[1:]), random.getstate()]
