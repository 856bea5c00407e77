"""Mistakes that any exercise can show, and the words for what no named mistake explains."""

from itertools import permutations

import torch
from torch import Tensor

from moe_lite.checks.engine.attempt import same_again
from moe_lite.checks.engine.compare import (
    as_float,
    close,
    decimals_that_differ,
    differing,
    dtype_text,
    first_difference,
    number,
    relation,
    shape_text,
)
from moe_lite.checks.engine.exercise import FORM, GRADIENT, INPUT, QUIET, REPEAT, Attempt, Exercise, Note, Output


def part_is_right(exercise: Exercise, attempt: Attempt, part: str) -> bool:
    """Whether one thing that a case looks at is as it should be."""
    if attempt.fault:
        return False
    if part == FORM:
        return not (wrong_shape(exercise, attempt) or wrong_dtype(exercise, attempt))
    if part == INPUT:
        return not attempt.changed and not attempt.shared
    if part == REPEAT:
        return same_again(attempt)
    if part == GRADIENT:
        return not wrong_gradient(attempt)
    if part == QUIET:
        return not attempt.drew_globally and not attempt.left_behind
    return attempt.right(part)


def wrong_shape(exercise: Exercise, attempt: Attempt) -> Note | None:
    for output in exercise.outputs:
        if (got := attempt.got.get(output.name)) is None:
            continue
        expected = attempt.expected[output.name]
        if got.shape != expected.shape:
            turned = " " + relation(got, expected) if relation(got, expected) else ""
            sentence = (
                f"Expected `{output.name}` ({output.shape}) = {shape_text(expected)}, got {shape_text(got)} "
                f"{dtype_text(got)}.{turned}"
            )
            return Note("Wrong shape", sentence, general=True)
    return None


def wrong_dtype(exercise: Exercise, attempt: Attempt) -> Note | None:
    for output in exercise.outputs:
        got, expected = attempt.got.get(output.name), attempt.expected[output.name]
        if got is not None and not _dtype_fits(output, got, expected):
            if output.whole:
                sentence = f"`{output.name}` should be a whole number, got the float {got.item():,}: "
                return Note("A float, where a whole number is asked", sentence + "`//` stays whole, `/` does not.")
            wanted = dtype_text(expected) if output.strict_dtype else "a floating type"
            sentence = f"`{output.name}` should be {wanted}, got {dtype_text(got)}."
            return Note(f"`{output.name}` has the wrong type", sentence)
    return None


def _dtype_fits(output: Output, got: Tensor, expected: Tensor) -> bool:
    return got.dtype == expected.dtype if output.strict_dtype else got.is_floating_point()


def swapped(exercise: Exercise, attempt: Attempt) -> Note | None:
    """Two or three results, each right, in another order."""
    names = [output.name for output in exercise.outputs]
    if len(names) not in (2, 3) or len(attempt.got) != len(names) or attempt.all_right:
        return None
    for order in permutations(names):
        moved = [name for name, other in zip(names, order, strict=True) if name != other]
        if moved and attempt.equals(*(attempt.expected[name] for name in order)):
            title = (
                f"`{moved[0]}` and `{moved[1]}` have changed places" if len(moved) == 2 else "Results in another order"
            )
            every, wanted = ("Both", "All three")[len(names) - 2], ", then ".join(f"`{name}`" for name in names[1:])
            return Note(title, f"{every} are right, in the wrong order: `{names[0]}` is returned first, then {wanted}.")
    return None


def input_changed(exercise: Exercise, attempt: Attempt) -> Note | None:
    if not attempt.changed:
        return None
    names = " and ".join(f"`{name}`" for name in attempt.changed)
    given = dict(zip(attempt.parameters, attempt.args, strict=True))
    in_place = "`x[...] = `, `/=`, names that end in `_`"
    if all(isinstance(given.get(name), list) for name in attempt.changed):  # of a tensor in one, the name is `x[0]`
        in_place = "`.sort()`, `.append()`, `.remove()`, `del`"
    sentence = (
        f"{names} had other values after the call than before. Whoever called you still needs them: work on a copy, "
        f"and mind operations in place ({in_place})."
    )
    return Note("Your function changed its input", sentence)


def not_new(exercise: Exercise, attempt: Attempt) -> Note | None:
    if not attempt.shared or not attempt.all_right:
        return None
    output, argument = attempt.shared[0]
    sentence = (
        f"`{output}` is right, but lies in the memory of `{argument}`: whoever changes one changes the other. Return a "
        f"tensor of its own, also where nothing is changed; `{argument}.clone()` makes one."
    )
    return Note("The answer is the input itself", sentence)


def unstable(exercise: Exercise, attempt: Attempt) -> Note | None:
    if attempt.repeated is None or same_again(attempt):
        return None
    sentence = (
        "The same input, given twice, got two different answers: something is kept between the calls, "
        "or drawn at random."
    )
    return Note("Two answers to one question", sentence)


