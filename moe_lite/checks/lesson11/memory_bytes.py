"""Exercise 11.2, memory_bytes: what has to be in memory while a model generates."""

from collections.abc import Callable

from moe_lite.checks.engine.exercise import FORM, INPUT, REPEAT, Attempt, Case, Drawn, Exercise, Mistake, Output, Trial
from moe_lite.checks.engine.mistakes import one_wrong, sign
from moe_lite.checks.engine.say import said
from moe_lite.checks.lesson11.fields import of_record
from moe_lite.lessons.serving import Sizes, memory_bytes

# ---- inputs ----------------------------------------------------------------------------------------------------------


def cases() -> tuple[Case, ...]:
    # groups of weights, groups of active weights, numbers in the cache per token; bits, group, context, batch
    plain = (
        trial(211, 67, 24, 4, 32, 113, 6),
        trial(97, 31, 40, 8, 64, 53, 3),
        trial(157, 44, 18, 16, 128, 71, 5),
        trial(131, 29, 12, 32, 48, 37, 7),
    )
    unscaled = (plain[2], plain[3], trial(83, 20, 56, 16, 64, 29, 9), trial(59, 13, 80, 32, 32, 41, 2))
    scaled = (plain[0], plain[1], trial(73, 19, 30, 4, 128, 47, 5), trial(109, 37, 22, 8, 16, 61, 4))
    alone = (trial(89, 23, 28, 8, 32, 67, 1, note="one text"), trial(103, 41, 36, 4, 64, 1, 1, note="one token"))
    mixtral = tuple(
        Trial((Sizes(46_702_792_704, 12_879_925_248, 65_536), bits, 64, 4096, 16), f"Mixtral 8x7B with {bits} bits")
        for bits in (16, 8, 4)
    )
    return (
        Case("a whole number", plain, (FORM,)),
        Case("no memory", plain[:1], (INPUT, REPEAT)),
        Case("16 and 32 bits", unscaled, ("memory",)),
        Case("4 and 8 bits", scaled, ("memory",)),
        Case("one text, one token", alone, ("memory",)),
        Case("Mixtral 8x7B, 16 texts of 4,096 tokens", mixtral, ("memory",)),
    )


def trial(n_groups: int, n_active: int, cached: int, bits: int, group: int, context: int, batch: int,
          note: str = "") -> Trial:  # fmt: skip
    """The group divides the number of weights, and that of active ones."""
    model = Sizes(n_groups * group, n_active * group, cached)
    return Trial(
        (model, bits, group, context, batch), f"{note}, {bits} bits" if note else f"{bits} bits, {batch} texts"
    )


def drawn(seed: int, W: int, A: int, G: int, N: int, T: int, B: int) -> tuple:
    """W groups of G weights, two by two so that 4 bits each fill whole bytes; A of the groups are active."""
    return trial(2 * W, 2 * A, N, (4, 16, 8, 32)[seed % 4], G, T, B).args


