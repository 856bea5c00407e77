"""From everything that went wrong to the one thing to say: the first cause, with the learner's own numbers."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import Tensor

from moe_lite.checks.engine import general, sweep
from moe_lite.checks.engine.as_code import given, input_code
from moe_lite.checks.engine.compare import close, differing, first_difference
from moe_lite.checks.engine.exercise import GRADIENT, Attempt, Case, Exercise, Mistake, Note
from moe_lite.checks.engine.result import Evidence


@dataclass(frozen=True, eq=False)
class Tried:
    """One trial of a case."""

    number: int  # of the case, from 1
    case: Case
    attempt: Attempt


def diagnose(
    exercise: Exercise, failing: list[Tried], passing: list[Tried], total: int
) -> tuple[Note, Evidence | None]:
    """The mistake to name, and the arrays that show it.

    A named mistake has to explain at least half of the failing trials, or all of the first case that fails (or all of
    them, where it is one of `all_or_none`), and must not contradict a passing one. Among several the one that explains
    most is taken, then the one named first in the list. Otherwise the general words stand.
    """
    first = failing[0]
    if first.attempt.fault:
        return first.attempt.fault, None
    if first.attempt.all_right and (note := general.earlier_changed(first.attempt)):
        return note, None
    in_sweep = bool(first.attempt.trial.kind)
    found, shown = _named(exercise, failing, passing) or (None, first)
    if in_sweep and (found is None or found.general):
        others = (
            general.input_changed,
            general.not_new,
            general.drew_globally,
            general.gradient_only,
        )  # where the values are right
        kept = next((note for look in others if (note := look(exercise, first.attempt))), None)
        found, shown = kept or sweep.told(first.attempt, [tried.attempt for tried in passing]), first
    if found is None:
        found, shown = _general(exercise, failing)
    return found, _evidence(exercise, found, shown, total)


def _named(exercise: Exercise, failing: list[Tried], passing: list[Tried]) -> tuple[Note, Tried] | None:
    best, most = None, []
    for mistake in _mistakes(exercise):
        if len(most) == len(failing):  # none explains more
            break
        try:
            hits = [tried for tried in failing if mistake.recognise(tried.attempt)]
            enough = len(hits) == len(failing) if mistake.all_or_none else _explains(hits, failing)
            better = len(hits) > len(most) and enough
            if better and all(mistake.fits(tried.attempt) for tried in passing):
                best, most = mistake, hits
        except Exception:  # an answer so odd that the recogniser cannot read it: then it is another mistake
            continue
    return (best.recognise(most[0].attempt), most[0]) if best else None


def _explains(hits: list[Tried], failing: list[Tried]) -> bool:
    if failing[0].attempt.trial.kind:  # all else was right: a mistake of every input would have shown before
        return len(hits) == len(failing)
    n_first = sum(tried.number == failing[0].number for tried in failing)
    return 2 * len(hits) >= len(failing) or n_first == sum(tried.number == failing[0].number for tried in hits)


def _mistakes(exercise: Exercise) -> list[Mistake]:
    """Those of the exercise, between those of any exercise that come before and after them."""

    def of(check: Callable[[Exercise, Attempt], Note | None]) -> Mistake:
        return Mistake(lambda attempt: check(exercise, attempt))

    before = [of(general.input_changed), of(general.swapped)]
    after = [
        of(general.wrong_dtype),
        of(general.not_new),
        of(general.unstable),
        of(general.drew_globally),
        of(general.gradient_only),
    ]
    return [*before, *exercise.mistakes, *after]


def _general(exercise: Exercise, failing: list[Tried]) -> tuple[Note, Tried]:
    for one in failing:
        note = (
            general.wrong_shape(exercise, one.attempt)
            or general.wrong_values(exercise, one.attempt, one.case.parts)
            or general.wrong_dtype(exercise, one.attempt)
            or general.gradient_only(exercise, one.attempt)
        )
        if note:
            return note, one
    raise AssertionError("a failing trial has a wrong shape, type, value or gradient, or a named fault")


def _evidence(exercise: Exercise, note: Note, shown: Tried, total: int) -> Evidence:
    """The trial that the note speaks of; with expected beside yours, if they can be laid side by side."""
    where = f"case {shown.number} of {total}, {shown.attempt.trial.note}"
    trial = shown.attempt.trial
    bare = Evidence(where, input_code(exercise, trial), given=given(exercise, trial))
    drawn = _drawn(exercise, note, shown)
    if drawn is None:
        return bare
    label, expected, got, looks = drawn
    within, exact = looks.get("within"), shown.attempt.exact
    return replace(
        bare, label=label, expected=expected, got=got, index=first_difference(got, expected, within, exact),
        n_wrong=int(differing(got, expected, within, exact).sum()), exact=exact, **looks,
    )  # fmt: skip


def _drawn(exercise: Exercise, note: Note, shown: Tried) -> tuple[str, Tensor, Tensor, dict] | None:
    """Label, expected, got and looks of the arrays to draw: the first that differ and can be compared."""
    attempt, parts = shown.attempt, (note.show,) if note.show else shown.case.parts
    exact = attempt.exact
    if exercise.picture and attempt.got and exercise.outputs[0].name in parts:
        label, draw = exercise.picture
        expected, got = draw(attempt, attempt.expected), draw(attempt, attempt.got)
        if got is not None and _comparable(got, expected, exact=exact):
            return label, expected, got, {"expert_columns": any(o.expert_values for o in exercise.outputs)}
    if attempt.trial.draws and exercise.draws.name in attempt.got:
        name, label = exercise.draws.name, f"{exercise.draws.name} ({exercise.draws.shape})"
        expected, got, within = attempt.expected[name], attempt.got[name], attempt.within[name]
        return (label, expected, got, {"within": within}) if _comparable(got, expected, within) else None
    compared = (*exercise.outputs, *(exercise.watch.outputs if exercise.watch else ()))
    for output in sorted(compared, key=lambda o: o.name not in parts):  # what the case looks at comes first
        expected, got = attempt.expected.get(output.name), attempt.got.get(output.name)
        if output.rows:  # lists of different length are no table
            continue
        if expected is not None and got is not None and _comparable(got, expected, exact=exact):
            n_experts = attempt.args[0].shape[-1] if output.expert_values else 0
            looks = {"expert_columns": output.expert_columns, "expert_values": n_experts}
            return f"{output.name} ({output.shape})" if output.shape else output.name, expected, got, looks
    if GRADIENT in parts:
        for name, expected in attempt.expected_gradients.items():
            got = attempt.gradients.get(name)
            if got is not None and _comparable(got, expected):
                return f"gradient of {name}", expected, got, {}
    return None


def _comparable(got: Tensor, expected: Tensor, within: float | None = None, exact: bool = False) -> bool:
    """Worth drawing: same shape, at most two dimensions, and not the same values."""
    return got.shape == expected.shape and got.dim() <= 2 and not close(got, expected, within, exact)
