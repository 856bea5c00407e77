"""Answers to exercise 11.2, memory_bytes: right ones, and wrong ones with the message that they must get."""

import math
from fractions import Fraction

from answers import ANY, blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def three_parts(model, bits, group, context, batch):
    weights = model.total * bits // 8
    scales = model.total // group * 2 if bits <= 8 else 0
    cache = batch * context * model.cached * 2
    return weights + scales + cache


@right
def in_bits(model, bits, group, context, batch):
    n = bits * model.total + 16 * batch * context * model.cached
    if bits in (4, 8):
        n += 16 * (model.total // group)
    return n // 8


@right
def by_group(model, bits, group, context, batch):
    per_group = Fraction(group * bits, 8) + (2 if bits < 16 else 0)
    return int(model.total // group * per_group) + 2 * context * batch * model.cached


@right
def bytes_per_weight(model, bits, group, context, batch):
    size = {32: 4, 16: 2, 8: 1, 4: 0.5}[bits]
    n = model.total * size
    if size <= 1:
        n = n + math.ceil(model.total / group) * 2
    return int(n) + sum(2 * model.cached * context for _ in range(batch))


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------

wrong("active_alone", "Only the active parameters are stored", of=three_parts,
      put={"model.total * bits": "model.active * bits", "model.total // group": "model.active // group"})  # fmt: skip
wrong("active_with_all_scales", "Only the active parameters are stored", of=three_parts,
      put={"model.total * bits": "model.active * bits"})  # fmt: skip
wrong("scales_of_active", "The scales of the active weights", of=three_parts,
      put={"model.total // group": "model.active // group"})  # fmt: skip
wrong("active_beside_total", "Active parameters are counted twice", of=three_parts,
      put={"model.total * bits": "(model.total + model.active) * bits"})  # fmt: skip
wrong("bits_as_bytes", "Bits taken for bytes", of=three_parts, put={" * bits // 8": " * bits"})
wrong("all_in_bits", "Bits, not bytes", of=three_parts,
      put={"return weights + scales + cache": "return 8 * (weights + scales + cache)"})  # fmt: skip
wrong("whole_bytes_per_weight", "`bits // 8` is 0 at 4 bits", of=three_parts,
      put={"model.total * bits // 8": "bits // 8 * model.total"})  # fmt: skip
wrong("a_byte_at_least", "A weight of 4 bits is half a byte", of=three_parts,
      put={"model.total * bits // 8": "max(1, bits // 8) * model.total"})  # fmt: skip
wrong("always_two_bytes", "The weights have `bits` bits", of=three_parts,
      put={"model.total * bits // 8": "model.total * 2"})  # fmt: skip
wrong("no_scales", "The scales are forgotten", of=three_parts, put={"weights + scales + cache": "weights + cache"})
wrong("scales_always", "No scales at 16 and 32 bits", of=three_parts, put={" if bits <= 8 else 0": ""})
wrong("scales_below_8", "8 bits need scales, too", of=three_parts, put={"bits <= 8": "bits < 8"})
wrong("scales_at_8", "4 bits need scales, too", of=three_parts, put={"bits <= 8": "bits == 8"})
wrong(
    "scale_per_weight", "A scale for each weight", of=three_parts, put={"model.total // group * 2": "model.total * 2"}
)
wrong("single_scale", "One scale for all weights", of=three_parts, put={"model.total // group * 2": "2"})
wrong("scale_of_a_byte", "A scale has 2 bytes", of=three_parts,
      put={"model.total // group * 2": "model.total // group"})  # fmt: skip
wrong("scale_of_16_bytes", "A scale has 2 bytes", of=three_parts,
      put={"model.total // group * 2": "model.total // group * 16"})  # fmt: skip
wrong("scale_like_a_weight", "A scale has 16 bits, not those of a weight", of=three_parts,
      put={"model.total // group * 2": "model.total // group * bits // 8"})  # fmt: skip
wrong("group_scales", "As many scales as a group has weights", of=three_parts,
      put={"model.total // group * 2": "group * 2"})  # fmt: skip
wrong("no_cache", "The cache is forgotten", of=three_parts, put={"weights + scales + cache": "weights + scales"})
wrong("one_text", "The cache of one text", of=three_parts, put={"batch * context * model": "context * model"})
wrong("one_token", "The cache of one token per text", of=three_parts,
      put={"batch * context * model": "batch * model"})  # fmt: skip
wrong("cache_with_the_bits", "The cache has 16 bits, whatever the weights have", of=three_parts,
      put={"model.cached * 2": "model.cached * bits // 8"})  # fmt: skip
wrong("keys_and_values_again", "Keys and values are counted twice", of=three_parts,
      put={"model.cached * 2": "model.cached * 2 * 2"})  # fmt: skip
wrong("cache_of_a_byte", "A number of the cache has 2 bytes", of=three_parts,
      put={"model.cached * 2": "model.cached"})  # fmt: skip
wrong("cache_of_16_bytes", "A number of the cache has 2 bytes", of=three_parts,
      put={"model.cached * 2": "model.cached * 16"})  # fmt: skip
wrong("weights_per_text", "The weights are stored once", of=three_parts,
      put={"weights + scales + cache": "batch * (weights + scales) + cache"})  # fmt: skip
wrong("gigabytes", "Not in bytes", of=three_parts,
      put={"return weights + scales + cache": "return (weights + scales + cache) / 1e9"})  # fmt: skip
wrong("whole_gibibytes", "Not in bytes", of=three_parts,
      put={"return weights + scales + cache": "return (weights + scales + cache) // 2**30"})  # fmt: skip
wrong("kibibytes", "Not in bytes", of=three_parts,
      put={"return weights + scales + cache": "return (weights + scales + cache) / 1024"})  # fmt: skip
wrong("divided", "A float, where a whole number is asked", of=three_parts, put={"bits // 8": "bits / 8"})
wrong("as_text", "Not a whole number", of=three_parts,
      put={"return weights + scales + cache": 'return f"{(weights + scales + cache) / 1e9:.1f} GB"'})  # fmt: skip
wrong("each_part", "Not a whole number", of=three_parts,
      put={"return weights + scales + cache": "return weights, scales, cache"})  # fmt: skip
wrong("other_name", "No such field", of=three_parts, put={"model.cached": "model.cache"})
wrong("active_and_no_cache", "Some part is not right", of=three_parts,
      put={"model.total * bits": "model.active * bits", "weights + scales + cache": "weights + scales"})  # fmt: skip


@wrong(ANY)
def nothing(model, bits, group, context, batch):
    return 0 * model.total


@wrong("Some part is not right", ANY)  # all cases are right: there are no more than some hundred texts in them
def at_most_four_thousand_tokens(model, bits, group, context, batch):
    return three_parts(model, bits, group, min(context, 4096), batch)


# ---- wrong, written from the exercise's text alone ---------------------------------------------------------------------


@blind("The cache is forgotten")
def forgets_the_keys_and_values(model, bits: int, group: int, context: int, batch: int) -> int:
    """Forgets the keys and values."""
    size = model.total * bits // 8
    if bits <= 8:
        size += model.total // group * 2
    return size


@blind("The scales are forgotten")
def forgets_the_scales_of_the_groups(model, bits: int, group: int, context: int, batch: int) -> int:
    """Forgets the scales of the groups."""
    return model.total * bits // 8 + 2 * model.cached * context * batch


@blind("No scales at 16 and 32 bits")
def adds_scales_at_every_weight_size(model, bits: int, group: int, context: int, batch: int) -> int:
    """Adds scales at every weight size."""
    return model.total * bits // 8 + model.total // group * 2 + 2 * model.cached * context * batch


@blind("Only the active parameters are stored")
def stores_only_the_active_weights(model, bits: int, group: int, context: int, batch: int) -> int:
    """Stores only the active weights."""
    size = model.active * bits // 8
    if bits <= 8:
        size += model.active // group * 2
    return size + 2 * model.cached * context * batch


@blind("A scale has 2 bytes")
def takes_a_scale_as_16_bytes(model, bits: int, group: int, context: int, batch: int) -> int:
    """Takes a scale as 16 bytes."""
    size = model.total * bits // 8
    if bits <= 8:
        size += model.total // group * 16
    return size + 2 * model.cached * context * batch


@blind("The cache has 16 bits, whatever the weights have")
def stores_the_cache_at_weight_bits(model, bits: int, group: int, context: int, batch: int) -> int:
    """Stores the cache at weight bits."""
    size = (model.total + model.cached * context * batch) * bits // 8
    if bits <= 8:
        size += model.total // group * 2
    return size


@blind("The cache of one text")
def keeps_cache_for_one_text_only(model, bits: int, group: int, context: int, batch: int) -> int:
    """Keeps cache for one text only."""
    size = model.total * bits // 8
    if bits <= 8:
        size += model.total // group * 2
    return size + 2 * model.cached * context


@blind("Keys and values are counted twice")
def doubles_the_cache_for_keys_values(model, bits: int, group: int, context: int, batch: int) -> int:
    """Doubles the cache for keys, values."""
    size = model.total * bits // 8
    if bits <= 8:
        size += model.total // group * 2
    return size + 2 * 2 * model.cached * context * batch


@blind("A float, where a whole number is asked")
def returns_a_float_not_an_int(model, bits: int, group: int, context: int, batch: int) -> int:
    """Returns a float, not an int."""
    size = model.total * bits / 8
    if bits <= 8:
        size += model.total / group * 2
    return size + 2 * model.cached * context * batch


@blind("A scale has 16 bits, not those of a weight")
def gives_a_scale_the_weights_bits(model, bits: int, group: int, context: int, batch: int) -> int:
    """Gives a scale the weights' bits."""
    size = model.total * bits
    if bits <= 8:
        size += model.total // group * bits
    return (size + 16 * model.cached * context * batch) // 8


@blind("As many scales as a group has weights")
def takes_group_as_number_of_groups(model, bits: int, group: int, context: int, batch: int) -> int:
    """Takes group as number of groups."""
    size = model.total * bits // 8
    if bits <= 8:
        size += group * 2
    return size + 2 * model.cached * context * batch


@blind("`bits // 8` is 0 at 4 bits")
def at_4_bits_weights_vanish(model, bits: int, group: int, context: int, batch: int) -> int:
    """At 4 bits weights vanish."""
    size = model.total * (bits // 8)
    if bits <= 8:
        size += model.total // group * 2
    return size + 2 * model.cached * context * batch


@blind("8 bits need scales, too")
def adds_scales_at_4_bits_only(model, bits: int, group: int, context: int, batch: int) -> int:
    """Adds scales at 4 bits only."""
    size = model.total * bits // 8
    if bits < 8:
        size += model.total // group * 2
    return size + 2 * model.cached * context * batch


@blind("Some part is not right")
def adds_one_group_too_many(model, bits: int, group: int, context: int, batch: int) -> int:
    """Adds one group too many."""
    size = model.total * bits // 8
    if bits <= 8:
        size += (model.total // group + 1) * 2
    return size + 2 * model.cached * context * batch


@blind("A scale has 2 bytes")
def adds_a_zero_point_per_group(model, bits: int, group: int, context: int, batch: int) -> int:
    """Adds a zero point per group."""
    size = model.total * bits // 8
    if bits <= 8:
        size += model.total // group * (2 + 2)
    return size + 2 * model.cached * context * batch


@blind("Some part is not right")
def skips_scale_of_one_single_group(model, bits: int, group: int, context: int, batch: int) -> int:
    """Skips scale of one single group."""
    size = model.total * bits // 8
    if bits <= 8 and group < model.total:  # "one group is no grouping"
        size += model.total // group * 2
    return size + 2 * model.cached * context * batch


@blind("The weights are stored once")
def keeps_the_weights_once_per_text(model, bits: int, group: int, context: int, batch: int) -> int:
    """Keeps the weights once per text."""
    size = model.total * bits // 8
    if bits <= 8:
        size += model.total // group * 2
    return batch * (size + 2 * model.cached * context)


@blind("The cache has no scales")
def adds_scales_to_the_cache_too(model, bits: int, group: int, context: int, batch: int) -> int:
    """Adds scales to the cache too."""
    numbers = model.cached * context * batch
    size = model.total * bits // 8 + 2 * numbers
    if bits <= 8:
        size += (model.total + numbers) // group * 2
    return size


@blind("Some part is not right")
def keeps_no_cache_at_batch_1(model, bits: int, group: int, context: int, batch: int) -> int:
    """Keeps no cache at batch 1."""
    size = model.total * bits // 8
    if bits <= 8:
        size += model.total // group * 2
    if batch > 1:
        size += 2 * model.cached * context * batch
    return size


@blind("Some part is not right")
def swaps_group_and_context(model, bits: int, group: int, context: int, batch: int) -> int:
    """Swaps group and context."""

    def need(bits, context, group):  # other order than the exercise's
        size = model.total * bits // 8
        if bits <= 8:
            size += model.total // group * 2
        return size + 2 * model.cached * context * batch

    return need(bits, group, context)


@blind("Some part is not right")
def treats_32_bits_like_16_bits(model, bits: int, group: int, context: int, batch: int) -> int:
    """Treats 32 bits like 16 bits."""
    bytes_per_weight = {4: 0.5, 8: 1}.get(bits, 2)
    size = int(model.total * bytes_per_weight)
    if bits <= 8:
        size += model.total // group * 2
    return size + 2 * model.cached * context * batch


@blind("Not in bytes")
def returns_whole_gibibytes_not_bytes(model, bits: int, group: int, context: int, batch: int) -> int:
    """Returns whole gibibytes, not bytes."""
    size = model.total * bits // 8
    if bits <= 8:
        size += model.total // group * 2
    return (size + 2 * model.cached * context * batch) // 2**30
