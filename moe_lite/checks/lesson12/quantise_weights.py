"""Exercise 12.4, quantise_weights: codes of few bits and one scale for each group of a row."""

from collections.abc import Callable

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.compare import close, dtype_text, number
from moe_lite.checks.engine.exercise import Attempt, Case, Drawn, Exercise, Mistake, Note, Output, Trial
from moe_lite.checks.engine.inputs import F32, F64
from moe_lite.checks.engine.mistakes import once_per_trial, sign, wrong
from moe_lite.checks.engine.say import said
from moe_lite.checks.lesson12.scale_slips import WRONG_SCALES, Rule, top
from moe_lite.checks.lesson12.zero_groups import (
    negative_scale,
    one_too_many,
    ones_too_many,
    scale_0,
    scale_nan,
    scale_part_of_1,
    scale_tiny,
    zero_groups,
    zero_place,
)
from moe_lite.lessons import quantise as rounding


def reference(weight: Tensor, bits: int, group: int) -> tuple[Tensor, Tensor]:
    """weight (R, C) -> codes (R, C) int8, scales (R, C / group) float32."""
    codes, scales, _ = rounding.quantise(weight, bits, group)
    return codes, scales


# ---- inputs ----------------------------------------------------------------------------------------------------------

BOTH = ("scales", "codes")


def cases() -> tuple[Case, ...]:
    # R, groups of a row, group, bits; the rows could be cut into groups as well as the columns
    plain = (random(1, 6, 4, 2, 5), random(2, 10, 3, 5, 4), random(3, 9, 4, 3, 8))
    few_and_many = tuple(random(seed, 6, 4, 3, bits) for seed, bits in ((4, 2), (5, 3), (6, 6), (7, 7), (8, 8)))
    edges = (random(9, 5, 6, 1, 4), random(10, 5, 1, 7, 6), random(11, 1, 3, 4, 5), random(12, 4, 1, 1, 3))
    negative = (negated(13, 6, 3, 4, 5), negated(14, 4, 2, 6, 8))
    zeros = (with_zeros(15, 6, 4, 3, 6), with_zeros(16, 5, 3, 4, 8), nothing(17))
    zeros_inside = (zeros_among(22, 6, 5), zeros_among(23, 7, 8))
    uneven = (uneven_rows(18, 6, 4, 3, 5), uneven_rows(19, 7, 2, 6, 8), scaled(20, 1e-12), scaled(21, 1e12))
    first, _ = inputs.usual((plain[0], random(2, 10, 3, 5, 4, F32), plain[2]), plain)
    return (
        *first,
        Case("scales", plain, ("scales",)),
        Case("codes", plain, ("codes",)),
        Case("from 2 to 8 bits", few_and_many, BOTH),
        Case("groups of one weight, a whole row, a single row", edges, BOTH),
        Case("the largest is negative", negative, BOTH),
        Case("groups of zeros", zeros, BOTH),
        Case("zeros among other weights", zeros_inside, BOTH),
        Case("rows of very different size", uneven, BOTH),
    )


def weights(seed: int, R: int, G: int, group: int, bits: int) -> Tensor:
    """(R, G·group) float64: whole numbers of scales and at most 0.42 beside, so that no rounding is a close decision.

    In each group one weight stands for the largest code, of either sign; scales differ by a factor of up to 20.
    """
    g, m = inputs.generator(seed), 2 ** (bits - 1) - 1
    codes = torch.randint(-m, m + 1, (R, G, group), generator=g)
    beside = (torch.rand(R, G, group, dtype=F64, generator=g) * 0.36 + 0.06) * (
        torch.randint(0, 2, (R, G, group), generator=g) * 2 - 1
    )
    q = torch.where(codes.abs() == m, codes - codes.sign() * beside.abs(), codes + beside)  # within −m and m
    largest = (torch.randint(0, 2, (R, G, 1), generator=g) * 2 - 1) * float(m)
    q = q.scatter(2, torch.randint(0, group, (R, G, 1), generator=g), largest.double())
    scales = torch.rand(R, G, 1, dtype=F64, generator=g).mul(3.0).exp().div(2 * m)
    return (q * scales.round(decimals=5)).flatten(1)


