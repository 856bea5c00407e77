"""Wrong scales that exercise 12.4 knows by name: another divisor, another measure than the largest, other groups."""

from collections.abc import Callable

import torch
from torch import Tensor

from moe_lite.checks.engine.compare import close, number
from moe_lite.checks.engine.exercise import Attempt, Mistake
from moe_lite.checks.engine.mistakes import once_per_trial, sign
from moe_lite.checks.engine.say import said
from moe_lite.lessons.quantise import quantise

Rule = Callable[[Tensor, int, int], Tensor]


def top(bits: int) -> int:
    return 2 ** (bits - 1) - 1


def in_groups(weight: Tensor, group: int) -> Tensor:
    return weight.float().unflatten(1, (-1, group))  # (R, G, group)


def filled(scales: Tensor) -> Tensor:
    """1 in place of 0."""
    return torch.where(scales == 0, 1.0, scales)


def by(measure: Callable[[Tensor], Tensor], m: Callable[[int], float] = top) -> Rule:
    """measure: groups (R, G, group) -> (R, G), of which the m-th part is the scale."""
    return lambda weight, bits, group: filled(measure(in_groups(weight, group)) / m(bits))


def largest(grouped: Tensor) -> Tensor:
    return grouped.abs().amax(dim=-1)


def positive_or_1(weight: Tensor, bits: int, group: int) -> Tensor:
    scales = in_groups(weight, group).amax(dim=-1) / top(bits)
    return torch.where(scales > 0, scales, 1.0)


def deviation(grouped: Tensor) -> Tensor:
    """With n − 1 in place of n; nan for a single weight."""
    squares = (grouped - grouped.mean(dim=-1, keepdim=True)).square().sum(dim=-1)
    return (squares / (grouped.shape[-1] - 1)).sqrt()


def span(grouped: Tensor) -> Tensor:
    return grouped.amax(dim=-1) - grouped.amin(dim=-1)


def inverse(weight: Tensor, bits: int, group: int) -> Tensor:
    size = largest(in_groups(weight, group))
    return torch.where(size > 0, top(bits) / size, 1.0)


def inverse_or_inf(weight: Tensor, bits: int, group: int) -> Tensor:
    return top(bits) / largest(in_groups(weight, group))


def of_dims(*dims: int) -> Rule:
    """One scale for all that lies along some dimensions of the matrix."""
    return lambda weight, bits, group: filled(weight.float().abs().amax(dim=dims, keepdim=True) / top(bits))


def down_the_columns(weight: Tensor, bits: int, group: int) -> Tensor:
    """(R / group, C); none where a column cannot be cut so."""
    if len(weight) % group:
        return torch.full((1,), float("nan"))
    return filled(weight.float().unflatten(0, (-1, group)).abs().amax(dim=1) / top(bits))


def down_the_columns_turned(weight: Tensor, bits: int, group: int) -> Tensor:
    return down_the_columns(weight, bits, group).mT if len(weight) % group == 0 else torch.full((1,), float("nan"))


def turned_and_cut(weight: Tensor, bits: int, group: int) -> Tensor:
    """The numbers of `weight.T`, one column after the other, cut into groups."""
    return filled(largest(weight.float().mT.reshape(-1, group)) / top(bits)).view(len(weight), -1)


def shared_by_rows(weight: Tensor, bits: int, group: int) -> Tensor:
    """(1, G)"""
    return filled(in_groups(weight, group).abs().amax(dim=(0, 2)) / top(bits))[None]


def made_whole(change: Callable[[Tensor], Tensor]) -> Rule:
    return lambda weight, bits, group: filled(change(largest(in_groups(weight, group)) / top(bits)))


def interleaved(weight: Tensor, bits: int, group: int) -> Tensor:
    """Group g has the columns g, g + G, g + 2G, …"""
    return filled(weight.float().unflatten(1, (group, -1)).abs().amax(dim=1) / top(bits))  # (R, G)


def along_the_groups(weight: Tensor, bits: int, group: int) -> Tensor:
    return filled(in_groups(weight, group).abs().amax(dim=1) / top(bits))  # (R, group)