def drew_globally(exercise: Exercise, attempt: Attempt) -> Note | None:
    if not attempt.all_right:
        return None
    if attempt.left_behind:
        sentence = (
            f"After your function `torch.{attempt.left_behind}` still holds, for everybody else in the notebook. Leave "
            "settings as they are; `with torch.no_grad():` ends with its block."
        )
        return Note("A setting of torch is left changed", sentence)
    if not attempt.drew_globally:
        return None
    given = any(isinstance(value, torch.Generator) for value in attempt.args)
    sentence = (
        "torch's global generator was moved or seeded by your function. Whoever else draws from it now gets other "
        "numbers: "
        + ("draw from the generator that you are given, and from no other." if given else "there is nothing to draw.")
    )
    return Note("The global generator was touched", sentence)


def earlier_changed(attempt: Attempt) -> Note | None:
    """An answer that has become another one since it was given."""
    for name, given in attempt.returned.items():
        if not torch.equal(given.nan_to_num(), attempt.got[name].nan_to_num()):
            sentence = (
                f"The `{name}` that your function returned for {attempt.trial.note} was right, and has other values "
                "since it was called with other data: both calls wrote into one tensor, kept between them. Make a new "
                "one in each call."
            )
            return Note("An earlier answer has changed", sentence)
    return None


def wrong_gradient(attempt: Attempt) -> Note | None:
    """A tensor that no gradient reaches comes before one whose gradient is another."""
    found = attempt.expected_gradients
    for name in (name for name in found if attempt.gradients.get(name) is None):
        learner = "what it belongs to" if "." in name else "nothing before your function"
        verb = "could not learn" if "." in name else "could learn"
        sentence = (
            f"The values are right, but no gradient flows back to `{name}`: {learner} {verb}. `detach`, `no_grad`, "
            "`.data`, `item`, `tolist` and `torch.tensor(...)` cut it."
        )
        return Note(f"No gradient reaches `{name}`", sentence)
    for name, expected in found.items():
        got = attempt.gradients[name]
        if bool(got.isnan().any()) and not expected.isnan().any():
            sentence = (
                f"The values are right, but {int(got.isnan().sum())} of {got.numel()} gradients for `{name}` are nan: "
                "a step on the way overflows or divides by 0 (`exp` of a large number, root or logarithm of 0), also "
                "where its value no longer shows. torch's own `sigmoid`, `softmax` and `logsumexp` do not."
            )
            return Note(f"The gradient for `{name}` is nan", sentence)
        if attempt.trial.kinks:
            got = torch.where(attempt.args[attempt.parameters.index(name)] == 0, expected, got)
        if not close(got, expected) and not close(got, expected, within=1e-8):  # an eps beside a gradient of 0
            index = first_difference(got, expected)
            mine, right = float(got[index]), float(expected[index])
            decimals = decimals_that_differ([(mine, right)], start=4)
            near = bool((got - expected).abs().max() < 1e-3 * expected.abs().max())
            later = attempt.trial.after is not None
            sentence = (
                f"The values are right, the gradient for `{name}` is not: at {list(index)} it is "
                f"{number(mine, decimals)}, expected {number(right, decimals)}. "
            ) + (
                "Without the other call in between it was right: both wrote into one tensor, kept between them."
                if later else
                "All are close: is something computed in a shorter type than the input's?" if near else
                "Is a part of the computation cut off by `detach`, `no_grad`, `item` or `torch.tensor(...)`?"
            )  # fmt: skip
            return Note(f"The gradient for `{name}` differs", sentence)
    return None


def gradient_only(exercise: Exercise, attempt: Attempt) -> Note | None:
    """The gradient's note, but only where the values are right: else those come first."""
    return wrong_gradient(attempt) if attempt.all_right else None


def wrong_values(exercise: Exercise, attempt: Attempt, parts: tuple[str, ...]) -> Note | None:
    """The truthful general message: how much differs, where first, and any simple relation.

    Outputs named in `parts`, what the case looks at, come before the others.
    """
    for name, expected in sorted(attempt.expected.items(), key=lambda item: item[0] not in parts):
        got = attempt.got.get(name)
        within = attempt.within.get(name)
        if got is None or close(got, expected, within) or got.shape != expected.shape:
            continue
        wrong, index = differing(got, expected, within), first_difference(got, expected, within)
        mine, right = got[index].item(), expected[index].item()
        decimals = decimals_that_differ([(mine, right)], start=4)
        nans = int(as_float(got).isnan().sum())
        values = f"expected {number(right, decimals)}, yours {number(mine, decimals)}."
        facts = [
            f"{int(wrong.sum())} of {wrong.numel()} values differ, first at {list(index)}: {values}"
            if index
            else values.capitalize(),
            f"{nans} of yours are nan." if nans and index else "",
            relation(got, expected),
        ]
        if exercise.watch and name in {output.name for output in exercise.watch.outputs}:
            told = f"The answer is right, the work is not: {name}, as counted while your function ran. "
            return Note("More or other work than asked", told + " ".join(f for f in facts if f), general=True)
        return Note(f"`{name}` is not right yet", " ".join(f for f in facts if f), general=True)
    return None