def random(seed: int, R: int, G: int, group: int, bits: int, dtype: torch.dtype = F64) -> Trial:
    return of(weights(seed, R, G, group, bits).to(dtype), bits, group, f"seed {seed}")


def of(weight: Tensor, bits: int, group: int, what: str) -> Trial:
    return Trial((weight, bits, group), f"{what}, {dtype_text(weight)}, {bits} bits, group = {group}")


def negated(seed: int, R: int, G: int, group: int, bits: int) -> Trial:
    """No weight is above 0."""
    return of(-weights(seed, R, G, group, bits).abs(), bits, group, f"seed {seed}, no weight above 0")


def with_zeros(seed: int, R: int, G: int, group: int, bits: int) -> Trial:
    """Some groups and a whole row are 0."""
    weight = weights(seed, R, G, group, bits).unflatten(1, (G, group))
    weight[0, 1], weight[2, 0], weight[3] = 0.0, 0.0, 0.0
    return of(weight.flatten(1), bits, group, f"seed {seed}, groups of zeros")


def zeros_among(seed: int, R: int, bits: int) -> Trial:
    """Three groups of four per row, none of zeros: the first weight of one is 0, the largest of another, and the sum of
    the last."""
    first, below, cancel = weights(seed, R, 3, 4, bits).unflatten(1, (3, 4)).unbind(1)  # (R, 4) each
    is_largest = first.abs() == first.abs().amax(dim=1, keepdim=True)
    first = torch.where(is_largest[:, :1], first.flip(1), first)
    first[:, 0] = 0.0
    below = -torch.where(below.abs() == below.abs().amin(dim=1, keepdim=True), 0.0, below.abs())
    pair = cancel.gather(1, cancel.abs().argsort(dim=1, descending=True)[:, :2])  # (R, 2)
    cancel = torch.stack([pair, -pair], dim=2).flatten(1)
    return of(torch.cat([first, below, cancel], dim=1), bits, 4, f"seed {seed}, zeros beside other weights")


def nothing(seed: int) -> Trial:
    return of(torch.zeros(3, 8, dtype=F64), 4, 2, "all weights 0")


def uneven_rows(seed: int, R: int, G: int, group: int, bits: int) -> Trial:
    """Each row is ten times as large as the one before."""
    sizes = 10.0 ** torch.arange(-3, R - 3, dtype=F64)[:, None]
    return of(weights(seed, R, G, group, bits) * sizes, bits, group, f"seed {seed}, each row 10 times the one before")


def scaled(seed: int, factor: float) -> Trial:
    return of(weights(seed, 6, 3, 4, 6) * factor, 6, 4, f"seed {seed}, weights near {factor:g}")


def drawn(seed: int, R: int, groups: int, group: int, bits: int) -> tuple:
    return weights(seed, R, groups, group, bits), bits, group


def extremes(seed: int) -> tuple[Trial, ...]:
    weight, bits, group = drawn(seed, 7, 3, 4, 6)
    hole = weight.clone()
    hole[:, :group] = 0
    least = torch.tensor([[0.1, -0.1, 0.02, -0.02]], dtype=F64).repeat(3, 2)
    return (
        Trial((weight * 1e-20, bits, group), "weights of a hundred quintillionth"),
        Trial((weight * 1e20, bits, group), "weights of a hundred quintillion"),
        Trial((torch.zeros_like(weight), bits, group), "all weights 0"),
        Trial((hole, bits, group), "the first group of each row 0"),
        Trial((torch.full_like(weight, -0.7), bits, group), "all weights −0.7"),
        Trial((torch.full_like(weight, 0.7), 8, group), "all weights 0.7, 8 bits"),
        Trial((least, 2, group), "2 bits"),
        Trial((weights(seed + 1, 8, 1, 8, 8), 8, 8), "R = C = bits = group = 8"),
    )


