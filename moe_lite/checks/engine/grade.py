"""Grade a learner's function: run every case, keep the first thing that stopped it, name one mistake."""

import dis
import inspect
from typing import Any

import torch

from moe_lite.checks.engine.attempt import try_once
from moe_lite.checks.engine.diagnose import Tried, diagnose
from moe_lite.checks.engine.errors import explain, own_fault
from moe_lite.checks.engine.exercise import Case, Exercise, Note
from moe_lite.checks.engine.general import part_is_right
from moe_lite.checks.engine.result import CheckResult

DOES_NOTHING = {"RESUME", "NOP", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST", "LOAD_SMALL_INT"}


def grade(exercise: Exercise, fn: Any) -> CheckResult:
    """The result of checking `fn`. Learner's code may do anything; this raises only on Jupyter's own interrupt.

    Gradients are recorded meanwhile, also where the notebook has switched them off.
    """
    with torch.inference_mode(False), torch.enable_grad():
        cases = exercise.cases()
        common = {"id": exercise.id, "name": exercise.name, "total": len(cases), "hints": exercise.hints}
        try:
            return _grade(exercise, fn, cases, common)
        except Exception as error:  # ours, and no answer may bring it about; if one does, the notebook goes on
            failure = own_fault(exercise, error)
            return CheckResult(**common, passed=0, status="stopped", mistake=failure.note, failure=failure)


def _grade(exercise: Exercise, fn: Any, cases: list[Case], common: dict[str, Any]) -> CheckResult:
    if is_stub(fn):
        return CheckResult(**common, passed=0, status="open", remark=_how_to_begin(exercise))
    if note := _not_callable_like_this(exercise, fn):
        return CheckResult(**common, passed=0, status="not yet", mistake=note)

    marks, failing, passing, failure, printed, used = [], [], [], None, "", frozenset()
    for number, case in enumerate(cases, start=1):
        before = len(failing)
        for trial in case.trials:
            attempt, ended = try_once(exercise, fn, trial, case)
            printed += ended.printed
            used |= attempt.used
            if ended.error is not None or ended.timed_out:
                failure = explain(exercise, fn, ended)
                break
            right = all(part_is_right(exercise, attempt, part) for part in case.parts)
            (passing if right else failing).append(Tried(number, case, attempt))
        if len(failing) > before or not failure:
            marks.append((case.name, len(failing) == before))
        if failure:
            break

    passed = sum(ok for _, ok in marks)
    marks += [(case.name, None) for case in cases[len(marks) :]]
    common |= {"passed": passed, "cases": tuple(marks), "printed": printed}
    if failing:
        note, evidence = diagnose(exercise, failing, passing, len(cases))
        stop = {"failure": failure, "failed_case": number} if failure else {}
        return CheckResult(**common, status="not yet", mistake=note, evidence=evidence, **stop)
    if failure:
        return CheckResult(**common, status="stopped", mistake=failure.note, failure=failure, failed_case=number)
    return CheckResult(**common, status="pass", remark=_left_to_you(exercise, used) or exercise.done)


def is_stub(fn: Any) -> bool:
    """Whether a function is as the course left it: it begins with raising NotImplementedError, or does nothing."""
    code = getattr(fn, "__code__", None)
    if code is None:
        return False
    steps = [i for i in dis.get_instructions(code) if i.opname not in ("RESUME", "NOP", "PUSH_NULL")]
    return "NotImplementedError" in steps[0].argrepr or (
        {i.opname for i in steps} <= DOES_NOTHING and steps[-2:][0].argval is None
    )


def _left_to_you(exercise: Exercise, used: frozenset[str]) -> str:
    """Said on passing where a function of torch did what the exercise is about."""
    names = " and ".join(f"`{name}`" for name in exercise.left_to_you if name in used)
    return f"The numbers are right. {names} did the work, which this exercise leaves to you." if names else ""


def _how_to_begin(exercise: Exercise) -> str:
    return f"Replace `raise NotImplementedError` in the cell above; {exercise.lines}."


def _not_callable_like_this(exercise: Exercise, fn: Any) -> Note | None:
    """Said before the first call: this is no function, or it takes other arguments than the exercise gives."""
    if not callable(fn):
        sentence = (
            f"The check calls your function itself. Give it the name alone, `check.{exercise.name}({exercise.name})`"
        )
        return Note("That is not a function", f"{sentence}; it got a {type(fn).__name__}.")
    try:
        signature = inspect.signature(fn)
    except (TypeError, ValueError):  # some built-in functions have none
        return None
    try:
        signature.bind(*exercise.parameters)
    except TypeError:
        own = ", ".join(signature.parameters)
        return Note("Other parameters are expected", f"The check calls `{exercise.call}`; yours takes ({own}).")
    return None
