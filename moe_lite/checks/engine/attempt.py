"""Try a learner's function on one input: clone what goes in, read what comes out, and take the gradient."""

import contextlib
import copy
import inspect
import operator
from collections.abc import Callable, Iterable, Iterator
from dataclasses import is_dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from moe_lite.checks.engine.compare import article, close
from moe_lite.checks.engine.exercise import GRADIENT, REPEAT, Attempt, Case, Exercise, Note, Output, Trial
from moe_lite.checks.engine.rows import complaint, padded
from moe_lite.checks.engine.run import Ended, run_limited, time_limit


def try_once(exercise: Exercise, fn: Any, trial: Trial, case: Case) -> tuple[Attempt, Ended]:
    """What `fn` made of one trial. If it raised or ran out of time, `Ended` says so and the attempt is empty."""
    gradient_of = trial.gradient if GRADIENT in case.parts else ()
    expected, watched, gradients = _right(exercise, trial, gradient_of)
    attempt = {"trial": trial, "parameters": exercise.parameters}
    attempt["expected"], attempt["expected_gradients"] = expected | watched, gradients

    attempt["within"] = {output.name: 0.0 for output in exercise.outputs if output.among}

    args = _copies(trial.args if trial.before is None else trial.before, gradient_of)
    ended = run_limited(lambda: _call(exercise, fn, args, expected, trial, gradient_of), time_limit())
    if ended.error is None and not ended.timed_out:
        attempt.update(ended.value)
        before, after = (_tensors(exercise, given, range(len(args))) for given in (trial.args, args))
        asked = _tensors(exercise, args, gradient_of)
        names = before | after  # with what was put into a list, or taken out of one
        attempt["changed"] = tuple(
            name for name in names if not _unchanged(before.get(name), after.get(name), name in asked)
        ) + _plain_ones_changed(exercise, trial.args, args)
        if REPEAT in case.parts and attempt.get("got"):
            ended, attempt["repeated"] = _repeat(exercise, fn, trial, expected)
    if trial.random:
        attempt["within"] |= {name: float("inf") for name in expected}
    if trial.draws:
        _count(exercise, attempt)
    return Attempt(**attempt), ended


_rights: WeakKeyDictionary[Trial, dict] = WeakKeyDictionary()


def _right(exercise: Exercise, trial: Trial, gradient_of: tuple[int, ...]) -> tuple[dict, dict, dict]:
    """The reference's answer to a trial, what was watched meanwhile, and its gradients; worked out once a trial."""
    known = _rights.setdefault(trial, {})
    if (exercise.reference, gradient_of) not in known:
        args = _copies(trial.args, gradient_of)
        with _watching(exercise, trial, args) as watched:
            expected = _joined([exercise.named(exercise.reference(*args)) for _ in range(trial.calls)])
        gradients = _gradients(exercise, expected, expected, args, gradient_of)
        detached = {name: value.detach() for name, value in expected.items()}
        known[exercise.reference, gradient_of] = detached, watched, gradients
    return known[exercise.reference, gradient_of]


def _call(
    exercise: Exercise, fn: Any, args: tuple, expected: dict[str, Tensor], trial: Trial, gradient_of: tuple[int, ...]
) -> dict:
    """Runs inside the time limit: the learner's function, then its gradient, for that runs the learner's code too."""
    torch.rand(1)  # a state that no plain seed gives
    answers, state, before = [], torch.get_rng_state(), torch.get_default_dtype()
    if trial.before is not None:
        fn(*args)
        _write_over(args, trial.args)
    with _watching(exercise, trial, args) as watched, _used(exercise) as used:
        for _ in range(trial.calls):
            got, fault = read(exercise, fn(*args))
            if fault:
                return {"fault": fault}
            answers.append(got)
    moved, left = not torch.equal(torch.get_rng_state(), state), _left_behind(before)
    got = _joined(answers)
    values = {name: value.detach().clone() for name, value in got.items()} | watched
    if trial.after is not None:
        fn(*_copies(trial.after, gradient_of))
    gradients = _gradients(exercise, got, expected, args, gradient_of)
    returned = {name: value.detach() for name, value in got.items()}
    return {
        "got": values, "returned": returned, "gradients": gradients, "drew_globally": moved, "used": frozenset(used),
        "left_behind": left, "shared": _shared(exercise, got, args),
    }  # fmt: skip