DRAWN = Drawn(
    drawn, {"R": 7, "groups": 3, "group": 4, "bits": 6}, at_least={"bits": 2}, long="R", wide="groups",
    extremes=extremes,
)  # fmt: skip


# ---- mistakes --------------------------------------------------------------------------------------------------------


def codes_of_zeros(a: Attempt) -> bool:
    """All is right but codes of groups of zeros."""
    got, right = a.got["codes"], a.expected["codes"]
    if got.shape != right.shape or a.right("codes") or not a.right("scales"):
        return False
    zeros = zero_groups(a).repeat_interleave(a.args[2], dim=1)  # (R, C)
    return bool(zeros.any()) and not bool(((got != right) & ~zeros).any())


def quotients(weight: Tensor, bits: int, group: int, of: Tensor | None = None) -> Tensor:
    """(R, C) float64, before they are rounded; with the scales `of` other weights."""
    scales = reference(weight if of is None else of, bits, group)[1].double()
    return weight.double() / scales.repeat_interleave(group, dim=1)


def int8(codes: Tensor) -> Tensor:
    """What does not fit begins again at the other end."""
    return codes.long().to(torch.int8)


def rounded_by(title: str, rule: Callable[[Tensor], Tensor], say: str) -> Mistake:
    """Right scales, and another way of rounding weight / scale. A quotient that should be whole, as that of the largest
    weight, may lie on either side of the whole number."""
    made_of = once_per_trial(lambda attempt: [int8(rule(quotients(*attempt.args) + nudge)) for nudge in (-1e-4, 1e-4)])

    def fits(a: Attempt) -> bool:
        got = a.got.get("codes")
        if got is None or got.shape != a.expected["codes"].shape or not a.right("scales"):
            return False
        low, high = made_of(a)
        return bool(((got == low) | (got == high)).all())

    def answer(names: tuple[str, ...], args: tuple) -> tuple:
        return int8(rule(quotients(*args))), None

    return sign(title, fits, lambda a: f"{first_code(a)} {say}", show="codes", fits=fits, answer=answer)


def first_code(a: Attempt) -> str:
    """The first wrong code, with the quotient that it stands for: "`codes[0, 2]` is 3, expected 4: … is 3.71"."""
    index = tuple((a.got["codes"] != a.expected["codes"]).nonzero()[0].tolist())
    mine, right = (number(found["codes"][index].item(), 3) for found in (a.got, a.expected))
    quotient = number(float(quotients(*a.args)[index]), 3)
    return f"`codes[{', '.join(map(str, index))}]` is {mine}, expected {right}: weight / scale is {quotient} there."


def coded(title: str, rule: Rule, say: str) -> Mistake:
    """Right scales, and codes as a rule of all arguments gives them."""
    return wrong(title, codes=rule, say=lambda a: f"{first_code(a)} {said(say, a, m=top(a.args[1]))}")


def dequantised(weight: Tensor, bits: int, group: int) -> Tensor:
    return rounding.dequantise(rounding.quantise(weight, bits, group))


def times_scale(weight: Tensor, bits: int, group: int) -> Tensor:
    scales = reference(weight, bits, group)[1].double()
    return int8((weight.double() * scales.repeat_interleave(group, dim=1)).round().clamp(-127, 127))


def unsigned(a: Attempt) -> bool:
    codes, right = a.got["codes"], a.expected["codes"]
    if codes.dtype != torch.uint8 or codes.shape != right.shape:
        return False
    return torch.equal(codes.view(torch.int8), right) or torch.equal(codes.long(), right.long().clamp(min=0))


