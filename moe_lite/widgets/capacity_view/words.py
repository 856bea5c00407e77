"""The capacity view in words: its key figures and reading line."""

from moe_lite.widgets.capacity_view.view import NO_LIMIT, Rooms
from moe_lite.widgets.kit.parts import Parts

SERVED = {
    "position": "earlier tokens first",
    "score": "highest score first",
    "first_choice": "all first choices first",
}


def factor_text(factor: float) -> str:
    return "no limit" if factor == NO_LIMIT else f"{factor:g}"


def facts(now: Rooms) -> list[list[str]]:
    """Key figures as [value, what it is]."""
    if not now.faces:
        return []
    capacity = "∞" if now.factor == NO_LIMIT else f"{now.capacity:,}"
    return [
        [capacity, "rows in an expert's table"],
        [f"{now.asked - now.dropped:,} of {now.asked:,}", "choices find room"],
        [f"{now.dropped / now.asked:.0%}", "are dropped"],
        [f"{len(now.alone):,}", "tokens have no expert at all"],
        *([] if now.factor == NO_LIMIT else [[f"{now.empty:,} of {now.rows:,}", "rows of all tables are empty"]]),
    ]


def reading(now: Rooms) -> Parts:
    """What the limit does to this text."""
    if not now.faces:
        return ["Give a text with at least one token."]
    busiest = max(range(now.n_experts), key=now.load.__getitem__)
    fair = now.asked / now.n_experts
    asked = f": {now.load[busiest]} choices, where {fair:.4g} would be its fair share."
    fullest = ["The fullest is expert ", {"expert": busiest}, asked]
    if now.factor == NO_LIMIT:
        return ["Without a limit every choice finds room. ", *fullest]
    begin = f"With {now.factor:g} times the fair share each expert takes {now.capacity}, {SERVED[now.priority]}: "
    if not now.dropped:
        return [begin, f"all {now.asked} choices find room. ", *fullest]
    return [begin, f"{now.dropped} of {now.asked} choices are dropped. ", *_tokens(now), *fullest]


def _tokens(now: Rooms) -> list[str]:
    """What that means for the tokens."""
    alone, short = len(now.alone), now.short
    said = []
    if short:
        said.append(f"{short} token{'s lose some of their' if short > 1 else ' loses some of its'} experts. ")
    if alone:
        said.append(f"{alone} token{'s have' if alone > 1 else ' has'} no expert left, only the residual. ")
    return said