def so_many_groups(weight: Tensor, bits: int, group: int) -> Tensor:
    return quantise(weight, bits, weight.shape[1] // group).scales  # (R, group)


def same_scales(got: Tensor, made: Tensor, shape: torch.Size) -> bool:
    """Whether `made`, which may be one number per row or one for all, was returned as it is, spread over the groups or
    with other dimensions of size 1."""
    if not torch.isfinite(got).all() and torch.isfinite(made).all():
        return False
    made, got = made.nan_to_num(nan=-1.0, posinf=-2.0), got.nan_to_num(nan=-3.0, posinf=-2.0)
    if got.shape == shape and torch.broadcast_shapes(made.shape, shape) == shape:
        return close(got, made.expand(shape))
    return got.numel() == made.numel() and close(got.flatten(), made.flatten())


def fits_shape(made: Tensor, shape: torch.Size) -> Tensor:
    """What a rule gives, spread over the groups where that is possible."""
    spreads = made.dim() == 2 and all(size in (1, wanted) for size, wanted in zip(made.shape, shape, strict=True))
    return made.expand(shape) if spreads else made


def scaled_by(title: str, rule: Rule, say: str) -> Mistake:
    """A mistake recognised by the scales, whatever the codes are: they follow from the scales in several ways."""
    made_of = once_per_trial(lambda attempt: rule(*attempt.args))

    def fits(a: Attempt) -> bool:
        got, made, shape = a.got.get("scales"), made_of(a), a.expected["scales"].shape
        if got is None or not got.is_floating_point():
            return False
        if got.shape == shape and made.shape != shape and fits_shape(made, shape).shape != shape:
            return False
        return same_scales(got, made, shape)

    def answer(names: tuple[str, ...], args: tuple) -> tuple:
        return None, fits_shape(rule(*args), quantise(*args).scales.shape).contiguous()

    def shows(a: Attempt) -> bool:
        return not a.right("scales") and fits(a)

    def words(a: Attempt) -> str:
        return f"{first_scale(a)} {with_group(say, a)}"

    return sign(title, shows, words, show="scales", fits=fits, answer=answer)


def first_scale(a: Attempt) -> str:
    got, right = a.got["scales"], a.expected["scales"]
    if got.shape != right.shape:
        return said("`scales` has the shape {scales.shape}, expected {right.scales.shape}.", a)
    return said("{scales.first:4}.", a)


def with_group(say: str, a: Attempt) -> str:
    """The sentence with the numbers of the group that the first wrong scale belongs to."""
    weight, bits, group = a.args
    got, right = a.got["scales"], a.expected["scales"]
    row, place = place_of(got, right)
    values = in_groups(weight, group)[row, place]
    biggest = values[values.abs().argmax()]
    return said(
        say, a, m=top(bits), less=bits - 1, half=2 ** (bits - 1), full=2**bits, caret=2 ^ (bits - 1),
        size=number(float(values.abs().max()), 3),
        biggest=number(float(biggest), 3), most=number(float(values.max()), 3), least=number(float(values.min()), 3),
        start=place * group, end=place * group + group - 1, n_groups=right.shape[1], columns=weight.shape[1],
        whole=f"Group {place} of row {row}",
    )  # fmt: skip


def place_of(got: Tensor, right: Tensor) -> tuple[int, int]:
    """Row and group of the first scale that is wrong; those of the first of all where the shapes differ."""
    if got.shape != right.shape or close(got, right):
        return 0, 0
    off = ~torch.isclose(got.double(), right.double(), rtol=1e-4, atol=0.0)
    return tuple(off.nonzero()[0].tolist())


# ---- the mistakes ----------------------------------------------------------------------------------------------------

M = "m is not 2^(bits − 1) − 1"
NO_ABS, MINMAX, OTHER = "The largest without `abs`", "From the smallest to the largest", "Not the largest weight"
PER_ROW, INVERSE = "One scale per row", "The scale is turned over"
DOWN, STRIDE = "The groups run down the columns", "The groups are interleaved"
NO_POWER = "`^` is not a power"
WHOLE = "The scale is no whole number"
SAY_WHOLE = (
    "{whole} has the largest absolute weight {size}, and the scale is {size} / {m} as it comes out. Only the codes are "
    "rounded; `//` and `round` have no place in the scale."
)
SAY_M = "{whole} has {size} as its largest absolute weight, and with {bits} bits that is divided by m = {m}. "
SAY_POWER = SAY_M + "In Python, `2 ^ {less}` is {caret}: `^` is no power. It is written `2 ** {less}`."
SAY_ABS = "{whole} has {biggest} as the weight farthest from 0, and {most} as the largest. Take `abs` before `amax`."
SAY_MINMAX = (
    "{whole} runs from {least} to {most}, and you share out the distance between the two. Here the codes run from −m "
    "to m with 0 in the middle, so the scale is the largest absolute weight, {size}, divided by m = {m}."
)
SAY_INVERSE = (
    "{whole} has the largest absolute weight {size}, and you divide m = {m} by it. The scale is the other way round, "
    "{size} / {m}, because weight ≈ scale · code."
)


def other(measure: str) -> str:
    return (
        f"You divide {measure} by m = {{m}}. {{whole}} has the largest absolute weight {{size}}, and only if that "
        "is divided by m does the largest weight get the code m."
    )


WRONG_SCALES = (
    scaled_by(M, by(largest, lambda bits: 2 ** (bits - 1)), SAY_M + "You divide by 2^{less} = {half}, and a code of "
              "{half} does not fit into {bits} bits."),
    scaled_by(M, by(largest, lambda bits: 2**bits - 1), SAY_M + "You divide by 2^{bits} − 1, as if there were no "
              "negative codes: one of the bits is for the sign."),
    scaled_by(M, by(largest, lambda bits: 2**bits), SAY_M + "You divide by 2^{bits} = {full}, and a code of {full} "
              "does not fit into {bits} bits."),
    scaled_by(M, by(largest, lambda bits: 2 ** (bits - 1) - 0.5), SAY_M + "You divide by m + ½, so the largest weight "
              "is no whole number of scales."),
    scaled_by(M, by(largest, lambda bits: 2 ** (bits - 2)), SAY_M + "You divide by 2^({bits} − 2)."),
    scaled_by(M, by(largest, lambda bits: 2 * (bits - 1) - 1), SAY_M + "You divide by 2 · {less} − 1: a power is "
              "written `2 ** {less}`."),
    scaled_by(M, by(largest, lambda bits: bits), SAY_M + "You divide by {bits}, the number of bits itself."),
    scaled_by("`bits` has no effect", by(largest, lambda bits: 127), SAY_M + "You divide by 127, as for 8 bits."),
    scaled_by(NO_POWER, by(largest, lambda bits: (2 ^ (bits - 1)) - 1), SAY_POWER),
    scaled_by(NO_POWER, by(largest, lambda bits: 2 ^ (bits - 1) - 1), SAY_POWER),
    scaled_by("m is left out", by(largest, lambda bits: 1), SAY_M + "You return the largest absolute weight itself."),
    scaled_by(NO_ABS, by(lambda grouped: grouped.amax(dim=-1)), SAY_ABS),
    scaled_by(NO_ABS, positive_or_1, SAY_ABS),
    scaled_by(NO_ABS, by(lambda grouped: grouped.amax(dim=-1).abs()), SAY_ABS),
    scaled_by(MINMAX, by(span, lambda bits: 2**bits - 1), SAY_MINMAX),
    scaled_by(MINMAX, by(span, lambda bits: 2 * top(bits)), SAY_MINMAX),
    scaled_by(MINMAX, by(span), SAY_MINMAX),
    scaled_by(PER_ROW, of_dims(1), "You take the largest of a whole row. A row has {n_groups} groups of {group} "
              "weights, and each has its own scale: cut the row first, `reshape` or `unflatten`."),
    scaled_by("One scale for the whole matrix", of_dims(0, 1), "You take the largest of all weights. Each of the "
              "{n_groups} groups of a row has its own scale: give `amax` a dimension."),
    scaled_by("One scale per column", of_dims(0), "You take the largest of each column. A group is {group} "
              "neighbours in one row: cut the rows, and take the largest over the last dimension."),
    scaled_by(DOWN, down_the_columns, "You cut the columns into pieces of {group} weights. A group is {group} "
              "neighbours in one row, so cut the last dimension."),
    scaled_by(DOWN, down_the_columns_turned, "You cut the columns into pieces of {group} weights. A group is {group} "
              "neighbours in one row, so cut the last dimension."),
    scaled_by(DOWN, turned_and_cut, "You cut the turned matrix, so the columns. A group is {group} neighbours in one "
              "row, so cut `weight` as it is, along its last dimension."),
    scaled_by("One scale for all rows", shared_by_rows, "You take the largest over the rows, too. Each row has scales "
              "of its own: the largest over the last dimension alone."),
    scaled_by(WHOLE, made_whole(torch.round), SAY_WHOLE),
    scaled_by(WHOLE, made_whole(torch.floor), SAY_WHOLE),
    scaled_by(STRIDE, interleaved, "{whole} has the columns {start} to {end}, which are neighbours. Yours takes every "
              "{n_groups}th column: the size of a group comes last, `unflatten(1, (-1, group))`."),
    scaled_by(STRIDE, along_the_groups, "You take the largest over the groups, of the first weight of each, then of "
              "the second. A group is {group} neighbours: take the largest over the last dimension."),
    scaled_by("`group` is taken for the number of groups", so_many_groups, "You cut a row into {group} groups. `group` "
              "says how many weights a group has, so the {columns} columns of a row make {n_groups} groups."),
    scaled_by(INVERSE, inverse, SAY_INVERSE),
    scaled_by(INVERSE, inverse_or_inf, SAY_INVERSE),
    scaled_by(OTHER, by(deviation), other("the standard deviation")),
    scaled_by(OTHER, by(lambda grouped: grouped.std(dim=-1, unbiased=False)), other("the standard "
              "deviation")),
    scaled_by(OTHER, by(lambda grouped: grouped.abs().mean(dim=-1)), other("the mean of the absolute weights")),
    scaled_by(OTHER, by(lambda grouped: grouped.norm(dim=-1)), other("the norm of the group")),
    scaled_by(OTHER, by(lambda grouped: grouped.abs().amin(dim=-1)), other("the smallest absolute weight")),
)  # fmt: skip
