"""Try a learner's function on one input: clone what goes in, read what comes out, and take the gradient."""

import inspect
from typing import Any

import torch
from torch import Tensor

from moe_lite.checks.compare import close
from moe_lite.checks.exercise import GRADIENT, REPEAT, Attempt, Case, Exercise, Note, Trial
from moe_lite.checks.run import Ended, run_limited, time_limit


def try_once(exercise: Exercise, fn: Any, trial: Trial, case: Case) -> tuple[Attempt, Ended]:
    """What `fn` made of one trial. If it raised or ran out of time, `Ended` says so and the attempt is empty."""
    gradient_of = trial.gradient if GRADIENT in case.parts else ()
    reference_args = _copies(trial.args, gradient_of)
    expected = exercise.named(exercise.reference(*reference_args))
    attempt = {"trial": trial, "expected": {name: value.detach() for name, value in expected.items()}}
    attempt["expected_gradients"] = _gradients(exercise, expected, expected, reference_args, gradient_of)

    args = _copies(trial.args, gradient_of)
    ended = run_limited(lambda: _call(exercise, fn, args, expected, gradient_of), time_limit())
    if ended.error is None and not ended.timed_out:
        attempt.update(ended.value)
        attempt["changed"] = tuple(
            name for name, before, after in zip(exercise.parameters, trial.args, args, strict=True)
            if isinstance(before, Tensor) and not _identical(before, after.detach())
        )  # fmt: skip
        if REPEAT in case.parts and attempt["got"]:
            ended, attempt["repeated"] = _repeat(exercise, fn, trial, expected)
    return Attempt(**attempt), ended


def _call(exercise: Exercise, fn: Any, args: tuple, expected: dict[str, Tensor], gradient_of: tuple[int, ...]) -> dict:
    """Runs inside the time limit: the learner's function, then its gradient, for that runs the learner's code too."""
    got, fault = read(exercise, fn(*args))
    gradients = _gradients(exercise, got, expected, args, gradient_of) if got else {}
    return {"got": {k: v.detach().clone() for k, v in got.items()}, "gradients": gradients, "fault": fault}


def _repeat(exercise: Exercise, fn: Any, trial: Trial, expected: dict[str, Tensor]) -> tuple[Ended, dict | None]:
    """A second call with the same input, after drawing from the generators: nothing of it may show in the answer."""

    def work() -> dict:
        torch.rand(1)
        return _call(exercise, fn, _copies(trial.args, ()), expected, ())

    ended = run_limited(work, time_limit())
    return ended, ended.value["got"] if ended.value else None


def _copies(args: tuple, gradient_of: tuple[int, ...]) -> tuple:
    """Tensors are cloned, so that nothing the function writes to reaches the next trial."""
    copies = [a.clone() if isinstance(a, Tensor) else a for a in args]
    for position in gradient_of:
        copies[position].requires_grad_()
    return tuple(copies)


def _gradients(
    exercise: Exercise, got: dict[str, Tensor], expected: dict[str, Tensor], args: tuple, gradient_of: tuple[int, ...]
) -> dict[str, Tensor | None]:
    """For each argument in `gradient_of`: the gradient of a fixed weighted sum of all floating outputs, or None."""
    if not gradient_of:
        return {}
    with torch.enable_grad():
        total = sum(
            (value * _probe(value)).sum()
            for name, value in got.items()
            if value.shape == expected[name].shape and value.requires_grad
        )
    wanted = [args[position] for position in gradient_of]
    found = torch.autograd.grad(total, wanted, allow_unused=True) if isinstance(total, Tensor) else [None] * len(wanted)
    return {exercise.parameters[position]: g for position, g in zip(gradient_of, found, strict=True)}


def _probe(value: Tensor) -> Tensor:
    """Weights for the sum, all different: with equal ones, rows that sum to 1 would have no gradient at all."""
    return torch.arange(value.numel(), dtype=torch.float64).cos().reshape(value.shape).to(value.dtype)


def _identical(before: Tensor, after: Tensor) -> bool:
    return before.shape == after.shape and before.dtype == after.dtype and torch.equal(before, after)


def read(exercise: Exercise, returned: Any) -> tuple[dict[str, Tensor], Note | None]:
    """The returned tensors by name, or a note that says why they cannot be read."""
    names = [output.name for output in exercise.outputs]
    wanted = " and ".join(f"`{o.name}` ({o.shape})" for o in exercise.outputs)
    if returned is None:
        return {}, Note(
            "Nothing is returned", f"Your function gave back None, expected {wanted}: is there a `return` at its end?"
        )
    if inspect.isgenerator(returned):
        return {}, Note("A generator, not a result", f"`yield` makes a generator. Return {wanted} with `return`.")
    if inspect.iscoroutine(returned):
        returned.close()
        return {}, Note("A coroutine, not a result", f"Write `def`, not `async def`, and return {wanted}.")
    values = (returned,) if isinstance(returned, Tensor) or len(names) == 1 else returned
    if not isinstance(values, tuple):
        kind = type(returned).__name__
        return {}, Note(
            "A tuple is expected", f"Return {wanted} as a tuple, `return {', '.join(names)}`; got a {kind}."
        )
    if len(values) != len(names):
        came = "one tensor" if isinstance(returned, Tensor) else f"{len(values)} things"
        return {}, Note("Wrong number of results", f"Your function returned {came}, expected {len(names)}: {wanted}.")
    for name, value in zip(names, values, strict=True):
        if not isinstance(value, Tensor):
            kind = type(value).__name__
            return {}, Note("Not a tensor", f"`{name}` should be a torch.Tensor, got {_article(kind)}.")
        if value.layout != torch.strided or value.is_complex():
            kind = "complex numbers" if value.is_complex() else f"the layout {value.layout}"
            return {}, Note("Not a plain tensor", f"`{name}` has {kind}; a dense tensor of real numbers is expected.")
    return dict(zip(names, values, strict=True)), None


def _article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def same_again(attempt: Attempt) -> bool:
    """Whether the second call with the same input gave the same answer."""
    again = attempt.repeated
    return again is not None and all(name in again and close(again[name], v) for name, v in attempt.got.items())
