"""Answers to exercise 12.4, quantise_weights: right ones, and wrong ones with the message that they must get."""

import torch
from answers import blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def as_asked(weight, bits, group):
    grouped = weight.reshape(len(weight), -1, group)
    m = 2 ** (bits - 1) - 1
    scales = grouped.abs().amax(dim=-1, keepdim=True) / m
    scales = torch.where(scales == 0, torch.ones_like(scales), scales)
    codes = (grouped / scales).round().to(torch.int8)
    return codes.reshape(weight.shape), scales.squeeze(-1).float()


@right
def in_python(weight, bits, group):
    m = 2 ** (bits - 1) - 1
    codes, scales = [], []
    for row in weight.tolist():
        codes.append([]), scales.append([])
        for start in range(0, len(row), group):
            part = row[start : start + group]
            scale = max(map(abs, part)) / m or 1.0
            scales[-1].append(scale)
            codes[-1] += [round(w / scale) for w in part]
    return torch.tensor(codes, dtype=torch.int8), torch.tensor(scales, dtype=torch.float32)


@right
def by_rows_of_groups(weight, bits, group):
    rows = weight.float().reshape(-1, group)
    m = (1 << (bits - 1)) - 1
    largest = rows.abs().max(dim=1).values
    scales = torch.where(largest > 0, largest / m, 1.0)
    codes = torch.round(rows / scales[:, None]).clamp(-m, m).char()
    return codes.view(weight.shape), scales.view(len(weight), -1)


@right
def times_m_over_the_largest(weight, bits, group):
    m = 2 ** (bits - 1) - 1
    largest = weight.abs().unfold(1, group, group).amax(dim=-1)
    safe = largest.masked_fill(largest == 0, m)
    codes = torch.floor(weight * (m / safe).repeat_interleave(group, dim=1) + 0.5)
    return codes.to(torch.int8), (safe / m).to(torch.float32)


