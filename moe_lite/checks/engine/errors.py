"""Explain an error in a learner's code: their own lines, the message, and the likely cause."""

import inspect
import linecache
import re
import sys
import traceback
from pathlib import Path
from types import FrameType
from typing import Any

from torch import Tensor

from moe_lite.checks.engine import sweep
from moe_lite.checks.engine.causes import Line, likely_cause
from moe_lite.checks.engine.exercise import Exercise, Note, Trial
from moe_lite.checks.engine.result import Failure
from moe_lite.checks.engine.run import Ended, time_limit

CHECKS, PACKAGE = str(Path(__file__).parents[1]), str(Path(__file__).parents[2])
LINES_AROUND = 2


def explain(exercise: Exercise, fn: Any, ended: Ended, trial: Trial) -> Failure:
    """What to say of a call that raised or ran out of time."""
    if ended.timed_out:
        return _timed_out(ended, trial)
    error, steps = ended.error, list(traceback.walk_tb(ended.error.__traceback__))
    own = [step for step in steps if _is_learners(step[0].f_code.co_filename, fn)]
    lines, failing_line = _lines_around(*own[-1]) if own else ((), "")
    if isinstance(error, SyntaxError) and error.text:
        failing_line = error.text
    tensors = {name: value for name, value in own[-1][0].f_locals.items() if isinstance(value, Tensor)} if own else {}
    kind, message = type(error).__name__, _without_addresses(str(error))
    what = f"your code raised {kind}" if own else f"the gradient of your result raised {kind}"
    cause = likely_cause(exercise, error, message, Line(failing_line, tensors, _source(fn)))
    return Failure(
        what=what,
        note=sweep.where(trial, cause) if cause else sweep.raised(trial, kind),
        message=f"{kind}: {message}" if message else kind,
        lines=lines,
        traceback=_short_traceback(traceback.StackSummary.extract(steps), fn, kind, message),
    )


def _source(fn: Any) -> str:
    try:
        return inspect.getsource(fn)
    except (OSError, TypeError):
        return ""


def own_fault(exercise: Exercise, error: Exception) -> Failure:
    """What to say of an error in the check itself."""
    sentence = (
        f"Your function may be right: the check of {exercise.id} could not deal with what it returned or did "
        f"({type(error).__name__}). Please report your function together with the traceback below. "
        f'`moe_lite.skip("{exercise.id}")` goes on without this exercise.'
    )
    return Failure(
        what="the check itself failed",
        note=Note("The check itself failed", sentence, general=True),
        traceback=_without_addresses("".join(traceback.format_exception(error))),
    )


def _timed_out(ended: Ended, trial: Trial) -> Failure:
    seconds = f"{time_limit():g} s"
    if not ended.left_running and (note := sweep.too_slow(trial, seconds)):
        return Failure(what=f"no answer after {seconds}", note=note)
    if ended.left_running:
        sentence = (
            "A step takes too long or never ends, and it could not be stopped. It still runs in the background: "
            "restart the kernel when you have changed your function."
        )
    else:
        sentence = "A loop does not end: what would make its condition false? The rest of the notebook goes on."
    return Failure(what=f"no answer after {seconds}", note=Note("A loop does not end", sentence))


def _is_learners(filename: str, fn: Any) -> bool:
    """The file of the function, or any other that is neither ours nor a library's; "<string>" is a dataclass's own."""
    own_code = getattr(fn, "__code__", None)
    if own_code is not None and filename == own_code.co_filename:
        return True
    libraries = {sys.prefix, sys.base_prefix, PACKAGE, "<frozen", "<string>"}
    library = any(filename.startswith(prefix) for prefix in libraries)
    return not library and "site-packages" not in filename


def _lines_around(frame: FrameType, failing: int) -> tuple[tuple[tuple[int, str, bool], ...], str]:
    """Up to two lines before and after the failing one, inside the function; and the failing line itself."""
    source = [line.rstrip() for line in linecache.getlines(frame.f_code.co_filename)]
    if failing > len(source):  # typed at a prompt, or built from a string
        return (), ""
    inside = [n for _, _, n in frame.f_code.co_lines() if n]
    first, last = max(failing - LINES_AROUND, min(inside)), min(failing + LINES_AROUND, max(inside))
    return tuple((n, source[n - 1], n == failing) for n in range(first, last + 1)), source[failing - 1]


def _short_traceback(frames: traceback.StackSummary, fn: Any, kind: str, message: str) -> str:
    """Python's traceback without the check's own frames and without anybody's folders."""
    made = [frame for frame in frames if frame.filename != "<string>" or _is_learners(frame.filename, fn)]
    kept = [frame for frame in made if not frame.filename.startswith(CHECKS)]
    texts = []
    for frame in kept:
        name = "your code" if _is_learners(frame.filename, fn) else _library_name(frame.filename)
        texts.append(f"{name}, line {frame.lineno}, in {frame.name}\n    {frame.line}".rstrip())
    return "\n".join([*texts, f"{kind}: {message}"])


def _library_name(filename: str) -> str:
    """`torch/functional.py` of a path through site-packages, `moe_lite/model/experts.py` of ours, else its name."""
    parts = Path(filename).parts
    if filename.startswith(PACKAGE):
        return Path(filename).relative_to(Path(PACKAGE).parent).as_posix()
    if "site-packages" in parts:
        return "/".join(parts[parts.index("site-packages") + 1 :])
    return parts[-1]


def _without_addresses(message: str) -> str:
    """Memory addresses change from run to run."""
    return re.sub(r"0x[0-9a-fA-F]+", "0x…", message)