def _shared(exercise: Exercise, got: dict[str, Tensor], args: tuple) -> tuple[tuple[str, str], ...]:
    """Outputs that should be new and lie in an argument's memory, each with the name of the argument."""
    new, given = [output.name for output in exercise.outputs if output.new], _tensors(exercise, args, range(len(args)))
    place = Tensor.untyped_storage
    pairs = [(name, other) for name in new for other in given]
    return tuple(
        (name, other) for name, other in pairs if place(got[name]).data_ptr() == place(given[other]).data_ptr()
    )


def _left_behind(dtype: torch.dtype) -> str:
    """The call that left torch in another state than it was in, put back here; empty if there was none."""
    if not torch.is_grad_enabled():
        torch.set_grad_enabled(True)
        return "set_grad_enabled(False)"
    if (now := torch.get_default_dtype()) != dtype:
        torch.set_default_dtype(dtype)
        return f"set_default_dtype({now})"
    return ""


class _Calls(TorchFunctionMode):
    """Notes which of some torch functions are called in this thread."""

    def __init__(self, names: tuple[str, ...]):
        super().__init__()
        self.names, self.seen = names, set()

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if getattr(func, "__name__", "") in self.names:
            self.seen.add(func.__name__)
        return func(*args, **(kwargs or {}))


@contextlib.contextmanager
def _used(exercise: Exercise) -> Iterator[set[str]]:
    if not exercise.left_to_you:
        yield set()
        return
    with _Calls(exercise.left_to_you) as calls:
        yield calls.seen


def _watching(exercise: Exercise, trial: Trial, args: tuple) -> contextlib.AbstractContextManager[dict[str, Tensor]]:
    """How much work is done is looked at in the cases; where sizes coincide, it could not be told apart."""
    return exercise.watch.on(args) if exercise.watch and not trial.kind else contextlib.nullcontext({})


