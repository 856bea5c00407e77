"""The model calculator in words: numbers as it prints them, its sums, its reading line and its notes."""

from decimal import Decimal

from moe_lite.look.words import percent
from moe_lite.widgets.model_calculator.view import GIB, CalculatorView

CONVENTIONS = {
    "all": "everything",
    "without_embedding": "all but the input embedding",
    "body": "the body only",
}
NOT_COUNTED = {"all": "", "without_embedding": ", the input embedding not counted",
               "body": ", embedding and head not counted"}  # fmt: skip
PUBLISHED_AS = {"all": "", "without_embedding": " without the input embedding", "body": " without embedding and head"}
BESIDE = {"": "", "vision": " with its vision part", "mtp": " with its layers for later tokens"}
INT4 = 4  # the precision that the reading line speaks of
MOST = 24  # characters of a name
NUMBERED = 16  # experts that the strip shows one by one, at most
UNITS = ((10**9, "billion"), (10**6, "million"), (10**3, "thousand"))
GB_NOTE = (
    "Weights only. A percentage: they fit on one card, and fill this share of the memory that is left for them. A "
    "number of cards: they do not, and need an even split over so many. GB are 10⁹ bytes, but a 24 GB card has 24 GiB: "
    "{card} GB. int4 is counted without its scales."
)


def unit_of(n: int) -> tuple[int, str]:
    """The unit in which a number has a digit or two in front of the point."""
    return next(((unit, word) for unit, word in UNITS if n >= unit / 10), UNITS[-1])


def short(n: int | Decimal, unit: int) -> str:
    """In `unit`, with one decimal; below 1 with two digits: 46_702_792_704 -> "46.7", 428_000_000 -> "0.43"."""
    value = Decimal(n) / unit
    return f"{value:,.{1 if n == 0 or value >= 1 else 1 - value.adjusted()}f}"


def cut(name: str, most: int = MOST) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


def whose(view: CalculatorView, most: int = MOST) -> str:
    """The model in a sentence."""
    name = cut(view.base.name, most)
    return f"your {name}" if view.changed and not name.startswith("your ") else name


def at_most(view: CalculatorView) -> str:
    """Zero experts may take a token's choices: then less works."""
    return "at most " if view.model.zero_experts else ""


# ---- taken apart -----------------------------------------------------------------------------------------------------


def heading(view: CalculatorView) -> list[str]:
    """What is taken apart, and in which unit."""
    return [whose(view, 40), f"taken apart, {unit_of(view.total)[1]}s of parameters"]


def digits(view: CalculatorView) -> tuple[int, int]:
    """Decimals of what everyone uses and of one expert, at least 2: with them the sums come out as they are written."""
    unit, _ = unit_of(view.total)
    parts = sum(view.common.values()), view.expert
    written = (view.model.n_experts, view.total), (view.works, view.active)
    for of_expert in range(2, 10):
        for of_common in range(2, of_expert + 1):
            common, expert = (round(Decimal(n) / unit, d) for n, d in zip(parts, (of_common, of_expert), strict=True))
            if all(short((common + k * expert) * unit, unit) == short(n, unit) for k, n in written):
                return of_common, of_expert
    return 9, 9  # every digit


def amounts(view: CalculatorView) -> tuple[str, dict[str, str], str]:
    """What everyone uses, its parts that are more than a hundredth of it, and one expert."""
    unit, (of_common, of_expert) = unit_of(view.total)[0], digits(view)
    common = sum(view.common.values())
    parts = {part: _places(n, unit, of_common) for part, n in view.common.items() if n >= common / 100}
    return _places(common, unit, of_common), parts, _places(view.expert, unit, of_expert)


def _places(n: int, unit: int, places: int) -> str:
    return f"{Decimal(n) / unit:,.{places}f}"


def captions(view: CalculatorView) -> tuple[str, str]:
    """Over the strip: what everyone uses, and the experts."""
    common, parts, expert = amounts(view)
    everyone = f"every token uses {common}, mainly {', '.join(f'{part} {n}' for part, n in parts.items())}"
    if not view.sparse:
        return everyone, ""
    n, k = view.model.n_experts, view.works
    uses = "it" if n == 1 else "all" if n == k else f"{at_most(view)}{k}"
    return everyone, f"{n:,} expert{'s' * (n > 1)} × {expert}, of which a token uses {uses}"