def still_grouped(a: Attempt) -> bool:
    n_rows, n_groups = a.expected["scales"].shape
    shape, group = tuple(a.got["codes"].shape), a.args[2]
    return shape in ((n_rows, n_groups, group), (n_rows * n_groups, group)) != tuple(a.expected["codes"].shape)


def one_more_dimension(a: Attempt) -> bool:
    return a.got["scales"].shape == (*a.expected["scales"].shape, 1)


def one_column(a: Attempt) -> bool:
    """The scales of all groups, one below the other, as rows of `group` weights give them."""
    got, right = a.got["scales"], a.expected["scales"]
    return right.shape[1] > 1 and got.shape in ((right.numel(),), (right.numel(), 1)) and got.shape != right.shape


def repeated(a: Attempt) -> bool:
    got, right = a.got["scales"], a.expected["scales"]
    weight, _, group = a.args
    in_shape = got.shape in (weight.shape, (*right.shape, group))
    return group > 1 and in_shape and close(got.flatten(), right.repeat_interleave(group, dim=1).flatten())


def float_codes(a: Attempt) -> Note | None:
    """The right whole numbers, kept as floats."""
    codes = a.got.get("codes")
    if codes is None or not a.all_right or not codes.is_floating_point():
        return None
    return Note(
        "The codes are floats",
        f"`codes` holds the right whole numbers, but as {dtype_text(codes)}: each takes {codes.element_size()} bytes, "
        "and nothing is saved. `.to(torch.int8)` after rounding makes one byte of each.",
    )


def long_scales(a: Attempt) -> Note | None:
    scales = a.got.get("scales")
    if scales is None or not a.all_right or not scales.is_floating_point() or scales.dtype == F32:
        return None
    return Note(
        "The scales are not float32",
        f"`scales` holds the right numbers, but as {dtype_text(scales)}, where `weight` is {dtype_text(a.args[0])}. "
        "The scales are float32 whatever the type of the weights is: `.float()`.",
    )