def _joined(answers: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """The answers of several calls in one; those of a single call as they are."""
    if len(answers) == 1:
        return answers[0]
    return {name: torch.cat([torch.atleast_1d(answer[name]) for answer in answers]) for name in answers[0]}


def _count(exercise: Exercise, attempt: dict) -> None:
    """Put the shares of a trial with draws beside the draws themselves."""
    draws, trial = exercise.draws, attempt["trial"]
    attempt["within"][draws.name] = draws.within(trial)
    attempt["expected"][draws.name] = draws.probabilities(*trial.args)
    shares = draws.shares(trial, attempt["got"]) if attempt.get("got") else None
    if shares is not None:
        attempt["got"][draws.name] = shares


def _repeat(exercise: Exercise, fn: Any, trial: Trial, expected: dict[str, Tensor]) -> tuple[Ended, dict | None]:
    """A second call with the same input, after drawing from the generators: nothing of it may show in the answer."""

    def work() -> dict:
        torch.rand(1)
        return _call(exercise, fn, _copies(trial.args, ()), expected, trial, ())

    ended = run_limited(work, time_limit())
    return ended, ended.value.get("got") if ended.value else None


def _copies(args: tuple, gradient_of: tuple[int, ...]) -> tuple:
    """What can be written to is copied, so that nothing the function does to it reaches the next trial."""
    copies = [_copy(a) for a in args]
    for position in gradient_of:
        for part in copies[position] if isinstance(copies[position], list) else [copies[position]]:
            part.requires_grad_()
    return tuple(copies)


def _write_over(args: tuple, values: tuple) -> None:
    """Other numbers in the same tensors, as an optimiser's step writes them."""
    with torch.no_grad():
        for old, new in zip(args, values, strict=True):
            for one, other in zip(old, new, strict=True) if isinstance(old, list) else [(old, new)]:
                if isinstance(one, Tensor):
                    one.copy_(other)


def _plain_ones_changed(exercise: Exercise, before: tuple, after: tuple) -> tuple[str, ...]:
    """Names of settings and dicts that were changed, and of lists that got longer or shorter or hold other numbers.

    A list may hold lists.
    """
    changed = []
    for name, old, new in zip(exercise.parameters, before, after, strict=True):
        if isinstance(old, list):
            if len(old) != len(new) or all(map(_is_plain, old)) and old != new:
                changed.append(name)
        elif (isinstance(old, dict) or is_dataclass(old)) and old != new:
            changed.append(name)
    return tuple(changed)


def _is_plain(value: Any) -> bool:
    """A number, or a list of nothing but numbers and such lists."""
    return all(map(_is_plain, value)) if isinstance(value, list) else isinstance(value, int | float)


def _copy(value: Any) -> Any:
    if isinstance(value, torch.Generator):
        return torch.Generator().set_state(value.get_state())
    if isinstance(value, list):
        copies = {id(part): _as_laid_out(part) if isinstance(part, Tensor) else copy.deepcopy(part) for part in value}
        return [copies[id(part)] for part in value]  # one thing that stands in two places stays one
    if isinstance(value, dict | nn.Module) or is_dataclass(value):
        return copy.deepcopy(value)
    return _as_laid_out(value) if isinstance(value, Tensor) else value


def _as_laid_out(tensor: Tensor) -> Tensor:
    """A copy with the strides of the original: `clone` puts in order what was cut out or expanded."""
    once = tensor
    for dim, (size, stride) in enumerate(zip(tensor.shape, tensor.stride(), strict=True)):
        if size > 1 and stride == 0:  # one row that stands for all
            once = once.narrow(dim, 0, 1)
    copied = torch.empty_strided(once.shape, once.stride(), dtype=tensor.dtype, device=tensor.device)
    return copied.copy_(once).expand(tensor.shape)


def _tensors(exercise: Exercise, args: tuple, positions: Iterable[int]) -> dict[str, Tensor]:
    """The tensors among some of the arguments, by name: `x`, `scores[0]` of a list, `router.weight` of a module."""
    found = {}
    for name, value in ((exercise.parameters[position], args[position]) for position in positions):
        if isinstance(value, Tensor):
            found[name] = value
        elif isinstance(value, list):
            found |= {f"{name}[{i}]": part for i, part in enumerate(value) if isinstance(part, Tensor)}
        elif isinstance(value, nn.Module):
            found |= {f"{name}.{own}": parameter for own, parameter in value.named_parameters()}
    return found


def _gradients(
    exercise: Exercise, got: dict[str, Tensor], expected: dict[str, Tensor], args: tuple, gradient_of: tuple[int, ...]
) -> dict[str, Tensor | None]:
    """For each tensor of `gradient_of`'s arguments: the gradient of a fixed weighted sum of all floating outputs, or
    None."""
    if not gradient_of:
        return {}
    with torch.enable_grad():
        total = sum(
            (value * _probe(value)).sum()
            for name, value in got.items()
            if value.shape == expected[name].shape and value.requires_grad
        )
    wanted = _tensors(exercise, args, gradient_of)
    if isinstance(total, Tensor):
        total.backward()  # back through all that is there, also what a call before has left
    return {name: tensor.grad for name, tensor in wanted.items()}


def _probe(value: Tensor) -> Tensor:
    """Weights for the sum, all different: with equal ones, rows that sum to 1 would have no gradient at all."""
    return torch.arange(value.numel(), dtype=torch.float64).cos().reshape(value.shape).to(value.dtype)


def _unchanged(before: Tensor | None, after: Tensor | None, for_gradient: bool) -> bool:
    """None: it was not in its list yet, or it is no more. A tensor that begins to ask for gradients is changed, too."""
    if before is None or after is None:
        return False
    marked = not for_gradient and after.requires_grad != before.requires_grad
    return after.dtype == before.dtype and not marked and torch.equal(before, after.detach())


def read(exercise: Exercise, returned: Any) -> tuple[dict[str, Tensor], Note | None]:
    """The returned tensors by name, or a note that says why they cannot be read."""
    names = [output.name for output in exercise.outputs]
    wanted = " and ".join(f"`{o.name}` ({o.shape})" if o.shape else f"`{o.name}`" for o in exercise.outputs)
    if returned is None:
        return {}, Note(
            "Nothing is returned",
            f"Your function gave back None, expected {wanted}: does every path through it end in a `return`?",
        )
    if inspect.isgenerator(returned):
        return {}, Note("A generator, not a result", f"`yield` makes a generator. Return {wanted} with `return`.")
    if inspect.iscoroutine(returned):
        returned.close()
        return {}, Note("A coroutine, not a result", f"Write `def`, not `async def`, and return {wanted}.")
    values = (returned,) if isinstance(returned, Tensor) or len(names) == 1 else returned
    if not isinstance(values, tuple):
        kind = article(type(returned).__name__)
        return {}, Note("A tuple is expected", f"Return {wanted} as a tuple, `return {', '.join(names)}`; got {kind}.")
    if len(values) != len(names):
        came = "one tensor" if isinstance(returned, Tensor) else f"{len(values)} things"
        return {}, Note("Wrong number of results", f"Your function returned {came}, expected {len(names)}: {wanted}.")
    got = {}
    for output, value in zip(exercise.outputs, values, strict=True):
        got[output.name], fault = _reader(output)(output, value)
        if fault:
            return {}, fault
    return got, None


def _reader(output: Output) -> Callable[[Output, Any], tuple[Tensor | None, Note | None]]:
    if output.whole:
        return _read_number
    if output.real:
        return _read_float
    if output.rows:
        return _read_rows
    return _read_thing if output.kind else _read_tensor


def _read_thing(output: Output, value: Any) -> tuple[Tensor | None, Note | None]:
    if not isinstance(value, output.kind):
        return None, _other_kind(output, value, output.kind)
    return output.tensor_of(value), None


def _other_kind(output: Output, value: Any, wanted: type) -> Note:
    should, kind = article(wanted.__name__), article(type(value).__name__)
    return Note(f"Not {should}", f"`{output.name}` should be {should}, got {kind}.")


def _read_rows(output: Output, value: Any) -> tuple[Tensor | None, Note | None]:
    if not isinstance(value, list):
        return None, _other_kind(output, value, list)
    if told := complaint(output.name, value):
        return None, Note(*told)
    return padded(value), None


def _read_float(output: Output, value: Any) -> tuple[Tensor | None, Note | None]:
    if isinstance(value, bool) or not isinstance(value, int | float):
        kind = article(type(value).__name__)
        return None, Note("Not a plain float", f"`{output.name}` should be a plain float, got {kind}.")
    try:
        return torch.tensor(float(value), dtype=torch.float64), None
    except OverflowError:
        return None, Note("A number far too large", f"`{output.name}` does not fit into a float.")


def _read_tensor(output: Output, value: Any) -> tuple[Tensor | None, Note | None]:
    if not isinstance(value, Tensor):
        cut = " `.item()` and `float()` cut the gradient: leave them out." if isinstance(value, float) else ""
        kind = article(type(value).__name__)
        if type(value).__module__ == "torch.return_types":  # what max(dim=…), sort and topk give
            kind = f"both values and indices, as `{type(value).__name__}` gives them: take them apart"
        return None, Note("Not a tensor", f"`{output.name}` should be a torch.Tensor, got {kind}.{cut}")
    if value.layout != torch.strided or value.is_complex():
        kind = "complex numbers" if value.is_complex() else f"the layout {value.layout}"
        sentence = f"`{output.name}` has {kind}; a dense tensor of real numbers is expected."
        return None, Note("Not a plain tensor", sentence)
    return value, None


def _read_number(output: Output, value: Any) -> tuple[Tensor | None, Note | None]:
    """A whole number as int64; a float as float64, so that its value can still be looked at."""
    if isinstance(value, Tensor) or isinstance(value, bool):
        return None, _no_number(output, value)
    try:
        if isinstance(value, float):
            return torch.tensor(value, dtype=torch.float64), None
        return torch.tensor(operator.index(value)), None
    except TypeError:
        return None, _no_number(output, value)
    except (OverflowError, RuntimeError, ValueError):  # past int64
        sentence = f"`{output.name}` has {int(value.bit_length() * 0.30103) + 1} digits: is there a power too many?"
        return None, Note("A number far too large", sentence)


def _no_number(output: Output, value: Any) -> Note:
    kind = article(type(value).__name__)
    return Note("Not a whole number", f"`{output.name}` should be a plain int, got {kind}.")


def same_again(attempt: Attempt) -> bool:
    """Whether the second call with the same input gave the same answer."""
    again = attempt.repeated
    return again is not None and all(name in again and _alike(again[name], v) for name, v in attempt.got.items())


def _alike(one: Tensor, other: Tensor) -> bool:
    """Equal up to rounding, where a nan equals a nan: wrong, but the same wrong."""
    return close(one.nan_to_num(), other.nan_to_num()) and torch.equal(one.isnan(), other.isnan())