def extremes(seed: int) -> tuple[Trial, ...]:
    alike = Sizes(64, 64, 64)
    large = Sizes(1_000_000_000_000, 32_000_000_000, 1_249_280)
    at_4 = drawn(seed - seed % 4, 30, 8, 32, 7, 11, 3)
    return (
        *(Trial((alike, bits, 64, 64, 64), f"all numbers 64, with {bits} bits") for bits in (4, 8, 16, 32)),
        *(Trial((large, bits, 128, 131_072, 512), f"10¹² parameters with {bits} bits") for bits in (4, 8, 16)),
        Trial((Sizes(512, 192, 10), 8, 64, 17, 3), "a model of 512 parameters"),
        Trial((*at_4[:2], 2 * at_4[0].total // 4, *at_4[3:]), "two groups, 4 bits"),
        Trial((*at_4[:2], at_4[0].total, *at_4[3:]), "all weights in one group, 4 bits"),
    )


DRAWN = Drawn(
    drawn, {"W": 53, "A": 17, "G": 32, "N": 24, "T": 19, "B": 5}, at_most=(("A", "W"),), long="T", thousands=131_071,
    wide="G", float32=False, extremes=extremes,
)  # fmt: skip


# ---- mistakes --------------------------------------------------------------------------------------------------------

Rule = Callable[[Sizes, int, int, int, int], float]


def weights(model: Sizes, bits: int, group: int, context: int = 0, batch: int = 0) -> int:
    return model.total * bits // 8


def scales(model: Sizes, bits: int, group: int, context: int = 0, batch: int = 0) -> int:
    return model.total // group * 2 if bits <= 8 else 0


def cache(model: Sizes, bits: int, group: int, context: int, batch: int) -> int:
    return batch * context * model.cached * 2


def made_of(stored: Rule = weights, scaled: Rule = scales, kept: Rule = cache) -> Rule:
    """The right sum, with some of its parts computed in another way."""
    return lambda *args: stored(*args) + scaled(*args) + kept(*args)


def if_scaled(rule: Rule) -> Rule:
    return lambda model, bits, *rest: rule(model, bits, *rest) if bits <= 8 else 0


def times(factor: float) -> Rule:
    return lambda *args: memory_bytes(*args) * factor


def nothing(*args) -> int:
    return 0


def memory(title: str, rule: Rule, say: str) -> Mistake:
    sentence = "`memory` is {memory.beside}, for {note}: " + say
    return one_wrong("memory", title, rule, lambda a: said(sentence, a, **parts(a)))


def parts(a: Attempt) -> dict[str, str]:
    """What the right number is made of, for sentences."""
    return {name: f"{rule(*a.args):,}" for name, rule in (("weights", weights), ("scales", scales), ("cache", cache))}


def in_units(a: Attempt) -> bool:
    """In KB, MiB or the like, rounded or not."""
    mine, right = (float(values["memory"]) for values in (a.got, a.expected))
    units = (1e3, 1e6, 1e9, 2**10, 2**20, 2**30)
    return mine >= 0 and any(abs(mine - right / unit) < 1 for unit in units)


ACTIVE = (
    "you stored only the {model.active:,} active parameters. They work on one token. The next token may choose other "
    "experts, so all {model.total:,} have to be in memory."
)
SCALE = "A group of {group} weights shares one scale of 16 bits, which is 2 bytes: {scales} bytes in all."
CACHE = "{batch} texts of {context:,} tokens keep {model.cached:,} numbers per token, of 2 bytes each: {cache} bytes."

MISTAKES = (
    memory("Only the active parameters are stored", made_of(
           lambda m, b, g, *_: m.active * b // 8, if_scaled(lambda m, b, g, *_: m.active // g * 2)), ACTIVE),
    memory("Only the active parameters are stored", made_of(lambda m, b, g, *_: m.active * b // 8), ACTIVE),
    memory("Active parameters are counted twice", made_of(lambda m, b, g, *_: (m.total + m.active) * b // 8), "the "
           "{model.active:,} active parameters were added to the {model.total:,}. They are among them already."),
    memory("Bits taken for bytes", made_of(lambda m, b, g, *_: m.total * b), "you counted {bits} bytes per weight. A "
           "weight has {bits} bits, and 8 bits are one byte."),
    memory("Bits, not bytes", times(8), "that is eight times as much, so these are bits. Divide by 8."),
    memory("`bits // 8` is 0 at 4 bits", made_of(lambda m, b, g, *_: m.total * (b // 8)), "`4 // 8` is 0, so your "
           "weights take no memory. Multiply first and divide then: they take {weights} bytes."),
    memory("A weight of 4 bits is half a byte", made_of(lambda m, b, g, *_: m.total * max(b // 8, 1)), "you counted a "
           "whole byte per weight. Two weights of 4 bits share one, so all weights take {weights} bytes."),
    memory("The weights have `bits` bits", made_of(lambda m, b, g, *_: m.total * 2), "you counted 2 bytes per weight. "
           "With {bits} bits, all weights take {weights} bytes."),
    memory("The scales are forgotten", made_of(scaled=nothing), "weights of {bits} bits have "
           "scales. " + SCALE),
    memory("No scales at 16 and 32 bits", made_of(scaled=lambda m, b, g, *_: m.total // g * 2), "you added a scale per "
           "group. Weights of {bits} bits have no scales, only those of 8 and of 4 bits have."),
    memory("8 bits need scales, too", made_of(scaled=lambda m, b, g, *_: m.total // g * 2 if b == 4 else 0), "the "
           "scales are missing at 8 bits. " + SCALE),
    memory("4 bits need scales, too", made_of(scaled=lambda m, b, g, *_: m.total // g * 2 if b == 8 else 0), "the "
           "scales are missing at 4 bits. " + SCALE),
    memory("A scale for each weight", made_of(scaled=if_scaled(lambda m, b, g, *_: m.total * 2)), "you stored "
           "{model.total:,} scales. " + SCALE),
    memory("One scale for all weights", made_of(scaled=if_scaled(lambda *_: 2)), "you stored a single scale. "
           + SCALE),
    memory("A scale has 2 bytes", made_of(scaled=if_scaled(lambda m, b, g, *_: m.total // g)), "your scales have one "
           "byte each. " + SCALE),
    memory("A scale has 2 bytes", made_of(scaled=if_scaled(lambda m, b, g, *_: m.total // g * 4)), "your scales have "
           "4 bytes each. " + SCALE),
    memory("A scale has 2 bytes", made_of(scaled=if_scaled(lambda m, b, g, *_: m.total // g * 16)), "your scales have "
           "16 bytes each. " + SCALE),
    memory("A scale has 16 bits, not those of a weight", made_of(
           scaled=if_scaled(lambda m, b, g, *_: m.total // g * b // 8)), "your scales have {bits} bits each. "
           + SCALE),
    memory("As many scales as a group has weights", made_of(scaled=if_scaled(lambda m, b, g, *_: g * 2)), "you stored "
           "{group} scales. " + SCALE),
    memory("The scales of the active weights", made_of(scaled=if_scaled(lambda m, b, g, *_: m.active // g * 2)),
           "only the active weights have scales in your sum. All are stored. " + SCALE),
    memory("The cache is forgotten", made_of(kept=nothing), "keys and values have to be in memory as well. " + CACHE),
    memory("The cache of one text", made_of(kept=lambda m, b, g, c, n: c * m.cached * 2), "you counted the cache of "
           "one text. " + CACHE),
    memory("The cache of one token per text", made_of(kept=lambda m, b, g, c, n: n * m.cached * 2), "you counted the "
           "cache of one token per text. " + CACHE),
    memory("The cache of one token", made_of(kept=lambda m, b, g, c, n: m.cached * 2), "you counted the cache of one "
           "token. " + CACHE),
    memory("The cache has 16 bits, whatever the weights have", made_of(
           kept=lambda m, b, g, c, n: n * c * m.cached * b // 8), "your keys and values have {bits} bits, like the "
           "weights. But " + CACHE),
    memory("Keys and values are counted twice", made_of(kept=lambda *args: 2 * cache(*args)), "`cached` counts keys "
           "and values together, so there is no further factor of 2. " + CACHE),
    memory("A number of the cache has 2 bytes", made_of(kept=lambda *args: cache(*args) // 2), "your keys and values "
           "have one byte per number. " + CACHE),
    memory("A number of the cache has 2 bytes", made_of(kept=lambda *args: 8 * cache(*args)), "your keys and values "
           "have 16 bytes per number; it is 16 bits. " + CACHE),
    memory("The cache has no scales", made_of(
           kept=lambda m, b, g, c, n: cache(m, b, g, c, n) + if_scaled(lambda *_: n * c * m.cached // g * 2)(m, b)),
           "you added scales for the cache. Keys and values have 16 bits each and no scales. " + CACHE),
    memory("The weights are stored once", lambda m, b, g, c, n: n * (weights(m, b, g) + scales(m, b, g))
           + cache(m, b, g, c, n), "you stored the weights {batch} times. All texts use the same weights; only the "
           "cache is one per text."),
    memory("The weights are missing", made_of(nothing, nothing), "that is the cache alone. All weights, {weights} "
           "bytes, have to be in memory as well."),
    sign("Not in bytes", in_units, "`memory` is {memory.beside:3}, for {note}. Return bytes, not a larger unit such as "
         "KB, MiB or GB.", all_or_none=True),
    sign("Some part is not right", lambda a: True, lambda a: said("`memory` is {memory.beside}, for {note}. Here the "
         "weights take {weights} bytes, their scales {scales} and the cache {cache}. Compare these numbers with yours, "
         "one by one.", a, **parts(a))),
)  # fmt: skip

MEMORY_BYTES = Exercise(
    id="11.2", name="memory_bytes", parameters=("model", "bits", "group", "context", "batch"), sizes="TACBGXN",
    outputs=(Output("memory", whole=True),), reference=memory_bytes, cases=cases, mistakes=MISTAKES, drawn=DRAWN,
    causes=of_record(Sizes, "model", Sizes._fields),
    hints=(
        "Three things are in memory: the weights, their scales if there are any, and the cache of all texts. Before "
        "you choose between `total` and `active`: which experts will the next token choose?",
        "Multiply before you divide: `4 // 8` is 0. There are `total // group` scales of 2 bytes, but only at 8 and "
        "at 4 bits. The cache is a product of four numbers: texts, tokens, numbers per token, bytes per number.",
    ),
    minutes=8, lines="about 5 lines",
    done="Memory follows the total number of parameters, and the cache grows with every text that is served.",
)  # fmt: skip
