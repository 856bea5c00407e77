"""What no author thinks of, tried once every case is right: sizes that coincide, edges, layouts, extremes, other data.

An exercise says how its input is drawn for given sizes (`Drawn`); everything else about the sweep stands here. In the
tests the seed changes with every commit ($MOE_LITE_SWEEP_SEED), so that no answer can be fitted to one input.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cache
from itertools import combinations, islice, product

import torch
from torch import Tensor

from moe_lite.checks.engine.compare import as_float, decimals_that_differ, differing, number
from moe_lite.checks.engine.exercise import FORM, GRADIENT, INPUT, QUIET, Attempt, Case, Drawn, Exercise, Note, Trial

NAME = "any size, any layout"
MANY = (64, 300, 700)
LUCKY = 2  # more inputs in another layout, for answers that are one of a few
EQUAL, EDGE, LONG, WIDE = "equal sizes", "sizes of 1 and 2", "thousands of rows", "many experts"
VALUES, LAYOUT, TYPE, EXTREME, AGAIN = "float64", "layout", "float32", "extreme values", "called again"

# The kinds of trial: the title and the likely cause, told where no mistake with a name explains what went wrong.
KINDS = {
    VALUES: (
        "Close, but not equal",
        "Is something computed in a shorter type than the input's, or a small number added?",
    ),
    EQUAL: (
        "Wrong where two sizes are equal",
        "Is a dimension found by its length, or turned over where only another length would show it?",
    ),
    EDGE: (
        "Wrong at the smallest sizes",
        "Does a `squeeze()` drop more than it should, does a size of 1 get repeated, or is one size taken for granted?",
    ),
    LONG: (
        "Wrong for thousands of rows",
        "Is something counted or added up in a short type (int8 ends at 127, bfloat16 counts to 256, float16 to "
        "2,048), or is a length written into the code?",
    ),
    WIDE: (
        "Wrong for large sizes",
        "Is a number kept in a short type (int8 ends at 127, uint8 at 255), or a size written into the code?",
    ),
    LAYOUT: (
        "Wrong where the input lies differently in memory",
        "The values are as usual, but turned over, cut out of a larger tensor, or one row for all. Is memory read "
        "directly, as `as_strided`, `storage` and `numpy` do? `reshape` and `contiguous()` put things in order.",
    ),
    TYPE: ("Wrong for float32", "Is another type taken for granted?"),
    EXTREME: (
        "Wrong for extreme values",
        "Does a step on the way overflow, lose the small part of a large number, or divide by 0? Is something "
        "computed in a shorter type than the input's?",
    ),
    AGAIN: (
        "Wrong when called again with other data",
        "The first call was right. Is something kept between the calls: a global, a default argument, an attribute?",
    ),
}


def cases(exercise: Exercise) -> tuple[Case, ...]:
    """One case a trial, all of one name: a trial that draws is compared by its shares, any other by its values."""
    return _cases(exercise.drawn, exercise, seed()) if exercise.drawn else ()


def seed() -> int:
    return int(os.environ.get("MOE_LITE_SWEEP_SEED", "0"))


@cache
def _cases(drawn: Drawn, exercise: Exercise, first_seed: int) -> tuple[Case, ...]:
    names = tuple(output.name for output in exercise.outputs)
    found = []
    for trial in _trials(drawn, first_seed):
        is_large = sum(tensor.numel() for tensor in trial.tensors) > 1000
        code = _code(exercise, trial) if trial.kind == LAYOUT or is_large else ""
        compared = (exercise.draws.name,) if trial.draws else names
        parts = (FORM, *compared, INPUT, QUIET, *((GRADIENT,) if trial.gradient else ()))
        found.append(Case(NAME, (replace(trial, code=code),), parts))
    return tuple(found)


def input_of(exercise: Exercise, note: str) -> tuple:
    """The arguments of a trial of the sweep, by what its card says of it: "N = E = 4, seed 3"."""
    for case in cases(exercise):
        if case.trials[0].note == note:
            return case.trials[0].args
    raise ValueError(f"the sweep of {exercise.id} has no trial {note!r}")


def _code(exercise: Exercise, trial: Trial) -> str:
    """How to have the same input in a cell, where it is too long to be written out or lies oddly in memory."""
    names = ", ".join(exercise.parameters) + ("," if len(exercise.parameters) == 1 else "")
    return (
        "from moe_lite.checks.engine.sweep import input_of\nfrom moe_lite.checks.registry import exercises\n"
        f'{names} = input_of(exercises()["{exercise.id}"], "{trial.note}")\n{exercise.call}'
    )


# ---- the trials ------------------------------------------------------------------------------------------------------


def _trials(drawn: Drawn, first_seed: int) -> Iterator[Trial]:
    seeds = iter(range(first_seed, first_seed + 1000))

    def of(kind: str, sizes: dict[str, int], note: str, gradient: bool = False) -> Trial:
        number = next(seeds)
        args = drawn.args(number, **sizes)
        return Trial(args, f"{note}, seed {number}", drawn.gradient if gradient else (), kind=kind)

    usual = of(VALUES, drawn.sizes, "float64", gradient=True)
    other = of(AGAIN, drawn.sizes, "the sizes of the call before, other values")
    yield from (usual, other)
    if usual.tensors:
        before = tuple(b if _has_tensors(b) else a for a, b in zip(usual.args, other.args, strict=True))
        note = f"the same tensors, changed in place, seed {first_seed}"
        yield replace(usual, note=note, kind=AGAIN, gradient=(), before=before)
    if drawn.gradient:
        note = f"another call before the gradient is taken, seed {first_seed}"
        after = tuple(b if _is_real(b) else a for a, b in zip(usual.args, other.args, strict=True))
        yield replace(usual, note=note, kind=AGAIN, after=after)  # the same choices: so all sizes on the way are equal
    for kind, sizes, note in _sizes(drawn):
        yield of(kind, sizes, note, gradient=kind == EQUAL)
    # an answer that is one of a few may be right by luck where memory is misread; one with a gradient is not
    laid_out = {first_seed: usual.args}
    if not drawn.gradient:
        laid_out |= {seed: drawn.args(seed, **drawn.sizes) for seed in islice(seeds, LUCKY)}
    for (name, layout), (seed, args) in product(LAYOUTS.items(), laid_out.items()):
        if (args := _laid(drawn, args, layout)) is not None:
            yield Trial(args, f"{name}, seed {seed}", drawn.gradient, kind=LAYOUT)
    if drawn.float32:
        args = tuple(_each(lambda t: t.float() if t.is_floating_point() else t, value) for value in usual.args)
        yield Trial(args, f"float32, seed {first_seed}", drawn.gradient, kind=TYPE)
    if drawn.extremes:
        for trial in drawn.extremes(next(seeds)):
            yield replace(trial, kind=EXTREME, gradient=() if trial.random or drawn.steep else drawn.gradient)
    yield replace(usual, note=f"an earlier input once more, seed {first_seed}", kind=AGAIN)


def _has_tensors(value) -> bool:
    return isinstance(value, Tensor) or isinstance(value, list) and isinstance((value or [None])[0], Tensor)


def _is_real(value) -> bool:
    return _has_tensors(value) and (value[0] if isinstance(value, list) else value).is_floating_point()


def _sizes(drawn: Drawn) -> Iterator[tuple[str, dict[str, int], str]]:
    """(kind, sizes, in words), each sizes once."""
    usual, seen = drawn.sizes, []
    letters = tuple(usual)

    def wanted() -> Iterator[tuple[str, dict[str, int]]]:
        yield EQUAL, dict.fromkeys(letters, 4)
        for pair in combinations(letters, 2):
            yield EQUAL, dict.fromkeys(pair, max(usual[one] for one in pair))
        for few in (1, 2):
            yield from ((EDGE, {letter: few}) for letter in letters)
            yield EDGE, dict.fromkeys(letters, few)
        yield from ((EDGE, dict.fromkeys(pair, 1)) for pair in combinations(letters, 2))
        for small, large in drawn.at_most:
            yield EDGE, {small: usual[large]}
            if drawn.long:
                yield EDGE, {drawn.long: max(usual[small] - 1, 1)}  # fewer tokens than choices
        if drawn.long:
            yield LONG, {drawn.long: drawn.thousands}
        if drawn.wide:
            yield from ((WIDE, {drawn.wide: many}) for many in MANY)

    for kind, changed in wanted():
        sizes = drawn.fitted(usual | changed, tuple(changed))
        if sizes not in seen and sizes != usual:
            seen.append(sizes)
            yield kind, sizes, _in_words(sizes, changed)


def _in_words(sizes: dict[str, int], changed: dict[str, int]) -> str:
    """`N = E = 4`: the sizes that were chosen, as they came out."""
    values = {letter: sizes[letter] for letter in changed}
    if len(values) > 1 and len(set(values.values())) == 1:
        return f"{' = '.join(values)} = {next(iter(values.values())):,}"
    return ", ".join(f"{letter} = {value:,}" for letter, value in values.items())


# ---- layouts ---------------------------------------------------------------------------------------------------------


def _turned(t: Tensor) -> Tensor:
    """The same values, stored column by column; every second place for a vector."""
    return t.mT.contiguous().mT if t.dim() > 1 else torch.stack([t, t.flip(0)], dim=1)[:, 0]


def _cut(t: Tensor) -> Tensor:
    """The same values, cut out of a larger tensor: other numbers lie between."""
    wide = torch.cat([t, t.flip(-1)], dim=-1) if t.dim() else t
    return wide[..., : t.shape[-1]] if t.dim() else t


def _one_row(t: Tensor) -> Tensor:
    """The first row for all, in memory once."""
    return t[:1].expand_as(t) if t.dim() else t


LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "input turned over in memory": _turned, "input cut out of a larger tensor": _cut, "one row expanded": _one_row,
}  # fmt: skip


def _laid(drawn: Drawn, args: tuple, layout: Callable[[Tensor], Tensor]) -> tuple | None:
    """The arguments in another layout; None if there is no tensor to lay out."""
    kept = drawn.not_expanded if layout is _one_row else ()
    laid = tuple(a if place in kept else _each(layout, a) for place, a in enumerate(args))
    return laid if any(one is not other for one, other in zip(laid, args, strict=True)) else None


def _each(change: Callable[[Tensor], Tensor], value):
    if isinstance(value, list) and _has_tensors(value):
        return [change(part) for part in value]
    return change(value) if isinstance(value, Tensor) else value


# ---- what is told ----------------------------------------------------------------------------------------------------


def told(attempt: Attempt, earlier: Iterable[Attempt] = ()) -> Note:
    """The kind of trial that went wrong, with what differs first, where no mistake with a name explains it.

    An answer that was right for an `earlier` trial is a stale one, whatever the sizes are. Not so where memory lies
    differently: other values in one layout were tried before, and one of a few answers comes twice by chance.
    """
    nearly = all(name in attempt.got and _nearly(attempt.got[name], right) for name, right in attempt.expected.items())
    known = () if attempt.trial.kind == LAYOUT else earlier
    others = [one for one in known if one.args is not attempt.args and one.got.keys() == attempt.got.keys()]
    if not nearly and any(_same(one.got, attempt.got) for one in others):
        title, cause = KINDS[AGAIN]
        cause = "It is the answer to an earlier input. " + cause.removeprefix("The first call was right. ")
        return Note(title, f"All that was tried before is right. With {attempt.trial.note}, {_what(attempt)}. {cause}")
    title, cause = KINDS[VALUES if nearly and not attempt.all_right else attempt.trial.kind]
    return Note(title, f"All that was tried before is right. With {attempt.trial.note}, {_what(attempt)}. {cause}")


def _nearly(got: Tensor, expected: Tensor) -> bool:
    """As near as what a shorter type or a small number added leaves; a wrong size or layout is farther off."""
    if got.shape != expected.shape:
        return False
    return bool(torch.isclose(as_float(got), as_float(expected), rtol=1e-5, atol=1e-6).all())


def _same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(value.shape == other[name].shape and torch.equal(value, other[name]) for name, value in one.items())


def where(trial: Trial, note: Note) -> Note:
    """A likely cause, with the input that it came with, where that is an odd one."""
    if not trial.kind:
        return note
    return replace(note, sentence=f"All that was tried before is right; this came with {trial.note}. {note.sentence}")


def raised(trial: Trial, kind: str) -> Note:
    """What to say of an error whose message names no cause: with which input it came, where that is an odd one."""
    if not trial.kind:
        return Note(kind, "", general=True)
    title, cause = KINDS[trial.kind]
    return Note(title, f"All that was tried before is right; with {trial.note}, there was a {kind}. {cause}")


def too_slow(trial: Trial, seconds: str) -> Note | None:
    """In place of "a loop does not end", where thousands of rows came before."""
    if trial.kind not in (LONG, WIDE):
        return None
    sentence = (
        f"All that was tried before is right, but {trial.note}, took more than {seconds}. A loop in Python over rows, "
        "or over pairs of them, is what takes the time: let one tensor operation do what it does."
    )
    return Note("Too slow for a real input", sentence)


def _what(attempt: Attempt) -> str:
    for name, expected in attempt.expected.items():
        got, within = attempt.got.get(name), attempt.within.get(name)
        if got is None or attempt.right(name):
            continue
        if got.shape != expected.shape:
            return f"`{name}` has the shape {tuple(got.shape)}, expected {tuple(expected.shape)}"
        if within == float("inf"):
            return f"`{name}` has the type {got.dtype}, expected {expected.dtype}"
        wrong = differing(got, expected, within, attempt.exact)
        index = tuple(wrong.nonzero()[0].tolist())
        n_wrong, where = int(wrong.sum()), f" at {list(index)}" if index else ""
        values = got[index].item(), expected[index].item()
        decimals = decimals_that_differ([values], start=4)
        mine, right = (number(value, decimals) for value in values)
        how_many = f" ({n_wrong:,} differ)" if n_wrong > 1 else ""
        return f"`{name}`{where} is {mine}, expected {right}{how_many}"
    return "the answer has another type than it should"
