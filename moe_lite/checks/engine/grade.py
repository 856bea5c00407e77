"""Grade a learner's function: run every case, keep the first thing that stopped it, name one mistake."""

import dis
import inspect
from dataclasses import replace
from typing import Any

import torch

from moe_lite.checks.engine import sweep
from moe_lite.checks.engine.attempt import try_once
from moe_lite.checks.engine.diagnose import Tried, diagnose
from moe_lite.checks.engine.errors import explain, own_fault
from moe_lite.checks.engine.exercise import Case, Exercise, Note, Trial
from moe_lite.checks.engine.general import earlier_changed, part_is_right
from moe_lite.checks.engine.result import CheckResult, Failure
from moe_lite.checks.engine.run import generators_kept

DOES_NOTHING = {"RESUME", "NOP", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST", "LOAD_SMALL_INT"}


def grade(exercise: Exercise, fn: Any) -> CheckResult:
    """The result of checking `fn`. Learner's code may do anything; this raises only on Jupyter's own interrupt.

    Gradients are recorded meanwhile, also where the notebook has switched them off.
    """
    with torch.inference_mode(False), torch.enable_grad(), generators_kept():
        cases = exercise.cases()
        total = len(cases) + (exercise.drawn is not None)
        common = {"id": exercise.id, "name": exercise.name, "total": total, "hints": exercise.hints}
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

    run = _Run(exercise, fn)
    for number, case in enumerate(cases, start=1):
        run.look_at(number, case)
        if run.failure:
            break
    if exercise.drawn:
        run.sweep(len(cases) + 1)
    marks = run.marks + [(case.name, None) for case in cases[len(run.marks) :]]
    if exercise.drawn and len(marks) == len(cases):
        marks.append((sweep.NAME, None))

    passed = sum(bool(ok) for _, ok in marks)
    common = common | {"passed": passed, "cases": tuple(marks), "printed": run.printed}
    stop = {"failure": run.failure, "failed_case": run.failed_case} if run.failure else {}
    if run.failing:
        note, evidence = diagnose(exercise, run.failing, run.passing, common["total"])
        return CheckResult(**common, status="not yet", mistake=note, evidence=evidence, **stop)
    if run.failure:
        return CheckResult(**common, status="stopped", mistake=run.failure.note, **stop)
    return CheckResult(**common, status="pass", remark=_left_to_you(exercise, run.used) or exercise.done)


class _Run:
    """The trials of one grading: what went well and what did not, up to the first that raised or took too long."""

    def __init__(self, exercise: Exercise, fn: Any):
        self.exercise, self.fn = exercise, fn
        self.marks: list[tuple[str, bool]] = []
        self.failing: list[Tried] = []
        self.passing: list[Tried] = []
        self.failure: Failure | None = None
        self.failed_case, self.printed, self.used = 0, "", frozenset()

    def look_at(self, number: int, case: Case) -> None:
        before = len(self.failing)
        for trial in case.trials:
            self._try(number, case, trial)
            if self.failure:
                break
        if len(self.failing) > before or not self.failure:
            self.marks.append((case.name, len(self.failing) == before))

    def sweep(self, number: int) -> None:
        """What no author thinks of; only once every case is right."""
        if self.failing or self.failure:
            return
        for case in sweep.cases(self.exercise):
            self._try(number, case, case.trials[0])
            if self.failure:
                break
        changed = [tried for tried in self.passing if earlier_changed(tried.attempt)]
        if changed and not self.failing:
            self.failing.append(replace(changed[0], number=number))
        if self.failing or not self.failure:
            self.marks.append((sweep.NAME, not self.failing))

    def _try(self, number: int, case: Case, trial: Trial) -> None:
        attempt, ended = try_once(self.exercise, self.fn, trial, case)
        self.printed += ended.printed
        self.used |= attempt.used
        if ended.error is not None or ended.timed_out:
            self.failure, self.failed_case = explain(self.exercise, self.fn, ended, trial), number
            return
        right = all(part_is_right(self.exercise, attempt, part) for part in case.parts)
        (self.passing if right else self.failing).append(Tried(number, case, attempt))


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