@right
def piece_by_piece(weight, bits, group):
    m = 2 ** (bits - 1) - 1
    codes = torch.zeros(weight.shape, dtype=torch.int8)
    scales = torch.ones(len(weight), weight.shape[1] // group)
    for g, piece in enumerate(weight.split(group, dim=1)):
        used = (piece != 0).any(dim=1)
        scales[used, g] = (piece[used].abs().amax(dim=1) / m).float()
        codes[:, g * group : (g + 1) * group] = (piece / scales[:, g : g + 1]).round().to(torch.int8)
    return codes, scales


@right
def from_both_ends(weight, bits, group):
    grouped = weight.double().unflatten(-1, (-1, group))
    largest = torch.maximum(grouped.amax(-1), -grouped.amin(-1))
    scales = largest / (2 ** (bits - 1) - 1)
    scales[largest == 0] = 1
    return (grouped / scales.unsqueeze(-1)).round().flatten(1).to(torch.int8), scales.float()


@right
def unfold(weight, bits, group):
    """Unfold and repeat_interleave."""
    m = 2 ** (bits - 1) - 1
    s = weight.unfold(1, group, group).abs().max(dim=-1).values / m
    s[s == 0] = 1
    full = s.repeat_interleave(group, dim=1)
    return (weight / full).round().to(torch.int8), s.float()


@right
def nearest_code(weight, bits, group):
    """Argmin of the distance to all the codes."""
    m = 2 ** (bits - 1) - 1
    g = weight.reshape(-1, group)
    s = g.abs().amax(1) / m
    s = s + (s == 0).to(s.dtype)
    levels = torch.arange(-m, m + 1)
    d = (g[..., None] / s[:, None, None] - levels).abs()
    c = levels[d.argmin(-1)]
    return c.reshape(weight.shape).to(torch.int8), s.reshape(weight.shape[0], -1).to(torch.float32)


@right
def chunks(weight, bits, group):
    """Column chunks, cat."""
    m = 2 ** (bits - 1) - 1
    cs, ss = [], []
    for part in weight.split(group, dim=1):
        s = part.abs().amax(1, keepdim=True) / m
        s = torch.where(s == 0, 1.0, s)
        cs.append((part / s).round())
        ss.append(s)
    return torch.cat(cs, 1).to(torch.int8), torch.cat(ss, 1).float()


# ---- wrong: shapes and types ----------------------------------------------------------------------------------------

CAST = "(grouped / scales).round().to(torch.int8)"
SCALES = "grouped.abs().amax(dim=-1, keepdim=True) / m"
FILL = "torch.where(scales == 0, torch.ones_like(scales), scales)"

wrong("grouped_codes", "The codes are still cut into groups", of=as_asked, put={"codes.reshape(weight.shape)": "codes"})
wrong("kept_dimension", "The scales keep a dimension of 1", of=as_asked, put={"scales.squeeze(-1).float()":
      "scales.float()"})  # fmt: skip
wrong("one_for_each_weight", "One scale per weight", of=as_asked, put={"scales.squeeze(-1).float()":
      "scales.squeeze(-1).float().repeat_interleave(group, dim=1)"})  # fmt: skip
wrong("one_for_each_weight_in_groups", "One scale per weight", of=as_asked, put={"scales.squeeze(-1).float()":
      "scales.float().expand(grouped.shape)"})  # fmt: skip
wrong("one_list", "The scales are not in rows", of=by_rows_of_groups, put={"scales.view(len(weight), -1)": "scales"})
wrong("one_column", "The scales are not in rows", of=by_rows_of_groups, put={"scales.view(len(weight), -1)":
      "scales[:, None]"})  # fmt: skip
wrong("outputs_swapped", "`codes` and `scales` have changed places", of=as_asked, put={
      "codes.reshape(weight.shape), scales.squeeze(-1).float()": "scales.squeeze(-1).float(), codes.flatten(1)"})  # fmt: skip
wrong("codes_as_floats", "The codes are floats", of=as_asked, put={".round().to(torch.int8)": ".round()"})
wrong("codes_as_int32", "`codes` has the wrong type", of=as_asked, put={"torch.int8": "torch.int32"})
wrong("codes_as_uint8", "uint8 has no negative numbers", of=as_asked, put={".to(torch.int8)":
      ".to(torch.int8).view(torch.uint8)"})  # fmt: skip
wrong("scales_as_they_come", "The scales are not float32", of=as_asked, put={"squeeze(-1).float()": "squeeze(-1)"})
wrong("codes_alone", "Wrong number of results", of=as_asked, put={", scales.squeeze(-1).float()": ""})


@wrong("Your function changed its input")
def divided_in_place(weight, bits, group):
    grouped = weight.view(len(weight), -1, group)
    scales = grouped.abs().amax(dim=-1) / (2 ** (bits - 1) - 1)
    scales[scales == 0] = 1
    grouped /= scales[..., None]
    return weight.round().to(torch.int8), scales.float()


# ---- wrong: the scales ----------------------------------------------------------------------------------------------

M = "m is not 2^(bits − 1) − 1"
wrong("without_minus_one", M, of=as_asked, put={"2 ** (bits - 1) - 1": "2 ** (bits - 1)"})
wrong("without_minus_one_clamped", M, of=by_rows_of_groups, put={"(1 << (bits - 1)) - 1": "1 << (bits - 1)",
      "clamp(-m, m)": "clamp(-m, m - 1)"})  # fmt: skip
wrong("no_bit_for_the_sign", M, of=as_asked, put={"2 ** (bits - 1) - 1": "2**bits - 1"})
wrong("two_to_the_bits", M, of=as_asked, put={"2 ** (bits - 1) - 1": "2**bits"})
wrong("half_a_code_more", M, of=as_asked, put={"2 ** (bits - 1) - 1": "2 ** (bits - 1) - 0.5"})
wrong("always_8_bits", "`bits` has no effect", of=as_asked, put={"2 ** (bits - 1) - 1": "127"})
wrong("caret", "`^` is not a power", of=as_asked, put={"2 ** (bits - 1) - 1": "(2 ^ (bits - 1)) - 1"})
wrong("caret_unbracketed", "`^` is not a power", of=as_asked, put={"2 ** (bits - 1) - 1": "2 ^ (bits - 1) - 1"})
wrong("without_m", "m is left out", of=as_asked, put={SCALES: "grouped.abs().amax(dim=-1, keepdim=True)"})
wrong("without_m_in_the_scales_alone", "m is left out", of=times_m_over_the_largest, put={"(safe / m)": "largest"})
wrong("without_abs", "The largest without `abs`", of=as_asked, put={"grouped.abs().amax": "grouped.amax"})
wrong("without_abs_where_above_0", "The largest without `abs`", of=by_rows_of_groups, put={"rows.abs()": "rows"})
wrong("abs_of_the_largest", "The largest without `abs`", of=as_asked, put={SCALES:
      "grouped.amax(dim=-1, keepdim=True).abs() / m"})  # fmt: skip


@wrong("From the smallest to the largest")
def asymmetric(weight, bits, group):
    grouped = weight.unflatten(1, (-1, group))
    low, high = grouped.amin(dim=-1), grouped.amax(dim=-1)
    scales = (high - low) / (2**bits - 1)
    scales[scales == 0] = 1
    codes = ((grouped - low[..., None]) / scales[..., None]).round() - 2 ** (bits - 1)
    return codes.flatten(1).to(torch.int8), scales.float()


@wrong("From the smallest to the largest")
def half_the_span(weight, bits, group):
    grouped = weight.unflatten(1, (-1, group))
    scales = (grouped.amax(dim=-1) - grouped.amin(dim=-1)) / 2 / (2 ** (bits - 1) - 1)
    scales[scales == 0] = 1
    return (grouped / scales[..., None]).round().flatten(1).to(torch.int8), scales.float()


@wrong("One scale per row")
def per_row(weight, bits, group):
    scales = weight.abs().amax(dim=1, keepdim=True) / (2 ** (bits - 1) - 1)
    scales[scales == 0] = 1
    return (weight / scales).round().to(torch.int8), scales.float()


@wrong("One scale per row")
def per_row_spread(weight, bits, group):
    codes, scales = per_row(weight, bits, group)
    return codes, scales.repeat(1, weight.shape[1] // group)


@wrong("One scale per row")
def per_row_flat(weight, bits, group):
    codes, scales = per_row(weight, bits, group)
    return codes, scales[:, 0]


@wrong("One scale for the whole matrix")
def for_all(weight, bits, group):
    scale = weight.abs().max() / (2 ** (bits - 1) - 1)
    return (weight / scale).round().to(torch.int8), scale.float()


@wrong("One scale for the whole matrix")
def for_all_spread(weight, bits, group):
    codes, scale = for_all(weight, bits, group)
    return codes, scale.expand(len(weight), weight.shape[1] // group)


@wrong("One scale per column")
def per_column(weight, bits, group):
    scales = weight.abs().amax(dim=0) / (2 ** (bits - 1) - 1)
    scales[scales == 0] = 1
    return (weight / scales).round().to(torch.int8), scales.float()


@wrong("The groups run down the columns")
def down(weight, bits, group):
    grouped = weight.unflatten(0, (-1, group))
    scales = grouped.abs().amax(dim=1) / (2 ** (bits - 1) - 1)
    scales[scales == 0] = 1
    return (grouped / scales[:, None]).round().flatten(0, 1).to(torch.int8), scales.float()


@wrong("The groups run down the columns")
def down_and_turned(weight, bits, group):
    codes, scales = as_asked(weight.T, bits, group)
    return codes.T, scales


@wrong("The groups are interleaved")
def every_nth(weight, bits, group):
    grouped = weight.unflatten(1, (group, -1))
    scales = grouped.abs().amax(dim=1) / (2 ** (bits - 1) - 1)
    scales[scales == 0] = 1
    return (grouped / scales[:, None]).round().flatten(1).to(torch.int8), scales.float()


@wrong("The groups are interleaved")
def over_the_groups(weight, bits, group):
    grouped = weight.unflatten(1, (-1, group))
    scales = grouped.abs().amax(dim=1) / (2 ** (bits - 1) - 1)
    scales[scales == 0] = 1
    return (grouped / scales[:, None]).round().flatten(1).to(torch.int8), scales.float()


@wrong("`group` is taken for the number of groups")
def group_groups(weight, bits, group):
    return as_asked(weight, bits, weight.shape[1] // group)


@wrong("The scale is turned over")
def turned_over(weight, bits, group):
    grouped = weight.unflatten(1, (-1, group))
    scales = (2 ** (bits - 1) - 1) / grouped.abs().amax(dim=-1)
    return (grouped * scales[..., None]).nan_to_num().round().flatten(1).to(torch.int8), scales.float()


wrong("turned_over_and_divided", "The scale is turned over", of=as_asked, put={SCALES:
      "m / grouped.abs().amax(dim=-1, keepdim=True)"})  # fmt: skip
wrong("turned_over_with_ones", "The scale is turned over", of=times_m_over_the_largest, put={"(safe / m)":
      "(m / safe)"})  # fmt: skip
wrong("standard_deviation", "Not the largest weight", of=as_asked, put={SCALES:
      "grouped.std(dim=-1, keepdim=True) / m"})  # fmt: skip
wrong("plain_deviation", "Not the largest weight", of=as_asked, put={SCALES:
      "grouped.std(dim=-1, keepdim=True, unbiased=False) / m"})  # fmt: skip
wrong("mean_size", "Not the largest weight", of=as_asked, put={"abs().amax": "abs().mean"})
wrong("length", "Not the largest weight", of=as_asked, put={"abs().amax": "norm"})
wrong("smallest_size", "Not the largest weight", of=as_asked, put={"abs().amax": "abs().amin"})

wrong("zero_by_zero", "A group of zeros has the scale 0", of=as_asked, put={FILL: "scales"})
wrong("zero_by_zero_kept_from_nan", "A group of zeros has the scale 0", of=as_asked, put={FILL: "scales",
      "(grouped / scales)": "(grouped / scales).nan_to_num()"})  # fmt: skip
wrong("zero_scale_returned", "A group of zeros has the scale 0", of=times_m_over_the_largest, put={"(safe / m)":
      "(largest / m)"})  # fmt: skip
wrong("nan_for_nothing", "A group of zeros has the scale nan", of=as_asked, put={FILL: "scales * scales / scales"})
wrong("clamped", "A small number in place of 1", of=as_asked, put={FILL: "scales.clamp(min=1e-8)"})
wrong("eps_added", "A small number in place of 1", of=as_asked, put={FILL: "scales + 1e-10"})
wrong("filled_too_late", "The codes of a group of zeros are not 0", of=as_asked, put={FILL: "scales",
      CAST: "(grouped / scales).nan_to_num(-1).round().to(torch.int8)", "scales.squeeze(-1).float()":
      "torch.where(scales == 0, 1.0, scales.float()).squeeze(-1)"})  # fmt: skip

# ---- wrong: the codes -----------------------------------------------------------------------------------------------

wrong("cut_off", "Cut off instead of rounded", of=as_asked, put={".round().to": ".to"})
wrong("cut_off_in_float32", "Cut off instead of rounded", of=by_rows_of_groups, put={"torch.round": "torch.trunc"})
wrong("floored", "Rounded down", of=as_asked, put={".round().to": ".floor().to"})
wrong("floor_divided", "Rounded down", of=as_asked, put={CAST: "(grouped // scales).to(torch.int8)"})
wrong("ceiled", "Rounded up", of=as_asked, put={".round().to": ".ceil().to"})
wrong("half_and_cast", "½ added and cut off", of=as_asked, put={".round().to(torch.int8)": ".add(0.5).to(torch.int8)"})
wrong("sign_lost", "The sign is lost", of=as_asked, put={"(grouped / scales)": "(grouped.abs() / scales)"})
wrong("not_rounded", "The codes are not rounded", of=as_asked, put={".round().to(torch.int8)": ""})
wrong("weights_returned", "The weights themselves are returned", of=as_asked, put={"codes.reshape(weight.shape),":
      "weight.clone(),"})  # fmt: skip
wrong("dequantised", "Rounded weights instead of codes", of=as_asked, put={"codes.reshape(weight.shape),":
      "(codes * scales).reshape(weight.shape),"})  # fmt: skip
wrong("multiplied", "Multiplied by the scale", of=as_asked, put={"grouped / scales": "grouped * scales"})


# ---- wrong, from readers of the text alone ---------------------------------------------------------------------------


@blind("A group of zeros has the scale 0")
def zero_scale_0(weight, bits, group):
    """Group of zeros: codes right, scale stays 0."""
    m = 2 ** (bits - 1) - 1
    g = weight.reshape(weight.shape[0], -1, group)
    s = g.abs().amax(-1, keepdim=True) / m
    c = torch.where(s == 0, torch.zeros_like(g), (g / torch.where(s == 0, 1.0, s)).round())
    return c.reshape(weight.shape).to(torch.int8), s.squeeze(-1).float()


@blind("The groups run down the columns")
def rows_grouped(weight, bits, group):
    """Groups along columns (neighbouring rows), via reshape of the transpose."""
    R, C = weight.shape
    m = 2 ** (bits - 1) - 1
    g = weight.t().reshape(-1, group)
    s = g.abs().amax(-1, keepdim=True) / m
    s = torch.where(s == 0, 1.0, s)
    c = (g / s).round().reshape(C, R).t()
    return c.to(torch.int8), s.reshape(R, C // group).float()


@blind("The scales are repeated in another order")
def repeated_row_by_row(weight, bits, group):
    m = 2 ** (bits - 1) - 1
    s = weight.reshape(weight.shape[0], -1, group).abs().amax(-1) / m
    s = torch.where(s == 0, 1.0, s)
    return (weight / s.repeat(1, group)).round().to(torch.int8), s.float()


ONLY, WHOLE = "Only a group of zeros has the scale 1", "The scale is no whole number"
LARGEST = "grouped.abs().amax(dim=-1, keepdim=True)"


def ones_where(condition):
    return {FILL: f"torch.where({condition}, torch.ones_like(scales), scales)"}


blind("any_weight_is_0", ONLY, of=as_asked, put=ones_where("(grouped == 0).any(dim=-1, keepdim=True)"))
blind("sum_is_0", ONLY, of=as_asked, put=ones_where("grouped.sum(dim=-1, keepdim=True) == 0"))
blind("largest_without_abs_is_0", ONLY, of=as_asked, put=ones_where("grouped.amax(dim=-1, keepdim=True) == 0"))
blind("first_weight_is_0", ONLY, of=as_asked, put=ones_where("grouped[..., :1] == 0"))
blind("small_scales_are_1", ONLY, of=as_asked, put=ones_where("scales < 1e-6"))
blind("no_scale_below_1", ONLY, of=as_asked, put={FILL: "scales.clamp(min=1)"})
blind("rows_of_zeros_alone", "A group of zeros has the scale 0", of=as_asked, put=ones_where(
      "(weight == 0).all(dim=1)[:, None, None]"))  # fmt: skip
blind("one_over_m", "The largest is set to 1, not the scale", of=as_asked, put={SCALES:
      f"torch.where({LARGEST} == 0, 1.0, {LARGEST}) / m"})  # fmt: skip
blind("sign_of_the_largest", "A scale is below 0", of=as_asked, put={SCALES:
      "grouped.gather(-1, grouped.abs().argmax(dim=-1, keepdim=True)) / m"})  # fmt: skip
blind("two_times", M, of=as_asked, put={"2 ** (bits - 1) - 1": "2 * (bits - 1) - 1"})
blind("precedence", M, of=as_asked, put={"2 ** (bits - 1) - 1": "2 ** (bits - 1 - 1)"})
blind("bits_as_levels", M, of=as_asked, put={"2 ** (bits - 1) - 1": "bits"})
blind("over_the_rows", "One scale for all rows", of=as_asked, put={SCALES:
      "grouped.abs().amax(dim=(0, 2), keepdim=True).expand(len(weight), -1, -1) / m"})  # fmt: skip
blind("rounded_scale", WHOLE, of=as_asked, put={SCALES: f"({LARGEST} / m).round()"})
blind("integer_scale", WHOLE, of=as_asked, put={SCALES: f"{LARGEST} // m"})
blind("weight_rounded_first", "The weights are rounded before the division", of=as_asked, put={CAST:
      "(grouped.round() / scales).to(torch.int8)"})  # fmt: skip
blind("codes_from_0", "The codes are shifted", of=as_asked, put={CAST:
      "((grouped / scales).round() + m).to(torch.int8)"})  # fmt: skip
blind("first_scale_of_the_row", "The first scale for the whole row", of=as_asked, put={CAST:
      "(grouped / scales[:, :1]).round().clamp(-m, m).to(torch.int8)"})  # fmt: skip