def sums(view: CalculatorView) -> tuple[str, str]:
    """Under the strip: total and active, added up."""
    unit, _ = unit_of(view.total)
    total, active = short(view.total, unit), short(view.active, unit)
    if not view.sparse:
        return f"{total} total", "all of it for every token"
    common, _, expert = amounts(view)
    return (f"{common} + {view.model.n_experts:,} × {expert} = {total} total",
            f"{common} + {view.works:,} × {expert} = {active} active")  # fmt: skip


# ---- sentences -------------------------------------------------------------------------------------------------------


def reading(view: CalculatorView) -> str:
    """How much works on a token, and what holds it all."""
    unit, word = unit_of(view.total)
    total, active = short(view.total, unit), short(view.active, unit)
    if view.active == view.total:
        works = f"all {total} {word} parameters of {whose(view)} work on each token"
    else:
        share = percent(view.active / view.total)
        works = f"{at_most(view)}{active} of the {total} {word} parameters of {whose(view)} work on a token ({share})"
    works = works[0].upper() + works[1:] + NOT_COUNTED[view.convention]
    stored = view.held[0]
    them = "them all" if view.convention == "all" else f"all {spoken(stored.parameters)}"
    free = f", with {view.free} % of each card kept free," if view.free else ""
    return (
        f"{works}; memory must hold {them}: at int4{free} they need {_place(view, stored.bytes[INT4])}{_dense(view)}."
    )


def _dense(view: CalculatorView) -> str:
    """The dense model of the same active size, if there is one."""
    stored, *others = view.held
    if not others:
        return ""
    there, here = (view.smallest(held.bytes[INT4]) for held in (others[0], stored))
    size = f"a dense model of {spoken(others[0].parameters)}"
    if there == here:
        return f", and so does {size}"
    return f", where {size} needs {_place(view, others[0].bytes[INT4])}"


def spoken(n: int) -> str:
    unit, word = unit_of(n)
    return f"{short(n, unit)} {word}"


def _place(view: CalculatorView, n_bytes: int) -> str:
    n, card = view.smallest(n_bytes)
    if n > 1:
        return f"{n:,} cards of {card} GB"
    return f"{'an' if card in (8, 80) else 'a'} {card} GB card"


def note(view: CalculatorView) -> str:
    """What was published of the model, what is not counted, and what a strip cannot show."""
    return " ".join(filter(None, [_published(view), _beside(view), _example(view)]))


def _published(view: CalculatorView) -> str:
    m = view.base
    if view.changed:
        return f"“yours” is {cut(m.name, 40)} with other experts; all else is as it was."
    said = []
    if m.published_total is not None:
        said.append(f"{m.published_total:g} billion in total{PUBLISHED_AS[m.total_as]}{BESIDE[m.total_with]}")
    if m.published_active is not None:
        said.append(f"{m.published_active:g} active{PUBLISHED_AS[m.active_as]}")
    told = f"Published: {', '.join(said)}." if said else ""
    return " ".join(filter(None, [told, m.note]))


def _beside(view: CalculatorView) -> str:
    """Parts that the count leaves out."""
    left_out = {"its vision part": view.model.vision, "its layers for later tokens (MTP)": view.count.mtp}
    parts = [f"{name}, {spoken(n)}" for name, n in left_out.items() if n]
    return f"Not counted: {'; '.join(parts)}." if parts else ""


def _example(view: CalculatorView) -> str:
    if not view.sparse or view.works == view.model.n_experts:
        return ""
    if view.model.n_experts <= NUMBERED:
        return "Which experts are filled is an example."
    return "The experts that work on a token are drawn side by side; in the model they lie anywhere."


def cache(view: CalculatorView) -> str:
    """The key-value cache of one text, or why there is no number."""
    try:
        n_bytes = view.count.kv_cache_bytes(view.context)
    except ValueError as problem:
        return f"No key-value cache is counted. {problem}"
    return f"Key-value cache of one text of {view.context:,} tokens at 16 bits: {gigabytes(n_bytes)} GB."


def gigabytes(n_bytes: int) -> str:
    return short(n_bytes, 10**9)


def memory_note() -> str:
    return GB_NOTE.format(card=short(24 * GIB, 10**9))


def setting(view: CalculatorView) -> str:
    """The settings on one line, for pages without controls."""
    m = view.model
    experts = f" · experts E {m.n_experts:,} · top-k {m.top_k:,} · expert width F {m.d_expert:,}" if view.sparse else ""
    counted = f"parameters counted: {CONVENTIONS[view.convention]}"
    name = f"{view.base.name}, changed" if view.changed else view.base.name
    return f"{name}{experts} · {counted} · kept free {view.free} %"