MISTAKES = (
    sign("The codes are still cut into groups", still_grouped, "`codes` has the shape {codes.shape}. The groups are "
         "only needed for the scales: give the codes the shape of `weight`, {right.codes.shape}, again."),
    sign("The scales keep a dimension of 1", one_more_dimension, "`scales` has the shape {scales.shape}, expected "
         "{right.scales.shape}. The last dimension helps in dividing and has to go before the scales are returned: "
         "`squeeze(-1)`."),
    sign("One scale per weight", repeated, "`scales` has the shape {scales.shape}: each scale stands there {group} "
         "times. A group has one scale, so return {right.scales.shape}."),
    sign("The scales are not in rows", one_column, "`scales` has the shape {scales.shape}: the groups of all rows "
         "stand in one list. Return one row of scales for each row of `weight`, {right.scales.shape}."),
    sign("uint8 has no negative numbers", unsigned, "`codes` is uint8, which holds 0 to 255. The codes run from −m to "
         "m, so a signed type is needed: `torch.int8`."),
    sign("A group of zeros has the scale 0", scale_0, lambda a: f"{zero_place(a)} With this scale, weight / scale "
         "would be 0 / 0. `torch.where` puts a 1 where the largest weight is 0."),
    sign("A group of zeros has the scale nan", scale_nan, lambda a: f"{zero_place(a)} `torch.where` puts a 1 where "
         "the largest weight is 0."),
    sign("A small number in place of 1", scale_tiny, lambda a: f"{zero_place(a)} You keep the scale away from 0 by a "
         "small number. Only groups of zeros need another scale, and theirs is 1: use `torch.where`."),
    sign("The largest is set to 1, not the scale", scale_part_of_1, lambda a: f"{zero_place(a)} You put the 1 in place "
         f"of the largest weight and divided it by m = {top(a.args[1])}. The scale itself is 1."),
    sign("The codes of a group of zeros are not 0", codes_of_zeros, lambda a: f"{first_code(a)} All weights of this "
         "group are 0, and with the scale 1 their codes are 0. Put the 1 in place before you divide."),
    *WRONG_SCALES,
    sign("Only a group of zeros has the scale 1", lambda a: ones_too_many(a) is not None, one_too_many),
    sign("A scale is below 0", negative_scale, "{scales.first:4}. The scale is the largest absolute weight, divided by "
         "m: it has no sign, and the codes have that of their weights."),
    rounded_by("Cut off instead of rounded", torch.trunc, "A cast to int8 drops what is behind the point. Call "
               "`round()` before."),
    rounded_by("Rounded down", torch.floor, "`floor`, like `//`, goes down to the next whole number. The nearest one "
               "is wanted: `round()`."),
    rounded_by("Rounded up", torch.ceil, "`ceil` goes up to the next whole number. The nearest one is wanted: "
               "`round()`."),
    rounded_by("½ added and cut off", lambda q: (q + 0.5).trunc(), "½ was added before the cast, which rounds positive "
               "numbers and not negative ones. `round()` does both."),
    rounded_by("The sign is lost", lambda q: q.round().abs(), "A weight below 0 has a code below 0: `abs` is for the "
               "scale alone."),
    coded("The codes are not rounded", lambda *args: quotients(*args).float(), "The codes are whole numbers: `round()` "
          "them, and store them as int8."),
    coded("The weights themselves are returned", lambda weight, bits, group: weight.float(), "These are the weights as "
          "they came. Return the whole numbers that stand for them."),
    coded("Rounded weights instead of codes", dequantised, "This is scale · code, the weight that is computed with "
          "later. Return the code itself, which is what is stored."),
    coded("The weights are rounded before the division", lambda w, bits, group: int8(quotients(w.round(), bits, group,
          of=w)), "You round the weight itself. Divide by the scale first, then round."),
    coded("The scales are repeated in another order", lambda w, bits, group: int8((w.double() / reference(w, bits,
          group)[1].double().repeat(1, group)).round()), "`repeat` writes the whole row of scales again and again. "
          "Neighbours share a scale: `repeat_interleave(group, dim=1)`."),
    coded("The first scale for the whole row", lambda w, bits, group: int8((w.double() / reference(w, bits,
          group)[1][:, :1].double()).round().clamp(-top(bits), top(bits))), "You divide the whole row by the scale of "
          "its first group. Each group has its own."),
    coded("The codes are shifted", lambda *args: int8(quotients(*args).round() + top(args[1])), "You added m = {m}, so "
          "that no code is below 0. The codes run from −m to m."),
    coded("Multiplied by the scale", times_scale, "You multiply by the scale. A weight is a number of scales, so "
          "divide by it."),
    Mistake(float_codes, title="The codes are floats"),
    Mistake(long_scales, title="The scales are not float32"),
)  # fmt: skip

QUANTISE = Exercise(
    id="12.4", name="quantise_weights", parameters=("weight", "bits", "group"), sizes="RCbg",
    outputs=(Output("codes", "R, C"), Output("scales", "R, C / group")), reference=reference, cases=cases,
    mistakes=MISTAKES, drawn=DRAWN, differentiable=False,
    hints=(
        "Cut the last dimension in two first: (R, C / group, group). Then every group is a row of its own, and the "
        "largest of each is a maximum over the last dimension. Where that is 0, no division by it makes sense.",
        "`grouped = weight.reshape(…)` in three dimensions, then `abs` and `amax` over the last one, divided by m: "
        "these are the scales, and `torch.where` puts a 1 in place of a 0. Divide `grouped` by them with one "
        "dimension more, `scales[…, None]`, round, bring the codes back to two dimensions, and cast: "
        "`.to(torch.int8)` and `.float()`.",
    ),
    minutes=10, lines="about 6 lines",
    done="With 8 bits a matrix takes half the bytes of bfloat16 now, and with 4 bits, two codes in a byte, a quarter. "
    "scale · code gives every weight back, off by at most half a scale.",
)  # fmt: skip
